"""Ways in which the replacing of a root went wrong in a model of it, as far as they need a cluster: each goes right.

The numbers are those of the list that DESIGN section 5 was repaired by. The others are decided by the core alone, and
tested there; most of 3 is in `test_losses`, 4 in the ring `interrupted`.
"""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devtools.clusters.operators import wait_until
from support import runs
from support.runs import Run
from support.scenes import Scene


@pytest.mark.further
def test_2_at_the_time_of_a_stolen_key_the_root_goes_after_its_certificates(scene: Scene, tmp_path: Path) -> None:
    """Approval is asked for and never given: it does not hold Signing up until the old root has to go."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual", "laggardTimeout": "10m"}) as run:
        by = datetime.now(UTC) + timedelta(seconds=30)
        run.authority.order("compromised", f"{run.authority.fingerprint('root 1')};by={by:%Y-%m-%dT%H:%M:%SZ}")
        run.wait_replaced()
        run.judge()


def test_3_a_late_bundle_lands_after_the_ledger_was_rebuilt(scene: Scene, tmp_path: Path) -> None:
    """Somebody was about to take the old root out; all bundles held both, so that the new root signs."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        run.wait_issued_under("root 2")
        wait_until(lambda: "approve" in run.waits_for(), "Retiring waits for an approval")
        late = run.incoming()["certificate"].encode()
        scene.proxy.count(run.authority.name)
        scene.proxy.hold(3, after=False)  # after ledger and status, the first bundle
        run.authority.order("approve", f"{run.incoming()['fingerprint']}/Retiring")
        assert scene.proxy.held.wait(timeout=60)
        assert "Withdrawn" == run.state_in_ledger("root", 1)

        scene.operator.kill()
        run.lose_ledger()
        scene.proxy.release()
        scene.operator.start()
        wait_until(run.states_in_ledger, "the ledger is rebuilt")
        _overwrite(run, "orders", late)
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_5_a_number_is_not_made_twice_after_the_ledger_was_lost(scene: Scene, tmp_path: Path) -> None:
    """The tombstone remembers it."""
    with runs.running(scene, tmp_path) as run:
        run.rotate()
        run.roll_back()
        run.wait_replaced(root=1)
        run.lose_ledger()
        run.rotate()
        run.wait_replaced(root=3)
        run.judge()


@pytest.mark.further
def test_5_the_late_request_for_a_ca_that_was_deleted_changes_nothing(scene: Scene, tmp_path: Path) -> None:
    """Somebody who was to make root 2 comes when its tombstone is there: the name is taken."""
    with runs.running(scene, tmp_path) as run:
        run.rotate()
        late = json.loads(run.authority.system("get", "secret", run.ca_secret("root.2"), "--output=json"))
        run.roll_back()
        run.wait_replaced(root=1)
        late["metadata"] = {key: late["metadata"][key] for key in ("name", "labels")}
        said = run.authority.system("create", "--filename=-", stdin=json.dumps(late), check=False)
        assert "AlreadyExists" in said

        run.rotate()
        run.wait_replaced(root=3)
        run.judge()


@pytest.mark.further
def test_6_an_order_that_stays_in_git_does_not_undo_a_roll_back(scene: Scene, tmp_path: Path) -> None:
    """The active root is the one it names again; its number is not the next one any more."""
    with runs.running(scene, tmp_path) as run:
        order = run.authority.offered("rotate-root")
        run.rotate()
        run.roll_back()
        run.wait_replaced(root=1)
        run.authority.order("rotate-root", order)
        wait_until(lambda: run.authority.refused("rotate-root"), "the order is refused")
        run.judge()

        assert "root 2 was made already" == run.authority.refused("rotate-root")
        assert {"root 1": "Active", "issuing 1": "Active"} == run.authority.states()


