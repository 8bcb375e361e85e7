"""What is done about an authority's CAs, one step at a time, and what a step is decided by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from mutualtls.core.authority import Authority
from mutualtls.core.gates import Sight
from mutualtls.core.generations import Held
from mutualtls.core.issue import CA
from mutualtls.core.ledger import CAGeneration, Ledger
from mutualtls.core.reasons import Reason
from mutualtls.core.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a step is decided by."""

    authority: Authority
    ledger: Ledger
    held: Held
    now: datetime
    sight: Sight = field(default_factory=Sight)
    at_it_since: datetime | None = None
    """Since when this operator has been at what the phase waits for. What it has not tried is not excused."""
    source: Source | None = None
    """What `root.secretRef` brings; None where it is not set, or brings nothing that can be used."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the ledger: one step of the state machine."""

    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Make:
    """Create the Secret of a generation, with a key and certificate made now, or those of the source."""

    announced: CAGeneration


@dataclass(frozen=True, slots=True)
class Bury:
    """Delete the Secret of a generation, if there is one, and leave a tombstone where the generation is gone."""

    ca: CAGeneration


@dataclass(frozen=True, slots=True)
class Hold:
    """Make nothing and sign nothing, until somebody acts. The message says what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Sign:
    """Nothing is to be done now."""

    ca: CA
    lost: str | None = None
    """What is to be said of a key that is gone though signing goes on."""
    look_again: datetime | None = None
    """When the next step is due by time alone."""


Step = Write | Make | Bury | Hold | Sign
