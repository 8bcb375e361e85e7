"""Copies of the bundle beside the Secrets of identities, for whoever verifies: ConfigMaps and ClusterTrustBundles.

A copy is known by its key; that of a ClusterTrustBundle (KEP-3257) has no namespace. Nothing here decides when to
write.

Each takes what it can hold: a ClusterTrustBundle no root that Go cannot read, or the API server would refuse it whole.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.core import bounded, digests, times
from mutualtls.core.api import managed
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_spec import TrustSpec
from mutualtls.core.errors import UnreadableError
from mutualtls.core.model import labels, selectors
from mutualtls.core.model.labels import CA_CRT
from mutualtls.core.model.namespace import Namespace
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates, verifiers


class Published(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What the annotation of a copy says."""

    authority: str
    """Name of the authority whose it is."""
    bundle_hash: str
    of: str = ""
    """Hash of the bundle that it was made from, where it does not hold all of that."""
    since: times.Moment | None = None
    """When this bundle was written in place of another; None where nobody can have read another from it."""

    surplus_since: times.Moment | None = None
    """Since when it is not asked for any more; None while it is."""

    def __post_init__(self) -> None:
        times.check(self.since)
        times.check(self.surplus_since)

    @property
    def whole_bundle_hash(self) -> str:
        """Hash of the bundle that it brings to consumers, as far as it can hold that."""
        return self.of or self.bundle_hash


_LONGEST = 1024
"""Of that annotation, in characters: four times what we ever write."""


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
    is_owned: bool
    """Whether the garbage collector would delete it with its authority: so it was made until 0.1.0."""
    other_owners: tuple[dict[str, Any], ...]
    """ownerReferences that are not to authorities."""
    others: str
    """Who but us wrote to it, for telling people."""
    held_by: str | None = None
    """The finalizers that keep it there, though it was deleted; None where it was not."""

    def holds(self, wanted: Published) -> bool:
        """Whether it was made from the same bundle, and holds as much of it as is wanted, as far as is known."""
        found = self.published
        return found is not None and (found.bundle_hash, found.of) == (wanted.bundle_hash, wanted.of)

    def is_as_asked(self, wanted: Published) -> bool:
        """Whether it holds what is wanted, and is to stay."""
        is_to_stay = self.published is not None and self.published.surplus_since is None and not self.is_owned
        return is_to_stay and self.holds(wanted)

    def goes(self, authority: Authority) -> datetime | None:
        """Tell when it is to be deleted; None where it has not been told yet that nobody asks for it."""
        since = self.published.surplus_since if self.published is not None else None
        return since + authority.durations.remove_after if since is not None else None


def trust_bundle_key(authority: str) -> ObjectKey:
    """Tell the key of the ClusterTrustBundle of an authority."""
    return ObjectKey("", labels.trust_bundle_name(authority))


def label(key: ObjectKey) -> str:
    """Name a copy for people."""
    return f"configmap {key}" if _is_config_map(key) else f"clustertrustbundle {key.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What there is in the cluster that says where copies are to be."""

    namespaces: Mapping[str, Namespace]
    copies: Mapping[ObjectKey, Copy]
    serves_trust_bundles: bool
    """Whether the API server has ClusterTrustBundles."""


def wanted_in(trust: TrustSpec, namespace: str, namespace_labels: Mapping[str, str]) -> ObjectKey | None:
    """Tell the key of the copy that a namespace is to have. None: it is to have none."""
    config_map = trust.config_map
    if config_map is None or not selectors.matches(config_map.namespace_selector, namespace_labels):
        return None
    return ObjectKey(namespace, config_map.name)


def wanted_copy(authority: Authority, namespace: str, places: Places) -> ObjectKey | None:
    """Tell the key of the copy that a namespace is to have; of the ClusterTrustBundle for the namespace "".

    None: it is to have none. None is made in one that is being deleted, but one that is there is kept current.
    """
    asked = authority.spec.trust
    if not namespace:
        is_wanted = asked.cluster_trust_bundle and places.serves_trust_bundles
        return trust_bundle_key(authority.name) if is_wanted else None
    known = places.namespaces.get(namespace)
    key = wanted_in(asked, namespace, known.labels) if known else None
    if key is None or known is None or (known.is_terminating and key not in places.copies):
        return None
    return key


def wanted_copies(authority: Authority, places: Places) -> list[ObjectKey]:
    """List the keys of all copies that there are to be of an authority's bundle."""
    if not authority.has_spec:
        return []
    namespaces = ("", *places.namespaces) if authority.spec.trust.config_map else ("",)
    keys = (wanted_copy(authority, namespace, places) for namespace in namespaces)
    return [key for key in keys if key is not None]


def conflicts(authority: Authority, places: Places, *, refused: Container[str]) -> list[ObjectKey] | None:
    """List the keys of copies in whose place something of somebody else's is. None: that is not known yet.

    Those of namespaces where a copy was `refused` do not count.
    """
    keys = (key for key in wanted_copies(authority, places) if key.namespace not in refused)
    found = {key: places.copies.get(key) for key in keys}
    if not authority.has_spec or None in found.values():
        return None
    return [key for key, copy in found.items() if copy is not None and copy.authority != authority.name]


def is_name_of_a_copy(key: ObjectKey, authorities: Iterable[Authority]) -> bool:
    """Tell whether an authority puts its bundle under such a name, in whichever namespaces."""
    asked = (authority.spec.trust.config_map for authority in authorities)
    return not key.namespace or any(found is not None and found.name == key.name for found in asked)


