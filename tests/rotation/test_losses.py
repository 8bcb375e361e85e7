"""In the middle of a root's replacement ledger or status are lost, or restored as they were before: nobody notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import runs
from support.runs import Run
from support.scenes import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What there was before the rotation."""

    ledger: str
    status: dict[str, Any]


def ledger(run: Run, before: Backup) -> None:  # noqa: ARG001 - each loss is told what there was before
    """Lose the ledger."""
    run.lose_ledger()


def status(run: Run, before: Backup) -> None:  # noqa: ARG001 - the same
    """Lose the status."""
    _put_status(run, None)


def both(run: Run, before: Backup) -> None:
    """Lose ledger and status."""
    run.scene.operator.kill()
    ledger(run, before)
    status(run, before)
    run.scene.operator.start()


def older(run: Run, before: Backup) -> None:
    """Have the ledger of before the rotation again, as from a backup."""
    run.scene.operator.kill()
    _restore_ledger(run, before)
    run.scene.operator.start()


def older_unseen(run: Run, before: Backup) -> None:
    """Have it again while the operator runs."""
    _restore_ledger(run, before)


def older_status(run: Run, before: Backup) -> None:
    """Have the status of before the rotation again."""
    _put_status(run, before.status)


def older_both(run: Run, before: Backup) -> None:
    """Have ledger and status of before the rotation again, as from one backup of all."""
    run.scene.operator.kill()
    _restore_ledger(run, before)
    _put_status(run, before.status)
    run.scene.operator.start()


Loss = Callable[[Run, Backup], None]
_LOSSES = (ledger, status, both, older, older_unseen, older_status, older_both)
LOSSES = [pytest.param(loss, id=loss.__name__, marks=() if loss is both else pytest.mark.further) for loss in _LOSSES]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("phase", ["Publishing", "Signing"])
def test_a_rotation_goes_on_after_a_loss(scene: Scene, tmp_path: Path, phase: str, loss: Loss) -> None:
    """It may begin its phase anew, and never signs under a root that is not everywhere."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        before = _backup(run)
        run.rotate()
        run.wait_trusted_by("root 2", *runs.FEW)  # one that is in no bundle would be removed
        if phase == "Signing":
            run.approve("Signing")
            run.wait_issued_under("root 2")
        loss(run, before)
        run.change_rotation(approval="Automatic")
        run.wait_replaced()
        run.judge()


def test_a_root_that_nobody_was_told_of_goes_on_when_the_ledger_is_lost(scene: Scene, tmp_path: Path) -> None:
    """It was made, and is in no bundle: what bundles hold takes no root out."""
    with runs.running(scene, tmp_path) as run:
        scene.proxy.count("-mtls")
        scene.proxy.hold(1, after=False)
        run.authority.rotate()
        assert scene.proxy.held.wait(timeout=60)
        scene.operator.kill()
        run.lose_ledger()
        scene.proxy.release()
        scene.operator.start()
        run.wait_replaced()
        run.judge()

        assert run.authority.offered("rotate-root").endswith("/3")


@pytest.mark.parametrize("loss", LOSSES)
def test_a_rotation_that_is_retiring_goes_on_after_a_loss(scene: Scene, tmp_path: Path, loss: Loss) -> None:
    """The old root does not come back."""
    with runs.running(scene, tmp_path, rotation={"laggardTimeout": "5s"}) as run:
        before = _backup(run)
        run.leave_behind("left")  # it keeps the bundle of before, and so the phase
        old = run.key_id("root 1")
        run.rotate()
        run.authority.wait_phase("Retiring")
        run.wait_out_of_trust(old)
        seen = len(run.history.seen)
        loss(run, before)
        run.wait_replaced()
        run.judge()

        assert [] == [one.name for one in run.written_since(seen) if old in one.bundle]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_roll_back_goes_on_after_a_loss(scene: Scene, tmp_path: Path, loss: Loss) -> None:
    """Nobody notices, and one root is left, whichever signs in the end."""
    leaf = {"minDuration": "1m"}
    with runs.running(scene, tmp_path, rotation={"approval": "Manual", "retire": "AfterExpiry"}, leaf=leaf) as run:
        before = _backup(run)
        run.rotate()
        run.approve("Signing")
        run.world.apply("payments", authority=run.authority.name)
        run.world.wait_ready("payments")
        run.roll_back()
        run.authority.wait_phase("Withdrawing")
        loss(run, before)
        run.change_rotation(approval="Automatic", retire="AfterReplacement")
        run.terms = run.terms.after_replacement()
        run.wait_replaced(root=run.wait_one_left())
        run.judge()


def _backup(run: Run) -> Backup:
    body = json.loads(run.authority.system("get", "configmap", run.ledger_name, "--output=json"))
    return Backup(ledger=str(body["data"]["ledger.json"]), status=run.authority.status())


def _restore_ledger(run: Run, before: Backup) -> None:
    patch = json.dumps({"data": {"ledger.json": before.ledger}})
    run.authority.system("patch", "configmap", run.ledger_name, "--type=merge", f"--patch={patch}")


def _put_status(run: Run, said: dict[str, Any] | None) -> None:
    """Put a status in place of the one that is there, whole."""
    replaced = json.dumps([{"op": "replace", "path": "/status", "value": said or {}}])
    run.world.kubectl(
        "patch", "mtlsca", run.authority.name, "--subresource=status", "--type=json", f"--patch={replaced}"
    )
