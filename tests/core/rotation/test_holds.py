"""Why no step is taken for an authority, and what goes on when the API server refuses a write."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import KEY_LOST, AuthorityStatus
from mutualtls.core.api.status import settled
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import Ledger, mark_of
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import holds
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Write
from support.builders import NOW, SECOND, authority, default_signer, other_signer

BY = default_signer()
ROOT = BY.ledger.generations[0]
END = BY.issuing.validity.not_after


def served_by(namespace: str | None) -> Authority:
    """An authority with the namespace of its operator."""
    return msgspec.structs.replace(authority(), operator_namespace=namespace)


@pytest.mark.parametrize("namespace", [None, "ours"], ids=["nobody's", "ours"])
def test_an_authority_that_no_other_operator_serves_is_served(namespace: str | None) -> None:
    """An authority that is yet to be claimed is served, too."""
    assert holds.of_other_operator(served_by(namespace), "ours") is None


def test_an_authority_of_another_operator_is_left_alone() -> None:
    """The message says whose it is, and how it is handed over."""
    hold = holds.of_other_operator(served_by("theirs"), "ours")

    assert hold is not None
    assert Reason.OTHER_OPERATOR is hold.reason
    assert "the operator of namespace theirs serves it" in hold.message
    assert "remove the annotation mutualtls.dev/operator-namespace to hand it over to ours" in hold.message


@pytest.mark.parametrize(
    "step", [Write(BY.ledger), Make(ROOT), Bury(ROOT)], ids=["write the ledger", "make a CA", "delete a key"]
)
def test_a_suspended_authority_takes_no_step(step: Write | Make | Bury) -> None:
    """No CA is made, replaced or deleted."""
    hold = holds.while_suspended(authority(suspend=True), step)

    assert Hold(Reason.SUSPENDED, "no CA is made, replaced or deleted while spec.suspend is true") == hold
    assert holds.while_suspended(authority(), step) is None


def test_a_suspended_authority_notes_where_it_is() -> None:
    """What the ledger says already comes to stand in the CA Secrets, should it be lost."""
    assert holds.while_suspended(authority(suspend=True), Note(ROOT, mark_of(BY.ledger))) is None


def refused(
    ca: CA | Tombstone | None = BY.issuing,
    ledger: Ledger | None = BY.ledger,
    *,
    of: Authority | None = None,
    is_covered: bool = True,
    now: datetime = NOW,
) -> Sign | Hold:
    """What is done when a write is refused."""
    return holds.when_refused(of or BY.authority, ledger, ca, refusal="a quota", is_covered=is_covered, now=now)


def test_the_ca_that_signs_goes_on_when_a_write_is_refused() -> None:
    """It signs as long as it lives."""
    assert Sign(BY.issuing) == refused()
    assert isinstance(refused(now=END - SECOND), Sign)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(refused(None), id="no key is at hand"),
        pytest.param(refused(Tombstone()), id="the key was deleted"),
        pytest.param(refused(other_signer().issuing), id="it is not the CA that signs by the ledger"),
        pytest.param(refused(BY.root), id="it is the root, and an issuing CA signs"),
        pytest.param(refused(ledger=None), id="there is no ledger"),
        pytest.param(refused(is_covered=False), id="the ledger does not cover leaves"),
        pytest.param(refused(now=END), id="it has expired"),
    ],
)
def test_nothing_is_signed_without_what_the_api_server_refuses(found: Sign | Hold) -> None:
    """The refused write is one that signing needs, beside the CA that is known to sign."""
    assert Hold(Reason.STATE_NOT_WRITABLE, "a quota") == found


@pytest.mark.parametrize(("is_lost", "lost"), [(True, "root 1 is gone"), (False, None)], ids=["lost", "not lost"])
def test_what_was_said_of_a_lost_key_is_still_said(lost: str | None, *, is_lost: bool) -> None:
    """Nothing that is refused tells whether it is still so."""
    said = settled(((KEY_LOST, is_lost, Reason.KEY_LOST, "root 1 is gone"),), (), generation=1, now="")
    of = msgspec.structs.replace(BY.authority, status=AuthorityStatus(conditions=said))

    assert Sign(BY.issuing, lost=lost) == refused(of=of)
