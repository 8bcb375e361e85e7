"""The ring `interrupted`: faults and kills between operator and API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster import chart
from cluster.chart import Helm
from devtools import clusters, operators
from devtools.operators import wait_until
from interrupted import proxy as proxies
from interrupted.scenes import Scene

VALUES = chart.IMAGE | {"authority": {"create": False}}
"""Each test makes an authority of its own, whose writes alone are to be seen."""


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A cluster with the chart installed, a proxy before it, and an operator behind that with the chart's rights."""
    with clusters.running("killed", audit=True) as cluster:
        helm = Helm(home=tmp_path_factory.mktemp("helm"), kubeconfig=cluster.kubeconfig())
        helm.run("install", chart.RELEASE, str(chart.CHART), "--create-namespace", values=VALUES)
        chart.log_in(cluster)
        with (
            proxies.running(cluster, tmp_path_factory.mktemp("proxy")) as proxy,
            operators.running(cluster, kubeconfig=proxy.kubeconfig, first_retry="1s", last_retry="1s") as operator,
        ):
            wait_until(lambda: operator.logged("operator runs"), "the operator runs")
            yield Scene(cluster=cluster, operator=operator, proxy=proxy)
        assert [] == chart.denied(cluster)


@pytest.fixture
def scene(stage: Scene) -> Iterator[Scene]:
    """The same without a fault, and with an operator that runs."""
    if stage.operator.process is None or not stage.operator.process.is_alive():
        stage.operator.start()
    yield stage
    stage.proxy.mend()
