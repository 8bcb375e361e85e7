"""A floor as a process: a controller that answers each new object by the same writes, and decides nothing.

`python -m devtools.bench.floor WRITES.json`, the file as of `Writes`. It follows objects by a bare watch. It has no
key, no certificate, no check, no queue but one in memory: what a controller needs beyond this is the cost of its job.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop

from devtools.bench import client
from devtools.bench.client import Client

_WORKERS = 16

MODEL, PLACE = "identity-model", "model-place"
"""Name and namespace of the identity whose writes are copied; no other text of a write holds them."""
UID = "uid-of-the-model"


class Metadata(msgspec.Struct, rename="camel"):
    """The metadata of an object, as far as a floor looks at them."""

    name: str
    namespace: str
    uid: str
    resource_version: str


class Write(msgspec.Struct):
    """A write about the model."""

    method: str
    path: str
    body: str


class Writes(msgspec.Struct):
    """All writes about the model, in order, and the path under which objects like it are watched."""

    watched: str
    writes: list[Write]

    def of(self, metadata: Metadata) -> Iterator[tuple[str, str, bytes]]:
        """Tell method, path and body of each write, for another object."""
        for write in self.writes:
            path = write.path.replace(PLACE, metadata.namespace).replace(MODEL, metadata.name)
            body = write.body.replace(UID, metadata.uid)
            body = body.replace(PLACE, metadata.namespace).replace(MODEL, metadata.name)
            yield write.method, path, body.encode()


class Event(msgspec.Struct):
    """An event of a watch, as far as it is looked at."""

    type: str
    object: Object


class Object(msgspec.Struct):
    """An object, as far as it is looked at."""

    metadata: Metadata


async def main(writes: Writes) -> None:
    """Run until it is ended."""
    queue: asyncio.Queue[Metadata] = asyncio.Queue()
    kubeconfig = Path(os.environ["KUBECONFIG"])
    async with client.connected(kubeconfig, connections=_WORKERS + 2) as api, asyncio.TaskGroup() as group:
        for _ in range(_WORKERS):
            group.create_task(_work(api, writes, queue))
        await _follow(api, writes, queue)


async def _follow(api: Client, writes: Writes, queue: asyncio.Queue[Metadata]) -> None:
    """Hand on each object once. A watch that is too slow ends; the next one begins with all that is there."""
    decoder = msgspec.json.Decoder(Event)
    seen: set[str] = set()
    while True:
        async for line in api.watch(writes.watched):
            event = decoder.decode(line)
            if event.type == "ADDED" and event.object.metadata.uid not in seen:
                seen.add(event.object.metadata.uid)
                queue.put_nowait(event.object.metadata)


async def _work(api: Client, writes: Writes, queue: asyncio.Queue[Metadata]) -> None:
    while True:
        metadata = await queue.get()
        for method, path, body in writes.of(metadata):
            if method == "POST":
                await api.create(path, body)
            else:
                await api.patch(path, body)


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Writes)))
