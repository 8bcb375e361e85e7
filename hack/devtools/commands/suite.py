"""The command behind hack/test: checks and tests in parts, and a table of what came of them and how long it took.

Each part has a budget in minutes, which says what to expect and when to look for what grew. Nothing fails by time.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from devtools.commands import timings
from devtools.machine import guard, processes

ROOT = Path(__file__).parents[3]
SOURCES = ("operator", "hack", "tests")
ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
ALL = "all"

Command = tuple[str, ...]

_PYTHON: Command = (sys.executable, "-m")
_RUFF: Command = (*_PYTHON, "ruff")
_END_S = 30.0
"""For so long a command that was interrupted may clean up."""
_INTERRUPTED = 130
_PYTEST_INTERRUPTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of all checks and tests, and the minutes that it may take on two cores."""

    commands: tuple[Command, ...]
    minutes: float
    """What is representative."""
    minutes_of_all: float
    """All of it; the same where nothing is left out."""


def _pytest(*arguments: str, workers: int = 0) -> Command:
    spread = (f"-n{workers}",) if workers else ()
    return (*_PYTHON, "pytest", "-q", *spread, *arguments)


PARTS: dict[str, Part] = {
    "lint": Part(
        commands=(
            (*_RUFF, "check", *SOURCES),
            (*_RUFF, "format", "--check", *SOURCES),
            (*_PYTHON, "codespell_lib", *SOURCES, "docs", "examples", *ROOT_PAGES),
            (*_PYTHON, "devtools.commands.crds", "--check"),
            (*_PYTHON, "devtools.commands.rooms", "--check"),
        ),
        minutes=0.2,
        minutes_of_all=0.2,
    ),
    "types": Part(
        commands=((*_PYTHON, "mypy", "operator/mutualtls", "hack/devtools", "tests"),), minutes=0.5, minutes_of_all=0.5
    ),
    "imports": Part(
        commands=((str(Path(sys.executable).with_name("lint-imports")),),), minutes=0.1, minutes_of_all=0.1
    ),
    "core": Part(commands=(_pytest("tests/core", "tests/shell", workers=2),), minutes=1.5, minutes_of_all=2.2),
    # Most of the time a test waits, so several clusters run side by side.
    "cluster": Part(commands=(_pytest("--dist=loadfile", "tests/cluster", workers=4),), minutes=4, minutes_of_all=10),
    # What is not on this machine is skipped by name.
    "interop": Part(commands=(_pytest("tests/interop"),), minutes=1, minutes_of_all=1.5),
    "interrupted": Part(commands=(_pytest("tests/interrupted", workers=3),), minutes=2.3, minutes_of_all=5.5),
    "rotation": Part(commands=(_pytest("tests/rotation", workers=4),), minutes=4.5, minutes_of_all=12.5),
}
BY_NAME: dict[str, Part] = {
    # The rings kill the operator at one write of each phase; here it is killed before and after each write.
    "kills": Part(
        commands=(
            _pytest("tests/interrupted/test_kill_points.py", "--every-write", workers=3),
            _pytest("tests/rotation/test_kills.py", "--every-write", workers=4),
        ),
        minutes=15,
        minutes_of_all=15,
    ),
}
"""Not in what is representative."""
FIX = (
    (*_RUFF, "check", "--fix", *SOURCES),
    (*_RUFF, "format", *SOURCES),
    (*_PYTHON, "devtools.commands.crds"),
    (*_PYTHON, "devtools.commands.rooms"),
    (*_PYTHON, "support.conformance"),
)

console = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class InterruptedRunError(Exception):
    """Somebody ended a command, or this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a part."""

    part: str
    failed: bool
    seconds: float
    budget_s: float
    grown: tuple[str, ...]
    """Tests that took far longer than the last time on this machine."""

    @property
    def is_over(self) -> bool:
        """Whether it took longer than its budget, where it has one."""
        return 0 < self.budget_s < self.seconds


def today() -> int:
    """Number of the day: which share of the kills is taken unless a seed is given."""
    return datetime.datetime.now(datetime.UTC).date().toordinal()


