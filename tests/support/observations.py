"""What a check may find: changes to what was observed of a settled identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from mutualtls.core.api import identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.leaf import render
from mutualtls.core.leaf.observed import Foreign, Found, Known, Observed
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from support import builders
from support.builders import NOW, an_identity

Change = Callable[[Observed], Observed]


def finding(found: Found) -> Change:
    """Find something else."""
    return lambda o: replace(o, found=found)


def damaged(reason: Reason) -> Change:
    """Find damaged files."""
    return finding(builders.damaged(reason))


def wanting(**more: Any) -> Change:
    """Want something else."""
    return lambda o: replace(o, wanted=replace(o.wanted, **more))


def holding(**more: Any) -> Change:
    """Find a certificate with other facts."""
    return lambda o: with_known(o, files=msgspec.structs.replace(o.facts, **more))


def with_known(o: Observed, **more: Any) -> Observed:
    """Know something else about the Secret."""
    if not isinstance(o.found, Known):
        raise TypeError("programming error: nothing is known")
    return replace(o, found=replace(o.found, **more))


def trusting(**more: Any) -> Change:
    """Have an authority that offers something else."""
    return lambda o: replace(o, trust=replace(o.trust, **more))


def said_alone(*, is_recorded: bool = False) -> Change:
    """Know of files by their annotation alone, which the status may record."""

    def say(o: Observed) -> Observed:
        status = render.identity_status(o, builders.decide(o)) if is_recorded else o.identity.status
        return replace(with_known(o, is_seen=False), identity=msgspec.structs.replace(o.identity, status=status))

    return say


def ordered(written: Callable[[str], str] = str) -> Change:
    """Order a re-issue of the very certificate, by its serial number as somebody may have written it."""

    def order(o: Observed) -> Observed:
        annotations = {labels.REISSUE: written(o.facts.serial_number)}
        _, reissue, _ = identity.parse_metadata({"generation": 1, "annotations": annotations})
        return replace(o, identity=msgspec.structs.replace(o.identity, reissue=reissue))

    return order


def ordered_another(o: Observed) -> Observed:
    """Order a re-issue of a certificate that is gone."""
    return replace(o, identity=msgspec.structs.replace(o.identity, reissue="abc"))


def at(moment: Callable[[Observed], Any]) -> Change:
    """Look at another time, which the observation itself tells."""
    return lambda o: replace(o, now=moment(o))


def both(*changes: Change) -> Change:
    """Make several changes."""

    def change(o: Observed) -> Observed:
        for one in changes:
            o = one(o)
        return o

    return change


def ca_that_ends(after: Any) -> Change:
    """Have a CA that ends some time from now, of which the certificate is."""

    def change(o: Observed) -> Observed:
        ca = o.trust.in_use[o.facts.issuer_key_id]
        shortened = replace(ca, validity=replace(ca.validity, not_after=NOW + after))
        return replace(o, trust=replace(o.trust, signing=shortened, in_use={o.facts.issuer_key_id: shortened}))

    return change


def replaced(o: Observed) -> Observed:
    """Have another CA sign in place of the one that signed the certificate."""
    of = o.facts.issuer_key_id
    return replace(o, trust=replace(o.trust, in_use={of: replace(o.trust.in_use[of], is_replaced=True)}))


def moved(o: Observed) -> Observed:
    """Have Secrets of former names, which have been there for longer than they stay."""
    return replace(with_known(o, created=o.remove_before), left_behind=("orders-a", "orders-b"))


def planted(*, made: str | None = None, policy: str = "Never") -> Change:
    """Record another key than the Secret's, under a policy, and perhaps have just made one."""

    def plant(o: Observed) -> Observed:
        of = an_identity(privateKey={"rotationPolicy": policy})
        status = CertificateStatus(
            serial_number=o.facts.serial_number,
            fingerprint=o.facts.fingerprint,
            public_key_hash="of another key",
            not_before="",
            not_after="",
            renewal_time="",
            issuer_key_id="",
        )
        recorded = msgspec.structs.replace(of, status=IdentityStatus(certificate=status))
        just_made = o.facts.public_key_hash if made == "this" else made
        wanted = replace(o.wanted, rotation_policy=of.spec.private_key.rotation_policy)
        return replace(o, identity=recorded, wanted=wanted, made_key=just_made)

    return plant


def foreign(*, seen: Any = NOW) -> Foreign:
    """Find somebody else's Secret."""
    return Foreign(holder="helm", seen=seen)
