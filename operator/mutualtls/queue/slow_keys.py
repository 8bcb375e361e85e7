"""Keys that take long are made in threads of lower priority, so that whatever else there is to do goes on meanwhile.

How many at once is the business of `SlowKeySlots`. A thread is a daemon: an operator that ends waits for none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from datetime import datetime

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import keys
from mutualtls.core.pki.keys import KeyType, PrivateKey
from mutualtls.queue.rounds import Rounds

_NICE_SMALL = 5
_NICE_LARGE = 10
"""Not lower: with the key the thread needs Python's lock, and whoever waits for that waits until the thread runs."""


def cores() -> int:
    """Tell how many cores there are for us."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def make(kind: KeyType) -> PrivateKey:
    """Make a key, in a thread where it takes long. EC keys are made inline: a second busy thread would slow signing."""
    if not kind.is_slow:
        return keys.generate(kind)
    loop = asyncio.get_running_loop()
    made: asyncio.Future[PrivateKey] = loop.create_future()

    def settle(key: PrivateKey | None, error: Exception | None) -> None:
        if made.cancelled():
            return
        if error is not None:
            made.set_exception(error)
        elif key is not None:
            made.set_result(key)

    def run() -> None:
        _lower_priority(_NICE_LARGE if kind.is_large else _NICE_SMALL)
        key, error = None, None
        try:
            key = keys.generate(kind)
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is raised where the key is waited for
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(settle, key, error)

    threading.Thread(target=run, name=f"making {kind}", daemon=True).start()
    return await made


def _lower_priority(niceness: int) -> None:
    """Lower the priority of this thread alone, which Linux can; where a sandbox forbids it, it stays as it is."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)


class SlowKeySlots:
    """So many may do at once what takes long. The others wait in line, and hold up nobody meanwhile.

    Namespaces take turns in it, those that are urgent first. A slot that was given to a key that waited is kept for it:
    a key that `release` returns must be looked at, and release it again.
    """

    def __init__(self, most: int, *, one_a_namespace: bool = False) -> None:
        self._most = most
        self._one_a_namespace = one_a_namespace
        self._held: set[ObjectKey] = set()
        self._since: dict[ObjectKey, datetime] = {}
        self._urgent: Rounds[ObjectKey] = Rounds()
        self._others: Rounds[ObjectKey] = Rounds()

    def acquire(self, key: ObjectKey, now: datetime, *, is_urgent: bool = False) -> bool:
        """Take a slot, to be released. Where there is none, stand in line: before all keys that are not urgent."""
        if key in self._held:
            return True
        line, other = (self._urgent, self._others) if is_urgent else (self._others, self._urgent)
        other.discard(key.namespace, key)
        if len(self._held) >= self._most or key.namespace in self._busy():
            line.add(key.namespace, key)
            self._since.setdefault(key, now)
            return False
        self._hold(key)
        return True

    def waits_since(self, key: ObjectKey) -> datetime | None:
        """Tell since when a key stands in line; None for one that does not."""
        return self._since.get(key)

    def release(self, key: ObjectKey) -> list[ObjectKey]:
        """Release a slot, or leave the line, if in either. Return the keys that have a slot now, to be looked at."""
        self._held.discard(key)
        self._stop_waiting(key)
        following = []
        while len(self._held) < self._most and (one := self._next()) is not None:
            self._hold(one)
            following.append(one)
        return following

    def _next(self) -> ObjectKey | None:
        busy = self._busy()
        urgent = self._urgent.take(but_of=busy)
        return urgent if urgent is not None else self._others.take(but_of=busy)

    def _hold(self, key: ObjectKey) -> None:
        self._stop_waiting(key)
        self._held.add(key)

    def _stop_waiting(self, key: ObjectKey) -> None:
        if self._since.pop(key, None) is not None:
            for line in (self._urgent, self._others):
                line.discard(key.namespace, key)

    def _busy(self) -> set[str]:
        """The namespaces that may have no further slot now."""
        return {key.namespace for key in self._held} if self._one_a_namespace else set()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._since)

    @property
    def held(self) -> int:
        """How many things are kept, of whatever kind."""
        return len(self._held) + len(self._since) + len(self._urgent) + len(self._others)
