"""What is done about an authority's CAs, one step at a time, and what a step is decided by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId
from mutualtls.core.ca.generations import Held
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark
from mutualtls.core.ca.rollout import Rollout
from mutualtls.core.ca.source import Source
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a step is decided by."""

    authority: Authority
    ledger: Ledger
    held: Held
    now: datetime
    rollout: Rollout = field(default_factory=Rollout)
    marks: Mapping[CAId, Mark] = field(default_factory=dict)
    """What the annotations of CA Secrets say."""
    started: datetime | None = None
    """Since when this operator looks at the authority. What it has had no time to try is not excused."""
    held_until: datetime | None = None
    """Until when it last could do nothing about it. What could not be done then is not excused for it."""
    source: Source | None = None
    """What `root.secretRef` brings; None where it is not set, or brings nothing that can be used."""
    source_fault: str = ""
    """Why it brings nothing that can be used."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the ledger: one step of the state machine."""

    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Note:
    """Have the step stand in the annotation of a CA's Secret, before anything that it allows."""

    ca: CAGeneration
    mark: Mark


@dataclass(frozen=True, slots=True)
class Make:
    """Create the Secret of a generation, with a key and certificate made now, or those of the source."""

    announced: CAGeneration


@dataclass(frozen=True, slots=True)
class Bury:
    """Delete the Secret of a generation, if there is one, and leave a tombstone where the generation is gone."""

    ca: CAGeneration


@dataclass(frozen=True, slots=True)
class Hold(Refusal):
    """Make nothing and sign nothing, until somebody acts. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Nothing is to be done now."""

    ca: CA
    lost: str | None = None
    """What is to be said of a key that is gone though signing goes on."""
    next_check: datetime | None = None
    """When the next step is due by time alone."""


Step = Write | Note | Make | Bury | Hold | Sign
