"""One look at an identity."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

from mutualtls.core.api.identity import Identity
from mutualtls.core.leaf.desired import Wanted
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
    asked: tuple[tuple[object, ...], Wanted] | None = None
    """What it asks for, and what that was worked out from: it is not worked out again while these are the same."""
    is_settling: bool = False
    """Whether nothing is left to be done but to write its status."""

    def is_of(self, identity: Identity) -> bool:
        """Tell whether an identity is still what it was when the look began."""
        began = self.identity = self.identity or identity
        return (began.uid, began.generation) == (identity.uid, identity.generation)

    def wanted(self, *of: object) -> Wanted | None:
        """Tell what was worked out from these very objects, none of which changes; None: nothing was."""
        known = self.asked
        is_same = known is not None and all(map(operator.is_, known[0], of))
        return known[1] if known is not None and is_same else None
