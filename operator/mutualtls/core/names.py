"""The names in a certificate, in canonical form (RFC 5280 §4.2.1.6): lower-case DNS names, SPIFFE IDs.

Who may hold which name is decided in `permits`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST_DNS_NAME = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Everything that a certificate says its holder is. Each kind is sorted and without doubles."""

    dns: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


def canonical_dns_name(name: str) -> str:
    """Bring a DNS name into the form that is written into the certificate: lower case.

    The first label may be `*`, the only form of wildcard that verifiers take (RFC 9525 §6.3).

    Raises:
        ValueError: not a DNS name of letters, digits and hyphens.
    """
    lowered = name.lower()
    labels = lowered.split(".")
    if labels[0] == "*":
        labels = labels[1:]
    if len(lowered) > _LONGEST_DNS_NAME or not labels or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"not a DNS name: {name}")
    return lowered


def check_service_account(name: str) -> None:
    """Refuse what is no name of a service account and could reach beyond its segment of the SPIFFE ID.

    Raises:
        ValueError: not an RFC 1123 subdomain.
    """
    if len(name) > _LONGEST_DNS_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"not the name of a service account: {name}")


def service_dns_names(service: str, namespace: str, *, cluster_domain: str) -> tuple[str, str]:
    """Name a Service as its clients inside the cluster do, from any namespace."""
    return f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.{cluster_domain}"


def spiffe_id(service_account: str, namespace: str, *, trust_domain: str) -> str:
    """Name a service account (SPIFFE ID, in the form that Istio made customary)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
