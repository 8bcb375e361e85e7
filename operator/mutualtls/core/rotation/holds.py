"""Why the next step of an authority is not taken, and what signs nevertheless."""

from __future__ import annotations

from datetime import datetime

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import KEY_LOST
from mutualtls.core.ca import offer
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.model import labels
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Write


def of_other_operator(authority: Authority, namespace: str) -> Hold | None:
    """Leave an authority alone that the operator of another namespace serves. None: it is ours, or nobody's yet."""
    if authority.operator_namespace in {None, namespace}:
        return None
    return Hold(
        Reason.OTHER_OPERATOR,
        f"the operator of namespace {authority.operator_namespace} serves it: remove the annotation "
        f"{labels.OPERATOR_NAMESPACE} to hand it over to {namespace}",
    )


def while_suspended(authority: Authority, step: Write | Note | Make | Bury) -> Hold | None:
    """Take no step while `spec.suspend` is true, except to mark a CA Secret. None: the step is taken."""
    if not authority.is_suspended or isinstance(step, Note):
        return None
    return Hold(Reason.SUSPENDED, "no CA is made, replaced or deleted while spec.suspend is true")


def when_refused(
    authority: Authority,
    ledger: Ledger | None,
    ca: CA | Tombstone | None,
    *,
    refusal: str,
    is_covered: bool,
    now: datetime,
) -> Sign | Hold:
    """Go on without a write that the API server refuses: the CA that signs by the ledger does, if its key is at hand.

    `is_covered`: whether the ledger covers every leaf that it was asked to cover; until it does, nothing is signed.
    """
    signing = offer.of(authority, ledger).signing
    is_signer = isinstance(ca, CA) and signing is not None and ca.certificate == signing.certificate
    if not isinstance(ca, CA) or signing is None or not is_signer or not is_covered:
        return Hold(Reason.STATE_NOT_WRITABLE, refusal)
    if now >= signing.validity.not_after:
        return Hold(Reason.STATE_NOT_WRITABLE, refusal)
    lost = authority.status.condition(KEY_LOST)
    return Sign(ca, lost=lost.message if lost is not None and lost.status == "True" else None)
