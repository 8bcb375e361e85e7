"""How a root is replaced: the phases, their gates, and the orders.

The states of the roots in the ledger say which phase it is: beside the root that signs there is at most one other,
which is coming (Published), going (Retiring), or taken out (Withdrawn). Rolled back, the two change places. One write
of the ledger is one step, made before what it allows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.orders import Compromise, Replace
from mutualtls.core.api.states import SIGNING, Phase, Role, State
from mutualtls.core.ca import generations, rotation_state
from mutualtls.core.ca.generations import key_of
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.ca.rotation_state import RotationState, is_compromised, life, longest_leaf, soak
from mutualtls.core.ca.source import Source
from mutualtls.core.pki import certificates
from mutualtls.core.rotation.gates import gate, task_of
from mutualtls.core.rotation.steps import Step, View, Write

_UNUSABLE = frozenset({State.MAKING, State.WITHDRAWN, State.LOST, State.GONE})
"""States in which an issuing CA cannot be let sign again."""


def advance(view: View) -> Step | None:
    """Advance the rotation of a root, where its gate is open or an order says so."""
    at = rotation_state.of(view.ledger)
    if at is None:
        return None
    ledger, now = view.ledger, view.now
    new: Ledger | None = None
    if (fresh := _fresh_intermediate(view)) is not None:
        new = announced(ledger, Role.ISSUING, fresh, is_outside=True)
    elif at.phase is Phase.STABLE:
        new = with_new_root(view) if _is_to_be_replaced(view, at.root) else None
    elif at.phase is Phase.WITHDRAWING and _is_to_be_published_again(view, at):
        new = ledger.put(moved(at.other, State.PUBLISHED, now))
    elif _is_to_be_rolled_back(view, at):
        new = _rolled_back(view, at)
    elif at.phase is Phase.PUBLISHING and _lacks_signer(view, at.other):
        new = announced(_without_lost(view, at.other), Role.ISSUING, at.other)
    elif gate(view).is_open:
        new = _entered_next(view, at)
    return Write(new) if new is not None else None


def begun(authority: Authority, ledger: Ledger, now: datetime) -> Ledger:
    """Note since when what is to be brought about now is being brought about, where that is not noted yet."""
    task = task_of(authority, ledger)
    if task == ledger.task:
        return ledger
    return msgspec.structs.replace(ledger, task=task, task_started_at=now if task is not None else None)


def _entered_next(view: View, at: RotationState) -> Ledger:
    """Enter the phase that follows."""
    if at.phase is Phase.PUBLISHING:
        return _switched(view, at)
    is_out = at.phase in {Phase.RETIRING, Phase.REMOVING}
    return _with_all(view.ledger, at.other, State.GONE if is_out else State.WITHDRAWN, view.now)


# A new root


def _is_to_be_replaced(view: View, root: CAGeneration) -> bool:
    """Tell whether a root is to be replaced: by order, because it is compromised or given up, or its time has come.

    A root of an outside PKI is replaced when the source brings another, and only then.
    """
    authority, ledger = view.authority, view.ledger
    if authority.spec.root.secret_ref is not None:
        return view.source is not None and certificates.fingerprint(view.source.root) not in _fingerprints(ledger)
    order = authority.orders.rotate_root
    is_ordered = order is not None and names(order, root, ledger)
    is_abandoned = root.fingerprint in authority.orders.abandon and key_of(view.held, root) is None
    is_due = view.now >= automatic_start(authority, ledger, root)
    return is_ordered or is_abandoned or is_compromised(ledger, root) or is_due


def with_new_root(view: View) -> Ledger:
    """Announce the next root. Of an outside one whose key is elsewhere there is nothing to make: it is there."""
    ledger = msgspec.structs.replace(view.ledger, is_automatic=True)
    source = view.source if view.authority.spec.root.secret_ref is not None else None
    if source is None or not source.is_intermediate:
        return announced(ledger, Role.ROOT, is_outside=source is not None)
    state = State.PUBLISHED if ledger.active(Role.ROOT) else State.ACTIVE
    blank = CAGeneration(
        role=Role.ROOT, number=ledger.next_number(Role.ROOT), state=state, is_outside=True, is_keyless=True
    )
    root = moved(generations.described(blank, source.root, state), state, view.now)
    return announced(ledger.put(root), Role.ISSUING, root, is_outside=True)


def announced(ledger: Ledger, role: Role, root: CAGeneration | None = None, *, is_outside: bool = False) -> Ledger:
    """Announce the next generation of a role; an issuing CA under a root."""
    issuer = root.number if root else None
    return ledger.put(
        CAGeneration(
            role=role, number=ledger.next_number(role), state=State.MAKING, issuer=issuer, is_outside=is_outside
        )
    )


def moved(ca: CAGeneration, state: State, now: datetime) -> CAGeneration:
    """Bring a generation into another state."""
    return msgspec.structs.replace(ca, state=state, since=now)


def used(ledger: Ledger, certificate: x509.Certificate) -> CAGeneration | None:
    """Find the outside CA that signs, or is to sign, with this certificate."""
    fingerprint = certificates.fingerprint(certificate)
    outside = (ca for ca in ledger.generations if ca.is_outside and ca.state in SIGNING)
    return next((ca for ca in outside if ca.fingerprint == fingerprint), None)


def _fresh_intermediate(view: View) -> CAGeneration | None:
    """Find the root under which the source has brought an intermediate that was never taken in."""
    source = view.source
    if source is None or not source.is_intermediate or _fingerprint_of(source) in _fingerprints(view.ledger):
        return None
    root = used(view.ledger, source.root)
    return root if root is not None and root.is_keyless else None


def _fingerprint_of(source: Source) -> str:
    return certificates.fingerprint(source.signer.certificate)


def _fingerprints(ledger: Ledger) -> frozenset[str]:
    return frozenset(ca.fingerprint for ca in ledger.generations)


def automatic_start(authority: Authority, ledger: Ledger, root: CAGeneration) -> datetime:
    """Tell when the replacing of a root begins by itself; after a roll-back as late as there is still time."""
    begins, ends = life(root)
    if not ledger.is_automatic:
        return ends - _least(authority)
    asked = authority.durations.rotate_before
    return ends - (asked if asked is not None else (ends - begins) / 3)


def _least(authority: Authority) -> timedelta:
    """Tell how long before its end the replacing of a root must begin at the latest."""
    return 3 * longest_leaf(authority) + soak(authority)


def names(order: Replace, ca: CAGeneration, ledger: Ledger) -> bool:
    """Tell whether an order is about this very CA, and was not obeyed yet."""
    return order.fingerprint == ca.fingerprint and order.number == ledger.next_number(ca.role)


def _lacks_signer(view: View, root: CAGeneration) -> bool:
    """Tell whether a root that is coming needs an issuing CA that is to be made here."""
    is_tiered = generations.is_tiered(view.authority, root) and not root.is_keyless
    return is_tiered and _signer_under(view, root) is None


def _signer_under(view: View, root: CAGeneration) -> CAGeneration | None:
    """Find the newest issuing CA of a root that can sign."""
    under = (ca for ca in view.ledger.under(root) if ca.state not in _UNUSABLE)
    return max((ca for ca in under if key_of(view.held, ca)), key=lambda ca: ca.number, default=None)


def _without_lost(view: View, root: CAGeneration) -> Ledger:
    """Note the issuing CAs of a root whose keys are gone."""
    ledger = view.ledger
    for ca in ledger.under(root):
        if ca.state not in _UNUSABLE and key_of(view.held, ca) is None:
            ledger = ledger.put(moved(ca, State.LOST, view.now))
    return ledger


def _switched(view: View, at: RotationState) -> Ledger:
    """Let the other root sign, and what is under it, in place of the one that signs."""
    ledger, now = view.ledger, view.now
    signer = _signer_under(view, at.other)
    for ca in ledger.of(Role.ISSUING):
        if ca.state == State.ACTIVE or (ca.state == State.PUBLISHED and ca.issuer == at.other.number):
            ledger = ledger.put(moved(ca, State.RETIRING, now))
    if signer is not None:
        ledger = ledger.put(moved(signer, State.ACTIVE, now))
    return ledger.put(moved(at.root, State.RETIRING, now)).put(moved(at.other, State.ACTIVE, now))


def _with_all(ledger: Ledger, root: CAGeneration, state: State, now: datetime) -> Ledger:
    """Bring a root and all issuing CAs of it into a state."""
    for ca in ledger.under(root):
        if ca.state != State.GONE:
            ledger = ledger.put(moved(ca, state, now))
    return ledger.put(moved(root, state, now))


# Rolling back


def _is_to_be_rolled_back(view: View, at: RotationState) -> bool:
    """Tell whether the incoming root is to go again: by order, as it is compromised, or as it was lost unused."""
    if at.phase is Phase.PUBLISHING and _is_lost(view, at.incoming):
        return True
    if at.phase not in {Phase.PUBLISHING, Phase.SIGNING} or is_compromised(view.ledger, at.outgoing):
        return False
    is_bad = is_compromised(view.ledger, at.incoming)
    if at.phase is Phase.PUBLISHING and is_bad:
        return True
    is_asked = is_bad or view.authority.orders.roll_back == at.incoming.fingerprint
    return is_asked and why_no_roll_back(view, at) is None


def _is_to_be_published_again(view: View, at: RotationState) -> bool:
    """Tell whether a roll-back is undone, as what it went back to is compromised and what it took out is not."""
    is_good = not is_compromised(view.ledger, at.other) and not _is_lost(view, at.other)
    return is_good and is_compromised(view.ledger, at.root)


def _is_lost(view: View, incoming: CAGeneration) -> bool:
    """Tell whether an incoming root can never sign: its key is gone, or the source has brought another meanwhile."""
    if incoming.is_keyless:
        is_coming = any(ca.state == State.MAKING for ca in view.ledger.under(incoming))
        return not is_coming and _signer_under(view, incoming) is None
    return key_of(view.held, incoming) is None


def why_no_roll_back(view: View, at: RotationState) -> str | None:
    """Say why the incoming root cannot go again; None where it can."""
    if at.phase not in {Phase.PUBLISHING, Phase.SIGNING}:
        return f"there is no incoming root in phase {at.phase}"
    outgoing = at.outgoing
    if is_compromised(view.ledger, outgoing):
        return f"root {outgoing.number} is compromised"
    if key_of(view.held, outgoing) is None and _signer_under(view, outgoing) is None:
        return f"the keys of root {outgoing.number} are gone"
    _, ends = life(outgoing)
    if view.now >= ends - _least(view.authority):
        return f"root {outgoing.number} ends too soon, at {times.rfc3339(ends)}"
    return None


def _rolled_back(view: View, at: RotationState) -> Ledger:
    """Let the outgoing root go on, and stop what replaces it by itself."""
    manual = msgspec.structs.replace(view.ledger, is_automatic=False)
    if at.phase is Phase.PUBLISHING:
        return manual.put(moved(at.incoming, State.RETIRING, view.now))
    return _switched(replace(view, ledger=manual), at)


# Compromised CAs


def note_compromised(view: View) -> Step | None:
    """Note for good which CAs are compromised, before anything is done about it."""
    ledger = view.ledger
    noted = {one.fingerprint: one for one in ledger.compromised}
    for ordered in view.authority.orders.compromised:
        if ordered.fingerprint in _fingerprints(ledger):
            before = noted.get(ordered.fingerprint, ordered)
            by = min((moment for moment in (ordered.by, before.by) if moment is not None), default=None)
            noted[ordered.fingerprint] = Compromise(fingerprint=ordered.fingerprint, by=by)
    new = tuple(noted.values())
    return Write(msgspec.structs.replace(ledger, compromised=new)) if new != ledger.compromised else None


# Gates
