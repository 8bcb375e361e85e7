"""A run of the tests themselves that is interrupted, in whichever of its processes, leaves nothing running."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.clusters import clusters
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import wait_until
from devtools.machine import processes
from devtools.machine.processes import Process

HELD = """
import threading
from devtools.clusters import clusters

def test_that_holds_a_cluster():
    with clusters.running("{prefix}"):
        threading.Event().wait()
"""


class Run:
    """A `hack/test` whose one test holds a cluster, on one worker."""

    def __init__(self, folder: Path) -> None:
        self.prefix = f"held-{secrets.token_hex(3)}"
        test = folder / "test_held.py"
        test.write_text(HELD.format(prefix=self.prefix))
        environment = os.environ | {"PYTEST_ADDOPTS": "-n1"}
        command = [sys.executable, "-m", "devtools.commands.suite", str(test)]
        self.suite = processes.start(command, log=folder / "output.log", environment=environment)
        wait_until(self._is_up, f"a cluster is held: {folder}", deadline_s=90)
        (self.cluster,) = self.clusters()
        owner = self.cluster.owner()
        assert owner is not None
        self.worker = owner
        self.controller = processes.of(processes.parent(owner.pid))
        assert self.suite.pid == processes.parent(self.controller.pid)
        self.programs = list(self.cluster.processes().values())

    def clusters(self) -> list[Cluster]:
        """List the clusters of this run: one, or none."""
        return [cluster for cluster in clusters.everyone() if cluster.name.startswith(self.prefix)]

    def _is_up(self) -> bool:
        return any("kube-controller-manager" in cluster.processes() for cluster in self.clusters())

    def left(self) -> list[object]:
        """List what there is of it."""
        running = [self.suite, self.controller, self.worker, *self.programs]
        return [*self.clusters(), *(process for process in running if process.is_alive())]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run in the middle of its test."""
    run = Run(tmp_path)
    yield run
    for left in (run.suite, run.controller, run.worker):
        left.kill()


def _suite(run: Run) -> Process:
    return run.suite


def _controller(run: Run) -> Process:
    return run.controller


def _worker(run: Run) -> Process:
    return run.worker


ENDS = [
    pytest.param(whose, number, id=f"{number.name} to the {whose.__name__.removeprefix('_')}", marks=marks)
    for whose, number, marks in (
        (_suite, signal.SIGKILL, ()),
        (_suite, signal.SIGTERM, pytest.mark.further),
        (_controller, signal.SIGKILL, ()),
        (_controller, signal.SIGTERM, pytest.mark.further),
        (_worker, signal.SIGKILL, ()),
        (_worker, signal.SIGTERM, pytest.mark.further),
    )
]


@pytest.mark.parametrize(("whose", "number"), ENDS)
def test_a_run_of_which_one_process_ends_leaves_nothing(
    run: Run, whose: Callable[[Run], Process], number: signal.Signals
) -> None:
    """Neither processes nor a cluster are left."""
    os.kill(whose(run).pid, number)

    wait_until(lambda: not run.left(), "nothing is left", deadline_s=120)


def test_a_run_that_is_interrupted_from_the_terminal_leaves_nothing(run: Run) -> None:
    """Ctrl-C reaches all processes of the run that have not left its group."""
    os.killpg(run.suite.pid, signal.SIGINT)

    wait_until(lambda: not run.left(), "nothing is left", deadline_s=120)
