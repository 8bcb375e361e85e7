"""How far the rotation of a root is: the phase, as the states of the roots in the ledger say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import Phase, Role, State
from mutualtls.core.ca.ledger import CAGeneration, Ledger, compromises


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationState:
    """How far the rotation of a root is."""

    phase: Phase
    root: CAGeneration
    """The root that signs."""
    other: CAGeneration
    """The root that is coming or going; in Stable the same one."""

    @property
    def to_be_approved(self) -> Phase | None:
        """The phase that follows, where one may ask for an approval."""
        return {Phase.PUBLISHING: Phase.SIGNING, Phase.SIGNING: Phase.RETIRING}.get(self.phase)

    @property
    def incoming(self) -> CAGeneration:
        """The newer of the two."""
        return max(self.root, self.other, key=lambda ca: ca.number)

    @property
    def outgoing(self) -> CAGeneration:
        """The older of the two."""
        return min(self.root, self.other, key=lambda ca: ca.number)


def of(ledger: Ledger) -> RotationState | None:
    """Read from the states of the roots how far the rotation is; None while no root signs."""
    root = ledger.active(Role.ROOT)
    if root is None:
        return None
    for state in (State.PUBLISHED, State.RETIRING, State.WITHDRAWN):
        other = next((ca for ca in ledger.of(Role.ROOT) if ca.state == state), None)
        if other is not None:
            return RotationState(phase=_PHASES[state, other.number < root.number], root=root, other=other)
    return RotationState(phase=Phase.STABLE, root=root, other=root)


_PHASES = {
    (State.PUBLISHED, False): Phase.PUBLISHING,
    (State.RETIRING, True): Phase.SIGNING,
    (State.RETIRING, False): Phase.WITHDRAWING,
    (State.WITHDRAWN, True): Phase.RETIRING,
    (State.WITHDRAWN, False): Phase.REMOVING,
}
"""By the state of the other root, and whether it is older than the one that signs."""


def is_compromised(ledger: Ledger, root: CAGeneration) -> bool:
    """Tell whether a root, or a CA under it, is noted as compromised."""
    return bool(compromises(ledger, root))


def is_emergency(ledger: Ledger) -> bool:
    """Tell whether the outgoing root is compromised: then nothing is paced, and no approval is waited for."""
    at = of(ledger)
    if at is None or at.phase is Phase.STABLE:
        return False
    return is_compromised(ledger, at.root if at.phase is Phase.PUBLISHING else at.other)


def life(ca: CAGeneration) -> tuple[datetime, datetime]:
    """Tell from when to when a CA that was made is valid."""
    if ca.not_before is None or ca.not_after is None:
        raise TypeError(f"programming error: {ca.role} {ca.number} was not made")
    return ca.not_before, ca.not_after


def soak(authority: Authority) -> timedelta:
    """Tell how long consumers may take to read new files."""
    return authority.durations.soak


def longest_leaf(authority: Authority) -> timedelta:
    """Tell the longest life that a leaf may have."""
    return authority.durations.leaf_max
