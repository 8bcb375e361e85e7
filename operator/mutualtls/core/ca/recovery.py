"""Rebuild a lost ledger from what is there, and above all from what nobody but operators writes.

A CA says which one it is: its subject carries role and number. One of an outside PKI does not, and goes by the name of
its Secret, which holds what stands above it, too. How far the replacing of a root was stands in the annotations of CA
Secrets and in the authority's status; the newest of these counts. Where none tells, both roots are trusted, and the one
signs that everybody surely trusts. What cannot be known is taken at its safest: every CA may have signed the longest
leaf a moment ago. What each piece of evidence may move is said in `evidence`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark
from mutualtls.core.ca.readings import Evidence, certificates_in
from mutualtls.core.ca.recovered_cas import Ends, Known, confirmed_above, known_cas, last_ends, root_above, way_up
from mutualtls.core.ca.recovered_states import noted_compromises, states_of
from mutualtls.core.ca.rollout import Leaf
from mutualtls.core.pki.certificates import UNREADABLE, is_issued_by

_SPARE = timedelta(hours=1)
"""Added to what a CA may have signed a moment ago."""


def rebuilt(authority: Authority, evidence: Evidence, *, now: datetime) -> Ledger:
    """Make the ledger that explains the evidence.

    How far the replacing of a root was is what the newest mark says. Where there is none, or a leaf lives that it says
    cannot be, the newest issuing CA with a key signs, or the newest of all; and its root; and of two roots that could
    sign the newer one where it has signed. What else has a key or living leaves stays trusted until none of its leaves
    can live; not so a root that is compromised and whose time is past. What no certificate tells is taken over from the
    ledger before, if there is one.

    Raises:
        AuthorityError: a CA Secret is unreadable, or a CA is known only from Secrets that others may write.
    """
    known = known_cas(evidence, authority)
    evidence = replace(evidence, above=(*evidence.above, *confirmed_above(known, evidence)))
    ends = last_ends(known, evidence)
    states = states_of(authority, known, evidence, ends, now=now)
    latest = now + authority.durations.leaf_max
    last = evidence.last
    ledger = Ledger(
        authority_uid=authority.uid,
        revision=max([authority.status.revision, *(mark.revision for mark in evidence.marks)]),
        is_automatic=last is None or last.is_automatic,
        compromised=noted_compromises(evidence),
        additional_roots=dict(evidence.additional_roots),
    )
    for found in sorted(known.keys() | evidence.buried, key=lambda found: (found.role != Role.ROOT, found.number)):
        blank = CAGeneration(role=found.role, number=found.number, state=State.GONE, since=now)
        if found in evidence.buried:
            ledger = ledger.put(_buried(blank, known, evidence))
        else:
            until = _signed_until(found, known, evidence, ends, latest=latest)
            ledger = ledger.put(_living(blank, states[found], known, evidence, signs_until=until))
    return ledger


def _buried(blank: CAGeneration, known: Known, evidence: Evidence) -> CAGeneration:
    """Describe a CA in whose place there is a tombstone, as far as it is known."""
    found = blank.id
    if found not in known:
        return blank
    root = root_above(known, found, evidence) if blank.role == Role.ISSUING else None
    gone = msgspec.structs.replace(blank, issuer=root[1] if root else None)
    return generations.described(gone, known[found], State.GONE)


def _living(
    blank: CAGeneration, state: State, known: Known, evidence: Evidence, *, signs_until: datetime | None
) -> CAGeneration:
    """Describe a CA that has not been buried."""
    found = blank.id
    root, intermediates = (way_up(known, found, evidence) if blank.role == Role.ISSUING else None) or (None, ())
    return msgspec.structs.replace(
        generations.described(blank, known[found], state, intermediates=intermediates),
        issuer=root[1] if root else None,
        signs_until=signs_until,
        is_outside=generations.identify(known[found]) is None,
        is_keyless=_is_keyless(found, known, evidence),
    )


def _is_keyless(found: CAId, known: Known, evidence: Evidence) -> bool:
    """Tell whether a CA is a root of an outside PKI whose key is elsewhere."""
    is_outside = generations.identify(known[found]) is None
    return is_outside and found.role == Role.ROOT and found not in evidence.with_key


def _signed_until(found: CAId, known: Known, evidence: Evidence, ends: Ends, *, latest: datetime) -> datetime | None:
    """Tell until when leaves of a CA may live, at the latest where nothing says more; None where it never signed."""
    if _is_keyless(found, known, evidence) and found not in ends:
        return None
    is_root = found.role == Role.ROOT
    signers = [found, *(one for one in known if is_root and root_above(known, one, evidence) == found)]
    until = max([latest, *(ends[one] for one in signers if one in ends)])
    return times.whole(min(until, known[found].not_valid_after_utc - _SPARE) + _SPARE)


# Which ledger is that of now


def explains(ledger: Ledger, found: Iterable[CAId], status: AuthorityStatus, *, marks: Iterable[Mark] = ()) -> bool:
    """Tell whether a ledger is of now, and knows of every CA that there are signs of. If not it is as good as lost.

    Signs are CA Secrets, and what the status tells of, as far as a root of the ledger has signed it: whoever may write
    a status could else plant a root into every bundle.
    """
    roots = [one for ca in ledger.of(Role.ROOT) for one in certificates_in(ca.certificate.encode())]
    listed = [one for ca in status.generations for one in certificates_in(ca.certificate.encode())]
    confirmed = {generations.identify(one) for one in listed if any(is_issued_by(one, root) for root in roots)}
    is_of_now = ledger.revision >= max([status.revision, *(mark.revision for mark in marks)])
    return is_of_now and {*found, *confirmed} - {None} <= {ca.id for ca in ledger.generations}


def unexplained(ledger: Ledger, leaves: Iterable[Leaf], *, most: int) -> list[tuple[CAGeneration, Leaf]]:
    """List leaves that the ledger says cannot be: of a CA that has not signed yet, or later than it signed.

    Where one really is of that CA, the ledger was restored from a backup. Anybody may claim so of a leaf of their own:
    all are looked at, `most` of each namespace at once.
    """
    by_key_id = {ca.key_id: ca for ca in ledger.generations if ca.key_id and ca.state != State.GONE}
    odd: dict[str, list[tuple[CAGeneration, Leaf]]] = defaultdict(list)
    for leaf in leaves:
        ca = by_key_id.get(leaf.issuer_key_id or "")
        of_namespace = odd[leaf.secret.namespace]
        if (
            ca is not None
            and leaf.not_after is not None
            and (ca.signs_until is None or leaf.not_after > ca.signs_until)
            and len(of_namespace) < most
        ):
            of_namespace.append((ca, leaf))
    return [one for of_namespace in odd.values() for one in of_namespace]


def is_leaf_of(pem: bytes, ca: CAGeneration, *, later_than: datetime | None) -> bool:
    """Tell whether the first certificate of a PEM file is signed by a CA, and ends later than a moment."""
    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except UNREADABLE:
        return False
    is_late = later_than is None or leaf.not_valid_after_utc > later_than
    return is_late and is_issued_by(leaf, x509.load_pem_x509_certificate(ca.certificate.encode()))
