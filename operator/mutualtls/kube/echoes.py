"""Keep the echoes of our own writes from Kopf.

Every status that we write comes back as an event, which costs Kopf more CPU than signing the certificate did, only to
be ignored. Here the lines of a watch are dropped that bring a version which the store has from the answer to a write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec

from mutualtls.kube.api import lines


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""  # noqa: N815 - as the API spells it


class _Object(msgspec.Struct):
    kind: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Event(msgspec.Struct):
    type: str
    object: _Object


_DECODER = msgspec.json.Decoder(_Event)
_BRINGS_AN_OBJECT = frozenset({"ADDED", "MODIFIED"})

IsKnown = Callable[[str, str, str, str], bool]
"""Tells, by kind, namespace, name and version of an object, whether it is known."""


def quiet_response(is_known: IsKnown) -> type[aiohttp.ClientResponse]:
    """Make a class of responses, for an aiohttp session, that drops from watches what is known."""

    class QuietResponse(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.url.query.get("watch") == "true":
                self.content = _Quiet(self.content, is_known)  # type: ignore[assignment]
            return self

    return QuietResponse


class _Quiet:
    """The content of a watch without what is known. Kopf reads it by `iter_chunked`."""

    def __init__(self, content: aiohttp.StreamReader, is_known: IsKnown) -> None:
        self._content = content
        self._is_known = is_known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        """Iterate over whole lines."""
        async for line in lines(self._content):
            if not self._is_echo(line):
                yield line + b"\n"

    def _is_echo(self, line: bytes) -> bool:
        try:
            event = _DECODER.decode(line)
        except msgspec.DecodeError:
            return False
        of, metadata = event.object, event.object.metadata
        return event.type in _BRINGS_AN_OBJECT and self._is_known(
            of.kind, metadata.namespace, metadata.name, metadata.resourceVersion
        )
