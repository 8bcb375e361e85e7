"""A few verbs of the Kubernetes API over one aiohttp session. Every failure is a `ClusterError`; nothing is retried.

The agenda retries. Errors about Secrets carry no text of the API server, which could quote what was sent.
"""

from __future__ import annotations

import email.utils
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec

from mutualtls.core.errors import AlreadyExistsError, ClusterError, ConflictError, NotFoundError
from mutualtls.core.labels import FIELD_MANAGER

_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_WRITE = {"fieldManager": FIELD_MANAGER}
_PAGE = 500
MOST_SKEW = timedelta(seconds=30)
"""Difference to the API server's clock from which on nothing is signed."""
_CLOCK_TRUSTED = timedelta(seconds=10)
"""How long a comparison of clocks holds."""
_LONGEST_LINE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    items: list[dict[str, Any]]
    resource_version: str


class API:
    """The API server. Paths are those of `paths`; objects are JSON-able dicts."""

    def __init__(
        self, session: aiohttp.ClientSession, server: str, *, timeout_s: float, clock: Callable[[], datetime]
    ) -> None:
        self._session = session
        self._server = server.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._clock = clock
        self._skew = timedelta()
        self.on_skew: Callable[[], None] = _nothing
        """Called when the clock has gone wrong, or is right again."""
        self._compared = datetime.min.replace(tzinfo=UTC)

    async def check_clock(self) -> str | None:
        """Tell by how much our clock differs from the API server's `Date`, and what to do; None while it is in order.

        Certificates that are made with a wrong clock are not valid yet, or already over, for everybody else. Nothing
        is asked where an answer came just now; any answer will do, be it a refusal.

        Raises:
            ClusterError: there was no answer.
        """
        if abs(self._clock() - self._compared) > _CLOCK_TRUSTED:
            try:
                await self._send("GET", "/version")
            except ClusterError as error:
                if not error.code:
                    raise
        return self._clock_skew()

    def latest(self) -> datetime:
        """Tell the later of our time and the API server's, as far as they were compared.

        From it a write counts that others are given time to read: too late does no harm, too early does.
        """
        now = self._clock()
        return max(now, now - self._skew)

    def _clock_skew(self) -> str | None:
        if abs(self._skew) <= MOST_SKEW:
            return None
        seconds = int(self._skew.total_seconds())
        return f"the clock of the operator is {seconds} s off the API server's: set it right (NTP)"

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read an object; None if it is not there."""
        try:
            return await self._send("GET", path)
        except NotFoundError:
            return None

    async def get_metadata(self, path: str) -> dict[str, Any] | None:
        """Read the metadata of an object; None if it is not there."""
        try:
            return await self._metadata("GET", path)
        except NotFoundError:
            return None

    async def pages(self, path: str, *, selector: str = "", metadata_only: bool = False) -> AsyncIterator[Page]:
        """List objects, page by page."""
        parameters = {"limit": str(_PAGE)}
        if selector:
            parameters["labelSelector"] = selector
        while True:
            accept = _METADATA_LIST if metadata_only else _JSON
            listed = await self._send("GET", path, accept=accept, parameters=parameters)
            yield Page(items=listed.get("items") or [], resource_version=listed["metadata"]["resourceVersion"])
            following = listed["metadata"].get("continue")
            if not following:
                return
            parameters["continue"] = following

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return its metadata.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        return await self._metadata("POST", path, body=body, parameters=_WRITE)

    async def patch(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object by a merge patch (RFC 7386) and return its metadata.

        Raises:
            ConflictError: the uid or the resourceVersion in the patch is not the object's any more.
        """
        return await self._metadata("PATCH", path, body=patch, content_type=_MERGE_PATCH, parameters=_WRITE)

    async def delete(self, path: str, *, uid: str, resource_version: str) -> None:
        """Delete an object as it was seen.

        Raises:
            ConflictError: it is another, or another version.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        await self._send("DELETE", path, body=options)

    async def watch_metadata(
        self, path: str, *, selector: str, resource_version: str, timeout_s: int
    ) -> AsyncIterator[dict[str, Any]]:
        """Stream the changes of metadata since `resource_version`, for at most `timeout_s`.

        Raises:
            ClusterError: with code 410 when that version is too old, so that it must be listed again.
        """
        parameters = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_s),
        }
        timeout = aiohttp.ClientTimeout(total=timeout_s + 30, sock_connect=self._timeout.total, sock_read=90)
        try:
            async with self._session.get(
                self._server + path, params=parameters, headers={"Accept": _METADATA}, timeout=timeout
            ) as response:
                if response.status != 200:  # noqa: PLR2004 - the one good status of a watch
                    raise _failure("WATCH", path, response.status, await response.read())
                async for line in lines(response.content):
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        raise ClusterError(f"watch of {path} ended", code=event["object"].get("code", 0))
                    yield event
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(f"watch of {path} broke: {type(error).__name__}") from error

    def _note_date(self, date: str | None) -> None:
        """Compare clocks, once a second at most: the header has whole seconds, and parsing it takes longer."""
        now = self._clock()
        if date is None or abs(now - self._compared) < timedelta(seconds=1):
            return
        self._compared = now
        before, self._skew = self._clock_skew(), now - email.utils.parsedate_to_datetime(date)
        if (before is None) != (self._clock_skew() is None):
            self.on_skew()

    async def _metadata(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = await self._send(method, path, accept=_METADATA, **more)
        metadata: dict[str, Any] = answer["metadata"]
        return metadata

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        accept: str = _JSON,
        content_type: str = _JSON,
        parameters: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            async with self._session.request(
                method,
                self._server + path,
                params=parameters,
                data=None if body is None else msgspec.json.encode(body),
                headers={"Accept": accept, "Content-Type": content_type},
                timeout=self._timeout,
            ) as response:
                content = await response.read()
                self._note_date(response.headers.get("Date"))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(f"{method} {path} got no answer: {type(error).__name__}") from error
        if response.status >= 400:  # noqa: PLR2004 - where errors begin
            raise _failure(method, path, response.status, content)
        answer: dict[str, Any] = msgspec.json.decode(content)
        return answer


def _nothing() -> None:
    """Do nothing."""


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length; aiohttp's own way fails beyond 128 KiB."""
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
        if len(rest) > _LONGEST_LINE:
            raise ClusterError("a line of a watch is longer than any object")


def _failure(method: str, path: str, code: int, content: bytes) -> ClusterError:
    """Turn an answer into the error that it means."""
    try:
        status = msgspec.json.decode(content)
    except msgspec.DecodeError:
        status = {}
    reason = status.get("reason") or f"HTTP {code}"
    text = _redacted(status) if "/secrets" in path else status.get("message", "")
    message = f"{method} {path} failed: {reason}" + (f": {text}" if text else "")
    kind: type[ClusterError] = ClusterError
    if code == 404 and method != "POST":  # noqa: PLR2004 - as named by the class; a POST's namespace is what is gone
        kind = NotFoundError
    elif reason == "AlreadyExists":
        kind = AlreadyExistsError
    elif code == 409:  # noqa: PLR2004 - as named by the class
        kind = ConflictError
    return kind(message, code=code)


def _redacted(status: Mapping[str, Any]) -> str:
    """Name the fields that an error is about, without its text, which may quote a Secret's data."""
    causes = (status.get("details") or {}).get("causes") or ()
    return ", ".join(f"{cause.get('field')} {cause.get('reason')}" for cause in causes)
