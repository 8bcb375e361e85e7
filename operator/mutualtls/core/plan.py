"""Decide what to do about one identity: a pure function of what was observed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mutualtls.core import times
from mutualtls.core.authority import OnNotPermitted
from mutualtls.core.checks import CHECKS, Absent, Action, Contest, Known, Observed, Seen, Unread, Violation
from mutualtls.core.errors import SpecError
from mutualtls.core.reasons import Reason
from mutualtls.core.trust import Trust

MENDED = frozenset(
    {
        Reason.SECRET_MISSING,
        Reason.SECRET_INCOMPLETE,
        Reason.SECRET_UNREADABLE,
        Reason.SECRET_TYPE_WRONG,
        Reason.SECRET_IMMUTABLE,
        Reason.KEY_MISMATCH,
        Reason.BUNDLE_OLD,
        Reason.FORMATS_DAMAGED,
        Reason.METADATA_DRIFTED,
    }
)
"""What somebody else did to a Secret, when the spec asked for nothing new."""

MENDS_FILES = frozenset({Action.WRITE_BUNDLE, Action.WRITE_FORMATS})
MAKES_A_LEAF = frozenset({Action.ISSUE, Action.REPLACE})
_OF_MANY = frozenset({Reason.ISSUER_REPLACED, Reason.NAMES_CHANGED, Reason.DURATION_CHANGED})
"""Why the leaves of all identities of an authority may have to be made anew at once."""
_STILL_GOOD = frozenset(
    {
        Reason.RENEWAL_DUE,
        Reason.ISSUER_REPLACED,
        Reason.REISSUE_ORDERED,
        Reason.BUNDLE_OLD,
        Reason.FORMATS_CHANGED,
        Reason.METADATA_DRIFTED,
        Reason.SECRET_MOVED,
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
    look_again: datetime | None = None
    """None: only when something changes."""


def decide(o: Observed, *, conflict_retry: timedelta, sweep: timedelta, move_grace: timedelta) -> Decision:
    """Find the first violation and say what to do about it; with none, when to look again.

    Deciding again after the action was done gives `Action.NOTHING`.
    """
    found = (check(o) for check in CHECKS)
    violation = next((one for one in found if one is not None and one.reason is not o.postponed), None)
    if violation is None:
        return _settled(o, sweep=sweep, move_grace=move_grace)
    if violation.action is Action.NOTHING:
        return _wait(violation, look_again=o.now + conflict_retry)
    if o.contest is not None and violation.reason in MENDED and violation.action is not Action.READ:
        return _contested(o, violation, o.contest)
    if violation.action in MAKES_A_LEAF and (why_not := _why_no_leaf(o, violation)):
        return _without_leaf(o, violation, why_not)
    return Decision(
        action=violation.action,
        reason=violation.reason,
        message=violation.message,
        is_ready=violation.reason in _STILL_GOOD,
    )


def is_one_of_many(o: Observed, decision: Decision) -> bool:
    """Tell whether a leaf is made anew together with many others, as its authority has changed.

    Its own spec has not then, and the leaf is the one that the status records: nobody put it there.
    """
    if decision.action not in MAKES_A_LEAF or decision.reason not in _OF_MANY:
        return False
    said = o.identity.status
    is_recorded = said.certificate is not None and said.certificate.fingerprint == o.facts.fingerprint
    is_as_before = said.observed_generation == o.identity.generation and is_recorded
    return decision.reason is Reason.ISSUER_REPLACED or is_as_before


def refused(seen: Seen, error: SpecError) -> Decision:
    """Refuse a spec whole, naming every fault. Only a change of the spec or of a permit can help.

    Files that are there stay, and their bundle is kept current; where a right is missing, and for no other fault, the
    authority may have them removed. Where the spec of the authority is faulty, they are as good as they were.
    """
    action = _despite_refusal(seen, error.reason)
    if error.reason is Reason.AUTHORITY_NOT_READY:
        is_good = seen.has_facts and seen.now < seen.facts.not_after
        end = seen.facts.not_after if is_good else None
        return Decision(action=action, reason=error.reason, message=str(error), is_ready=is_good, look_again=end)
    return Decision(
        action=action,
        reason=error.reason,
        message=str(error),
        is_ready=False,
        is_stalled=True,
        look_again=seen.contest.over if seen.contest and seen.has_old_bundle else None,
    )


def _despite_refusal(seen: Seen, reason: Reason) -> Action:
    if isinstance(seen.found, Unread):
        return Action.READ
    is_there = isinstance(seen.found, Known) or seen.left_behind
    if is_there and reason is Reason.NOT_PERMITTED and seen.trust.on_not_permitted is OnNotPermitted.DELETE:
        return Action.REMOVE
    return seen.bundle_action if seen.has_old_bundle and seen.contest is None else Action.NOTHING


def without_authority(name: str) -> Decision:
    """Wait for an authority that does not exist."""
    message = f"authority {name} does not exist: create it or change spec.authority"
    return Decision(
        action=Action.NOTHING, reason=Reason.AUTHORITY_NOT_FOUND, message=message, is_ready=False, is_stalled=True
    )


def left_to_another(offered: Trust) -> Decision:
    """Leave an identity to the operator that serves its authority."""
    message = _cannot_sign(offered)
    return Decision(action=Action.NOTHING, reason=Reason.AUTHORITY_NOT_READY, message=message, is_ready=False)


def _cannot_sign(offered: Trust) -> str:
    return (
        f"authority {offered.name} cannot sign ({offered.why_not[0]}): {offered.why_not[1]}" if offered.why_not else ""
    )


def _why_no_leaf(o: Observed, violation: Violation) -> tuple[Reason, str] | None:
    """Tell why no leaf can be made now; None if it can."""
    if o.trust.why_not is not None:
        return Reason.AUTHORITY_NOT_READY, _cannot_sign(o.trust)
    if o.trust.suspended:
        return Reason.SUSPENDED, f"authority {o.trust.name} is suspended: set its spec.suspend to false"
    if o.identity.spec.suspend and violation.reason != Reason.REISSUE_ORDERED:
        return Reason.SUSPENDED, "identity is suspended: set spec.suspend to false"
    return None


def _without_leaf(o: Observed, violation: Violation, why_not: tuple[Reason, str]) -> Decision:
    """Do what needs no leaf, which is keeping the bundle current; otherwise wait."""
    reason, message = why_not
    is_ready = violation.reason in _STILL_GOOD and o.has_facts
    if o.has_old_bundle and o.contest is not None:
        return _contested(o, violation, o.contest)
    action = o.bundle_action if o.has_old_bundle else Action.NOTHING
    return Decision(
        action=action,
        reason=Reason.BUNDLE_OLD if o.has_old_bundle else reason,
        message=f"{message}; {violation.message}",
        is_ready=is_ready,
        look_again=o.facts.not_after if is_ready else None,
    )


def _contested(o: Observed, violation: Violation, contest: Contest) -> Decision:
    """Leave a Secret alone for a while that somebody keeps overwriting, and say who."""
    message = (
        f"{contest.by} overwrote secret {o.wanted.secret_name} {contest.times} times: have it leave the secret alone, "
        f"or set spec.secret.name to another name; tried again at {times.rfc3339(contest.over)}; {violation.message}"
    )
    return Decision(
        action=Action.NOTHING,
        reason=Reason.SECRET_CONTESTED,
        message=message,
        is_ready=violation.reason == Reason.METADATA_DRIFTED,
        is_stalled=True,
        look_again=contest.over,
    )


def _wait(violation: Violation, *, look_again: datetime) -> Decision:
    """Leave it to the user, and look again whether something was done."""
    return Decision(
        action=Action.NOTHING,
        reason=violation.reason,
        message=violation.message,
        is_ready=False,
        is_stalled=True,
        look_again=look_again,
    )


def _settled(o: Observed, *, sweep: timedelta, move_grace: timedelta) -> Decision:
    """Nothing is wrong: say until when, and look again then."""
    facts = o.facts
    until, due = times.rfc3339(facts.not_after), times.rfc3339(o.renewal_time)
    ends_with_ca = facts.not_after == o.trust.in_use[facts.issuer_key_id].validity.not_after
    is_limited = ends_with_ca and facts.not_after - facts.not_before < o.wanted.duration + times.BACKDATE
    reason = Reason.LIMITED_BY_CA if is_limited else Reason.ISSUED
    limit = ", shorter than asked for as its CA ends then," if is_limited else ""
    later = [o.found.verified + sweep] if isinstance(o.found, Known) else []
    if o.left_behind and isinstance(o.found, Known):
        later.append(o.found.created + move_grace)
    due_or_end = o.renewal_time if o.now < o.renewal_time else facts.not_after
    return Decision(
        action=Action.NOTHING,
        reason=reason,
        message=f"certificate is valid until {until}{limit} and will be renewed at {due}",
        is_ready=True,
        look_again=min(due_or_end, *later),
    )


def is_first(o: Seen) -> bool:
    """Tell whether the identity has never had files: its first issuance is no news."""
    return isinstance(o.found, Absent) and o.identity.status.certificate is None
