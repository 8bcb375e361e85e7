"""The load: objects that are created by the thousand, and a watch that tells which of them are Ready."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from devtools.bench import client
from devtools.bench.client import Client
from devtools.bench.resources import Resource
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import TimeoutExpiredError

PREFIX = "bench-"
NAMESPACES = 10
CREATORS = 8
"""How many objects are being created at once."""
PROBES = "bench-probe"
"""Namespace of objects that are created one at a time, and counted apart."""

Spec = Callable[[int], Mapping[str, Any]]
"""The spec of each object, by its number."""


class Metadata(msgspec.Struct):
    """Metadata, as far as they are looked at."""

    name: str = ""
    namespace: str = ""


class Condition(msgspec.Struct):
    """A condition, as far as it is looked at."""

    type: str
    status: str


class Certificate(msgspec.Struct, rename="camel"):
    """What an identity's status records of its certificate, as far as it is looked at."""

    serial_number: str = ""


class Status(msgspec.Struct):
    """A status, as far as it is looked at. cert-manager counts its certificates in `revision`."""

    conditions: list[Condition] = []
    certificate: Certificate | None = None
    revision: int = 0

    @property
    def issued(self) -> str | None:
        """What differs between a certificate and the next one; None while the object is not Ready."""
        if not any(one.type == "Ready" and one.status == "True" for one in self.conditions):
            return None
        return self.certificate.serial_number if self.certificate else str(self.revision)


class Object(msgspec.Struct):
    """An object, as far as it is looked at."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    status: Status | str | None = None
    """A text in the error that ends a watch."""


class Event(msgspec.Struct):
    """An event of a watch."""

    type: str
    object: Object


class Crowd:
    """All objects of a kind. What is Ready with another certificate than at the last `mark` is fresh."""

    def __init__(self, api: Client, resource: Resource) -> None:
        self.api = api
        self.fresh: dict[str, float] = {}
        """When each became so, by namespace/name; times as of `time.monotonic`."""
        self._resource = resource
        self._issued: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._probed: dict[str, float] = {}
        self._changed = asyncio.Event()

    def mark(self) -> None:
        """Take nothing for fresh that is there now."""
        self._before = dict(self._issued)
        self.fresh.clear()

    async def create(self, count: int, spec: Spec) -> None:
        """Create objects in several namespaces, several at once."""
        numbers = iter(range(count))

        async def create() -> None:
            for number in numbers:
                await self._create(f"{PREFIX}{number % NAMESPACES}", f"identity-{number}", spec(number))

        await asyncio.gather(*(create() for _ in range(CREATORS)))

    async def _create(self, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
        await self.api.create(self._resource.path(namespace), self._resource.body(namespace, name, spec))

    async def wait_for(self, count: int, *, patience_s: float) -> None:
        """Wait until so many are fresh.

        Raises:
            TimeoutExpiredError: they were not in time: the controller has missed some.
        """
        try:
            async with asyncio.timeout(patience_s):
                while len(self.fresh) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            what = f"{count - len(self.fresh)} of {count} objects are not ready after {patience_s:.0f} s"
            raise TimeoutExpiredError(what) from None

    async def probe(self, name: str, spec: Mapping[str, Any], *, patience_s: float = 120) -> float:
        """Create one more object, and tell after how many seconds it is Ready."""
        begun = time.monotonic()
        await self._create(PROBES, name, spec)
        async with asyncio.timeout(patience_s):
            while name not in self._probed:
                self._changed.clear()
                await self._changed.wait()
        return self._probed[name] - begun

    async def follow(self) -> None:
        """Take in what becomes of the objects, until cancelled."""
        decoder = msgspec.json.Decoder(Event)
        while True:
            async for line in self.api.watch(self._resource.all_path):
                event = decoder.decode(line)
                if event.type == "ERROR":
                    break
                self._take_in(event)

    def _take_in(self, event: Event) -> None:
        namespace, name, status = event.object.metadata.namespace, event.object.metadata.name, event.object.status
        if not isinstance(status, Status) or (issued := status.issued) is None:
            return
        if namespace == PROBES:
            self._probed.setdefault(name, time.monotonic())
        elif namespace.startswith(PREFIX):
            key = f"{namespace}/{name}"
            self._issued[key] = issued
            if issued != self._before.get(key):
                self.fresh.setdefault(key, time.monotonic())
        self._changed.set()


@contextlib.asynccontextmanager
async def crowd(cluster: Cluster, resource: Resource) -> AsyncIterator[Crowd]:
    """Follow the objects of a kind for as long as the block lasts, as the user `admin`."""
    async with client.connected(cluster.kubeconfig(), connections=CREATORS + 8) as api:
        all_of_them = Crowd(api, resource)
        following = asyncio.create_task(all_of_them.follow())
        try:
            yield all_of_them
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def prepare(cluster: Cluster) -> None:
    """Create the namespaces of the load."""
    for name in (*(f"{PREFIX}{number}" for number in range(NAMESPACES)), PROBES):
        cluster.kubectl("create", "namespace", name)
