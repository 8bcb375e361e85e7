"""Which certificate among the evidence is which CA's, which root it is under, and until when it has surely signed."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Container, Iterator, Mapping
from datetime import datetime

from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role
from mutualtls.core.ca import generations
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.errors import AuthorityError
from mutualtls.core.model import labels
from mutualtls.core.pki import certificates, issue
from mutualtls.core.pki.certificates import UNREADABLE, is_issued_by
from mutualtls.core.reasons import Reason

Known = Mapping[CAId, x509.Certificate]
"""Which certificate is which CA's."""
Ends = Mapping[CAId, datetime]
"""When the last leaf of each CA ends."""


def known_cas(evidence: Evidence, authority: Authority) -> Known:
    """Tell which certificate is which CA's. Of two for one CA the operator's own counts.

    One of an outside PKI says nothing of itself. It goes by the name of its Secret, and a root that has none by the
    number that a mark gives it, or the first that no Secret has.

    What only identities' Secrets claim is taken where a CA that is known otherwise has signed it; a root where it has
    signed one, or where an order names it: whoever may write a Secret could else plant a root into every bundle. Nor
    can they hold an authority up that has a key, or that nobody has served: leaves of unknown CAs do not count there.
    """
    known: dict[CAId, x509.Certificate] = {}
    for found, certificate in evidence.believed:
        known.setdefault(generations.identify(certificate) or found, certificate)
    known.update(_named_roots(evidence, known))
    unreadable = evidence.with_key - known.keys()
    if unreadable:
        names = ", ".join(sorted(f"{role} {number}" for role, number in unreadable))
        raise AuthorityError(
            Reason.CA_UNREADABLE, f"the Secret of {names} holds no CA of ours: restore it from a backup"
        )
    owners = {authority.uid, *map(generations.owner, known.values())}
    for root in evidence.published:
        named = generations.identify(root)
        if named is not None and generations.owner(root) in owners:
            known.setdefault(named, root)
    for claim, found in evidence.claims.items():
        if _is_confirmed(claim, found, known.values(), abandoned=authority.orders.abandon):
            known.setdefault(found, claim)
    if not evidence.with_key and evidence.is_owned:
        _refuse_unknown(known, evidence)
    return known


def _named_roots(evidence: Evidence, known: Known) -> Iterator[tuple[CAId, x509.Certificate]]:
    """Give the roots of an outside PKI their numbers."""
    marked = {one.fingerprint: CAId(Role.ROOT, one.number) for mark in evidence.marks for one in mark.roots}
    given = {*known, *evidence.with_key, *evidence.buried}
    published = [root for root in evidence.published if certificates.fingerprint(root) in marked]
    seen = set(known.values())
    for root in (*evidence.roots, *published):
        if root in seen:
            continue
        seen.add(root)
        found = marked.get(certificates.fingerprint(root))
        found = found if found is not None and found not in given else _free_root(given)
        given.add(found)
        yield found, root


def _is_confirmed(
    claim: x509.Certificate, found: CAId, known: Collection[x509.Certificate], *, abandoned: Container[str]
) -> bool:
    """Tell whether signatures, or an order, prove what others may have written."""
    if found.role == Role.ISSUING:
        return any(is_issued_by(claim, one) for one in known)
    is_named = certificates.fingerprint(claim) in abandoned
    return is_issued_by(claim, claim) and (is_named or any(is_issued_by(one, claim) for one in known if one != claim))


def _refuse_unknown(known: Known, evidence: Evidence) -> None:
    """Make nothing where there are certificates of CAs of which nothing else is left."""
    claims = evidence.claims
    key_ids = {certificates.key_id(certificate) for certificate in known.values()}
    is_unknown = any(_issuer_key_id(leaf) not in key_ids for leaf in evidence.leaves) or evidence.ends.keys() - key_ids
    is_all_that_is_left = claims and not known and not evidence.buried
    if is_unknown or is_all_that_is_left:
        roots = sorted(certificates.fingerprint(claim) for claim, found in claims.items() if found.role == Role.ROOT)
        raise AuthorityError(
            Reason.LEDGER_LOST,
            "ledger, CA Secrets and status are gone, but there are certificates or bundles: restore them from a "
            f"backup, or give the CA up for good by the annotation {labels.ABANDON}, its root: "
            f"{', '.join(roots) or 'unknown'}",
        )


def _free_root(taken: Container[CAId]) -> CAId:
    return next(CAId(Role.ROOT, number) for number in itertools.count(1) if CAId(Role.ROOT, number) not in taken)


def root_above(known: Known, found: CAId, evidence: Evidence) -> CAId | None:
    """Find the root that an issuing CA is under."""
    way = way_up(known, found, evidence)
    return way[0] if way else None


def way_up(known: Known, found: CAId, evidence: Evidence) -> tuple[CAId, tuple[x509.Certificate, ...]] | None:
    """Find the root that an issuing CA is under, and the intermediates between the two. Signatures prove it."""
    roots = [one for one in known if one[0] == Role.ROOT and one != found]
    path = [known[found]]
    while True:
        root = next((one for one in roots if is_issued_by(path[-1], known[one])), None)
        if root is not None:
            return root, tuple(path[1:])
        others = (one for one in evidence.above if one not in path)
        issuer = next((one for one in others if is_issued_by(path[-1], one)), None)
        if issuer is None:
            return None
        path.append(issuer)


def confirmed_above(known: Known, evidence: Evidence) -> list[x509.Certificate]:
    """List the intermediates of an outside PKI in the Secrets of identities, as far as a known root is above them."""
    signers = [certificate for found, certificate in known.items() if found.role == Role.ROOT]
    open_claims = {one for one in evidence.claimed if generations.identify(one) is None and one not in signers}
    confirmed: list[x509.Certificate] = []
    while signers:
        signers = [one for one in open_claims if any(is_issued_by(one, signer) for signer in signers)]
        open_claims -= set(signers)
        confirmed += signers
    return confirmed


def last_ends(known: Known, evidence: Evidence) -> dict[CAId, datetime]:
    """Tell of each CA when the last leaf ends that is surely of it: by its signature, or an identity's status."""
    by_key_id = {certificates.key_id(certificate): found for found, certificate in known.items()}
    ends: dict[CAId, datetime] = {}
    proven = [(by_key_id[key_id], end) for key_id, end in evidence.ends.items() if key_id in by_key_id]
    for leaf in evidence.leaves:
        found = by_key_id.get(_issuer_key_id(leaf))
        if found is not None and is_issued_by(leaf, known[found]):
            proven.append((found, leaf.not_valid_after_utc))
    for found, said in proven:
        end = min(said, known[found].not_valid_after_utc)
        ends[found] = max(ends.get(found, end), end)
    return ends


def _issuer_key_id(leaf: x509.Certificate) -> str:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ""
    return issue.written_key_id(extension.key_identifier or b"")
