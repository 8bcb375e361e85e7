"""The command behind hack/bench: identities through ours and through the yardstick (`bare`), in one run, one table.

Each is measured on a cluster of its own, from the first identity that is created until the last is Ready. Figures of
one run may be compared with one another; those of two runs may not, as machines differ and are shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from devtools.bench import fairness as attacks
from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.machine import processes
from devtools.machine.processes import Process
from devtools.machine.streams import lines
from mutualtls.core.model import labels
from mutualtls.kube import paths, session
from mutualtls.kube.api import API

NAMESPACES = 10
CREATORS = 8
"""How many identities are being created at once."""
WRITES = ("POST", "PUT", "PATCH", "DELETE")

console = Console(width=140, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one contender needed for `count` identities."""

    rate: float
    """Identities a second."""
    writes: float
    """Writes an identity, beside its own creation."""
    cpu_ms: float
    """CPU of the controller an identity."""
    server_ms: float
    """CPU of API server and etcd an identity."""
    memory_mib: float
    """Peak of the controller's resident memory."""
    idle_mib: float
    """The same before the first identity."""
    server_mib: float
    """Peak of the API server's."""


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0917 - options of a command
    counts: Annotated[list[int] | None, typer.Argument(help="Numbers of identities.")] = None,
    rounds: Annotated[int, typer.Option(help="How often each is measured, in turn; the median is shown.")] = 3,
    rotation: Annotated[bool, typer.Option("--rotation", help="Measure the replacing of a root instead.")] = False,
    fairness: Annotated[
        bool, typer.Option("--fairness", help="Measure instead how long others wait while one namespace attacks.")
    ] = False,
    scale: Annotated[float, typer.Option(help="Make the attacks so many times as large.")] = 1.0,
    beside: Annotated[
        Path | None, typer.Option(help="A checkout of another version, whose operator is attacked first.")
    ] = None,
) -> None:
    """Measure ours beside a controller that only writes the two objects, or the replacing of a root, or fair shares."""
    if fairness:
        if beside is not None:
            console.print(attacks.table(attacks.run(_AUTHORITY, scale=scale, tree=beside)))
        rows = attacks.run(_AUTHORITY, scale=scale)
        console.print(attacks.table(rows))
        raise typer.Exit(code=not all(row.is_fair for row in rows))
    if rotation:
        console.print(_rotation_table({count: _measure_rotation(count) for count in counts or [10, 1000]}))
        return
    contenders = {"ours": _ours, "bare": _bare}
    chosen = counts or [500, 2000]
    measured: dict[tuple[int, str], list[Figures]] = {(count, name): [] for count in chosen for name in contenders}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("measuring", total=rounds * len(measured))
        for _ in range(rounds):
            for (count, name), figures in measured.items():
                bar.update(task, description=f"{name}, {count} identities")
                figures.append(_measure(count, name, contenders[name]))
                bar.advance(task)
    console.print(_table(measured))


def _measure(count: int, name: str, contender: Any) -> Figures:
    with clusters.running(f"bench-{name}") as cluster:
        operators.install(cluster)
        for number in range(NAMESPACES):
            cluster.kubectl("create", "namespace", f"bench-{number}")
        with contender(cluster) as process:
            return asyncio.run(_drive(cluster, process, count))


@contextlib.contextmanager
def _ours(cluster: Cluster) -> Iterator[Process]:
    with operators.running(cluster) as operator:
        cluster.kubectl("apply", "--filename", "-", stdin=_AUTHORITY)
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        if operator.process is None:
            raise AssertionError("an operator that runs has a process")
        yield operator.process


_AUTHORITY = "{apiVersion: mutualtls.dev/v1alpha1, kind: MutualTLSAuthority, metadata: {name: default}}"


@contextlib.contextmanager
def _bare(cluster: Cluster) -> Iterator[Process]:
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig("operator"))}
    command = [sys.executable, "-m", "devtools.bench.bare"]
    process = processes.start(command, log=cluster.folder / "bare.log", environment=environment)
    try:
        operators.wait_until(lambda: process.cpu_s() > 0.1 and process.is_alive(), "the yardstick runs")  # noqa: PLR2004 - it has begun
        yield process
    finally:
        process.stop()


async def _drive(cluster: Cluster, controller: Process, count: int) -> Figures:
    """Create the identities, wait until all are Ready, and read the meters before and after."""
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig())
    connection = session.connect(connections=CREATORS + 2)
    api = API(connection.session, connection.server, timeout_s=60, clock=lambda: datetime.now(UTC))
    server = [cluster.processes()[name] for name in ("kube-apiserver", "etcd")]
    async with connection.session:
        ready = asyncio.create_task(_wait_for_all(connection, count))
        await asyncio.sleep(1)  # let the watch be open and the controller idle
        idle, writes = controller.memory_mib(), await _writes(connection)
        cpu, server_cpu = controller.cpu_s(), sum(process.cpu_s() for process in server)
        begun = asyncio.get_running_loop().time()
        await _create(api, count)
        await ready
        seconds = asyncio.get_running_loop().time() - begun
        return Figures(
            rate=count / seconds,
            writes=(await _writes(connection) - writes) / count - 1,
            cpu_ms=(controller.cpu_s() - cpu) / count * 1000,
            server_ms=(sum(process.cpu_s() for process in server) - server_cpu) / count * 1000,
            memory_mib=controller.peak_mib(),
            idle_mib=idle,
            server_mib=server[0].peak_mib(),
        )


async def _create(api: API, count: int) -> None:
    numbers = iter(range(count))

    async def create() -> None:
        for number in numbers:
            namespace = f"bench-{number % NAMESPACES}"
            name = f"identity-{number}"
            metadata = {"name": name, "namespace": namespace}
            body = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity", "metadata": metadata}
            await api.create(paths.identity(namespace, name).rpartition("/")[0], body)

    await asyncio.gather(*(create() for _ in range(CREATORS)))


