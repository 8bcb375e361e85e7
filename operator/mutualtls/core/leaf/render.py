"""What is written: Secrets, patches and statuses as JSON-able dicts. Nothing here decides whether to write."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mutualtls.core import fitting, times
from mutualtls.core.api import earlier_words, status
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import CertificateStatus, OwnedSecretStatus
from mutualtls.core.leaf import desired
from mutualtls.core.leaf.desired import Wanted
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.leaf.secret import Owned, SecretMetadata
from mutualtls.core.model import labels
from mutualtls.core.model.labels import CA_CRT, FILES, SECRET_TYPE, TLS_CRT, TLS_KEY
from mutualtls.core.names import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The data of a Secret. What holds a key is shown by no repr."""

    key: bytes = field(repr=False)
    chain: bytes
    ca: bytes
    further: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """What `spec.formats` asks for, by the names of the files."""

    def encoded(self) -> dict[str, str]:
        """Write them as the API holds them."""
        files = {TLS_KEY: self.key, TLS_CRT: self.chain, CA_CRT: self.ca, **self.further}
        return {name: _base64(content) for name, content in files.items()}


def secret(identity: Identity, wanted: Wanted, facts: Facts, files: Files) -> dict[str, Any]:
    """Write a whole Secret, for a POST."""
    data = files.encoded()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {
            "name": wanted.secret_name,
            "namespace": identity.namespace,
            "labels": wanted.labels,
            "annotations": _annotations(wanted, facts, data),
            "ownerReferences": _owners(identity, wanted),
        },
        "data": data,
    }


def secret_patch(
    identity: Identity, wanted: Wanted, facts: Facts, files: Files, *, found: SecretMetadata
) -> dict[str, Any]:
    """Write a merge patch that brings new files and metadata, and touches nothing that is not ours."""
    data = files.encoded()
    return {
        "metadata": _metadata_patch(identity, wanted, found) | _noted(wanted, facts, data, found),
        "data": _dropped(found.owned.data, data) | data,
    }


def metadata_patch(identity: Identity, wanted: Wanted, facts: Facts, *, found: SecretMetadata) -> dict[str, Any]:
    """Write a merge patch that puts our labels, annotations and ownerReference right and leaves the files alone."""
    data = {*found.owned.data, *FILES, *(facts.further.files if facts.further else ())}
    return {"metadata": _metadata_patch(identity, wanted, found) | _noted(wanted, facts, data, found)}


def bundle_patch(facts: Facts, ca: bytes, *, found: SecretMetadata) -> dict[str, Any]:
    """Write a merge patch that brings a new bundle and changes nothing else."""
    return {
        "metadata": {**precondition(found), "annotations": {labels.FACTS: _json(facts)}},
        "data": {CA_CRT: _base64(ca)},
    }


def formats_patch(o: Seen, facts: Facts, further: Mapping[str, bytes], *, found: SecretMetadata) -> dict[str, Any]:
    """Write a merge patch that brings other further files and the bundle, and leaves key and chain alone.

    Metadata that is not as asked for is put right in the same write, where it is known what is.
    """
    data = {name: _base64(content) for name, content in ({CA_CRT: o.trust.bundle} | dict(further)).items()}
    names = {*FILES, *further}
    if isinstance(o, Observed):
        metadata = _metadata_patch(o.identity, o.wanted, found) | _noted(o.wanted, facts, names, found)
    else:
        owned = msgspec.structs.replace(found.owned, data=tuple(sorted(names)))
        metadata = {
            **precondition(found),
            "annotations": {labels.FACTS: _json(facts), labels.OWNED: _json(owned)},
        }
    return {"metadata": metadata, "data": _dropped(found.owned.data, names) | data}


def precondition(found: SecretMetadata) -> dict[str, str]:
    """Write what makes a patch fail when the object is another, or another version, than the one that was seen."""
    return {"uid": found.uid, "resourceVersion": found.resource_version}


def identity_status(o: Observed, decision: Decision) -> IdentityStatus:
    """Write the status of an identity that may have what it asks for.

    It goes on recording the key that was made where somebody has put another in its place, or only says so: what is
    recorded is kept.
    """
    now = times.rfc3339(o.now)
    held = desired.held_names(o.wanted.names, o.trust) if o.wanted.outdated else None
    if not o.has_facts:
        return status_of(o.identity, decision, now=now, held_names=held, secrets=o.secrets)
    is_to_be_recorded = (o.is_seen or o.is_recorded) and not o.has_foreign_key
    certificate = _certificate(o.facts, o) if is_to_be_recorded else o.identity.status.certificate
    bundle, authority = o.facts.bundle_hash, o.identity.status.authority
    if is_to_be_recorded and o.facts.issuer_key_id in o.trust.in_use:
        authority = o.trust.name
    return status_of(
        o.identity,
        decision,
        now=now,
        certificate=certificate,
        authority=authority,
        bundle=bundle,
        held_names=held,
        secrets=o.secrets,
    )


def status_when_refused(identity: Identity, seen: Seen | None, decision: Decision, *, now: str) -> IdentityStatus:
    """Write the status of an identity that is refused, or has no authority: what is there stays recorded."""
    before = identity.status
    secrets = seen.secrets if seen is not None else before.secrets
    if seen is not None and isinstance(seen.found, Absent):
        return status_of(identity, decision, now=now, secrets=secrets)
    bundle = seen.facts.bundle_hash if seen is not None and seen.has_facts else before.bundle
    return status_of(
        identity,
        decision,
        now=now,
        certificate=before.certificate,
        authority=before.authority,
        bundle=bundle,
        held_names=before.held_names,
        secrets=secrets,
    )


