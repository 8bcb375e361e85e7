"""Tasks that are never to end are begun again, and health knows of those that cannot be."""

from __future__ import annotations

import asyncio

import pytest

from mutualtls.process import supervision
from mutualtls.process.health import Health
from support.builders import NOW


def test_a_task_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause does not matter; health reports it meanwhile."""
    monkeypatch.setattr(supervision, "_FIRST_DELAY_S", 0.01)
    health, told, begun = Health(clock=lambda: NOW), [], 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        told.append(dict(health.failing))
        if begun < 3:
            raise RecursionError("deep")

    asyncio.run(supervision.keep("the watch", work, health))

    why = "the watch fails: RecursionError"
    assert [{}, {"the watch": (why, 1)}, {"the watch": (why, 2)}] == told
    assert {} == health.failing


def test_a_task_that_cannot_be_begun_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator is to be started again then; it goes on trying."""
    monkeypatch.setattr(supervision, "_FIRST_DELAY_S", 0.0)
    health, begun = Health(clock=lambda: NOW, started=True), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 8:
            assert "the watch fails: KeyError" == health.why_not_healthy()
            return
        raise KeyError

    asyncio.run(supervision.keep("the watch", work, health))

    assert 8 == begun
    assert health.why_not_healthy() is None


def test_a_cancelled_task_ends() -> None:
    """It did not fail."""
    health = Health(clock=lambda: NOW)

    async def run() -> None:
        task = asyncio.create_task(supervision.keep("the watch", asyncio.Event().wait, health))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert {} == health.failing
