"""etcd is put back to a backup under an operator that runs on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import wait_until
from support.authority import AnAuthority
from support.scenes import Scene, prepared

SERVED_S = 180.0


@pytest.fixture
def backup(scene: Scene, tmp_path: Path) -> Backup:
    """Makes a backup of etcd, to which it can be put back."""
    return Backup(scene.cluster, tmp_path / "etcd")


class Backup:
    """A copy of what etcd holds."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder

    def make(self) -> None:
        """Copy what etcd holds."""
        self._cluster.stop_program("etcd")
        shutil.copytree(self._cluster.folder / "etcd", self._folder)
        self._cluster.start_program("etcd")
        self._cluster.wait_until_ready()

    def put_back(self) -> None:
        """Put etcd back to the copy, in the order that Kubernetes' documentation asks for."""
        self._cluster.stop_program("kube-apiserver")
        self._cluster.stop_program("etcd")
        shutil.rmtree(self._cluster.folder / "etcd")
        shutil.copytree(self._folder, self._cluster.folder / "etcd")
        self._cluster.start_program("etcd")
        self._cluster.start_program("kube-apiserver")
        self._cluster.wait_until_ready()


def seen(scene: Scene) -> int:
    """Count how often the operator has seen versions go back."""
    return scene.operator.log.read_text().count("versions went back")


def test_everything_is_served_and_nothing_forgotten(scene: Scene, backup: Backup) -> None:
    """All that came, went and changed since the backup is; a root of since then is not made a second time."""
    world = scene.world()
    authority = AnAuthority(world=world, name=world.namespace)
    authority.apply(leaf={"minDuration": "1m"})
    authority.issue("orders", "billing")
    backup.make()
    authority.issue("late")
    world.delete("mtls", "billing")
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    before, known = seen(scene), {ca: authority.fingerprint(ca) for ca in ("root 2", "issuing 2")}
    backup.put_back()

    wait_until(lambda: seen(scene) > before, "it is seen", deadline_s=SERVED_S)
    world.apply("late", authority=world.namespace)
    world.apply("new", authority=world.namespace)
    world.apply("orders", authority=world.namespace, dnsNames=[f"x.orders.{world.namespace}.svc"])
    wait_until(lambda: world.condition("new").get("status") == "True", "new is ready", deadline_s=SERVED_S)
    world.wait_ready("late", "orders", "billing")
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs again", deadline_s=60)
    authority.wait_phase("Stable")
    assert known == {ca: authority.fingerprint(ca) for ca in known}
    told = {("Warning", "ClusterRestored"), ("Normal", "Publishing"), ("Normal", "Signing")}
    assert told <= set(authority.events()), "a root that came later is published before it signs"
    assert not scene.operator.logged("programming error")


@pytest.mark.further
def test_so_little_has_happened_since_that_versions_are_soon_past_it(scene: Scene, backup: Backup) -> None:
    """The API server writes a lot when it starts: the version of one Secret tells."""
    world = scene.world()
    prepared(world)
    backup.make()
    serial, before = world.serial("orders"), seen(scene)
    world.patch("mtls", "orders", {"metadata": {"annotations": {"mutualtls.dev/reissue": serial}}})
    world.wait_reissued("orders", serial)
    backup.put_back()

    wait_until(lambda: seen(scene) > before, "it is seen", deadline_s=SERVED_S)
    world.patch("mtls", "orders", {"metadata": {"annotations": {"mutualtls.dev/reissue": serial}}})
    world.wait_reissued("orders", serial)
