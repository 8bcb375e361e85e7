"""What changes no bundle: renewals, and issuing CAs that are replaced or lost. No handshake fails meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.clusters.operators import wait_until
from support import runs
from support.scenes import Scene


def test_renewals_are_not_noticed(scene: Scene, tmp_path: Path) -> None:
    """Certificates of a minute are renewed several times each."""
    identity = {"duration": "1m", "renewBefore": "54s"}
    with runs.running(scene, tmp_path, identity=identity) as run:
        serials = {name: run.world.serial(name) for name in runs.FEW}
        for name, serial in serials.items():
            run.world.wait_reissued(name, serial)
        run.judge()


@pytest.mark.long
@pytest.mark.further
def test_an_issuing_ca_at_half_its_life_is_replaced_unnoticed(scene: Scene, tmp_path: Path) -> None:
    """Its life is two minutes, so that half of it is one; no bundle changes."""
    with runs.running(scene, tmp_path, issuing={"duration": "2m"}, leaf=runs.MINUTES) as run:
        run.wait_issued_by("issuing 2")
        run.judge()

        assert {"issuing 2": "Active", "root 1": "Active"}.items() <= run.authority.states().items()


def test_an_issuing_ca_is_replaced_by_order_unnoticed(scene: Scene, tmp_path: Path) -> None:
    """All certificates are replaced with it, at once; no bundle changes."""
    with runs.running(scene, tmp_path) as run:
        run.authority.order("rotate-issuing", run.authority.offered("rotate-issuing"))
        run.wait_issued_by("issuing 2")
        run.judge()

        assert {"issuing 2": "Active", "root 1": "Active"}.items() <= run.authority.states().items()


@pytest.mark.further
def test_a_lost_issuing_ca_is_replaced_unnoticed(scene: Scene, tmp_path: Path) -> None:
    """The operator makes the new one by itself, under the same root."""
    with runs.running(scene, tmp_path) as run:
        run.authority.system("delete", "secret", f"mutualtls-ca.{run.authority.name}.issuing.1")
        wait_until(lambda: run.authority.states().get("issuing 2") == "Active", "another issuing CA signs")
        run.judge()

        assert "Active" == run.authority.states()["root 1"]
