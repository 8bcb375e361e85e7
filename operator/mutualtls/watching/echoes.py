"""What Kopf gets to see of its watches: bounded, pruned, and without the echoes of our own writes.

Kopf decodes whatever comes, all of it, and ends for good over what it cannot decode. So each event is read here first:
what cannot be read is passed over, and what is handed on was written anew, without what no handler needs.

Every status that we write comes back as an event, which costs Kopf more CPU than signing the certificate did, only to
be ignored: events that bring a version which the store has from the answer to a write are dropped.

It also ends for good over a watch that is refused for a while, by an API server that is overloaded, starts or does not
know our token yet: so it is told to begin the list again, after a moment. That a resource is not served is left to it.

Kopf's lists are watches that begin with all that there is (`initial_streaming`), so that there is no other list of its
to be looked at. It resumes one that was cut without its rest; here it is made to begin it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from mutualtls.core.errors import UnreadableError
from mutualtls.core.model import labels
from mutualtls.kube import objects, streams
from mutualtls.kube.objects import Event
from mutualtls.kube.requests import Requests
from mutualtls.kube.streams import Stream
from mutualtls.kube.unread import Unread, UnreadObjects
from mutualtls.kube.versions import Versions
from mutualtls.kube.watch import key_of

_BRINGS_AN_OBJECT = frozenset({"ADDED", "MODIFIED"})
_LIST_ENDS = "k8s.io/initial-events-end"
_OURS = f"{labels.GROUP}/"
_BEGIN_AGAIN = b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'

_RETRY_S = 1.0

logger = logging.getLogger(__name__)

IsKnown = Callable[[str, str, str, str], bool]
"""Tells, by kind, namespace, name and version of an object, whether it is known."""


@dataclass(slots=True, kw_only=True)
class Filter:
    """What stands between Kopf and its watches. Resources are named by their plurals."""

    is_known: IsKnown
    hear: Callable[[str], None]
    """Called with the resource of a watch that has told anything, be it a bookmark."""
    list_ended: Callable[[str], None]
    """Called with a resource once all that there is of it was told of."""
    lose: Callable[[str, str], None]
    """Called with a resource that cannot be followed now, and why."""
    refused: Callable[[str, int, bytes], str]
    """Called with path, code and content of an answer that refuses a watch; says what that means."""
    unread: UnreadObjects
    versions: Versions
    requests: Requests
    _cut: set[str] = field(default_factory=set)
    """Resources whose list has begun and not ended."""
    _failing: set[str] = field(default_factory=set)
    """Resources that cannot be followed now."""

    async def passed(self, resource: str, content: Stream, *, is_list: bool) -> AsyncIterator[bytes]:
        """Iterate over the lines that Kopf is to see of a watch, which may begin with a list."""
        if is_list:
            self._cut.add(resource)
        elif resource in self._cut:
            yield _BEGIN_AGAIN
            return
        async for event in streams.events_without_proof(content):
            if isinstance(event, Event) and event.type == "ERROR":
                why = f"the watch ended: {event.object.get('reason')}: {event.object.get('message')}"
                async for line in self.begun_again(resource, event.object.get("code", 0), why):
                    yield line
                return
            self.hear(resource)
            self._failing.discard(resource)
            if isinstance(event, Unread):
                self.unread.note(resource, event.key, event.why)
                continue
            self.versions.note(resource, event.metadata["resourceVersion"])
            if not self._is_echo(event):
                if event.type == "BOOKMARK" and _LIST_ENDS in event.metadata.get("annotations", {}):
                    self._cut.discard(resource)
                    self.list_ended(resource)
                try:
                    yield objects.pruned(event, _OURS) + b"\n"
                except UnreadableError as error:
                    self.unread.note(resource, str(key_of(event.metadata)), str(error))

    async def begun_again(self, resource: str, code: int, why: str) -> AsyncIterator[bytes]:
        """Have Kopf begin a list again; but for a version that is too old, after a moment."""
        if code != HTTPStatus.GONE:
            self.lose(resource, why)
            if resource not in self._failing:
                logger.warning("objects cannot be followed, trying again", extra={"resource": resource, "error": why})
            self._failing.add(resource)
            await asyncio.sleep(_RETRY_S)
        yield _BEGIN_AGAIN

    def _is_echo(self, event: Event) -> bool:
        metadata = event.metadata
        return event.type in _BRINGS_AN_OBJECT and self.is_known(
            event.object["kind"], metadata.get("namespace", ""), metadata["name"], metadata["resourceVersion"]
        )


def quiet_response(through: Filter) -> type[aiohttp.ClientResponse]:
    """Make a class of responses, for an aiohttp session, whose watches go through a filter."""

    class QuietResponse(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            is_watch = self.url.query.get("watch") == "true"
            through.requests.note("WATCH" if is_watch else self.method, self.url.path, self.status)
            if not is_watch or self.status == HTTPStatus.NOT_FOUND:
                return self
            resource = self.url.path.rpartition("/")[2]
            if self.status == HTTPStatus.OK:
                is_list = self.url.query.get("sendInitialEvents") == "true"
                lines = through.passed(resource, self.content, is_list=is_list)
            else:
                why = through.refused(self.url.path, self.status, await streams.read(self.content))
                lines = through.begun_again(resource, self.status, why)
                self.status = HTTPStatus.OK
            self.content = _Quiet(self.content, lines)  # type: ignore[assignment]
            return self

    return QuietResponse


class _Quiet:
    """The content of a watch, filtered. Kopf reads it by `iter_chunked`."""

    def __init__(self, content: aiohttp.StreamReader, lines: AsyncIterator[bytes]) -> None:
        self._content = content
        self._lines = lines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """Iterate over whole lines."""
        return self._lines
