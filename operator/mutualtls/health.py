"""Health as kubelet asks for it: `/healthz`, whether to start the operator again; `/readyz`, whether it serves.

Both tell the truth: a watch that has gone deaf is not healthy, an API server that does not answer is not ready.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web

_LONGEST_SILENCE = timedelta(minutes=3)
"""The API server sends a bookmark every minute, whatever else happens."""


@dataclass(slots=True, kw_only=True)
class Health:
    """What was last heard, and what that means."""

    clock: Callable[[], datetime]
    started: bool = False
    """Whether all that is watched was there, so that the watches were begun."""
    waits_for: str | None = None
    """What is not there yet."""
    lost: dict[str, str] = field(default_factory=dict)
    """For each watch that cannot be followed now, why."""
    heard: dict[str, datetime] = field(default_factory=dict)
    """When each watch last told anything, be it a bookmark."""
    deaf: str | None = None
    """What a watch should have told and did not."""

    def hear(self, of: str) -> None:
        """Take in a sign of life of the API server, by a watch."""
        self.heard[of] = self.clock()
        self.lost.pop(of, None)

    def lose(self, of: str, why: str) -> None:
        """Take in that a watch cannot be followed now."""
        self.lost[of] = why

    def why_not_healthy(self) -> str | None:
        """Tell why the operator is to be started again; None while it is not."""
        if self.deaf is not None or self.waits_for is not None or self.lost:
            return self.deaf
        silent = (of for of, heard in self.heard.items() if self.clock() - heard > _LONGEST_SILENCE)
        return next((f"the watch of {of} has told nothing for long, not even a bookmark" for of in silent), None)

    def why_not_ready(self) -> str | None:
        """Tell why the operator does not serve; None while it does."""
        trouble = self.waits_for or next(iter(self.lost.values()), None)
        if not self.started or not self.heard:
            return trouble or "the operator waits for the cluster"
        return trouble or self.why_not_healthy()


async def serve(health: Health, metrics: Callable[[], bytes], *, port: int) -> web.AppRunner:
    """Serve both, and `/metrics` in Prometheus' text format, on all addresses, until the runner is cleaned up."""

    async def measure(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_get("/metrics", measure)
    app.router.add_get("/healthz", _answer(health.why_not_healthy))
    app.router.add_get("/readyz", _answer(health.why_not_ready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _answer(why_not: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        reason = why_not()
        return web.Response(status=503 if reason else 200, text=f"{reason or 'ok'}\n")

    return answer
