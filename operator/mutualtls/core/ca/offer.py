"""What an authority offers now, as identities see it: who signs, which CAs are in use, which roots to trust.

It is derived from the authority's spec and its ledger alone, and holds no key.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from mutualtls.core import digests, times
from mutualtls.core.api.algorithms import Algorithm
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_spec import OnNotPermitted, Retire, TrustSpec
from mutualtls.core.api.states import TRUSTED, Role, State
from mutualtls.core.bundles import bundle
from mutualtls.core.ca import generations, rotation_state
from mutualtls.core.ca.ledger import CAGeneration, Ledger, trusted_roots
from mutualtls.core.names.constraints import NameConstraints
from mutualtls.core.names.policy import Policy
from mutualtls.core.pki import name_constraints, verifiers
from mutualtls.core.pki.certificates import UNREADABLE
from mutualtls.core.reasons import Reason, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class CAInUse:
    """A CA whose leaves are still good."""

    chain_hash: str
    """`bundle.chain_hash` of the intermediates that go into tls.crt after its leaves."""
    validity: times.Validity
    """Its own, up to the first end of a CA above it. No leaf ends later."""
    certificate: x509.Certificate
    constraints: tuple[NameConstraints, ...] = ()
    """Those in its certificate and in that of each CA above it, as far as there are any."""
    is_replaced: bool = False
    """Whether its leaves are to be replaced now, as another CA signs in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
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
    """Those of the spec."""
    above: tuple[NameConstraints, ...]
    """What the CA that signs, and each above it, constrain in their certificates."""
    on_not_permitted: OnNotPermitted
    fault: str | None
    """Why the authority's spec of now cannot be read. What is new waits until it can."""
    has_spec: bool
    """Whether all else here is by a spec that could be read, be it the last good one. Else nothing may be judged by it,
    nothing be published, and nothing removed."""
    suspended: bool
    pace: int | None
    """How many leaves a second are made that many need at once; None: as many as can be."""
    signing: CAInUse | None
    """The CA that signs; None while there is none, for the reason below."""
    why_not: Refusal | None
    """Why nothing can be signed now, and what to do."""
    in_use: Mapping[str, CAInUse]
    """Every CA whose leaves are good, by key id in hex."""
    bundle: bytes
    """ca.crt."""
    bundle_hash: str
    copies: TrustSpec
    """Where else the bundle goes."""


def of(authority: Authority, ledger: Ledger | None, *, why_not: Refusal | None = None) -> Offer:
    """Work out what an authority offers. `why_not` says that it cannot sign whatever the ledger holds."""
    known = ledger or Ledger(authority_uid=authority.uid)
    active = _signer(authority, known)
    in_use = {ca.key_id: _in_use(ca, authority, known) for ca in known.generations if _is_in_use(ca)}
    pem = bundle.merge(trusted_roots(ledger)) if ledger and authority.has_spec else b""
    if active is None and why_not is None:
        why_not = Refusal(Reason.PREPARING, "its CA is being made")
    leaf = authority.spec.leaf
    return Offer(
        name=authority.name,
        trust_domain=authority.spec.trust_domain,
        cluster_domain=authority.spec.cluster_domain,
        leaf_duration=authority.durations.leaf,
        leaf_min_duration=authority.durations.leaf_min,
        leaf_max_duration=authority.durations.leaf_max,
        leaf_algorithms=leaf.algorithms,
        secret_metadata_prefixes=frozenset(leaf.secret_metadata_prefixes),
        policy=_policy(authority),
        constraints=authority.compiled.constraints,
        above=in_use[active.key_id].constraints if active is not None and active.key_id in in_use else (),
        on_not_permitted=authority.spec.on_not_permitted,
        fault=authority.fault,
        has_spec=authority.has_spec,
        suspended=authority.is_suspended,
        pace=None if rotation_state.is_emergency(known) else authority.spec.rotation.pace,
        signing=in_use[active.key_id] if active and why_not is None else None,
        why_not=why_not,
        in_use=in_use,
        bundle=pem,
        bundle_hash=digests.content_hash(pem),
        copies=authority.spec.trust,
    )


def as_told(authority: Authority) -> Offer:
    """Work out what an authority offers by what its status tells of its CAs, where the ledger is not at hand.

    What stands between a CA and its root is not told, nor what that constrains.
    """
    pem = "".join(ca.certificate for ca in authority.status.generations if ca.state == State.ACTIVE)
    try:
        read = _read(pem) if pem else ()
    except UNREADABLE:
        read = ()
    return replace(of(authority, None), above=tuple(found for _, found in read if not found.is_empty))


def _policy(authority: Authority) -> Policy:
    spec = authority.spec
    return Policy(
        authority=authority.name,
        trust_domain=spec.trust_domain,
        cluster_domain=spec.cluster_domain,
        selector=spec.namespace_selector,
        permits=authority.compiled.permits,
    )


def _signer(authority: Authority, ledger: Ledger) -> CAGeneration | None:
    """Find the generation that signs leaves: an issuing CA, or the root where there is to be none."""
    issuing, root = ledger.active(Role.ISSUING), ledger.active(Role.ROOT)
    signs_itself = root is not None and not generations.is_tiered(authority, root)
    return root if signs_itself and issuing is None else issuing


def _is_in_use(ca: CAGeneration) -> bool:
    has_signed = ca.signs_until is not None  # before its key was taken elsewhere
    return ca.state in TRUSTED and ca.certificate != "" and (not ca.is_keyless or has_signed)


def _in_use(ca: CAGeneration, authority: Authority, ledger: Ledger) -> CAInUse:
    of_chain = _read(ca.certificate + ca.chain)
    chain = [certificate for certificate, _ in of_chain]
    root = ledger.find(Role.ROOT, ca.issuer) if ca.issuer is not None else None
    above = _read(root.certificate) if root is not None and root.certificate else ()
    return CAInUse(
        chain_hash=bundle.chain_hash(chain if ca.role == Role.ISSUING else []),
        certificate=chain[0],
        constraints=tuple(found for _, found in (*of_chain, *above) if not found.is_empty),
        is_replaced=_are_leaves_replaced(ca, authority, ledger),
        validity=times.Validity(not_before=chain[0].not_valid_before_utc, not_after=_end(chain, ca, ledger)),
    )


@functools.lru_cache(maxsize=256)
def _read(pem: str) -> tuple[tuple[x509.Certificate, NameConstraints], ...]:
    """Read certificates, and what each constrains: once, as an authority is looked at many times."""
    found = x509.load_pem_x509_certificates(pem.encode())
    return tuple((one, name_constraints.read(one, by=verifiers.name(one))) for one in found)


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
    return authority.spec.rotation.retire is Retire.AFTER_REPLACEMENT or rotation_state.is_emergency(ledger)
