"""What the reconciler remembers of its own doing, and may forget: how often it mended what, and whose turn it is."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mutualtls.core.checks import Contest

_MENDS_IN_A_CONTEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mend:
    at: datetime
    by: str
    version: object


class Mends:
    """How often each object was mended of late. Three times within the window is a contest."""

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._mends: dict[str, deque[_Mend]] = {}

    def note(self, key: str, version: object, by: str, now: datetime) -> None:
        """Note that an object is being mended, and who made that necessary. `version`: of what we want of it."""
        mends = self._mends.setdefault(key, deque(maxlen=_MENDS_IN_A_CONTEST))
        mends.append(_Mend(at=now, by=by, version=version))

    def contest(self, key: str, version: object, now: datetime) -> Contest | None:
        """Tell whether somebody keeps overwriting an object. Another version of what we want ends a contest."""
        mends = self._mends.get(key)
        if mends is None:
            return None
        recent = [mend for mend in mends if mend.at + self._window > now]
        if not recent:
            del self._mends[key]
            return None
        same = [mend for mend in recent if mend.version == version]
        if len(same) < _MENDS_IN_A_CONTEST:
            return None
        by = ", ".join(sorted({mend.by for mend in same}))
        return Contest(by=by, times=len(same), over=same[0].at + self._window)


class Turns:
    """Who waits to have a leaf made anew with many others: so many a second have their turn, soonest end first."""

    def __init__(self) -> None:
        self._waiting: dict[str, datetime] = {}
        self._line: list[tuple[datetime, str]] = []
        self._granted: set[str] = set()
        self._since = datetime.min.replace(tzinfo=UTC)
        """Up to when turns were granted, as long as somebody waits."""

    def has(self, key: str, end: datetime, now: datetime) -> bool:
        """Tell whether a key has its turn, until it is `done`. If not it waits. `end`: of its leaf."""
        if key in self._granted:
            return True
        if not self._waiting:
            self._line, self._since = [], now
        if key not in self._waiting:
            self._waiting[key] = end
            heapq.heappush(self._line, (end, key))
        return False

    def done(self, key: str) -> None:
        """Take in that a key has had its turn, or needs none any more."""
        self._granted.discard(key)
        self._waiting.pop(key, None)

    def grant(self, now: datetime, *, per_second: int) -> list[str]:
        """Give their turns to as many as are due since the last time; to no more than a second's, however long ago."""
        if not self._waiting:
            return []
        number = int((now - self._since) / timedelta(seconds=1) * per_second)
        if number > per_second:
            number, self._since = per_second, now
        else:
            self._since += timedelta(seconds=number) / per_second
        granted = list(itertools.islice(self._in_line(), number))
        self._granted.update(granted)
        return granted

    @property
    def is_over(self) -> bool:
        """Whether nobody waits."""
        return not self._waiting

    def _in_line(self) -> Iterator[str]:
        """Take those who wait off the line. Who left it, or waits for another leaf by now, is not met here."""
        while self._line:
            end, key = heapq.heappop(self._line)
            if self._waiting.get(key) == end:
                del self._waiting[key]
                yield key


class Places:
    """So many may do at once what takes long. The others wait in line, and hold up nobody meanwhile."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._line: dict[str, bool] = {}

    def take(self, key: str, *, is_urgent: bool = False) -> bool:
        """Take a place, to be left again. Where there is none, stand in line: before all who are not urgent."""
        if not self._free:
            self._line[key] = is_urgent
            return False
        self._line.pop(key, None)
        self._free -= 1
        return True

    def leave(self) -> str | None:
        """Leave a place, and tell who is first in line. Whether that one still wants it is not known."""
        self._free += 1
        first = next((key for key, is_urgent in self._line.items() if is_urgent), next(iter(self._line), None))
        if first is not None:
            del self._line[first]
        return first
