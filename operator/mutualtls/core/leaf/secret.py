"""What is kept of a Secret's metadata: whose it is, what of it is ours, and whether anybody changed that after us.

All of it may have been written by whoever edits Secrets there. So it is bounded, and what cannot be read is as if it
were not there: the Secret is somebody else's then, or its files are read.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from mutualtls.core import bounded, times
from mutualtls.core.api import managed
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.status import OwnedSecretStatus
from mutualtls.core.bounded import UNREADABLE
from mutualtls.core.errors import UnreadableError
from mutualtls.core.leaf import facts, passwords, secret_metadata
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model import labels
from mutualtls.core.model.labels import FILES
from mutualtls.core.model.shared import share, take_over


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """Which labels and annotations, and keys of the data, we put on a Secret: what we may take away again."""

    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


class SecretMetadata(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Metadata of one Secret at one version."""

    uid: str
    resource_version: str
    identity_uid: str | None
    """uid of the identity that owns the files, by our annotation."""
    identity_name: str | None
    is_password: bool
    """Whether it holds a password of a user's, by our label."""
    authority: str | None
    """Name of the authority that signed, by our label."""
    created: datetime
    owned: Owned
    metadata_hash: str
    """`desired.metadata_hash` of what is there of the metadata that we own."""
    other_owners: tuple[dict[str, Any], ...]
    """ownerReferences that are not to identities."""
    manager: str
    """Who but us wrote to it, for telling people."""
    held_by: str | None = None
    """The finalizers that keep it there, though it was deleted; None where it was not."""

    def __post_init__(self) -> None:
        share(self, "authority", "manager")

    def is_of(self, identity: Identity) -> bool:
        """Whether it is of an identity.

        It carries its uid, or was a predecessor's of its name, of whom there is only one, or is recorded as its own.
        """
        is_predecessors = self.identity_uid is not None and self.identity_name == identity.name
        is_recorded = any(one.uid == self.uid for one in identity.status.secrets)
        return self.identity_uid == identity.uid or is_predecessors or is_recorded

    @property
    def holder(self) -> str:
        """Whose it is, for telling people."""
        return f"identity {self.identity_name}" if self.identity_uid is not None else self.manager


_LONGEST_OWNED = 32 * 1024
"""Of `labels.OWNED`, in characters: more than thirty labels and thirty annotations of the longest names take."""
_LONGEST_SHARED = 1024
_MOST_SECRETS = 4
"""Of an identity, as many as a status lists: those before are nobody's any more."""
_LONGEST_UID, _LONGEST_NAME = 64, 253


def unreadable(why: str) -> SecretMetadata:
    """Tell of a Secret that cannot be read. It is nobody's whom we know, and never touched."""
    return parse({"uid": "", "resourceVersion": "0", "creationTimestamp": "1970-01-01T00:00:00Z", UNREADABLE: why})


def parse(metadata: Mapping[str, Any]) -> SecretMetadata:
    """Read the metadata of a Secret, as JSON of the API server, where `UNREADABLE` says that not all could be read."""
    is_readable = UNREADABLE not in metadata
    annotations = (metadata.get("annotations") or {}) if is_readable else {}
    owned = _owned(annotations.get(labels.OWNED) or "{}")
    owners = metadata.get("ownerReferences") or ()
    identity_uid = _short(annotations.get(labels.IDENTITY_UID), _LONGEST_UID)
    return SecretMetadata(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        identity_uid=identity_uid,
        identity_name=_short(annotations.get(labels.IDENTITY_NAME), _LONGEST_NAME),
        is_password=passwords.is_password(metadata),
        authority=authority_in(metadata),
        created=times.from_rfc3339(metadata["creationTimestamp"]),
        owned=owned,
        metadata_hash=_metadata_hash(metadata, owned, identity_uid),
        other_owners=tuple(owner for owner in owners if not _is_identity(owner)),
        manager=managed.others(metadata) if is_readable else f"somebody: it cannot be read, {metadata[UNREADABLE]}",
        held_by=managed.held_by(metadata),
    )


def authority_in(metadata: Mapping[str, Any]) -> str | None:
    """Tell whose files a Secret is said to hold, by our label, which anybody may change."""
    found: str | None = (metadata.get("labels") or {}).get(labels.AUTHORITY)
    return found


def share_texts(identity: Identity, metadata: SecretMetadata, files: Facts | None) -> None:
    """Have what is known of an identity's Secret share the texts that the identity has as well, once in memory."""
    take_over(metadata, identity_uid=identity.uid, identity_name=identity.name)
    for one in identity.status.secrets:
        take_over(metadata, uid=one.uid)
    recorded = identity.status.certificate
    if recorded is not None and files is not None:
        take_over(
            files,
            serial_number=recorded.serial_number,
            fingerprint=recorded.fingerprint,
            public_key_hash=recorded.public_key_hash,
        )


