"""What an authority offers now, as identities see it: who signs, which CAs are in use, which roots to trust.

It is derived from the authority's spec and its ledger alone, and holds no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from mutualtls.core import bundle, constraints, generations, permits, phases, times
from mutualtls.core.authority import Authority, AuthoritySpec, OnNotPermitted, Retire, TrustSpec
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
    """Its own, up to the first end of a CA above it. No leaf ends later."""
    is_replaced: bool = False
    """Whether its leaves are to be replaced now, as another CA signs in its place."""


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
    pace: int | None
    """How many leaves a second are made anew because their CA was replaced; None: as many as can be."""
    signing: CAInUse | None
    """The CA that signs; None while there is none, for the reason below."""
    why_not: tuple[Reason, str] | None
    """Why nothing can be signed now, and what to do."""
    in_use: Mapping[str, CAInUse]
    """Every CA whose leaves are good, by key id in hex."""
    bundle: bytes
    """ca.crt."""
    bundle_hash: str
    copies: TrustSpec
    """Where else the bundle goes."""


def of(authority: Authority, ledger: Ledger | None, *, why_not: tuple[Reason, str] | None = None) -> Trust:
    """Work out what an authority offers. `why_not` says that it cannot sign whatever the ledger holds."""
    known = ledger or Ledger(authority_uid=authority.uid)
    active = _signer(authority, known)
    in_use = {ca.key_id: _in_use(ca, authority, known) for ca in known.generations if _is_in_use(ca)}
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
        pace=None if phases.is_hasty(known) else authority.spec.rotation.pace,
        signing=in_use[active.key_id] if active and why_not is None else None,
        why_not=why_not,
        in_use=in_use,
        bundle=pem,
        bundle_hash=bundle.content_hash(pem),
        copies=authority.spec.trust,
    )


def _policy(name: str, spec: AuthoritySpec) -> Policy:
    return Policy(
        authority=name,
        trust_domain=spec.trust_domain,
        cluster_domain=spec.cluster_domain,
        selector=spec.namespace_selector,
        permits=permits.compiled(spec.permits)[0],
    )


def _signer(authority: Authority, ledger: Ledger) -> CAGeneration | None:
    """Find the generation that signs leaves: an issuing CA, or the root where there is to be none."""
    issuing, root = ledger.active(Role.ISSUING), ledger.active(Role.ROOT)
    signs_itself = root is not None and not generations.is_tiered(authority, root)
    return root if signs_itself and issuing is None else issuing


def _is_in_use(ca: CAGeneration) -> bool:
    has_signed = ca.signs_until is not None  # before its key was taken elsewhere
    return ca.state in _IN_USE and ca.certificate != "" and (not ca.is_keyless or has_signed)


def _in_use(ca: CAGeneration, authority: Authority, ledger: Ledger) -> CAInUse:
    chain = x509.load_pem_x509_certificates((ca.certificate + ca.chain).encode())
    return CAInUse(
        chain_hash=bundle.chain_hash(chain if ca.role == Role.ISSUING else []),
        is_replaced=_are_leaves_replaced(ca, authority, ledger),
        validity=times.Validity(not_before=chain[0].not_valid_before_utc, not_after=_end(chain, ca, ledger)),
    )


def _end(chain: Iterable[x509.Certificate], ca: CAGeneration, ledger: Ledger) -> datetime:
    """Tell when the first CA ends on the way up to the root: in an outside PKI it need not be the one that signs."""
    root = ledger.find(Role.ROOT, ca.issuer) if ca.issuer is not None else None
    ends = [one.not_valid_after_utc for one in chain]
    return min([*ends, root.not_after] if root is not None and root.not_after is not None else ends)


def _are_leaves_replaced(ca: CAGeneration, authority: Authority, ledger: Ledger) -> bool:
    """Tell whether leaves of a CA that signs no more are replaced at once, or each when its time comes.

    Those of an issuing CA are when another one signs under its root. Those of a root that goes, whatever became of its
    issuing CAs, only where that is waited for.
    """
    root = ledger.find(Role.ROOT, ca.issuer or ca.number)
    if root is None or root.state != State.RETIRING:
        return ca.state == State.RETIRING and root is not None and root.state == State.ACTIVE
    return authority.spec.rotation.retire is Retire.AFTER_REPLACEMENT or phases.is_hasty(ledger)
