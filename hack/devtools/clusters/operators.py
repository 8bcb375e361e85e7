"""The operator as a process beside a cluster, for the tests, the demo and the benchmark."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devtools.clusters import client
from devtools.clusters.clusters import Cluster, ClusterError
from devtools.machine import processes
from devtools.machine.processes import Process

CRDS = Path(__file__).parents[3] / "crds"
NAMESPACE = "mutualtls-system"
LEASE = "mutualtls-operator"

_POLL_S = 0.05


class TimeoutExpiredError(Exception):
    """What was waited for did not come about."""


def wait_until(condition: Callable[[], object], what: str, *, deadline_s: float = 60.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutExpiredError: it did not in time; names `what`.
    """
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutExpiredError(f"waited {deadline_s:.0f} s in vain: {what}")
        time.sleep(_POLL_S)


@dataclass(slots=True, kw_only=True)
class Operator:
    """An operator process, which may be stopped, killed and started again. Its log goes on in one file."""

    cluster: Cluster
    log: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    process: Process | None = None
    kubeconfig: Path | None = None
    """By which it goes; the cluster's own for user `operator` where none is given."""
    name: str = "operator"
    """By which the cluster knows it, and ends it."""
    module: str = "mutualtls"
    """What Python runs."""

    def start(self) -> None:
        """Start it. It serves when `is_running` says so."""
        command = [sys.executable, "-m", self.module, "run", "--log-format", "json"]
        kubeconfig = self.kubeconfig or self.cluster.kubeconfig("operator")
        environment = {**os.environ, **self.settings, "KUBECONFIG": str(kubeconfig)}
        self.process = processes.start(command, log=self.log, environment=environment)
        self.cluster.take_in(self.name, self.process)

    def stop(self) -> bool:
        """End it by SIGTERM, as kubelet does, and return whether it obeyed within ten seconds."""
        return self.process is None or self.process.stop()

    def kill(self) -> None:
        """End it by SIGKILL, in the middle of whatever it does, and free its Lease, so that the next need not wait."""
        if self.process is not None:
            self.process.kill()
            with contextlib.suppress(ClusterError):  # as while the API server is away
                self._free_lease()

    def _free_lease(self) -> None:
        """Write what the operator would have written in the end. That another waits else is tested on its own."""
        admin, namespace = client.admin(self.cluster), self.settings.get("MUTUALTLS_NAMESPACE", NAMESPACE)
        held = admin.get("lease", LEASE, namespace=namespace)
        if held is not None and self.logged(held["spec"].get("holderIdentity") or "\0"):
            admin.patch("lease", LEASE, {"spec": {"holderIdentity": ""}}, namespace=namespace)

    def logged(self, text: str) -> bool:
        """Whether a text was ever logged."""
        return self.log.exists() and text in self.log.read_text()


@contextlib.contextmanager
def running(cluster: Cluster, *, kubeconfig: Path | None = None, **settings: str) -> Iterator[Operator]:
    """Run an operator for as long as the block lasts. Settings are `MUTUALTLS_` variables, in lower case."""
    variables = {f"MUTUALTLS_{name.upper()}": value for name, value in settings.items()}
    log = cluster.folder / "operator.log"
    operator = Operator(cluster=cluster, log=log, settings=variables, kubeconfig=kubeconfig)
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


def install(cluster: Cluster) -> None:
    """Create what the operator needs: its resources' definitions and its namespace."""
    cluster.kubectl("apply", "--server-side", "--filename", str(CRDS))
    cluster.kubectl("create", "namespace", NAMESPACE)
    # An established definition may still answer 429 for a moment, while its storage is being made.
    wait_until(
        lambda: "No resources found" in cluster.kubectl("get", "mtls,mtlsca", "--all-namespaces", check=False),
        "the resources are served",
    )
