"""Which IP addresses, e-mail addresses and URIs identities of a namespace may hold."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from mutualtls.core.names import names, ownership, patterns, uris
from mutualtls.core.names.permits import Permit
from mutualtls.core.names.policy import Scope, quoted
from mutualtls.core.names.uris import URI


@dataclass(frozen=True, slots=True)
class AddressJudge:
    """Judges all alternative names but DNS names."""

    scope: Scope

    def why_not_ip(self, name: str) -> str | None:
        """Say why an IP address is not permitted; None where it is."""
        if any(self.allows_ip(permit, name) for permit in self.scope.permits):
            return None
        meant = self.meant(name)
        why = "an IP address belongs to no namespace"
        if list(map(str, meant)) != [name]:
            why = f"it stands for {', '.join(map(str, meant))}"
        add = ", ".join(quoted(f"{address}/{address.max_prefixlen}") for address in meant)
        return self.scope.refusal(name, why, f"ipRanges: [{add}]")

    def allows_ip(self, permit: Permit, name: str) -> bool:
        """Tell whether a permit allows an IP address."""
        return all(any(address in block for block in permit.ranges) for address in self.meant(name))

    def meant(self, name: str) -> Sequence[names.IPAddress]:
        """List the addresses that an IP address stands for."""
        return names.meant(ipaddress.ip_address(name))

    def why_not_email(self, name: str) -> str | None:
        """Say why an e-mail address is not permitted; None where it is."""
        if any(self.allows_email(permit, name) for permit in self.scope.permits):
            return None
        found = self.namespaces_of_email(name)
        why = self.scope.whose(found) if found else "an e-mail address belongs to no namespace"
        return self.scope.refusal(name, why, self.scope.reaching(f"emailAddresses: [{quoted(name)}]", found))

    def allows_email(self, permit: Permit, name: str) -> bool:
        """Tell whether a permit allows an e-mail address."""
        is_fitting = any(patterns.fits_email(one, name) for one in permit.emails)
        return is_fitting and self.scope.is_in(permit, self.namespaces_of_email(name))

    def namespaces_of_email(self, name: str) -> frozenset[str]:
        """List the namespaces whose host an e-mail address is at."""
        return self.scope.cluster.namespaces_of_host(name.rpartition("@")[2])

    def why_not_uri(self, name: str) -> str | None:
        """Say why a URI is not permitted; None where it is."""
        uri = uris.parse(name)
        if self.is_own_uri(uri) or any(self.allows_uri(permit, uri) for permit in self.scope.permits):
            return None
        found, trust_domain = self.namespaces_of_uri(uri), self.scope.policy.trust_domain
        why = self.scope.whose(found)
        if not found and uri.scheme == uris.SPIFFE and ".".join(uri.host) != trust_domain:
            why = f"its trust domain is not {trust_domain}, that of authority {self.scope.policy.authority}"
        return self.scope.refusal(name, why, self.scope.reaching(f"uris: [{quoted(name)}]", found))

    def is_own_uri(self, uri: URI) -> bool:
        """Tell whether a URI is the namespace's by right."""
        return ownership.is_own_uri(uri, self.scope.namespace, trust_domain=self.scope.policy.trust_domain)

    def allows_uri(self, permit: Permit, uri: URI) -> bool:
        """Tell whether a permit allows a URI."""
        is_fitting = any(patterns.fits_uri(one, uri) for one in permit.uris)
        return is_fitting and self.scope.is_in(permit, self.namespaces_of_uri(uri))

    def namespaces_of_uri(self, uri: URI) -> frozenset[str]:
        """List the namespaces that a URI speaks for."""
        return ownership.namespaces_of_uri(uri, trust_domain=self.scope.policy.trust_domain, within=self.scope.cluster)
