"""Rebuild a lost ledger from what is there: CA Secrets, the authority's status, and the leaves in managed Secrets.

A CA says which one it is: its subject carries role and number. What cannot be known is taken at its safest: every CA
may have signed the longest leaf a moment ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mutualtls.core import issue, rotation, times
from mutualtls.core.authority import Authority, AuthorityStatus
from mutualtls.core.errors import AuthorityError
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import CAId


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What tells that an authority has had CAs."""

    certificates: tuple[x509.Certificate, ...] = ()
    """Certificates of CAs that are believed: those of CA Secrets first, then of the ledger; without one, the status."""
    claimed: tuple[x509.Certificate, ...] = ()
    """Certificates of CAs from where others may write, too: the Secrets of identities, and a status beside a ledger."""
    with_key: frozenset[CAId] = frozenset()
    """CAs whose Secrets hold their keys."""
    buried: frozenset[CAId] = frozenset()
    """CAs in whose place there is a tombstone."""
    leaves: Mapping[str, datetime] = field(default_factory=dict)
    """For each key id of a CA, the end of the last leaf of it that was seen."""

    @property
    def is_empty(self) -> bool:
        """Whether there is none: the authority never had a CA."""
        return not (self.certificates or self.with_key or self.buried or self.leaves)


_Known = Mapping[CAId, x509.Certificate]


def rebuilt(authority: Authority, evidence: Evidence, *, now: datetime) -> Ledger:
    """Make the ledger that explains the evidence.

    The newest issuing CA with a key signs, or the newest of all; and its root. What else has a key or living leaves
    stays trusted until none of its leaves can live.

    Raises:
        AuthorityError: a CA Secret is unreadable, or a CA is known only from Secrets that others may write.
    """
    known = _known(evidence, confirmed=authority.abandon)
    issuing = _newest(known, evidence, Role.ISSUING)
    root = _issuer(known, issuing) if issuing else _newest(known, evidence, Role.ROOT)
    longest = now + times.parse_duration(authority.spec.leaf.max_duration)
    ledger = Ledger(authority_uid=authority.uid)
    for found in sorted(known.keys() | evidence.buried, key=lambda found: (found[0] != Role.ROOT, found[1])):
        announced = CAGeneration(role=found[0], number=found[1], state=State.GONE)
        if found in evidence.buried:
            ledger = ledger.put(announced)
            continue
        state = State.ACTIVE if found in {issuing, root} else _retired(found, evidence)
        issuer = _issuer(known, found) if found[0] == Role.ISSUING else None
        until = max(longest, *_ends_seen(known, found, evidence, now)) + timedelta(hours=1)
        described = rotation.described(announced, known[found], state)
        ledger = ledger.put(
            msgspec.structs.replace(described, issuer=issuer[1] if issuer else None, signs_until=times.whole(until))
        )
    return ledger


def _known(evidence: Evidence, *, confirmed: frozenset[str]) -> _Known:
    """Tell which certificate is which CA's. Of two for one CA the operator's own counts.

    What only identities' Secrets claim is taken where it is signed by, or signed, a CA that is known otherwise, or
    where an order names its root: whoever may write a Secret could else plant a root into every bundle. Nor can they
    hold an authority up that still has a key: leaves of unknown CAs count only where there is none.
    """
    known: dict[CAId, x509.Certificate] = {}
    for certificate in evidence.certificates:
        if found := rotation.identify(certificate):
            known.setdefault(found, certificate)
    unreadable = evidence.with_key - known.keys()
    if unreadable:
        names = ", ".join(sorted(f"{role} {number}" for role, number in unreadable))
        raise AuthorityError(
            Reason.CA_UNREADABLE, f"the Secret of {names} holds no CA of ours: restore it from a backup"
        )
    claims = {claim: found for claim in evidence.claimed if (found := rotation.identify(claim))}
    for claim, found in sorted(claims.items(), key=lambda item: item[1][0] != Role.ROOT):
        is_confirmed = found[0] == Role.ROOT and rotation.fingerprint(claim) in confirmed
        if is_confirmed or any(_is_signed(claim, one) or _is_signed(one, claim) for one in known.values()):
            known.setdefault(found, claim)
    unknown = evidence.leaves.keys() - {issue.key_id(certificate) for certificate in known.values()}
    if unknown and not evidence.with_key:
        roots = sorted(rotation.fingerprint(claim) for claim, found in claims.items() if found[0] == Role.ROOT)
        raise AuthorityError(
            Reason.LEDGER_LOST,
            "ledger, CA Secrets and status are gone, but there are certificates: restore them from a backup, or give "
            f"the CA up for good by the annotation mutualtls.dev/abandon, its root: {', '.join(roots) or 'unknown'}",
        )
    return known


def _is_signed(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _ends_seen(known: _Known, found: CAId, evidence: Evidence, now: datetime) -> list[datetime]:
    """List the ends of the last leaves of a CA, of a root by way of its issuing CAs."""
    signers = [found] if found[0] == Role.ISSUING else [one for one in known if _issuer(known, one) == found]
    return [now, *(evidence.leaves.get(issue.key_id(known[signer]), now) for signer in signers)]


def explains(ledger: Ledger, found: Iterable[CAId], status: AuthorityStatus) -> bool:
    """Tell whether a ledger knows of every CA that there are signs of. One that does not is as good as lost.

    Signs are CA Secrets, and what the status tells of, as far as a root of the ledger has signed it: whoever may write
    a status could else plant a root into every bundle.
    """
    roots = [one for ca in ledger.of(Role.ROOT) for one in certificates_in(ca.certificate.encode())]
    told = [one for ca in status.generations for one in certificates_in(ca.certificate.encode())]
    confirmed = {rotation.identify(one) for one in told if any(_is_signed(one, root) for root in roots)}
    return {*found, *confirmed} - {None} <= {(ca.role, ca.number) for ca in ledger.generations}


def _newest(known: _Known, evidence: Evidence, role: Role) -> CAId | None:
    """Choose the CA that signs: one whose root is known, and that has its key, if there is any such."""
    of_role = [found for found in known if found[0] == role and found not in evidence.buried]
    rooted = [found for found in of_role if role == Role.ROOT or _issuer(known, found)]
    with_key = [found for found in rooted if found in evidence.with_key]
    return max(with_key or rooted or of_role, default=None)


def _issuer(known: _Known, found: CAId) -> CAId | None:
    """Find the root that signed an issuing CA."""
    roots = (candidate for candidate in known if candidate[0] == Role.ROOT and candidate != found)
    return next((candidate for candidate in roots if _is_signed(known[found], known[candidate])), None)


def _retired(found: CAId, evidence: Evidence) -> State:
    return State.RETIRING if found in evidence.with_key else State.LOST


def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the CAs among the certificates of a PEM file; nothing where it is none."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        return ()
    return tuple(certificate for certificate in found if _is_ca(certificate))


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        issue.key_id(certificate)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.ca
