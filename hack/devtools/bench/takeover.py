"""The command behind hack/takeover: seconds from the end of a leader until its standby has issued a certificate.

With the settings that operators have by default. Each round ends the leader, applies an identity at once, and waits
until it is Ready; then the one that was ended is started again, as the standby.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from devtools.clusters import client, clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import LEASE, NAMESPACE, Operator, wait_until

_HERE = "default"
_SETTLE_S = 3.0
"""For so long both run before the next round: the standby has read the Lease, and the leader renewed it."""
_LONGEST_S = 120.0

_SPREAD_S = 0.2
"""By so much rounds differ, so that leaders end at any moment between two looks of the standby."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(rounds: Annotated[int, typer.Option(help="How often a leader is ended in each way.")] = 20) -> None:
    """Measure how long it takes a standby to serve after the leader was killed, and after it was stopped."""
    table = Table("leader", "rounds", "median s", "longest s")
    with clusters.running("takeover") as cluster:
        operators.install(cluster)
        head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority"}
        client.admin(cluster).apply("mtlsca", head | {"metadata": {"name": "default"}, "spec": {}})
        for way, number in (("killed (SIGKILL)", signal.SIGKILL), ("stopped (SIGTERM)", signal.SIGTERM)):
            seconds = list(_measured(cluster, number, rounds))
            table.add_row(way, str(rounds), f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}")
    Console(highlight=False).print(table)


def _measured(cluster: Cluster, number: signal.Signals, rounds: int) -> Iterator[float]:
    """End the leader so many times, and tell each time how long nobody served."""
    names = [f"{number.name.lower()}-{which}" for which in ("one", "two")]
    pair = [Operator(cluster=cluster, log=cluster.folder / f"{name}.log", name=name) for name in names]
    try:
        for one in pair:
            _start(one, -1)
        leader, standby = pair
        for turn in range(rounds):
            time.sleep(_SETTLE_S + turn % 10 * _SPREAD_S)
            yield _end(cluster, leader, number, f"{number.name.lower()}-{turn}")
            leader, standby = standby, leader
            _start(standby, turn)
    finally:
        for one in pair:
            one.stop()


def _start(one: Operator, turn: int) -> None:
    """Start an operator with a log of its own for each start, and wait until it runs."""
    one.log = one.log.with_name(f"{one.name}-{turn}.log")
    one.start()
    wait_until(lambda: one.logged("operator runs"), "the operator runs", deadline_s=_LONGEST_S)


def _end(cluster: Cluster, leader: Operator, number: signal.Signals, name: str) -> float:
    """End the leader, and tell how long it takes until an identity is ready that is applied then."""
    admin = client.admin(cluster)
    if leader.process is None or admin.get("lease", LEASE, namespace=NAMESPACE) is None:
        raise RuntimeError("nobody leads")
    begun = time.monotonic()
    os.kill(leader.process.pid, number)
    head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity"}
    admin.apply("mtls", head | {"metadata": {"name": name, "namespace": _HERE}, "spec": {}}, namespace=_HERE)

    def is_ready() -> bool:
        conditions = (admin.get("mtls", name, namespace=_HERE) or {}).get("status", {}).get("conditions", ())
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    wait_until(is_ready, f"{name} is ready", deadline_s=_LONGEST_S)
    return time.monotonic() - begun


if __name__ == "__main__":
    app()
