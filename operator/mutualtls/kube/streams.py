"""Answers of the API server, read as they come: an object, a page of a list, a watch.

What is small is decoded at once. What is large, or too deep to be decoded, goes through `Splitter`, which holds one
object at a time. No list, no watch and no other object fails for one that cannot be read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from mutualtls.core.errors import UnreadableError
from mutualtls.kube import objects
from mutualtls.kube.objects import Event, ListEnd, ListMetadata, Page
from mutualtls.kube.splitter import LONGEST_AT_ONCE, Form, Splitter
from mutualtls.kube.unread import Unread


class Stream(Protocol):
    """The content of a response, as it comes."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over what has come."""
        ...


async def read(content: Stream) -> bytes:
    """Read an answer that is one object; a long one without its `managedFields`.

    Raises:
        UnreadableError: it is too long even so.
    """
    begun, is_all = await _begin(content)
    if is_all:
        return begun
    async for piece in _split(Splitter(Form.OBJECT), begun, content):
        if isinstance(piece, Unread):
            raise UnreadableError(piece.why)
        return piece
    raise UnreadableError("it has no end")


async def items(content: Stream) -> AsyncIterator[dict[str, Any] | Unread | ListEnd]:
    """Read a page of a list: the metadata of each object, and what the page says of itself in the end.

    Raises:
        UnreadableError: it is no list.
    """
    begun, is_all = await _begin(content)
    page = objects.parse_page(begun) if is_all else None
    if page is None:
        splitter = Splitter(Form.LIST)
        async for piece in _split(splitter, begun, content):
            yield piece if isinstance(piece, Unread) else objects.parse_item(piece)
        page = objects.parse_page(splitter.around) or Page(ListMetadata())
    for item in page.items or ():
        yield objects.parse_item(bytes(item))
    yield ListEnd(page.metadata.resource_version, page.metadata.continue_)


def events(content: Stream) -> AsyncIterator[Event | Unread]:
    """Read a watch, event by event. One that is too long is passed over to its end."""
    return _events(content, objects.parse_event)


def events_without_proof(content: Stream) -> AsyncIterator[Event | Unread]:
    """Read a watch as `events` does, without owners and `managedFields`, which cost more than all the rest."""
    return _events(content, objects.parse_event_without_proof)


async def _events(content: Stream, parse: Callable[[bytes], Event | Unread]) -> AsyncIterator[Event | Unread]:
    rest, splitter = b"", None
    async for chunk in content.iter_any():
        if splitter is None:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(None, lines):
                yield parse(line)
            if len(rest) <= LONGEST_AT_ONCE:
                continue
            splitter = Splitter(Form.WATCH)
            pieces, rest = splitter.feed(rest), b""
        else:
            pieces = splitter.feed(chunk)
        for piece in pieces:
            yield piece if isinstance(piece, Unread) else parse(piece)
        if splitter.is_between_pieces:
            splitter = None


async def _begin(content: Stream) -> tuple[bytes, bool]:
    """Read what may be decoded at once, and tell whether that is all."""
    begun = bytearray()
    async for chunk in content.iter_any():
        begun += chunk
        if len(begun) > LONGEST_AT_ONCE:
            return bytes(begun), False
    return bytes(begun), True


async def _split(splitter: Splitter, begun: bytes, content: Stream) -> AsyncIterator[bytes | Unread]:
    """Split what has been read, and what follows."""
    for piece in splitter.feed(begun):
        yield piece
    async for chunk in content.iter_any():
        for piece in splitter.feed(chunk):
            yield piece
