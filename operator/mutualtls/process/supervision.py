"""Tasks that are never to end: one that fails is logged, told to health, and begun again after a growing delay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mutualtls.process.health import Health

logger = logging.getLogger(__name__)

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_SETTLED_S = 30.0
"""A task that has run for so long is well."""


async def keep(name: str, work: Callable[[], Awaitable[None]], health: Health) -> None:
    """Do a work that ends by itself only when it is done. It is begun again whenever it fails."""
    loop, failures = asyncio.get_running_loop(), 0
    while True:
        begun = loop.time()
        settled = loop.call_later(_SETTLED_S, health.recover, name)
        try:
            await work()
        except Exception as error:
            if loop.time() - begun >= _SETTLED_S:
                failures = 0
            delay = min(_FIRST_DELAY_S * 2**failures, _LONGEST_DELAY_S)
            failures += 1
            logger.exception("a task failed and is restarted", extra={"task": name, "in_s": delay})
            health.fail(name, f"{name} fails: {type(error).__name__}")
            await asyncio.sleep(delay)
        else:
            health.recover(name)
            return
        finally:
            settled.cancel()
