"""What the status of an authority says: conditions, what it waits for, orders, and the CAs that there are."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.core import fitting, times
from mutualtls.core.api import earlier_words, refusals, status
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import (
    CONFLICTING,
    DRIFTED,
    KEY_LOST,
    ROTATING,
    AuthorityStatus,
    CAStatus,
    NextStatus,
    OrderStatus,
)
from mutualtls.core.api.states import SIGNING, TRUSTED, Phase, Role, State
from mutualtls.core.bundles import publish
from mutualtls.core.ca.ledger import CAGeneration, Ledger, compromises
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import drift
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.steps import Hold, Sign

_LISTED = 10
"""How many laggards, or conflicts, are named."""
_MOST_ORDERS = 32
_MOST_GENERATIONS = 64
_LONGEST_CERTIFICATE = 16384
"""What the schema allows. A certificate that is longer is left out, as a part of it would be none."""

_Condition = tuple[str, bool, str, str]
"""A condition: type, whether it is so, reason and message."""
_NO_CONFLICT: _Condition = (CONFLICTING, False, Reason.NO_CONFLICTS, "no copy of the bundle conflicts")
_NOT_ROTATING: _Condition = (ROTATING, False, Phase.STABLE, "no root is being replaced")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What else is told of an authority, beside how far its CAs are."""

    ledger: Ledger | None
    bundle_hash: str | None
    faults: tuple[str, ...]
    """Why what the spec refers to cannot be used."""
    conflicts: list[ObjectKey] | None
    """Keys of copies of the bundle in whose place something of somebody else's is. None: that is not known yet."""
    warnings: tuple[str, ...] = ()
    """What people should know of what the spec refers to, and of the bundle, though it is used."""
    refusal: str | None = None
    """What of its state the API server does not take."""
    refused_copies: Mapping[str, str] = field(default_factory=dict)
    """By namespace: what of the copies of the bundle the API server does not take."""


def status_of(
    authority: Authority, step: Sign | Hold, progress: Progress | None, found: Found, *, now: str
) -> AuthorityStatus:
    """Write the status, keeping the transition times of conditions that do not change.

    Where it is not known how far the replacing of a root is, `progress` is None, and what was said of that stays.
    """
    rotating = _rotating(progress) if progress is not None else _as_before(authority, ROTATING, _NOT_ROTATING)
    ready, lost = _able(authority, step, found)
    stalled = _stalled(step, found, ready)
    # Where `Stalled` is false it is left out: kstatus takes its absence for the normal case.
    stalling = (stalled,) if stalled is not None else ()
    conditions = (ready, *stalling, lost, rotating, _drifted(authority, found), _conflicting(authority, found))
    new = AuthorityStatus(
        observed_generation=authority.generation,
        conditions=status.settled(conditions, authority.status.conditions, generation=authority.generation, now=now),
        next=_next(progress) if progress is not None else authority.status.next,
        orders=_orders(progress) if progress is not None else authority.status.orders,
        generations=_ca_statuses(found.ledger),
        bundle=found.bundle_hash,
        revision=found.ledger.revision if found.ledger else 0,
    )
    return fitting.fitted(new)


def is_worth_telling(old: AuthorityStatus, new: AuthorityStatus, *, may_tell: bool) -> bool:
    """Tell whether a status is to be written: trouble in other words where `may_tell`, another state always."""
    old = _as_said_now(old, new)
    if msgspec.structs.replace(new, revision=old.revision) == old:
        return False
    is_else = msgspec.structs.replace(new, revision=old.revision, conditions=old.conditions) != old
    if is_else or not any(one.reason in _REFUSED and one.status == "True" for one in new.conditions):
        return True
    if refusals.say_the_same(old.conditions, new.conditions):
        return False
    states = ({(one.type, one.status, one.observed_generation) for one in said.conditions} for said in (old, new))
    return may_tell or next(states) != next(states)


def _as_said_now(old: AuthorityStatus, new: AuthorityStatus) -> AuthorityStatus:
    """Say a status in the words of this version, in which it is compared."""
    now = {(ca.role, ca.number, ca.fingerprint): ca for ca in new.generations}
    generations = (_with_description(ca, now.get((ca.role, ca.number, ca.fingerprint))) for ca in old.generations)
    orders = tuple(msgspec.structs.replace(one, message=earlier_words.message(one.message)) for one in old.orders)
    return msgspec.structs.replace(
        old,
        conditions=earlier_words.conditions(old.conditions, new.conditions),
        generations=tuple(sorted(generations, key=_is_no_signing_root)),
        orders=new.orders if orders == new.orders else old.orders,
    )


