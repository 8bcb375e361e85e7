"""A proxy between operator and API server that puts `faults` between them, holds writes, and shows a wrong clock.

It runs in a thread with a loop of its own; its verbs may be called from the test's thread. What is not held or struck
by a fault passes unchanged, watches as they stream.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import email.utils
import random
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from devtools.clusters import faults
from devtools.clusters.certificates import write_serving_certificate
from devtools.clusters.clusters import Cluster
from devtools.clusters.faults import Asked, Cut, CutAfter, Delay, Effect, Fault, Lines, Refuse, Silence, StaleLists

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_VERBS = {
    "GET": faults.READS,
    "POST": frozenset({"create"}),
    "PUT": frozenset({"update"}),
    "PATCH": frozenset({"patch"}),
}
_DROPPED = frozenset({"accept-encoding", "connection", "content-length", "date", "host", "server", "transfer-encoding"})
_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add."""

Answered = tuple[int, dict[str, str], bytes]
"""Status, headers and content."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the operator."""

    method: str
    path: str
    body: bytes


@dataclass(slots=True, kw_only=True)
class _Late:
    """A write that is held back while all else passes."""

    number: int
    may_pass: asyncio.Event = field(default_factory=asyncio.Event)
    code: concurrent.futures.Future[int] = field(default_factory=concurrent.futures.Future)


