"""Ports of this machine, for programs that must be told where to listen."""

from __future__ import annotations

import contextlib
import socket
from secrets import SystemRandom

_RANGE = range(20_000, 30_000)
"""Below those from which the kernel takes one for each connection, so that a program finds its own again."""


def free(count: int) -> list[int]:
    """Find ports that are free now, all at once so that they differ.

    Raises:
        OSError: there are not so many.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in SystemRandom().sample(_RANGE, len(_RANGE)):
            if len(found) == count:
                return found
            with contextlib.suppress(OSError):  # it is in use
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
    raise OSError(f"fewer than {count} ports of {_RANGE} are free")
