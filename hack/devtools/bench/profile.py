"""The command behind hack/profile: where operator and API server spend their time while a wave is issued to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devtools.bench import client, contenders, flame, load, pprof
from devtools.bench.flame import Stacks
from devtools.clusters import clusters
from devtools.clusters.clusters import Cluster
from devtools.machine import programs
from devtools.machine.processes import Process

_HERTZ = 200
_SLOWEST = 50
"""Objects a second: the API server is profiled for as long as a wave takes at this rate. Idle time is not seen."""

console = Console(stderr=True, highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(help="Where the flame graphs go, and the lists of functions.")],
    count: Annotated[int, typer.Option(help="How many identities are issued to.")] = 2000,
    native: Annotated[bool, typer.Option("--native", help="See the operator's C code, too; it runs slower.")] = False,
) -> None:
    """Draw flame graphs of operator and API server, of a wave of identities."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = contenders.OURS
    with clusters.running("profile") as cluster:
        load.prepare(cluster)
        with ours.running(cluster) as controller:
            if controller.process is None:
                raise AssertionError("an operator that runs has a process")
            seen = cluster.folder / "operator.folded"
            with _sampled(controller.process, seen, native=["--native"] if native else []):
                profile = asyncio.run(_wave(cluster, count))
            stacks = {
                "operator": flame.folded(seen.read_text().splitlines()),
                "apiserver": pprof.read(profile),
            }
    (folder / "apiserver.pb.gz").write_bytes(profile)
    for name, of_it in stacks.items():
        _write(folder, name, of_it, title=f"{name}: a wave of {count:,} identities")


def _write(folder: Path, name: str, stacks: Stacks, *, title: str) -> None:
    (folder / f"{name}.svg").write_text(flame.draw(stacks, title))
    (folder / f"{name}.txt").write_text(flame.listed(stacks))
    lines = [f"{';'.join(stack)} {seen}" for stack, seen in sorted(stacks.items())]
    (folder / f"{name}.folded").write_text("\n".join(lines) + "\n")
    console.print(f"{folder / name}.svg, .txt and .folded: {stacks.total()} samples")


@contextlib.contextmanager
def _sampled(process: Process, output: Path, *, native: list[str]) -> Iterator[None]:
    """Sample a Python process by py-spy until the block ends, as folded stacks.

    Only a thread that holds the GIL is at work for certain: whether others wait, not every machine lets py-spy know.
    """
    command = [str(programs.py_spy()), "record", "--pid", str(process.pid), "--rate", str(_HERTZ)]
    command += ["--format", "raw", "--output", str(output), "--function", "--gil", *native]
    log = output.with_suffix(".log")
    with log.open("wb") as said:
        sampling = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield
        finally:
            os.kill(sampling.pid, signal.SIGINT)
            failed = sampling.wait(timeout=60)
    if failed or not output.exists():
        sys.exit(f"py-spy could not sample the operator: {log.read_text().strip()}")


async def _wave(cluster: Cluster, count: int) -> bytes:
    """Issue to identities, and return the API server's profile of that time."""
    seconds = 5 + count // _SLOWEST
    ours = contenders.OURS
    async with (
        load.crowd(cluster, ours.resource) as crowd,
        client.connected(cluster.kubeconfig(), connections=1, timeout_s=seconds + 60) as profiled,
        asyncio.TaskGroup() as group,
    ):
        profile = group.create_task(profiled.get(f"/debug/pprof/profile?seconds={seconds}"))
        group.create_task(crowd.create(count, lambda _: ours.spec))
        group.create_task(crowd.wait_for(count, patience_s=60 + count / 20))
    return profile.result()


if __name__ == "__main__":
    app()
