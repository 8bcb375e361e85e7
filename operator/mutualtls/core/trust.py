"""What an authority offers now, as identities see it: who signs, which CAs are in use, which roots to trust.

It is derived from the authority's spec and its ledger alone, and holds no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509

from mutualtls.core import bundle, constraints, permits, times
from mutualtls.core.authority import Authority, AuthoritySpec, OnNotPermitted
from mutualtls.core.constraints import NameConstraints
from mutualtls.core.identity import Algorithm
from mutualtls.core.judge import Policy
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State, trusted_roots
from mutualtls.core.reasons import Reason

_IN_USE = frozenset({State.PUBLISHED, State.ACTIVE, State.RETIRING, State.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class CAInUse:
    """A CA whose leaves are still good."""

    chain_hash: str
    """`bundle.chain_hash` of the intermediates that go into tls.crt after its leaves."""
    validity: times.Validity
    is_replaced: bool = False
    """Whether another CA signs in its place, so that its leaves are to be replaced, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """One authority as identities see it."""

    name: str
    trust_domain: str
    cluster_domain: str
    leaf_duration: timedelta
    leaf_min_duration: timedelta
    leaf_max_duration: timedelta
    leaf_algorithms: tuple[Algorithm, ...]
    secret_metadata_prefixes: frozenset[str]
    policy: Policy
    """Who may have which name."""
    constraints: NameConstraints
    on_not_permitted: OnNotPermitted
    fault: str | None
    """Why the authority's spec could not be read. Nothing may be judged by it then."""
    suspended: bool
    signing: CAInUse | None
    """The CA that signs; None while there is none, for the reason below."""
    why_not: tuple[Reason, str] | None
    """Why nothing can be signed now, and what to do."""
    in_use: Mapping[str, CAInUse]
    """Every CA whose leaves are good, by key id in hex."""
    bundle: bytes
    """ca.crt."""
    bundle_hash: str


def of(authority: Authority, ledger: Ledger | None, *, why_not: tuple[Reason, str] | None = None) -> Trust:
    """Work out what an authority offers. `why_not` says that it cannot sign whatever the ledger holds."""
    active = ledger.active(Role.ISSUING) if ledger else None
    in_use = {ca.key_id: _in_use(ca) for ca in ledger.of(Role.ISSUING) if ca.state in _IN_USE} if ledger else {}
    pem = bundle.merge(trusted_roots(ledger)) if ledger else b""
    if active is None and why_not is None:
        why_not = (Reason.PREPARING, "its CA is being made")
    leaf = authority.spec.leaf
    return Trust(
        name=authority.name,
        trust_domain=authority.spec.trust_domain,
        cluster_domain=authority.spec.cluster_domain,
        leaf_duration=times.parse_duration(leaf.duration),
        leaf_min_duration=times.parse_duration(leaf.min_duration),
        leaf_max_duration=times.parse_duration(leaf.max_duration),
        leaf_algorithms=leaf.algorithms,
        secret_metadata_prefixes=frozenset(leaf.secret_metadata_prefixes),
        policy=_policy(authority.name, authority.spec),
        constraints=constraints.compiled(authority.spec.name_constraints)[0],
        on_not_permitted=authority.spec.on_not_permitted,
        fault=authority.fault,
        suspended=authority.spec.suspend,
        signing=in_use[active.key_id] if active and why_not is None else None,
        why_not=why_not,
        in_use=in_use,
        bundle=pem,
        bundle_hash=bundle.content_hash(pem),
    )


def _policy(name: str, spec: AuthoritySpec) -> Policy:
    return Policy(
        authority=name,
        trust_domain=spec.trust_domain,
        cluster_domain=spec.cluster_domain,
        selector=spec.namespace_selector,
        permits=permits.compiled(spec.permits)[0],
    )


def _in_use(ca: CAGeneration) -> CAInUse:
    certificate = x509.load_pem_x509_certificate(ca.certificate.encode())
    return CAInUse(
        chain_hash=bundle.chain_hash([certificate]),
        is_replaced=ca.state == State.RETIRING,
        validity=times.Validity(not_before=certificate.not_valid_before_utc, not_after=certificate.not_valid_after_utc),
    )
