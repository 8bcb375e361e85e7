"""What one candidate knows of the Lease, and what it does next. A pure state machine: times come in.

Times are seconds of this candidate's own clock. What a Lease says of time is never compared with it: another's clock
may be wrong. A Lease counts as held for its duration since this candidate last saw it change.
"""

from __future__ import annotations

from enum import Enum, auto

from mutualtls.leading.lease import Lease, Record


class Move(Enum):
    """What to do about the Lease."""

    WAIT = auto()
    """Another holds it."""
    CREATE = auto()
    """Write one, as there is none."""
    REPLACE = auto()
    """Write over the one that is there: to take it, or to renew it."""
    YIELD = auto()
    """It was ours, and may have been another's since."""


class Election:
    """One candidate. It leads from its first write until it has to yield."""

    def __init__(self, identity: str, *, duration_s: int) -> None:
        self.identity = identity
        self._duration_s = duration_s
        self._lease: Lease | None = None
        self._changed: float | None = None
        """When what there is was first seen; None: nothing was ever there."""
        self._leads = False
        self._version = 0
        """Of our last write."""
        self._end = 0.0
        """Until when ours lasts."""

    @property
    def lease(self) -> Lease | None:
        """The Lease as it was last read or written; None where there is none."""
        return self._lease

    @property
    def record(self) -> Record | None:
        """What it says."""
        return self._lease.record if self._lease is not None else None

    @property
    def leads(self) -> bool:
        """Whether the Lease was ours when we last wrote or read it."""
        return self._leads

    def saw(self, lease: Lease | None, *, now: float) -> None:
        """Take in what was read. One that is gone counts as changed: its holder may not know yet."""
        before, self._lease = self.record, lease
        is_new = lease is not None and self._changed is None
        if is_new or before != self.record:
            self._changed = now

    def wrote(self, lease: Lease, *, sent: float) -> None:
        """Take in that the Lease was taken or renewed. It lasts from before that was sent."""
        self._lease = lease
        self._changed = sent
        self._leads = True
        self._version = lease.version
        self._end = sent + self._duration_s

    def resigned(self) -> None:
        """Take in that the Lease is not ours any more."""
        self._leads = False

    @property
    def end(self) -> float:
        """Until when the Lease is ours, if nobody disregards it."""
        return self._end

    @property
    def free_at(self) -> float | None:
        """When the Lease may be taken from whoever holds it; None: at once."""
        if self._changed is None or (self.record is not None and self.record.holder in {"", self.identity}):
            return None
        return self._changed + max(self._duration_s, self.record.duration_s if self.record is not None else 0)

    def next_move(self, *, now: float) -> Move:
        """Decide what to do about the Lease, as far as it is known."""
        if self._leads:
            return self._next_move_of_leader(now)
        free_at = self.free_at
        if free_at is not None and now < free_at:
            return Move.WAIT
        return Move.CREATE if self._lease is None else Move.REPLACE

    def _next_move_of_leader(self, now: float) -> Move:
        """Go on while nobody else can have led meanwhile."""
        if self._lease is None:
            return Move.CREATE if now < self._end else Move.YIELD
        if self._lease.record.holder == self.identity:
            return Move.REPLACE
        # An older version than our own is that of a backup, to which etcd was put back: it says nothing of today.
        return Move.REPLACE if self._lease.version < self._version else Move.YIELD
