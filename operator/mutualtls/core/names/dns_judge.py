"""Which DNS names identities of a namespace may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mutualtls.core.names import ownership, patterns, permits
from mutualtls.core.names.permits import Permit
from mutualtls.core.names.policy import Scope, quoted


@dataclass(frozen=True, slots=True)
class DNSJudge:
    """Judges DNS names."""

    scope: Scope

    def why_not(self, name: str) -> str | None:
        """Say why a DNS name is not permitted; None where it is."""
        if self.scope.cluster.is_own_dns_name(name, self.scope.namespace):
            return None
        if permits.is_too_wide(name):
            return f"{name} is not permitted and cannot be: a wildcard needs at least two labels after the *"
        if any(self.allows(permit, name) for permit in self.scope.permits):
            return None
        kind = "wildcardDNSNames" if name.startswith("*") else "dnsNames"
        if self.scope.cluster.is_short_name(name, self.scope.namespace):
            why = "it means something else in other namespaces"
            return self.scope.refusal(name, why, "shortServiceNames: true")
        add = f"{kind}: [{quoted(name)}]"
        why = self._whose(name)
        if not self.is_within_reach(name, spelled_out=labels_in(name), reaches=False):
            add += " and otherNamespaces: true"
        return self.scope.refusal(name, why, add)

    def allows(self, permit: Permit, name: str) -> bool:
        """Tell whether a permit allows a DNS name."""
        if permit.short_names and self.scope.cluster.is_short_name(name, self.scope.namespace):
            return True
        reaches = permit.other_namespaces
        if not name.startswith("*"):
            return self.reaches_any(permit.dns, name, reaches=reaches)
        return name in permit.wildcards and self.is_within_reach(name, spelled_out=labels_in(name), reaches=reaches)

    def reaches_any(self, written: Sequence[patterns.Parts], name: str, *, reaches: bool) -> bool:
        """Tell whether one of these patterns fits a DNS name and reaches it."""
        labels = name.split(".")
        fitting = (patterns.spelled_out(one) for one in written if patterns.fits(one, labels))
        return any(self.is_within_reach(name, spelled_out=count, reaches=reaches) for count in fitting)

    def is_within_reach(self, name: str, *, spelled_out: int, reaches: bool) -> bool:
        """Tell whether a pattern that fits a DNS name reaches it.

        `spelled_out` is how many labels at its end are no stars; `reaches`, whether it may be of other namespaces.
        """
        if self.scope.cluster.is_of_api_server(name):
            return reaches and spelled_out == labels_in(name)
        if reaches:
            return True
        hosts = self.scope.cluster.namespaces_of_host(name)
        if ownership.is_public_domain(name):
            return not hosts and spelled_out == labels_in(name)
        if not self.scope.cluster.namespaces_of_dns_name(name) <= {self.scope.namespace}:
            return False
        return bool(hosts) or spelled_out >= self.zone_of(name)

    def zone_of(self, name: str) -> int:
        """Tell how many labels at the end of a name a pattern must spell out."""
        return self.scope.cluster.zone_of(name)

    def _whose(self, name: str) -> str:
        if self.scope.cluster.is_of_api_server(name):
            return f"it {'covers' if name.startswith('*') else 'is'} a name of the Kubernetes API server"
        if ownership.is_public_domain(name):
            return f"it is a domain of the internet and could be Service {name.replace('.', ' of namespace ')}"
        found, namespace = self.scope.cluster.namespaces_of_dns_name(name), self.scope.namespace
        if name.startswith("*") and found == {namespace}:
            return (
                f"it covers every Service of namespace {namespace}, and a wildcard must stand below a Service, as "
                f"in *.SERVICE.{namespace}.svc"
            )
        return self.scope.whose(found)


def labels_in(name: str) -> int:
    """Count the labels of a DNS name."""
    return name.count(".") + 1
