"""The agenda: everything that must happen, now or later, and in which order.

Keys are deduplicated, and never worked on twice at once. What is due is taken by priority; within one, namespaces take
turns, each with its keys in order of arrival, and with so many at work at once. What cannot wait any longer is moved
up. After a failure a key waits, longer with every further one.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.failures import Failures
from mutualtls.queue.rounds import AtWork, Rounds


class Kind(IntEnum):
    """What a key stands for. Authorities come before the identities that wait for them."""

    AUTHORITY = 0
    IDENTITY = 1
    BUNDLE = 2
    PACE = 3
    SWEEP = 4


class Key(NamedTuple):
    """One thing to be looked at, which takes the turn of the namespace in `object_key`; of none where that is empty."""

    kind: Kind
    object_key: ObjectKey
    """Of an identity, or of an authority, also for the pace of its re-issues. For copies of a bundle their namespace
    with the name of the authority. Empty for the pace of copies that are written in another form, and for the sweep of
    what is remembered."""

    @classmethod
    def identity(cls, key: ObjectKey) -> Key:
        """Name an identity."""
        return cls(Kind.IDENTITY, key)

    @classmethod
    def authority(cls, name: str) -> Key:
        """Name an authority."""
        return cls(Kind.AUTHORITY, ObjectKey("", name))

    @classmethod
    def bundle(cls, authority: str, namespace: str) -> Key:
        """Name the copies of a bundle in a namespace; in "" it is the ClusterTrustBundle."""
        return cls(Kind.BUNDLE, ObjectKey(namespace, authority))

    @classmethod
    def pace(cls, authority: str) -> Key:
        """Name the pace of an authority's re-issues; of "" it is that of copies that are written in another form."""
        return cls(Kind.PACE, ObjectKey("", authority))

    @property
    def namespace(self) -> str:
        """The namespace whose turn it takes; "" for what is of none."""
        return self.object_key.namespace

    @property
    def name(self) -> str:
        """The name of the identity, or of the authority."""
        return self.object_key.name

    def __str__(self) -> str:
        match self.kind:
            case Kind.IDENTITY:
                return str(self.object_key)
            case Kind.BUNDLE:
                return f"{self.name}/{self.namespace}"
            case _:
                return self.name


SWEEP = Key(Kind.SWEEP, ObjectKey("", ""))
"""The sweep of what is remembered."""


class Priority(IntEnum):
    """The smaller, the earlier."""

    FIRST = 0
    """An authority, or an identity that never had files, or whose files end before long."""
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


_LEAST_STALE = 64
"""With so many tuples more than twice as many as there are entries, those of entries that have moved are thrown out."""


_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Entry:
    at: datetime
    priority: Priority
    line: Priority | None = None
    """Where it waits, once it is due."""


def _never(_: Key) -> None:
    """Hurry nothing."""


