"""SIGKILL before and after each single write of a root's replacement: it ends the same, and no handshake fails.

One run a write. All of them only with `--every-write`; otherwise one write of each phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from interrupted.proxy import Write
from interrupted.scenes import Scene
from rotation import runs

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

WRITES = (
    *("ledger", "CA", "ledger", "ledger", "CA", "ledger", "authority status"),  # root, then issuing CA, are made
    *(*_EACH_BUNDLE, "authority status"),  # Publishing: the soak begins
    *("ledger", "authority status", "ledger", *_EACH_IDENTITY, "authority status"),  # Signing: `signsUntil`, the soak
    *("ledger", "authority status", *_EACH_BUNDLE),  # Retiring
    *("ledger", "CA", "CA", "CA", "CA", "authority status"),  # each key is deleted, and its tombstone put there
)
ONE_OF_EACH_PHASE = frozenset({2, 10, 20, 38})
POINTS = [
    pytest.param(
        number,
        after,
        id=f"{'after' if after else 'before'} write {number}, of {what}",
        marks=() if number in ONE_OF_EACH_PHASE else pytest.mark.every_write,
    )
    for number, what in enumerate(WRITES, start=1)
    for after in (False, True)
]


@pytest.mark.parametrize(("number", "after"), POINTS)
def test_killed_at_a_write_it_ends_the_same(scene: Scene, tmp_path: Path, number: int, *, after: bool) -> None:
    """One new root and one new issuing CA, the old ones' keys deleted, and nobody noticed."""
    with runs.running(scene, tmp_path) as run:
        scene.proxy.count(run.authority.name)
        scene.proxy.hold(number, after=after)
        run.authority.rotate()
        assert scene.proxy.held.wait(timeout=60), f"only {len(scene.proxy.writes)} writes came"

        scene.operator.kill()
        scene.proxy.release()
        scene.operator.start()
        run.wait_replaced()
        run.judge()
        assert {"root 2": "Active", "issuing 2": "Active"} == run.authority.states()
        assert {
            "root.1": ["tls.crt"],
            "issuing.1": ["tls.crt"],
            "root.2": ["tls.crt", "tls.key"],
            "issuing.2": ["tls.crt", "tls.key"],
        } == run.authority.secrets()


def test_so_many_writes_are_all(scene: Scene, tmp_path: Path) -> None:
    """No write goes without its two kills."""
    with runs.running(scene, tmp_path) as run:
        scene.proxy.count(run.authority.name)
        run.authority.rotate()
        run.wait_replaced()
        run.judge()

        assert list(WRITES) == _told(scene.proxy.writes)


def _told(writes: Iterable[Write]) -> list[str]:
    """Tell what each write is about, those of many that follow each other in one order."""
    kinds = [next(kind for part, kind in _PATHS.items() if part in write.path) for write in writes]
    groups = itertools.groupby(kinds, key=_OF_MANY.__contains__)
    return [kind for _, group in groups for kind in sorted(group, key=lambda kind: _OF_MANY.get(kind, 0))]