def _with_description(old: CAStatus, new: CAStatus | None) -> CAStatus:
    """Take over what 0.1.0 did not say of a CA."""
    if new is None or old.subject:
        return old
    return msgspec.structs.replace(old, subject=new.subject, serial_number=new.serial_number, not_before=new.not_before)


def phase_begun(progress: Progress, before: Progress | None) -> str:
    """Say for people that a phase has begun, and of the gate before it what it did not wait for, and why."""
    parts = [progress.note or "one root is trusted, and signs"]
    if progress.phase is not Phase.STABLE:
        parts = [_waits_for(progress)]
    if before is not None and before.gate.forced:
        parts.append(f"proceeded because {before.gate.forced}")
    if before is not None and before.gate.excused:
        parts.append(f"skipped {_listed(before.gate.excused)}, which could not be brought up to date")
    return "; ".join(parts)


_ALARMING = {status.READY: "False", status.STALLED: "True", KEY_LOST: "True", DRIFTED: "True", CONFLICTING: "True"}
"""Conditions that people should see to, with the status that is bad."""
_ON_PURPOSE = frozenset({Reason.SUSPENDED, Reason.SPEC_CHANGED})
_ONLY_PEOPLE = frozenset(
    {
        Reason.INVALID_SPEC,
        Reason.SOURCE_INVALID,
        Reason.KEY_LOST,
        Reason.LEDGER_LOST,
        Reason.CA_UNREADABLE,
        Reason.CA_EXPIRED,
        Reason.STATE_NOT_WRITABLE,
    }
)
"""Why nothing is signed before somebody has done something."""
_REFUSED = frozenset({Reason.STATE_NOT_WRITABLE, Reason.BUNDLE_NOT_WRITABLE})
"""What the API server does not take, in words of others that may differ each time."""


