"""Scenes with an agenda, and a clock that stands until it is set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.agenda import Agenda, Key
from support.builders import NOW, SECOND

A, B, C = (Key.identity(ObjectKey("shop", name)) for name in "abc")


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Read it."""
        return self.now


def nothing_is_urgent(_: Key) -> None:
    """Hurry nothing."""


def play(
    scene: Callable[[Agenda, Clock], Coroutine[Any, Any, None]],
    *,
    urgent_from: Callable[[Key], datetime | None] = nothing_is_urgent,
    most_at_work: int = 10_000,
) -> None:
    """Play a scene with a new agenda, which must end by itself."""
    clock = Clock()

    async def bounded() -> None:
        agenda = Agenda(
            clock=clock,
            first_retry=SECOND,
            last_retry=8 * SECOND,
            urgent_from=urgent_from,
            most_at_work=most_at_work,
        )
        async with asyncio.timeout(60):
            await scene(agenda, clock)
        agenda.close()

    asyncio.run(bounded())


async def taken(agenda: Agenda) -> list[Key]:
    """Take all that is due now, and leave it at work."""
    found = []
    while (key := await at_once(agenda)) is not None:
        found.append(key)
    return found


async def at_once(agenda: Agenda) -> Key | None:
    """Take a key if one is due now; None if one would have to wait."""
    taking = asyncio.ensure_future(agenda.take())
    await asyncio.sleep(0)
    if taking.done():
        return taking.result()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return None


def of(namespace: str, *numbers: int) -> list[Key]:
    """Keys of identities of a namespace."""
    return [Key.identity(ObjectKey(namespace, str(number))) for number in numbers]
