"""Status types that both kinds share, after the Kubernetes API conventions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from mutualtls.core import fitting, times
from mutualtls.core.model import schema
from mutualtls.core.model.shared import share

READY = "Ready"
STALLED = "Stalled"

LONGEST_MESSAGE = 4096
"""Of a condition, in characters. What is longer is cut, or the API server would refuse the whole status."""

LONGEST_KEY_ID = 128
"""Of a key identifier, as `issue.written_key_id` writes it. Of CAs of ours they have 40 digits."""

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One condition (metav1.Condition)."""

    type: Annotated[str, schema.text("Name of the condition.", longest=64)]
    status: Annotated[ConditionStatus, schema.field("True, False or Unknown.")]
    reason: Annotated[str, schema.text("Why, as one CamelCase word that never changes its meaning.", longest=64)]
    message: Annotated[str, schema.text("Why, in a sentence, and what to do about it.", longest=LONGEST_MESSAGE)]
    observed_generation: Annotated[int, schema.field("The metadata.generation that this condition is about.")]
    last_transition_time: Annotated[str, schema.field("When status last changed (RFC 3339).", format="date-time")]

    def __post_init__(self) -> None:
        share(self, "type", "status", "reason")


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Find a condition by its type."""
    return next((condition for condition in conditions if condition.type == kind), None)


class CertificateStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """The certificate that is in the Secret. Times are RFC 3339 in UTC, hashes lower-case hex."""

    serial_number: Annotated[str, schema.text("Serial number in lower-case hex.", longest=40)]
    fingerprint: Annotated[str, schema.text("SHA-256 of the certificate's DER.", longest=64)]
    public_key_hash: Annotated[str, schema.text("SHA-256 of the public key (SubjectPublicKeyInfo, DER).", longest=64)]
    not_before: Annotated[str, schema.field("Start of its validity.", format="date-time")]
    not_after: Annotated[str, schema.field("End of its validity.", format="date-time")]
    renewal_time: Annotated[str, schema.field("When it will be renewed.", format="date-time")]
    issuer_key_id: Annotated[
        str, schema.text("Key identifier (RFC 5280 section 4.2.1.1) of the CA that signed it.", longest=LONGEST_KEY_ID)
    ] = msgspec.field(name="issuerKeyID")
    dns_names: Annotated[
        tuple[Annotated[str, schema.text("A DNS name.", longest=253)], ...],
        schema.field("DNS names in the certificate.", maxItems=200),
    ] = ()
    ip_addresses: Annotated[
        tuple[Annotated[str, schema.text("An IP address.", longest=45)], ...],
        schema.field("IP addresses in the certificate.", maxItems=50),
    ] = ()
    uris: Annotated[
        tuple[Annotated[str, schema.text("A URI.", longest=1024)], ...],
        schema.field("URIs in the certificate, such as its SPIFFE ID.", maxItems=51),
    ] = ()
    email_addresses: Annotated[
        tuple[Annotated[str, schema.text("An e-mail address.", longest=254)], ...],
        schema.field("E-mail addresses in the certificate.", maxItems=50),
    ] = ()

    def __post_init__(self) -> None:
        share(self, "issuer_key_id")

    def with_names_of(self, other: CertificateStatus | None) -> CertificateStatus:
        """Copy the names from what else is known of the same certificate."""
        if other is None or other.fingerprint != self.fingerprint:
            return self
        return msgspec.structs.replace(
            self,
            dns_names=other.dns_names,
            ip_addresses=other.ip_addresses,
            uris=other.uris,
            email_addresses=other.email_addresses,
        )

    @property
    def has_names(self) -> bool:
        """Whether any name is recorded: 0.1.0 recorded none."""
        return bool(self.dns_names or self.ip_addresses or self.uris or self.email_addresses)

    @property
    def end(self) -> datetime | None:
        """Its end; None where that cannot be read."""
        return times.moment_in(self.not_after)


class OwnedSecretStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One Secret that an identity has."""

    name: Annotated[str, schema.text("Name of the Secret.", longest=253)]
    uid: Annotated[
        str, schema.text("uid of the Secret; one of the same name and another uid is not this identity's.", longest=64)
    ]
    since: Annotated[str, schema.field("Since when it is known to be this identity's.", format="date-time")]


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
                message=fitting.shortened(message, LONGEST_MESSAGE),
                observed_generation=generation,
                last_transition_time=since,
            )
        )
    return tuple(made)
