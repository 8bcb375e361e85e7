"""Our clock beside the API server's, by the `Date` of its answers.

Certificates that are made with a wrong clock are not valid yet, or already over, for everybody else.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MOST_SKEW = timedelta(seconds=30)
"""Difference to the API server's clock from which on nothing is signed."""
_TRUSTED = timedelta(seconds=10)
"""How long a comparison of clocks holds."""


class Clocks:
    """The two clocks, as far as they were compared."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._skew = timedelta()
        self._compared = datetime.min.replace(tzinfo=UTC)
        self.on_skew: Callable[[], None] = _nothing
        """Called when the clock has gone wrong, or is right again."""

    @property
    def are_compared(self) -> bool:
        """Whether they were compared just now."""
        return abs(self._clock() - self._compared) <= _TRUSTED

    @property
    def skew(self) -> timedelta:
        """By how much our clock is ahead of the API server's, at the last comparison."""
        return self._skew

    def compare(self, date: str | None) -> None:
        """Compare them, once a second at most: the header has whole seconds, and parsing it takes longer."""
        now = self._clock()
        if date is None or abs(now - self._compared) < timedelta(seconds=1):
            return
        self._compared = now
        before, self._skew = self.why_wrong(), now - email.utils.parsedate_to_datetime(date)
        if (before is None) != (self.why_wrong() is None):
            self.on_skew()

    def why_wrong(self) -> str | None:
        """Tell by how much our clock is wrong, and what to do; None while it is in order."""
        if abs(self._skew) <= MOST_SKEW:
            return None
        seconds = int(self._skew.total_seconds())
        return f"the clock of the operator is {seconds} s off the API server's: set it right (NTP)"

    def latest(self) -> datetime:
        """Tell the later of our time and the API server's."""
        now = self._clock()
        return max(now, now - self._skew)


def _nothing() -> None:
    """Do nothing."""
