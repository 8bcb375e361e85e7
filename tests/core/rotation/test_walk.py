"""Which phases a walk over the steps of an authority met, and which of them a status does not tell of yet."""

from __future__ import annotations

import pytest

from mutualtls.core.api.authority_status import ROTATING, AuthorityStatus
from mutualtls.core.api.states import Phase
from mutualtls.core.api.status import settled
from mutualtls.core.rotation.gates import Gate
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.walk import Walk

STABLE, PUBLISHING, SIGNING = (Progress(phase=phase) for phase in (Phase.STABLE, Phase.PUBLISHING, Phase.SIGNING))
RETIRING, REMOVING = (Progress(phase=phase) for phase in (Phase.RETIRING, Phase.REMOVING))
LATER = Progress(phase=Phase.PUBLISHING, note="later")
FORCED = Progress(phase=Phase.PUBLISHING, gate=Gate(is_open=True, forced="root 1 ends"))


def walk(*looks: Progress) -> Walk:
    """A walk with these looks."""
    walked = Walk()
    for progress in looks:
        walked = walked.continued(progress)
    return walked


def told(phase: Phase | None) -> AuthorityStatus:
    """A status that tells of a phase, or of none yet."""
    facts = ((ROTATING, True, phase, ""),) if phase else ()
    return AuthorityStatus(conditions=settled(facts, (), generation=1, now=""))


def test_a_walk_keeps_the_last_look_at_each_phase() -> None:
    """What a gate has excused, and why it opened, is known only then."""
    assert (STABLE, LATER, SIGNING) == walk(STABLE, PUBLISHING, LATER, SIGNING).phases
    assert SIGNING is walk(STABLE, SIGNING).last
    assert walk().last is None


@pytest.mark.parametrize(
    ("before", "looks", "expected"),
    [
        pytest.param(None, (STABLE,), [], id="stable, as it begins"),
        pytest.param(None, (PUBLISHING,), [(None, PUBLISHING)], id="a phase, of which nothing was told"),
        pytest.param(Phase.PUBLISHING, (PUBLISHING,), [], id="the same phase"),
        pytest.param(Phase.STABLE, (STABLE, PUBLISHING), [(STABLE, PUBLISHING)], id="the next one"),
        pytest.param(Phase.STABLE, (PUBLISHING,), [(None, PUBLISHING)], id="the next one, found at the first look"),
        pytest.param(
            Phase.STABLE,
            (STABLE, PUBLISHING, SIGNING),
            [(STABLE, PUBLISHING), (PUBLISHING, SIGNING)],
            id="two in one walk",
        ),
        pytest.param(Phase.SIGNING, (), [], id="nothing is known"),
    ],
)
def test_which_phases_were_entered(
    before: Phase | None, looks: tuple[Progress, ...], expected: list[tuple[Progress | None, Progress]]
) -> None:
    """Each comes with the one before it, where the walk met that."""
    assert expected == list(walk(*looks).entered(told(before)))


@pytest.mark.parametrize(
    ("before", "looks", "expected"),
    [
        pytest.param(None, (STABLE,), [], id="stable, as it begins"),
        pytest.param(Phase.SIGNING, (SIGNING, RETIRING, STABLE), ["done"], id="the old root is out"),
        pytest.param(Phase.RETIRING, (STABLE,), ["done"], id="the end, found at the first look"),
        pytest.param(Phase.PUBLISHING, (REMOVING, STABLE), ["rolled_back"], id="the new root is out"),
        pytest.param(Phase.REMOVING, (STABLE,), ["rolled_back"], id="that end, found at the first look"),
        pytest.param(Phase.PUBLISHING, (PUBLISHING, SIGNING), [], id="another phase"),
        pytest.param(Phase.PUBLISHING, (FORCED, SIGNING), ["forced"], id="a gate that was forced"),
        pytest.param(Phase.SIGNING, (), [], id="nothing is known"),
    ],
)
def test_how_rotations_ended(before: Phase | None, looks: tuple[Progress, ...], expected: list[str]) -> None:
    """A rotation ends once, however many looks its last phase takes."""
    assert expected == list(walk(*looks).results(told(before)))
