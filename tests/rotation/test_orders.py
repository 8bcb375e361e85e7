"""Orders that come in the middle of a rotation, and orders that stay: nobody notices."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devtools.clusters.operators import wait_until
from support import clock, runs
from support.runs import Run
from support.scenes import Scene

HELD_SOAK_S = 8
"""Long enough to find in a phase that the clock is wrong, before the soak would be over."""
ROOTS = {
    "Publishing": {"root 1": "Active", "root 2": "Published"},
    "Signing": {"root 1": "Retiring", "root 2": "Active"},
}
"""States of the roots in a phase."""


@pytest.mark.further
def test_another_root_has_to_wait(scene: Scene, tmp_path: Path) -> None:
    """The order is refused while a root is being replaced, and obeyed afterwards."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.authority.order("rotate-root", f"{run.authority.fingerprint('root 2')}/3")
        wait_until(lambda: "Publishing" in run.authority.refused("rotate-root"), "the order has to wait")
        run.change_rotation(approval="Automatic")
        run.wait_replaced(root=3, deadline_s=90)
        run.judge()


@pytest.mark.parametrize("phase", [pytest.param("Publishing", marks=pytest.mark.further), "Signing"])
def test_an_issuing_ca_is_replaced_in_a_phase(scene: Scene, tmp_path: Path, phase: str) -> None:
    """An order or a lost key makes another one, under the root that signs."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        if phase == "Signing":
            run.approve("Signing")
        signs = "2" if phase == "Signing" else "1"
        run.authority.order("rotate-issuing", run.authority.offered("rotate-issuing"))
        wait_until(lambda: run.authority.states().get("issuing 3") == "Active", "issuing 3 signs")
        run.wait_issued_under(f"root {signs}")
        run.authority.system("delete", "secret", run.ca_secret("issuing.3"))
        wait_until(lambda: run.authority.states().get("issuing 4") == "Active", "issuing 4 signs")
        run.change_rotation(approval="Automatic")
        run.wait_replaced()
        run.judge()


def test_a_stolen_incoming_root_goes_again(scene: Scene, tmp_path: Path) -> None:
    """It goes by itself, and its certificates with it."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        run.wait_issued_under("root 2")
        run.authority.order("compromised", run.authority.fingerprint("root 2"))
        run.wait_replaced(root=1)
        run.judge()


@pytest.mark.further
def test_orders_that_stay_are_obeyed_once(scene: Scene, tmp_path: Path) -> None:
    """All stay, as in Git, over two rotations and a start of the operator."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        run.approve("Signing")
        run.roll_back()
        run.wait_replaced(root=1)
        run.rotate()
        run.approve("Signing")
        run.approve("Retiring")
        run.wait_replaced(root=3)
        scene.operator.kill()
        scene.operator.start()
        run.join("payments")  # by now it has looked at the authority
        run.judge()

        assert {"root 3": "Active", "issuing 3": "Active"} == run.authority.states()


Shift = Callable[[timedelta], None]
Clock = Callable[[Scene, Path], AbstractContextManager[Shift]]


@contextlib.contextmanager
def servers_clock(scene: Scene, folder: Path) -> Iterator[Shift]:  # noqa: ARG001 - each clock is told where to write
    """Have the API server's clock seen wrong."""
    yield scene.proxy.shift_clock


@contextlib.contextmanager
def own_clock(scene: Scene, folder: Path) -> Iterator[Shift]:
    """Have an operator in place of the scene's whose own clock can be wrong."""
    off = folder / "off"

    def shift(by: timedelta) -> None:
        whole = off.with_suffix(".new")
        whole.write_text(str(by.total_seconds()))
        whole.replace(off)

    shift(timedelta())
    scene.operator.kill()
    settings = {**scene.operator.settings, clock.OFF: str(off)}
    operator = replace(scene.operator, module=clock.__name__, settings=settings)
    operator.start()
    try:
        yield shift
    finally:
        operator.stop()


_ONE_OF_ITS_KIND = (own_clock, "Signing")
JUMPS = [
    pytest.param(
        a_clock,
        phase,
        off,
        id=f"{a_clock.__name__}-{phase}-{off}",
        marks=() if off == timedelta(minutes=1) and (a_clock, phase) == _ONE_OF_ITS_KIND else pytest.mark.further,
    )
    for off in (timedelta(minutes=1), timedelta(minutes=-1), timedelta(days=365))
    for a_clock in (servers_clock, own_clock)
    for phase in ("Publishing", "Signing")
]


@pytest.mark.parametrize(("a_clock", "phase", "off"), JUMPS)
def test_a_clock_that_jumps_holds_the_rotation(
    scene: Scene, tmp_path: Path, a_clock: Clock, phase: str, off: timedelta
) -> None:
    """Nothing is decided by it, for longer than the soak; when it is right again the rotation goes on."""
    with a_clock(scene, tmp_path) as shift, runs.running(scene, tmp_path, soak_s=HELD_SOAK_S) as run:
        run.authority.rotate()
        run.authority.wait_phase(phase)
        shift(off)
        _wait_held(run)
        over = time.time() + HELD_SOAK_S
        run.apply("payments")
        run.world.wait_reason("payments", "AuthorityNotReady")
        wait_until(lambda: time.time() > over, "the soak would be over")
        assert ROOTS[phase].items() <= run.states_in_ledger().items()

        shift(timedelta())
        run.wait_replaced(deadline_s=120)  # what was written by a clock that was ahead is soaked from then on
        run.judge()


def _wait_held(run: Run) -> None:
    """Have the operator look at the authority, by which it compares clocks, until the status says that it waits."""
    looks = itertools.count()

    def is_held() -> bool:
        run.authority.annotate("look", str(next(looks)))
        return str(run.authority.condition("Ready").get("reason")) == "ClockSkew"

    wait_until(is_held, "the authority waits for its clock", deadline_s=120)
