"""What Kopf gets to see of its watches: bounded, pruned, and without the echoes of our own writes.

Kopf decodes whatever comes, all of it, and ends for good over what it cannot decode. So each event is read here first:
what cannot be read is passed over, and what is handed on was written anew, without what no handler needs.

Every status that we write comes back as an event, which costs Kopf more CPU than signing the certificate did, only to
be ignored: events that bring a version which the store has from the answer to a write are dropped. Of a kind with many
objects, what an event tells is noted here, at once: Kopf would make a task of each, and keep something of each object
for as long as that is there.

It also ends for good over a watch that is refused for a while, by an API server that is overloaded, starts or does not
know our token yet: so it is told to begin the list again, after a moment. That a resource is not served is left to it.

Kopf's lists are watches that begin with all that there is (`initial_streaming`), so that there is no other list of its
to be looked at. It resumes one that was cut without its rest; here it is made to begin it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from mutualtls.core.errors import UnreadableError
from mutualtls.core.model import labels
from mutualtls.kube import objects, streams
from mutualtls.kube.objects import Event
from mutualtls.kube.requests import Requests
from mutualtls.kube.streams import Stream
from mutualtls.kube.unread import Unread, UnreadObjects
from mutualtls.kube.versions import Versions
from mutualtls.kube.watch import key_of

logger = logging.getLogger(__name__)

_BRINGS_AN_OBJECT = frozenset({"ADDED", "MODIFIED"})
_TELLS_OF_AN_OBJECT = _BRINGS_AN_OBJECT | {"DELETED"}
_LIST_ENDS = "k8s.io/initial-events-end"
_OURS = f"{labels.GROUP}/"
_BEGIN_AGAIN = b'{"type":"ERROR","object":{"kind":"Status","code":410}}\n'

Note = Callable[[str, dict[str, Any]], None]
"""Takes in the type of an event and its object."""

_RETRY_S = 1.0

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
    notes: Mapping[str, Note] = field(default_factory=dict)
    """What notes the objects of a resource, so that Kopf does not see them."""
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
            if (shown := self._line(resource, event)) is not None:
                yield shown

    def _line(self, resource: str, event: Event) -> bytes | None:
        """Write the line that Kopf is to see of an event; None: it sees none."""
        if event.type in _TELLS_OF_AN_OBJECT and resource in self.notes:
            self._note(resource, event)
            # Resumed from before a deletion, a watch would bring back for a moment what is gone.
            is_gone = event.type == "DELETED" and resource not in self._cut
            return _bookmark(event) if is_gone else None
        if self._is_echo(event):
            return None
        if event.type == "BOOKMARK" and _LIST_ENDS in event.metadata.get("annotations", {}):
            self._cut.discard(resource)
            self.list_ended(resource)
        try:
            return objects.pruned(event, _OURS) + b"\n"
        except UnreadableError as error:
            self.unread.note(resource, str(key_of(event.metadata)), str(error))
            return None

    def _note(self, resource: str, event: Event) -> None:
        """Note an object. Whatever it may hold, the next one is noted as well."""
        if self._is_echo(event):
            return
        try:
            self.notes[resource](event.type, objects.shown(event, _OURS))
        except Exception as error:
            key = str(key_of(event.metadata))
            if self.unread.note(resource, key, type(error).__name__):
                logger.exception("programming error: an object is skipped", extra={"key": key})

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


def _bookmark(event: Event) -> bytes:
    """Tell Kopf from which version on to resume a watch."""
    metadata = {"resourceVersion": event.metadata["resourceVersion"]}
    return msgspec.json.encode({"type": "BOOKMARK", "object": {"metadata": metadata}}) + b"\n"


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
