"""Health tells the truth: waiting, in trouble, silent, deaf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from core.builders import MINUTE, NOW, SECOND
from mutualtls.health import Health


@dataclass(slots=True)
class Clock:
    """A clock that is set by hand."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


def health(
    *, heard: timedelta | None = None, started: bool = True, trouble: str | None = None, deaf: str | None = None
) -> Health:
    """An operator that heard something so long ago."""
    last = {} if heard is None else {"secrets": NOW - heard}
    lost = {} if trouble is None else {"secrets": trouble}
    return Health(clock=Clock(), started=started, heard=last, lost=lost, deaf=deaf)


SILENT = "the watch of secrets has told nothing for long, not even a bookmark"
WAITS = "the operator waits for the cluster"


@pytest.mark.parametrize(
    ("of", "healthy", "ready"),
    [
        pytest.param(health(heard=SECOND), None, None, id="well"),
        pytest.param(health(started=False), None, WAITS, id="waits for what it watches"),
        pytest.param(health(started=False, heard=SECOND), None, WAITS, id="heard, and not started"),
        pytest.param(health(), None, WAITS, id="started, and nothing was heard yet"),
        pytest.param(health(started=False, trouble="no CRD"), None, "no CRD", id="waits, and it is known why"),
        pytest.param(health(heard=SECOND, trouble="refused"), None, "refused", id="in trouble"),
        pytest.param(health(heard=3 * MINUTE), None, None, id="quiet"),
        pytest.param(health(heard=3 * MINUTE + SECOND), SILENT, SILENT, id="silent"),
        pytest.param(
            health(heard=9 * MINUTE, trouble="refused"), None, "refused", id="silent, as the API server is not there"
        ),
        pytest.param(health(heard=SECOND, deaf="a Secret"), "a Secret", "a Secret", id="deaf"),
        pytest.param(health(heard=9 * MINUTE, deaf="a Secret"), "a Secret", "a Secret", id="deaf and silent"),
        pytest.param(health(heard=SECOND, deaf="a Secret", trouble="x"), "a Secret", "x", id="deaf and in trouble"),
    ],
)
def test_what_health_says(of: Health, healthy: str | None, ready: str | None) -> None:
    """A restart helps against deafness alone; traffic waits for all."""
    assert (healthy, ready) == (of.why_not_healthy(), of.why_not_ready())


def test_hearing_ends_trouble_and_silence() -> None:
    """Whatever the sign of life is."""
    clock = Clock()
    of = Health(clock=clock, started=True, heard={"secrets": NOW - MINUTE}, lost={"secrets": "refused"})
    clock.now = NOW + 9 * MINUTE
    of.hear("secrets")

    assert (None, {}, clock.now) == (of.why_not_ready(), of.lost, of.heard["secrets"])


def test_silence_grows_with_time() -> None:
    """Nothing need happen for it."""
    clock = Clock()
    of = Health(clock=clock, started=True)
    of.hear("secrets")

    assert of.why_not_ready() is None
    clock.now += 3 * MINUTE + SECOND
    assert SILENT == of.why_not_ready()


def test_hearing_does_not_end_deafness() -> None:
    """What a watch did not tell it may never tell."""
    of = health(deaf="a Secret")
    of.hear("secrets")

    assert "a Secret" == of.why_not_healthy()


def test_one_watch_that_goes_on_does_not_hide_that_another_is_silent() -> None:
    """Each is asked for itself."""
    of = Health(clock=Clock(), started=True, heard={"secrets": NOW - 9 * MINUTE, "configmaps": NOW})

    assert of.why_not_healthy() == SILENT


def test_one_watch_that_goes_on_does_not_hide_that_another_cannot() -> None:
    """Traffic waits for both."""
    of = Health(clock=Clock(), started=True)
    of.hear("secrets")
    of.lose("configmaps", "forbidden")
    of.hear("secrets")

    assert of.why_not_ready() == "forbidden"
