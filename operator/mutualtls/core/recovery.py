"""Rebuild a lost ledger from what is there: CA Secrets, the authority's status, and the leaves in managed Secrets.

A CA says which one it is: its subject carries role and number. One of an outside PKI does not, and goes by the name of
its Secret, which holds what stands above it, too. What cannot be known is taken at its safest: every CA may have signed
the longest leaf a moment ago.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from cryptography import x509

from mutualtls.core import generations, issue, times
from mutualtls.core.authority import Authority, AuthorityStatus
from mutualtls.core.errors import UNREADABLE, AuthorityError
from mutualtls.core.gates import Leaf
from mutualtls.core.generations import CAId
from mutualtls.core.ledger import SIGNING, CAGeneration, Compromise, Ledger, Role, State
from mutualtls.core.orders import Phase
from mutualtls.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What tells that an authority has had CAs."""

    believed: tuple[tuple[CAId, x509.Certificate], ...] = ()
    """CAs that are believed, with the number they go by: of CA Secrets, then of the ledger; without one, the status."""
    above: tuple[x509.Certificate, ...] = ()
    """Intermediates of an outside PKI, of CA Secrets and of the ledger."""
    roots: tuple[x509.Certificate, ...] = ()
    """Roots of an outside PKI, of the Secrets of CAs under them, in the order of these."""
    claimed: tuple[x509.Certificate, ...] = ()
    """Certificates of CAs from where others may write, too: the Secrets of identities, and a status beside a ledger."""
    with_key: frozenset[CAId] = frozenset()
    """CAs whose Secrets hold their keys."""
    buried: frozenset[CAId] = frozenset()
    """CAs in whose place there is a tombstone."""
    leaves: Mapping[str, datetime] = field(default_factory=dict)
    """For each key id of a CA, the end of the last leaf of it that was seen."""
    bundles: tuple[tuple[x509.Certificate, ...], ...] = ()
    """Each bundle that there is in Secrets of identities, and in copies beside them."""
    compromised: tuple[Compromise, ...] = ()
    """What the ledger before has noted for good."""
    additional_roots: Mapping[str, str] = field(default_factory=dict)
    """Roots of others in the ledger before: where they came from cannot always be read again."""

    @property
    def is_empty(self) -> bool:
        """Whether there is none: the authority never had a CA."""
        return not (self.believed or self.with_key or self.buried or self.leaves or self.published)

    @property
    def published(self) -> frozenset[x509.Certificate]:
        """Roots of ours that somebody is given to trust."""
        return frozenset(one for bundle in self.bundles for one in bundle if generations.identify(one) is not None)


_Known = Mapping[CAId, x509.Certificate]


def rebuilt(authority: Authority, evidence: Evidence, *, now: datetime) -> Ledger:
    """Make the ledger that explains the evidence.

    The newest issuing CA with a key signs, or the newest of all; and its root. Where two roots could sign, what
    identities carry says how far the replacing was. What else has a key or living leaves stays trusted until none of
    its leaves can live; not so a root that is compromised and whose time is past. What no certificate tells is taken
    over from the ledger before, if there is one.

    Raises:
        AuthorityError: a CA Secret is unreadable, or a CA is known only from Secrets that others may write.
    """
    known = _known(evidence, confirmed=authority.orders.abandon)
    states = _states(authority, known, evidence, now)
    longest = now + times.parse_duration(authority.spec.leaf.max_duration)
    ledger = Ledger(
        authority_uid=authority.uid,
        revision=authority.status.revision,
        compromised=evidence.compromised,
        additional_roots=dict(evidence.additional_roots),
    )
    for found in sorted(known.keys() | evidence.buried, key=lambda found: (found[0] != Role.ROOT, found[1])):
        blank = CAGeneration(role=found[0], number=found[1], state=State.GONE, since=now)
        way_up = _way_up(known, found, evidence) if found[0] == Role.ISSUING and found in known else None
        issuer, further = way_up or (None, ())
        if found in evidence.buried:
            blank = msgspec.structs.replace(blank, issuer=issuer[1] if issuer else None)
            is_read = found in known
            ledger = ledger.put(generations.described(blank, known[found], State.GONE) if is_read else blank)
            continue
        until = max(longest, *_ends_seen(known, found, evidence, now)) + timedelta(hours=1)
        is_outside = generations.identify(known[found]) is None
        is_keyless = is_outside and found[0] == Role.ROOT and found not in evidence.with_key
        has_signed = not is_keyless or issue.key_id(known[found]) in evidence.leaves
        described = msgspec.structs.replace(
            generations.described(blank, known[found], states[found], further=further),
            issuer=issuer[1] if issuer else None,
            signs_until=times.whole(until) if has_signed else None,
            is_outside=is_outside,
            is_keyless=is_keyless,
        )
        ledger = ledger.put(described)
    return ledger


