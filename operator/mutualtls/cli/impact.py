"""What an authority would take away if it were applied: names of identities, and copies of its bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mutualtls.core.api import authority as authorities
from mutualtls.core.api import identity, kept_spec
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.identity import Identity
from mutualtls.core.bundles import publish
from mutualtls.core.ca import offer
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf import desired
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.unread import Unread


@dataclass(slots=True, kw_only=True)
class Present:
    """What there is in the cluster of one authority."""

    authority: Authority | None = None
    identities: list[Identity] = field(default_factory=list)
    copies: list[ObjectKey] = field(default_factory=list)
    """Keys of the copies of its bundle."""
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of all namespaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedIdentity:
    """An identity that would be refused, and is not yet."""

    identity: ObjectKey
    reason: Reason
    faults: tuple[Fault, ...]


async def read(api: API, names: Iterable[str]) -> dict[str, Present]:
    """Read what there is of authorities, by name.

    Raises:
        ClusterError: the API server refuses, or does not answer.
    """
    namespaces = {one["name"]: one.get("labels") or {} for one in await _metadata(api, paths.NAMESPACES)}
    found = {name: Present(namespaces=namespaces) for name in names}
    for one in await _metadata(api, paths.IDENTITIES):
        body = await api.get(paths.identity(one["namespace"], one["name"]))
        of = identity.parse(body) if body is not None else None
        if of is not None and of.authority in found:
            found[of.authority].identities.append(of)
    for name, present in found.items():
        body = await api.get(paths.authority(name))
        present.authority = await _counting(api, authorities.parse(body)) if body is not None else None
        selector = f"{labels.PART}={labels.PART_BUNDLE},{labels.AUTHORITY}={name}"
        for one in await _metadata(api, paths.CONFIG_MAPS, selector=selector):
            present.copies.append(ObjectKey(one["namespace"], one["name"]))
        key = publish.trust_bundle_key(name)
        if await api.get_metadata(paths.copy(key)) is not None:
            present.copies.append(key)
    return found


async def _counting(api: API, of: Authority) -> Authority:
    """Have the last good spec count where that of now cannot be read."""
    if of.has_spec or of.operator_namespace is None:
        return of
    kept = await api.get(paths.config_map(of.operator_namespace, labels.good_spec_name(of.name)))
    good = kept_spec.decode(((kept or {}).get("data") or {}).get(kept_spec.FILE, ""))
    return of.counting(good) if good is not None else of


async def _metadata(api: API, path: str, *, selector: str = "") -> list[dict[str, Any]]:
    """List metadata, without what cannot be read."""
    return [one async for one in api.listing(path, selector=selector) if not isinstance(one, Unread)]


def refusals(new: Authority, present: Present) -> Iterator[RefusedIdentity]:
    """List the identities that would be refused by an authority and are not refused as it is now."""
    if present.authority is None:
        return
    before, after = offer.of(present.authority, None), offer.of(new, None)
    for of in sorted(present.identities, key=lambda one: str(one.key)):
        namespace_labels = present.namespaces.get(of.namespace)
        error = _refused(of, after, namespace_labels)
        if error is not None and _refused(of, before, namespace_labels) is None:
            yield RefusedIdentity(identity=of.key, reason=error.reason, faults=error.faults)


def _refused(of: Identity, by: offer.Offer, namespace_labels: Mapping[str, str] | None) -> SpecError | None:
    """Tell why an identity is refused; None where it is not."""
    try:
        desired.wanted(of, by, namespace_labels)
    except SpecError as error:
        return error
    return None


def copies_that_go(new: Authority, present: Present) -> list[str]:
    """List the copies that there are of a bundle and are not to be any more, as people name them."""
    copies = new.spec.trust
    wanted = {publish.wanted_in(copies, name, found) for name, found in present.namespaces.items()}
    if copies.cluster_trust_bundle:
        wanted.add(publish.trust_bundle_key(new.name))
    return [publish.label(key) for key in sorted(present.copies, key=str) if key not in wanted]
