"""The phases of a root's replacement: when each is left, what opens a gate, and which orders begin one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mutualtls.core.api.orders import Approve, Replace
from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.ca import rotation_state
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.rotation import phases
from mutualtls.core.rotation.steps import Hold
from support.builders import DAY, HOUR, MINUTE, NOW, SECOND, Home, authority, grown, named
from support.cas import ISSUING_2, ROOT, ROOT_2
from support.fleet import SPEC, fleet
from support.phases import SOAK, at_phase, heal, report, rotating, walk

# What each phase is

TABLE = [
    pytest.param(Phase.STABLE, 1, {1}, id="Stable"),
    pytest.param(Phase.PUBLISHING, 1, {1, 2}, id="Publishing"),
    pytest.param(Phase.SIGNING, 2, {1, 2}, id="Signing"),
    pytest.param(Phase.RETIRING, 2, {2}, id="Retiring"),
    pytest.param(Phase.WITHDRAWING, 1, {1, 2}, id="Withdrawing"),
    pytest.param(Phase.REMOVING, 1, {1}, id="Removing"),
]


@pytest.mark.parametrize(("phase", "signer", "roots"), TABLE)
def test_who_signs_and_what_is_in_the_bundle(phase: Phase, signer: int, roots: set[int]) -> None:
    """Each row of the table of DESIGN section 5 holds."""
    made = at_phase(phase)
    at = rotation_state.of(made.ledger)

    assert at is not None
    assert (phase, signer) == (at.phase, at.root.number)
    assert made.offered is not None
    known = made.ledger.of(Role.ROOT)
    assert roots == {ca.number for ca in known if ca.certificate.encode() in made.offered.bundle}
    issuing = made.ledger.active(Role.ISSUING)
    assert issuing is not None
    assert signer == issuing.issuer


def test_no_root_signs_before_there_is_one() -> None:
    """There is no phase either."""
    assert rotation_state.of(Ledger(authority_uid="u")) is None


# How they follow one another


@pytest.mark.parametrize("retire", ["AfterExpiry", "AfterReplacement"])
@pytest.mark.parametrize("is_tiered", [True, False])
def test_a_rotation_goes_through_its_phases(retire: str, *, is_tiered: bool) -> None:
    """With or without an issuing CA, it ends with the new root alone, and all files under it."""
    made = fleet("a", "b", spec={**SPEC, "issuing": {"duration": "48h", "enabled": is_tiered}}, retire=retire)
    made.rotate()

    assert [Phase.STABLE, Phase.PUBLISHING, Phase.SIGNING, Phase.RETIRING, Phase.STABLE] == walk(made, length=4 * HOUR)
    assert [State.GONE, State.ACTIVE] == made.states()
    assert {made.root(2).fingerprint} == {member.versions[-1].root for member in made.members.values()}


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        pytest.param(Phase.PUBLISHING, [Phase.WITHDRAWING, Phase.REMOVING, Phase.STABLE], id="from Publishing"),
        pytest.param(Phase.SIGNING, [Phase.WITHDRAWING, Phase.REMOVING, Phase.STABLE], id="from Signing"),
        pytest.param(Phase.RETIRING, [Phase.STABLE], id="not from Retiring"),
    ],
)
def test_a_roll_back_goes_through_its_phases(phase: Phase, expected: list[Phase]) -> None:
    """There is no way back once the old root leaves the bundles."""
    made = at_phase(phase)
    if phase is Phase.SIGNING:
        heal(made, "a")
    made.order(roll_back=made.root(2).fingerprint)

    assert [phase, *expected] == walk(made, length=6 * HOUR)
    assert {State.GONE, State.ACTIVE} == set(made.states())
    assert made.ledger.is_automatic is (phase is Phase.RETIRING)


def test_a_root_that_never_signed_is_removed_at_once() -> None:
    """There is no leaf to be waited for."""
    made = rotating()
    made.order(roll_back=made.root(2).fingerprint)
    made.settle()

    assert Phase.STABLE is made.phase


# When each is left


@pytest.mark.parametrize(
    ("after", "phase"),
    [
        pytest.param(SOAK - SECOND, Phase.PUBLISHING, id="a second before"),
        pytest.param(SOAK, Phase.SIGNING, id="then"),
    ],
)
def test_publishing_is_left_when_the_soak_has_passed(after: timedelta, phase: Phase) -> None:
    """The soak counts from the write that put the new root into the last bundle."""
    made = rotating()
    made.now += after
    made.settle()

    assert phase is made.phase


def test_a_bundle_that_was_made_with_the_new_root_is_done_at_once() -> None:
    """Nobody has read another one from it."""
    made = rotating()
    made.run(SOAK - MINUTE)
    made.add("c")
    made.settle()
    made.run(MINUTE)

    assert Phase.SIGNING is made.phase


@pytest.mark.parametrize(
    ("after", "phase"),
    [
        pytest.param(29 * SECOND, Phase.SIGNING, id="a second before"),
        pytest.param(30 * SECOND, Phase.STABLE, id="then"),
    ],
)
def test_signing_is_left_when_the_last_leaf_of_the_old_root_has_ended(after: timedelta, phase: Phase) -> None:
    """The ledger's signsUntil and 30 s for differing clocks decide."""
    made = rotating(Phase.SIGNING)
    until = made.root(1).signs_until
    assert until is not None
    made.run(until - made.now)
    made.now += after
    made.settle()

    assert phase is made.phase


