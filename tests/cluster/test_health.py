"""What the operator says of its health, while the cluster is not ready, away, or without a definition that it needs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator, wait_until
from devtools.machine import ports
from support.probes import Probed
from support.world import World

AUTHORITY = {
    "apiVersion": "mutualtls.dev/v1alpha1",
    "kind": "MutualTLSAuthority",
    "metadata": {"name": "default"},
    "spec": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(Probed):
    """An operator on a cluster of its own, as kubelet sees it."""

    cluster: Cluster
    operator: Operator

    @property
    def world(self) -> World:
        """The cluster as seen from namespace `default`."""
        return World(cluster=self.cluster, operator=self.operator, namespace="default")

    def install(self) -> None:
        """Create what the operator needs and an authority, and wait until it serves."""
        operators.install(self.cluster)
        self.cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(AUTHORITY))
        self.wait_code("/readyz", 200)

    def exit_code(self) -> int | None:
        """Read with which code the operator ended, and leave the rest to who started it; None while it runs."""
        assert self.operator.process is not None
        ended = os.waitid(os.P_PID, self.operator.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return ended.si_status if ended else None


@pytest.fixture
def watched() -> Iterator[Watched]:
    """An operator on a cluster where there is nothing yet of what it needs."""
    (port,) = ports.free(1)
    with (
        clusters.running("health", audit=True) as cluster,
        operators.running(cluster, health_port=str(port), first_retry="1s", last_retry="2s") as operator,
    ):
        yield Watched(cluster=cluster, operator=operator, port=port)


def test_it_is_not_ready_before_there_is_what_it_needs(watched: Watched) -> None:
    """It says what it waits for, is healthy meanwhile, and serves when all is there."""
    wait_until(lambda: "mutualtlsidentities" in watched.ask("/readyz")[1], "/readyz names the resource")
    assert watched.ask("/readyz")[0] == 503
    assert watched.ask("/healthz") == (200, "ok\n")

    watched.cluster.kubectl("apply", "--server-side", "--filename", str(operators.CRDS))
    wait_until(lambda: "namespace mutualtls-system" in watched.ask("/readyz")[1], "/readyz names the namespace")
    assert watched.ask("/readyz")[0] == 503
    watched.cluster.kubectl("create", "namespace", operators.NAMESPACE)
    watched.wait_code("/readyz", 200)
    assert watched.ask("/readyz") == (200, "ok\n")
    assert watched.ask("/healthz") == (200, "ok\n")


@pytest.mark.further
def test_it_is_not_ready_while_the_api_server_is_away(watched: Watched) -> None:
    """It stays healthy, says why it does not serve, and serves again, without being started again."""
    watched.install()
    world = watched.world
    world.apply("before")
    world.wait_ready("before")
    serial = world.serial("before")
    watched.cluster.stop_program("kube-apiserver")
    watched.wait_code("/readyz", 503)
    assert "watch of /api" in watched.ask("/readyz")[1]
    assert watched.ask("/healthz") == (200, "ok\n")

    watched.cluster.start_program("kube-apiserver")

    def is_created() -> bool:
        return "created" in world.kubectl("apply", "--filename", "-", stdin=world.manifest("during"), check=False)

    wait_until(is_created, "the API server takes an identity", deadline_s=60)
    watched.cluster.wait_until_ready()
    watched.wait_code("/readyz", 200)
    world.wait_ready("before", "during")
    world.apply("after")
    world.wait_ready("after")

    assert serial == world.serial("before")
    assert watched.exit_code() is None
    assert watched.ask("/healthz") == (200, "ok\n")


@pytest.mark.parametrize(
    "resource", ["mutualtlsidentities", pytest.param("mutualtlsauthorities", marks=pytest.mark.further)]
)
def test_it_ends_when_a_definition_is_deleted_and_serves_when_it_is_back(watched: Watched, resource: str) -> None:
    """It fails with a log line that says why; the CA that was made stays the one that signs."""
    watched.install()
    world = watched.world
    world.apply("before")
    world.wait_ready("before")
    bundle = world.files("before-mtls")["ca.crt"]
    watched.cluster.kubectl("delete", "crd", f"{resource}.mutualtls.dev")
    wait_until(lambda: watched.exit_code() is not None, "the operator ends", deadline_s=90)
    assert watched.exit_code() not in {None, 0}
    (why,) = [line for line in watched.operator.log.read_text().splitlines() if "a watch ended for good" in line][:1]
    assert resource in why

    watched.cluster.kubectl("apply", "--server-side", "--filename", str(operators.CRDS))
    watched.cluster.kubectl("wait", "--for=condition=Established", f"crd/{resource}.mutualtls.dev", "--timeout=30s")
    watched.operator.start()
    watched.wait_code("/readyz", 200)
    manifest = yaml.safe_dump(AUTHORITY)
    wait_until(
        lambda: "default" in world.kubectl("apply", "--filename", "-", stdin=manifest, check=False), "it is served"
    )
    world.apply("after")
    world.wait_ready("after")

    assert bundle == world.files("after-mtls")["ca.crt"]
    assert watched.exit_code() is None


def test_metrics_tell_of_cas_and_phases(watched: Watched) -> None:
    """Metrics have the form that Prometheus reads."""
    watched.install()

    def metrics() -> dict[str, float]:
        families = text_string_to_metric_families(watched.ask("/metrics")[1])
        return {_sample(sample.name, sample.labels): sample.value for family in families for sample in family.samples}

    root = "mutualtls_ca_not_after_timestamp_seconds default 1 root Active"
    wait_until(lambda: root in metrics(), "the root is known")
    found = metrics()
    assert found[root] > time.time()
    assert 1.0 == found["mutualtls_rotation_phase default Stable"]
    assert (1.0, 0.0) == (found["mutualtls_leader"], found["mutualtls_leader_transitions_total"])

    def lags() -> set[float]:
        told = ("mutualtls_bundle_behind", "mutualtls_rotation_l")
        return {value for name, value in metrics().items() if name.startswith(told)}

    # What carries the bundle gets it a moment after the root is told of.
    wait_until(lambda: lags() == {0.0}, "nothing lags")


def _sample(name: str, labels: dict[str, str]) -> str:
    return " ".join([name, *(labels[label] for label in sorted(labels))])