@pytest.mark.further
def test_7_a_roll_back_after_the_ledger_was_lost_knows_that_the_new_root_has_signed(
    scene: Scene, tmp_path: Path
) -> None:
    """Its certificates are replaced before it goes."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        run.wait_issued_under("root 2")
        scene.operator.kill()
        run.lose_ledger()
        run.roll_back()
        scene.operator.start()
        run.wait_replaced(root=1)
        run.judge()


def test_8_an_old_bundle_that_comes_late_begins_the_soak_anew(scene: Scene, tmp_path: Path) -> None:
    """It is healed at once, but some consumer may have read it."""
    with runs.running(scene, tmp_path, soak_s=6) as run:
        old = run.world.files("orders-mtls")["ca.crt"]
        run.rotate()
        run.wait_trusted_by("root 2", *runs.FEW)
        wait_until(lambda: not run.laggards(), "the soak has begun")
        _overwrite(run, "orders", old)
        run.wait_trusted_by("root 2", "orders")
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_9_a_certificate_that_was_replaced_late_is_soaked_too(scene: Scene, tmp_path: Path) -> None:
    """Its Secret could not be written for longer than the soak of all others."""
    with runs.running(scene, tmp_path, rotation={"laggardTimeout": "60s"}) as run:
        run.rotate()
        run.wait_trusted_by("root 2", *runs.FEW)
        scene.proxy.answer("PATCH", "/secrets/stock-mtls", status=500, reason="InternalError", times=10_000)
        run.authority.wait_phase("Signing")
        begun = datetime.now(UTC)
        wait_until(lambda: datetime.now(UTC) > begun + timedelta(seconds=2 * runs.SOAK_S), "the soak of all others")
        assert "Signing" == run.authority.phase()
        scene.proxy.mend()
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_10_a_root_that_is_stolen_while_it_is_rolled_back_to_is_left(scene: Scene, tmp_path: Path) -> None:
    """Publishing of the other one begins anew, with its soak."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual", "retire": "AfterExpiry"}) as run:
        run.terms = run.terms.after_replacement()
        run.rotate()
        run.approve("Signing")
        run.join("payments")  # its certificate is of the new root
        run.roll_back()
        run.authority.wait_phase("Withdrawing")
        run.authority.order("compromised", run.authority.fingerprint("root 1"))
        run.wait_replaced(root=2)
        run.judge()


@pytest.mark.further
def test_11_both_roots_are_stolen(scene: Scene, tmp_path: Path) -> None:
    """The rotation goes on, and the next begins at once."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        both = ",".join(run.authority.fingerprint(ca) for ca in ("root 1", "root 2"))
        run.authority.order("compromised", both)
        run.wait_replaced(root=3, deadline_s=90)
        run.judge()


@pytest.mark.further
def test_13_a_key_on_its_way_out_is_not_missed(scene: Scene, tmp_path: Path) -> None:
    """In Signing the keys of the old root are lost: renewals and first certificates go on."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        run.wait_issued_under("root 2")
        run.authority.system("delete", "secret", run.ca_secret("root.1"), run.ca_secret("issuing.1"))
        run.join("payments")
        run.approve("Retiring")
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_13_an_incoming_key_that_is_lost_unused_is_withdrawn(scene: Scene, tmp_path: Path) -> None:
    """The operator withdraws it by itself."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.wait_trusted_by("root 2", *runs.FEW)
        run.authority.system("delete", "secret", run.ca_secret("root.2"), run.ca_secret("issuing.2"))
        run.wait_replaced(root=1)
        run.judge()


def test_14_who_keeps_overwriting_a_bundle_is_excused(scene: Scene, tmp_path: Path) -> None:
    """Nobody who may only write a Secret can hold a rotation up for ever."""
    with runs.running(scene, tmp_path, rotation={"laggardTimeout": "5s"}) as run:
        run.join("contested")
        run.excuse("contested")
        old = run.world.files("contested-mtls")["ca.crt"]
        done = threading.Event()

        def overwrite() -> None:
            while not done.wait(timeout=0.5):
                _overwrite(run, "contested", old)

        thread = threading.Thread(target=overwrite)
        thread.start()
        try:
            run.rotate()
            run.wait_replaced()
        finally:
            done.set()
            thread.join()
        run.judge()


def _overwrite(run: Run, identity: str, bundle: bytes) -> None:
    """Write another ca.crt into the Secret of an identity."""
    patch = {"data": {"ca.crt": base64.b64encode(bundle).decode()}}
    run.world.client.patch("secret", f"{identity}-mtls", patch, namespace=run.world.namespace)
