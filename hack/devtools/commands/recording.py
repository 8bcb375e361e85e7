"""The command behind hack/picture: replace a root under consumers that shake hands, and draw how that went."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import wait_until
from devtools.consumers import fleet, picture
from devtools.consumers.fleet import Fleet

AUTHORITY, NAMESPACE = "picture", "shop"
NAMES = ("billing", "orders", "returns", "search", "shipping", "stock")
SOAK_S = 9
COMPRESSED = fleet.KUBELET_S / (SOAK_S - 1)
"""How much faster time passes than in a cluster, where kubelet takes up to 90 s."""
_QUIET_S = 3.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    file: Annotated[Path, typer.Argument(help="Where the picture goes, as SVG.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a run to be drawn instead of a new one.")] = None,
) -> None:
    """Draw the replacing of a root: who trusts what, who shows what, and every handshake."""
    if run is not None:
        _draw(run, file, title="A run")
        return
    with tempfile.TemporaryDirectory() as folder:
        _record(Path(folder))
        _draw(Path(folder), file, title="A root is replaced")


def _draw(folder: Path, file: Path, *, title: str) -> None:
    file.write_text(picture.draw(picture.read(folder), title))
    typer.echo(f"drawn: {file}")


def _record(folder: Path) -> None:
    """Replace a root under six consumers, in a cluster of its own."""
    longest_s = fleet.KUBELET_S / COMPRESSED
    with clusters.running("picture") as cluster:
        operators.install(cluster)
        with (
            operators.running(cluster),
            fleet.running(cluster, folder, longest_delay_s=longest_s, pause_s=0.01, seed=1) as consumers,
        ):
            consumers.record(AUTHORITY)
            cluster.kubectl("create", "namespace", NAMESPACE)
            cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(_manifests()))
            for name in NAMES:
                consumers.join(name, NAMESPACE)
            _wait_a_while(consumers)
            _rotate(cluster, consumers)
            _wait_a_while(consumers)


def _manifests() -> list[dict[str, Any]]:
    rotation = {"soak": f"{SOAK_S}s", "retire": "AfterReplacement"}
    head = {"apiVersion": "mutualtls.dev/v1alpha1"}
    authority = {"kind": "MutualTLSAuthority", "metadata": {"name": AUTHORITY}, "spec": {"rotation": rotation}}
    identities = [
        {
            "kind": "MutualTLSIdentity",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"authority": AUTHORITY},
        }
        for name in NAMES
    ]
    return [head | one for one in (authority, *identities)]


def _wait_a_while(consumers: Fleet) -> None:
    """Let them shake hands as they are, so that it shows."""
    consumers.wait_for_round(quiet_s=_QUIET_S)


def _rotate(cluster: Cluster, consumers: Fleet) -> None:
    """Order another root, and wait until the old one is gone."""
    (order,) = (one for one in consumers.status["orders"] if one["order"].endswith("/rotate-root"))
    cluster.kubectl("annotate", "mtlsca", AUTHORITY, f"{order['order']}={order['value']}")

    def is_replaced() -> bool:
        found = [ca for ca in consumers.status["generations"] if ca["role"] == "root"]
        return [(ca["number"], ca["state"]) for ca in found] == [(2, "Active")]

    wait_until(is_replaced, "the root is replaced", deadline_s=120)


if __name__ == "__main__":
    app()
