"""A few verbs of the Kubernetes API. Every failure is a `ClusterError`; nothing is retried: the agenda does that.

A fence says before each write whether it may begin, and how long it may take.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from mutualtls.core.errors import ClusterError, NotFoundError
from mutualtls.core.model.labels import FIELD_MANAGER
from mutualtls.kube import streams
from mutualtls.kube.fence import Fence
from mutualtls.kube.listing import Listing
from mutualtls.kube.objects import Event
from mutualtls.kube.transport import METADATA, METADATA_LIST, Request, Transport
from mutualtls.kube.unread import Unread, UnreadObjects

_MERGE_PATCH = "application/merge-patch+json"
_WRITE = {"fieldManager": FIELD_MANAGER}
_LONGEST_VERSION = 64


class API:
    """The API server. Paths are those of `paths`; objects are JSON-able dicts."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: str,
        *,
        timeout_s: float,
        clock: Callable[[], datetime],
        fence: Fence | None = None,
    ) -> None:
        """Without a fence, every write may begin, and take as long as other requests."""
        self._longest_write_s = int(timeout_s)
        self._fence = fence
        self.transport = Transport(session, server, timeout_s=timeout_s, clock=clock)
        self.versions = self.transport.versions
        """What versions lists and watches have told of."""
        self.unread = UnreadObjects(clock=clock)
        """What could not be read of lists and watches."""
        self.server_version = ""
        """Version of the API server as it was last told; empty before."""

    async def check_clock(self) -> str | None:
        """Tell by how much our clock differs from the API server's `Date`, and what to do; None while it is in order.

        Nothing is asked where an answer came just now; any answer will do, be it a refusal.

        Raises:
            ClusterError: there was no answer.
        """
        clocks = self.transport.clocks
        if not clocks.are_compared:
            await self.learn_version()
        return clocks.why_wrong()

    async def learn_version(self) -> None:
        """Ask the API server for its version. It may refuse to tell.

        Raises:
            ClusterError: there was no answer.
        """
        try:
            told = await self.transport.send(Request("GET", "/version"))
        except ClusterError as error:
            if not error.code:
                raise
        else:
            self.server_version = str(told.get("gitVersion", ""))[:_LONGEST_VERSION]

    def latest(self) -> datetime:
        """Tell the later of our time and the API server's, as far as they were compared.

        From it a write counts that others are given time to read: too late does no harm, too early does.
        """
        return self.transport.clocks.latest()

    def resumed(self, now: datetime) -> datetime | None:
        """Tell when writes could last begin again, after an API server that was away or a process that was suspended.

        None: they always could.
        """
        ago = self._fence.reopened_s if self._fence is not None else None
        return now - timedelta(seconds=ago) if ago is not None else None

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read an object; None if it is not there."""
        try:
            return await self.transport.send(Request("GET", path))
        except NotFoundError:
            return None

    async def get_metadata(self, path: str) -> dict[str, Any] | None:
        """Read the metadata of an object; None if it is not there."""
        try:
            return await self._metadata(Request("GET", path, accept=METADATA))
        except NotFoundError:
            return None

    def listing(self, path: str, *, selector: str = "", fields: str = "") -> Listing:
        """List the metadata of objects, by labels and by fields."""
        return Listing(self.transport, self.unread, path, selector=selector, fields=fields)

    async def is_listable(self, path: str, *, fields: str = "") -> None:
        """Ask for a first page.

        Raises:
            ClusterError: it was refused, or there was no answer.
        """
        await self.listing(path, fields=fields).check()

    async def count(self, path: str, *, fields: str = "") -> int:
        """Tell how many objects there are. Of those that are selected the API server does not say how many follow."""
        if fields:
            return sum([1 async for _ in self.listing(path, fields=fields)])
        listed = await self.transport.send(Request("GET", path, accept=METADATA_LIST, parameters={"limit": "1"}))
        return len(listed.get("items") or []) + int(listed["metadata"].get("remainingItemCount") or 0)

    async def create(self, path: str, body: Mapping[str, Any], *, withheld: Sequence[bytes] = ()) -> dict[str, Any]:
        """Create an object and return its metadata. No error repeats a piece of what is `withheld`.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        return await self._metadata(
            Request(
                "POST",
                path,
                body=body,
                parameters=_WRITE,
                accept=METADATA,
                withheld=withheld,
                within_s=self._seconds(),
            )
        )

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send what is kept nowhere, and return the answer."""
        return await self.transport.send(Request("POST", path, body=body))

    async def patch(self, path: str, patch: Mapping[str, Any], *, withheld: Sequence[bytes] = ()) -> dict[str, Any]:
        """Change an object by a merge patch (RFC 7386) and return its metadata. As for `withheld`, see `create`.

        Raises:
            ConflictError: the uid or the resourceVersion in the patch is not the object's any more.
            ImmutableError: it was made immutable.
        """
        request = Request(
            "PATCH",
            path,
            body=patch,
            content_type=_MERGE_PATCH,
            parameters=_WRITE,
            accept=METADATA,
            withheld=withheld,
            within_s=self._seconds(),
        )
        return await self._metadata(request)

    async def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object as it was read, and return it.

        Raises:
            ConflictError: it is another, or another version.
        """
        return await self.transport.send(Request("PUT", path, body=body, parameters=_WRITE, within_s=self._seconds()))

    async def delete(self, path: str, *, uid: str, resource_version: str) -> dict[str, Any] | None:
        """Delete an object as it was seen. Return its metadata where finalizers keep it there; None: it is gone.

        Raises:
            ConflictError: it is another, or another version.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        request = Request("DELETE", path, body=options, accept=METADATA, within_s=self._seconds())
        answer = await self.transport.send(request)
        metadata: dict[str, Any] = answer.get("metadata") or {}
        return metadata if metadata.get("deletionTimestamp") and metadata.get("finalizers") else None

    async def watch_metadata(
        self, path: str, *, selector: str, resource_version: str, timeout_s: int
    ) -> AsyncIterator[Event | Unread]:
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
        resource = path.rpartition("/")[2]
        request = Request("WATCH", path, parameters=parameters, accept=METADATA)
        async with self.transport.watched(request, timeout_s=timeout_s) as content:
            async for event in streams.events(content):
                if isinstance(event, Event) and event.type == "ERROR":
                    raise ClusterError(f"watch of {path} ended", code=event.object.get("code", 0))
                if isinstance(event, Unread):
                    self.unread.note(resource, event.key, event.why)
                else:
                    self.versions.note(resource, event.metadata["resourceVersion"])
                yield event

    def _seconds(self) -> int:
        """Tell how long a write may take that begins now.

        Raises:
            NotLeadingError: none may begin.
        """
        return self._longest_write_s if self._fence is None else self._fence.seconds()

    async def _metadata(self, request: Request) -> dict[str, Any]:
        answer = await self.transport.send(request)
        metadata: dict[str, Any] = answer["metadata"]
        return metadata
