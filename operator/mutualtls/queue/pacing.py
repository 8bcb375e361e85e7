"""The pace of what would come all at once: log lines about an identity, re-issues for one authority."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from mutualtls.core.model.object_key import ObjectKey

_LEAST_STALE = 64
_LEAST_BETWEEN_RELEASES = timedelta(seconds=0.05)


class Ordered(Hashable, Protocol):
    """What has an order, in which those are released whose leaves end at the same time."""

    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=Ordered)


class Said:
    """What was logged of late of each identity, so that one which flaps fills no log."""

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._said: dict[ObjectKey, dict[str, tuple[datetime, int]]] = {}

    def left_out(self, key: ObjectKey, reason: str, now: datetime) -> int | None:
        """Tell how often the same was left out since it was said; None: it was said of late, and is left out again."""
        of_key = self._said.setdefault(key, {})
        said, left_out = of_key.get(reason, (None, 0))
        if said is not None and said + self._window > now:
            of_key[reason] = (said, left_out + 1)
            return None
        of_key[reason] = (now, 0)
        return left_out

    def forget(self, key: ObjectKey) -> None:
        """Forget an identity that is gone."""
        self._said.pop(key, None)

    def sweep(self, now: datetime) -> None:
        """Throw out what may be said again."""
        for key, of_key in list(self._said.items()):
            kept = {reason: one for reason, one in of_key.items() if one[0] + self._window > now}
            if kept:
                self._said[key] = kept
            else:
                del self._said[key]

    @property
    def held(self) -> int:
        """How many things are kept."""
        return sum(map(len, self._said.values()))


class ReissuePacer(Generic[K]):
    """Starts the re-issues that an authority's identities need all at once: so many a second, soonest end first."""

    def __init__(self) -> None:
        self._waiting: dict[K, datetime] = {}
        self._line: list[tuple[datetime, K]] = []
        self._released: set[K] = set()
        self._since = datetime.min.replace(tzinfo=UTC)
        """Up to when identities were released, as long as one waits."""

    def may_start(self, key: K, end: datetime, now: datetime) -> bool:
        """Tell whether a key was released, which counts until it is `done`. If not it waits. `end`: of its leaf."""
        if key in self._released:
            return True
        if not self._waiting:
            self._line, self._since = [], now
        if key not in self._waiting:
            self._waiting[key] = end
            heapq.heappush(self._line, (end, key))
            if len(self._line) > 2 * len(self._waiting) + _LEAST_STALE:
                self._line = [(end, key) for key, end in self._waiting.items()]
                heapq.heapify(self._line)
        return False

    def done(self, key: K) -> None:
        """Take in that a key was re-issued, or need not be any more."""
        self._released.discard(key)
        self._waiting.pop(key, None)

    def recall(self) -> None:
        """Take back what was released and is not done: it waits again when it asks."""
        self._released.clear()

    def release(self, now: datetime, *, per_second: int) -> list[K]:
        """Release as many keys as are due since the last time; no more than a second's, however long ago that was."""
        if not self._waiting:
            return []
        number = int((now - self._since) / timedelta(seconds=1) * per_second)
        if number > per_second:
            number, self._since = per_second, now
        else:
            self._since += timedelta(seconds=number) / per_second
        released = list(itertools.islice(self._in_line(), number))
        self._released.update(released)
        return released

    @property
    def is_over(self) -> bool:
        """Whether no key waits."""
        return not self._waiting

    @property
    def held(self) -> int:
        """How many things are kept."""
        return len(self._waiting) + len(self._line) + len(self._released)

    def _in_line(self) -> Iterator[K]:
        """Take waiting keys off the line. One that left it, or waits for another leaf by now, is not met here."""
        while self._line:
            end, key = heapq.heappop(self._line)
            if self._waiting.get(key) == end:
                del self._waiting[key]
                yield key


class ReissuePacers:
    """A pacer for each authority that sets a pace."""

    def __init__(self) -> None:
        self._pacers: dict[str, ReissuePacer[ObjectKey]] = defaultdict(ReissuePacer)

    def may_start(self, authority: str, key: ObjectKey, *, end: datetime, now: datetime) -> bool:
        """Tell whether a key may be re-issued now. If not it waits until `release` names it. `end`: of its leaf."""
        return self._pacers[authority].may_start(key, end, now)

    def release(self, authority: str, now: datetime, *, per_second: int) -> tuple[list[ObjectKey], datetime | None]:
        """Release the keys of an authority that are due, and tell when to release the next; None: no key waits."""
        pacer = self._pacers[authority]
        released = pacer.release(now, per_second=per_second)
        return released, None if pacer.is_over else now + between_releases(per_second)

    def done(self, authority: str, key: ObjectKey) -> None:
        """Take in that a key needs no re-issue from an authority, or is about to have it."""
        if (pacer := self._pacers.get(authority)) is not None:
            pacer.done(key)

    def recall(self) -> None:
        """Take back what was released and is not done, whatever authority it waits for."""
        for pacer in self._pacers.values():
            pacer.recall()

    def forget(self, key: ObjectKey) -> None:
        """Forget an identity that is gone."""
        for pacer in self._pacers.values():
            pacer.done(key)

    def forget_authority(self, name: str) -> None:
        """Forget an authority that is gone."""
        self._pacers.pop(name, None)

    @property
    def held(self) -> int:
        """How many things are kept."""
        return sum(pacer.held for pacer in self._pacers.values())


def between_releases(per_second: int) -> timedelta:
    """Tell how often keys are released: one by one at a slow pace, a few at a time at a fast one."""
    return max(timedelta(seconds=1) / per_second, _LEAST_BETWEEN_RELEASES)
