"""The names that an identity asks for, in canonical form, and those that no CA above could sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mutualtls.core.api.identity import Identity
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import Fault
from mutualtls.core.names import constraints, names
from mutualtls.core.names.constraints import NameConstraints
from mutualtls.core.names.names import Names, Subject
from mutualtls.core.names.policy import Claim, Claims


def claims_of(identity: Identity, trust: Offer) -> tuple[Claims, list[Fault]]:
    """Collect the names that are asked for, in canonical form, and why some are none, completed by the authority."""
    asked, malformed = identity.asked, list[Fault]()
    dns = [*_services(identity, trust, malformed), *asked.dns]
    claims = Claims(
        dns=dns,
        ips=asked.ips,
        emails=asked.emails,
        uris=[*_account(identity, trust), *asked.uris],
        subject=_as_carried(asked.subject, {claim.name for claim in dns}),
    )
    return claims, malformed


def names_held(claims: Claims) -> Names:
    """Put the names that are asked for into the order in which a certificate holds them."""
    dns, ips, emails, uris = (
        tuple(sorted({claim.name for claim in of_kind}))
        for of_kind in (claims.dns, claims.ips, claims.emails, claims.uris)
    )
    return Names(dns=dns, ips=ips, emails=emails, uris=uris, subject=claims.subject)


def _services(identity: Identity, trust: Offer, malformed: list[Fault]) -> list[Claim]:
    """Name the Services in full."""
    default, found = (Claim("metadata.name", identity.name),), []
    for field, service in default if identity.asked.services is None else identity.asked.services:
        for name in names.service_dns_names(service, identity.namespace, cluster_domain=trust.cluster_domain):
            try:
                found.append(Claim(field, names.canonical_dns_name(name)))
            except ValueError as error:
                malformed.append(Fault(field=field, message=str(error)))
    return found


def _account(identity: Identity, trust: Offer) -> list[Claim]:
    """Name the service account in full."""
    default = Claim("", identity.name) if identity.spec.service_account_name is None else None
    account = identity.asked.account or default
    if account is None:
        return []
    name = names.spiffe_id(account.name, identity.namespace, trust_domain=trust.trust_domain)
    return [Claim("spec.serviceAccountName", name)]


def _as_carried(subject: Subject, dns: set[str]) -> Subject:
    """Write a common name that is one of the leaf's DNS names as that one is written."""
    try:
        canonical = names.canonical_dns_name(subject.common_name)
    except ValueError:
        return subject
    return replace(subject, common_name=canonical) if canonical in dns else subject


def constraint_faults(claims: Claims, found: NameConstraints) -> Iterator[Fault]:
    """Refuse what verifiers would refuse for the name constraints of a CA above the leaf.

    A common name counts to none of them where there are DNS names; to the spec it always does.
    """
    if found.is_empty:
        return
    kinds = (
        (claims.dns, constraints.why_not_dns_name),
        (claims.ips, constraints.why_not_ip),
        (claims.uris, constraints.why_not_uri),
        (claims.emails, constraints.why_not_email),
        (() if found.by and claims.dns else _dns_in_subject(claims.subject), constraints.why_not_dns_name),
    )
    for of_kind, why_not in kinds:
        for field, name in of_kind:
            if message := why_not(name, found):
                yield Fault(field=field, message=message)


def faults_of_cas(claims: Claims, trust: Offer) -> Iterator[Fault]:
    """Refuse what the constraints in the certificates of CAs forbid, where those of the spec do not say the same."""
    broken = {(fault.field, fault.message.split()[0]) for fault in constraint_faults(claims, trust.constraints)}
    for found in trust.above:
        for fault in constraint_faults(claims, found):
            if (fault.field, fault.message.split()[0]) not in broken:
                yield fault


def _dns_in_subject(subject: Subject) -> list[Claim]:
    """Take a common name for a DNS name where OpenSSL does, which then applies constraints of DNS names to it."""
    try:
        name = names.canonical_dns_name(subject.common_name)
    except ValueError:
        return []
    return [Claim("spec.subject.commonName", name)] if "." in name else []
