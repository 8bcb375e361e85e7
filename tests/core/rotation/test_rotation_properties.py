"""The CA state machine under everything at once: orders, crashes, losses, laggards, in any order, for days."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mutualtls.core.api.authority_spec import Retire
from mutualtls.core.api.states import Phase
from support.builders import DAY, MINUTE
from support.fleet import fleet
from support.rotations import NAMES, Rotations, hinder

TestRotations = Rotations.TestCase


LAGS = [pytest.param(minutes * MINUTE, id=f"for {minutes} minutes") for minutes in (5, 10, 15, 20, 40)]


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("phase", [Phase.PUBLISHING, Phase.SIGNING])
@pytest.mark.parametrize("retire", Retire)
@pytest.mark.parametrize("soak", ["5m", "30m"])
def test_who_lags_in_a_phase_is_waited_for_or_excused(soak: str, retire: Retire, phase: Phase, lag: timedelta) -> None:
    """At no moment does a handshake fail between those who were not excused, and the rotation comes to its end."""
    made = fleet(*NAMES, soak=soak, retire=retire)
    late = made.members["c"]
    hinder(late, ishindered=phase is Phase.PUBLISHING)
    made.rotate()
    made.settle()
    hinder(late, ishindered=True)
    made.run_until(phase)
    begun = made.now
    while made.phase is not Phase.STABLE:
        hinder(late, ishindered=made.now < begun + lag)
        made.run(5 * MINUTE, every=5 * MINUTE)
        assert [] == list(made.failed_handshakes())
        assert made.now < begun + DAY, made.told.gate
    assert not late.is_outside or lag + 5 * MINUTE >= made.laggards
