"""The `MutualTLSAuthority`, read from what the API server holds, its spec once.

What the spec and the status are made of is in `authority_spec` and `authority_status`. The CA generations of an
authority and their states are in `ledger`; how they come about is in `rotation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

from mutualtls.core import times
from mutualtls.core.api import misfits, orders
from mutualtls.core.api.authority_spec import AuthoritySpec
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.orders import Orders
from mutualtls.core.errors import Fault, listed
from mutualtls.core.model import labels, resource, selectors
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.model.selectors import LabelSelector
from mutualtls.core.names import constraints, names, permits, uris
from mutualtls.core.names.constraints import NameConstraints
from mutualtls.core.names.permits import Permit


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """The durations of a spec."""

    root: timedelta
    issuing: timedelta
    leaf: timedelta
    leaf_min: timedelta
    leaf_max: timedelta
    soak: timedelta
    laggard_timeout: timedelta
    rotate_before: timedelta | None
    remove_after: timedelta
    """How long a copy of the bundle stays that is not asked for any more: until nothing needs it that has read it."""


def _durations(spec: AuthoritySpec) -> Durations:
    before, after = spec.rotation.rotate_before, spec.trust.remove_after
    leaf_max, soak = times.parse_duration(spec.leaf.max_duration), times.parse_duration(spec.rotation.soak)
    return Durations(
        root=times.parse_duration(spec.root.self_signed.duration),
        issuing=times.parse_duration(spec.issuing.duration),
        leaf=times.parse_duration(spec.leaf.duration),
        leaf_min=times.parse_duration(spec.leaf.min_duration),
        leaf_max=leaf_max,
        soak=soak,
        laggard_timeout=times.parse_duration(spec.rotation.laggard_timeout),
        rotate_before=times.parse_duration(before) if before else None,
        remove_after=times.parse_duration(after) if after else leaf_max + soak,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A spec that was read, once: as it is typed, and what of it is more than types. Nobody else reads its texts."""

    spec: AuthoritySpec = field(default_factory=AuthoritySpec)
    durations: Durations = field(default_factory=lambda: _durations(AuthoritySpec()))
    permits: tuple[Permit, ...] = ()
    constraints: NameConstraints = field(default_factory=NameConstraints)
    faults: tuple[Fault, ...] = ()
    """Why it cannot be read: what does not fit the model, and values that mean nothing. The rest is what fits."""


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """One `MutualTLSAuthority`, with what is needed of its metadata."""

    name: str
    uid: str
    generation: int
    resource_version: str
    compiled: Compiled
    """What counts: the spec as it is; where that cannot be read the last good one, or nothing where there is none."""
    status: AuthorityStatus
    operator_namespace: str | None = None
    """Namespace of the operator that serves it; None while none does."""
    orders: Orders = Orders()
    is_deleting: bool = False
    faults: tuple[Fault, ...] = ()
    """Why the spec of now cannot be read."""
    has_spec: bool = True
    """Whether there is a spec that counts. Without one nothing is published and nothing removed."""
    asks_to_suspend: bool = False
    """Whether the spec of now asks for it, though it may not be readable otherwise."""

    @property
    def key(self) -> ObjectKey:
        """Its key within its kind, which has no namespaces."""
        return ObjectKey("", self.name)

    @property
    def spec(self) -> AuthoritySpec:
        """The spec that counts."""
        return self.compiled.spec

    @property
    def durations(self) -> Durations:
        """Its durations."""
        return self.compiled.durations

    @property
    def fault(self) -> str | None:
        """Why the spec of now cannot be read, in as many words as a condition holds."""
        return listed(self.faults) or None

    @property
    def is_suspended(self) -> bool:
        """Whether no certificate is signed and no CA is made."""
        return self.spec.suspend or self.asks_to_suspend

    def counting(self, good: Compiled) -> Authority:
        """Have the last good spec count, where that of now cannot be read."""
        return msgspec.structs.replace(self, compiled=good, has_spec=True) if self.faults else self

    def is_as_in(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata of a later version show it unchanged, but for its status."""
        known = (self.generation, self.operator_namespace, self.orders, self.is_deleting)
        return known == parse_metadata(metadata)


def parse_metadata(metadata: Mapping[str, Any]) -> tuple[int, str | None, Orders, bool]:
    """Read generation, namespace of the operator, orders, and whether it is being deleted."""
    annotations = metadata.get("annotations") or {}
    namespace = annotations.get(labels.OPERATOR_NAMESPACE)
    return metadata["generation"], namespace, orders.parse(annotations), "deletionTimestamp" in metadata


def compiled(spec: AuthoritySpec) -> Compiled:
    """Read a spec that fits the model, also its durations, with what is wrong with it that the schema cannot see."""
    of_permits, faults_of_permits = permits.compiled(spec.permits)
    of_constraints, faults_of_constraints = constraints.compiled(spec.name_constraints)
    faults = (*_domain_faults(spec), *_selector_faults(spec), *faults_of_permits, *faults_of_constraints)
    return Compiled(
        spec=spec,
        durations=_durations(spec),
        permits=of_permits,
        constraints=of_constraints,
        faults=faults,
    )


def read(raw: Any) -> Compiled:
    """Read a spec, whatever stands in its place. What is null counts as left out, as with the API server."""
    sifted = misfits.sift(raw, AuthoritySpec)
    found = compiled(msgspec.convert(sifted.rest, AuthoritySpec))
    return replace(found, faults=(*sifted.misfits, *sifted.unrelated(found.faults)))


def _selector_faults(spec: AuthoritySpec) -> Iterator[Fault]:
    bundles = spec.trust.config_map.namespace_selector if spec.trust.config_map else None
    selectors_of = {"namespaceSelector": spec.namespace_selector, "trust.configMap.namespaceSelector": bundles}
    for where, selector in selectors_of.items():
        for fault in selectors.faults(selector or LabelSelector()):
            yield Fault(field=f"spec.{where}", message=fault)


def _domain_faults(spec: AuthoritySpec) -> Iterator[Fault]:
    """Judge the domains, of which every name is made: in canonical form, and telling namespaces apart."""
    try:
        is_canonical = names.canonical_dns_name(spec.cluster_domain) == spec.cluster_domain
    except ValueError:
        is_canonical = False
    if not is_canonical or "*" in spec.cluster_domain or spec.cluster_domain.rpartition(".")[2] == "svc":
        message = f"must be a DNS name in lower case that does not end in svc: {names.shown(spec.cluster_domain)}"
        yield Fault(field="spec.clusterDomain", message=message)
    try:
        host = uris.parse(names.spiffe_id("a", "a", trust_domain=spec.trust_domain)).host
    except ValueError:
        host = ()
    if ".".join(host) != spec.trust_domain:
        message = f"must be a trust domain, of lower-case letters, digits and dots: {names.shown(spec.trust_domain)}"
        yield Fault(field="spec.trustDomain", message=message)


def parse(body: dict[str, Any]) -> Authority:
    """Read an authority from JSON of the API server. Of a spec that cannot be read nothing counts."""
    metadata, found = body["metadata"], read(body.get("spec"))
    generation, operator_namespace, ordered, is_deleting = parse_metadata(metadata)
    return Authority(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=generation,
        resource_version=metadata["resourceVersion"],
        compiled=Compiled() if found.faults else found,
        status=resource.convert_status(body, AuthorityStatus),
        operator_namespace=operator_namespace,
        orders=ordered,
        is_deleting=is_deleting,
        faults=found.faults,
        has_spec=not found.faults,
        asks_to_suspend=found.spec.suspend,
    )