def names_of(identity: Identity) -> tuple[str, ...]:
    """Name the Secrets that may be an identity's: former ones that its status records, then the one it asks for."""
    said, asked = identity.status, identity.secret_name
    recorded = dict.fromkeys((*(one.name for one in said.secrets), said.secret_name))
    return (*(name for name in recorded if name is not None and name != asked), asked)


def owned(identity: Identity, found: Mapping[str, SecretMetadata], *, now: datetime) -> tuple[OwnedSecretStatus, ...]:
    """List the Secrets that an identity has: the one it asks for last, and former ones that its status records.

    `found` is what is there, by name. Marks can be copied: what bears them under another name is somebody's own.
    """
    recorded, owned = {one.name: one for one in identity.status.secrets}, []
    for name in names_of(identity):
        there, known = found.get(name), recorded.get(name)
        if there is None or not there.is_of(identity):
            continue
        if known is not None and known.uid == there.uid:
            owned.append(known)
        elif known is None or name == identity.secret_name:
            owned.append(OwnedSecretStatus(name=name, uid=there.uid, since=times.rfc3339(now)))
    return tuple(owned[-_MOST_SECRETS:])


def left_behind(
    identity: Identity, owned: Iterable[OwnedSecretStatus], found: Mapping[str, SecretMetadata]
) -> tuple[str, ...]:
    """Name those of an identity's Secrets that it does not ask for, and that were not deleted yet."""
    names = (one.name for one in owned if one.name != identity.secret_name)
    return tuple(name for name in names if name not in found or found[name].held_by is None)


def _short(text: str | None, longest: int) -> str | None:
    return text if text is not None and len(text) <= longest else None


def weight(found: SecretMetadata) -> int:
    """Tell about how many bytes more than others a Secret's metadata take in memory, for what somebody wrote there."""
    names = (*found.owned.labels, *found.owned.annotations, *found.owned.data)
    written = sum(map(len, names)) + sum(len(str(owner)) for owner in found.other_owners)
    return written if written > _WEIGHTLESS else 0


_WEIGHTLESS = 512
"""So many characters weigh nothing: fewer than each Secret takes anyway, more than the names that we note ourselves."""


def facts_noted(metadata: Mapping[str, Any]) -> Facts | None:
    """Believe our annotation where `managedFields` prove that nobody changed anything of the Secret after us.

    That is every key of the data, the type, and the annotations themselves. None: the body must be read.
    """
    annotations = metadata.get("annotations") or {}
    if not _is_ours_untouched(metadata, _owned(annotations.get(labels.OWNED) or "{}")):
        return None
    return facts_written(metadata)


def facts_written(metadata: Mapping[str, Any]) -> Facts | None:
    """Read what our annotation says, whoever may have written it."""
    text = (metadata.get("annotations") or {}).get(labels.FACTS, "")
    try:
        return bounded.decode(text, Facts, longest=facts.LONGEST_ANNOTATION)
    except UnreadableError:
        return None


def _is_ours_untouched(metadata: Mapping[str, Any], owned: Owned) -> bool:
    ours = managed.ours(metadata)
    data, annotations = ours.get("f:data") or {}, managed.annotations_of(ours)
    return (
        "f:type" in ours
        and not managed.is_made_immutable(metadata)
        and set(owned.data) >= set(FILES)
        and all(f"f:{name}" in data for name in owned.data)
        and all(f"f:{name}" in annotations for name in (labels.FACTS, labels.OWNED, labels.IDENTITY_UID))
    )


def _owned(text: str) -> Owned:
    """Read the annotation; nearly all Secrets have the same short one, so that they share one object."""
    return _owned_shared(text) if len(text) <= _LONGEST_SHARED else _owned_read(text)


def _owned_read(text: str) -> Owned:
    try:
        return bounded.decode(text, Owned, longest=_LONGEST_OWNED)
    except UnreadableError:
        return Owned()


_owned_shared = functools.lru_cache(maxsize=1024)(_owned_read)


def _metadata_hash(metadata: Mapping[str, Any], owned: Owned, identity_uid: str | None) -> str:
    found_labels = metadata.get("labels") or {}
    found_annotations = metadata.get("annotations") or {}
    owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or () if _is_identity(owner)}
    return secret_metadata.metadata_hash(
        {key: found_labels.get(key) for key in owned.labels},
        {key: found_annotations.get(key) for key in owned.annotations},
        identity_uid if identity_uid in owners else None,
    )


def _is_identity(owner: Mapping[str, Any]) -> bool:
    return owner.get("kind") == labels.IDENTITY_KIND and str(owner.get("apiVersion")).startswith(f"{labels.GROUP}/")
