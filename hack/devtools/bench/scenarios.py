"""What is measured: a wave, doing nothing, a restart, renewals at once and one by one, and a new root.

Each begins on a fresh cluster, or where the one before has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from devtools.bench import figures, load
from devtools.bench.contenders import Contender
from devtools.bench.controllers import Controller
from devtools.bench.figures import Figures
from devtools.bench.load import Crowd
from devtools.bench.meters import CONTROLLER, Meters
from devtools.clusters import clusters
from devtools.clusters.clusters import Cluster
from devtools.machine.processes import Process
from mutualtls.core.model import labels

_SLOWEST = 20
"""Objects a second that are waited for: whoever is slower has missed some."""
_IDLE_S = 10.0
_CALM_S, _CALM = 2.0, 0.05
"""A controller is calm once it has used so many seconds of CPU at most within so many seconds."""
_MOST_CALMING_S = 60.0
_PROBE_EVERY_S = 0.5
_EACH_S = 1 / 50
"""Between two certificates that are due one by one."""
SOAK_S = 5
"""Of the new root of a rotation."""


@dataclass(slots=True, kw_only=True)
class Field:
    """A cluster with a controller, and the load."""

    contender: Contender
    controller: Controller
    cluster: Cluster
    crowd: Crowd
    count: int

    @property
    def process(self) -> Process:
        """The controller's process, as it was last started."""
        if self.controller.process is None:
            raise AssertionError("a controller that runs has a process")
        return self.controller.process

    @property
    def meters(self) -> Meters:
        """The meters, for the controller as it runs now."""
        return Meters(self.cluster, self.process)

    @property
    def created(self) -> str:
        """What the creation of an object counts as."""
        return f"{self.contender.resource.plural} POST"

    @property
    def patience_s(self) -> float:
        """How long all objects may take."""
        return 60 + self.count / _SLOWEST

    async def calm(self) -> None:
        """Wait until the controller has nothing to do any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MOST_CALMING_S):
                used = -1.0
                while self.process.cpu_s() - used > _CALM:
                    used = self.process.cpu_s()
                    await asyncio.sleep(_CALM_S)


@contextlib.asynccontextmanager
async def _field(contender: Contender, cluster: Cluster, controller: Controller, count: int) -> AsyncIterator[Field]:
    async with load.crowd(cluster, contender.resource) as crowd:
        field = Field(contender=contender, controller=controller, cluster=cluster, crowd=crowd, count=count)
        await field.calm()
        yield field


async def wave(field: Field, spec: load.Spec | None = None) -> Figures:
    """Create all objects, and wait until they are Ready."""
    crowd, meters = field.crowd, field.meters
    base, before = meters.memory_mib(), await meters.read(crowd.api)
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.create(field.count, spec or (lambda _: field.contender.spec)))
        group.create_task(crowd.wait_for(field.count, patience_s=field.patience_s))
    after = await meters.read(crowd.api)
    memory = base, meters.memory_mib(), meters.peak_mib()
    return figures.between(before, after, count=field.count, memory=memory, by_load={field.created: field.count})


async def idle(field: Field) -> Figures:
    """Do nothing for a while."""
    await field.calm()
    meters = field.meters
    base, before = meters.memory_mib(), await meters.read(field.crowd.api)
    await asyncio.sleep(_IDLE_S)
    after = await meters.read(field.crowd.api)
    return figures.between(before, after, count=0, memory=(base, meters.memory_mib(), meters.peak_mib()), by_load={})


async def restart(field: Field) -> Figures:
    """Start the controller again, with all objects there: the seconds until a new one is Ready, the rest until calm."""
    field.controller.stop()
    before = await field.meters.read(field.crowd.api)
    field.controller.start()
    await field.crowd.probe("restart", field.contender.spec)
    seconds, meters = time.monotonic() - before.at, field.meters
    base = meters.memory_mib()
    await field.calm()
    after = await meters.read(field.crowd.api)
    before = replace(before, cpu_s=before.cpu_s | {CONTROLLER: 0.0})
    memory = base, meters.memory_mib(), meters.peak_mib()
    measured = figures.between(before, after, count=0, memory=memory, by_load={field.created: 1})
    return replace(measured, seconds=seconds)


async def renewal(field: Field) -> Figures:
    """Have all certificates come due while the controller is away: from the first that is renewed to the last."""
    due_s = _until_due(field.count)
    await wave(field, _due_after(field, lambda _: due_s))
    ready = time.monotonic()
    field.controller.stop()
    field.crowd.mark()
    await asyncio.sleep(max(0.0, ready + due_s + 1 - time.monotonic()))
    field.controller.start()
    return await _renewed(field, "renewal")


async def paced(field: Field) -> Figures:
    """Have certificates come due one by one."""
    first_s = _until_due(field.count)
    await wave(field, _due_after(field, lambda number: first_s + number * _EACH_S))
    field.crowd.mark()
    return await _renewed(field, "paced")


def _until_due(count: int) -> float:
    """Tell how long after its issuance a certificate is due, so that by then all are issued."""
    return 20 + count * _EACH_S


def _due_after(field: Field, seconds: Callable[[int], float]) -> load.Spec:
    due_after = field.contender.due_after
    if due_after is None:
        raise AssertionError(f"{field.contender.name} renews nothing")
    return lambda number: due_after(seconds(number))


async def _renewed(field: Field, name: str) -> Figures:
    crowd, meters = field.crowd, field.meters
    await crowd.wait_for(1, patience_s=field.patience_s)
    base, before, begun = meters.memory_mib(), await meters.read(crowd.api), len(crowd.fresh)
    waits: list[float] = []
    probing = asyncio.create_task(_probe(field, name, waits))
    try:
        await crowd.wait_for(field.count, patience_s=field.patience_s + field.count * _EACH_S * 2)
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
    after = await meters.read(crowd.api)
    memory, count = (base, meters.memory_mib(), meters.peak_mib()), max(1, field.count - begun)
    measured = figures.between(before, after, count=count, memory=memory, by_load={field.created: len(waits)})
    return replace(measured, waits_s=tuple(waits))


async def _probe(field: Field, name: str, waits: list[float]) -> None:
    """Create a new object now and then, until cancelled, and take down how long it waits."""
    while True:
        waits.append(await field.crowd.probe(f"{name}-{len(waits)}", field.contender.spec))
        await asyncio.sleep(_PROBE_EVERY_S)


# A new root

_AUTHORITY = "/apis/mutualtls.dev/v1alpha1/mutualtlsauthorities/default"
_ROTATION = {"spec": {"rotation": {"soak": f"{SOAK_S}s", "retire": "AfterReplacement", "pace": 1000}}}


async def rotation(field: Field) -> Figures:
    """Replace the root under all identities, with two soaks, whose seconds do not count."""
    api = field.crowd.api
    await api.patch(_AUTHORITY, json.dumps(_ROTATION).encode())
    await wave(field)
    orders = (await _authority(field))["status"]["orders"]
    order = next(one for one in orders if one["order"] == labels.ROTATE_ROOT)
    meters = field.meters
    base, before = meters.memory_mib(), await meters.read(api)
    await api.patch(_AUTHORITY, json.dumps({"metadata": {"annotations": {order["order"]: order["value"]}}}).encode())
    async with asyncio.timeout(120 + field.count / 10):
        while not await _is_replaced(field):  # noqa: ASYNC110 - there is nothing to be woken by
            await asyncio.sleep(0.2)
    after = await meters.read(api)
    memory = base, meters.memory_mib(), meters.peak_mib()
    by_load = {"mutualtlsauthorities PATCH": 1}
    measured = figures.between(before, after, count=field.count, memory=memory, by_load=by_load)
    return replace(measured, seconds=measured.seconds - 2 * SOAK_S)


async def _authority(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await field.crowd.api.get(_AUTHORITY))
    return found


async def _is_replaced(field: Field) -> bool:
    status = (await _authority(field))["status"]
    phase = next(one["reason"] for one in status["conditions"] if one["type"] == "Rotating")
    return phase == "Stable" and [ca["number"] for ca in status["generations"] if ca["role"] == "root"] == [2]


# What runs on which cluster

Scenario = Callable[[Field], Awaitable[Figures]]

LIVES: tuple[dict[str, Scenario], ...] = (
    {"wave": wave, "idle": idle, "restart": restart},
    {"renewal": renewal},
    {"paced": paced},
    {"rotation": rotation},
)
"""The scenarios that follow one another on a cluster. The first one of these is never left out."""
SCENARIOS = tuple(name for life in LIVES for name in life)
_FOR_OURS = frozenset({"rotation"})
_FOR_ALL = frozenset({"wave", "idle"})


def possible(contender: Contender, name: str, *, ours: str) -> bool:
    """Whether a contender can do it: a floor decides nothing, and a root is ours to replace."""
    if name in _FOR_ALL:
        return True
    return contender.due_after is not None and (name not in _FOR_OURS or contender.name == ours)


def run(contender: Contender, count: int, names: list[str]) -> Iterator[tuple[str, Figures]]:
    """Measure some scenarios of one life, on one cluster."""
    with clusters.running(f"bench-{contender.name.replace(' ', '-').lower()}") as cluster:
        load.prepare(cluster)
        with contender.running(cluster) as controller:
            yield from asyncio.run(_run(contender, cluster, controller, count=count, names=names))


async def _run(
    contender: Contender, cluster: Cluster, controller: Controller, *, count: int, names: list[str]
) -> list[tuple[str, Figures]]:
    life = next(life for life in LIVES if names[0] in life)
    first = next(iter(life))
    async with _field(contender, cluster, controller, count) as field:
        wanted = names if first in names else [first, *names]
        measured = [(name, await life[name](field)) for name in life if name in wanted]
    return [(name, of_it) for name, of_it in measured if name in names]
