"""An operator behind the proxy, and what the tests of this ring begin with."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools.clusters import client, clusters, operators
from devtools.clusters import proxy as proxies
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import NAMESPACE, Operator, TimeoutExpiredError, wait_until
from devtools.clusters.proxy import Proxy
from devtools.machine import ports
from support import authority, chart
from support.chart import Helm
from support.world import World

VALUES = chart.IMAGE | {"authority": {"create": False}}
"""Each test makes an authority of its own, whose writes alone are to be seen."""

_RESTARTS = 5
"""As often as kubelet might start an operator again that ends by itself, while one thing is waited for."""
_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An operator that goes by way of the proxy."""

    cluster: Cluster
    operator: Operator
    proxy: Proxy
    port: int
    """Of the probes."""

    def begin(self) -> bool:
        """Have an operator that runs, and tell whether it had to be started."""
        is_gone = self.operator.process is None or not self.operator.process.is_alive()
        if is_gone:
            self.operator.start()
        return is_gone

    def world(self) -> World:
        """Make a namespace of one run's own."""
        namespace = f"run-{secrets.token_hex(3)}"
        client.admin(self.cluster).create("namespace", {"metadata": {"name": namespace}})
        return World(cluster=self.cluster, operator=self.operator, namespace=namespace)

    def cas(self, world: World) -> list[str]:
        """List the CA Secrets of the run's authority: role and number."""
        selector = f"mutualtls.dev/part=ca,mutualtls.dev/authority={world.namespace}"
        listed = client.admin(self.cluster).find("secret", namespace=NAMESPACE, selector=selector)
        return [secret["metadata"]["name"].removeprefix(f"mutualtls-ca.{world.namespace}.") for secret in listed]

    def keep_running(self, condition: Callable[[], object], what: str) -> int:
        """Wait for a condition, start the operator again when it ends by itself, and tell how often that was."""
        restarts = 0
        deadline = time.monotonic() + _DEADLINE_S
        while not condition():
            restarts += self.begin()
            if restarts > _RESTARTS or time.monotonic() > deadline:
                raise TimeoutExpiredError(f"waited in vain, after {restarts} restarts: {what}")
            time.sleep(0.1)
        return restarts


@contextlib.contextmanager
def running(prefix: str, folder: Path, *, seed: int = 0) -> Iterator[Scene]:
    """Have a cluster with the chart installed, a proxy before it, and an operator behind that with the chart's rights.

    They last as long as the block, and the folder is theirs. In the end the operator must have had all rights it needs.
    """
    with clusters.running(prefix, audit=True) as cluster:
        helm = Helm(home=folder / "helm", kubeconfig=cluster.kubeconfig())
        helm.run("install", chart.RELEASE, str(chart.CHART), "--create-namespace", values=VALUES)
        chart.log_in(cluster)
        (port,) = ports.free(1)
        settings = {"first_retry": "1s", "last_retry": "1s", "health_port": str(port)}
        with (
            proxies.running(cluster, folder, seed=seed) as proxy,
            operators.running(cluster, kubeconfig=proxy.kubeconfig, **settings) as operator,
        ):
            wait_until(lambda: operator.logged("operator runs"), "the operator runs")
            yield Scene(cluster=cluster, operator=operator, proxy=proxy, port=port)
        denied = chart.denied(cluster)
        assert [] == denied, denied


def authority_and_identity(world: World) -> None:
    """Make an authority, whose CA is yet to be made, and an identity that waits for it."""
    authority.apply(world, world.namespace, leaf={"minDuration": "1m"})
    world.apply("orders", authority=world.namespace)


def prepared(world: World) -> None:
    """Have an identity that is served."""
    authority_and_identity(world)
    world.wait_ready("orders")
