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
    last = None if heard is None else NOW - heard
    return Health(clock=Clock(), started=started, heard=last, trouble=trouble, deaf=deaf)


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
    of = Health(clock=clock, started=True, heard=NOW - MINUTE, trouble="refused")
    clock.now = NOW + 9 * MINUTE
    of.hear()

    assert (None, None, clock.now) == (of.why_not_ready(), of.trouble, of.heard)


def test_silence_grows_with_time() -> None:
    """Nothing need happen for it."""
    clock = Clock()
    of = Health(clock=clock, started=True)
    of.hear()

    assert of.why_not_ready() is None
    clock.now += 3 * MINUTE + SECOND
    assert SILENT == of.why_not_ready()


def test_hearing_does_not_end_deafness() -> None:
    """What a watch did not tell it may never tell."""
    of = health(deaf="a Secret")
    of.hear()

    assert "a Secret" == of.why_not_healthy()
