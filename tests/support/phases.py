"""Fleets in the phases of a rotation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Phase
from mutualtls.core.ca import rotation_state
from support.builders import HOUR, MINUTE
from support.fleet import Fleet, fleet

SOAK, LEAF = 30 * MINUTE, HOUR


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


def walk(made: Fleet, *, length: timedelta = 8 * HOUR) -> list[Phase]:
    """List the phases that a fleet goes through, without a failed handshake."""
    made.walked.clear()
    seen = [made.phase]
    for _ in range(int(length / (5 * MINUTE))):
        made.run(5 * MINUTE)
        assert [] == list(made.failed_handshakes())
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
