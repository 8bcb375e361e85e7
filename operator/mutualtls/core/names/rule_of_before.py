"""How the release before judged names. For one release: 0.2.0 is to judge without it.

It read names neither without the cluster's domain, where they were of pods, nor with its beginning; gave a common name
of any kind by `*`; and took an IPv6 address for itself alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from mutualtls.core.names import names, patterns
from mutualtls.core.names.address_judge import AddressJudge
from mutualtls.core.names.dns_judge import DNSJudge, labels_in
from mutualtls.core.names.ownership import Cluster
from mutualtls.core.names.permits import Permit
from mutualtls.core.names.subject_judge import SubjectJudge, as_host, must_be_spelled_out


@dataclass(frozen=True, slots=True)
class DNSJudgeOfBefore(DNSJudge):
    """Judges DNS names as the release before did."""

    def zone_of(self, name: str) -> int:
        """Ask for no label at the end of a name."""
        del name
        return 0


@dataclass(frozen=True, slots=True)
class AddressJudgeOfBefore(AddressJudge):
    """Judges other alternative names as the release before did."""

    def meant(self, name: str) -> Sequence[names.IPAddress]:
        """Take an address for itself alone."""
        return (ipaddress.ip_address(name),)


@dataclass(frozen=True, slots=True)
class SubjectJudgeOfBefore(SubjectJudge):
    """Judges subjects as the release before did."""

    def allows_common_name(self, permit: Permit, text: str) -> bool:
        """Tell whether a permit allowed a common name, also one that is a name of another kind."""
        host, is_spelled_out = as_host(text), text in permit.common_names
        is_any = patterns.ONE in permit.common_names and not must_be_spelled_out(text)
        is_fitting = host is not None and any(patterns.fits(one, host.split(".")) for one in permit.common_dns)
        if not (is_spelled_out or is_any or is_fitting):
            return False
        spelled_out = labels_in(host or "") if is_spelled_out else 0
        return host is None or self.dns.is_within_reach(host, spelled_out=spelled_out, reaches=permit.other_namespaces)


def cluster_of_before(domain: str) -> Cluster:
    """Tell which names of the cluster the release before knew."""
    labels = tuple(domain.split("."))
    return Cluster(domain=domain, after_svc=((), labels), after_pod=(labels,))
