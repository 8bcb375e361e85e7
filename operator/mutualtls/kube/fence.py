"""Whether a write may begin, and how long it may take: an operator writes only while it holds its Lease.

The fence keeps an operator that lost its Lease without noticing from writing: one that was suspended, or cut off. What
such an operator has sent already may still land late. It takes no effect over what came since, as each write has a
precondition.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mutualtls.core.errors import NotLeadingError

MARGIN_S = 1.0
"""How long before the end of the Lease every write is over, for clocks that do not run alike."""


def boot_clock() -> float:
    """Read, in seconds, a clock that nobody sets, and that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Lets writes begin while the Lease is held for long enough. Times are seconds of `clock`."""

    def __init__(self, *, longest_s: float, least_left_s: float, clock: Callable[[], float] = boot_clock) -> None:
        """A write takes `longest_s` at most, and begins only while `least_left_s` of the Lease are left."""
        self._longest_s = longest_s
        self._least_left_s = least_left_s
        self._clock = clock
        self._end: float | None = None
        self._reopened: float | None = None

    def hold(self, until: float) -> None:
        """Let writes begin: the Lease is held until then."""
        if self._end is not None and not self.is_open:
            self._reopened = self._clock()
        self._end = until

    def close(self) -> None:
        """Let no write begin any more: the Lease is not held."""
        self._end = None

    @property
    def is_open(self) -> bool:
        """Whether a write may begin now."""
        return self._end is not None and self._end - self._clock() >= self._least_left_s

    @property
    def reopened_s(self) -> float | None:
        """For how many seconds it has been open since the Lease was last renewed too late; None: it never was."""
        return self._clock() - self._reopened if self._reopened is not None else None

    def seconds(self) -> int:
        """Tell how many seconds a write may take that begins now.

        Raises:
            NotLeadingError: none may begin.
        """
        if self._end is None:
            raise NotLeadingError("nothing is written: this operator does not hold the Lease")
        left = self._end - self._clock()
        if left < self._least_left_s:
            raise NotLeadingError("nothing is written: this operator has not renewed its Lease in time")
        return int(min(self._longest_s, left - MARGIN_S))
