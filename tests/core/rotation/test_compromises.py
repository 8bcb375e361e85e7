"""How a CA that is reported as compromised, or given up, is taken out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.rotation.steps import Sign
from support.builders import HOUR, MINUTE, NOW, SECOND
from support.cas import ISSUING, ISSUING_2, ROOT, ROOT_2
from support.fleet import fleet
from support.phases import at_phase, heal, report, rotating, walk, withdrawing

# Compromised


@pytest.mark.parametrize(
    ("phase", "told", "expected"),
    [
        pytest.param(Phase.STABLE, [ROOT], [Phase.PUBLISHING, Phase.SIGNING, Phase.RETIRING], id="the root"),
        pytest.param(Phase.STABLE, [ISSUING], [Phase.PUBLISHING, Phase.SIGNING, Phase.RETIRING], id="the issuing CA"),
        pytest.param(Phase.PUBLISHING, [ROOT], [Phase.SIGNING, Phase.RETIRING], id="the outgoing root in Publishing"),
        pytest.param(Phase.SIGNING, [ISSUING], [Phase.RETIRING], id="the outgoing issuing CA in Signing"),
        pytest.param(Phase.PUBLISHING, [ROOT_2], [Phase.WITHDRAWING, Phase.REMOVING], id="the incoming in Publishing"),
        pytest.param(Phase.SIGNING, [ISSUING_2], [Phase.WITHDRAWING, Phase.REMOVING], id="the incoming in Signing"),
        pytest.param(Phase.RETIRING, [ROOT], [], id="the outgoing in Retiring"),
        pytest.param(Phase.REMOVING, [ROOT_2], [], id="the incoming in Removing"),
        pytest.param(
            Phase.WITHDRAWING,
            [ROOT],
            [Phase.PUBLISHING, Phase.SIGNING, Phase.RETIRING],
            id="the root that is rolled back to",
        ),
        pytest.param(Phase.WITHDRAWING, [ROOT_2], [Phase.REMOVING], id="the one rolled back"),
    ],
)
def test_a_compromised_ca_is_taken_out(phase: Phase, told: list[CAId], expected: list[Phase]) -> None:
    """Each case takes the open way, and replaces nothing else."""
    made = at_phase(phase)
    report(made, *told)
    for member in made.members.values():
        member.is_blocked = False

    assert [phase, *expected, Phase.STABLE] == walk(made, length=5 * HOUR)
    out = {made.home.recorded(one).issuer or one[1] for one in told}
    assert out <= {ca.number for ca in made.ledger.of(Role.ROOT) if ca.state is State.GONE}


def test_leaves_of_a_compromised_root_are_replaced_at_once_in_a_roll_back() -> None:
    """This includes leaves of its issuing CA whose key is lost. No pace delays them."""
    made = rotating(Phase.SIGNING)
    heal(made, "a")
    made.home.lose(ISSUING_2)
    made.settle()
    report(made, ROOT_2)
    made.settle()

    assert Phase.WITHDRAWING is made.phase
    assert {made.root(1).fingerprint} == {member.versions[-1].root for member in made.members.values()}
    assert made.offered is not None
    assert made.offered.pace is None


def test_good_leaves_are_not_replaced_by_those_of_a_compromised_root() -> None:
    """A roll-back is undone: what the new root signed stays."""
    made = withdrawing()
    before = made.members["a"].files
    report(made, ROOT)
    made.settle()

    assert Phase.PUBLISHING is made.phase
    assert before == made.members["a"].files


def test_compromised_is_noted_for_good() -> None:
    """The earliest time counts, and taking the order back does not take it out."""
    made = fleet("a", approval="Manual")
    report(made, ROOT, by=8 * HOUR)
    made.settle()
    report(made, ROOT)
    made.settle()
    made.order(compromised=())
    made.settle()

    noted = (Compromise(fingerprint=made.root(1).fingerprint, by=NOW + 8 * HOUR),)
    assert noted == made.ledger.compromised


@pytest.mark.parametrize("by", [HOUR, 10 * MINUTE])
def test_what_is_left_is_dropped_at_its_time(by: timedelta) -> None:
    """It is dropped even if leaves are valid and a soak has not passed."""
    made = fleet("a", "b")
    made.suspend("b")
    made.run(5 * MINUTE)
    report(made, ROOT, by=by)
    end = made.now + by
    made.run(by - MINUTE, every=MINUTE)
    before = made.states()[0]
    made.run(end - made.now)

    assert (True, State.GONE) == (before is not State.GONE, made.states()[0])


def test_an_incoming_root_that_is_lost_is_withdrawn_also_where_the_other_is_compromised() -> None:
    """Another one takes its place: nobody could sign with it."""
    made = fleet("a", "b")
    report(made, ROOT)
    made.settle()
    made.home.lose(ROOT_2, ISSUING_2)

    steps = walk(made, length=4 * HOUR)
    assert [State.GONE, State.GONE, State.ACTIVE] == made.states()
    assert Phase.SIGNING is not steps[1]


# Given up


def test_a_root_that_is_given_up_goes_by_the_phases() -> None:
    """Its issuing CA signs on meanwhile, so that the soak can pass."""
    made = fleet("a", "b")
    made.home.lose(ROOT)
    made.order(abandon=frozenset({made.root(1).fingerprint}))

    assert [Phase.STABLE, Phase.PUBLISHING, Phase.SIGNING, Phase.RETIRING, Phase.STABLE] == walk(made, length=5 * HOUR)
    assert isinstance(made.step, Sign)


def test_where_nobody_signs_the_soak_is_cut_before_the_first_leaf_ends() -> None:
    """It would be of no use to anybody."""
    made = fleet("a", "b", soak="4h")
    made.run(50 * MINUTE)
    made.home.lose(ROOT, ISSUING)
    made.order(abandon=frozenset({made.root(1).fingerprint}))
    first = min(member.versions[-1].facts.not_after for member in made.members.values())
    made.run(first - made.now - MINUTE, every=MINUTE)
    before = made.phase
    made.run(MINUTE, every=5 * SECOND)

    assert (Phase.PUBLISHING, Phase.SIGNING) == (before, made.phase)
    assert all(files.facts.not_after > made.now for member in made.members.values() if (files := member.files))
