"""A controller as a process beside a cluster: what can be started, metered and ended, ours or not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from devtools.clusters import operators
from devtools.clusters.clusters import Cluster
from devtools.machine import processes
from devtools.machine.processes import Process

_BEGUN_S = 0.1
"""CPU time after which a process has read its code and is at work."""


class Controller(Protocol):
    """What both `Program` and `operators.Operator` are."""

    process: Process | None

    def start(self) -> None:
        """Start it."""

    def stop(self) -> bool:
        """End it by SIGTERM."""


@dataclass(slots=True, kw_only=True)
class Program:
    """A controller by its command. It goes by KUBECONFIG, as the user `operator`."""

    cluster: Cluster
    name: str
    command: Sequence[str]
    process: Process | None = None

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.cluster.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it, and wait until it is at work."""
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig("operator"))}
        self.process = process = processes.start(self.command, log=self.log, environment=environment)
        self.cluster.take_in(self.name, process)
        operators.wait_until(lambda: process.cpu_s() > _BEGUN_S and process.is_alive(), f"{self.name} is at work")

    def stop(self) -> bool:
        """End it by SIGTERM, and return whether it obeyed."""
        return self.process is None or self.process.stop()


@contextlib.contextmanager
def running(cluster: Cluster, name: str, *command: str) -> Iterator[Program]:
    """Run a program for as long as the block lasts."""
    program = Program(cluster=cluster, name=name, command=command)
    program.start()
    try:
        yield program
    finally:
        program.stop()