def parse(metadata: Mapping[str, Any], before: Copy | None, *, now: datetime) -> Copy:
    """Read what its metadata says of a copy. `before` is what was known of it until then."""
    found, owners = _noted(metadata), metadata.get("ownerReferences") or ()
    if found is not None:
        known = before.published if before is not None and before.holds(found) else None
        since = known.since if known is not None else times.landed(found.since, now)
        found = msgspec.structs.replace(found, since=since)
    return Copy(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        authority=found.authority if found else None,
        published=found if found and _is_untouched(metadata, found.authority) else None,
        is_immutable=managed.is_made_immutable(metadata),
        is_owned=any(map(_is_authority, owners)),
        other_owners=tuple(owner for owner in owners if not _is_authority(owner)),
        others=managed.others(metadata),
        held_by=managed.held_by(metadata),
    )


def wanted(key: ObjectKey, authority: str, pem: bytes) -> Published:
    """Say what a copy of a bundle is to be, apart from since when."""
    whole, held = _hashes(pem)
    is_whole = _is_config_map(key) or held == whole
    return Published(authority=authority, bundle_hash=whole if is_whole else held, of="" if is_whole else whole)


def can_hold(key: ObjectKey, pem: bytes) -> bool:
    """Tell whether the place of a copy can hold anything of a bundle: there can be no ClusterTrustBundle of nothing."""
    return _is_config_map(key) or bool(_held(pem)[0])


def left_out(pem: bytes) -> tuple[str, ...]:
    """Say for each root of a bundle that a ClusterTrustBundle cannot hold why not."""
    return _held(pem)[1]


def _taken(key: ObjectKey, pem: bytes) -> bytes:
    """Take of a bundle what the place of a copy can hold."""
    return pem if _is_config_map(key) else _held(pem)[0]


@functools.lru_cache(maxsize=64)
def _hashes(pem: bytes) -> tuple[str, str]:
    """Hash a bundle, and what of it a ClusterTrustBundle can hold."""
    return digests.content_hash(pem), digests.content_hash(_held(pem)[0])


@functools.lru_cache(maxsize=64)
def _held(pem: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Divide a bundle into what Go can read, and why not the rest. Read once for many looks."""
    held, left = [], []
    for one in x509.load_pem_x509_certificates(pem) if pem else ():
        faults = list(verifiers.unread_by_go(one))
        held += [] if faults else [one]
        left += [f"{verifiers.name(one)} {fault}" for fault in faults[:1]]
    return (certificates.to_pem(*held), tuple(left)) if left else (pem, ())


def manifest(key: ObjectKey, authority: Authority, pem: bytes, published: Published) -> dict[str, Any]:
    """Write a whole copy, for a POST."""
    is_config_map = _is_config_map(key)
    metadata = {"name": key.name} | ({"namespace": key.namespace} if is_config_map else {})
    return {
        "apiVersion": "v1" if is_config_map else "certificates.k8s.io/v1",
        "kind": "ConfigMap" if is_config_map else "ClusterTrustBundle",
        "metadata": metadata | _metadata(authority, published),
        **_content(key, authority, pem),
    }


def patch(key: ObjectKey, authority: Authority, pem: bytes, published: Published, *, found: Copy) -> dict[str, Any]:
    """Write a merge patch that makes a copy as it should be, and leaves what others put there alone."""
    metadata = {"uid": found.uid, "resourceVersion": found.resource_version} | _metadata(authority, published)
    if found.is_owned:
        metadata["ownerReferences"] = list(found.other_owners)
    return {"metadata": metadata, **_content(key, authority, pem)}


def content(key: ObjectKey, body: Mapping[str, Any]) -> bytes:
    """Read the bundle in a copy, as PEM; nothing where there is none."""
    found = (body.get("data") or {}).get(CA_CRT) if _is_config_map(key) else (body.get("spec") or {}).get("trustBundle")
    return str(found or "").encode()


def _metadata(authority: Authority, published: Published) -> dict[str, Any]:
    """Labels and annotation. No owner: who mounts a copy needs it longer than its authority may be there."""
    return {
        "labels": _labels(authority.name) | {labels.MANAGED_BY: labels.FIELD_MANAGER},
        "annotations": {labels.PUBLISHED: msgspec.json.encode(published).decode()},
    }


def _content(key: ObjectKey, authority: Authority, pem: bytes) -> dict[str, Any]:
    if _is_config_map(key):
        return {"data": {CA_CRT: pem.decode()}}
    taken = _taken(key, pem).decode()
    return {"spec": {"signerName": labels.signer_name(authority.name), "trustBundle": taken}}


def _labels(authority: str) -> dict[str, str]:
    return {labels.PART: labels.PART_BUNDLE, labels.AUTHORITY: authority}


def _noted(metadata: Mapping[str, Any]) -> Published | None:
    """Read our annotation, whoever may have written it."""
    text = (metadata.get("annotations") or {}).get(labels.PUBLISHED, "")
    try:
        return bounded.decode(text, Published, longest=_LONGEST)
    except UnreadableError:
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


def _is_authority(owner: Mapping[str, Any]) -> bool:
    return owner.get("kind") == labels.AUTHORITY_KIND and str(owner.get("apiVersion")).startswith(f"{labels.GROUP}/")


def _is_config_map(key: ObjectKey) -> bool:
    return bool(key.namespace)
