"""How often things failed in a row, and how long each waits until it is tried again."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import timedelta
from typing import Generic, TypeVar

_LONGEST_IN_OUTAGE = timedelta(seconds=30)
_BETWEEN_TRIES = timedelta(seconds=0.1)
_MOST_DOUBLED = 20

Thing = TypeVar("Thing", bound=Hashable)


class Failures(Generic[Thing]):
    """What has failed and not been finished since. Each failure in a row doubles the delay, up to a limit."""

    def __init__(self, *, first_retry: timedelta, last_retry: timedelta) -> None:
        self._first_retry = first_retry
        self._last_retry = last_retry
        self._in_a_row: dict[Thing, int] = {}

    def delay(self, thing: Thing, *, at_most: timedelta = timedelta.max) -> timedelta:
        """Take in that a thing has failed, and tell how long it waits."""
        failures = self._in_a_row.get(thing, 0)
        self._in_a_row[thing] = failures + 1
        return min(self._first_retry * (1 << min(failures, _MOST_DOUBLED)), self._last_retry, at_most)

    def forget(self, thing: Thing) -> None:
        """Take in that a thing was finished."""
        self._in_a_row.pop(thing, None)

    @property
    def longest_in_outage(self) -> timedelta:
        """How long a thing waits at most that failed by what passes, so that one of them soon finds that it has passed.

        It is more where so many failed that they would add to the trouble.
        """
        return max(_LONGEST_IN_OUTAGE, len(self._in_a_row) * _BETWEEN_TRIES)

    def __iter__(self) -> Iterator[Thing]:
        return iter(self._in_a_row)

    def __len__(self) -> int:
        return len(self._in_a_row)
