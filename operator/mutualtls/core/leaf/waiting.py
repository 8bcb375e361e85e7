"""What has to wait: what takes long, what may be decided meanwhile, and whether the status says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf import plan
from mutualtls.core.leaf.observed import Action, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.reasons import Reason

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_LATE = timedelta(minutes=1)
"""A renewal that is late by so much was kept from being made, and with it many others, as in an outage."""


class SlowWork(StrEnum):
    """Work that takes long, of which only so much is done at once."""

    SMALL = "small"
    """An RSA key of 2048 bits, or a store, for which keys are derived from a password."""
    LARGE = "large"
    """A larger RSA key."""


def slow_work(seen: Seen, decision: Decision) -> SlowWork | None:
    """Tell what of a decision takes long; None: nothing does."""
    makes_leaf = isinstance(seen, Observed) and decision.action in plan.MAKES_A_LEAF
    if isinstance(seen, Observed) and makes_leaf and seen.wanted.key.is_slow:
        return SlowWork.LARGE if seen.wanted.key.is_large else SlowWork.SMALL
    has_stores = seen.identity.spec.formats.pkcs12 is not None
    return SlowWork.SMALL if has_stores and (makes_leaf or decision.action is Action.WRITE_FORMATS) else None


def postponed(seen: Seen, decision: Decision) -> Observed | None:
    """Leave out what has to wait, so that all else can be decided; None where there is nothing else."""
    if not isinstance(seen, Observed) or not seen.has_facts or decision.reason in seen.postponed:
        return None
    return replace(seen, postponed=seen.postponed | {decision.reason})


def takes_turns(o: Observed, decision: Decision) -> bool:
    """Tell whether a leaf is one of many that are made at the pace of their authority.

    These are those that the authority has made necessary, and renewals that are late and not urgent. A renewal in time
    never waits: their jitter spreads them.
    """
    if decision.reason is Reason.RENEWAL_DUE and decision.action in plan.MAKES_A_LEAF:
        return kept_back_until(o) is not None
    return plan.is_one_of_many(o, decision)


def meanwhile(o: Observed) -> Observed:
    """Leave out every reason to make a leaf that has to wait for its turn, so that all else can be decided."""
    late = {Reason.RENEWAL_DUE} if kept_back_until(o) is not None else set()
    return replace(o, postponed=plan.OF_MANY | late)


def kept_back_until(o: Observed) -> datetime | None:
    """Tell until when a late renewal waits for its turn at most, which is until it is urgent. None: it does not wait.

    It was due by the time that the status tells: whoever changes `renewBefore` asks for a renewal now. One that is
    refused is tried as before: while it waited, its status would say that all is well.
    """
    said, due = o.identity.status, o.renewal_time
    until = times.pressing(due, o.facts.not_after)
    if not due + _LATE <= o.now < until or (said.ready is not None and said.ready.reason in plan.PENDING):
        return None
    is_told = o.is_recorded and said.certificate is not None and said.certificate.renewal_time == times.rfc3339(due)
    return until if is_told else None


def is_worth_telling(identity: Identity, seen: Seen | None) -> bool:
    """Tell whether the status is to say that something waits: once, and again when the files end meanwhile."""
    before = identity.status.ready
    if before is None:
        return True
    is_current = identity.status.observed_generation == identity.generation
    is_told = before.reason == Reason.THROTTLED or (before.reason == Reason.SECRET_NOT_WRITABLE and is_current)
    has_ended = seen is not None and seen.has_facts and seen.end is None
    return not is_told or (before.status == "True" and has_ended)


def urgent_from(said: IdentityStatus) -> datetime:
    """Tell from when on an identity goes with the first: always while it has no files; then when they end before long.

    That is when two thirds have passed of the time between the renewal that was due and the end.
    """
    if said.certificate is None:
        return _LONG_AGO
    try:
        due, end = (times.from_rfc3339(one) for one in (said.certificate.renewal_time, said.certificate.not_after))
        return times.pressing(due, end)
    except ValueError:
        return _LONG_AGO  # somebody else wrote that status; it is written again
