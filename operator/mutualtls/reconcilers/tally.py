"""What was done for identities since the start, counted for metrics: certificates, refusals, repairs, and times."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum

from mutualtls.core.histogram import Histogram
from mutualtls.core.leaf import plan
from mutualtls.core.reasons import Reason

_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REFUSALS = (Reason.INVALID_SPEC, Reason.NOT_PERMITTED, Reason.PASSWORD_MISSING, Reason.AUTHORITY_NOT_FOUND)
"""Why a spec is refused, until somebody edits it, a permit, or what it refers to."""


class Stage(StrEnum):
    """How far an issuance is."""

    QUEUED = "queued"
    """A worker has taken it."""
    SIGNED = "signed"
    """The key is made, and the certificate signed."""
    WRITTEN = "written"
    """The Secret and the status are written."""


class Tally:
    """Counts of one operator. Authorities that do not exist are counted under the name "": no label grows with them."""

    def __init__(self) -> None:
        self.issued: Counter[tuple[str, str]] = Counter()
        """Certificates, by authority and reason."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Specs that were refused, by authority and reason."""
        self.mended = Counter(dict.fromkeys(map(str, plan.MENDED), 0))
        """Secrets that somebody else had changed and that were put right, by reason."""
        self.durations = {stage: Histogram(_BOUNDS_S) for stage in Stage}
        """Seconds from when a certificate was due until each stage was reached."""

    def reach(self, stage: Stage, due: datetime | None, now: datetime) -> None:
        """Count how long it took from when an issuance was due until it reached a stage."""
        if due is not None:
            self.durations[stage].add(max(0.0, (now - due).total_seconds()))

    def issue(self, authority: str, reason: Reason) -> None:
        """Count a certificate that was signed and is in its Secret."""
        self.issued[authority, reason] += 1
