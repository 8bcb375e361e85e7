"""Backup and restore, by the very commands of docs/operations/backup.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import NAMESPACE
from devtools.machine import programs
from support import chart, outside
from support.chart import Helm
from support.world import World

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations" / "backup.md"
REPOSITORY = chart.IMAGE["image"]["repository"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who types what the page says, in a folder of their own."""

    folder: Path

    def follow(self, heading: str, cluster: Cluster) -> str:
        """Run all commands of a section, and return what they printed."""
        section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
        blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
        commands = "".join(re.findall(r"^\$ ((?:.*\\\n)*.*\n)", "".join(blocks), re.MULTILINE))
        environment = os.environ | {
            "KUBECONFIG": str(cluster.kubeconfig()),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
        }
        script = ["sh", "-euc", commands.replace("REPOSITORY", REPOSITORY)]
        done = subprocess.run(script, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A checkout, and the two programs."""
    for name in ("charts", "crds"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    for name, program in (("kubectl", programs.kubectl()), ("helm", programs.helm())):
        (tmp_path / "bin" / name).symlink_to(program)
    return Reader(folder=tmp_path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[World]:
    """A cluster of its own, on which the chart is installed and an identity `orders` has its files."""
    with clusters.running("backup", audit=True) as cluster:
        _install(cluster, tmp_path)
        with operators.running(cluster, first_retry="1s", last_retry="2s") as operator:
            world = World(cluster=cluster, operator=operator, namespace="default")
            world.apply("orders")
            world.wait_ready("orders")
            yield world


def _install(cluster: Cluster, folder: Path) -> None:
    helm = Helm(home=folder / "helm", kubeconfig=cluster.kubeconfig())
    helm.run("install", chart.RELEASE, str(chart.CHART), "--create-namespace", values=chart.IMAGE)
    chart.log_in(cluster)


@pytest.mark.further
def test_a_lost_namespace_is_restored_while_certificates_live(served: World, reader: Reader) -> None:
    """The same CA signs on, no certificate is made anew, and roots of others stay trusted."""
    _trust_another(served)
    serial, files = served.serial("orders"), served.files("orders-mtls")
    reader.follow("Back up", served.cluster)
    served.operator.stop()
    served.cluster.kubectl("delete", "namespace", NAMESPACE)
    assert files == served.files("orders-mtls")

    reader.follow("Restore while certificates live", served.cluster)
    chart.log_in(served.cluster)
    served.operator.start()
    served.apply("billing")
    served.wait_ready("orders", "billing")
    assert serial == served.serial("orders")
    assert files == served.files("orders-mtls")
    assert files["ca.crt"] == served.files("billing-mtls")["ca.crt"]
    assert "root 1 Active" in reader.follow("See that it is well", served.cluster)


def _trust_another(world: World) -> None:
    """Have the root of another CA trusted as well."""
    root = outside.make("other").files()["ca.crt"].decode()
    world.cluster.kubectl("--namespace", NAMESPACE, "create", "configmap", "roots", f"--from-literal=ca.crt={root}")
    patch = {"spec": {"trust": {"additionalRoots": [{"name": "roots"}]}}}
    world.cluster.kubectl("patch", "mtlsca", "default", "--type=merge", f"--patch={json.dumps(patch)}")
    operators.wait_until(lambda: root.encode() in world.files("orders-mtls")["ca.crt"], "it is trusted")


@pytest.mark.further
def test_a_lost_namespace_is_not_made_up_for(served: World, tmp_path: Path) -> None:
    """Installed again without a backup, the operator makes no CA, says so, and leaves the files."""
    files = served.files("orders-mtls")
    served.operator.stop()
    served.cluster.kubectl("delete", "namespace", NAMESPACE)
    _install(served.cluster, tmp_path)
    served.operator.start()
    served.apply("billing")
    condition = served.wait_reason("billing", "AuthorityNotReady")

    assert "KeyLost" in condition["message"]
    assert files == served.files("orders-mtls")


def test_a_lost_cluster_is_restored(served: World, reader: Reader) -> None:
    """Another one gets the same CA; identities get new files under the same root."""
    bundle, serial = served.files("orders-mtls")["ca.crt"], served.serial("orders")
    reader.follow("Back up", served.cluster)
    with clusters.running("restored") as another:
        reader.follow("Restore when everything is lost", another)
        with operators.running(another, first_retry="1s", last_retry="2s") as operator:
            world = World(cluster=another, operator=operator, namespace="default")
            world.wait_ready("orders")

            assert bundle == world.files("orders-mtls")["ca.crt"]
            assert serial != world.serial("orders")
            assert "issuing 1 Active" in reader.follow("See that it is well", another)
