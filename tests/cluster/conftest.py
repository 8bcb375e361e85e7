"""The ring `cluster`: a real API server with the chart installed, and the operator as a process beside it.

One cluster and one operator serve all tests; each test has a namespace of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from cluster import chart
from cluster.chart import Helm
from cluster.world import World
from devtools import clusters, operators
from devtools.clusters import Cluster
from devtools.operators import Operator


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
    with operators.running(cluster, conflict_retry="1s", first_retry="1s", last_retry="2s") as operator:
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        yield operator
    assert [] == chart.denied(cluster)


@pytest.fixture
def world(cluster: Cluster, operator: Operator) -> Iterator[World]:
    """A namespace of the test's own, with an operator that runs."""
    namespace = f"test-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    if operator.process is None or not operator.process.is_alive():
        operator.start()
    yield World(cluster=cluster, operator=operator, namespace=namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