def alarms(old: AuthorityStatus, new: AuthorityStatus) -> dict[str, str]:
    """Tell what people should see to that was not so before: messages, by reason."""
    found, old = {}, _as_said_now(old, new)
    for one in new.conditions:
        was = old.condition(one.type)
        is_known = was is not None and (was.status, was.reason) == (one.status, one.reason)
        if _ALARMING.get(one.type) == one.status and one.reason not in _ON_PURPOSE and not is_known:
            found[one.reason] = one.message
    if new.next is not None and new.next.excused and not (old.next is not None and old.next.excused):
        found[Reason.LAGGARDS_EXCUSED] = (
            f"{new.next.excused} skipped, which could not be brought up to date: {', '.join(new.next.excused_names)}"
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


def _waits_for(progress: Progress) -> str:
    """Say what a phase waits for. Nothing is waited for where the next step was not taken as nothing is to be."""
    return progress.gate.waits_for or "waits until spec.suspend is false"


def status_patch(uid: str, version: str, new: AuthorityStatus) -> dict[str, Any]:
    """Write a merge patch for `/status` of an authority at a version. What is left out there is taken away."""
    body: dict[str, Any] = {"bundle": None, "next": None} | msgspec.to_builtins(new)
    if body["next"] is not None:
        body["next"] = dict.fromkeys(NextStatus.__struct_encode_fields__) | body["next"]
    return {"metadata": {"uid": uid, "resourceVersion": version}, "status": body}


def _next(progress: Progress) -> NextStatus | None:
    if progress.phase is Phase.STABLE:
        return None
    return NextStatus(
        waits_for=_waits_for(progress),
        laggards=tuple(sorted(progress.gate.laggards)[:_LISTED]),
        behind=len(progress.gate.laggards),
        excused=len(progress.gate.excused),
        excused_names=tuple(sorted(progress.gate.excused)[:_LISTED]),
        skipped=len(progress.skipped),
        skipped_names=tuple(sorted(progress.skipped)[:_LISTED]),
        forced=progress.gate.forced or None,
        until=times.rfc3339(progress.gate.until) if progress.gate.until else None,
    )


def _orders(progress: Progress) -> tuple[OrderStatus, ...]:
    offered = (OrderStatus(order=order, value=value) for order, value in progress.orders)
    refused = (OrderStatus(order=one.order, value=one.value, message=one.message) for one in progress.not_obeyed)
    orders = (*offered, *refused)
    if len(orders) <= _MOST_ORDERS:
        return orders
    last = orders[_MOST_ORDERS - 1]
    more = OrderStatus(order=last.order, value="", message=f"and {len(orders) - _MOST_ORDERS + 1} more are not obeyed")
    return (*orders[: _MOST_ORDERS - 1], more)


def _rotating(progress: Progress) -> _Condition:
    is_rotating = progress.phase is not Phase.STABLE
    message = _waits_for(progress) if is_rotating else progress.note or "no root is being replaced"
    return (ROTATING, is_rotating, progress.phase, message)


def _as_before(authority: Authority, kind: str, otherwise: _Condition) -> _Condition:
    """Repeat what was last said of something that is not known now."""
    before = authority.status.condition(kind)
    return (kind, before.status == "True", before.reason, before.message) if before else otherwise


def _drifted(authority: Authority, found: Found) -> _Condition:
    """Tell where a CA is not as the spec asks for a new one, or what it refers to cannot be used, or not all of it."""
    if found.faults:
        return (DRIFTED, True, Reason.SOURCE_INVALID, "; ".join((*found.faults, *found.warnings)))
    differs = drift.describe(authority, found.ledger) if found.ledger else ""
    if found.warnings:
        return (DRIFTED, True, Reason.SOURCE_WARNING, "; ".join((*found.warnings, *filter(None, [differs]))))
    if differs:
        return (DRIFTED, True, Reason.SPEC_CHANGED, differs)
    return (DRIFTED, False, Reason.IN_SYNC, "every CA is as the spec asks")


def _conflicting(authority: Authority, found: Found) -> _Condition:
    """Tell what keeps the bundle away: something of others, or the API server. What is not known yet is as it was."""
    if found.refused_copies and not found.conflicts:
        return (CONFLICTING, True, Reason.BUNDLE_NOT_WRITABLE, _refused_copies(found.refused_copies))
    if found.conflicts is None:
        return _as_before(authority, CONFLICTING, _NO_CONFLICT)
    if not found.conflicts:
        return _NO_CONFLICT
    named = ", ".join(publish.label(key) for key in sorted(found.conflicts, key=str)[:_LISTED])
    message = (
        f"{len(found.conflicts)} not written because another object has the name: {named}; delete it, or choose "
        "another name in spec.trust.configMap"
    )
    if found.refused_copies:
        message = f"{message}; {_refused_copies(found.refused_copies)}"
    return (CONFLICTING, True, Reason.BUNDLE_CONFLICT, message)


def _refused_copies(refused: Mapping[str, str]) -> str:
    """Say where the API server does not take the bundle, with what it says of the first."""
    first, *_ = sorted(refused)
    where = _listed(tuple(namespace or "of the whole cluster" for namespace in refused))
    return f"{len(refused)} not written, of namespaces {where}: {refused[first]}"


def _able(authority: Authority, step: Sign | Hold, found: Found) -> tuple[_Condition, _Condition]:
    """Tell whether certificates are signed, with the cause that counts, and whether a key is lost."""
    faults = found.faults if isinstance(step, Sign) or step.reason == Reason.SOURCE_INVALID else ()
    causes = [*filter(None, [found.refusal if isinstance(step, Sign) else None]), *faults]
    if isinstance(step, Hold):
        ready = (status.READY, False, step.reason, "; ".join([step.message, *causes]))
        lost = step.message if step.reason == Reason.KEY_LOST else _lost_before(authority)
    elif authority.is_suspended:
        message = "nothing is signed while spec.suspend is true"
        ready = (status.READY, False, Reason.SUSPENDED, "; ".join([message, *causes]))
        lost = step.lost
    else:
        ready = (status.READY, True, Reason.ACTIVE, "; ".join(["certificates are signed", *causes]))
        lost = step.lost
    if authority.faults:
        ready = (status.READY, False, Reason.INVALID_SPEC, _until_it_can_be_read(authority, step))
    return ready, (KEY_LOST, True, Reason.KEY_LOST, lost) if lost is not None else _all_present(step, found.ledger)


def _all_present(step: Sign | Hold, known: Ledger | None) -> _Condition:
    """Say of keys of which none is lost, as far as is known, how many there are."""
    cas = [ca for ca in known.generations if ca.state in SIGNING and not ca.is_keyless] if known else []
    message = "the CA key is present" if len(cas) == 1 else f"all {len(cas)} CA keys are present"
    if isinstance(step, Hold) or not cas:
        message = "no CA key is known to be lost"
    return (KEY_LOST, False, Reason.KEYS_PRESENT, message)


def _until_it_can_be_read(authority: Authority, step: Sign | Hold) -> str:
    """Say why a spec cannot be read, and what counts until then."""
    until = "the last spec that could be read counts, and what is new waits"
    if not authority.has_spec:
        until = "there is no earlier spec that counts: nothing is signed, and nothing is removed"
    also = f"; {step.message}" if isinstance(step, Hold) and step.reason is not Reason.INVALID_SPEC else ""
    return f"{authority.fault}; until then {until}{also}"


def _stalled(step: Sign | Hold, found: Found, ready: _Condition) -> _Condition | None:
    """Tell what is wrong that only a person can mend, be it that certificates are signed all the same."""
    _, _, reason, message = ready
    if reason == Reason.INVALID_SPEC:
        return (status.STALLED, True, reason, message)
    if isinstance(step, Hold):
        return (status.STALLED, True, reason, message) if step.reason in _ONLY_PEOPLE else None
    if found.refusal:
        return (status.STALLED, True, Reason.STATE_NOT_WRITABLE, found.refusal)
    if found.faults:
        return (status.STALLED, True, Reason.SOURCE_INVALID, "; ".join(found.faults))
    return None


def _lost_before(authority: Authority) -> str | None:
    """Repeat what was last found of lost keys: what holds an authority up now says nothing of them."""
    told = authority.status.condition(KEY_LOST)
    return told.message if told is not None and told.status == "True" else None


def _ca_statuses(known: Ledger | None) -> tuple[CAStatus, ...]:
    """Copy the ledger for the status, without the CAs that are gone, and where there are too many the oldest."""
    told = [ca for ca in known.generations if ca.not_after and ca.state != State.GONE] if known else []
    newest_first = sorted(told, key=lambda ca: (ca.state == State.ACTIVE, ca.number), reverse=True)
    kept = {ca.id for ca in newest_first[:_MOST_GENERATIONS]}
    listed = [ca for ca in told if ca.id in kept]
    return tuple(_ca_status(ca) for ca in sorted(listed, key=_is_no_signing_root))


def _is_no_signing_root(ca: CAGeneration | CAStatus) -> bool:
    """Sort the root that signs to the front, where `kubectl get` reads when the root ends."""
    return (ca.role, ca.state) != (Role.ROOT, State.ACTIVE)


def _ca_status(ca: CAGeneration) -> CAStatus:
    subject, serial_number = _described(ca.certificate)
    return CAStatus(
        role=ca.role,
        number=ca.number,
        state=ca.state,
        fingerprint=ca.fingerprint,
        key_id=ca.key_id,
        not_after=times.rfc3339(ca.not_after) if ca.not_after else "",
        certificate=ca.certificate if len(ca.certificate) <= _LONGEST_CERTIFICATE else "",
        subject=subject,
        serial_number=serial_number,
        not_before=times.rfc3339(ca.not_before) if ca.not_before else None,
    )


@functools.lru_cache(maxsize=256)
def _described(pem: str) -> tuple[str, str]:
    """Read subject and serial number of a certificate, once for many statuses; nothing where it cannot be read."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        return certificate.subject.rfc4514_string(), certificates.serial_number(certificate)
    except certificates.UNREADABLE:
        return "", ""


def bundles_orphaned(name: str, copies: Sequence[ObjectKey], known: Ledger | None) -> str:
    """Say which copies of its bundle an authority that is deleted has left, and how they are deleted."""
    roots = known.of(Role.ROOT) if known is not None else ()
    bad = [str(root.number) for root in roots if known and root.state in TRUSTED and compromises(known, root)]
    held = f", which hold the compromised root {', '.join(bad)}" if bad else ""
    kinds = "configmaps" if all(key.namespace for key in copies) else "configmaps,clustertrustbundles"
    selector = f"{labels.PART}={labels.PART_BUNDLE},{labels.AUTHORITY}={name}"
    return (
        f"authority {name} is deleted; {len(copies)} copies of its bundle stay for the workloads that mount "
        f"them{held}, and are not kept current: create the authority again, or delete them with: kubectl delete "
        f"{kinds} -A -l {selector}"
    )
