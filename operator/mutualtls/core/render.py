"""What is written: Secrets, patches and statuses as JSON-able dicts. Nothing here decides whether to write."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mutualtls.core import labels, status, times
from mutualtls.core.checks import Absent, Observed, Seen
from mutualtls.core.desired import Wanted
from mutualtls.core.facts import CA_CRT, FILES, SECRET_TYPE, TLS_CRT, TLS_KEY, Facts
from mutualtls.core.identity import Identity, IdentityStatus
from mutualtls.core.plan import Decision
from mutualtls.core.secret import Owned, SecretMetadata
from mutualtls.core.status import CertificateStatus


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

    It goes on recording the key that was made where somebody has put another in its place: what is recorded is kept.
    """
    now = times.rfc3339(o.now)
    if not o.has_facts:
        return status_of(o.identity, decision, now=now)
    certificate = o.identity.status.certificate if o.has_foreign_key else _certificate(o.facts, o)
    return status_of(o.identity, decision, now=now, certificate=certificate, bundle=o.facts.bundle_hash)


def status_without_wish(identity: Identity, seen: Seen | None, decision: Decision, *, now: str) -> IdentityStatus:
    """Write the status of an identity that is refused, or has no authority: what is there stays recorded."""
    before = identity.status
    if seen is not None and isinstance(seen.found, Absent):
        return status_of(identity, decision, now=now)
    bundle = seen.facts.bundle_hash if seen is not None and seen.has_facts else before.bundle
    return status_of(identity, decision, now=now, certificate=before.certificate, bundle=bundle)


def status_of(
    identity: Identity,
    decision: Decision,
    *,
    now: str,
    certificate: CertificateStatus | None = None,
    bundle: str | None = None,
) -> IdentityStatus:
    """Write a status of a decision, keeping the transition times of conditions that do not change."""
    conditions = status.settled(
        (
            (status.READY, decision.is_ready, decision.reason, decision.message),
            (status.STALLED, decision.is_stalled, decision.reason, decision.message if decision.is_stalled else ""),
        ),
        identity.status.conditions,
        generation=identity.generation,
        now=now,
    )
    return IdentityStatus(
        observed_generation=identity.generation,
        conditions=conditions,
        certificate=certificate,
        secret_name=identity.secret_name if certificate else None,
        bundle=bundle,
    )


def status_patch(uid: str, new: IdentityStatus) -> dict[str, Any]:
    """Write a merge patch for `/status`. Fields that went away are taken away."""
    fields = dict.fromkeys(("certificate", "secretName", "bundle"))
    return {"metadata": {"uid": uid}, "status": fields | msgspec.to_builtins(new)}


def _certificate(facts: Facts, o: Observed) -> CertificateStatus:
    return CertificateStatus(
        serial_number=facts.serial_number,
        fingerprint=facts.fingerprint,
        public_key_hash=facts.public_key_hash,
        not_before=times.rfc3339(facts.not_before),
        not_after=times.rfc3339(facts.not_after),
        renewal_time=times.rfc3339(o.renewal_time),
        issuer_key_id=facts.issuer_key_id,
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
