"""Lists of metadata, read page by page, one object at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from mutualtls.kube import streams
from mutualtls.kube.objects import ListEnd
from mutualtls.kube.transport import METADATA_LIST, Request, Transport
from mutualtls.kube.unread import Unread, UnreadObjects

_PAGE = 100
"""Objects on a page of a list. One may be as long as etcd takes it."""


class Listing:
    """The metadata of all objects of a kind, or by labels or fields."""

    def __init__(
        self, transport: Transport, unread: UnreadObjects, path: str, *, selector: str = "", fields: str = ""
    ) -> None:
        self._transport = transport
        self._unread = unread
        self._path = path
        selectors = {"labelSelector": selector, "fieldSelector": fields}
        self._selectors = {name: text for name, text in selectors.items() if text}
        self.resource_version = ""
        """Of the list; known once all was read."""

    async def __aiter__(self) -> AsyncIterator[dict[str, Any] | Unread]:
        parameters = {"limit": str(_PAGE)} | self._selectors
        is_last = False
        while not is_last:
            async for one in self._page(parameters):
                if isinstance(one, ListEnd):
                    is_last = not one.following
                    parameters["continue"] = one.following
                    self.resource_version = one.resource_version
                    continue
                if isinstance(one, Unread):
                    self._unread.note(self._path.rpartition("/")[2], one.key, one.why)
                yield one

    async def check(self) -> None:
        """Ask for a first page.

        Raises:
            ClusterError: it was refused, or there was no answer.
        """
        async for _ in self._page({"limit": "1"} | self._selectors):
            pass

    async def _page(self, parameters: Mapping[str, str]) -> AsyncIterator[dict[str, Any] | Unread | ListEnd]:
        versions, resource = self._transport.versions, self._path.rpartition("/")[2]
        is_first, before = "continue" not in parameters, versions.known(resource)
        request = Request("GET", self._path, parameters=parameters, accept=METADATA_LIST)
        async with self._transport.listed(request) as content:
            async for one in streams.items(content):
                if isinstance(one, ListEnd) and is_first:
                    versions.compare(resource, one.resource_version, before=before)
                yield one
