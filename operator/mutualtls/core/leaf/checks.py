"""Why a Secret is written: the ordered list of checks. Each names what is wrong; the first that finds something counts.

This is the answer to "why was it renewed". What is done about it follows from the check's `Action`, in `plan`.
"""

from __future__ import annotations

from collections.abc import Callable

from mutualtls.core import times
from mutualtls.core.leaf import formats, secret_metadata
from mutualtls.core.leaf.facts import Damage
from mutualtls.core.leaf.observed import Absent, Action, Foreign, Known, Observed, Unread, Violation
from mutualtls.core.names import names
from mutualtls.core.reasons import Reason


def secret_is_foreign(o: Observed) -> Violation | None:
    """Never touch what does not carry this identity's uid; see now and then whether it is still there."""
    if not isinstance(o.found, Foreign):
        return None
    action = Action.LOOK if o.found.seen <= o.look_before else Action.NOTHING
    message = (
        f"secret {o.wanted.secret_name} exists and belongs to {o.found.holder}: delete it or set spec.secret.name "
        "to another name"
    )
    return Violation(reason=Reason.SECRET_CONFLICT, message=message, action=action)


def secret_is_unread(o: Observed) -> Violation | None:
    """Read a body once when its version is not one that we wrote or verified."""
    if not isinstance(o.found, Unread):
        return None
    return Violation(reason=Reason.SECRET_UNREAD, message="secret was not read yet", action=Action.READ)


def secret_is_missing(o: Observed) -> Violation | None:
    """First issuance, another name that is asked for, or a Secret that was deleted."""
    if not isinstance(o.found, Absent):
        return None
    if o.left_behind:
        message = f"the spec asks for secret {o.wanted.secret_name} instead of {', '.join(o.left_behind)}"
        return Violation(reason=Reason.SECRET_RENAMED, message=message)
    return Violation(reason=Reason.SECRET_MISSING, message=f"secret {o.wanted.secret_name} does not exist")


def files_are_damaged(o: Observed) -> Violation | None:
    """Something is missing, unreadable, or does not fit together."""
    damage = o.found.files if isinstance(o.found, Known) else None
    if not isinstance(damage, Damage):
        return None
    replaced = damage.reason in {Reason.SECRET_TYPE_WRONG, Reason.SECRET_IMMUTABLE}
    return Violation(reason=damage.reason, message=damage.message, action=Action.REPLACE if replaced else Action.ISSUE)


def leaf_is_not_recorded(o: Observed) -> Violation | None:
    """Read the body of files that the status does not record: it records what was seen, never what is only said."""
    if o.is_seen or o.is_recorded:
        return None
    message = "the files are not those that the status records"
    return Violation(reason=Reason.SECRET_UNREAD, message=message, action=Action.READ)


def key_is_foreign(o: Observed) -> Violation | None:
    """Somebody put another key in place of one that is to be kept. It may be known to others, so it is not."""
    if not o.has_foreign_key:
        return None
    message = "the key is not the one that was made for this identity"
    return Violation(reason=Reason.KEY_MISMATCH, message=message)


def issuer_is_not_in_use(o: Observed) -> Violation | None:
    """The leaf, or the chain after it, is of no CA that the authority uses: another authority, or a CA taken out."""
    issuer = o.trust.in_use.get(o.facts.issuer_key_id)
    if issuer is not None and issuer.chain_hash == o.facts.chain_hash:
        return None
    message = f"certificate was not signed by a CA that authority {o.trust.name} uses"
    return Violation(reason=Reason.AUTHORITY_CHANGED, message=message)


def issuer_was_replaced(o: Observed) -> Violation | None:
    """The leaf is good, but of an issuing CA in whose place another signs."""
    if not o.trust.in_use[o.facts.issuer_key_id].is_replaced:
        return None
    return Violation(reason=Reason.ISSUER_REPLACED, message="the CA that signed the certificate was replaced")


def key_type_differs(o: Observed) -> Violation | None:
    """Algorithm, size or encoding of the key is other than asked."""
    found, asked = (o.facts.key, o.facts.encoding), (o.wanted.key, o.wanted.encoding)
    if found == asked:
        return None
    message = f"key is {found[0]} in {found[1]}, but the spec asks for {asked[0]} in {asked[1]}"
    return Violation(reason=Reason.KEY_TYPE_CHANGED, message=message)


def names_differ(o: Observed) -> Violation | None:
    """The certificate names something else than asked."""
    if o.facts.names_hash == names.names_hash(o.wanted.names):
        return None
    return Violation(reason=Reason.NAMES_CHANGED, message="certificate has other names than the spec asks for")


def usages_differ(o: Observed) -> Violation | None:
    """The certificate may be used for something else than asked."""
    if o.facts.usages == o.wanted.usages:
        return None
    found, asked = ", ".join(o.facts.usages), ", ".join(o.wanted.usages)
    return Violation(reason=Reason.USAGES_CHANGED, message=f"certificate is for {found}, but the spec asks for {asked}")