async def _wait_for_all(connection: session.Connection, count: int) -> None:
    """Follow the identities until as many as were created are Ready.

    The API server cuts a watch that it finds too slow. The next one begins with all that is there.

    Raises:
        TimeoutExpiredError: they were not in time: the controller has missed some.
    """
    ready: set[str] = set()
    patience_s = 60 + count / 20
    try:
        async with asyncio.timeout(patience_s):
            while len(ready) < count:
                await _follow(connection, ready, count)
    except TimeoutError:
        what = f"{count - len(ready)} of {count} identities are not ready after {patience_s:.0f} s"
        raise operators.TimeoutExpiredError(what) from None


async def _follow(connection: session.Connection, ready: set[str], count: int) -> None:
    url = f"{connection.server}{paths.IDENTITIES}"
    async with connection.session.get(url, params={"watch": "true"}, timeout=None) as response:
        async for line in lines(response.content):
            body = msgspec.json.decode(line)["object"]
            conditions = (body.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                ready.add(body["metadata"]["uid"])
            if len(ready) >= count:
                return


async def _writes(connection: session.Connection) -> float:
    """Count what the API server has served of writes to the objects that are written for an identity."""
    resources = ("secrets", "mutualtlsidentities", "events", "configmaps")
    async with connection.session.get(f"{connection.server}/metrics") as response:
        text = await response.text()
    total = 0.0
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{"):
            labels, _, value = line.rpartition(" ")
            is_write = any(f'verb="{verb}"' in labels for verb in WRITES)
            if is_write and any(f'resource="{resource}"' in labels for resource in resources):
                total += float(value)
    return total


# The replacing of a root

_SOAK_S = 5
_ROTATION = f"""
apiVersion: mutualtls.dev/v1alpha1
kind: MutualTLSAuthority
metadata: {{name: default}}
spec: {{rotation: {{soak: {_SOAK_S}s, retire: AfterReplacement, pace: 1000}}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What the replacing of a root under `count` identities needed."""

    seconds: float
    """Without the two soaks."""
    writes: float
    cpu_s: float


def _measure_rotation(count: int) -> Rotation:
    with clusters.running("bench-rotation") as cluster:
        operators.install(cluster)
        for number in range(NAMESPACES):
            cluster.kubectl("create", "namespace", f"bench-{number}")
        with _ours(cluster) as process:
            cluster.kubectl("apply", "--filename", "-", stdin=_ROTATION)
            return asyncio.run(_rotate(cluster, process, count))


async def _rotate(cluster: Cluster, controller: Process, count: int) -> Rotation:
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig())
    connection = session.connect(connections=CREATORS + 2)
    api = API(connection.session, connection.server, timeout_s=60, clock=lambda: datetime.now(UTC))
    loop = asyncio.get_running_loop()
    async with connection.session:
        ready = asyncio.create_task(_wait_for_all(connection, count))
        await _create(api, count)
        await ready
        authority = await api.get(paths.authority("default")) or {}
        order = next(one for one in authority["status"]["orders"] if one["order"] == labels.ROTATE_ROOT)
        writes, cpu, begun = await _writes(connection), controller.cpu_s(), loop.time()
        await api.patch(paths.authority("default"), {"metadata": {"annotations": {order["order"]: order["value"]}}})
        async with asyncio.timeout(120 + count / 10):
            while not await _is_replaced(api):  # noqa: ASYNC110 - there is nothing to be woken by
                await asyncio.sleep(0.2)
        seconds = loop.time() - begun - 2 * _SOAK_S
        return Rotation(seconds=seconds, writes=await _writes(connection) - writes, cpu_s=controller.cpu_s() - cpu)


async def _is_replaced(api: API) -> bool:
    status = (await api.get(paths.authority("default")) or {})["status"]
    phase = next(one["reason"] for one in status["conditions"] if one["type"] == "Rotating")
    return phase == "Stable" and [ca["number"] for ca in status["generations"] if ca["role"] == "root"] == [2]


def _rotation_table(measured: dict[int, Rotation]) -> Table:
    table = Table("Identities", f"Seconds beside two soaks of {_SOAK_S} s", "Writes", "Writes each", "CPU", box=None)
    for count, one in measured.items():
        each = f"{one.writes / count:.2f}"
        table.add_row(f"{count:,}", f"{one.seconds:.1f}", f"{one.writes:,.0f}", each, f"{one.cpu_s:.1f} s")
    return table


def _table(measured: dict[tuple[int, str], list[Figures]]) -> Table:
    columns = (
        "Identities", "Controller", "A second", "Of bare", "Writes each", "CPU each", "API server CPU each",
        "Memory idle", "Memory peak", "API server memory",
    )  # fmt: skip
    table = Table(*columns, box=None)
    for (count, name), figures in measured.items():
        middle = {field: statistics.median(getattr(one, field) for one in figures) for field in Figures.__slots__}
        ratios = [ours.rate / bare.rate for ours, bare in zip(figures, measured[count, "bare"], strict=True)]
        table.add_row(
            f"{count:,}",
            name,
            f"{middle['rate']:.0f}",
            f"{statistics.median(ratios):.0%}",
            f"{middle['writes']:.2f}",
            f"{middle['cpu_ms']:.2f} ms",
            f"{middle['server_ms']:.1f} ms",
            f"{middle['idle_mib']:.0f} MiB",
            f"{middle['memory_mib']:.0f} MiB",
            f"{middle['server_mib']:.0f} MiB",
        )
    return table


if __name__ == "__main__":
    session.block_client_library()
    app()
