"""The image: two builds are one, and the operator runs from it as a pod would, with any uid and nothing to write to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devtools.clusters import client, clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import NAMESPACE, Operator, wait_until
from devtools.machine import images, processes
from devtools.machine.images import Image
from support.world import World

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(images.why_not() is not None, reason=f"the image cannot be built here: {images.why_not()}"),
]

ACCOUNT = "image"
UID = 12345
AS_IN_A_POD = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount -t tmpfs tmpfs "$ROOT/run"
mkdir "$ROOT/run/secrets"
mount --bind "$MOUNTED" "$ROOT/run/secrets"
mount -t proc proc "$ROOT/proc"
mount -o remount,ro,bind "$ROOT"
exec chroot --userspec="$UID_OF_POD:$UID_OF_POD" "$ROOT" python3 -m mutualtls run --log-format json
"""
"""In a mount namespace of its own, which goes with the process."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image of this tree."""
    return images.build(tmp_path_factory.mktemp("image") / "store", revision="0123abc")


@pytest.fixture(scope="module")
def root(image: Image) -> Iterator[Path]:
    """Its file system."""
    found = images.root_of(image)
    yield found
    images.release(image)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with an account that may do everything."""
    with clusters.running("image") as cluster:
        operators.install(cluster)
        cluster.kubectl("--namespace", NAMESPACE, "create", "serviceaccount", ACCOUNT)
        account = f"--serviceaccount={NAMESPACE}:{ACCOUNT}"
        cluster.kubectl("create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", account)
        yield cluster


def _mounted(cluster: Cluster, folder: Path) -> Path:
    """Write what kubelet mounts for a service account."""
    account = folder / "kubernetes.io" / "serviceaccount"
    account.mkdir(parents=True)
    token = cluster.kubectl("--namespace", NAMESPACE, "create", "token", ACCOUNT).strip()
    roots = client.admin(cluster).get("configmap", "kube-root-ca.crt", namespace=NAMESPACE)
    assert roots is not None
    for name, text in (("token", token), ("ca.crt", roots["data"]["ca.crt"]), ("namespace", NAMESPACE)):
        (account / name).write_text(text)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    return folder


def test_two_builds_have_one_digest(image: Image, tmp_path: Path) -> None:
    """Whoever builds this tree gets what others got."""
    assert image.digest == images.build(tmp_path / "store", revision="0123abc").digest


def test_it_has_nothing_to_build_with(root: Path) -> None:
    """No compiler, no package manager, and no client that only kubeconfigs need."""
    found = {path.name for folder in ("bin", "usr/bin", "usr/local/bin") for path in (root / folder).glob("*")}

    assert "python3" in found
    assert not {"pip", "pip3", "gcc", "cc", "make", "apt", "apt-get", "curl", "wget"} & found
    assert not (root / "app" / "kubernetes").exists()


def test_the_operator_runs_from_it_as_any_user(cluster: Cluster, root: Path, tmp_path: Path) -> None:
    """It logs in as a pod does, writes into no file system, and issues."""
    server = urlsplit(cluster.server)
    variables = {
        "ROOT": str(root),
        "MOUNTED": str(_mounted(cluster, tmp_path / "secrets")),
        "UID_OF_POD": str(UID),
        "PYTHONPATH": "/app",
        "PYTHONDONTWRITEBYTECODE": "1",
        "KUBERNETES_SERVICE_HOST": server.hostname or "",
        "KUBERNETES_SERVICE_PORT": str(server.port),
        "PATH": os.environ["PATH"],
    }
    log = tmp_path / "operator.log"
    process = processes.start(["unshare", "--mount", "sh", "-c", AS_IN_A_POD], log=log, environment=variables)
    world = World(cluster=cluster, operator=Operator(cluster=cluster, log=log, process=process), namespace="default")
    try:
        wait_until(lambda: world.operator.logged("this operator leads"), "the operator leads")
        world.kubectl("apply", "--filename", "-", stdin=AUTHORITY)
        world.apply("orders")
        world.wait_ready("orders")
        assert f"Uid:\t{UID}\t" in Path(f"/proc/{process.pid}/status").read_text()
    finally:
        assert process.stop()
    assert '"level":"error"' not in log.read_text()


AUTHORITY = """
apiVersion: mutualtls.dev/v1alpha1
kind: MutualTLSAuthority
metadata: {name: default}
spec: {}
"""
