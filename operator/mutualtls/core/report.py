"""What the status of an authority says: conditions, what it waits for, orders, and the CAs that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from mutualtls.core import drift, publish, status, times
from mutualtls.core.authority import (
    CONFLICTING,
    DRIFTED,
    KEY_LOST,
    ROTATING,
    Authority,
    AuthorityStatus,
    CAStatus,
    NextStatus,
    OrderStatus,
)
from mutualtls.core.ledger import CAGeneration, Ledger, State
from mutualtls.core.orders import Phase
from mutualtls.core.progress import Progress
from mutualtls.core.reasons import Reason
from mutualtls.core.steps import Hold, Sign

_LISTED = 10
"""How many laggards, or conflicts, are named."""

_Told = tuple[str, bool, str, str]
"""A condition: type, whether it is so, reason and message."""
_NO_CONFLICT: _Told = (CONFLICTING, False, Reason.AS_ASKED, "")
_NOT_ROTATING: _Told = (ROTATING, False, Phase.STABLE, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What else is told of an authority, beside how far its CAs are."""

    ledger: Ledger | None
    bundle_hash: str | None
    faults: tuple[str, ...]
    """Why what the spec refers to cannot be used."""
    conflicts: list[str] | None
    """Keys of copies of the bundle in whose place something of somebody else's is. None: that is not known yet."""


def status_of(
    authority: Authority, step: Sign | Hold, told: Progress | None, found: Found, *, now: str
) -> AuthorityStatus:
    """Write the status, keeping the transition times of conditions that do not change.

    Where it is not known how far the replacing of a root is, `told` is None, and what was said of that stays.
    """
    rotating = _rotating(told) if told is not None else _as_before(authority, ROTATING, _NOT_ROTATING)
    conditions = (*_able(authority, step), rotating, _drifted(authority, found), _conflicting(authority, found))
    return AuthorityStatus(
        observed_generation=authority.generation,
        conditions=status.settled(conditions, authority.status.conditions, generation=authority.generation, now=now),
        next=_next(told) if told is not None else authority.status.next,
        orders=_orders(told) if told is not None else authority.status.orders,
        generations=_ca_statuses(found.ledger),
        bundle=found.bundle_hash,
        revision=found.ledger.revision if found.ledger else 0,
    )


def left_alone(authority: Authority, step: Hold, *, now: str) -> AuthorityStatus:
    """Say that another operator serves an authority, and leave all else as that one said it."""
    ready: _Told = (status.READY, False, step.reason, step.message)
    others = [(one.type, one.status == "True", one.reason, one.message) for one in authority.status.conditions]
    conditions = (ready, *(one for one in others if one[0] != status.READY))
    return msgspec.structs.replace(
        authority.status,
        observed_generation=authority.generation,
        conditions=status.settled(conditions, authority.status.conditions, generation=authority.generation, now=now),
    )


def phase_begun(told: Progress, before: Progress | None) -> str:
    """Say for people that a phase has begun, and of the gate before it what it did not wait for, and why."""
    parts = [told.note or "one root is trusted, and signs"]
    if told.phase is not Phase.STABLE:
        parts = [f"waits for {_waits_for(told)}"]
    if before is not None and before.gate.forced:
        parts.append(f"begun all the same, as {before.gate.forced}")
    if before is not None and before.gate.excused:
        parts.append(f"without {_listed(before.gate.excused)}, which could not be brought up to date")
    return "; ".join(parts)


_ALARMING = {status.READY: "False", KEY_LOST: "True", DRIFTED: "True", CONFLICTING: "True"}
"""Conditions that people should see to, with the status that is bad."""
_ON_PURPOSE = frozenset({Reason.SUSPENDED, Reason.SPEC_CHANGED})


def alarms(old: AuthorityStatus, new: AuthorityStatus) -> dict[str, str]:
    """Tell what people should see to that was not so before: messages, by reason."""
    found = {}
    for one in new.conditions:
        was = old.condition(one.type)
        is_known = was is not None and (was.status, was.reason) == (one.status, one.reason)
        if _ALARMING.get(one.type) == one.status and one.reason not in _ON_PURPOSE and not is_known:
            found[one.reason] = one.message
    if new.next is not None and new.next.excused and not (old.next is not None and old.next.excused):
        found[Reason.LAGGARDS_EXCUSED] = (
            f"{new.next.excused} not waited for any more: {', '.join(new.next.excused_names)}"
        )
    return found


def is_able(told: AuthorityStatus) -> bool:
    """Tell whether certificates are signed."""
    ready = told.condition(status.READY)
    return ready is not None and ready.status == "True"


