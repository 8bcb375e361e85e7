"""What the operator keeps in memory of one authority, among it the CA that signs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from mutualtls.authorities.inputs import RootsReading, SourceReading
from mutualtls.authorities.ledgers import VersionedLedger
from mutualtls.core.ca.generations import Held
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.offer import Offer
from mutualtls.core.pki.issue import CA


@dataclass(slots=True, kw_only=True)
class AuthorityState:
    """What the operator keeps in memory of one authority between two looks at it."""

    uid: str
    trust: Offer
    """What it offers."""
    ca: CA | None = None
    """The CA that signs."""
    versioned: VersionedLedger = field(default_factory=VersionedLedger)
    held: Held = field(default_factory=dict)
    """What its CA Secrets held at the last look."""
    source: SourceReading = field(default_factory=SourceReading)
    roots: RootsReading = field(default_factory=RootsReading)
    started: datetime | None = None
    """Since when this operator looks at it."""
    is_held: bool = False
    """Whether the operator could do nothing about it at the last look."""
    resumed: datetime | None = None
    """When it last could again. What could not be done before is not excused for it."""
    unkept: str | None = None
    """Why its spec cannot be kept, where that was logged."""
    left_to: str | None = None
    """Namespace of the operator that serves it, where that is another one and was logged."""
    refusal: str | None = None
    """What of its ledger and its CA Secrets the API server refused at the last look."""
    lasting_refusal: str | None = None
    """The words for it, for as long as it lasts. All identities wait for the authority, and repeat them."""
    refused_since: datetime | None = None
    """When the API server first refused it, of looks in a row."""
    uncovered: datetime | None = None
    """Up to when the ledger could not be made to cover leaves: nothing is signed until it can be."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while steps are taken, and while the ledger is extended before a leaf is signed."""

    @property
    def ledger(self) -> Ledger | None:
        """The ledger as it was last read or written; None where there is none."""
        return self.versioned.ledger