def status_of(
    identity: Identity,
    decision: Decision,
    *,
    now: str,
    certificate: CertificateStatus | None = None,
    authority: str | None = None,
    bundle: str | None = None,
    held_names: str | None = None,
    secrets: tuple[OwnedSecretStatus, ...] = (),
) -> IdentityStatus:
    """Write a status of a decision, keeping the transition times of conditions that do not change."""
    # Where `Stalled` is false it is left out: kstatus takes its absence for the normal case.
    said = (True, decision.reason, decision.message)
    conditions = status.settled(
        (
            (status.READY, decision.is_ready, decision.reason, decision.message),
            *([(status.STALLED, *said)] if decision.is_stalled else []),
        ),
        identity.status.conditions,
        generation=identity.generation,
        now=now,
    )
    new = IdentityStatus(
        observed_generation=identity.generation,
        conditions=conditions,
        certificate=certificate,
        authority=authority if certificate else None,
        secret_name=identity.secret_name if certificate else None,
        secrets=secrets,
        bundle=bundle,
        held_names=held_names,
        reissued=_reissued(identity, certificate),
    )
    return fitting.fitted(new)


def _reissued(identity: Identity, certificate: CertificateStatus | None) -> str | None:
    """Tell which certificate was last replaced by order: the one that was recorded, where another has come since."""
    before, said = identity.status.certificate, identity.status.reissued
    if before is None or certificate is None or identity.reissue != before.serial_number:
        return said
    return before.serial_number if certificate.serial_number != before.serial_number else said


def is_as_told(new: IdentityStatus, written: IdentityStatus) -> bool:
    """Tell whether a status need not be written: what a release before left out is no reason alone."""
    certificate = written.certificate
    if certificate is not None and not certificate.has_names:
        certificate = certificate.with_names_of(new.certificate)
    return new == msgspec.structs.replace(
        written,
        authority=written.authority or new.authority,
        secrets=written.secrets or new.secrets,
        certificate=certificate,
        conditions=earlier_words.conditions(written.conditions, new.conditions),
    )


def status_patch(uid: str, version: str, new: IdentityStatus) -> dict[str, Any]:
    """Write a merge patch for `/status` of an identity at a version. Fields that went away are taken away."""
    fields = dict.fromkeys(("certificate", "authority", "secretName", "bundle", "heldNames", "reissued", "secrets"))
    body: dict[str, Any] = fields | msgspec.to_builtins(new)
    if body["certificate"] is not None:
        body["certificate"] = dict.fromkeys(CertificateStatus.__struct_encode_fields__) | body["certificate"]
    return {"metadata": {"uid": uid, "resourceVersion": version}, "status": body}


def _certificate(facts: Facts, o: Observed) -> CertificateStatus:
    """Record a leaf. Which names it has is known where they are those that are wanted, or were recorded."""
    recorded = CertificateStatus(
        serial_number=facts.serial_number,
        fingerprint=facts.fingerprint,
        public_key_hash=facts.public_key_hash,
        not_before=times.rfc3339(facts.not_before),
        not_after=times.rfc3339(facts.not_after),
        renewal_time=times.rfc3339(o.renewal_time),
        issuer_key_id=facts.issuer_key_id,
    )
    wanted = o.wanted.names
    if facts.names_hash != names.names_hash(wanted):
        return recorded.with_names_of(o.identity.status.certificate)
    return msgspec.structs.replace(
        recorded, dns_names=wanted.dns, ip_addresses=wanted.ips, uris=wanted.uris, email_addresses=wanted.emails
    )


def _metadata_patch(identity: Identity, wanted: Wanted, found: SecretMetadata) -> dict[str, Any]:
    """Take away what we put there and is not wanted any more; a merge patch replaces the list of owners whole."""
    return {
        **precondition(found),
        "labels": {**_dropped(found.owned.labels, wanted.labels), **wanted.labels},
        "ownerReferences": [*found.other_owners, *_owners(identity, wanted)],
    }


def _noted(wanted: Wanted, facts: Facts, data: Iterable[str], found: SecretMetadata) -> dict[str, Any]:
    return {"annotations": _dropped(found.owned.annotations, wanted.annotations) | _annotations(wanted, facts, data)}


def _annotations(wanted: Wanted, facts: Facts, data: Iterable[str]) -> dict[str, str]:
    owned = Owned(
        labels=tuple(sorted(wanted.labels)), annotations=tuple(sorted(wanted.annotations)), data=tuple(sorted(data))
    )
    return {**wanted.annotations, labels.FACTS: _json(facts), labels.OWNED: _json(owned)}


def _owners(identity: Identity, wanted: Wanted) -> list[dict[str, Any]]:
    """Let the garbage collector delete the Secret with its identity, which need not wait for that."""
    if wanted.owner_uid is None:
        return []
    return [
        {
            "apiVersion": labels.API_VERSION,
            "kind": labels.IDENTITY_KIND,
            "name": identity.name,
            "uid": wanted.owner_uid,
            "blockOwnerDeletion": False,
        }
    ]


def _dropped(before: Iterable[str], after: Iterable[str]) -> dict[str, Any]:
    """Take away, by a merge patch, the keys that we put there and that are not wanted any more."""
    return dict.fromkeys(set(before) - set(after))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
