"""A bad day: whatever comes between operator and API server, or befalls these, all is in order again soon after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from devtools.clusters.faults import (
    WRITES,
    Cut,
    CutAfter,
    Delay,
    Double,
    HalfLine,
    Lose,
    NoBookmarks,
    Refuse,
    Reorder,
    Silence,
    StaleLists,
    WatchError,
)
from support import bad_day, disasters
from support.bad_day import Day, Step
from support.disasters import faulty
from support.scenes import Scene

_MOST_LINES = 400
"""Of the log, for a fault: some lines for each thing that failed, and not for each request."""


@pytest.fixture(scope="module")
def day(stage: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """An operator that lists again every few seconds, which it does to find what it was not told of."""
    with Day.beginning(stage, tmp_path_factory.mktemp("day")) as day:
        yield day


FAULTS: dict[str, Step] = {
    "latency": faulty(Delay(at_least_s=0.2, at_most_s=1), strikes=20),
    "a latency beyond the timeout": faulty(Delay(verbs=WRITES, at_least_s=6, at_most_s=6), strikes=3),
    "429": faulty(Refuse(status=429, retry_after_s=1), strikes=30),
    "500": faulty(Refuse(status=500), strikes=60),
    "503": faulty(Refuse(status=503), strikes=60),
    "503 for half of the requests": faulty(Refuse(status=503, share=0.5), strikes=20),
    "502 for watches alone": faulty(HalfLine(times=3), Refuse(status=502, verbs=frozenset({"watch"})), strikes=20),
    "a storm of conflicts": faulty(Refuse(status=409, verbs=WRITES), strikes=20),
    "401": faulty(Refuse(status=401), strikes=60, ready="401"),
    "403": faulty(Refuse(status=403), strikes=60),
    "cut connections": faulty(Cut(share=0.5), strikes=20),
    "answers that are cut": faulty(CutAfter(verbs=WRITES, share=0.5), strikes=5),
    "half a line": faulty(HalfLine(share=0.5), strikes=3),
    "410 on watches": faulty(WatchError(share=0.5), strikes=3),
    "500 on watches": faulty(WatchError(status=500, share=0.5), strikes=3),
    "410 on lists": faulty(Refuse(status=410, verbs=frozenset({"list"})), strikes=5),
    "410 on pages": disasters.pages_are_too_old,
    "missing bookmarks": faulty(NoBookmarks(), strikes=0),
    "stale lists": faulty(StaleLists(), strikes=8),
    "doubled events": faulty(Double(), strikes=5),
    "reordered events": faulty(Reorder(share=0.5), strikes=2),
    "lost events of identities": faulty(Lose(contains="/mutualtlsidentities"), strikes=2),
    "lost events": faulty(Lose(share=0.5), strikes=2),
    "silent watches": faulty(Silence(), strikes=3),
    "all at once": faulty(
        Delay(at_least_s=0.05, at_most_s=0.5),
        Refuse(status=503, share=0.2),
        Cut(share=0.1),
        CutAfter(verbs=WRITES, share=0.1),
        HalfLine(share=0.1),
        Double(share=0.3),
        Reorder(share=0.1),
        Lose(share=0.1),
        strikes=60,
    ),
    "a clock an hour ahead": disasters.shifted(timedelta(hours=1)),
    "a clock an hour behind": disasters.shifted(timedelta(hours=-1)),
    "API server restarted": disasters.api_server_restarts,
    "etcd restarted": disasters.etcd_restarts,
    "etcd compacted": disasters.compacted,
    "etcd without space": disasters.etcd_is_full,
    "an unrelated API without a server": disasters.unrelated_api_is_down,
    "a namespace deleted under way": disasters.namespace_goes,
    "a token that expires": disasters.token_expires,
    "rights withdrawn": disasters.rights_are_withdrawn,
}


_REPRESENTATIVE = {"503", "all at once", "lost events of identities", "a token that expires", "API server restarted"}
_EACH = [pytest.param(name, marks=() if name in _REPRESENTATIVE else pytest.mark.further) for name in FAULTS]


@pytest.mark.parametrize("name", _EACH)
def test_all_is_in_order_again(day: Day, name: str, record_property: Callable[[str, object], None]) -> None:
    """Nothing is lost, nothing is written that should not be, and neither memory nor log grow."""
    day.scene.begin()
    outcome = day.through(name, FAULTS[name])
    record_property(bad_day.RECOVERED, outcome.told)

    assert outcome.lines < _MOST_LINES
