"""What a rotation waits for: that every bundle is brought up to date, and that every leaf is replaced.

A gate is worked out anew at each look from what is there, and from times that stand in what is there: it needs no
memory. Observation may hold a rotation back, never move it on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mutualtls.core import digests, times
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_spec import Approval, Retire
from mutualtls.core.api.states import Phase, Role
from mutualtls.core.bundles import bundle
from mutualtls.core.ca import rotation_state
from mutualtls.core.ca.generations import key_of
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Task, compromises, trusted_roots
from mutualtls.core.ca.rollout import Rollout
from mutualtls.core.ca.rotation_state import RotationState, is_compromised, is_emergency, life, longest_leaf, soak
from mutualtls.core.rotation.steps import View


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


_UNKNOWN = Gate(is_open=False, waits_for="waits until all identities are known")


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


def published(rollout: Rollout, bundle_hash: str, patience: Patience, *, now: datetime) -> Gate:
    """Wait until every bundle is this one, and for the soak since the last write that brought it.

    What was made with it is done at once, as nobody can have read another from it.
    """
    if not rollout.is_whole:
        return _UNKNOWN
    behind = [carrier.name for carrier in rollout.carriers if carrier.bundle_hash != bundle_hash]
    done = (carrier.since for carrier in rollout.carriers if carrier.bundle_hash == bundle_hash)
    waits_for = "waits until every object has the new bundle"
    whole = len(rollout.carriers)
    return _soaked(waits_for, behind, done, patience, whole=whole, now=now)


def replaced(rollout: Rollout, key_ids: Collection[str], patience: Patience, *, root: str, now: datetime) -> Gate:
    """Wait until no leaf is of the CAs with these key ids, those of a root, and for the soak since the last of them.

    `root` names that root for people.
    """
    if not rollout.is_whole:
        return _UNKNOWN
    living = [leaf for leaf in rollout.leaves if leaf.not_after is None or leaf.not_after > now]
    behind = [f"secret {leaf.secret}" for leaf in living if leaf.issuer_key_id is None or leaf.issuer_key_id in key_ids]
    done = [leaf.since for leaf in rollout.leaves if leaf.issuer_key_id not in key_ids]
    waits_for = f"waits until every certificate of {root} is replaced"
    return _soaked(waits_for, behind, done, patience, whole=len(living), now=now)


def removed(rollout: Rollout, bundle_hash: str, patience: Patience, *, root: str, now: datetime) -> Gate:
    """Wait until every bundle is this one, which lacks a root. `root` names it for people."""
    if not rollout.is_whole:
        return _UNKNOWN
    behind = tuple(carrier.name for carrier in rollout.carriers if carrier.bundle_hash != bundle_hash)
    if not behind or now >= patience.excuse:
        return Gate(is_open=True, excused=behind)
    waits_for = f"waits until no bundle holds {root} ({len(behind)} of {len(rollout.carriers)} left)"
    return Gate(is_open=False, waits_for=waits_for, laggards=behind, until=patience.excuse)


def passed(moment: datetime, what: str, *, now: datetime) -> Gate:
    """Wait for a moment."""
    return Gate(is_open=True) if now >= moment else Gate(is_open=False, waits_for=what, until=moment)


def _soaked(
    what: str,
    behind: Iterable[str],
    done: Iterable[datetime | None],
    patience: Patience,
    *,
    whole: int,
    now: datetime,
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
        waits_for = f"{what} ({len(names)} of {whole} left)"
        return Gate(is_open=False, waits_for=waits_for, laggards=names, until=excuse)
    forced = deadline.why if deadline is not None and names and now < patience.excuse else ""
    if now < soaked:
        until = min(soaked, latest.at) if latest is not None else soaked
        waits_for = f"soaking until {times.rfc3339(until)}"
        return Gate(is_open=False, waits_for=waits_for, excused=names, until=until, forced=forced)
    return Gate(is_open=True, excused=names, forced=forced)


MARGIN = timedelta(seconds=30)
"""Between the end of the last leaf of a CA and its going, for clocks that differ."""


_REPLACED_A_SECOND = 20
"""How many leaves are surely replaced in a second when there is no pace."""


def task_of(authority: Authority, ledger: Ledger) -> Task | None:
    """Say what is to be brought about now; None where nothing is."""
    at = rotation_state.of(ledger)
    if at is None or at.phase is Phase.STABLE:
        return None
    is_replacing = authority.spec.rotation.retire is Retire.AFTER_REPLACEMENT or is_emergency(ledger)
    return Task(number=at.other.number, since=at.other.since, is_replacing=is_replacing)


def gate(view: View) -> Gate:
    """Work out what the phase waits for. In Stable there is nothing to wait for."""
    at = rotation_state.of(view.ledger)
    if at is None or at.phase is Phase.STABLE:
        return Gate(is_open=True)
    wanted = digests.content_hash(bundle.merge(trusted_roots(view.ledger)))
    match at.phase:
        case Phase.PUBLISHING:
            return _approved(view, at, published(view.rollout, wanted, _publishing(view, at), now=view.now))
        case Phase.SIGNING:
            return _approved(view, at, _outlived(view, at.other))
        case Phase.WITHDRAWING:
            return _outlived(view, at.other)
        case _:
            root = f"root {at.other.number}"
            return removed(view.rollout, wanted, _patience(view, at.other), root=root, now=view.now)


def _patience(view: View, other: CAGeneration, *, turns: timedelta = timedelta()) -> Patience:
    """Tell how long laggards are waited for, and who has just started has time to try. `turns`: for a pace."""
    begun = _begun(view, other)
    laggards = view.authority.durations.laggard_timeout
    excuse = max(begun + laggards, (view.started or begun) + _hurry(view)) + turns
    return Patience(since=other.since or life(other)[0], soak=soak(view.authority), excuse=excuse)


def _begun(view: View, other: CAGeneration) -> datetime:
    """Tell when what the phase waits for was begun: as the ledger has it, or when it last could not be done."""
    is_noted = view.ledger.task is not None and view.ledger.task == task_of(view.authority, view.ledger)
    noted = view.ledger.task_started_at if is_noted else None
    begun = noted or other.since or life(other)[0]
    return max(begun, view.held_until or begun)


def _hurry(view: View) -> timedelta:
    """Tell in what time everything surely was tried once."""
    return timedelta(seconds=10 + len(view.rollout.leaves) / _REPLACED_A_SECOND)


def _publishing(view: View, at: RotationState) -> Patience:
    """Tell how long the new bundle is waited for: not so long that certificates, or their CA, end meanwhile."""
    authority, ledger, rollout, root = view.authority, view.ledger, view.rollout, at.root
    hurry, begun = _hurry(view), _begun(view, at.other)
    deadline = _deadline(authority, root)
    latest = [Deadline(at=life(root)[1] - hurry, why=deadline.why)]
    latest += [replace(one, at=one.at - soak(authority) - hurry) for one in _stated_deadlines(ledger, root)]
    if not _can_sign(view, root):
        ends = (leaf.recorded_end for leaf in rollout.leaves if leaf.recorded_end and leaf.recorded_end > view.now)
        end = min(ends, default=view.now)
        why = f"nothing can be signed under root {root.number}, and a certificate ends at {times.rfc3339(end)}"
        latest.append(Deadline(at=end - hurry, why=why))
    return replace(
        _patience(view, at.other),
        deadline=replace(deadline, at=max(deadline.at, max(begun, view.started or begun) + hurry)),
        latest=min(latest, key=lambda one: one.at),
    )


def _deadline(authority: Authority, outgoing: CAGeneration) -> Deadline:
    """Tell from when on neither laggards nor a missing approval hold the new root up."""
    _, ends = life(outgoing)
    return Deadline(at=ends - 2 * longest_leaf(authority), why=f"root {outgoing.number} ends at {times.rfc3339(ends)}")


def _can_sign(view: View, root: CAGeneration) -> bool:
    signer = view.ledger.active(Role.ISSUING)
    return any(ca is not None and key_of(view.held, ca) is not None for ca in (root, signer))


def _outlived(view: View, going: CAGeneration) -> Gate:
    """Wait until no leaf of a root is in use: until all have ended or, where that is asked for, were replaced."""
    ended = _last_end(view.ledger, going)
    if ended is None:
        return Gate(is_open=True)
    by_time = passed(ended + MARGIN, f"waits until the last certificate of root {going.number} has ended", now=view.now)
    rotation, root = view.authority.spec.rotation, view.ledger.active(Role.ROOT)
    is_replaced = rotation.retire is Retire.AFTER_REPLACEMENT or is_compromised(view.ledger, going)
    if by_time.is_open or not is_replaced or root is None or not _can_sign(view, root):
        return by_time  # without the key of another root nothing is replaced
    patience = _patience(view, going, turns=timedelta(seconds=len(view.rollout.leaves) / rotation.pace))
    at_the_end = Deadline(at=ended + MARGIN, why="")  # none that anybody would miss: all have ended then
    latest = [at_the_end, *_stated_deadlines(view.ledger, going)]
    in_time = replace(patience, latest=min(latest, key=lambda one: one.at))
    key_ids = _key_ids(view.ledger, going)
    return replaced(view.rollout, key_ids, in_time, root=f"root {going.number}", now=view.now)


def _stated_deadlines(ledger: Ledger, root: CAGeneration) -> list[Deadline]:
    """List when a compromised root must be out of trust, as far as that was said."""
    deadlines = [one.by for one in compromises(ledger, root) if one.by is not None]
    return [Deadline(at=by, why=f"root {root.number} must be out of trust by {times.rfc3339(by)}") for by in deadlines]


def _last_end(ledger: Ledger, root: CAGeneration) -> datetime | None:
    """Tell when the last leaf of a root ends; None where it never signed one."""
    of_root = [root, *ledger.under(root)]
    return max((ca.signs_until for ca in of_root if ca.signs_until is not None), default=None)


def _key_ids(ledger: Ledger, root: CAGeneration) -> frozenset[str]:
    """List the key ids of a root and of all issuing CAs of it."""
    return frozenset({root.key_id, *(ca.key_id for ca in ledger.under(root))})


def approval(view: View, at: RotationState) -> str | None:
    """Tell the value of the order `approve` that the next phase asks for; None where it asks for none, or has it."""
    following = at.to_be_approved
    is_manual = view.authority.spec.rotation.approval is Approval.MANUAL and not is_emergency(view.ledger)
    order, fingerprint = view.authority.orders.approve, at.incoming.fingerprint
    is_given = order is not None and (order.fingerprint, order.phase) == (fingerprint, following)
    return f"{fingerprint}/{following}" if following is not None and is_manual and not is_given else None


def _approved(view: View, at: RotationState, found: Gate) -> Gate:
    """Wait for an approval, too, where one is asked for; not past the deadline, nor for a compromised root."""
    asked = approval(view, at)
    deadline = _deadline(view.authority, at.root) if at.phase is Phase.PUBLISHING else None
    if not found.is_open or asked is None:
        return found
    if deadline is not None and view.now >= deadline.at:
        return replace(found, forced=f"it was not approved, and {deadline.why}")
    until = deadline.at if deadline is not None else None
    waits_for = f"waits for the annotation mutualtls.dev/approve: {asked}"
    return Gate(is_open=False, waits_for=waits_for, excused=found.excused, until=until)
