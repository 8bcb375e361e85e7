"""Every row of docs/conformance.md, issued on a real API server and judged in full."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator, wait_until
from support import conformance
from support.conformance import ROWS, Row
from support.stores import put_password
from support.world import World


@pytest.fixture(scope="module")
def rows(cluster: Cluster, operator: Operator) -> Iterator[World]:
    """A namespace in which an identity was applied for each row, all at once."""
    namespace = f"rows-{secrets.token_hex(3)}"
    world = World(cluster=cluster, operator=operator, namespace=namespace)
    head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": namespace}}
    spec = {"leaf": {"minDuration": "1m"}, "permits": conformance.PERMITS}
    cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(head | {"spec": spec}))
    cluster.kubectl("create", "namespace", namespace)
    put_password(world)
    manifests = [conformance.manifest(world, row, _identity(row), namespace) for row in ROWS]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests))
    yield world
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _identity(row: Row) -> str:
    return f"row-{ROWS.index(row)}"


@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
def test_a_row_conforms(rows: World, row: Row, tmp_path: Path) -> None:
    """The row tells of files, names, key, extensions, times, chain and status."""
    identity = _identity(row)
    # Not "is judged": one of the slow keys waits its turn, and says so.
    wait_until(lambda: rows.condition(identity).get("status") == "True", f"{row.title} is issued", deadline_s=120)
    assert "certificate is valid until" in rows.condition(identity)["message"]
    conformance.check(rows, row, identity, tmp_path / "files")


def test_the_page_is_of_these_rows() -> None:
    """The page is as `hack/fix` writes it."""
    assert conformance.table() == conformance.PAGE.read_text()
