"""Requests to the API server and its answers, over one aiohttp session. Every failure is a `ClusterError`.

Errors carry what the API server said, but for text that quotes what was sent of a Secret's data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp
import msgspec

from mutualtls.core import bounded
from mutualtls.core.api import refusals
from mutualtls.core.api.refusals import Cause
from mutualtls.core.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ImmutableError,
    NotFoundError,
    UnreadableError,
)
from mutualtls.kube import objects, streams
from mutualtls.kube.clocks import Clocks
from mutualtls.kube.outage import Outage
from mutualtls.kube.requests import Requests
from mutualtls.kube.versions import Versions

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""What is accepted as an answer."""
_DENIED = frozenset({401, 403})
_EXPECTED = frozenset({404, 409})
"""Answers to a write that tell how things are."""
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LONGEST_STATUS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request, but for the server."""

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    parameters: Mapping[str, str] | None = field(default=None, kw_only=True)
    accept: str = field(default=JSON, kw_only=True)
    content_type: str = field(default=JSON, kw_only=True)
    withheld: Sequence[bytes] = field(default=(), kw_only=True, repr=False)
    """No error repeats a piece of it."""
    within_s: int | None = field(default=None, kw_only=True)
    """How long it may take, for us and for the API server; None: as long as any."""


class Transport:
    """Sends requests, and tells who listens how the API server takes them."""

    def __init__(
        self, session: aiohttp.ClientSession, server: str, *, timeout_s: float, clock: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._server = server.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self.clocks = Clocks(clock)
        """Compared at every answer."""
        self.versions = Versions()
        """What versions lists and watches have told of."""
        self.requests = Requests()
        """Each is counted once it is answered."""
        self.outage = Outage(clock)
        """Whether writes are taken at all."""
        self.on_denied: Callable[[str, str, int], None] = _nothing
        """Called with method, path and code of a request that was denied: for a lack of rights, or of anything else."""
        self.on_refused: Callable[[str, str, int, Cause], None] = _nothing
        """Called with the same, and why, of a write that was not taken, unless things are not as they were known."""

    async def send(self, request: Request) -> dict[str, Any]:
        """Send a request and read the object that is answered."""
        if self.versions.is_past and request.method != "GET":
            what = f"{request.method} {request.path} was not sent"
            raise ClusterError(f"{what}: versions went back, so that all is to be listed first")
        began = self.requests.begin()
        parameters, timeout = request.parameters, self._timeout
        if request.within_s is not None:
            parameters = {**(parameters or {}), "timeout": f"{request.within_s}s"}
            timeout = aiohttp.ClientTimeout(total=request.within_s)
        try:
            async with self._session.request(
                request.method,
                self._server + request.path,
                params=parameters,
                data=None if request.body is None else msgspec.json.encode(request.body),
                headers={"Accept": request.accept, "Content-Type": request.content_type},
                timeout=timeout,
            ) as response:
                content = await streams.read(response.content)
                self.clocks.compare(response.headers.get("Date"))
        except (aiohttp.ClientError, TimeoutError) as error:
            self.requests.note(request.method, request.path, None, began=began)
            self.outage.note(request.method, 0)
            raise ClusterError(f"{request.method} {request.path} got no answer: {type(error).__name__}") from error
        self.requests.note(request.method, request.path, response.status, began=began)
        self.outage.note(request.method, response.status)
        if response.status >= 400:  # noqa: PLR2004 - where errors begin
            raise self._failure(request, response.status, content)
        return objects.parse(content)

    @asynccontextmanager
    async def listed(self, request: Request) -> AsyncIterator[aiohttp.StreamReader]:
        """Ask for a page of a list."""
        began = self.requests.begin()
        try:
            async with self._answered(request, self._timeout) as response:
                self.requests.note(request.method, request.path, response.status, began=began)
                self.clocks.compare(response.headers.get("Date"))
                yield await self._content(request, response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(f"GET {request.path} got no answer: {type(error).__name__}") from error

    @asynccontextmanager
    async def watched(self, request: Request, *, timeout_s: int) -> AsyncIterator[aiohttp.StreamReader]:
        """Ask for a watch that the API server ends after `timeout_s`."""
        timeout = aiohttp.ClientTimeout(total=timeout_s + 30, sock_connect=self._timeout.total, sock_read=90)
        try:
            async with self._answered(request, timeout) as response:
                self.requests.note(request.method, request.path, response.status)
                yield await self._content(request, response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(f"watch of {request.path} broke: {type(error).__name__}") from error

    @asynccontextmanager
    async def _answered(self, request: Request, within: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        """Wait for an answer to be read piece by piece."""
        headers = {"Accept": request.accept}
        try:
            response = await self._session.get(
                self._server + request.path, params=request.parameters, headers=headers, timeout=within
            )
        except (aiohttp.ClientError, TimeoutError):
            self.requests.note(request.method, request.path, None)
            raise
        async with response:
            yield response

    async def _content(self, request: Request, response: aiohttp.ClientResponse) -> aiohttp.StreamReader:
        if response.status != 200:  # noqa: PLR2004 - the one good status of a list, and of a watch
            raise self._failure(request, response.status, await streams.read(response.content))
        return response.content

    def refused_watch(self, path: str, code: int, content: bytes) -> str:
        """Take in that a watch of somebody else's was refused, and tell why."""
        return str(self._failure(Request("WATCH", path), code, content))

    def _failure(self, request: Request, code: int, content: bytes) -> ClusterError:
        if code in _DENIED:
            self.on_denied(request.method, request.path, code)
        if request.method in _WRITES and code not in _EXPECTED:
            self.on_refused(request.method, request.path, code, refusals.cause(_status(content), code))
        return failure(request, code, content)


def failure(request: Request, code: int, content: bytes) -> ClusterError:
    """Turn an answer into the error that it means. Of a Secret, nothing is repeated that was sent under `data`."""
    status = _status(content)
    method, path = request.method, request.path
    sent = request.body if "/secrets" in path else None
    said = refusals.said({"code": code} | status, sent, withheld=request.withheld)
    kind: type[ClusterError] = ClusterError
    if code == 404 and method != "POST":  # noqa: PLR2004 - as named by the class; a POST's namespace is what is gone
        kind = NotFoundError
    elif status.get("reason") == "AlreadyExists":
        kind = AlreadyExistsError
    elif code == 409:  # noqa: PLR2004 - as named by the class
        kind = ConflictError
    elif refusals.is_of_immutable(status):
        kind = ImmutableError
    return kind(
        f"{method} {path} failed: {said}",
        code=code,
        told=f"{refusals.subject(method, path, request.body)}: {said}",
        mends_itself=kind is NotFoundError or refusals.is_of_terminating_namespace(status),
    )


def _status(content: bytes) -> dict[str, Any]:
    """Read the Status that an answer holds; empty where it cannot be read."""
    try:
        return bounded.decode(content, dict[str, Any], longest=_LONGEST_STATUS)
    except UnreadableError:
        return {}


def _nothing(*_: object) -> None:
    """Do nothing."""
