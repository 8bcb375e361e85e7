"""The root is replaced, rolled back, stolen, swapped: no handshake fails, and in the end one root is trusted."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes, mounts
from support import outside, runs
from support.runs import Run
from support.scenes import Scene

_UNKNOWN_CA = "unable to get local issuer certificate"


def test_a_root_is_replaced_unnoticed(scene: Scene, tmp_path: Path) -> None:
    """Under AfterReplacement, a certificate of the old CA is refused afterwards, though far from its end."""
    with runs.running(scene, tmp_path, names=runs.MANY) as run:
        old = mounts.update(tmp_path / "old", run.world.files("orders-mtls"))
        run.rotate()
        run.wait_replaced()
        run.judge()

        _expect_refused(run, old)


@pytest.mark.long
def test_a_root_is_replaced_after_its_last_certificate_has_ended(scene: Scene, tmp_path: Path) -> None:
    """AfterExpiry takes none of these certificates of a minute back; each is renewed when its time comes."""
    with runs.running(scene, tmp_path, leaf=runs.MINUTES, rotation={"retire": "AfterExpiry"}) as run:
        old = mounts.update(tmp_path / "old", run.world.files("orders-mtls"))
        run.rotate()
        run.wait_replaced(deadline_s=180)
        run.judge()

        _expect_refused(run, old)


@pytest.mark.parametrize("phase", [pytest.param("Publishing", marks=pytest.mark.further), "Signing"])
def test_a_rotation_is_rolled_back_unnoticed(scene: Scene, tmp_path: Path, phase: str) -> None:
    """The old root goes on; another rotation works."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        if phase == "Signing":
            run.approve("Signing")
            run.wait_issued_under("root 2")
        came = mounts.update(tmp_path / "came", run.world.files("orders-mtls"))
        run.roll_back()
        run.wait_replaced(root=1)
        run.judge()
        if phase == "Signing":
            _expect_refused(run, came)
        assert {"root 1": "Active", "issuing 1": "Active"} == run.authority.states()

        run.change_rotation(approval="Automatic")
        run.rotate()
        run.wait_replaced(root=3)
        run.judge()


@pytest.mark.further
def test_from_retiring_there_is_no_way_back(scene: Scene, tmp_path: Path) -> None:
    """The order is listed as not applicable, and the rotation goes on."""
    with runs.running(scene, tmp_path) as run:
        run.leave_behind("left")  # it keeps the bundle of before, and so the phase
        run.rotate()
        run.authority.wait_phase("Retiring")
        run.roll_back()
        wait_until(lambda: run.authority.refused("roll-back"), "the order is refused")
        assert "there is no incoming root in phase Retiring" == run.authority.refused("roll-back")

        run.wait_replaced()
        run.judge()


@pytest.mark.parametrize("ca", ["root 1", pytest.param("issuing 1", marks=pytest.mark.further)])
def test_a_stolen_key_is_out_of_trust_unnoticed(scene: Scene, tmp_path: Path, ca: str) -> None:
    """For either key the root is replaced at once, without an approval, and so are its certificates."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual", "retire": "AfterExpiry"}) as run:
        run.terms = run.terms.after_replacement()
        old = mounts.update(tmp_path / "old", run.world.files("orders-mtls"))
        run.authority.order("compromised", run.authority.fingerprint(ca))
        run.wait_replaced()
        run.judge()

        _expect_refused(run, old)


@pytest.mark.further
def test_a_stolen_key_is_out_of_trust_in_time(scene: Scene, tmp_path: Path) -> None:
    """It goes at the moment that the order names, though a Secret cannot be brought up to date."""
    with runs.running(scene, tmp_path, rotation={"laggardTimeout": "10m"}) as run:
        run.leave_behind("left")
        by = datetime.now(UTC) + timedelta(seconds=40)
        run.authority.order("compromised", f"{run.authority.fingerprint('root 1')};by={by:%Y-%m-%dT%H:%M:%SZ}")
        wait_until(lambda: run.authority.phase() in {"Retiring", "Stable"}, "root 1 is given up", deadline_s=60)
        run.judge()

        assert datetime.now(UTC) < by + timedelta(seconds=15)


@pytest.mark.further
def test_an_outside_root_is_swapped_unnoticed(scene: Scene, tmp_path: Path) -> None:
    """Another CA is put into the Secret that `root.secretRef` names."""
    first, second = outside.make("first"), outside.make("second")
    with runs.running(scene, tmp_path, source=first) as run:
        old = mounts.update(tmp_path / "old", run.world.files("orders-mtls"))
        run.authority.put_source(second.files())
        run.wait_replaced(deadline_s=120)
        run.judge()
        _expect_refused(run, old)

        assert {second.fingerprint} == run.authority.bundle("orders")


@pytest.mark.further
def test_an_outside_intermediate_under_another_root_is_swapped_unnoticed(scene: Scene, tmp_path: Path) -> None:
    """The keys of both roots are elsewhere."""
    first, second = (outside.make(name, signer=outside.make(f"{name} root")) for name in ("first", "second"))
    with runs.running(scene, tmp_path, source=first) as run:
        old = mounts.update(tmp_path / "old", run.world.files("orders-mtls"))
        run.authority.swap_source(second.files())
        run.wait_replaced(deadline_s=120)
        run.judge()
        _expect_refused(run, old)

        assert {second.above[-1].fingerprint(hashes.SHA256()).hex()} == run.authority.bundle("orders")


@pytest.mark.further
def test_an_outside_root_is_followed_unnoticed_by_an_intermediate_under_it(scene: Scene, tmp_path: Path) -> None:
    """Its key is taken elsewhere: no bundle changes, and the copy of it is deleted."""
    root = outside.make("root")
    with runs.running(scene, tmp_path, source=root) as run:
        run.authority.swap_source(outside.make("team", signer=root).files())
        run.wait_issued_by("issuing 2")
        run.wait_settled(root=1)
        run.judge()

        assert {root.fingerprint} == run.authority.bundle("orders")
        assert {"issuing.1", "issuing.2"} == run.authority.secrets().keys()


def _expect_refused(run: Run, old: Path) -> None:
    """Expect that who has the files of now refuses who shows the certificate of before."""
    now = mounts.update(old.with_name("now"), run.world.files("billing-mtls"))
    client = handshakes.context(old, ssl.Purpose.SERVER_AUTH)
    client.load_verify_locations(now / "ca.crt")
    name = f"billing.{run.world.namespace}.svc"
    with handshakes.serving(now) as server, pytest.raises(ssl.SSLError):
        handshakes.greet(server, client, name=name)
    assert [_UNKNOWN_CA] == server.refusals
