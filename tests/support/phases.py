"""Fleets in the phases of a rotation."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Phase
from mutualtls.core.ca import rotation_state
from support.builders import HOUR, MINUTE
from support.fleet import SPEC, Fleet, fleet

SHORT = {**SPEC, "root": {"selfSigned": {"duration": "48h"}}, "issuing": {"duration": "12h"}}
"""A root that ends in two days, and is replaced after 32 hours."""
SOAK, LEAF = 30 * MINUTE, HOUR
"""The soak of a fleet, and the life of its leaves."""


def rotating(phase: Phase = Phase.PUBLISHING, **more: Any) -> Fleet:
    """A fleet whose root is being replaced by order."""
    made = fleet("a", "b", **more)
    made.rotate()
    made.run_until(phase)
    return made


def withdrawing(**more: Any) -> Fleet:
    """A fleet whose new root has signed for one identity and is rolled back."""
    made = rotating(Phase.SIGNING, **more)
    heal(made, "a")
    made.order(roll_back=made.root(2).fingerprint)
    made.settle()
    return made


def heal(made: Fleet, name: str) -> None:
    """Have a Secret deleted and made anew, by whatever CA signs."""
    made.delete(made.members[name])
    made.settle()


def report(made: Fleet, *cas: CAId, by: timedelta | None = None) -> None:
    """Report CAs as compromised."""
    moment = made.now + by if by is not None else None
    told = tuple(Compromise(fingerprint=made.home.recorded(ca).fingerprint, by=moment) for ca in cas)
    made.order(compromised=told)


def run_well(made: Fleet, length: timedelta) -> None:
    """Let time pass, without a failed handshake."""
    for _ in range(int(length / (5 * MINUTE))):
        made.run(5 * MINUTE)
        assert [] == list(made.failed_handshakes())


def entered(made: Fleet, phase: Phase, *, within: timedelta = 100 * HOUR) -> datetime:
    """Let time pass until a phase is entered, without a failed handshake, and tell when."""
    end = made.now + within
    while made.phase is not phase:
        assert made.now < end, f"{phase} is not reached: {made.phase}, {made.told.gate}"
        run_well(made, 5 * MINUTE)
    return made.now


def walk(made: Fleet, *, length: timedelta = 8 * HOUR) -> list[Phase]:
    """List the phases that a fleet goes through, without a failed handshake."""
    made.walked.clear()
    seen = [made.phase]
    run_well(made, length)
    for _, after, _ in made.walked:
        at = rotation_state.of(after)
        if at is not None and at.phase is not seen[-1]:
            seen.append(at.phase)
    return seen


def at_phase(phase: Phase) -> Fleet:
    """A fleet in a phase. Two of them are held by a Secret that cannot be written."""
    if phase is Phase.STABLE:
        return fleet("a", "b")
    if phase in {Phase.PUBLISHING, Phase.SIGNING}:
        return rotating(phase)
    made = rotating(Phase.SIGNING) if phase is Phase.RETIRING else withdrawing()
    made.members["b"].is_blocked = phase is not Phase.WITHDRAWING
    made.run_until(phase)
    return made
