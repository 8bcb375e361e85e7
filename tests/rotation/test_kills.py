"""SIGKILL before and after each single write of what replaces a CA: it ends the same, and no handshake fails.

One run a write. All of them only with `--every-write`; otherwise one write of each phase.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from devtools.clusters.operators import wait_until
from devtools.clusters.proxy import Write
from support import runs
from support.runs import Run
from support.scenes import Scene

_PATHS = {
    "/configmaps/mutualtls-ledger": "ledger",
    "/configmaps": "copy",
    "/clustertrustbundles": "copy",
    "/mutualtlsidentities/": "identity status",
    "/mutualtlsauthorities/": "authority status",
    "-mtls": "files",
    "/secrets": "CA",
}
"""What a write is about, by a part of its path; the first that fits."""
_OF_MANY = {"copy": 1, "files": 2, "identity status": 3}
"""These writes come in any order; how they are told here."""
_EACH_IDENTITY = ("files",) * len(runs.FEW) + ("identity status",) * len(runs.FEW)
_EACH_BUNDLE = ("copy", "copy", *_EACH_IDENTITY)

BURIALS = ("CA", "CA", "CA", "CA")
"""Each key is deleted, and its tombstone put there: of the issuing CA and of the root."""
NOTED, NOTED_IN_ONE = ("CA", "CA"), ("CA",)
"""A step stands in the annotations of both roots' Secrets, or of one, before anything that it allows."""
WITHOUT_KEY, WITH_KEY = ["tls.crt"], ["tls.crt", "tls.key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is interrupted, and how it ends."""

    before: Callable[[Run], None]
    order: Callable[[Run], None]
    wait_done: Callable[[Run], None]
    writes: tuple[str, ...]
    always: frozenset[int]
    """Numbers of the writes at which it is killed in each run of the ring: one of each phase."""
    states: dict[str, str]
    secrets: dict[str, list[str]]


def nothing(run: Run) -> None:
    """Have nothing done beforehand."""


def signing(run: Run) -> None:
    """Have all certificates under root 2, and nothing going on: Retiring waits for an approval."""
    run.change_rotation(approval="Manual")
    run.rotate()
    run.approve("Signing")
    run.wait_issued_under("root 2")
    wait_until(lambda: "approve" in run.waits_for(), "Retiring waits for an approval")


def rotate_root(run: Run) -> None:
    """Order another root."""
    run.authority.rotate()


def rotate_issuing(run: Run) -> None:
    """Order another issuing CA."""
    run.authority.order("rotate-issuing", run.authority.offered("rotate-issuing"))


def wait_root_2(run: Run) -> None:
    """Wait until root 2 is alone."""
    run.wait_replaced()


def wait_root_1(run: Run) -> None:
    """Wait until root 1 is alone."""
    run.wait_replaced(root=1)


def wait_issuing_2(run: Run) -> None:
    """Wait until issuing CA 2 has signed all certificates."""
    run.wait_issued_by("issuing 2")
    run.wait_settled(root=1)


SCENARIOS = {
    "replaced": Scenario(
        before=nothing,
        order=rotate_root,
        wait_done=wait_root_2,
        writes=(
            *("ledger", "CA", "ledger", *NOTED_IN_ONE),  # the root is made, with a note of its own
            *("ledger", "CA", "ledger", "authority status"),  # the issuing CA is made
            *(*_EACH_BUNDLE, "authority status"),  # Publishing: the soak begins
            *("ledger", *NOTED, "authority status"),  # Signing
            *("ledger", *_EACH_IDENTITY, "authority status"),  # `signsUntil`
            *("ledger", *NOTED, "authority status", *_EACH_BUNDLE),  # Retiring
            *("ledger", *NOTED_IN_ONE, *BURIALS, "authority status"),
        ),
        always=frozenset({2, 11, 19, 23, 35, 44}),
        states={"root 2": "Active", "issuing 2": "Active"},
        secrets={"root.1": WITHOUT_KEY, "issuing.1": WITHOUT_KEY, "root.2": WITH_KEY, "issuing.2": WITH_KEY},
    ),
    "rolled back": Scenario(
        before=signing,
        order=Run.roll_back,
        wait_done=wait_root_1,
        writes=(
            *("ledger", *NOTED, "authority status"),  # Withdrawing
            *(*_EACH_IDENTITY, "authority status"),  # all are covered
            *("ledger", *NOTED, "authority status", *_EACH_BUNDLE),  # Removing
            *("ledger", *NOTED_IN_ONE, *BURIALS, "authority status"),
        ),
        always=frozenset({6, 18}),
        states={"root 1": "Active", "issuing 1": "Active"},
        secrets={"root.1": WITH_KEY, "issuing.1": WITH_KEY, "root.2": WITHOUT_KEY, "issuing.2": WITHOUT_KEY},
    ),
    "another issuing CA": Scenario(
        before=nothing,
        order=rotate_issuing,
        wait_done=wait_issuing_2,
        writes=("ledger", "CA", "ledger", "authority status", "ledger", *_EACH_IDENTITY),
        always=frozenset({3}),
        states={"root 1": "Active", "issuing 1": "Retiring", "issuing 2": "Active"},
        secrets={"root.1": WITH_KEY, "issuing.1": WITH_KEY, "issuing.2": WITH_KEY},
    ),
}


def _mark(scenario: Scenario, number: int, *, after: bool) -> list[pytest.MarkDecorator]:
    """Tell when it is killed at a write: always, with all of the ring, or with all kills."""
    if number not in scenario.always:
        return [pytest.mark.every_write]
    return [pytest.mark.further] if after else []


POINTS = [
    pytest.param(
        scenario,
        number,
        after,
        id=f"{name}, {'after' if after else 'before'} write {number}, of {what}",
        marks=_mark(scenario, number, after=after),
    )
    for name, scenario in SCENARIOS.items()
    for number, what in enumerate(scenario.writes, start=1)
    for after in (False, True)
]


@pytest.mark.parametrize(("scenario", "number", "after"), POINTS)
def test_killed_at_a_write_it_ends_the_same(
    scene: Scene, tmp_path: Path, scenario: Scenario, number: int, *, after: bool
) -> None:
    """Each CA made once, the keys of those that are gone deleted, and nobody noticed."""
    with runs.running(scene, tmp_path) as run:
        scenario.before(run)
        scene.proxy.count(run.authority.name)
        scene.proxy.hold(number, after=after)
        scenario.order(run)
        assert scene.proxy.held.wait(timeout=60), f"only {len(scene.proxy.writes)} writes came"

        scene.operator.kill()
        scene.proxy.release()
        scene.operator.start()
        scenario.wait_done(run)
        run.judge()
        assert scenario.states == run.authority.states()
        assert scenario.secrets == run.authority.secrets()


@pytest.mark.parametrize("scenario", [pytest.param(one, id=name) for name, one in SCENARIOS.items()])
def test_so_many_writes_are_all(scene: Scene, tmp_path: Path, scenario: Scenario) -> None:
    """No write of a scenario goes without its two kills."""
    with runs.running(scene, tmp_path) as run:
        scenario.before(run)
        scene.proxy.count(run.authority.name)
        scenario.order(run)
        scenario.wait_done(run)
        run.judge()

        assert list(scenario.writes) == _told(scene.proxy.writes)


def _told(writes: Iterable[Write]) -> list[str]:
    """Tell what each write is about, those of many that follow each other in one order.

    How often the status counts down within a phase is a matter of how long the phase takes, and is not told.
    """
    kinds, phase = [], ""
    for write in writes:
        kind = next(kind for part, kind in _PATHS.items() if part in write.path)
        if kind == "authority status":
            status, before = json.loads(write.body)["status"], phase
            phase = next(one["reason"] for one in status["conditions"] if one["type"] == "Rotating")
            if phase == before and (status["next"] or {}).get("behind"):
                continue
        kinds.append(kind)
    groups = itertools.groupby(kinds, key=_OF_MANY.__contains__)
    return [kind for _, group in groups for kind in sorted(group, key=lambda kind: _OF_MANY.get(kind, 0))]
