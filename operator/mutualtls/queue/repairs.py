"""Repairs of one object, so that nobody who keeps overwriting it is answered for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mutualtls.core.leaf.observed import Contest

_REPAIRS_IN_A_CONTEST = 3
_REPAIRS_WHATEVER_IS_WANTED = 9
"""So many within the window are a contest, also where somebody changes what is wanted and overwrites it in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repair:
    at: datetime
    by: str | None
    version: object


class Repairs:
    """How often each object was repaired lately, by a key that no later object has.

    Three times within the window is a contest; nine, of any version.
    """

    def __init__(self, window: timedelta) -> None:
        self._window = window
        self._repairs: dict[Hashable, deque[_Repair]] = {}

    def note(self, key: Hashable, version: object, by: str | None, now: datetime) -> None:
        """Note that an object is being repaired, and who overwrote it. `version`: of what we want of it.

        None: it was deleted.
        """
        repairs = self._repairs.setdefault(key, deque(maxlen=_REPAIRS_WHATEVER_IS_WANTED))
        repairs.append(_Repair(at=now, by=by, version=version))

    def contest(self, key: Hashable, version: object, now: datetime) -> Contest | None:
        """Tell whether somebody keeps overwriting an object. Another version of what we want ends a contest."""
        repairs = self._repairs.get(key)
        if repairs is None:
            return None
        recent = [repair for repair in repairs if repair.at + self._window > now]
        if not recent:
            del self._repairs[key]
            return None
        same = [repair for repair in recent if repair.version == version][-_REPAIRS_IN_A_CONTEST:]
        if len(recent) == _REPAIRS_WHATEVER_IS_WANTED:
            same = recent
        elif len(same) < _REPAIRS_IN_A_CONTEST:
            return None
        overwritten = [repair.by for repair in same if repair.by is not None]
        return Contest(
            by=", ".join(sorted(set(overwritten))),
            times=len(same),
            since=same[0].at,
            until=same[0].at + self._window,
            deletions=len(same) - len(overwritten),
        )

    def sweep(self, now: datetime) -> None:
        """Throw out what is too long ago to count."""
        for key in [key for key, repairs in self._repairs.items() if repairs[-1].at + self._window <= now]:
            del self._repairs[key]

    @property
    def held(self) -> int:
        """How many things are kept."""
        return sum(map(len, self._repairs.values()))
