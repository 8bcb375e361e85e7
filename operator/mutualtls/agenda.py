"""The agenda: everything that must happen, now or later, and in which order.

Keys are deduplicated, and never worked on twice at once. What is due is taken by priority, then in order of arrival.
After a failure a key waits, longer with every further one.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What a key stands for. Authorities come before the identities that wait for them."""

    AUTHORITY = 0
    IDENTITY = 1
    BUNDLE = 2
    TURNS = 3


class Key(NamedTuple):
    """One thing to be looked at.

    `name` is that of an authority, also for the turns of its identities; `NAMESPACE/NAME` of an identity; or
    `AUTHORITY/NAMESPACE` for copies of a bundle, `AUTHORITY/` for the ClusterTrustBundle.
    """

    kind: Kind
    name: str


class Priority(IntEnum):
    """The smaller, the earlier."""

    FIRST = 0
    """An authority, or an identity that never had files."""
    CHANGE = 1
    """Something changed."""
    RENEWAL = 2
    """Its time has come."""
    REISSUE = 3
    """One of many that changed together."""


_CLOCK_CHECK_S = 30.0
"""Longest sleep on the event loop's clock, so that a jump of the clock of the day is noticed."""

_CLOCK_SLACK = timedelta(seconds=5)
"""By so much a clock may be set back without anything being looked at for it."""


@dataclass(slots=True)
class _Entry:
    at: datetime
    priority: Priority


class Agenda:
    """Hands out keys when they are due. Not thread-safe: one event loop."""

    def __init__(self, *, clock: Callable[[], datetime], first_retry: timedelta, last_retry: timedelta) -> None:
        self._clock = clock
        self._first_retry = first_retry
        self._last_retry = last_retry
        self._entries: dict[Key, _Entry] = {}
        self._later: list[tuple[datetime, int, Key]] = []
        self._due: list[tuple[Priority, int, Key]] = []
        self._order = itertools.count()
        self._at_work: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._idle: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._latest = clock()
        """The latest that the clock has said."""
        self._is_closed = False

    def put(self, key: Key, *, priority: Priority = Priority.CHANGE, at: datetime | None = None) -> None:
        """Ask that a key be looked at, at once or at a time.

        Of two wishes the earlier counts, as it says anew when to look again; of two that are due the more urgent.
        """
        now = self._clock()
        self._latest = max(self._latest, now)
        wish = _Entry(at or now, priority)
        known = self._entries.get(key)
        if known is not None and (max(known.at, now), known.priority) <= (max(wish.at, now), wish.priority):
            return
        self._entries[key] = wish
        if key in self._at_work:
            return
        self._file(key, wish, now)

    async def take(self) -> Key | None:
        """Wait for a key that is due, and take it. None when the agenda was closed."""
        while not self._is_closed:
            self._promote(self._clock())
            while self._due:
                priority, _, key = heapq.heappop(self._due)
                entry = self._entries.get(key)
                if entry is None or key in self._at_work or entry.priority != priority:
                    continue
                del self._entries[key]
                self._at_work.add(key)
                return key
            waiter = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter
        return None

    def done(self, key: Key, *, look_again: datetime | None) -> None:
        """Give back a key that was looked at, and say when to look again."""
        self._failures.pop(key, None)
        self._give_back(key, look_again, Priority.RENEWAL)

    def failed(self, key: Key) -> timedelta:
        """Give back a key that could not be finished, and return how long it waits."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._first_retry * (1 << min(failures, 20)), self._last_retry)
        # What came in meanwhile waits as well, or a key that fails and changes often would never pause.
        waiting = self._entries.pop(key, None)
        self._give_back(key, self._clock() + delay, waiting.priority if waiting else Priority.CHANGE)
        return delay

    def forget(self, key: Key) -> None:
        """Take a key off the agenda. One that is at work is finished."""
        self._entries.pop(key, None)
        self._failures.pop(key, None)

    def close(self) -> None:
        """Hand out nothing any more. Whoever waits is told."""
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        while self._idle:
            self._wake_one()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is due and nothing at work."""
        self._promote(self._clock())
        return not self._at_work and not any(key in self._entries for _, _, key in self._due)

    def _give_back(self, key: Key, at: datetime | None, priority: Priority) -> None:
        self._at_work.discard(key)
        if at is not None:
            self.put(key, priority=priority, at=at)
        entry = self._entries.get(key)
        if entry is not None:
            self._file(key, entry, self._clock())

    def _file(self, key: Key, entry: _Entry, now: datetime) -> None:
        if entry.at <= now:
            heapq.heappush(self._due, (entry.priority, next(self._order), key))
            self._wake_one()
        else:
            heapq.heappush(self._later, (entry.at, next(self._order), key))
            self._set_alarm(now)

    def _promote(self, now: datetime) -> None:
        """Move what has become due. An entry that was moved or taken since leaves a stale tuple, which is dropped.

        What was put off by a clock that was ahead would sleep for as long as that was: all is looked at anew.
        """
        is_set_back = now < self._latest - _CLOCK_SLACK
        self._latest = now if is_set_back else max(self._latest, now)
        for later, wish in tuple(self._entries.items()) if is_set_back else ():
            self.put(later, priority=wish.priority)
        while self._later and self._later[0][0] <= now:
            at, _, key = heapq.heappop(self._later)
            entry = self._entries.get(key)
            if entry is not None and entry.at == at and key not in self._at_work:
                heapq.heappush(self._due, (entry.priority, next(self._order), key))

    def _set_alarm(self, now: datetime) -> None:
        """Wake one worker when the next entry is due, and look at the clock again at the latest in a while."""
        if self._is_closed or not self._later:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        delay = min(max((self._later[0][0] - now).total_seconds(), 0.0), _CLOCK_CHECK_S)
        self._alarm = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        now = self._clock()
        self._promote(now)
        for _ in self._due:
            self._wake_one()
        self._set_alarm(now)

    def _wake_one(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
