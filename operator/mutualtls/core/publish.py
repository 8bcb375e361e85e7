"""Copies of the bundle beside the Secrets of identities, for whoever verifies: ConfigMaps and ClusterTrustBundles.

A copy is known by its key, `NAMESPACE/NAME`; that of a ClusterTrustBundle (KEP-3257), which has no namespace, begins
with the slash. Nothing here decides when to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from mutualtls.core import labels, managed, selectors, times
from mutualtls.core.authority import Authority, TrustSpec
from mutualtls.core.facts import CA_CRT


class Published(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What the annotation of a copy says."""

    authority: str
    """Name of the authority whose it is."""
    bundle_hash: str
    since: datetime | None = None
    """When this bundle was written in place of another; None where nobody can have read another from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What is known of a copy, or of what is in its place, at one version."""

    uid: str
    resource_version: str
    authority: str | None
    """Whose copy it is; None where it is none."""
    published: Published | None
    """None where anything of it may not be as we wrote it."""
    is_immutable: bool
    """Whether it must be deleted before it can be changed."""
    others: str
    """Who but us wrote to it, for telling people."""

    def has(self, bundle_hash: str) -> bool:
        """Whether it is this bundle, as far as is known."""
        return self.published is not None and self.published.bundle_hash == bundle_hash


def told(key: str) -> str:
    """Name a copy for people."""
    return f"configmap {key}" if _is_config_map(key) else f"clustertrustbundle {key[1:]}"


def wanted_in(trust: TrustSpec, namespace: str, namespace_labels: Mapping[str, str]) -> str | None:
    """Tell the key of the copy that a namespace is to have. None: it is to have none."""
    config_map = trust.config_map
    if config_map is None or not selectors.matches(config_map.namespace_selector, namespace_labels):
        return None
    return f"{namespace}/{config_map.name}"


def parse(metadata: Mapping[str, Any], before: Copy | None, *, now: datetime) -> Copy:
    """Read what its metadata says of a copy. `before` is what was known of it until then."""
    found = _noted(metadata)
    if found is not None:
        known = before.published if before is not None and before.has(found.bundle_hash) else None
        found = known or msgspec.structs.replace(found, since=times.landed(found.since, now))
    return Copy(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        authority=found.authority if found else None,
        published=found if found and _is_untouched(metadata, found.authority) else None,
        is_immutable=managed.is_made_immutable(metadata),
        others=managed.others(metadata),
    )


def manifest(key: str, authority: Authority, pem: bytes, published: Published) -> dict[str, Any]:
    """Write a whole copy, for a POST."""
    namespace, _, name = key.partition("/")
    is_config_map = _is_config_map(key)
    metadata = {"name": name} | ({"namespace": namespace} if is_config_map else {})
    return {
        "apiVersion": "v1" if is_config_map else "certificates.k8s.io/v1",
        "kind": "ConfigMap" if is_config_map else "ClusterTrustBundle",
        "metadata": metadata | _metadata(authority, published),
        **_content(key, authority, pem),
    }


def patch(key: str, authority: Authority, pem: bytes, published: Published, *, found: Copy) -> dict[str, Any]:
    """Write a merge patch that makes a copy as it should be, and leaves what others put there alone."""
    precondition = {"uid": found.uid, "resourceVersion": found.resource_version}
    return {"metadata": precondition | _metadata(authority, published), **_content(key, authority, pem)}


def content(key: str, body: Mapping[str, Any]) -> bytes:
    """Read the bundle in a copy, as PEM; nothing where there is none."""
    found = (body.get("data") or {}).get(CA_CRT) if _is_config_map(key) else (body.get("spec") or {}).get("trustBundle")
    return str(found or "").encode()


def _metadata(authority: Authority, published: Published) -> dict[str, Any]:
    """Labels, annotation and owner: the garbage collector deletes a copy with its authority."""
    owner = {
        "apiVersion": labels.API_VERSION,
        "kind": labels.AUTHORITY_KIND,
        "name": authority.name,
        "uid": authority.uid,
        "blockOwnerDeletion": False,
    }
    return {
        "labels": _labels(authority.name) | {labels.MANAGED_BY: labels.FIELD_MANAGER},
        "annotations": {labels.PUBLISHED: msgspec.json.encode(published).decode()},
        "ownerReferences": [owner],
    }


def _content(key: str, authority: Authority, pem: bytes) -> dict[str, Any]:
    if _is_config_map(key):
        return {"data": {CA_CRT: pem.decode()}}
    return {"spec": {"signerName": labels.signer_name(authority.name), "trustBundle": pem.decode()}}


def _labels(authority: str) -> dict[str, str]:
    return {labels.PART: labels.PART_BUNDLE, labels.AUTHORITY: authority}


def _noted(metadata: Mapping[str, Any]) -> Published | None:
    """Read our annotation, whoever may have written it."""
    try:
        return msgspec.json.decode((metadata.get("annotations") or {}).get(labels.PUBLISHED, ""), type=Published)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


def _is_untouched(metadata: Mapping[str, Any], authority: str) -> bool:
    """Tell whether nobody changed bundle, annotation and labels after us."""
    ours = managed.ours(metadata)
    content = {**ours.get("f:data", {}), **ours.get("f:spec", {})}
    found = metadata.get("labels") or {}
    return (
        not content.keys().isdisjoint({f"f:{CA_CRT}", "f:trustBundle"})
        and f"f:{labels.PUBLISHED}" in managed.annotations_of(ours)
        and all(found.get(name) == value for name, value in _labels(authority).items())
    )


def _is_config_map(key: str) -> bool:
    return not key.startswith("/")
