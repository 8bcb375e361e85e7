"""What an identity and its namespace may have of what is scarce: changes that are made at once, places for slow keys.

What is beyond waits for its turn and is never refused. What is kept is bounded by the identities that there are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from mutualtls.core.model.object_key import ObjectKey

_OF_EACH_IDENTITY = 2
"""A namespace may have so many changes at once for each of its identities: all made, and all changed once."""


@dataclass(slots=True)
class _Bucket:
    """What was drawn of late. It holds `burst`, and is full again a window after it was emptied."""

    at: datetime
    burst: int
    drawn: float = 0.0

    def draw(self, now: datetime, *, burst: int, window: timedelta) -> timedelta:
        """Draw one, and return how long it is until there is one for it.

        A bucket never becomes smaller while something is drawn of it: who deletes and makes again has what they had.
        """
        self.burst = max(self.burst, burst)
        self.drawn = self.left_drawn(now, window) + 1
        self.at = now
        return max(self.drawn - self.burst, 0.0) * window / self.burst

    def left_drawn(self, now: datetime, window: timedelta) -> float:
        """Tell how much is missing now."""
        refilled = max(now - self.at, timedelta()) / window * self.burst
        return max(self.drawn - refilled, 0.0)


class Shares:
    """How many changes each identity and each namespace may have made: `burst` at once, as many again in a window.

    A namespace may have twice as many as it has identities, where that is more. Who must wait keeps the moment that
    it was given, whatever comes in meanwhile. Buckets that are full are not kept.
    """

    def __init__(self, *, burst: int, window: timedelta) -> None:
        self._burst = burst
        self._window = window
        self._identities: dict[ObjectKey, _Bucket] = {}
        self._namespaces: dict[str, _Bucket] = {}
        self._moments: dict[ObjectKey, datetime] = {}
        self.delayed = 0
        """How many changes had to wait so far."""

    def draw(self, key: ObjectKey, *, in_namespace: int, now: datetime) -> datetime | None:
        """Draw a change of an identity, of as many as are `in_namespace`. None: it may be made; else when to come."""
        moment = self._moments.get(key)
        if moment is not None and now < moment <= now + self._window:
            return moment
        if moment is not None:
            del self._moments[key]
            return None
        of_namespace = max(self._burst, _OF_EACH_IDENTITY * in_namespace)
        own = self._identities.setdefault(key, _Bucket(now, self._burst))
        shared = self._namespaces.setdefault(key.namespace, _Bucket(now, of_namespace))
        wait = max(
            own.draw(now, burst=self._burst, window=self._window),
            shared.draw(now, burst=of_namespace, window=self._window),
        )
        if not wait:
            return None
        self.delayed += 1
        self._moments[key] = now + wait
        return now + wait

    def forget(self, key: ObjectKey) -> None:
        """Forget an identity that is gone. What it waited for is its namespace's again."""
        self._identities.pop(key, None)
        shared = self._namespaces.get(key.namespace)
        if self._moments.pop(key, None) is not None and shared is not None:
            shared.drawn -= 1

    def sweep(self, now: datetime) -> None:
        """Throw out the buckets that are full, and the moments that nobody came for."""
        self._identities = {key: one for key, one in self._identities.items() if one.left_drawn(now, self._window)}
        self._namespaces = {name: one for name, one in self._namespaces.items() if one.left_drawn(now, self._window)}
        self._moments = {key: moment for key, moment in self._moments.items() if moment + self._window >= now}

    def waiting(self, now: datetime) -> Counter[str]:
        """Count the identities that wait for their moment, by namespace."""
        return Counter(key.namespace for key, moment in self._moments.items() if moment > now)

    @property
    def held(self) -> int:
        """How many things are kept, of whatever kind."""
        return len(self._identities) + len(self._namespaces) + len(self._moments)