class Proxy:
    """The faults of one run. Writes count where they are about its subject; Events and Leases never do."""

    def __init__(self, cluster: Cluster, kubeconfig: Path, *, seed: int = 0) -> None:
        self.kubeconfig = kubeconfig
        """Kubeconfig of user `operator`, by way of the proxy."""
        self.writes: list[Write] = []
        """Writes in the order in which they came, those included that were held."""
        self.held = threading.Event()
        """Set when the write to be held has come, and has been passed on if it was to be."""
        self._cluster = cluster
        self._subject = b""
        self._hold: tuple[int, bool] | None = None
        self._is_held = False
        self._late: _Late | None = None
        self.effects: list[Effect] = []
        """The faults in effect."""
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        self._shift = timedelta()
        self._watches: list[web.Request] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def watches(self) -> int:
        """How many watches run."""
        return len(self._watches)

    # Faults

    def count(self, subject: str) -> None:
        """Count from now on the writes that name a subject, in path or body."""
        self._subject = subject.encode()
        self.writes.clear()

    def hold(self, number: int, *, after: bool) -> None:
        """Hold the write of that number, from 1 on: before it is passed on, or after, before its answer is.

        From then on nothing passes any more, until `release`.
        """
        self.held.clear()
        self._hold, self._is_held = (number, after), False

    def withhold(self, number: int) -> None:
        """Hold the write of that number back, from 1 on, and let all others pass."""
        self.held.clear()
        self._late = _Late(number=number)

    def pass_withheld(self) -> int:
        """Pass on the write that was held back, as a network may, and return the API server's code."""
        if self._loop is None or self._late is None:
            raise RuntimeError("nothing was to be held back")
        self._loop.call_soon_threadsafe(self._late.may_pass.set)
        return self._late.code.result(timeout=60)

    def release(self) -> None:
        """Let everything pass again. What was held is never answered: who sent it is gone."""
        self._hold, self._is_held = None, False

    def mend(self) -> None:
        """Take all faults away."""
        self.release()
        self.effects = []
        self._shift = timedelta()

    def put(self, *chosen: Fault) -> list[Effect]:
        """Put faults into effect, in this order, after those that are, and return how to see what they do."""
        added = [Effect(fault, self._chance) for fault in chosen]
        self.effects = [*self.effects, *added]
        return added

    def answer(self, method: str, contains: str, *, status: int, reason: str, times: int = 1, after: str = "") -> None:
        """Answer the next requests of a method whose path contains a text with an error of the API server.

        `after`: only once a write has passed whose path contains that.
        """
        verbs = _VERBS[method]
        self.put(Refuse(verbs=verbs, contains=contains, status=status, reason=reason, times=times, after=after))

    def shift_clock(self, by: timedelta) -> None:
        """Let the API server's clock be seen wrong by so much."""
        self._shift = by

    def cut_watches(self) -> None:
        """End all watches that run."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(timeout=10)

    async def _cut(self) -> None:
        for request in tuple(self._watches):
            _cut(request)

    # Passing

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Handle one request."""
        number = self._count(request, await request.read())
        await self._gate(number, after=False)
        asked = _asked(request)
        if (struck := await self._struck(request, asked)) is not None:
            return struck
        if self._late is not None and self._late.number == number:
            return await self._pass_late(request, asked, self._late)
        return await self._forward(request, asked, number)

    async def _struck(self, request: web.Request, asked: Asked) -> web.Response | None:
        """Let the faults strike a request before it is passed on."""
        for effect in self.effects:
            fault = effect.fault
            if isinstance(fault, Delay | Refuse | Cut) and effect.strikes(asked):
                if isinstance(fault, Refuse):
                    after = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
                    return web.json_response(fault.body, status=fault.status, headers=after)
                if isinstance(fault, Cut):
                    return _cut(request)
                await asyncio.sleep(effect.delay_s())
        return None

    async def _pass_late(self, request: web.Request, asked: Asked, late: _Late) -> web.StreamResponse:
        self.held.set()
        await late.may_pass.wait()
        answer = await self._forward(request, asked, late.number)
        late.code.set_result(answer.status)
        return answer

    def _count(self, request: web.Request, body: bytes) -> int | None:
        """Give a write its number."""
        is_about = self._subject in request.path.encode() + body
        is_apart = "/events" in request.path or "/leases" in request.path
        if request.method not in WRITES or is_apart or not is_about:
            return None
        self.writes.append(Write(request.method, request.path, body))
        return len(self.writes)

    async def _gate(self, number: int | None, *, after: bool) -> None:
        """Never go on from the moment that is held. The connection ends with who opened it."""
        if number is not None and self._hold == (number, after):
            self._is_held = True
            self.held.set()
        if self._is_held:
            await asyncio.Event().wait()

    async def _forward(self, request: web.Request, asked: Asked, number: int | None) -> web.StreamResponse:
        if self._session is None:
            raise RuntimeError("the proxy does not run")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        url = f"{self._cluster.server}{request.path_qs}"
        unlimited = aiohttp.ClientTimeout(total=None)
        body = await request.read() or None
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, timeout=unlimited, skip_auto_headers=_OURS
            ) as answer:
                if asked.verb == "watch":
                    return await self._stream(request, asked, answer)
                answered = answer.status, self._headers(answer), await answer.read()
                self._note_passed(request)
        except aiohttp.ClientError as error:
            raise web.HTTPBadGateway(text=f"the API server does not answer: {type(error).__name__}") from None
        await self._gate(number, after=True)
        status, shown, content = self._answered(request, asked, answered)
        return web.Response(status=status, headers=shown, body=content)

    def _note_passed(self, request: web.Request) -> None:
        for effect in self.effects if request.method in WRITES else ():
            effect.arm(request.path)

    def _answered(self, request: web.Request, asked: Asked, answered: Answered) -> Answered:
        """Let the faults strike an answer."""
        for effect in self.effects:
            if isinstance(effect.fault, CutAfter) and effect.strikes(asked):
                _cut(request)
            if isinstance(effect.fault, StaleLists) and effect.strikes(asked):
                answered = effect.answers.setdefault(asked.key, answered)
        return answered

    async def _stream(self, request: web.Request, asked: Asked, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=self._headers(answer))
        await response.prepare(request)
        self._watches.append(request)
        lines, rest = Lines(asked), b""
        try:
            async for chunk in answer.content.iter_any():
                await self._gate(None, after=True)
                is_struck = not lines.are_whole or rest or self.effects
                if answer.status != HTTPStatus.OK or (not is_struck and chunk.endswith(b"\n")):
                    await response.write(chunk)
                    continue
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    await self._send(response, lines, line + b"\n")
                if lines.ends:
                    _cut(request)
                    break
        except (ConnectionError, aiohttp.ClientError):
            return response  # one of both ends is gone
        finally:
            self._watches.remove(request)
        return response

    async def _send(self, response: web.StreamResponse, lines: Lines, line: bytes) -> None:
        """Send an event of a watch, or what the faults make of it. A silent watch sends it never."""
        if lines.ends:
            return
        for effect in self.effects:
            if isinstance(effect.fault, Silence) and effect.strikes(lines.asked):
                await asyncio.Event().wait()
        if sent := lines.passed(line, self.effects):
            await response.write(sent)

    def _headers(self, answer: aiohttp.ClientResponse) -> dict[str, str]:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _DROPPED}
        date = email.utils.parsedate_to_datetime(answer.headers["Date"]) + self._shift
        return kept | {"Date": email.utils.format_datetime(date, usegmt=True)}

    # Running

    async def serve(self, port_found: Callable[[int], None], folder: Path, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        trust = ssl.create_default_context(cafile=str(self._cluster.folder / "ca.crt"))
        connector = aiohttp.TCPConnector(limit=0, ssl=trust)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(folder / "server.crt", folder / "server.key")
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{path:.*}", self.pass_on)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
            await site.start()
            port_found(runner.addresses[0][1])
            await stop.wait()
            await runner.cleanup()


def _asked(request: web.Request) -> Asked:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return Asked(method=request.method, path=request.path, query=dict(request.query), token=token)


def _cut(request: web.Request) -> web.Response:
    """End a connection, as if a cable were pulled. What is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path, *, seed: int = 0) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts. `folder` receives its certificate and its kubeconfig.

    From the seed comes what of the requests a fault strikes that strikes a share of them.
    """
    write_serving_certificate(folder)
    kubeconfig = folder / "proxy.kubeconfig"
    proxy = Proxy(cluster, kubeconfig, seed=seed)
    ready = threading.Event()
    loop_and_stop: list[Any] = []

    def port_found(port: int) -> None:
        config = yaml.safe_load(cluster.kubeconfig("operator").read_text())
        config["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{port}",
            "certificate-authority": str(folder / "ca.crt"),
        }
        kubeconfig.write_text(yaml.safe_dump(config))
        ready.set()

    async def main() -> None:
        stop = asyncio.Event()
        loop_and_stop.extend((asyncio.get_running_loop(), stop))
        await proxy.serve(port_found, folder, stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    if not ready.wait(timeout=30):
        raise RuntimeError("the proxy did not come up")
    try:
        yield proxy
    finally:
        loop, stop = loop_and_stop
        loop.call_soon_threadsafe(stop.set)
        thread.join()
