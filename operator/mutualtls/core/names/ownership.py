"""Whose a name is: the namespaces that a DNS name or a URI speaks for, inside the cluster.

Names of which this tells nothing are names outside: of the internet, of a company, of another trust domain.

A pod's resolver completes what is asked for by its search domains: `NS.svc.DOMAIN`, `svc.DOMAIN`, `DOMAIN`, and those
of the node, which may be any rest of the cluster's domain. So a name is read with the domain whole, with any beginning
of it, and without it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from mutualtls.core.names.top_level_domains import TOP_LEVEL_DOMAINS
from mutualtls.core.names.uris import SPIFFE, URI

EVERY = "*"
"""In place of a namespace's name: the name speaks for all of them, or for the cluster. No namespace is called so."""

_SERVICES, _PODS = "svc", "pod"
_API_SERVER = ("kubernetes", "default", _SERVICES)

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What names mean inside a cluster."""

    domain: str
    after_svc: tuple[Labels, ...]
    """What may follow `NS.svc`."""
    after_pod: tuple[Labels, ...]
    """What may follow `NS.pod`."""

    def namespaces_of_dns_name(self, name: str) -> frozenset[str]:
        """List the namespaces that a DNS name speaks for, by any reading of it, short forms included.

        A wildcard speaks for all that is below it, at any depth: verifiers differ in how far one reaches.
        """
        labels = name.split(".")
        short = {1: EVERY, 2: labels[-1]}.get(len(labels))
        return self.namespaces_of_host(name) | ({short} if short else set())

    def namespaces_of_host(self, name: str) -> frozenset[str]:
        """List the namespaces that a DNS name speaks for where nobody looks short forms up, as in a URI.

        Whatever ends in `NS.svc` or `NS.pod`, and what may follow that, speaks for NS.
        """
        labels = tuple(name.split("."))
        found = {_before(_SERVICES, _cut(labels, end)) for end in self.after_svc}
        found |= {_before(_PODS, _cut(labels, end)) for end in self.after_pod}
        above = labels[1:] if labels[0] == "*" else None
        if labels in self.after_pod or any(_is_below((_SERVICES, *end), above) for end in self.after_svc):
            found.add(EVERY)
        return frozenset(namespace for namespace in found if namespace)

    def is_of_api_server(self, name: str) -> bool:
        """Tell whether a DNS name is one of the Kubernetes API server, is below one, or is a wildcard over one."""
        if _API_SERVER[0] not in name and not name.startswith("*"):
            return False  # nearly every name: this is asked at each look at an identity
        labels = tuple(name.split("."))
        full = [_API_SERVER[:2], *((*_API_SERVER, *end) for end in self.after_svc)]
        if labels[0] == "*":
            return any(_is_below(one, labels[1:]) or _is_below(labels[1:], one) for one in full)
        return labels == _API_SERVER[:1] or any(_is_below(labels, one) for one in full)

    def is_own_dns_name(self, name: str, namespace: str) -> bool:
        """Tell whether a DNS name is of a Service of a namespace or below one: what its identities hold by right.

        No name is of two namespaces so.
        """
        if self.is_of_api_server(name):
            return False
        suffix = next((end for end in self._own_suffixes(namespace) if name.endswith(end)), None)
        return suffix is not None and name.removesuffix(suffix).rpartition(".")[2] not in {"", "*"}

    def _own_suffixes(self, namespace: str) -> tuple[str, ...]:
        """List how a namespace's own names end. Under a domain that ends in `svc` one name could be of two."""
        short = f".{namespace}.{_SERVICES}"
        is_ambiguous = self.domain.rpartition(".")[2] == _SERVICES
        return (short,) if is_ambiguous else (f"{short}.{self.domain}", short)

    def is_short_name(self, name: str, namespace: str) -> bool:
        """Tell whether a DNS name is `S` or `S.NS` of a namespace.

        Not `localhost`; and not `S.NS` where the namespace is called like a top-level domain of the internet.
        """
        if self.is_of_api_server(name) or "*" in name:
            return False
        match name.split("."):
            case [service]:
                return service != "localhost"
            case [_, last]:
                is_alone = self.namespaces_of_dns_name(name) == {namespace}
                return last == namespace and is_alone and last not in TOP_LEVEL_DOMAINS
            case _:
                return False

    def zone_of(self, name: str) -> int:
        """Count the labels at the end of a name outside that say in whose zone it is.

        The cluster's domain, where it is below that. Two where it could be of a Service or pod (`S.NS`, `POD.S.NS`): a
        domain of the internet as `example.com`, and whatever ends in no top-level domain. None below a domain of the
        internet.
        """
        labels, domain = name.split("."), self.domain.split(".")
        of_cluster = len(domain) if labels[-len(domain) :] == domain else 0
        is_below_a_domain = len(labels) > _OF_A_DOMAIN and labels[-1] in TOP_LEVEL_DOMAINS
        return max(of_cluster, 0 if is_below_a_domain else _OF_A_DOMAIN)


_OF_A_DOMAIN = 2
"""Labels of a domain of the internet, or of `S.NS`."""


@functools.lru_cache(maxsize=64)
def cluster(domain: str) -> Cluster:
    """Say what names mean in a cluster of a domain."""
    labels = tuple(domain.split("."))
    starts = tuple(labels[:count] for count in range(len(labels) + 1))
    return Cluster(domain=domain, after_svc=starts, after_pod=starts)


def _cut(labels: Labels, end: Labels) -> Labels:
    """Cut the end off a name; nothing is left of one that does not end so."""
    inside = labels[: len(labels) - len(end)]
    return inside if inside + end == labels else ()


def _before(kind: str, labels: Labels) -> str | None:
    """Find the namespace in labels that end with `NS.kind`; a wildcard or nothing in its place is every namespace."""
    match labels:
        case (*_, namespace, last) if last == kind:
            return namespace
        case (last,) if last == kind:
            return EVERY
        case _:
            return None


def _is_below(labels: Labels, base: Labels | None) -> bool:
    """Tell whether a name is `base` or below it. All is below nothing."""
    return base is not None and (not base or labels[-len(base) :] == base)


def is_public_domain(name: str) -> bool:
    """Tell whether a name of two labels is a domain of the internet, such as `example.com`, rather than a `S.NS`."""
    first, _, last = name.rpartition(".")
    return bool(first) and "." not in first and first != "*" and last in TOP_LEVEL_DOMAINS


def namespaces_of_uri(uri: URI, *, trust_domain: str, within: Cluster) -> frozenset[str]:
    """List the namespaces that a URI speaks for: by its path in the own trust domain, else by its host."""
    if uri.scheme != SPIFFE:
        return within.namespaces_of_host(".".join(uri.host))
    if ".".join(uri.host) != trust_domain:
        return frozenset()
    match uri.path:
        case ["ns", namespace, *_]:
            return frozenset({namespace})
        case ["ns"]:
            return frozenset({EVERY})
        case _:
            return frozenset()


def is_own_uri(uri: URI, namespace: str, *, trust_domain: str) -> bool:
    """Tell whether a URI is the SPIFFE ID of a service account of this namespace."""
    match uri.path:
        case ["ns", found, "sa", _]:
            return uri.scheme == SPIFFE and ".".join(uri.host) == trust_domain and found == namespace
        case _:
            return False
