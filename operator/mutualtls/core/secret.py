"""What is kept of a Secret's metadata: whose it is, what of it is ours, and whether anybody changed that after us."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from mutualtls.core import desired, formats, labels, managed, times
from mutualtls.core.facts import FILES, Facts


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """Which labels and annotations, and keys of the data, we put on a Secret: what we may take away again."""

    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretMetadata:
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


def parse(metadata: Mapping[str, Any]) -> SecretMetadata:
    """Read the metadata of a Secret, as JSON of the API server."""
    annotations = metadata.get("annotations") or {}
    owned = _owned(annotations.get(labels.OWNED) or "{}")
    owners = metadata.get("ownerReferences") or ()
    identity_uid = annotations.get(labels.IDENTITY_UID)
    return SecretMetadata(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        identity_uid=identity_uid,
        identity_name=annotations.get(labels.IDENTITY_NAME),
        is_password=formats.is_password(metadata),
        authority=(metadata.get("labels") or {}).get(labels.AUTHORITY),
        created=times.from_rfc3339(metadata["creationTimestamp"]),
        owned=owned,
        metadata_hash=_metadata_hash(metadata, owned, identity_uid),
        other_owners=tuple(owner for owner in owners if not _is_identity(owner)),
        manager=managed.others(metadata),
    )


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
    try:
        return msgspec.json.decode((metadata.get("annotations") or {}).get(labels.FACTS, ""), type=Facts)
    except (msgspec.ValidationError, msgspec.DecodeError):
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


@functools.lru_cache(maxsize=4096)
def _owned(text: str) -> Owned:
    """Read the annotation; nearly all Secrets have the same, so that they share one object."""
    try:
        return msgspec.json.decode(text, type=Owned)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return Owned()


def _metadata_hash(metadata: Mapping[str, Any], owned: Owned, identity_uid: str | None) -> str:
    found_labels = metadata.get("labels") or {}
    found_annotations = metadata.get("annotations") or {}
    owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or () if _is_identity(owner)}
    return desired.metadata_hash(
        {key: found_labels.get(key) for key in owned.labels},
        {key: found_annotations.get(key) for key in owned.annotations},
        identity_uid if identity_uid in owners else None,
    )


def _is_identity(owner: Mapping[str, Any]) -> bool:
    return owner.get("kind") == labels.IDENTITY_KIND and str(owner.get("apiVersion")).startswith(f"{labels.GROUP}/")
