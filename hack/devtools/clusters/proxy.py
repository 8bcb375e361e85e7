"""A proxy between operator and API server that puts faults between them: held writes, errors, cuts, a wrong clock.

It runs in a thread with a loop of its own; its verbs may be called from the test's thread. What is not held or answered
by a fault passes unchanged, watches as they stream.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import email.utils
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from devtools.clusters.certificates import write_serving_certificate
from devtools.clusters.clusters import Cluster

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DROPPED = frozenset({"accept-encoding", "connection", "content-length", "date", "host", "server", "transfer-encoding"})
_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the operator."""

    method: str
    path: str
    body: bytes


@dataclass(slots=True, kw_only=True)
class _Answer:
    """A fault: requests that match are answered so many times with a status instead of being passed on."""

    method: str
    contains: str
    status: int
    reason: str
    times: int
    after: str
    """Part of the path of a write that must have passed before; empty when one has, or none need."""


@dataclass(slots=True, kw_only=True)
class _Late:
    """A write that is held back while all else passes."""

    number: int
    may_pass: asyncio.Event = field(default_factory=asyncio.Event)
    code: concurrent.futures.Future[int] = field(default_factory=concurrent.futures.Future)


class Proxy:
    """The faults of one run. Writes count where they are about its subject; Events and Leases never do."""

    def __init__(self, cluster: Cluster, kubeconfig: Path) -> None:
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
        self._answers: list[_Answer] = []
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
        self._answers.clear()
        self._shift = timedelta()

    def answer(self, method: str, contains: str, *, status: int, reason: str, times: int = 1, after: str = "") -> None:
        """Answer the next requests of a method whose path contains a text with an error of the API server.

        `after`: only once a write has passed whose path contains that.
        """
        fault = _Answer(method=method, contains=contains, status=status, reason=reason, times=times, after=after)
        self._answers.append(fault)

    def shift_clock(self, by: timedelta) -> None:
        """Let the API server's clock be seen wrong by so much."""
        self._shift = by

    def cut_watches(self) -> None:
        """End all watches that run."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(timeout=10)

    async def _cut(self) -> None:
        for request in tuple(self._watches):
            if request.transport is not None:
                request.transport.abort()

    # Passing

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Handle one request."""
        number = self._count(request, await request.read())
        await self._gate(number, after=False)
        if (fault := self._fault(request)) is not None:
            return fault
        if self._late is not None and self._late.number == number:
            return await self._pass_late(request, self._late)
        return await self._forward(request, number)

    async def _pass_late(self, request: web.Request, late: _Late) -> web.StreamResponse:
        self.held.set()
        await late.may_pass.wait()
        answer = await self._forward(request, late.number)
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

    def _fault(self, request: web.Request) -> web.Response | None:
        for fault in self._answers:
            if fault.times and not fault.after and fault.method == request.method and fault.contains in request.path:
                fault.times -= 1
                body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": fault.reason}
                return web.json_response(
                    body | {"code": fault.status, "message": "put in by the test"}, status=fault.status
                )
        return None

    async def _forward(self, request: web.Request, number: int | None) -> web.StreamResponse:
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
                if request.query.get("watch") == "true":
                    return await self._stream(request, answer)
                content = await answer.read()
                self._note_passed(request)
        except aiohttp.ClientError as error:
            raise web.HTTPBadGateway(text=f"the API server does not answer: {type(error).__name__}") from None
        await self._gate(number, after=True)
        return web.Response(status=answer.status, headers=self._headers(answer), body=content)

    def _note_passed(self, request: web.Request) -> None:
        for fault in self._answers if request.method in WRITES else ():
            if fault.after in request.path:
                fault.after = ""

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=self._headers(answer))
        await response.prepare(request)
        self._watches.append(request)
        try:
            async for chunk in answer.content.iter_any():
                await self._gate(None, after=True)
                await response.write(chunk)
        except (ConnectionError, aiohttp.ClientError):
            return response  # one of both ends is gone
        finally:
            self._watches.remove(request)
        return response

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


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts. `folder` receives its certificate and its kubeconfig."""
    write_serving_certificate(folder)
    kubeconfig = folder / "proxy.kubeconfig"
    proxy = Proxy(cluster, kubeconfig)
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
