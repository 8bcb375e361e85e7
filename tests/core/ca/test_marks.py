"""What tells how far a rotation was when the ledger was lost."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.ca import ledger, rotation_state
from mutualtls.core.ca.ledger import Mark, MarkedRoot
from mutualtls.core.pki.certificates import fingerprint
from mutualtls.core.pki.issue import CA
from support.builders import DAY, other_signer
from support.cas import ISSUING_2, ISSUING_3, ROOT, ROOT_2
from support.fleet import sign
from support.remains import LATER, ROOTS, everything, rebuilt, world

A, B = (ROOT,), (ROOT_2,)
PHASES = [
    pytest.param([ISSUING_3], (), Phase.SIGNING, id="the new root has signed"),
    pytest.param([ISSUING_2], (), Phase.PUBLISHING, id="the new root has not signed"),
    pytest.param([], (), Phase.PUBLISHING, id="nothing tells"),
    pytest.param([], A + B, Phase.PUBLISHING, id="the ClusterTrustBundle holds both"),
    pytest.param([], A, Phase.PUBLISHING, id="it holds the old root alone"),
    pytest.param([], B, Phase.SIGNING, id="it holds the new root alone: everybody had it before that"),
]


@pytest.mark.parametrize(("leaves", "published", "phase"), PHASES)
def test_where_nothing_says_how_far_it_was_both_roots_are_trusted(
    leaves: list[CAId], published: tuple[CAId, ...], phase: Phase
) -> None:
    """The root signs that everybody is sure to trust."""
    w = world()
    evidence = replace(everything(leaves=leaves, status=[]), published=tuple(w.certificates[one] for one in published))
    found = rebuilt(evidence)
    at = rotation_state.of(found)

    assert at is not None
    assert phase is at.phase
    assert {w.certificates[one] for one in ROOTS} == {
        x509.load_pem_x509_certificate(pem.encode()) for pem in ledger.trusted_roots(found)
    }


def marking(**states: State) -> Mark:
    """A mark of the two roots, such as `_1=State.ACTIVE`."""
    w = world()
    roots = (
        MarkedRoot(
            number=int(name[1:]),
            fingerprint=fingerprint(w.certificates[CAId(Role.ROOT, int(name[1:]))]),
            state=one,
        )
        for name, one in states.items()
    )
    return Mark(revision=7, roots=tuple(roots))


MARKS = {
    Phase.PUBLISHING: marking(_1=State.ACTIVE, _2=State.PUBLISHED),
    Phase.SIGNING: marking(_1=State.RETIRING, _2=State.ACTIVE),
    Phase.RETIRING: marking(_1=State.WITHDRAWN, _2=State.ACTIVE),
    Phase.WITHDRAWING: marking(_1=State.ACTIVE, _2=State.RETIRING),
    Phase.REMOVING: marking(_1=State.ACTIVE, _2=State.WITHDRAWN),
}


@pytest.mark.parametrize("phase", MARKS)
@pytest.mark.parametrize("leaves", [[], [ISSUING_2]], ids=["no leaves", "of the old root"])
@pytest.mark.parametrize("published", [(), A, B, A + B], ids=["nothing", "the old root", "the new root", "both"])
def test_the_newest_mark_says_how_far_it_was(phase: Phase, leaves: list[CAId], published: tuple[CAId, ...]) -> None:
    """Older marks, bundles and what identities carry do not count beside it."""
    w = world()
    older = (replace_revision(mark, number) for number, mark in enumerate(MARKS.values()))
    evidence = replace(
        everything(leaves=leaves),
        published=tuple(w.certificates[one] for one in published),
        claimed=tuple(w.certificates[one] for one in published),
        marks=(*older, MARKS[phase]),
    )
    at = rotation_state.of(rebuilt(evidence))

    assert at is not None
    assert phase is at.phase


def replace_revision(mark: Mark, number: int) -> Mark:
    """The same mark of another time."""
    return msgspec.structs.replace(mark, revision=number)


@pytest.mark.parametrize(
    ("mark", "phase"),
    [
        pytest.param(MARKS[Phase.PUBLISHING], Phase.SIGNING, id="it says that it is published"),
        pytest.param(marking(_1=State.ACTIVE), Phase.SIGNING, id="it does not know it"),
        pytest.param(MARKS[Phase.REMOVING], Phase.REMOVING, id="it says that it was taken out"),
        pytest.param(
            msgspec.structs.replace(
                MARKS[Phase.PUBLISHING],
                roots=tuple(
                    msgspec.structs.replace(one, has_signed=one.number == 2) for one in MARKS[Phase.PUBLISHING].roots
                ),
            ),
            Phase.PUBLISHING,
            id="it says that it had signed before",
        ),
    ],
)
def test_a_mark_of_before_is_known_as_one(mark: Mark, phase: Phase) -> None:
    """A leaf lives under a root that it says has never signed, as after the restore of a backup."""
    at = rotation_state.of(rebuilt(replace(everything(leaves=[ISSUING_3]), marks=(mark,))))

    assert at is not None
    assert phase is at.phase


def test_who_only_claims_to_have_a_leaf_of_a_root_moves_nothing() -> None:
    """It bears the key id of the CA, and not its signature."""
    own = CA(certificate=world().certificates[ISSUING_3], key=other_signer().issuing.key)
    forged = sign(own, LATER + 400 * DAY)
    before = rebuilt(replace(everything(leaves=[]), marks=(MARKS[Phase.PUBLISHING],)))
    found = rebuilt(replace(everything(leaves=[]), marks=(MARKS[Phase.PUBLISHING],), leaves=(forged,)))

    assert before == found
