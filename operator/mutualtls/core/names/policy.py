"""By what names are judged: what is asked for, by whom, and what the authority permits. How is in `judging`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from mutualtls.core.model.selectors import LabelSelector
from mutualtls.core.names import ownership
from mutualtls.core.names.names import Subject
from mutualtls.core.names.ownership import Cluster
from mutualtls.core.names.permits import Permit


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All by which an authority judges names."""

    authority: str
    trust_domain: str
    cluster_domain: str
    selector: LabelSelector | None = None
    """The namespaces that may use the authority; None is all."""
    permits: tuple[Permit, ...] = ()


class Claim(NamedTuple):
    """One name in canonical form that is asked for, and the field that asks for it."""

    field: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """All names that an identity asks for."""

    dns: Sequence[Claim] = ()
    ips: Sequence[Claim] = ()
    emails: Sequence[Claim] = ()
    uris: Sequence[Claim] = ()
    subject: Subject = field(default_factory=Subject)


@dataclass(frozen=True, slots=True)
class Scope:
    """By what the names that identities of one namespace ask for are judged."""

    policy: Policy
    permits: tuple[Permit, ...]
    """Those that are for this namespace."""
    namespace: str
    cluster: Cluster

    def is_in(self, permit: Permit, found: frozenset[str]) -> bool:
        """Tell whether a permit may speak for these namespaces."""
        return permit.other_namespaces or found <= {self.namespace}

    def reaching(self, add: str, found: frozenset[str]) -> str:
        """Say what to add to a permit for a name that is of these namespaces."""
        return add if found <= {self.namespace} else f"{add} and otherNamespaces: true"

    def whose(self, found: frozenset[str]) -> str:
        """Say of which namespaces a name is."""
        others = sorted(found - {self.namespace, ownership.EVERY})
        if ownership.EVERY in found:
            return "it speaks for every namespace"
        if others:
            return f"it is a name of namespace {', '.join(others)}"
        return f"it is not a name of a Service or service account of namespace {self.namespace}"

    def refusal(self, name: str, why: str, add: str) -> str:
        """Say why a name is not permitted, and what would permit it."""
        return (
            f"{name} is not permitted: {why}; add {add} to a permit of authority {self.policy.authority} whose "
            f"namespaceSelector matches namespace {self.namespace}"
        )


def quoted(text: str) -> str:
    """Write a name as YAML takes it."""
    return msgspec.json.encode(text).decode()
