"""The ring `interop`: real programs on both ends, with the files of Secrets that a real API server holds.

A program that is not on this machine is skipped by name. `hack/interop --install` brings them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from devtools.clusters import clusters, operators
from interop import program
from interop.program import Program, Run
from interop.programs import PROGRAMS
from interop.shop import Shop

_RUNS = pytest.StashKey[list[Run]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try what has expired at the end: until then it has."""
    items.sort(key=lambda item: "expired" in item.name)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A cluster with the identities of all examples, and the variants of each that must be refused."""
    with clusters.running("interop") as cluster:
        operators.install(cluster)
        with operators.running(cluster):
            shop = Shop(cluster=cluster, folder=program.let_all_enter(tmp_path_factory.mktemp("mounts")))
            shop.open()
            yield shop


@pytest.fixture(scope="session", params=PROGRAMS, ids=lambda kind: kind.example)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Each program, compiled where it must be; skipped where it is not on this machine."""
    kind: type[Program] = request.param
    missing = kind.missing()
    if missing:
        assert not request.config.getoption("--all-programs"), missing
        pytest.skip(f"{kind.example}: no {', '.join(missing)} on this machine")
    made = kind(program.let_all_enter(tmp_path_factory.mktemp(kind.example)))
    made.build()
    return made


@pytest.fixture
def runs(request: pytest.FixtureRequest) -> list[Run]:
    """What became of requests during renewals; printed at the end."""
    return request.config.stash.setdefault(_RUNS, [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that every user may enter, as some servers refuse to run as root."""
    return program.let_all_enter(tmp_path)


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Print which programs ran, what became of the requests during renewals, and which are not there."""
    console = Console(highlight=False)
    table = Table("Program", "Versions", "Requests during renewals", "Failed", box=None)
    for run in config.stash.get(_RUNS, []):
        table.add_row(run.example, run.version, str(run.requests), str(run.failed))
    console.print(table)
    for kind in PROGRAMS:
        if missing := kind.missing():
            console.print(
                f"[red]skipped[/red] {kind.example}: no {', '.join(missing)}: hack/interop --install brings it"
            )
