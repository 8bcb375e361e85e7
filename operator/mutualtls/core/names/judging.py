"""Who may have which name. Denied unless allowed: without a permit no two namespaces can hold one name.

By right an identity holds names of its own namespace's Services, SPIFFE IDs of its service accounts, and as common
name a DNS name of the same leaf (`ownership`). All else is allowed by a permit of the authority: one must allow a name
whole, and it reaches names of other namespaces only when it says so.

What the release before permitted and this one does not is refused as well, but is told apart (`rule_of_before`): who
holds it already keeps it for one release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mutualtls.core.errors import Fault
from mutualtls.core.model import selectors
from mutualtls.core.names import ownership, rule_of_before
from mutualtls.core.names.address_judge import AddressJudge
from mutualtls.core.names.dns_judge import DNSJudge
from mutualtls.core.names.policy import Claims, Policy, Scope
from mutualtls.core.names.rule_of_before import AddressJudgeOfBefore, DNSJudgeOfBefore, SubjectJudgeOfBefore
from mutualtls.core.names.subject_judge import SubjectJudge


def faults(claims: Claims, policy: Policy, *, namespace: str, labels: Mapping[str, str] | None) -> list[Fault]:
    """List the names that identities of a namespace may not hold, each with the reason and what would permit it.

    `labels` are those of the namespace; None where they are not known, and then only what is for all namespaces counts.
    """
    if policy.selector is not None and not selectors.matches(policy.selector, labels):
        message = (
            f"authority {policy.authority} does not serve namespace {namespace}: its spec.namespaceSelector, "
            f"{selectors.described(policy.selector)}, does not match the labels of the namespace"
        )
        return [Fault(field="spec.authority", message=message)]
    serving = tuple(permit for permit in policy.permits if selectors.matches(permit.selector, labels))
    found = list(_judge(claims, Scope(policy, serving, namespace, ownership.cluster(policy.cluster_domain))))
    if not found:
        return []
    before = Scope(policy, serving, namespace, rule_of_before.cluster_of_before(policy.cluster_domain))
    refused_before = {_name_of(fault) for fault in _judge_as_before(claims, before)}
    return [replace(fault, was_permitted=_name_of(fault) not in refused_before) for fault in found]


def _name_of(fault: Fault) -> str:
    """Say which name a fault is about, by its field. The whole subject is one."""
    return _SUBJECT if fault.field.startswith(_SUBJECT) else fault.field


_SUBJECT = "spec.subject"


def _judge(claims: Claims, scope: Scope) -> Iterator[Fault]:
    dns, addresses = DNSJudge(scope), AddressJudge(scope)
    return _faults(claims, dns, addresses, SubjectJudge(scope, dns, addresses))


def _judge_as_before(claims: Claims, scope: Scope) -> Iterator[Fault]:
    dns, addresses = DNSJudgeOfBefore(scope), AddressJudgeOfBefore(scope)
    return _faults(claims, dns, addresses, SubjectJudgeOfBefore(scope, dns, addresses))


def _faults(claims: Claims, dns: DNSJudge, addresses: AddressJudge, subjects: SubjectJudge) -> Iterator[Fault]:
    kinds = (
        (claims.dns, dns.why_not),
        (claims.ips, addresses.why_not_ip),
        (claims.emails, addresses.why_not_email),
        (claims.uris, addresses.why_not_uri),
    )
    for of_kind, why_not in kinds:
        for claim in of_kind:
            if message := why_not(claim.name):
                yield Fault(field=claim.field, message=message)
    yield from subjects.faults(claims.subject, {claim.name for claim in claims.dns})
