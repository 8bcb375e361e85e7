"""Health as kubelet asks for it: `/healthz`, whether to start the operator again; `/readyz`, whether it serves.

Both tell the truth: a watch that has gone deaf is not healthy, an API server that does not answer is not ready.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
    trouble: str | None = None
    """Why the API server cannot be followed now."""
    heard: datetime | None = None
    """When the watch of Secrets last told anything, be it a bookmark."""
    deaf: str | None = None
    """What a watch should have told and did not."""

    def hear(self) -> None:
        """Take in a sign of life of the API server."""
        self.heard, self.trouble = self.clock(), None

    def why_not_healthy(self) -> str | None:
        """Tell why the operator is to be started again; None while it is not."""
        if self.deaf is None and self.heard is not None and self.trouble is None and self._is_silent(self.heard):
            return "the watch of secrets has told nothing for long, not even a bookmark"
        return self.deaf

    def why_not_ready(self) -> str | None:
        """Tell why the operator does not serve; None while it does."""
        if not self.started or self.heard is None:
            return self.trouble or "the operator waits for the cluster"
        return self.trouble or self.why_not_healthy()

    def _is_silent(self, heard: datetime) -> bool:
        return self.clock() - heard > _LONGEST_SILENCE


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
