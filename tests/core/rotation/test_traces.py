"""Fifteen ways a CA rotation goes wrong, each found in an earlier wording of the design, and what happens now.

The fleet lives in short times: leaves for an hour, a soak of 30 minutes, laggards excused after 15.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.ca import generations
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration
from mutualtls.core.ca.rollout import Carrier, Rollout
from mutualtls.core.rotation import gates
from mutualtls.core.rotation.gates import Patience
from mutualtls.core.rotation.steps import Sign
from support.builders import DAY, HOUR, MINUTE, NOW, P384, SECOND, authority, key
from support.cas import ISSUING, ISSUING_2, ROOT, ROOT_2
from support.fleet import SPEC, Fleet, fleet
from support.phases import LEAF, SHORT, SOAK, entered, report, rotating, run_well, withdrawing


def signing_roots(made: Fleet) -> set[str]:
    """Fingerprints of the roots that living leaves are under."""
    there = (member.files for member in made.members.values())
    return {files.root for files in there if files is not None and files.facts.not_after > made.now}


def test_trace_1_a_deadline_opens_publishing_and_no_other_gate() -> None:
    """Publishing waits for a laggard up to it, not longer; and the old root stays until its last leaf has ended."""
    made = fleet("a", "b", spec=SHORT, laggardTimeout="40h")
    made.members["b"].is_blocked = True
    made.run(45 * HOUR + 50 * MINUTE, every=20 * MINUTE)
    signing = entered(made, Phase.SIGNING)
    made.members["b"].is_blocked = False
    last = made.root(1).signs_until
    stable = entered(made, Phase.STABLE)
    deadline = NOW + 48 * HOUR - 2 * LEAF

    assert deadline <= signing <= deadline + 5 * MINUTE
    assert last is not None
    assert stable > last


def test_trace_2_under_compromised_signing_begins_in_time_and_nobody_is_asked() -> None:
    """At that time the old root is out, and every leaf was replaced and read before."""
    made = fleet("a", "b", approval="Manual")
    report(made, ROOT, by=3 * HOUR)
    signing = entered(made, Phase.SIGNING)
    stable = entered(made, Phase.STABLE)

    assert NOW + SOAK <= signing <= NOW + 3 * HOUR - SOAK
    assert signing + SOAK <= stable <= NOW + 3 * HOUR


LOST_IN = [
    pytest.param(Phase.PUBLISHING, False, id="Publishing"),
    pytest.param(Phase.SIGNING, False, id="Signing"),
    pytest.param(Phase.SIGNING, True, id="Retiring"),
    pytest.param(Phase.WITHDRAWING, False, id="Withdrawing"),
    pytest.param(Phase.WITHDRAWING, True, id="Removing"),
]


@pytest.mark.parametrize("status", [True, False])
@pytest.mark.parametrize(("phase", "is_followed"), LOST_IN)
def test_trace_3_a_lost_ledger_is_rebuilt_where_it_was_or_before(
    phase: Phase, *, is_followed: bool, status: bool
) -> None:
    """No handshake fails in any phase, also where one bundle is without the old root and the other is not yet."""
    made = withdrawing() if phase is Phase.WITHDRAWING else rotating(phase)
    run_well(made, 10 * MINUTE)
    if is_followed:
        made.members["b"].is_blocked = True
        entered(made, Phase.RETIRING if phase is Phase.SIGNING else Phase.REMOVING)
        assert made.members["a"].versions[-1].roots != made.members["b"].versions[-1].roots
        made.members["b"].is_blocked = False
    made.lose_ledger(status=status)
    run_well(made, 5 * HOUR)

    assert Phase.STABLE is made.phase
    assert isinstance(made.step, Sign)


@pytest.mark.parametrize("status", [False, True])
def test_trace_3_a_root_that_no_bundle_holds_yet_goes_on_being_published(*, status: bool) -> None:
    """What bundles hold takes no root out: anybody could have written them."""
    made = fleet("a", "b")
    for member in made.members.values():
        member.is_blocked = True
    made.rotate()
    made.settle()
    assert Phase.PUBLISHING is made.phase
    made.lose_ledger(status=status)
    made.settle()

    assert [State.ACTIVE, State.PUBLISHED] == made.states()
    assert Phase.PUBLISHING is made.phase


@pytest.mark.parametrize("status", [False, True])
def test_trace_3_of_three_keys_two_make_the_pair(*, status: bool) -> None:
    """A backup restored the key of a root that was rolled back and deleted: it is deleted again."""
    made = rotating()
    backup = {ca: made.home.ca(ca) for ca in (ROOT_2, ISSUING_2)}
    made.order(roll_back=made.root(2).fingerprint)
    run_well(made, 5 * HOUR)
    made.rotate()
    made.settle()
    made.home.secrets.update(backup)
    made.lose_ledger(status=status)
    made.settle()

    assert [State.ACTIVE, State.GONE, State.PUBLISHED] == made.states()
    assert Tombstone() == made.home.secrets[ROOT_2]
    run_well(made, DAY)
    assert [State.GONE, State.GONE, State.ACTIVE] == made.states()


def test_trace_4_a_crash_with_a_key_in_memory_is_no_lost_key() -> None:
    """Nothing has seen it: a CA is made under its number."""
    made = Fleet(of=authority(**SPEC))
    made.look(crash=1, half=True)
    made.settle()

    assert isinstance(made.step, Sign)
    assert [ROOT, ISSUING] == made.home.made


def test_trace_5_a_late_secret_takes_no_number_again() -> None:
    """It was sent by a deposed leader; its number was made, rolled back and buried meanwhile."""
    made = rotating()
    late = generations.certify(
        made.of, CAGeneration(role=Role.ROOT, number=2, state=State.MAKING), key(P384, 5), None, now=NOW
    )
    made.order(roll_back=made.root(2).fingerprint)
    entered(made, Phase.STABLE)

    assert not made.home.create(ROOT_2, late)
    assert Tombstone() == made.home.secrets[ROOT_2]


def test_trace_5_a_number_is_not_taken_again_when_ledger_and_status_are_lost() -> None:
    """The tombstone remembers it."""
    made = rotating()
    made.order(roll_back=made.root(2).fingerprint)
    entered(made, Phase.STABLE)
    made.lose_ledger(status=True)
    made.settle()
    made.rotate()
    entered(made, Phase.PUBLISHING)

    assert CAId(Role.ROOT, 3) == made.home.made[-2]


def test_trace_6_an_order_that_stays_in_git_is_obeyed_once() -> None:
    """It names the number of the new root, too; so a roll-back is not undone by it."""
    made = rotating()
    made.order(roll_back=made.root(2).fingerprint)
    entered(made, Phase.STABLE)
    run_well(made, 5 * HOUR)

    assert [State.ACTIVE, State.GONE] == made.states()


def test_trace_7_what_is_rolled_back_stays_trusted_until_its_last_leaf_has_ended() -> None:
    """It does so even if the ledger was lost meanwhile, and nobody knows that it signed."""
    made = withdrawing()
    new = made.root(2).fingerprint
    made.lose_ledger(status=True)
    made.settle()
    assert Phase.WITHDRAWING is made.phase
    entered(made, Phase.STABLE)

    assert new not in signing_roots(made)
    assert [State.ACTIVE, State.GONE] == made.states()


def test_trace_8_a_late_secret_with_the_old_bundle_begins_the_soak_anew() -> None:
    """It was sent before the new root was published, lands late and is healed at once."""
    made = fleet("a", laggardTimeout="2h")
    late = made.send(made.add("late", suspend=True))
    made.rotate()
    entered(made, Phase.PUBLISHING)
    run_well(made, 20 * MINUTE)
    made.land(late)
    run_well(made, 5 * MINUTE)
    healed = made.now
    signing = entered(made, Phase.SIGNING)

    assert healed + SOAK <= signing
    assert not made.members["late"].is_outside


def test_trace_9_the_soak_counts_from_the_last_leaf_that_was_replaced() -> None:
    """It does not count from the beginning of the phase."""
    longer = {**SPEC, "leaf": {**SPEC["leaf"], "duration": "4h", "maxDuration": "4h"}}
    made = rotating(spec=longer, retire="AfterReplacement", laggardTimeout="2h")
    made.members["b"].is_blocked = True
    entered(made, Phase.SIGNING)
    run_well(made, 10 * MINUTE)
    made.members["b"].is_blocked = False
    run_well(made, 5 * MINUTE)
    replaced = made.now
    stable = entered(made, Phase.STABLE)

    assert replaced + SOAK <= stable
    assert not any(member.is_outside for member in made.members.values())


def test_trace_10_compromised_in_a_roll_back_publishes_the_new_root_again() -> None:
    """Its soak is counted anew: it may never have been in every bundle."""
    made = withdrawing()
    made.delete(made.members["a"])
    made.settle()
    report(made, ROOT)
    made.settle()
    publishing = made.now

    assert Phase.PUBLISHING is made.phase
    assert publishing + SOAK <= entered(made, Phase.SIGNING)
    entered(made, Phase.STABLE)
    assert [State.GONE, State.ACTIVE] == made.states()


def test_trace_11_when_both_are_compromised_the_rotation_goes_on_and_another_follows() -> None:
    """The operator returns to neither, whatever is ordered."""
    made = rotating()
    report(made, ROOT, ROOT_2)
    made.order(roll_back=made.root(2).fingerprint)
    made.settle()
    made.order(compromised=())
    seen = [made.phase]
    while State.ACTIVE is not made.states()[-1] or made.phase is not Phase.STABLE:
        run_well(made, 5 * MINUTE)
        seen += [made.phase] if made.phase is not seen[-1] else []

    assert [State.GONE, State.GONE, State.ACTIVE] == made.states()
    assert Phase.WITHDRAWING not in seen


def test_trace_12_after_a_roll_back_the_root_is_replaced_in_time_all_the_same() -> None:
    """It happens three times the longest leaf and the soak before its end; no roll-back applies then."""
    made = fleet("a", spec=SHORT)
    made.run(31 * HOUR + 50 * MINUTE, every=20 * MINUTE)
    entered(made, Phase.PUBLISHING)
    made.order(roll_back=made.root(2).fingerprint)
    entered(made, Phase.STABLE)
    made.run(12 * HOUR, every=20 * MINUTE)
    begun = entered(made, Phase.PUBLISHING)
    made.order(roll_back=made.root(3).fingerprint)
    due = NOW + 48 * HOUR - 3 * LEAF - SOAK

    assert due <= begun <= due + 5 * MINUTE
    entered(made, Phase.SIGNING)
    assert ["root 1 ends too soon, at 2026-01-04T03:04:05Z"] == [one.message for one in made.told.not_obeyed]


@pytest.mark.parametrize(
    ("phase", "lost"),
    [
        pytest.param(Phase.SIGNING, [ROOT, ISSUING], id="the outgoing ones"),
        pytest.param(Phase.PUBLISHING, [ROOT_2, ISSUING_2], id="the incoming ones"),
        pytest.param(Phase.PUBLISHING, [ROOT], id="the root's that signs"),
    ],
)
def test_trace_13_a_key_that_is_not_to_sign_is_not_missed(phase: Phase, lost: list[CAId]) -> None:
    """Signing goes on; an incoming root that is lost is withdrawn by itself."""
    made = rotating(phase)
    made.home.lose(*lost)
    while made.phase is not Phase.STABLE:
        run_well(made, 5 * MINUTE)
        assert isinstance(made.step, Sign)

    assert (State.GONE if ROOT_2 in lost else State.ACTIVE) == made.states()[1]


def test_trace_13_nobody_goes_back_to_a_root_whose_keys_are_lost() -> None:
    """Otherwise nobody would sign."""
    made = rotating(Phase.SIGNING)
    made.home.lose(ROOT, ISSUING)
    made.order(roll_back=made.root(2).fingerprint)
    made.settle()

    assert Phase.SIGNING is made.phase
    assert "the keys of root 1 are gone" in {one.message for one in made.told.not_obeyed}


def test_trace_14_who_cannot_be_brought_up_to_date_is_excused() -> None:
    """Their names are told some time after it was tried; the others get their soak."""
    made = fleet("a", "b", soak="5m")
    made.members["b"].is_blocked = True
    made.rotate()
    begun = entered(made, Phase.PUBLISHING)
    signing = entered(made, Phase.SIGNING)

    assert begun + 15 * MINUTE == signing
    assert {"a": False, "b": True} == {name: member.is_outside for name, member in made.members.items()}


@pytest.mark.parametrize(
    ("now", "excused"),
    [
        pytest.param(NOW + HOUR - SECOND, (), id="before"),
        pytest.param(NOW + HOUR, ("secret shop/orders",), id="then"),
    ],
)
def test_trace_14_a_secret_is_excused_in_its_time(now: datetime, excused: tuple[str, ...]) -> None:
    """It is named, as the promise does not hold for it."""
    rollout = Rollout(carriers=(Carrier(name="secret shop/orders", bundle_hash="old"),))
    gate = gates.published(rollout, "new", Patience(since=NOW, soak=2 * HOUR, excuse=NOW + HOUR), now=now)

    assert excused == gate.excused
    assert not gate.is_open


def test_trace_15_who_reads_within_the_soak_but_after_its_leaf_ended_is_promised_nothing() -> None:
    """Leaves are renewed 20 minutes before their end, and the soak is 30: only what has not ended is accepted."""
    made = fleet("a", "b")
    made.run(41 * MINUTE)
    made.now += 20 * MINUTE
    old, new = made.held(made.members["a"])

    assert old.facts.not_after < made.now < new.facts.not_after
    assert [] == list(made.failed_handshakes())
