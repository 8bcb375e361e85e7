"""Who may hold which name. Denied unless allowed: without a permit no two namespaces can hold one name.

A namespace's own names are, for any label S, `S.NS.svc` and `S.NS.svc.CLUSTERDOMAIN`, names of any depth below these,
and wildcards below them. `S.NS` and `S` alone mean something else in other namespaces and are not among them.
"""

from __future__ import annotations

_API_SERVER = ("kubernetes", "default")
"""Service and namespace of the API server itself, which nobody is allowed to pose as."""


def why_not_dns_name(name: str, namespace: str, *, cluster_domain: str) -> str | None:
    """Tell why identities of `namespace` may not hold a canonical DNS name, and what to do; None if they may."""
    for suffix in _own_suffixes(namespace, cluster_domain):
        if name.endswith(suffix):
            return _why_not_below(name.removesuffix(suffix).split("."), namespace, name=name)
    return (
        f"{name} is not permitted: without a permit an identity holds only names of its own namespace's Services, "
        f"SERVICE.{namespace}.svc or SERVICE.{namespace}.svc.{cluster_domain}, and names below them"
    )


def _own_suffixes(namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """List how a namespace's own names end. Under a cluster domain that ends in `svc` one name could be of two."""
    short = f".{namespace}.svc"
    is_ambiguous = cluster_domain.rpartition(".")[2] == "svc"
    return (short,) if is_ambiguous else (f"{short}.{cluster_domain}", short)


def _why_not_below(labels: list[str], namespace: str, *, name: str) -> str | None:
    """Judge the labels that stand before the namespace; the last of them is the Service."""
    service = labels[-1]
    if service == "*":
        return f"{name} is not permitted: a wildcard must stand below a Service, as in *.SERVICE.{namespace}.svc"
    if (service, namespace) == _API_SERVER:
        return f"{name} is not permitted: it is the name of the Kubernetes API server"
    return None
