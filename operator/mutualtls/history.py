"""What the reconciler remembers of its own doing, and may forget: how often it mended what, and whose turn is when."""

from __future__ import annotations

from collections import deque
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


class Pace:
    """Hands out turns, so many a second. Whoever asked once keeps the turn."""

    def __init__(self) -> None:
        self._turns: dict[str, datetime] = {}
        self._next = datetime.min.replace(tzinfo=UTC)

    def turn(self, key: str, now: datetime, *, per_second: int) -> datetime | None:
        """Tell when it is a key's turn; None when it is now."""
        turn = self._turns.get(key)
        if turn is None:
            turn = max(self._next, now)
            self._next = turn + timedelta(seconds=1) / per_second
            self._turns[key] = turn
        if turn > now:
            return turn
        del self._turns[key]
        return None


class Places:
    """So many may do at once what takes long. The others wait in line, and hold up nobody meanwhile."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._line: dict[str, None] = {}

    def take(self, key: str) -> bool:
        """Take a place, to be left again. Where there is none, stand in line."""
        if not self._free:
            self._line[key] = None
            return False
        self._line.pop(key, None)
        self._free -= 1
        return True

    def leave(self) -> str | None:
        """Leave a place, and tell who stood in line first. Whether that one still wants it is not known."""
        self._free += 1
        first = next(iter(self._line), None)
        if first is not None:
            del self._line[first]
        return first