def _states(authority: Authority, known: _Known, evidence: Evidence, now: datetime) -> dict[CAId, State]:
    """Say which state each CA is in that has not been buried."""
    issuing = _newest(known, evidence, Role.ISSUING)
    root = _issuer(known, issuing, evidence) if issuing else _newest(known, evidence, Role.ROOT)
    living = [found for found in known if found not in evidence.buried]
    states = {found: State.ACTIVE if found in {issuing, root} else _retired(found, evidence) for found in living}
    told = (*authority.orders.compromised, *evidence.compromised)
    out = {one for one in living if one != root and one[0] == Role.ROOT and _is_out(known[one], told, now)}
    states |= {found: State.GONE for found in living if found in out or _issuer(known, found, evidence) in out}
    if root is None or (other := _other(known, evidence, root, now)) is None:
        return states
    older, newer = sorted((root, other))
    phase = _phase(known, evidence, older, newer, now)
    if _is_out(known[older], told, now):
        phase = Phase.RETIRING
    elif _is_out(known[newer], told, now):
        phase = Phase.REMOVING
    of_older, of_newer = _ROOT_STATES[phase]
    signing = {older: of_older, newer: of_newer}
    for one, state in signing.items():
        under = [found for found in living if found[0] == Role.ISSUING and _issuer(known, found, evidence) == one]
        for found in under:
            states[found] = state if state == State.WITHDRAWN else _retired(found, evidence)
        if state in SIGNING and (signer := _newest_of(under, evidence)) is not None:
            states[signer] = state
        states[one] = state
    return states


_ROOT_STATES = {
    Phase.PUBLISHING: (State.ACTIVE, State.PUBLISHED),
    Phase.SIGNING: (State.RETIRING, State.ACTIVE),
    Phase.RETIRING: (State.WITHDRAWN, State.ACTIVE),
    Phase.REMOVING: (State.ACTIVE, State.WITHDRAWN),
}
"""States of the older and of the newer root in a phase."""


def _other(known: _Known, evidence: Evidence, root: CAId, now: datetime) -> CAId | None:
    """Find the newest other root that could sign, by its own key or that of an issuing CA.

    One before `root` counts that only has leaves, too: consumers may trust it alone, so that `root` is published first.
    One that some bundle holds comes before those that none does: a key of a root that was rolled back may be there.
    """
    signers = {found: found if found[0] == Role.ROOT else _issuer(known, found, evidence) for found in known}
    usable = {signers[found] for found in evidence.with_key if found in known}
    with_leaf = {found for found in signers if evidence.leaves.get(issue.key_id(known[found]), now) > now}
    before = {one for found in with_leaf if (one := signers[found]) is not None and one < root}
    others = usable | before if root in usable else usable
    found = [one for one in others if one is not None and one != root]
    published = [one for one in found if any(known[one] in bundle for bundle in evidence.bundles)]
    return max(published or found, default=None)


