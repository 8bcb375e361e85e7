"""The status of a `MutualTLSIdentity`: a source of its CRD. Descriptions are what `kubectl explain` prints."""

from __future__ import annotations

from typing import Annotated

from mutualtls.core.api import status
from mutualtls.core.api.status import CertificateStatus, Condition, OwnedSecretStatus
from mutualtls.core.model import schema
from mutualtls.core.model.resource import Resource
from mutualtls.core.model.shared import share, take_over


class IdentityStatus(Resource, frozen=True, kw_only=True):
    """What the operator observed, and the certificate that is in the Secret."""

    observed_generation: Annotated[
        int, schema.field("The metadata.generation that this status is about; -1 until there is one.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...],
        schema.by_type(
            "Ready: the Secret holds valid files for the spec. Stalled, if present: only a change by a user can help."
        ),
    ] = ()
    certificate: Annotated[CertificateStatus | None, schema.field("The certificate that is in the Secret.")] = None
    authority: Annotated[str | None, schema.text("Name of the authority whose certificate that is.", longest=63)] = None
    secret_name: Annotated[str | None, schema.text("Name of the Secret that holds the files.", longest=253)] = None
    secrets: Annotated[
        tuple[OwnedSecretStatus, ...],
        schema.field(
            "The Secrets of this identity: the current one, and those of former names until they are deleted. No other "
            "Secret is ever deleted as one of a former name, whatever labels it has.",
            maxItems=4,
        ),
    ] = ()
    bundle: Annotated[str | None, schema.text("Hash of the CA bundle (ca.crt) that is in the Secret.", longest=80)] = (
        None
    )
    held_names: Annotated[
        str | None,
        schema.text(
            "Hash of the names in the certificate, if some of them are kept for now although a rule that permitted "
            "them has changed.",
            longest=80,
        ),
    ] = None
    reissued: Annotated[
        str | None,
        schema.text(
            "Serial number of the last certificate that was replaced by the annotation mutualtls.dev/reissue.",
            longest=64,
        ),
    ] = None

    def __post_init__(self) -> None:
        share(self, "authority", "bundle")
        ready = self.ready
        for one in self.secrets:
            take_over(one, name=self.secret_name, since=ready.last_transition_time if ready is not None else None)

    @property
    def ready(self) -> Condition | None:
        """The condition Ready."""
        return status.find(self.conditions, status.READY)
