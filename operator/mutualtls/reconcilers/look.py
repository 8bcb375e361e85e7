"""One look at an identity."""

from __future__ import annotations

from dataclasses import dataclass, field

from mutualtls.core.api.identity import Identity
from mutualtls.core.leaf.observed import Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.slow_keys import SlowKeySlots


@dataclass(slots=True)
class Look:
    """What one look at an identity has come to so far."""

    key: ObjectKey
    identity: Identity | None = None
    """As it was when the look began."""
    is_paid: bool = False
    """Whether its share was drawn on, or need not be any more: what one look does is one change."""
    lines: list[SlowKeySlots] = field(default_factory=list)
    """The slots for which it stands in line."""
    decided: tuple[Seen, Decision] | None = None
    """What is being done, and by what that was decided."""
    is_settling: bool = False
    """Whether nothing is left to be done but to write its status."""

    def is_of(self, identity: Identity) -> bool:
        """Tell whether an identity is still what it was when the look began."""
        began = self.identity = self.identity or identity
        return (began.uid, began.generation) == (identity.uid, identity.generation)
