"""The ring `cluster`: a real API server, and the operator as a process beside it.

One cluster and one operator serve all tests; each test has a namespace of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import yaml

from cluster.world import World
from devtools import clusters, operators
from devtools.clusters import Cluster
from devtools.operators import Operator, wait_until

AUTHORITY = {
    "apiVersion": "mutualtls.dev/v1alpha1",
    "kind": "MutualTLSAuthority",
    "metadata": {"name": "default"},
    "spec": {"leaf": {"minDuration": "1m"}},
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with an audit log, for all tests."""
    with clusters.running("test", audit=True) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """An operator with short intervals, started before there is anything that it needs."""
    with operators.running(cluster, conflict_retry="1s", first_retry="1s", last_retry="2s") as operator:
        wait_until(lambda: operator.logged("waiting for the cluster"), "the operator waits")
        operators.install(cluster)
        cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(AUTHORITY))
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        yield operator


@pytest.fixture
def world(cluster: Cluster, operator: Operator) -> Iterator[World]:
    """A namespace of the test's own, with an operator that runs."""
    namespace = f"test-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    if operator.process is None or not operator.process.is_alive():
        operator.start()
    yield World(cluster=cluster, operator=operator, namespace=namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