def test_manual_waits_for_an_approval_of_each_phase() -> None:
    """An approval names the incoming root and one phase, and does not count for the other."""
    made = rotating(approval="Manual")
    seen = []
    for phase in (Phase.SIGNING, Phase.RETIRING):
        made.run(3 * HOUR)
        seen.append(made.phase)
        assert f"mutualtls.dev/approve: {made.root(2).fingerprint}/{phase}" in made.told.gate.waits_for
        made.order(approve=Approve(fingerprint=made.root(2).fingerprint, phase=phase))
        made.settle()

    assert [Phase.PUBLISHING, Phase.SIGNING, Phase.STABLE] == [*seen, made.phase]


@pytest.mark.parametrize(
    "approve",
    [
        pytest.param((1, Phase.SIGNING), id="of the outgoing root"),
        pytest.param((2, Phase.RETIRING), id="of the phase after the next"),
        pytest.param((2, Phase.PUBLISHING), id="of this phase"),
    ],
)
def test_an_approval_of_something_else_opens_nothing(approve: tuple[int, Phase]) -> None:
    """It is listed as not obeyed."""
    made = rotating(approval="Manual")
    number, phase = approve
    made.order(approve=Approve(fingerprint=made.root(number).fingerprint, phase=phase))
    made.run(2 * HOUR)

    assert Phase.PUBLISHING is made.phase
    assert "no root is about to enter that phase" in {one.message for one in made.told.not_obeyed}


def test_a_missing_approval_holds_publishing_up_to_its_deadline() -> None:
    """The old root's end less twice the longest leaf."""
    made = fleet("a", spec={**SPEC, "root": {"selfSigned": {"duration": "48h"}}}, approval="Manual")
    made.run(46 * HOUR - MINUTE, every=20 * MINUTE)
    before = made.phase
    made.run(MINUTE)

    assert (Phase.PUBLISHING, Phase.SIGNING) == (before, made.phase)


@pytest.mark.parametrize(
    ("soak", "left"),
    [
        pytest.param("30m", 3 * HOUR, id="before the deadline"),
        pytest.param("30m", HOUR, id="after it"),
        pytest.param("30m", 31 * MINUTE, id="as late as it can"),
    ],
)
def test_the_soak_passes_however_late_a_rotation_is_begun(soak: str, left: timedelta) -> None:
    """If there was no operator, the old root keeps signing as long as it lives."""
    made = fleet("a", "b", spec={**SPEC, "root": {"selfSigned": {"duration": "48h"}}}, soak=soak)
    made.run(31 * HOUR, every=20 * MINUTE)
    made.offered, made.now = None, NOW + 48 * HOUR - left
    made.settle()
    begun = made.now
    while made.phase is Phase.PUBLISHING:
        made.run(MINUTE)
        assert [] == list(made.failed_handshakes())

    assert SOAK == made.now - begun


# Excuses


def test_what_was_never_tried_is_not_excused() -> None:
    """An operator was down for longer than laggards are waited for, before it wrote one bundle."""
    made = fleet("a", "b")
    made.rotate()
    made.look(crash=6)
    assert Phase.PUBLISHING is made.phase
    made.offered = None
    made.now += DAY / 2
    made.look()

    assert Phase.PUBLISHING is made.phase
    assert ({"secret shop/a", "secret shop/b"}, ()) == (set(made.told.gate.laggards), made.told.gate.excused)


