"""Which state each CA is in that the evidence tells of."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime

from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import SIGNING, CAId, Phase, Role, State
from mutualtls.core.ca.ledger import MarkedRoot
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.ca.recovered_cas import Ends, Known, root_above
from mutualtls.core.pki import certificates


def noted_compromises(evidence: Evidence) -> tuple[Compromise, ...]:
    """List what was noted for good of CAs that are compromised."""
    marked = evidence.last.compromised if evidence.last is not None else ()
    return tuple({one.fingerprint: one for one in (*marked, *evidence.compromised)}.values())


def states_of(
    authority: Authority, known: Known, evidence: Evidence, ends: Ends, *, now: datetime
) -> dict[CAId, State]:
    """Say which state each CA is in that has not been buried."""
    states = _marked_states(known, evidence, ends, now) or _told_states(known, evidence, ends, now)
    compromises = (*authority.orders.compromised, *noted_compromises(evidence))
    out = {root for root in states if _is_out(known[root], compromises, now)}
    active = next((root for root, state in states.items() if state == State.ACTIVE), None)
    other = next((root for state in _PENDING for root in states if states[root] == state and root != active), None)
    if active is not None and other is not None:
        pair = older, newer = sorted((active, other))
        if older in out:
            states |= dict(zip(pair, _ROOT_STATES[Phase.RETIRING], strict=True))
        elif newer in out:
            states |= dict(zip(pair, _ROOT_STATES[Phase.REMOVING], strict=True))
    states |= dict.fromkeys(out - {active, other}, State.GONE)
    return states | _issuing_states(known, evidence, states)


_PENDING = (State.PUBLISHED, State.RETIRING, State.WITHDRAWN)
"""States of a root beside the one that signs, as `rotation_state.standing` asks for them."""


_ROOT_STATES = {
    Phase.PUBLISHING: (State.ACTIVE, State.PUBLISHED),
    Phase.SIGNING: (State.RETIRING, State.ACTIVE),
    Phase.RETIRING: (State.WITHDRAWN, State.ACTIVE),
    Phase.REMOVING: (State.ACTIVE, State.WITHDRAWN),
}
"""States of the older and of the newer root in a phase."""


def _marked_states(known: Known, evidence: Evidence, ends: Ends, now: datetime) -> dict[CAId, State] | None:
    """Say which state each root is in by the newest mark; None where there is none, or it is one of before.

    A root that it does not know is published first, where no other is on its way.
    """
    marked = {one.number: one for one in evidence.last.roots} if evidence.last is not None else {}
    gone = {one.fingerprint for mark in evidence.marks for one in mark.roots if one.state == State.GONE}
    states: dict[CAId, State] = {}
    later: list[CAId] = []
    for root in _living_roots(known, evidence):
        said, fingerprint = marked.get(root[1]), certificates.fingerprint(known[root])
        if fingerprint in gone:
            states[root] = State.GONE
        elif said is not None and said.fingerprint == fingerprint:
            states[root] = said.state
        else:
            states[root] = _retired(root, evidence)
            later.append(root)
    active = [root for root in states if states[root] == State.ACTIVE]
    if len(active) != 1 or any(
        _contradicts(root, active[0], marked, states) for root in _signed(known, evidence, ends, now)
    ):
        return None
    is_one_coming = any(states[root] in _PENDING for root in states if root not in later)
    usable = [root for root in later if root > active[0] and root in _usable(known, evidence)]
    if usable and not is_one_coming:
        states[max(usable)] = State.PUBLISHED
    return states


def _contradicts(signed: CAId, active: CAId, marked: Mapping[int, MarkedRoot], states: Mapping[CAId, State]) -> bool:
    """Tell whether a root has signed of which a mark says that it has not: it is one of before, as from a backup."""
    said = marked.get(signed[1])
    is_to_come = said is None or (said.state == State.PUBLISHED and not said.has_signed)
    return signed > active and signed in states and is_to_come


def _told_states(known: Known, evidence: Evidence, ends: Ends, now: datetime) -> dict[CAId, State]:
    """Say which state each root is in where nothing says how far the replacing of one was."""
    issuing = _newest(known, evidence, Role.ISSUING)
    root = root_above(known, issuing, evidence) if issuing else _newest(known, evidence, Role.ROOT)
    states = {found: _retired(found, evidence) for found in _living_roots(known, evidence)}
    if root is None:
        return states
    states[root] = State.ACTIVE
    other = _other(known, evidence, root, _signed(known, evidence, ends, now))
    if other is not None:
        older, newer = sorted((root, other))
        has_signed = newer in _signed(known, evidence, ends, now)
        is_out_of_one = known[newer] in evidence.published and known[older] not in evidence.published
        phase = Phase.SIGNING if has_signed or is_out_of_one else Phase.PUBLISHING
        states |= dict(zip((older, newer), _ROOT_STATES[phase], strict=True))
    return states


def _issuing_states(known: Known, evidence: Evidence, roots: Mapping[CAId, State]) -> dict[CAId, State]:
    """Say which state each issuing CA is in, by that of its root. Under one that signs the newest with a key does."""
    living = [found for found in known if found.role == Role.ISSUING and found not in evidence.buried]
    states = {found: _retired(found, evidence) for found in living}
    if not roots and living:
        states[max(living)] = State.ACTIVE  # its root is nowhere: that is said, and nothing made
    for root, state in roots.items():
        under = [found for found in living if root_above(known, found, evidence) == root]
        if state in {State.WITHDRAWN, State.GONE}:
            states |= dict.fromkeys(under, state)
        signer = max((one for one in under if one in evidence.with_key), default=None)
        if state == State.ACTIVE and not evidence.with_key:
            signer = max(under, default=None)
        if state in SIGNING and signer is not None:
            states[signer] = state
    return states


def _other(known: Known, evidence: Evidence, root: CAId, signed: Container[CAId]) -> CAId | None:
    """Find the newest other root that could sign, by its own key or that of an issuing CA.

    One before `root` counts that only has leaves, too: consumers may trust it alone, so that `root` is published first.
    One that is published comes before those that are not: a key of a root that was rolled back may be there.
    """
    usable = _usable(known, evidence)
    before = {one for one in _living_roots(known, evidence) if one in signed and one < root}
    others = usable | before if root in usable else usable
    found = [one for one in others if one != root]
    published = [one for one in found if known[one] in evidence.published]
    return max(published or found, default=None)


def _living_roots(known: Known, evidence: Evidence) -> list[CAId]:
    return [found for found in known if found.role == Role.ROOT and found not in evidence.buried]


def _usable(known: Known, evidence: Evidence) -> set[CAId]:
    """List the roots that could sign, by their own keys or those of issuing CAs."""
    roots = (_root_of(known, found, evidence) for found in evidence.with_key if found in known)
    return {root for root in roots if root is not None}


def _signed(known: Known, evidence: Evidence, ends: Ends, now: datetime) -> set[CAId]:
    """List the roots under which leaves live."""
    roots = (_root_of(known, found, evidence) for found, end in ends.items() if end > now)
    return {root for root in roots if root is not None}


def _root_of(known: Known, found: CAId, evidence: Evidence) -> CAId | None:
    return found if found.role == Role.ROOT else root_above(known, found, evidence)


def _is_out(root: x509.Certificate, compromises: Iterable[Compromise], now: datetime) -> bool:
    """Tell whether a root is compromised and had to be out of trust by now."""
    fingerprint = certificates.fingerprint(root)
    return any(one.by is not None and one.by <= now for one in compromises if one.fingerprint == fingerprint)


def _newest(known: Known, evidence: Evidence, role: Role) -> CAId | None:
    """Choose the CA that signs: one whose root is known, and that has its key, if there is any such."""
    of_role = [found for found in known if found.role == role and found not in evidence.buried]
    rooted = [found for found in of_role if role == Role.ROOT or root_above(known, found, evidence)]
    with_key = [found for found in rooted if found in evidence.with_key]
    return max(with_key or rooted or of_role, default=None)


def _retired(found: CAId, evidence: Evidence) -> State:
    return State.RETIRING if found in evidence.with_key else State.LOST
