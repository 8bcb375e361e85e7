"""The command behind .ci/run: from a fresh clone, the two commands of the README and all that belongs to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devtools.machine import guard, processes

HACK = Path(__file__).parents[2]
NEWEST = "3.13"
FURTHER = ("3.12", NEWEST)
"""Pythons beside the one that runs this."""
SHARE = 4
"""Of the kills at every write, one in so many: in that many days all of them."""

console = Console(highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, and the minutes that it may take on two cores when all programs were built before."""

    name: str
    command: tuple[str, ...]
    minutes: float
    python: str = ""


def main() -> None:
    """Run all steps, whatever comes of the first, print what each took, and fail if one failed."""
    begun = time.monotonic()
    table = Table("Step", "Result", "Minutes", "Budget", box=None)
    failed = False
    for step in _steps():
        console.rule(step.name, align="left")
        step_begun = time.monotonic()
        status = _run(step)
        failed |= status != 0
        minutes = (time.monotonic() - step_begun) / 60
        said = "[green]passed[/green]" if status == 0 else f"[red]failed[/red] ({status})"
        table.add_row(step.name, said, f"{minutes:.1f}", f"{step.minutes:.1f}")
    table.add_row("together", "", f"{(time.monotonic() - begun) / 60:.1f}", "")
    console.print()
    console.print(table)
    sys.exit(int(failed))


def _steps() -> Iterator[Step]:
    """List what is done. A further Python that is not on this machine is named."""
    yield Step(name="hack/demo", command=("demo",), minutes=1.5)
    yield Step(name="hack/interop --install", command=("interop", "--install"), minutes=1)
    everything = ("test", "all", "--all-programs", f"--share={SHARE}")
    yield Step(name=f"hack/test all --share {SHARE}", command=everything, minutes=35)
    # Another seed each day, which it prints.
    yield Step(name="hack/soak --minutes 3", command=("soak", "--minutes", "3"), minutes=4.5)
    for version in FURTHER:
        python = _python(version)
        if python is None:
            console.print(f"[red]skipped[/red]: no Python {version} on this machine")
            continue
        parts = ("types", "core", "cluster", "--representative") if version == NEWEST else ("types", "core")
        name = f"hack/test {' '.join(parts)} (Python {version})"
        yield Step(name=name, command=("test", *parts), minutes=6 if version == NEWEST else 2.5, python=python)


def _python(version: str) -> str | None:
    """Find a Python of pyenv's, or on the PATH."""
    ours = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    return str(ours[-1]) if ours else shutil.which(f"python{version}")


def _run(step: Step) -> int:
    """Run the door of hack/, and return its exit status. It ends when we do."""
    sys.stdout.flush()
    door, *arguments = step.command
    environment = os.environ | ({"PYTHON": step.python} if step.python else {})
    with subprocess.Popen([str(HACK / door), *arguments], env=environment) as running:
        guard.tie(processes.of(running.pid))
        return running.wait()


if __name__ == "__main__":
    main()