def test_who_is_not_to_be_replaced_yet_is_not_excused_when_he_is() -> None:
    """A root is reported long after it signs no more: its leaves are replaced first, and read."""
    longer = {**SPEC, "leaf": {**SPEC["leaf"], "duration": "4h", "maxDuration": "4h"}}
    made = rotating(Phase.SIGNING, spec=longer)
    made.run(HOUR)
    report(made, ROOT)
    reported = made.now
    walked = walk(made, length=SOAK - MINUTE)
    made.run_until(Phase.STABLE)

    assert [Phase.SIGNING] == walked
    assert made.now >= reported + SOAK


@pytest.mark.parametrize("by", [None, 5 * MINUTE])
def test_nothing_is_taken_out_while_nobody_can_sign(by: timedelta | None) -> None:
    """The new root's keys are lost: the old one stays in every bundle while its leaves live, be it compromised."""
    made = rotating(Phase.SIGNING, retire="AfterReplacement")
    if by is not None:
        report(made, ROOT, by=by)
    made.home.lose(ROOT_2, ISSUING_2)
    until = made.root(1).signs_until
    assert until is not None
    made.run(until - made.now)

    assert isinstance(made.step, Hold)
    assert Phase.SIGNING is made.phase


# Orders to begin


def rotate_order(home: Home, *, root: int = 1, number: int = 2) -> Replace:
    """Order to replace a root by that of a number."""
    return Replace(fingerprint=home.recorded(CAId(Role.ROOT, root)).fingerprint, number=number)


@pytest.mark.parametrize(
    ("number", "begins"),
    [
        pytest.param(1, False, id="of a number taken"),
        pytest.param(2, True, id="next"),
        pytest.param(3, False, id="later"),
    ],
)
def test_an_order_names_the_number_of_the_new_root(number: int, *, begins: bool) -> None:
    """The operator therefore obeys it once."""
    made = fleet("a")
    made.order(rotate_root=rotate_order(made.home, number=number))
    made.settle()

    assert (Phase.PUBLISHING if begins else Phase.STABLE) is made.phase


def test_an_order_of_another_root_is_not_obeyed() -> None:
    """It is obeyed only while it is so."""
    made = fleet("a")
    made.order(rotate_root=Replace(fingerprint="ab" * 32, number=2))
    made.settle()

    assert Phase.STABLE is made.phase


@pytest.mark.parametrize(
    ("rotate_before", "begins"),
    [pytest.param(None, 48 * HOUR * 2 / 3, id="a third of its life"), pytest.param("10h", 38 * HOUR, id="as asked")],
)
def test_a_root_is_replaced_by_itself(rotate_before: str | None, begins: timedelta) -> None:
    """This happens when its time has come."""
    asked = {"rotateBefore": rotate_before} if rotate_before else {}
    of = authority(**{**SPEC, "root": {"selfSigned": {"duration": "48h"}}, "rotation": {**SPEC["rotation"], **asked}})
    home = grown(of)
    root = home.recorded(ROOT)
    known = home.read_ledger()
    assert known is not None
    due = phases.automatic_start(of, known, root)

    assert -5 * MINUTE <= due - (NOW + begins) <= 5 * MINUTE
    assert "root 2" not in named(home.next_step(of, now=due - SECOND))
    assert "root 2 Making" in named(home.next_step(of, now=due))


def test_orders_are_obeyed_after_a_roll_back_and_make_it_automatic_again() -> None:
    """The next number is another order."""
    made = rotating()
    made.order(roll_back=made.root(2).fingerprint)
    made.run_until(Phase.STABLE)
    before = made.ledger.is_automatic
    made.rotate()
    made.settle()

    assert (False, True) == (before, made.ledger.is_automatic)
    assert [State.ACTIVE, State.GONE, State.PUBLISHED] == made.states()


@pytest.mark.parametrize("which", [1, 3])
def test_a_roll_back_of_another_root_is_not_obeyed(which: int) -> None:
    """An order that waits for a future root is not obeyed, either."""
    made = rotating()
    made.order(roll_back=made.root(1).fingerprint if which == 1 else "ab" * 32)
    made.settle()

    assert Phase.PUBLISHING is made.phase
