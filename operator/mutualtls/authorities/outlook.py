"""What can be seen of an authority beside its status: its ledger, which of its keys are there, what it trusts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mutualtls.authorities.state import AuthorityState
from mutualtls.core.api.states import CAId
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.pki.issue import CA


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One authority, as metrics tell of it. No key is in it."""

    ledger: Ledger | None = None
    """As it was last read or written."""
    keys: Mapping[CAId, bool]
    """Of each CA, whether a Secret with its key was there at the last look."""


def of(state: AuthorityState) -> Outlook:
    """Show what is kept of an authority."""
    return Outlook(ledger=state.ledger, keys={ca: isinstance(held, CA) for ca, held in state.held.items()})