def _listed(names: tuple[str, ...]) -> str:
    """Name the first of many."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(sorted(names)[:_LISTED]) + more


def _waits_for(told: Progress) -> str:
    """Say what a phase waits for. Nothing is waited for where the next step was not taken as nothing is to be."""
    return told.gate.waits_for or "spec.suspend to be false"


def status_patch(uid: str, new: AuthorityStatus) -> dict[str, Any]:
    """Write a merge patch for `/status`. What is left out there is taken away."""
    body: dict[str, Any] = {"bundle": None, "next": None} | msgspec.to_builtins(new)
    if body["next"] is not None:
        body["next"] = dict.fromkeys(NextStatus.__struct_encode_fields__) | body["next"]
    return {"metadata": {"uid": uid}, "status": body}


def _next(told: Progress) -> NextStatus | None:
    if told.phase is Phase.STABLE:
        return None
    return NextStatus(
        waits_for=_waits_for(told),
        laggards=tuple(sorted(told.gate.laggards)[:_LISTED]),
        behind=len(told.gate.laggards),
        excused=len(told.gate.excused),
        excused_names=tuple(sorted(told.gate.excused)[:_LISTED]),
        forced=told.gate.forced or None,
        until=times.rfc3339(told.gate.until) if told.gate.until else None,
    )


def _orders(told: Progress) -> tuple[OrderStatus, ...]:
    offered = (OrderStatus(order=order, value=value) for order, value in told.orders)
    refused = (OrderStatus(order=one.order, value=one.value, message=one.message) for one in told.not_obeyed)
    return (*offered, *refused)


def _rotating(told: Progress) -> _Told:
    is_rotating = told.phase is not Phase.STABLE
    return (ROTATING, is_rotating, told.phase, f"waits for {_waits_for(told)}" if is_rotating else told.note)


def _as_before(authority: Authority, kind: str, otherwise: _Told) -> _Told:
    """Repeat what was last said of something that is not known now."""
    before = authority.status.condition(kind)
    return (kind, before.status == "True", before.reason, before.message) if before else otherwise


def _drifted(authority: Authority, found: Found) -> _Told:
    """Tell where a CA is not as the spec would have a new one, or what it refers to cannot be used."""
    if found.faults:
        return (DRIFTED, True, Reason.SOURCE_INVALID, "; ".join(found.faults))
    differs = drift.told(authority, found.ledger) if found.ledger else ""
    return (DRIFTED, bool(differs), Reason.SPEC_CHANGED if differs else Reason.AS_ASKED, differs)


def _conflicting(authority: Authority, found: Found) -> _Told:
    """Tell where something of somebody else's keeps the bundle away. What is not known yet is as it was."""
    if found.conflicts is None:
        return _as_before(authority, CONFLICTING, _NO_CONFLICT)
    if not found.conflicts:
        return _NO_CONFLICT
    named = ", ".join(publish.told(key) for key in sorted(found.conflicts)[:_LISTED])
    message = (
        f"{len(found.conflicts)} not written, as somebody else's is there: {named}; delete it, or choose another name "
        "in spec.trust.configMap"
    )
    return (CONFLICTING, True, Reason.BUNDLE_CONFLICT, message)


def _able(authority: Authority, step: Sign | Hold) -> tuple[_Told, _Told]:
    """Tell whether certificates are signed, and whether a key is lost."""
    if isinstance(step, Hold):
        ready = (status.READY, False, step.reason, step.message)
        lost = step.message if step.reason == Reason.KEY_LOST else _told_lost(authority)
    elif authority.spec.suspend:
        ready = (status.READY, False, Reason.SUSPENDED, "nothing is signed while spec.suspend is true")
        lost = step.lost
    else:
        ready = (status.READY, True, Reason.SIGNING, "certificates are signed")
        lost = step.lost
    reason = Reason.KEY_LOST if lost else Reason.STABLE
    return ready, (KEY_LOST, lost is not None, reason, lost or "")


def _told_lost(authority: Authority) -> str | None:
    """Repeat what was last found of lost keys: what holds an authority up now says nothing of them."""
    told = authority.status.condition(KEY_LOST)
    return told.message if told is not None and told.status == "True" else None


def _ca_statuses(known: Ledger | None) -> tuple[CAStatus, ...]:
    """Copy the ledger for the status, without the CAs that are gone."""
    return tuple(_ca_status(ca) for ca in known.generations if ca.not_after and ca.state != State.GONE) if known else ()


def _ca_status(ca: CAGeneration) -> CAStatus:
    return CAStatus(
        role=ca.role,
        number=ca.number,
        state=ca.state,
        fingerprint=ca.fingerprint,
        key_id=ca.key_id,
        not_after=times.rfc3339(ca.not_after) if ca.not_after else "",
        certificate=ca.certificate,
    )
