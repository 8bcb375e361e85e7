"""Health as kubelet asks for it: `/healthz`, whether to start the operator again; `/readyz`, whether it serves.

Both tell the truth: a watch that has gone deaf is not healthy, an API server that does not answer is not ready. A new
start is asked for only where one can help, and never for what somebody wrote into the cluster. An event loop that is
stuck answers nothing, which is an answer, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web

_LONGEST_SILENCE = timedelta(minutes=3)
"""The API server sends a bookmark every minute, whatever else happens."""
_FIRST_LISTS = timedelta(minutes=5)
"""How long the first lists may take, while the API server answers."""
_MOST_FAILURES = 6
"""How often in a row a task may fail: it was begun again for about a minute then."""


def _nothing_known() -> None:
    """Know of no trouble."""


@dataclass(slots=True, kw_only=True)
class Health:
    """What was last heard, and what that means. Watches and tasks go by names for people."""

    clock: Callable[[], datetime]
    why_no_statuses: Callable[[], str | None] = _nothing_known
    """Tells why nobody learns what the operator has to say; None while all do."""
    why_no_leader: Callable[[], str | None] = _nothing_known
    """Tells why this operator neither leads nor stands by; None while it does."""
    standby_of: Callable[[], str] = str
    """Tells which leader it stands by for; "" where it leads itself."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all that is followed was listed."""
    started: bool = False
    """Whether all that is watched was there, so that the watches were begun."""
    waits_for: str | None = None
    """What is not there yet."""
    lacks: str | None = None
    """What the account may not do any more."""
    unlisted: dict[str, datetime] = field(default_factory=dict)
    """Each watch that has not told of all that there is, and since when that is waited for."""
    lost: dict[str, str] = field(default_factory=dict)
    """For each watch that cannot be followed now, why."""
    heard: dict[str, datetime] = field(default_factory=dict)
    """When each watch last told anything, be it a bookmark."""
    deaf: str | None = None
    """What a watch should have told and did not."""
    failing: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For each task that fails, why, and how often in a row."""
    well_since: datetime | None = None
    """When the last watch that could not be followed could be again."""

    def follow(self, of: str) -> None:
        """Wait for a watch's first list from now on."""
        self.unlisted[of] = self.clock()

    def unfollow(self, of: str) -> None:
        """Expect nothing of a watch any more."""
        for known in (self.unlisted, self.lost, self.heard):
            known.pop(of, None)
        self._note_listed()

    def list_ended(self, of: str) -> None:
        """Take in that a watch has told of all that there is."""
        self.unlisted.pop(of, None)
        self._note_listed()
        self.hear(of)

    def _note_listed(self) -> None:
        if self.started and not self.unlisted:
            self.listed.set()

    def hear(self, of: str) -> None:
        """Take in a sign of life of the API server, by a watch."""
        self.heard[of] = self.clock()
        if self.lost.pop(of, None) is not None:
            self.well_since = self.clock()

    def lose(self, of: str, why: str) -> None:
        """Take in that a watch cannot be followed now."""
        self.lost[of] = why

    def fail(self, task: str, why: str) -> None:
        """Take in that a task failed."""
        self.failing[task] = (why, self.failing.get(task, ("", 0))[1] + 1)

    def recover(self, task: str) -> None:
        """Take in that a task is well."""
        self.failing.pop(task, None)

    def why_not_healthy(self) -> str | None:
        """Tell why the operator is to be started again; None while it is not."""
        hopeless = (why for why, failures in self.failing.values() if failures >= _MOST_FAILURES)
        known = self.deaf or next(hopeless, None)
        if known is not None or self.waits_for is not None or self.lost or self.lacks is not None:
            return known
        return next(self._silences(), None)

    def why_not_ready(self) -> str | None:
        """Tell why the operator does not serve; None while it does."""
        trouble = self.waits_for or self.lacks or next(iter(self.lost.values()), None)
        if not self.started or not self.heard:
            return trouble or "the operator waits for the cluster"
        failing = next((why for why, _ in self.failing.values()), None)
        unlisted = next((f"the first list of {of} has not come" for of in self.unlisted), None)
        known = trouble or failing or unlisted or self.why_not_healthy()
        return known or self.why_no_leader() or self.why_no_statuses()

    def standing(self) -> str:
        """Say that the operator serves, or for whom it stands by."""
        leader = self.standby_of()
        return f"ok: standby, {leader} leads" if leader else "ok"

    def _silences(self) -> Iterator[str]:
        """Say which watches should have told something by now. What came between does not count as their silence."""
        now = self.clock()
        for of, since in self.unlisted.items():
            if self.started and now - self._within(since) > _FIRST_LISTS:
                yield f"the first list of {of} has not come, though the API server answers"
        for of, heard in self.heard.items():
            if now - self._within(heard) > _LONGEST_SILENCE:
                yield f"the watch of {of} is stalled: it has sent nothing for a long time, not even a bookmark"

    def _within(self, since: datetime) -> datetime:
        return max(since, self.well_since) if self.well_since is not None else since


async def serve(health: Health, metrics: Callable[[], Awaitable[bytes]], *, port: int) -> web.AppRunner:
    """Serve both, and `/metrics` in Prometheus' text format, on all addresses, until the runner is cleaned up."""

    async def measure(_: web.Request) -> web.Response:
        return web.Response(body=await metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.router.add_get("/metrics", measure)
    app.router.add_get("/healthz", _answer(health.why_not_healthy))
    app.router.add_get("/readyz", _answer(health.why_not_ready, health.standing))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _ok() -> str:
    return "ok"


def _answer(
    why_not: Callable[[], str | None], well: Callable[[], str] = _ok
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        reason = why_not()
        return web.Response(status=503 if reason else 200, text=f"{reason or well()}\n")

    return answer