@app.command()
def main(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Any of {', '.join(PARTS | BY_NAME)}, whole; {ALL}: everything; none: what is representative. "
            "Or paths of tests."
        ),
    ] = None,
    share: Annotated[int, typer.Option(min=1, help="Of the kills at every write take one in so many.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Which share that is; the number of the day by default.")] = None,
    all_programs: Annotated[
        bool, typer.Option("--all-programs", help="Fail where a program of `interop` is not on this machine.")
    ] = False,
    representative: Annotated[
        bool, typer.Option("--representative", help="Of the parts that are named, take what is representative.")
    ] = False,
) -> None:
    """Run the linters, the type checker, the import contracts and the test rings; `fix` mends what can be mended.

    Without a part it takes what is representative of each ring.
    """
    if parts == ["fix"]:
        raise typer.Exit(code=max(map(run, FIX)))
    chosen = _chosen(parts or [])
    is_whole = bool(parts) and not representative
    options = _options(share, today() if seed is None else seed) if is_whole else ("--representative",)
    options += ("--all-programs",) if all_programs else ()
    # A shell has what it starts in the background ignore SIGINT, and so would all that we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()
    results: list[Result] = []
    try:
        for part in chosen.items():
            results.append(_take(part, options, is_whole=is_whole))  # noqa: PERF401 - an end leaves what was done
    except (InterruptedRunError, KeyboardInterrupt):
        console.print("\nhack/test: interrupted")
        raise typer.Exit(code=_INTERRUPTED) from None
    finally:
        _show(results, time.monotonic() - begun)
    raise typer.Exit(code=any(result.failed for result in results))


def _chosen(parts: list[str]) -> dict[str, Part]:
    """Find the parts of these names; of none, those that have something representative."""
    known = PARTS | BY_NAME
    paths = {name: Part(commands=(_pytest(name),), minutes=0, minutes_of_all=0) for name in parts if "/" in name}
    unknown = set(parts) - known.keys() - paths.keys() - {ALL}
    if unknown:
        console.print(f"hack/test: no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}, {ALL}")
        raise typer.Exit(code=2)
    if ALL in parts:
        return known | paths
    return {name: (known | paths)[name] for name in parts} or PARTS


def _options(share: int, seed: int) -> Command:
    """Tell what all rings are told."""
    if share == 1:
        return ()
    console.print(f"of the kills at every write: one in {share}; the same again by --share {share} --seed {seed}")
    return (f"--share={share}", f"--seed={seed}")


def _take(named: tuple[str, Part], options: Command, *, is_whole: bool) -> Result:
    """Run all commands of a part, whatever comes of the first."""
    name, part = named
    console.rule(name, align="left")
    begun = time.monotonic()
    failed, grown = False, []
    for number, command in enumerate(part.commands):
        if "pytest" not in command or name not in PARTS | BY_NAME:
            failed |= run(command) != 0
            continue
        with timings.taken(f"{name}-{number}") as timed:
            failed |= run((*command, *options, *timed.options)) != 0
        grown += timed.grown()
    minutes = part.minutes_of_all if is_whole else part.minutes
    return Result(
        part=name,
        failed=failed,
        seconds=time.monotonic() - begun,
        budget_s=minutes * 60,
        grown=tuple(grown),
    )


def _show(results: list[Result], seconds: float) -> None:
    """Print a table of all parts, and name what took longer than its budget, or than the last time."""
    table = Table("Part", "Result", "Minutes", "Budget", box=None)
    for result in results:
        said = "[red]failed[/red]" if result.failed else "[green]passed[/green]"
        over = "yellow" if result.seconds > result.budget_s else "default"
        table.add_row(result.part, said, f"[{over}]{result.seconds / 60:.1f}[/{over}]", f"{result.budget_s / 60:.1f}")
    budget_s = sum(result.budget_s for result in results)
    table.add_row("together", "", f"{seconds / 60:.1f}", f"{budget_s / 60:.1f}")
    console.print()
    console.print(table)
    for result in results:
        if result.is_over:
            console.print(f"[yellow]over its budget[/yellow]: {result.part}")
        for test in result.grown:
            console.print(f"[yellow]grew[/yellow]: {escape(test)}", soft_wrap=True)


def _interrupt(*_: object) -> None:
    """End as by Ctrl-C, with what was started."""
    raise InterruptedRunError


def run(command: Command) -> int:
    """Run a command in the tree, with the tests on its path, and return its exit status. It ends when we do.

    Raises:
        InterruptedRunError: somebody ended it.
    """
    sys.stdout.flush()
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT / "tests")])
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}) as running:
        guard.tie(processes.of(running.pid))
        try:
            status = running.wait()
        except KeyboardInterrupt:
            _wait_for_end(running)  # the terminal has told it, too
            raise
        except InterruptedRunError:
            for pid in (running.pid, *processes.children(running.pid)):  # as the terminal would
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            _wait_for_end(running)
            raise
    if status < 0 or ("pytest" in command and status == _PYTEST_INTERRUPTED):
        raise InterruptedRunError
    return status


def _wait_for_end(running: subprocess.Popen[bytes]) -> None:
    try:
        running.wait(timeout=_END_S)
    except subprocess.TimeoutExpired:
        running.kill()


if __name__ == "__main__":
    app()