def duration_differs(o: Observed) -> Violation | None:
    """The certificate lives for another time than asked, and not because its CA's own end shortened it."""
    facts = o.facts
    issuer = o.trust.in_use[facts.issuer_key_id].validity
    life, asked = facts.validity.life, o.wanted.duration
    is_shortened = facts.not_after == issuer.not_after and life < asked
    is_clamped = facts.not_before <= issuer.not_before and asked - times.BACKDATE <= life <= asked
    if life == asked or is_shortened or is_clamped:
        return None
    message = (
        f"certificate lives for {times.format_duration(life)}, but the spec asks for {times.format_duration(asked)}"
    )
    return Violation(reason=Reason.DURATION_CHANGED, message=message)


def reissue_is_ordered(o: Observed) -> Violation | None:
    """The annotation names the serial number of this very leaf: ordered once, obeyed once."""
    if o.identity.reissue != o.facts.serial_number:
        return None
    return Violation(reason=Reason.REISSUE_ORDERED, message=f"certificate {o.facts.serial_number} is to be replaced")


def certificate_has_expired(o: Observed) -> Violation | None:
    """Nobody accepts it any more."""
    if o.now < o.facts.not_after:
        return None
    return Violation(reason=Reason.EXPIRED, message=f"certificate expired at: {times.rfc3339(o.facts.not_after)}")


def certificate_is_near_expiry(o: Observed) -> Violation | None:
    """Renew in the last third of life, unless the CA's own end would make the new leaf hardly longer."""
    due = o.renewal_time
    if o.now < due:
        return None
    signing = o.trust.signing
    new_end = times.validity(o.now, o.wanted.duration, within=signing.validity if signing else None).not_after
    if not times.gains_enough(o.facts.not_after, new_end, duration=o.wanted.duration):
        return None
    message = f"certificate was due for renewal at: {times.rfc3339(due)}"
    return Violation(reason=Reason.RENEWAL_DUE, message=message)


def formats_differ(o: Observed) -> Violation | None:
    """The further files are of other formats, of another leaf or password than asked, or not as they were written."""
    version = o.password.version if o.password else ""
    asked = formats.inputs_hash(o.identity.spec.formats, leaf=o.facts.fingerprint, password_version=version)
    further = o.facts.further
    made = further.inputs_hash if further else None
    if asked == made or (made and o.unread is not None):
        return None
    if further is not None and not further.is_intact:
        message = "a file that spec.formats asks for is missing or was changed"
        return Violation(reason=Reason.FORMATS_DAMAGED, message=message, action=Action.WRITE_FORMATS)
    message = "the additional files are not what spec.formats asks for, or their password has changed"
    return Violation(reason=Reason.FORMATS_CHANGED, message=message, action=Action.WRITE_FORMATS)


def bundle_is_old(o: Observed) -> Violation | None:
    """The bundle is not the authority's."""
    if not o.has_old_bundle:
        return None
    message = f"the bundle is not that of authority {o.trust.name}"
    return Violation(reason=Reason.BUNDLE_OUTDATED, message=message, action=o.bundle_action)


def metadata_drifted(o: Observed) -> Violation | None:
    """Labels, annotations or the ownerReference of ours are not as asked."""
    wanted = secret_metadata.metadata_hash(o.wanted.labels, o.wanted.annotations, o.wanted.owner_uid)
    if not isinstance(o.found, Known) or o.found.metadata_hash == wanted:
        return None
    message = "labels, annotations or owner of the secret are not as the spec asks"
    return Violation(reason=Reason.METADATA_DRIFTED, message=message, action=Action.WRITE_METADATA)


def old_secret_is_left(o: Observed) -> Violation | None:
    """A Secret of a former name is kept for a while, until its consumers have moved to the new one."""
    if not o.left_behind or not isinstance(o.found, Known) or o.found.created > o.remove_before:
        return None
    message = f"the spec no longer asks for secret {', '.join(o.left_behind)}"
    return Violation(reason=Reason.SECRET_RENAMED, message=message, action=Action.REMOVE_OLD)


def body_was_not_seen_for_long(o: Observed) -> Violation | None:
    """The slow sweep: once a day the files themselves are read, whatever the annotations say."""
    if not isinstance(o.found, Known) or o.found.verified > o.verify_before:
        return None
    return Violation(reason=Reason.SECRET_UNREAD, message="secret was not read for long", action=Action.READ)


Check = Callable[[Observed], Violation | None]

CHECKS: tuple[Check, ...] = (
    secret_is_foreign,  # first: nothing of another's is even read
    secret_is_unread,  # before every judgement of the files
    secret_is_missing,
    files_are_damaged,  # the checks below may rely on facts
    leaf_is_not_recorded,  # before anything is concluded from facts that somebody may have made up
    issuer_is_not_in_use,  # before those that ask about the issuer
    key_type_differs,
    names_differ,
    usages_differ,
    duration_differs,
    key_is_foreign,  # after those that name what else is wrong with files that somebody planted
    reissue_is_ordered,  # before expiry: an order is obeyed under `suspend`, too
    certificate_has_expired,  # before renewal, to be named as what it is
    certificate_is_near_expiry,
    issuer_was_replaced,  # at a pace, so after all that cannot wait
    formats_differ,  # before the bundle, which it writes, too
    bundle_is_old,  # after all that writes the bundle, too
    metadata_drifted,
    old_secret_is_left,  # when all is well with the new one
    body_was_not_seen_for_long,
)
"""In the order in which they are asked."""
