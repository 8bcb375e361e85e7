"""Decide what to do about the copies of a bundle in one namespace: a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from mutualtls.core import times
from mutualtls.core.api.authority import Authority
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Copy
from mutualtls.core.model.object_key import ObjectKey

_NO_COPY = ObjectKey("", "")


class Action(Enum):
    """What is to be done about one copy."""

    NOTHING = auto()
    LOOK = auto()
    """Look at the metadata of what is in its place, then decide again."""
    WRITE = auto()
    """Create or change it."""
    REMOVE = auto()
    """Delete it: its time has come, or it cannot be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The copies of an authority's bundle in a namespace, or the ClusterTrustBundle."""

    authority: Authority
    bundle: bytes
    """As PEM."""
    wanted: ObjectKey | None
    """Key of the copy that there is to be; None: there is to be none."""
    found: Copy | None
    """What is known of what is in its place."""
    copies: Mapping[ObjectKey, Copy]
    """All copies of this authority there, by key."""
    has_looked: bool
    """Whether what is in its place was just looked at."""
    now: datetime
    conflict_retry: timedelta
    """Between two looks at what is somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about which copy; with nothing to do, when to check again."""

    action: Action
    key: ObjectKey = _NO_COPY
    """Of the copy that something is to be done about."""
    surplus_since: datetime | None = None
    """Since when a copy that is to be written is not asked for any more; None while it is."""
    next_check: datetime | None = None
    is_conflict: bool = False
    """Whether something of somebody else's is in the place of a copy."""


def decide(o: Observed) -> Decision:
    """Find the first copy that something is to be done about.

    Deciding again after the action was done gives `Action.NOTHING` for that copy.
    """
    wanted = o.wanted if o.wanted is not None and publish.can_hold(o.wanted, o.bundle) else None
    if wanted is not None and o.found is not None and o.found.authority != o.authority.name:
        if o.has_looked:
            return Decision(action=Action.NOTHING, next_check=o.now + o.conflict_retry, is_conflict=True)
        return Decision(action=Action.LOOK, key=wanted)
    if wanted is not None and not is_done(wanted, o.found, o.authority, o.bundle):
        is_immutable = o.found is not None and o.found.is_immutable
        return Decision(action=Action.REMOVE if is_immutable else Action.WRITE, key=wanted)
    surplus = {key: copy for key, copy in o.copies.items() if key != wanted}
    ends = (_towards_its_end(o, key, copy) for key, copy in surplus.items())
    moments = (goes for copy in surplus.values() if (goes := copy.goes(o.authority)) is not None)
    return next(filter(None, ends), None) or Decision(action=Action.NOTHING, next_check=min(moments, default=None))


def is_done(key: ObjectKey, found: Copy | None, authority: Authority, bundle: bytes) -> bool:
    """Tell whether a copy that there is to be is as it is to be."""
    is_ours = found is not None and found.authority == authority.name
    return found is not None and is_ours and found.is_as_asked(publish.wanted(key, authority.name, bundle))


def _towards_its_end(o: Observed, key: ObjectKey, copy: Copy) -> Decision | None:
    """Keep a copy current that is not asked for any more, with since when in it, and delete it when it is time."""
    goes = copy.goes(o.authority)
    is_over = goes is not None and goes <= o.now
    is_current = not copy.is_owned and copy.holds(publish.wanted(key, o.authority.name, o.bundle))
    if copy.held_by is not None or (goes is not None and not is_over and is_current):
        return None
    if is_over or copy.is_immutable or not publish.can_hold(key, o.bundle):
        return Decision(action=Action.REMOVE, key=key)
    since = copy.published.surplus_since if copy.published is not None else None
    return Decision(action=Action.WRITE, key=key, surplus_since=since or times.whole(o.now))
