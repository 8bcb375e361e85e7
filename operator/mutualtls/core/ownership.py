"""Whose a name is: the namespaces that a DNS name or a URI speaks for, inside the cluster.

Names of which this tells nothing are names outside: of the internet, of a company, of another trust domain.
"""

from __future__ import annotations

from mutualtls.core.topleveldomains import TOP_LEVEL_DOMAINS
from mutualtls.core.uris import SPIFFE, URI

EVERY = "*"
"""In place of a namespace's name: the name speaks for all of them, or for the cluster. No namespace is called so."""

_SERVICES, _PODS = "svc", "pod"
_API_SERVER = ("kubernetes", "default", _SERVICES)


def namespaces_of_dns_name(name: str, *, cluster_domain: str) -> frozenset[str]:
    """List the namespaces that a DNS name speaks for, by any reading of it, short forms included.

    A wildcard speaks for all that is below it, at any depth: verifiers differ in how far one reaches.
    """
    labels = name.split(".")
    short = {1: EVERY, 2: labels[-1]}.get(len(labels))
    return namespaces_of_host(name, cluster_domain=cluster_domain) | ({short} if short else set())


def namespaces_of_host(name: str, *, cluster_domain: str) -> frozenset[str]:
    """List the namespaces that a DNS name speaks for where nobody looks short forms up, as in a URI.

    `…NS.svc`, `…NS.svc.CLUSTERDOMAIN` and `…NS.pod.CLUSTERDOMAIN` speak for NS.
    """
    labels, zone = name.split("."), cluster_domain.split(".")
    found = {_before(_SERVICES, labels)}
    if labels[-len(zone) :] == zone:
        inside = labels[: -len(zone)]
        found |= {_before(_SERVICES, inside), _before(_PODS, inside), None if inside else EVERY}
    if labels[0] == "*" and _is_below([_SERVICES, *zone], labels[1:]):
        found.add(EVERY)
    return frozenset(namespace for namespace in found if namespace)


def _before(kind: str, labels: list[str]) -> str | None:
    """Find the namespace in labels that end with `NS.kind`; a wildcard or nothing in its place is every namespace."""
    match labels:
        case [*_, namespace, last] if last == kind:
            return namespace
        case [last] if last == kind:
            return EVERY
        case _:
            return None


def _is_below(labels: list[str], base: list[str]) -> bool:
    """Tell whether a name is `base` or below it. All is below nothing."""
    return not base or labels[-len(base) :] == base


def is_of_api_server(name: str, *, cluster_domain: str) -> bool:
    """Tell whether a DNS name is one of the Kubernetes API server, is below one, or is a wildcard that covers one."""
    if _API_SERVER[0] not in name and not name.startswith("*"):
        return False  # nearly every name: this is asked at each look at an identity
    labels, zone = name.split("."), cluster_domain.split(".")
    full = [[*_API_SERVER[:2]], [*_API_SERVER], [*_API_SERVER, *zone]]
    if labels[0] == "*":
        return any(_is_below(one, labels[1:]) or _is_below(labels[1:], one) for one in full)
    return labels == [_API_SERVER[0]] or any(_is_below(labels, one) for one in full)


def is_own_dns_name(name: str, namespace: str, *, cluster_domain: str) -> bool:
    """Tell whether a DNS name is of a Service of this namespace or below one: what its identities hold by right.

    No name is of two namespaces so.
    """
    if is_of_api_server(name, cluster_domain=cluster_domain):
        return False
    suffix = next((end for end in _own_suffixes(namespace, cluster_domain) if name.endswith(end)), None)
    return suffix is not None and name.removesuffix(suffix).rpartition(".")[2] not in {"", "*"}


def _own_suffixes(namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """List how a namespace's own names end. Under a cluster domain that ends in `svc` one name could be of two."""
    short = f".{namespace}.{_SERVICES}"
    is_ambiguous = cluster_domain.rpartition(".")[2] == _SERVICES
    return (short,) if is_ambiguous else (f"{short}.{cluster_domain}", short)


def is_short_name(name: str, namespace: str, *, cluster_domain: str) -> bool:
    """Tell whether a DNS name is `S` or `S.NS` of this namespace.

    Not `localhost`; and not `S.NS` where the namespace is called like a top-level domain of the internet.
    """
    if is_of_api_server(name, cluster_domain=cluster_domain) or "*" in name:
        return False
    match name.split("."):
        case [service]:
            return service != "localhost"
        case [_, last]:
            is_alone = namespaces_of_dns_name(name, cluster_domain=cluster_domain) == {namespace}
            return last == namespace and is_alone and last not in TOP_LEVEL_DOMAINS
        case _:
            return False


def is_public_domain(name: str) -> bool:
    """Tell whether a name of two labels is a domain of the internet, such as `example.com`, rather than a `S.NS`."""
    first, _, last = name.rpartition(".")
    return bool(first) and "." not in first and first != "*" and last in TOP_LEVEL_DOMAINS


def namespaces_of_uri(uri: URI, *, trust_domain: str, cluster_domain: str) -> frozenset[str]:
    """List the namespaces that a URI speaks for: by its path in the own trust domain, else by its host."""
    if uri.scheme != SPIFFE:
        return namespaces_of_host(".".join(uri.host), cluster_domain=cluster_domain)
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
