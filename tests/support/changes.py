"""What may happen to a Secret and its identity: changes to what was observed of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.ca import offer
from mutualtls.core.ca.offer import Offer
from mutualtls.core.leaf.observed import Absent, Contest, Observed, Unread
from mutualtls.core.reasons import Reason, Refusal
from support.builders import MINUTE, NOW, an_identity, default_signer, settled, swept_later

Change = Callable[[Observed], Observed]


SUSPENDED_AUTHORITY = replace(default_signer().trust, suspended=True)


NEW_BUNDLE = replace(default_signer().trust, bundle=b"new", bundle_hash="new")


UNABLE = offer.of(
    default_signer().authority, default_signer().ledger, why_not=Refusal(Reason.KEY_LOST, "the key is gone")
)


PREPARING = offer.of(default_signer().authority, None)


def trusting(offered: Offer) -> Change:
    """Have another offer of the authority."""
    return lambda o: replace(o, trust=offered)


def missing(o: Observed) -> Observed:
    """Have no Secret."""
    return replace(o, found=Absent())


def due(o: Observed) -> Observed:
    """Look at the renewal time."""
    return replace(o, now=o.renewal_time)


def expired(o: Observed) -> Observed:
    """Look when the certificate has expired."""
    return swept_later(replace(o, now=o.facts.not_after))


def ordered(o: Observed) -> Observed:
    """Order a re-issue."""
    return replace(o, identity=msgspec.structs.replace(o.identity, reissue=o.facts.serial_number))


def suspended(o: Observed) -> Observed:
    """Suspend the identity."""
    return replace(o, identity=an_identity(suspend=True))


def renamed(o: Observed) -> Observed:
    """Ask for other names than the certificate has."""
    return replace(o, wanted=replace(o.wanted, names=replace(o.wanted.names, dns=("a.orders.shop.svc",))))


def after(*changes: Change) -> Observed:
    """Change something about good files."""
    o = settled()
    for change in changes:
        o = change(o)
    return o


CONTEST = Contest(by="helm", times=3, since=NOW - 5 * MINUTE, until=NOW + 5 * MINUTE)


def contested(o: Observed) -> Observed:
    """Have somebody overwrite the Secret time and again."""
    return replace(o, contest=CONTEST)


def drifted(o: Observed) -> Observed:
    """Want other labels."""
    return replace(o, wanted=replace(o.wanted, labels={"team": "b"}))


def replaced(o: Observed) -> Observed:
    """Have another CA sign in place of the one that signed the certificate."""
    in_use = {name: replace(ca, is_replaced=True) for name, ca in o.trust.in_use.items()}
    return replace(o, trust=replace(o.trust, in_use=in_use))


def unread(o: Observed) -> Observed:
    """Have a Secret that was not read yet."""
    return replace(o, found=Unread())


CERTIFICATE = CertificateStatus(
    serial_number="1",
    fingerprint="f",
    public_key_hash="p",
    not_before="2026-01-01T00:00:00Z",
    not_after="2026-01-02T00:00:00Z",
    renewal_time="2026-01-01T16:00:00Z",
    issuer_key_id="i",
)


EVERY = 5 * MINUTE
