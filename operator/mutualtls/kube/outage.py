"""Whether the API server takes writes at all.

When it does again after an outage, what failed meanwhile is tried at once instead of after its delay.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus

_LEAST = timedelta(seconds=10)
"""For so long no write was taken, though some were sent, when it counts. What fails now and then is no outage."""
_PASSING = frozenset({0, HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})
"""Answers that say nothing about what was sent; 0: there was none."""


class Outage:
    """Since when no write was taken."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._since: datetime | None = None
        self.on_end: Callable[[], None] = _nothing
        """Called when a write is taken for the first time since long."""

    def note(self, method: str, code: int) -> None:
        """Take in how a request was answered, by its code; 0: not at all."""
        if method == "GET":
            return
        if code in _PASSING or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._since = self._since or self._clock()
            return
        since, self._since = self._since, None
        if since is not None and self._clock() - since >= _LEAST:
            self.on_end()


def _nothing() -> None:
    """Do nothing."""
