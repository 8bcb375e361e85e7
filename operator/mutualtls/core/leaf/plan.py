"""Decide what to do about one identity: a pure function of what was observed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mutualtls.core import times
from mutualtls.core.api import earlier_words, refusals
from mutualtls.core.api.authority_spec import OnNotPermitted
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import SpecError, listed
from mutualtls.core.leaf.checks import CHECKS
from mutualtls.core.leaf.observed import Absent, Action, Contest, Known, Observed, Seen, Unread, Violation
from mutualtls.core.model import labels
from mutualtls.core.names import names
from mutualtls.core.reasons import Reason, Refusal

MENDED = frozenset(
    {
        Reason.SECRET_MISSING,
        Reason.SECRET_INCOMPLETE,
        Reason.SECRET_UNREADABLE,
        Reason.SECRET_TYPE_WRONG,
        Reason.SECRET_IMMUTABLE,
        Reason.KEY_MISMATCH,
        Reason.BUNDLE_OUTDATED,
        Reason.FORMATS_DAMAGED,
        Reason.METADATA_DRIFTED,
    }
)
"""What somebody else did to a Secret, when the spec asked for nothing new."""

END_OF_RULE_OF_BEFORE = "0.2.0"
"""The version of the operator that takes away what only the rule of the release before permits."""

MENDS_FILES = frozenset({Action.WRITE_BUNDLE, Action.WRITE_FORMATS})
MAKES_A_LEAF = frozenset({Action.ISSUE, Action.REPLACE})
_UNASKED = frozenset({Reason.RENEWAL_DUE, Reason.EXPIRED, Reason.ISSUER_REPLACED, Reason.BUNDLE_OUTDATED})
"""What is due by the clock or by the authority, whatever was asked for."""
_ASKED_BESIDE_THE_SPEC = frozenset({Reason.REISSUE_ORDERED, Reason.FORMATS_CHANGED, Reason.PASSWORD_MISSING})
PENDING = frozenset({Reason.THROTTLED, Reason.SECRET_NOT_WRITABLE})
"""What a status says while the spec that it is about has not been brought about."""
OF_MANY = frozenset({Reason.ISSUER_REPLACED, Reason.NAMES_CHANGED, Reason.DURATION_CHANGED})
"""Why the leaves of all identities of an authority may have to be made anew at once."""
_STILL_GOOD = frozenset(
    {
        Reason.RENEWAL_DUE,
        Reason.ISSUER_REPLACED,
        Reason.REISSUE_ORDERED,
        Reason.BUNDLE_OUTDATED,
        Reason.FORMATS_CHANGED,
        Reason.METADATA_DRIFTED,
        Reason.SECRET_RENAMED,
    }
)
"""Violations under which the files serve their purpose until they are mended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, why, what the conditions say meanwhile, and when to look again."""

    action: Action
    reason: Reason
    """Why, as a condition reason; of the action if there is one, else of the state."""
    message: str
    is_ready: bool
    is_stalled: bool = False
    next_check: datetime | None = None
    """None: only when something changes."""


def decide(o: Observed) -> Decision:
    """Find the first violation and say what to do about it; with none, when to look again.

    Deciding again after the action was done gives `Action.NOTHING`.
    """
    decision = _until_it_can_be_read(o, _decided(o))
    if decision.action is not Action.NOTHING or not o.has_moot_order:
        return decision
    answer = f"the annotation {labels.REISSUE} is not obeyed: the serial number now is {o.facts.serial_number}"
    return replace(decision, message=f"{decision.message}; {answer}")


def _decided(o: Observed) -> Decision:
    found = (check(o) for check in CHECKS)
    violation = next((one for one in found if one is not None and one.reason not in o.postponed), None)
    if violation is None:
        return _settled(o)
    if violation.action is Action.NOTHING:
        return _wait(violation, next_check=o.now + o.intervals.conflict_retry)
    if o.contest is not None and violation.reason in MENDED:
        return _contested(o, violation, o.contest)
    if violation.action in MAKES_A_LEAF and (why_not := _why_no_leaf(o, violation)):
        return _without_leaf(o, violation, why_not)
    if violation.action is Action.REPLACE and isinstance(o.found, Known) and o.found.held_by is not None:
        return _wait(_terminating(o, violation, o.found.held_by), next_check=o.now + o.intervals.conflict_retry)
    return Decision(
        action=violation.action,
        reason=violation.reason,
        message=violation.message,
        is_ready=violation.reason in _STILL_GOOD,
    )


def _until_it_can_be_read(seen: Seen, decision: Decision) -> Decision:
    """Say that a spec cannot be read, where what was decided is by the last good one, and nothing is done."""
    if seen.unread is None or decision.action is not Action.NOTHING:
        return decision
    message = f"{seen.unread}; until then the last certificate counts: {decision.message}"
    return replace(decision, reason=Reason.INVALID_SPEC, message=message, is_stalled=True)


def is_one_of_many(o: Observed, decision: Decision) -> bool:
    """Tell whether a leaf is made anew together with many others, as its authority has changed.

    Its own spec has not then, and the leaf is the one that the status records: nobody put it there.
    """
    if decision.action not in MAKES_A_LEAF or decision.reason not in OF_MANY:
        return False
    said = o.identity.status
    is_recorded = said.certificate is not None and said.certificate.fingerprint == o.facts.fingerprint
    is_as_before = said.observed_generation == o.identity.generation and is_recorded and _reason(said) not in PENDING
    return decision.reason is Reason.ISSUER_REPLACED or is_as_before


def is_asked_for(identity: Identity, seen: Seen | None, decision: Decision) -> bool:
    """Tell whether something is done since somebody of the namespace has changed something: that draws on its share.

    Nothing draws that the clock, an authority, or the loss of files has made necessary. Of files that others put there,
    be they good ones of before, whoever did has asked for the next.
    """
    if decision.action in {Action.LOOK, Action.READ}:
        return False
    said = identity.status
    is_answer = decision.action is Action.NOTHING and (labels.REISSUE in decision.message) != _has_answer(said)
    if decision.reason in _ASKED_BESIDE_THE_SPEC or is_answer:
        return True
    if decision.action in MAKES_A_LEAF and seen is not None and _is_of_others(said, seen):
        return True
    is_settled = said.observed_generation == identity.generation and _reason(said) != Reason.THROTTLED
    return not is_settled and decision.reason not in _UNASKED


def _is_of_others(said: IdentityStatus, seen: Seen) -> bool:
    """Tell whether there is another certificate than the one that the status records."""
    return seen.has_facts and said.certificate is not None and said.certificate.fingerprint != seen.facts.fingerprint


def throttled(decision: Decision, why: str, *, until: datetime | None) -> Decision:
    """Say that something waits, and what it is. The files are as good as they were."""
    return Decision(
        action=Action.NOTHING,
        reason=Reason.THROTTLED,
        message=f"{why}; what waits: {decision.message}",
        is_ready=decision.is_ready,
        next_check=until,
    )


def not_written(decision: Decision, refusal: str, *, every: timedelta, is_lasting: bool) -> Decision:
    """Say that what was decided could not be done, as the API server does not take it, and that it is tried again.

    The files are as good as they are. Where a spec is refused, that goes on to be what counts.
    """
    if decision.is_stalled:
        return replace(decision, action=Action.NOTHING, message=f"{decision.message}; {refusal}")
    return Decision(
        action=Action.NOTHING,
        reason=Reason.SECRET_NOT_WRITABLE,
        message=f"{refusal}; retried at least every {refusals.in_words(every)}; what waits: {decision.message}",
        is_ready=decision.is_ready,
        is_stalled=is_lasting,
    )


def undecided(said: IdentityStatus, *, now: datetime) -> Decision:
    """Say of an identity of which nothing could be decided what is known all the same: whether its files are good."""
    end = recorded_end(said)
    was_ready = said.ready is not None and said.ready.status == "True"
    message = (
        f"certificate expired at: {times.rfc3339(end)}"
        if end is not None and end <= now
        else "nothing is known yet of its files"
    )
    is_ready = was_ready and end is not None and now < end
    return Decision(action=Action.NOTHING, reason=Reason.SECRET_NOT_WRITABLE, message=message, is_ready=is_ready)


def recorded_end(said: IdentityStatus) -> datetime | None:
    """Tell when the certificate ends that a status records."""
    return said.certificate.end if said.certificate else None


def is_worth_telling(old: IdentityStatus, new: IdentityStatus, *, is_paid: bool, may_tell: bool) -> bool:
    """Tell whether trouble is to be told: at once where `Ready` turns, or a change was paid for; else where it may."""
    is_same_spec = old.observed_generation == new.observed_generation
    said = earlier_words.conditions(old.conditions, new.conditions)
    if is_same_spec and refusals.say_the_same(said, new.conditions):
        return False
    before, after = (said.ready.status if said.ready else None for said in (old, new))
    return before != after or (is_paid and not is_same_spec) or may_tell


def _reason(said: IdentityStatus) -> str | None:
    return said.ready.reason if said.ready else None


def _has_answer(said: IdentityStatus) -> bool:
    return said.ready is not None and labels.REISSUE in said.ready.message


def refused(seen: Seen, error: SpecError) -> Decision:
    """Refuse a spec whole, naming every fault. Only a change of the spec or of a permit can help.

    Files that are there stay, and their bundle is kept current; where a right is missing, and for no other fault, the
    authority may have them removed. Where the spec of the authority is faulty, they are as good as they were.
    """
    return _until_it_can_be_read(seen, _refused(seen, error))


def _refused(seen: Seen, error: SpecError) -> Decision:
    action = _despite_refusal(seen, error)
    if error.reason is Reason.AUTHORITY_NOT_READY:
        is_good = seen.has_facts and seen.now < seen.facts.not_after
        end = seen.facts.not_after if is_good else None
        return Decision(action=action, reason=error.reason, message=str(error), is_ready=is_good, next_check=end)
    return Decision(
        action=action,
        reason=error.reason,
        message=str(error),
        is_ready=False,
        is_stalled=True,
        next_check=seen.contest.until if seen.contest and seen.has_old_bundle else None,
    )


def _despite_refusal(seen: Seen, error: SpecError) -> Action:
    is_right_missing = error.reason is Reason.NOT_PERMITTED
    may_be_held = is_right_missing and error.takes_nothing and seen.has_facts and seen.leaf_read is None
    is_recorded = seen.identity.status.certificate is not None
    may_be_last_good = bool(seen.identity.faults) and is_recorded and seen.has_facts and seen.leaf_read is None
    if isinstance(seen.found, Unread) or may_be_held or may_be_last_good:
        return Action.READ
    if seen.identity.faults and not is_recorded:
        return Action.NOTHING  # the authority may be another than that of files that are there
    is_taken = is_right_missing and not error.takes_nothing
    is_there = (isinstance(seen.found, Known) and seen.found.held_by is None) or seen.left_behind
    if is_there and is_taken and seen.trust.on_not_permitted is OnNotPermitted.DELETE:
        return Action.REMOVE
    return seen.bundle_action if seen.has_old_bundle and seen.contest is None else Action.NOTHING


def without_authority(name: str) -> Decision:
    """Wait for an authority that does not exist."""
    message = f"authority {name} does not exist: create it or change spec.authority"
    return Decision(
        action=Action.NOTHING, reason=Reason.AUTHORITY_NOT_FOUND, message=message, is_ready=False, is_stalled=True
    )


def unreadable(identity: Identity) -> Decision:
    """Wait for a spec that can be read, where nothing is known of an authority that counts until then."""
    return Decision(
        action=Action.NOTHING,
        reason=Reason.INVALID_SPEC,
        message=listed(identity.faults),
        is_ready=False,
        is_stalled=True,
    )


def left_to_another(offered: Offer) -> Decision:
    """Leave an identity to the operator that serves its authority."""
    message = _cannot_sign(offered)
    return Decision(action=Action.NOTHING, reason=Reason.AUTHORITY_NOT_READY, message=message, is_ready=False)


def _cannot_sign(offered: Offer) -> str:
    why = offered.why_not
    return f"authority {offered.name} cannot sign ({why.reason}): {why.message}" if why is not None else ""


def _why_no_leaf(o: Observed, violation: Violation) -> Refusal | None:
    """Tell why no leaf can be made now; None if it can."""
    if o.trust.why_not is not None:
        return Refusal(Reason.AUTHORITY_NOT_READY, _cannot_sign(o.trust))
    if o.trust.fault is not None and _is_new(o):
        message = f"new certificates wait until the spec of authority {o.trust.name} can be read: {o.trust.fault}"
        return Refusal(Reason.AUTHORITY_NOT_READY, message)
    if o.trust.suspended:
        return Refusal(Reason.SUSPENDED, f"authority {o.trust.name} is suspended: set its spec.suspend to false")
    if o.identity.spec.suspend and violation.reason != Reason.REISSUE_ORDERED:
        return Refusal(Reason.SUSPENDED, "identity is suspended: set spec.suspend to false")
    return None


def _is_new(o: Observed) -> bool:
    """Tell whether a leaf would be the first of an identity from its authority, or might have other names than before.

    Where there are no files to tell, it might if its spec has changed since the status, or waits since it has.
    """
    said, recorded = o.identity.status, o.identity.status.certificate
    if recorded is None or (said.authority or o.trust.name) != o.trust.name:
        return True
    if o.has_facts and o.facts.fingerprint == recorded.fingerprint:
        return o.facts.names_hash != names.names_hash(o.wanted.names)
    return said.observed_generation != o.identity.generation or _reason(said) == Reason.AUTHORITY_NOT_READY


def _without_leaf(o: Observed, violation: Violation, why_not: Refusal) -> Decision:
    """Do what needs no leaf, which is keeping the bundle current; otherwise wait."""
    is_ready = violation.reason in _STILL_GOOD and o.has_facts
    if o.has_old_bundle and o.contest is not None:
        return _contested(o, violation, o.contest)
    action = o.bundle_action if o.has_old_bundle else Action.NOTHING
    return Decision(
        action=action,
        reason=Reason.BUNDLE_OUTDATED if o.has_old_bundle else why_not.reason,
        message=f"{why_not.message}; {violation.message}",
        is_ready=is_ready,
        next_check=o.facts.not_after if is_ready else None,
    )


def _contested(o: Observed, violation: Violation, contest: Contest) -> Decision:
    """Leave a Secret alone for a while that somebody keeps overwriting, and say who."""
    message = (
        f"secret {o.wanted.secret_name} was {_what_was_done(contest)}; left alone until "
        f"{times.rfc3339(contest.until)}: have it leave the secret alone, or set spec.secret.name to another name; "
        f"{violation.message}"
    )
    return Decision(
        action=Action.NOTHING,
        reason=Reason.SECRET_CONTESTED,
        message=message,
        is_ready=violation.reason == Reason.METADATA_DRIFTED,
        is_stalled=True,
        next_check=contest.until,
    )


def _what_was_done(contest: Contest) -> str:
    """Say what was done to a Secret, and how often."""
    written, since = contest.times - contest.deletions, times.rfc3339(contest.since)
    done = [f"overwritten {_often(written)} since {since} by {contest.by}"] if written else []
    if contest.deletions:
        done.append(f"deleted {_often(contest.deletions)} since {since}")
    return " and ".join(done)


def _often(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _wait(violation: Violation, *, next_check: datetime) -> Decision:
    """Leave it to the user, and look again whether something was done."""
    return Decision(
        action=Action.NOTHING,
        reason=violation.reason,
        message=violation.message,
        is_ready=False,
        is_stalled=True,
        next_check=next_check,
    )


def _terminating(o: Observed, violation: Violation, held_by: str) -> Violation:
    """Say what keeps a Secret there that has to go first."""
    message = (
        f"{violation.message}, and secret {o.wanted.secret_name} was deleted and is kept by finalizers ({held_by}): "
        "have their owner remove them"
    )
    return Violation(reason=Reason.SECRET_TERMINATING, message=message)


def _settled(o: Observed) -> Decision:
    """Nothing is wrong: say until when, and look again then."""
    facts = o.facts
    renewal_time = o.renewal_time
    until, due = times.rfc3339(facts.not_after), times.rfc3339(renewal_time)
    ends_with_ca = facts.not_after == o.trust.in_use[facts.issuer_key_id].validity.not_after
    is_limited = ends_with_ca and facts.validity.life < o.wanted.duration
    reason = Reason.LIMITED_BY_CA if is_limited else Reason.ISSUED
    limit = ", shorter than the spec asks for because its CA ends then," if is_limited else ""
    later = [o.found.verified + o.intervals.sweep] if isinstance(o.found, Known) else []
    if o.left_behind and isinstance(o.found, Known):
        later.append(o.found.created + o.intervals.move_grace)
    due_or_end = renewal_time if o.now < renewal_time else facts.not_after
    renewal = f"will be renewed at {due}"
    if o.identity.spec.suspend:
        renewal = f"is not renewed while spec.suspend is true (renewal would be due at {due})"
    message = f"certificate is valid until {until}{limit} and {renewal}"
    if o.wanted.outdated:
        reason = Reason.RULE_TIGHTENED
        message = f"{message}, until version {END_OF_RULE_OF_BEFORE} of the operator: {listed(o.wanted.outdated)}"
    return Decision(
        action=Action.NOTHING,
        reason=reason,
        message=message,
        is_ready=True,
        next_check=min(due_or_end, *later),
    )


def is_first(o: Seen) -> bool:
    """Tell whether the identity has never had files: its first issuance is no news."""
    return isinstance(o.found, Absent) and o.identity.status.certificate is None


def note_of_new_leaf(o: Seen, decision: Decision) -> str:
    """Say for an Event that another certificate was made, and why."""
    if decision.reason is Reason.REISSUE_ORDERED:
        return f"replaced certificate {o.facts.serial_number}: ordered by annotation {labels.REISSUE}"
    return f"issued a new certificate: {decision.message}"