class Agenda:
    """Hands out keys when they are due. Not thread-safe: one event loop.

    `urgent_from` says from when on a key that is due goes with the first, whatever was wished; None: never.
    `most_at_work` bounds how many keys of one namespace are worked on at once.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        first_retry: timedelta,
        last_retry: timedelta,
        urgent_from: Callable[[Key], datetime | None] = _never,
        most_at_work: int = sys.maxsize,
    ) -> None:
        self._clock = clock
        self._urgent_from = urgent_from
        self._entries: dict[Key, _Entry] = {}
        self._later: list[tuple[datetime, int, Key]] = []
        """When to look at which entry again: it is due, or cannot wait any longer. Those that moved are left behind."""
        self._due: dict[Priority, Rounds[Key]] = {priority: Rounds() for priority in Priority}
        self._order = itertools.count()
        self.at_work: AtWork[Key] = AtWork(most_at_work)
        """To be read alone."""
        self.failures: Failures[Key] = Failures(first_retry=first_retry, last_retry=last_retry)
        """The same."""
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
        if key in self.at_work:
            return
        wish.line = known.line if known is not None else None
        self._file(key, wish, now)

    async def take(self) -> Key | None:
        """Wait for a key that is due, and take it. None when the agenda was closed."""
        while not self._is_closed:
            self._promote(self._clock())
            for line in self._due.values():
                if (key := line.take(but_of=self.at_work.full)) is not None:
                    self.at_work.begin(key.namespace, key, due=self._entries.pop(key).at)
                    return key
            waiter = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter
        return None

    def done(self, key: Key, *, next_check: datetime | None) -> None:
        """Give back a key that was looked at, and say when to look again."""
        self.failures.forget(key)
        self._give_back(key, next_check, Priority.RENEWAL)

    def failed(self, key: Key, *, at_most: timedelta = timedelta.max) -> timedelta:
        """Give back a key that could not be finished, and return how long it waits."""
        delay = self.failures.delay(key, at_most=at_most)
        # What came in meanwhile waits as well, or a key that fails and changes often would never pause.
        waiting = self._entries.pop(key, None)  # in no line, as it is at work
        self._give_back(key, self._clock() + delay, waiting.priority if waiting else Priority.CHANGE)
        return delay

    def retry(self) -> None:
        """Have all keys tried now that failed, first what is urgent soonest: what they failed by has passed."""
        now = self._clock()
        for key in sorted(self.failures, key=lambda key: self._urgent_from(key) or _NEVER):
            entry = self._entries.get(key)
            if entry is not None:
                self.put(key, priority=entry.priority, at=now)

    def close(self) -> None:
        """Hand out nothing any more. Whoever waits is told."""
        self._is_closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        while self._idle:
            self._wake_one()

    def waiting(self) -> dict[Priority, list[datetime]]:
        """List since when what waits for a worker is due, by how urgent it is."""
        return {priority: [self._entries[key].at for key in line] for priority, line in self._due.items()}

    @property
    def held(self) -> int:
        """How many things are kept, of whatever kind."""
        lines = sum(map(len, self._due.values()))
        return len(self._entries) + len(self._later) + lines + self.at_work.held + len(self.failures)

    def _give_back(self, key: Key, at: datetime | None, priority: Priority) -> None:
        if self.at_work.end(key.namespace, key):
            self._wake_one()  # for what was passed over
        meanwhile = self._entries.get(key)
        if meanwhile is not None:
            self._file(key, meanwhile, self._clock())
        if at is not None:
            self.put(key, priority=priority, at=at)
        self._tidy()

    def _file(self, key: Key, entry: _Entry, now: datetime) -> None:
        """Put an entry where it belongs now: into the line that it waits in, or off until something is due of it."""
        if entry.at > now:
            self._note(entry.at, key)
            self._set_alarm(now)
            return
        urgent = self._urgent_from(key)
        line = Priority.FIRST if urgent is not None and urgent <= now else entry.priority
        if urgent is not None and line is not Priority.FIRST:
            self._note(urgent, key)
        if line is not entry.line:
            if entry.line is not None:
                self._due[entry.line].discard(key.namespace, key)
            entry.line = line
            self._due[line].add(key.namespace, key)
            self._wake_one()

    def _note(self, moment: datetime, key: Key) -> None:
        heapq.heappush(self._later, (moment, next(self._order), key))
        self._tidy()

    def _tidy(self) -> None:
        """Throw out what was left behind in the heap, where it is more than what is not."""
        if len(self._later) > 2 * len(self._entries) + _LEAST_STALE:
            self._later = [(entry.at, next(self._order), key) for key, entry in self._entries.items()]
            heapq.heapify(self._later)

    def _promote(self, now: datetime) -> None:
        """Move what has become due, or urgent. An entry that was moved or taken since leaves a stale tuple.

        What was put off by a clock that was ahead would sleep for as long as that was: all is looked at anew.
        """
        is_set_back = now < self._latest - _CLOCK_SLACK
        self._latest = now if is_set_back else max(self._latest, now)
        for later, wish in tuple(self._entries.items()) if is_set_back else ():
            self.put(later, priority=wish.priority)
        while self._later and self._later[0][0] <= now:
            _, _, key = heapq.heappop(self._later)
            entry = self._entries.get(key)
            if entry is not None and entry.at <= now and key not in self.at_work:
                self._file(key, entry, now)

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
        self._set_alarm(now)

    def _wake_one(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