def _phase(known: _Known, evidence: Evidence, older: CAId, newer: CAId, now: datetime) -> Phase:
    """Tell from what identities carry how far the replacing of a root was, at its safest.

    The newer one signs where it has signed, and every bundle holds both; also where one lacks the older already. One
    that is in no bundle is taken out again. Else its publishing starts anew.
    """
    holds = [(known[older] in bundle, known[newer] in bundle) for bundle in evidence.bundles]
    under = (found for found in known if found[0] == Role.ISSUING and _issuer(known, found, evidence) == newer)
    key_ids = [issue.key_id(known[found]) for found in (newer, *under)]
    has_signed = any(evidence.leaves.get(key_id, now) > now for key_id in key_ids)
    if has_signed and holds and all(both == (True, True) for both in holds):
        return Phase.SIGNING
    if (False, True) in holds:
        return Phase.RETIRING
    if holds and not has_signed and not any(has_newer for _, has_newer in holds):
        return Phase.REMOVING
    return Phase.PUBLISHING


def _is_out(root: x509.Certificate, told: Iterable[Compromise], now: datetime) -> bool:
    """Tell whether a root is compromised and had to be out of trust by now."""
    fingerprint = generations.fingerprint(root)
    return any(one.by is not None and one.by <= now for one in told if one.fingerprint == fingerprint)


def _newest_of(found: Iterable[CAId], evidence: Evidence) -> CAId | None:
    return max((one for one in found if one in evidence.with_key), default=None)


def _known(evidence: Evidence, *, confirmed: frozenset[str]) -> _Known:
    """Tell which certificate is which CA's. Of two for one CA the operator's own counts.

    One of an outside PKI says nothing of itself. It goes by the name of its Secret, and a root that has none by the
    first number that no Secret has.

    What only identities' Secrets claim is taken where it is signed by, or signed, a CA that is known otherwise, or
    where an order names its root: whoever may write a Secret could else plant a root into every bundle. Nor can they
    hold an authority up that still has a key: leaves of unknown CAs count only where there is none.
    """
    known: dict[CAId, x509.Certificate] = {}
    for found, certificate in evidence.believed:
        known.setdefault(generations.identify(certificate) or found, certificate)
    for root in evidence.roots:
        if root not in known.values():
            known[_free_root(known.keys() | evidence.with_key | evidence.buried)] = root
    unreadable = evidence.with_key - known.keys()
    if unreadable:
        names = ", ".join(sorted(f"{role} {number}" for role, number in unreadable))
        raise AuthorityError(
            Reason.CA_UNREADABLE, f"the Secret of {names} holds no CA of ours: restore it from a backup"
        )
    claimed = (*evidence.claimed, *evidence.published)
    claims = {claim: one for claim in claimed if (one := generations.identify(claim))}
    for claim, found in sorted(claims.items(), key=lambda item: item[1][0] != Role.ROOT):
        is_confirmed = found[0] == Role.ROOT and generations.fingerprint(claim) in confirmed
        if is_confirmed or any(_is_signed(claim, one) or _is_signed(one, claim) for one in known.values()):
            known.setdefault(found, claim)
    unknown = evidence.leaves.keys() - {issue.key_id(certificate) for certificate in known.values()}
    is_all_that_is_left = evidence.published and not known and not evidence.buried
    if (unknown or is_all_that_is_left) and not evidence.with_key:
        roots = sorted(generations.fingerprint(claim) for claim, found in claims.items() if found[0] == Role.ROOT)
        raise AuthorityError(
            Reason.LEDGER_LOST,
            "ledger, CA Secrets and status are gone, but there are certificates or bundles: restore them from a "
            "backup, or give the CA up for good by the annotation mutualtls.dev/abandon, its root: "
            f"{', '.join(roots) or 'unknown'}",
        )
    return known


def _free_root(taken: Container[CAId]) -> CAId:
    return next((Role.ROOT, number) for number in itertools.count(1) if (Role.ROOT, number) not in taken)


