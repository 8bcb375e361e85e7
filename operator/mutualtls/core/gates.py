"""What a rotation waits for: that every bundle is brought up to date, and that every leaf is replaced.

A gate is worked out anew at each look from what is there, and from times that stand in what is there: it needs no
memory. Observation may hold a rotation back, never move it on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """An object that carries the bundle to consumers: the Secret of an identity."""

    name: str
    """For people: `secret shop/orders-mtls`."""
    bundle_hash: str | None
    """Of the bundle in it; None where that is not known at the version that it has, or it is somebody else's."""
    since: datetime | None = None
    """When that bundle was written into it; None where it was made with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate in a managed Secret."""

    secret: str
    """`NAMESPACE/NAME`."""
    issuer_key_id: str | None
    """None where the Secret was not read at the version that it has."""
    not_after: datetime | None = None
    since: datetime | None = None
    """When a leaf of another CA was replaced by one of this; None where there was none before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload that is restarted when its files have changed."""

    name: str
    """For people: `deployment shop/orders`."""
    rolled: datetime | None
    """When all its pods had the files of now; None while some have not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that gates look at, of one authority."""

    carriers: tuple[Carrier, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether a rotation may go on, and if not, what it waits for."""

    is_open: bool
    waits_for: str = ""
    """For people, as one clause."""
    laggards: tuple[str, ...] = ()
    """What is not done and is waited for."""
    excused: tuple[str, ...] = ()
    """What is not done and is not waited for any more."""
    until: datetime | None = None
    """When it opens, or more is known, if nothing else happens."""
    forced: str = ""
    """For people: why it does not wait any longer for what it would wait for otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment from which on something is not waited for any more, and why, for people."""

    at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a gate waits."""

    since: datetime
    """When what is waited for was begun."""
    soak: timedelta
    """How long consumers may take to read new files."""
    excuse: datetime
    """From when on whatever is not done is not waited for any more."""
    deadline: Deadline | None = None
    """From when on it is not waited for though the time to excuse it has not come."""
    latest: Deadline | None = None
    """When the gate opens whatever is not done, also where the soak has not passed."""


def published(sight: Sight, bundle_hash: str, patience: Patience, *, now: datetime) -> Gate:
    """Wait until every bundle is this one, and for the soak since the last write that brought it.

    What was made with it is done at once, as nobody can have read another from it.
    """
    behind = [carrier.name for carrier in sight.carriers if carrier.bundle_hash != bundle_hash]
    behind += [workload.name for workload in sight.workloads if workload.rolled is None]
    done = (carrier.since for carrier in sight.carriers if carrier.bundle_hash == bundle_hash)
    return _soaked("the new bundle in every object", behind, done, patience, now=now)


def replaced(sight: Sight, key_ids: Collection[str], patience: Patience, *, root: str, now: datetime) -> Gate:
    """Wait until no leaf is of the CAs with these key ids, those of a root, and for the soak since the last of them.

    `root` names that root for people.
    """
    living = [leaf for leaf in sight.leaves if leaf.not_after is None or leaf.not_after > now]
    behind = [f"secret {leaf.secret}" for leaf in living if leaf.issuer_key_id is None or leaf.issuer_key_id in key_ids]
    behind += [workload.name for workload in sight.workloads if workload.rolled is None]
    done = [leaf.since for leaf in sight.leaves if leaf.issuer_key_id not in key_ids]
    done += [workload.rolled for workload in sight.workloads]
    return _soaked(f"every certificate of {root} to be replaced", behind, done, patience, now=now)


def removed(sight: Sight, bundle_hash: str, patience: Patience, *, root: str, now: datetime) -> Gate:
    """Wait until every bundle is this one, which lacks a root. `root` names it for people."""
    behind = tuple(carrier.name for carrier in sight.carriers if carrier.bundle_hash != bundle_hash)
    if not behind or now >= patience.excuse:
        return Gate(is_open=True, excused=behind)
    return Gate(is_open=False, waits_for=f"{root} out of every bundle", laggards=behind, until=patience.excuse)


def passed(moment: datetime, what: str, *, now: datetime) -> Gate:
    """Wait for a moment."""
    return Gate(is_open=True) if now >= moment else Gate(is_open=False, waits_for=what, until=moment)


def _soaked(
    what: str, behind: Iterable[str], done: Iterable[datetime | None], patience: Patience, *, now: datetime
) -> Gate:
    """Wait until nothing is behind, or what is may be excused, and then for the soak.

    What is written again and again is excused, too: nobody can hold the soak up for longer than until the excuse.
    """
    names, deadline, latest = tuple(behind), patience.deadline, patience.latest
    excuse = min(patience.excuse, deadline.at) if deadline is not None else patience.excuse
    last = max((moment for moment in done if moment is not None), default=patience.since)
    soaked = min(max(last, patience.since), excuse) + patience.soak
    is_waiting = bool(names) and now < excuse
    if latest is not None and now >= latest.at:
        return Gate(is_open=True, excused=names, forced=latest.why if is_waiting or now < soaked else "")
    if is_waiting:
        return Gate(is_open=False, waits_for=what, laggards=names, until=excuse)
    forced = deadline.why if deadline is not None and names and now < patience.excuse else ""
    if now < soaked:
        until = min(soaked, latest.at) if latest is not None else soaked
        return Gate(is_open=False, waits_for="the soak to pass", excused=names, until=until, forced=forced)
    return Gate(is_open=True, excused=names, forced=forced)
