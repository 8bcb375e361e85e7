"""The status of a `MutualTLSAuthority`: a source of its CRD. Descriptions are what `kubectl explain` prints."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mutualtls.core.api import status
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.api.status import LONGEST_KEY_ID, Condition
from mutualtls.core.model import schema
from mutualtls.core.model.resource import Resource
from mutualtls.core.reasons import Reason


class CAStatus(Resource, frozen=True, kw_only=True):
    """One CA generation: a key pair and its certificate, numbered from 1 per role. Copied from the ledger."""

    role: Annotated[Role, schema.field("root or issuing.")]
    number: Annotated[int, schema.field("Number of the CA generation. Never used twice.")]
    state: Annotated[State, schema.field("Making, Published, Active, Retiring, Withdrawn, Gone or Lost.")]
    fingerprint: Annotated[str, schema.text("SHA-256 of the certificate's DER, lower-case hex.", longest=64)]
    key_id: Annotated[str, schema.text("Subject key identifier, lower-case hex.", longest=LONGEST_KEY_ID)] = (
        msgspec.field(name="keyID")
    )
    not_after: Annotated[str, schema.field("End of its validity.", format="date-time")]
    certificate: Annotated[str, schema.text("The certificate as PEM.", longest=16384)]
    subject: Annotated[str, schema.text("Subject of the certificate (RFC 4514).", longest=1024)] = ""
    serial_number: Annotated[str, schema.text("Serial number in lower-case hex.", longest=40)] = ""
    not_before: Annotated[str | None, schema.field("Start of its validity.", format="date-time")] = None

    @property
    def id(self) -> CAId:
        """Its role and number."""
        return CAId(self.role, self.number)


class OrderStatus(Resource, frozen=True, kw_only=True):
    """An annotation on the authority that orders something."""

    order: Annotated[str, schema.text("Name of the annotation.", longest=64)]
    value: Annotated[str, schema.text("Its value.", longest=256)]
    message: Annotated[str, schema.text("Why it is not obeyed; empty where it would be.", longest=512)] = ""


class NextStatus(Resource, frozen=True, kw_only=True):
    """What the root rotation waits for."""

    waits_for: Annotated[str, schema.text("What the rotation waits for.", longest=512)]
    laggards: Annotated[
        tuple[Annotated[str, schema.text("An object.", longest=600)], ...],
        schema.field("The first pending objects, by name.", maxItems=10),
    ] = ()
    behind: Annotated[int, schema.field("How many objects are pending.")] = 0
    excused: Annotated[
        int, schema.field("How many objects were skipped because they could not be brought up to date.")
    ] = 0
    excused_names: Annotated[
        tuple[Annotated[str, schema.text("An object.", longest=600)], ...],
        schema.field("The first skipped objects, by name.", maxItems=10),
    ] = ()
    skipped: Annotated[
        int, schema.field("How many Secrets with the authority's label are never waited for, as no identity has them.")
    ] = 0
    skipped_names: Annotated[
        tuple[Annotated[str, schema.text("A Secret.", longest=600)], ...],
        schema.field(
            "Secrets that are never waited for, as no identity has them, such as the copies that a mirror keeps: the "
            "first of them, by name.",
            maxItems=10,
        ),
    ] = ()
    forced: Annotated[
        str | None, schema.text("Why the rotation goes on before everything is up to date.", longest=512)
    ] = None
    until: Annotated[
        str | None,
        schema.field("When the rotation goes on, or is looked at again, if nothing else happens.", format="date-time"),
    ] = None


class AuthorityStatus(Resource, frozen=True, kw_only=True):
    """A copy of what the operator knows about the authority. It may be lost: the ledger counts."""

    observed_generation: Annotated[
        int, schema.field("The metadata.generation that this status is about; -1 until there is one.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...],
        schema.by_type(
            "Ready: certificates are signed. Stalled, if present: only a change by a user can help. Rotating: the root "
            "is being replaced; the reason is the phase. KeyLost: a CA key is gone. Drifted: a CA differs from the "
            "spec, or what the spec refers to cannot be used, or not everywhere. Conflicting: the bundle cannot be "
            "written to where it belongs."
        ),
    ] = ()
    next: Annotated[
        NextStatus | None, schema.field("What the root rotation waits for; absent while there is none.")
    ] = None
    orders: Annotated[
        tuple[OrderStatus, ...],
        schema.field(
            "Annotations that are not obeyed, with the reason, and those that would be, ready to be copied.",
            maxItems=32,
        ),
    ] = ()
    generations: Annotated[
        tuple[CAStatus, ...],
        schema.field("The CA generations: roots, the one that signs first, then issuing CAs.", maxItems=64),
    ] = ()
    bundle: Annotated[str | None, schema.text("Hash of the current CA bundle.", longest=80)] = None
    revision: Annotated[int, schema.field("Revision of the ledger that this status was copied from.", minimum=0)] = 0

    def condition(self, kind: str) -> Condition | None:
        """Find a condition."""
        return status.find(self.conditions, kind)

    @property
    def has_conflict(self) -> bool:
        """Whether something of somebody else's is where the bundle is to be."""
        found = self.condition(CONFLICTING)
        return found is not None and found.status == "True" and found.reason == Reason.BUNDLE_CONFLICT


KEY_LOST, ROTATING, DRIFTED, CONFLICTING = "KeyLost", "Rotating", "Drifted", "Conflicting"
"""Condition types beside Ready."""
