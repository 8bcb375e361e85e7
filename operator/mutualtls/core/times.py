"""Durations, validity and when to renew. The time of day comes in as an argument; whole seconds throughout."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from mutualtls.core.errors import UnreadableError

BACKDATE = timedelta(minutes=5)
"""How far notBefore lies back, for verifiers whose clock is behind."""

LEAST_GAIN = 10
"""A renewal that would not gain at least this part (a tenth) of the duration is not made."""

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Times that somebody else wrote lie between these, or they are not read: sums with them must be times as well."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone. Without one it could not be compared with any other."""

_SECONDS = len("2026-01-02T03:04:05")

_DURATION = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,5})s)?")


def parse_duration(text: str) -> timedelta:
    """Read hours, minutes and seconds such as `24h` or `1h30m`.

    Raises:
        ValueError: the text has another form.
    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"not a duration such as 24h or 1h30m: {text}")
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it: `24h`, `1h30m`, `45s`."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value) or "0s"


def whole(moment: datetime) -> datetime:
    """Cut to whole seconds, as certificates and statuses hold times."""
    return moment.replace(microsecond=0)


def check(*moments: datetime | None) -> None:
    """Check times that somebody else may have written.

    Raises:
        UnreadableError: one has no zone, or is out of bounds.
    """
    for moment in moments:
        if moment is not None and (moment.tzinfo is None or not EARLIEST <= moment < LATEST):
            raise UnreadableError(f"a time out of bounds: {moment.isoformat()}")


def rfc3339(moment: datetime) -> str:
    """Write a moment as the API server does: `2026-01-02T03:04:05Z`."""
    return f"{moment.astimezone(UTC).isoformat()[:_SECONDS]}Z"


def from_rfc3339(text: str) -> datetime:
    """Read what `rfc3339` wrote.

    Raises:
        ValueError: the text is no RFC 3339 time, or has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise UnreadableError(f"a time without a zone: {text}")
    return moment


def moment_in(text: str) -> datetime | None:
    """Read a time of a status, which others may have written; None where it is none."""
    try:
        return from_rfc3339(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """notBefore and notAfter of a certificate."""

    not_before: datetime
    not_after: datetime

    @property
    def life(self) -> timedelta:
        """How long it is from issuance to its end, where it was backdated by `BACKDATE`."""
        return self.not_after - self.not_before - BACKDATE


def validity(now: datetime, duration: timedelta, *, within: Validity | None = None) -> Validity:
    """Work out the validity of a certificate that lives for `duration` from now, backdated by `BACKDATE`.

    It never begins before nor ends after `within`, the validity of the CA that signs it.
    """
    start = whole(now)
    not_before, not_after = start - BACKDATE, start + duration
    if within is not None:
        not_before, not_after = max(not_before, within.not_before), min(not_after, within.not_after)
    return Validity(not_before=not_before, not_after=not_after)


@functools.lru_cache(maxsize=256)
def renewal_time(life: Validity, *, duration: timedelta, renew_before: timedelta, uid: str) -> datetime:
    """Tell when a leaf is renewed: `renew_before` its end, earlier by up to a tenth of that, fixed by the uid.

    Never before a tenth of the duration has passed, or a long `renew_before` would renew for ever; nor before the leaf
    itself is valid, when its CA's end has cut it short. It is kept for a while: a look asks for it several times.
    """
    jitter = renew_before / 10 * _fraction(uid)
    due = whole(life.not_after - renew_before - jitter)
    # Not a moment earlier: it would not gain enough, and nobody would look again before the end.
    earliest = life.not_after - duration + duration / LEAST_GAIN + timedelta(seconds=1) - timedelta.resolution
    return max(due, whole(earliest), life.not_before)


def pressing(due: datetime, end: datetime) -> datetime:
    """Tell from when on a renewal that was due and not made is urgent: two thirds into the time that is left for it."""
    return due + (end - due) * 2 / 3


def gains_enough(current_end: datetime, new_end: datetime, *, duration: timedelta) -> bool:
    """Tell whether a certificate that ends at `new_end` is worth making in place of one that ends at `current_end`."""
    return new_end - current_end >= duration / LEAST_GAIN


def last_sweep_slot(now: datetime, *, every: timedelta, of: str) -> datetime:
    """Tell when an object's turn last was, of turns that come at fixed times, spread evenly over a period by its uid.

    It is later than `now` less the period.
    """
    since_epoch = now - datetime(1970, 1, 1, tzinfo=UTC) + every * _fraction(of)
    return now - since_epoch % every


def _fraction(uid: str) -> float:
    """Spread uids evenly over 0 to 1, always the same for one uid."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) / 2**32


_SLOWEST_WRITE = timedelta(seconds=30)
"""Longest that a write may be under way."""


def landed(since: datetime | None, now: datetime) -> datetime | None:
    """Tell since when a write counts that is now seen to have landed, and says itself that it began at `since`.

    It may have been under way for a while, also past the end of the operator that began it.
    """
    return max(now, since) if since is not None and now - since < _SLOWEST_WRITE else since