def _is_signed(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except UNREADABLE:
        return False
    return True


def _ends_seen(known: _Known, found: CAId, evidence: Evidence, now: datetime) -> list[datetime]:
    """List the ends of the last leaves of a CA, of a root by way of its issuing CAs."""
    signers = [found] if found[0] == Role.ISSUING else [one for one in known if _issuer(known, one, evidence) == found]
    return [now, *(evidence.leaves.get(issue.key_id(known[signer]), now) for signer in signers)]


def explains(ledger: Ledger, found: Iterable[CAId], status: AuthorityStatus) -> bool:
    """Tell whether a ledger knows of every CA that there are signs of. One that does not is as good as lost.

    Signs are CA Secrets, and what the status tells of, as far as a root of the ledger has signed it: whoever may write
    a status could else plant a root into every bundle.
    """
    roots = [one for ca in ledger.of(Role.ROOT) for one in certificates_in(ca.certificate.encode())]
    told = [one for ca in status.generations for one in certificates_in(ca.certificate.encode())]
    confirmed = {generations.identify(one) for one in told if any(_is_signed(one, root) for root in roots)}
    is_of_now = ledger.revision >= status.revision
    return is_of_now and {*found, *confirmed} - {None} <= {(ca.role, ca.number) for ca in ledger.generations}


def unexplained(ledger: Ledger, leaves: Iterable[Leaf]) -> tuple[CAGeneration, Leaf] | None:
    """Find a leaf that the ledger says cannot be: of a CA that has not signed yet, or later than it signed.

    Where it really is of that CA, the ledger was restored from a backup.
    """
    by_key_id = {ca.key_id: ca for ca in ledger.generations if ca.key_id and ca.state != State.GONE}
    for leaf in leaves:
        ca = by_key_id.get(leaf.issuer_key_id or "")
        if (
            ca is not None
            and leaf.not_after is not None
            and (ca.signs_until is None or leaf.not_after > ca.signs_until)
        ):
            return ca, leaf
    return None


def is_leaf_of(pem: bytes, ca: CAGeneration, *, later_than: datetime | None) -> bool:
    """Tell whether the first certificate of a PEM file is signed by a CA, and ends later than a moment."""
    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except UNREADABLE:
        return False
    is_late = later_than is None or leaf.not_valid_after_utc > later_than
    return is_late and _is_signed(leaf, x509.load_pem_x509_certificate(ca.certificate.encode()))


def _newest(known: _Known, evidence: Evidence, role: Role) -> CAId | None:
    """Choose the CA that signs: one whose root is known, and that has its key, if there is any such."""
    of_role = [found for found in known if found[0] == role and found not in evidence.buried]
    rooted = [found for found in of_role if role == Role.ROOT or _issuer(known, found, evidence)]
    with_key = [found for found in rooted if found in evidence.with_key]
    return max(with_key or rooted or of_role, default=None)


def _issuer(known: _Known, found: CAId, evidence: Evidence) -> CAId | None:
    """Find the root that an issuing CA is under."""
    way_up = _way_up(known, found, evidence)
    return way_up[0] if way_up else None


def _way_up(known: _Known, found: CAId, evidence: Evidence) -> tuple[CAId, tuple[x509.Certificate, ...]] | None:
    """Find the root that an issuing CA is under, and the intermediates between the two. Signatures prove it."""
    roots = [one for one in known if one[0] == Role.ROOT and one != found]
    path = [known[found]]
    while True:
        root = next((one for one in roots if _is_signed(path[-1], known[one])), None)
        if root is not None:
            return root, tuple(path[1:])
        others = (one for one in (*evidence.above, *evidence.claimed) if one not in path)
        issuer = next((one for one in others if _is_signed(path[-1], one)), None)
        if issuer is None:
            return None
        path.append(issuer)


def _retired(found: CAId, evidence: Evidence) -> State:
    return State.RETIRING if found in evidence.with_key else State.LOST


def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the CAs among the certificates of a PEM file; nothing where it is none."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except UNREADABLE:
        return ()
    return tuple(certificate for certificate in found if _is_ca(certificate))


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        issue.key_id(certificate)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    return constraints.ca
