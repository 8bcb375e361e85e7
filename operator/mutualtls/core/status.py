"""Status types that both kinds share, after the Kubernetes API conventions."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mutualtls.core import schema

READY = "Ready"
STALLED = "Stalled"

LONGEST_MESSAGE = 4096
"""Of a condition, in characters. What is longer is cut, or the API server would refuse the whole status."""

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One condition (metav1.Condition)."""

    type: Annotated[str, schema.text("Name of the condition.", longest=64)]
    status: Annotated[ConditionStatus, schema.field("True, False or Unknown.")]
    reason: Annotated[str, schema.text("Why, as one CamelCase word that never changes its meaning.", longest=64)]
    message: Annotated[str, schema.text("Why, in a sentence, and what to do.", longest=LONGEST_MESSAGE)]
    observed_generation: Annotated[int, schema.field("The metadata.generation that this condition is about.")]
    last_transition_time: Annotated[str, schema.field("When status last changed (RFC 3339).", format="date-time")]


class CertificateStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The certificate that is in the Secret. Times are RFC 3339 in UTC, hashes lower-case hex."""

    serial_number: Annotated[str, schema.text("Serial number in lower-case hex.", longest=40)]
    fingerprint: Annotated[str, schema.text("SHA-256 of the certificate's DER.", longest=64)]
    public_key_hash: Annotated[str, schema.text("SHA-256 of the public key (SubjectPublicKeyInfo, DER).", longest=64)]
    not_before: Annotated[str, schema.field("Start of its validity.", format="date-time")]
    not_after: Annotated[str, schema.field("End of its validity.", format="date-time")]
    renewal_time: Annotated[str, schema.field("When it will be renewed.", format="date-time")]
    issuer_key_id: Annotated[
        str, schema.text("Key identifier (RFC 5280 section 4.2.1.1) of the CA that signed it.", longest=64)
    ] = msgspec.field(name="issuerKeyID")


def settled(
    new: tuple[tuple[str, bool, str, str], ...], old: tuple[Condition, ...], *, generation: int, now: str
) -> tuple[Condition, ...]:
    """Make conditions of `(type, status, reason, message)`, keeping the transition time of what did not change."""
    before = {condition.type: condition for condition in old}
    made = []
    for kind, holds, reason, message in new:
        status: ConditionStatus = "True" if holds else "False"
        was = before.get(kind)
        since = was.last_transition_time if was and was.status == status else now
        made.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 1]}…",
                observed_generation=generation,
                last_transition_time=since,
            )
        )
    return tuple(made)
