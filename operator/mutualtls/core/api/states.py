"""States of a CA and phases of a rotation, by the names that the API shows."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """What a CA signs: a root signs issuing CAs, an issuing CA signs leaves."""

    ROOT = "root"
    ISSUING = "issuing"


class CAId(NamedTuple):
    """Which of the CA generations of an authority."""

    role: Role
    number: int


class State(StrEnum):
    """Where a CA generation is in its life."""

    MAKING = "Making"
    """Announced. Its Secret may or may not be there; nothing has seen its key."""
    PUBLISHED = "Published"
    """Made, and for a root in the bundle; not signing yet."""
    ACTIVE = "Active"
    """Signs."""
    RETIRING = "Retiring"
    """Signs no more, still trusted."""
    WITHDRAWN = "Withdrawn"
    """Rolled back before or after it signed."""
    GONE = "Gone"
    """Its key is deleted."""
    LOST = "Lost"
    """It was made and its key is not there any more."""


SIGNING = frozenset({State.PUBLISHED, State.ACTIVE})
"""States of a CA that signs, or is to sign."""


TRUSTED = frozenset({State.PUBLISHED, State.ACTIVE, State.RETIRING, State.LOST})
"""States in which a root belongs into every bundle, and leaves of a CA are good."""


class Phase(StrEnum):
    """How far the replacing of a root is. The reasons of condition `Rotating`."""

    STABLE = "Stable"
    """One root."""
    PUBLISHING = "Publishing"
    """The new root is being published; the old one signs."""
    SIGNING = "Signing"
    """The new root signs; both are trusted."""
    RETIRING = "Retiring"
    """The old root is being taken out of every bundle."""
    WITHDRAWING = "Withdrawing"
    """Rolled back: the old root signs again; both are trusted."""
    REMOVING = "Removing"
    """Rolled back: the new root is being taken out of every bundle."""
