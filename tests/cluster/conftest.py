"""The ring `cluster`: a real API server with the chart installed, and the operator as a process beside it.

One cluster and one operator serve all tests; each test has a namespace of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from devtools.clusters import client, clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator
from support import chart
from support.chart import Helm
from support.world import World


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with an audit log, for all tests."""
    with clusters.running("test", audit=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def helm(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, bound to the cluster."""
    return Helm(home=tmp_path_factory.mktemp("helm"), kubeconfig=cluster.kubeconfig())


@pytest.fixture(scope="session")
def operator(cluster: Cluster, helm: Helm) -> Iterator[Operator]:
    """An operator with short intervals, and with no rights but those of the chart: one that is missing shows."""
    helm.run("install", chart.RELEASE, str(chart.CHART), "--create-namespace", values=chart.VALUES)
    chart.log_in(cluster)
    with operators.running(
        cluster, conflict_retry="1s", first_retry="1s", last_retry="2s", drain_timeout="2s"
    ) as operator:
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        yield operator
    assert [] == chart.denied(cluster)


@pytest.fixture
def world(cluster: Cluster, operator: Operator) -> Iterator[World]:
    """A namespace of the test's own, with an operator that runs."""
    namespace = f"test-{secrets.token_hex(3)}"
    client.admin(cluster).create("namespace", {"metadata": {"name": namespace}})
    if operator.process is None or not operator.process.is_alive():
        operator.start()
    yield World(cluster=cluster, operator=operator, namespace=namespace)
    for authority in client.admin(cluster).find("mtlsca"):
        # One that is not gone would still be at its work, and write, while the next tests run.
        if namespace in authority["metadata"]["name"]:
            client.admin(cluster).delete("mtlsca", authority["metadata"]["name"])
    client.admin(cluster).delete("namespace", namespace)
