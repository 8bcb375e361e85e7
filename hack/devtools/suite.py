"""The command behind hack/test: all checks and tests, or the parts that are named, and a table of what came of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
SOURCES = ("operator", "hack", "tests")
ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")

_PYTHON = (sys.executable, "-m")
_RUFF = (*_PYTHON, "ruff")
PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "lint": (
        (*_RUFF, "check", *SOURCES),
        (*_RUFF, "format", "--check", *SOURCES),
        (*_PYTHON, "codespell_lib", *SOURCES, "docs", "examples", *ROOT_PAGES),
        (*_PYTHON, "devtools.crds", "--check"),
    ),
    "types": ((*_PYTHON, "mypy", "operator/mutualtls", "hack/devtools", "tests"),),
    "imports": ((str(Path(sys.executable).with_name("lint-imports")),),),
    "core": ((*_PYTHON, "pytest", "-q", "tests/core"),),
    # Three clusters side by side: most of the time a test waits.
    "cluster": ((*_PYTHON, "pytest", "-q", "-n3", "--dist=loadfile", "tests/cluster"),),
    # What is not on this machine is skipped by name.
    "interop": ((*_PYTHON, "pytest", "-q", "tests/interop"),),
    "interrupted": ((*_PYTHON, "pytest", "-q", "-n3", "tests/interrupted"),),
    "rotation": ((*_PYTHON, "pytest", "-q", "-n3", "tests/rotation"),),
}
BY_NAME_ALONE: dict[str, tuple[tuple[str, ...], ...]] = {
    # A quarter of an hour: the operator is killed at every write of what replaces a CA, not at one of each phase.
    "kills": ((*_PYTHON, "pytest", "-q", "-n3", "tests/rotation/test_kills.py", "--every-write"),),
}
FIX = (
    (*_RUFF, "check", "--fix", *SOURCES),
    (*_RUFF, "format", *SOURCES),
    (*_PYTHON, "devtools.crds"),
    (*_PYTHON, "cluster.conformance"),
)

console = Console(highlight=False)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    parts: Annotated[
        list[str] | None, typer.Argument(help=f"Any of {', '.join(PARTS)}, all by default; {', '.join(BY_NAME_ALONE)}.")
    ] = None,
) -> None:
    """Run the linters, the type checker, the import contracts and the test rings; `fix` mends what can be mended."""
    if parts == ["fix"]:
        raise typer.Exit(code=max(map(run, FIX)))
    known = PARTS | BY_NAME_ALONE
    unknown = set(parts or ()) - known.keys()
    if unknown:
        console.print(f"hack/test: no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        raise typer.Exit(code=2)
    results = {part: _timed(part) for part in parts or PARTS}
    table = Table("Part", "Result", "Seconds", box=None)
    for part, (failed, seconds) in results.items():
        table.add_row(part, "[red]failed[/red]" if failed else "[green]passed[/green]", f"{seconds:.0f}")
    console.print()
    console.print(table)
    raise typer.Exit(code=any(failed for failed, _ in results.values()))


def _timed(part: str) -> tuple[bool, float]:
    """Run all commands of a part, whatever comes of the first, and tell whether one failed and how long it took."""
    console.rule(part, align="left")
    begun = time.monotonic()
    statuses = [run(command) for command in (PARTS | BY_NAME_ALONE)[part]]
    return any(statuses), time.monotonic() - begun


def run(command: tuple[str, ...]) -> int:
    """Run a command in the tree, with the tests on its path, and return its exit status."""
    sys.stdout.flush()
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT / "tests")])
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, check=False).returncode


if __name__ == "__main__":
    app()
