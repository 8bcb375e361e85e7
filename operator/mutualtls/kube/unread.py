"""Objects that cannot be read: counted, and each named once in the log.

Names come from whoever wrote the objects. So what is remembered of them is bounded, and so is what is logged.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

logger = logging.getLogger(__name__)

_MOST_NAMES = 1000
"""How many names are remembered."""
_MOST_LINES = 10
"""How many are logged in a minute. The others are counted."""
_MINUTE = timedelta(minutes=1)


_NAMES = re.compile(
    rb'"name":"([^"\\]{1,253})"(?:,"generateName":"[^"\\]*")?(?:,"namespace":"([^"\\]{1,63})")?,"(?:uid|ownerRef|resou)'
)


@dataclass(frozen=True, slots=True)
class Unread:
    """An object that could not be read, and why. `key` names it where that much is known: for the log alone."""

    why: str
    key: str | None = None

    @classmethod
    def of(cls, content: bytes, why: str) -> Unread:
        """Name an object by what there is of it."""
        found = _NAMES.search(content)
        key = f"{(found[2] or b'').decode(errors='replace')}/{found[1].decode(errors='replace')}" if found else None
        return cls(why, key)


class UnreadObjects:
    """What could not be read since the start."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.counts: Counter[str] = Counter()
        """How often an object could not be read, by its resource."""
        self._named: dict[str, None] = {}
        self._minute = datetime.min.replace(tzinfo=UTC)
        self._lines = 0
        self._unnamed = 0

    def note(self, resource: str, key: str | None, why: str) -> bool:
        """Take in that an object could not be read, and tell whether it was named in the log now."""
        self.counts[resource] += 1
        name = f"{resource} {key or '(its name cannot be read either)'}"
        if name in self._named:
            return False
        self._named[name] = None
        if len(self._named) > _MOST_NAMES:
            del self._named[next(iter(self._named))]
        if self._clock() - self._minute > _MINUTE:
            self._minute, self._lines = self._clock(), 0
        if self._lines >= _MOST_LINES:
            self._unnamed += 1
            return False
        self._lines += 1
        extra = {"object": name, "why": why} | ({"others": self._unnamed} if self._unnamed else {})
        self._unnamed = 0
        logger.warning("an object cannot be read and is skipped", extra=extra)
        return True
