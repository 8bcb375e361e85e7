"""How a root is replaced: the phases, their gates, and the orders.

The states of the roots in the ledger say which phase it is: beside the root that signs there is at most one other,
which is coming (Published), going (Retiring), or taken out (Withdrawn). Rolled back, the two change places. One write
of the ledger is one step, made before what it allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
from cryptography import x509

from mutualtls.core import bundle, gates, generations, times
from mutualtls.core.authority import Approval, Authority, Retire
from mutualtls.core.gates import Deadline, Gate, Patience
from mutualtls.core.generations import key_of
from mutualtls.core.ledger import SIGNING, CAGeneration, Compromise, Ledger, Role, State, compromises, trusted_roots
from mutualtls.core.orders import Phase, Replace
from mutualtls.core.source import Source
from mutualtls.core.steps import Step, View, Write

MARGIN = timedelta(seconds=30)
"""Between the end of the last leaf of a CA and its going, for clocks that differ."""
_REPLACED_A_SECOND = 20
"""How many leaves are surely replaced in a second when there is no pace."""
_UNUSABLE = frozenset({State.MAKING, State.WITHDRAWN, State.LOST, State.GONE})
"""States in which an issuing CA cannot be let sign again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the replacing of a root is."""

    phase: Phase
    root: CAGeneration
    """The root that signs."""
    other: CAGeneration
    """The one that is coming or going; the same one in Stable."""

    @property
    def incoming(self) -> CAGeneration:
        """The newer of the two."""
        return max(self.root, self.other, key=lambda ca: ca.number)

    @property
    def outgoing(self) -> CAGeneration:
        """The older of the two."""
        return min(self.root, self.other, key=lambda ca: ca.number)


def standing(ledger: Ledger) -> Standing | None:
    """Read from the states of the roots how far the replacing of a root is; None while no root signs."""
    root = ledger.active(Role.ROOT)
    if root is None:
        return None
    for state in (State.PUBLISHED, State.RETIRING, State.WITHDRAWN):
        other = next((ca for ca in ledger.of(Role.ROOT) if ca.state == state), None)
        if other is not None:
            return Standing(phase=_PHASES[state, other.number < root.number], root=root, other=other)
    return Standing(phase=Phase.STABLE, root=root, other=root)


_PHASES = {
    (State.PUBLISHED, False): Phase.PUBLISHING,
    (State.RETIRING, True): Phase.SIGNING,
    (State.RETIRING, False): Phase.WITHDRAWING,
    (State.WITHDRAWN, True): Phase.RETIRING,
    (State.WITHDRAWN, False): Phase.REMOVING,
}
"""By the state of the other root, and whether it is older than the one that signs."""


def bring_on(view: View) -> Step | None:
    """Bring the replacing of a root on, where its gate is open or an order says so."""
    at = standing(view.ledger)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be brought about in a phase. Whatever of it lags is excused some time after it was begun."""

    number: int
    since: datetime | None
    """Of the root that comes or goes: one that comes again is another task."""
    is_replacing: bool
    """Whether leaves are replaced, too."""


def task(authority: Authority, ledger: Ledger) -> Task | None:
    """Say what is to be brought about now; None while no root signs."""
    at = standing(ledger)
    if at is None:
        return None
    is_replacing = authority.spec.rotation.retire is Retire.AFTER_REPLACEMENT or is_hasty(ledger)
    return Task(number=at.other.number, since=at.other.since, is_replacing=is_replacing)


def _entered_next(view: View, at: Standing) -> Ledger:
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
        return view.source is not None and generations.fingerprint(view.source.root) not in _fingerprints(ledger)
    order = authority.orders.rotate_root
    is_ordered = order is not None and names(order, root, ledger)
    is_abandoned = root.fingerprint in authority.orders.abandon and key_of(view.held, root) is None
    is_due = view.now >= automatic_start(authority, ledger, root)
    return is_ordered or is_abandoned or _is_compromised(ledger, root) or is_due


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
    fingerprint = generations.fingerprint(certificate)
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
    return generations.fingerprint(source.signer.certificate)


def _fingerprints(ledger: Ledger) -> frozenset[str]:
    return frozenset(ca.fingerprint for ca in ledger.generations)


def automatic_start(authority: Authority, ledger: Ledger, root: CAGeneration) -> datetime:
    """Tell when the replacing of a root begins by itself; after a roll-back as late as there is still time."""
    begins, ends = _life(root)
    if not ledger.is_automatic:
        return ends - _least(authority)
    asked = authority.spec.rotation.rotate_before
    return ends - (times.parse_duration(asked) if asked else (ends - begins) / 3)


def _least(authority: Authority) -> timedelta:
    """Tell how long before its end the replacing of a root must begin at the latest."""
    return 3 * _longest(authority) + _soak(authority)


def names(order: Replace, ca: CAGeneration, ledger: Ledger) -> bool:
    """Tell whether an order is about this very CA, and was not obeyed yet."""
    return order.fingerprint == ca.fingerprint and order.number == ledger.next_number(ca.role)


def _lacks_signer(view: View, root: CAGeneration) -> bool:
    """Tell whether a root that is coming needs an issuing CA that is to be made here."""
    is_tiered = generations.is_tiered(view.authority, root) and not root.is_keyless
    return is_tiered and _signer_under(view, root) is None


def _signer_under(view: View, root: CAGeneration) -> CAGeneration | None:
    """Find the newest issuing CA of a root that can sign."""
    under = (ca for ca in view.ledger.of(Role.ISSUING) if ca.issuer == root.number and ca.state not in _UNUSABLE)
    return max((ca for ca in under if key_of(view.held, ca)), key=lambda ca: ca.number, default=None)


def _without_lost(view: View, root: CAGeneration) -> Ledger:
    """Note the issuing CAs of a root whose keys are gone."""
    ledger = view.ledger
    for ca in ledger.of(Role.ISSUING):
        if ca.issuer == root.number and ca.state not in _UNUSABLE and key_of(view.held, ca) is None:
            ledger = ledger.put(moved(ca, State.LOST, view.now))
    return ledger


def _switched(view: View, at: Standing) -> Ledger:
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
    for ca in ledger.of(Role.ISSUING):
        if ca.issuer == root.number and ca.state != State.GONE:
            ledger = ledger.put(moved(ca, state, now))
    return ledger.put(moved(root, state, now))


# Rolling back


def _is_to_be_rolled_back(view: View, at: Standing) -> bool:
    """Tell whether the incoming root is to go again: by order, as it is compromised, or as it was lost unused."""
    if at.phase is Phase.PUBLISHING and _is_lost(view, at.incoming):
        return True
    if at.phase not in {Phase.PUBLISHING, Phase.SIGNING} or _is_compromised(view.ledger, at.outgoing):
        return False
    is_compromised = _is_compromised(view.ledger, at.incoming)
    if at.phase is Phase.PUBLISHING and is_compromised:
        return True
    is_asked = is_compromised or view.authority.orders.roll_back == at.incoming.fingerprint
    return is_asked and why_no_roll_back(view, at) is None


def _is_to_be_published_again(view: View, at: Standing) -> bool:
    """Tell whether a roll-back is undone, as what it went back to is compromised and what it took out is not."""
    is_good = not _is_compromised(view.ledger, at.other) and not _is_lost(view, at.other)
    return is_good and _is_compromised(view.ledger, at.root)


def _is_lost(view: View, incoming: CAGeneration) -> bool:
    """Tell whether an incoming root can never sign: its key is gone, or the source has brought another meanwhile."""
    if incoming.is_keyless:
        is_coming = any(
            ca.issuer == incoming.number and ca.state == State.MAKING for ca in view.ledger.of(Role.ISSUING)
        )
        return not is_coming and _signer_under(view, incoming) is None
    return key_of(view.held, incoming) is None


def why_no_roll_back(view: View, at: Standing) -> str | None:
    """Say why the incoming root cannot go again; None where it can."""
    if at.phase not in {Phase.PUBLISHING, Phase.SIGNING}:
        return f"there is no incoming root in phase {at.phase}"
    outgoing = at.outgoing
    if _is_compromised(view.ledger, outgoing):
        return f"root {outgoing.number} is compromised"
    if key_of(view.held, outgoing) is None and _signer_under(view, outgoing) is None:
        return f"the keys of root {outgoing.number} are gone"
    _, ends = _life(outgoing)
    if view.now >= ends - _least(view.authority):
        return f"root {outgoing.number} ends too soon, at {times.rfc3339(ends)}"
    return None


def _rolled_back(view: View, at: Standing) -> Ledger:
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
    for told in view.authority.orders.compromised:
        if told.fingerprint in _fingerprints(ledger):
            before = noted.get(told.fingerprint, told)
            by = min((moment for moment in (told.by, before.by) if moment is not None), default=None)
            noted[told.fingerprint] = Compromise(fingerprint=told.fingerprint, by=by)
    new = tuple(noted.values())
    return Write(msgspec.structs.replace(ledger, compromised=new)) if new != ledger.compromised else None


def _is_compromised(ledger: Ledger, root: CAGeneration) -> bool:
    return bool(compromises(ledger, root))


def is_hasty(ledger: Ledger) -> bool:
    """Tell whether the root that is to go is compromised: nothing is paced then, and no approval waited for."""
    at = standing(ledger)
    if at is None or at.phase is Phase.STABLE:
        return False
    return _is_compromised(ledger, at.root if at.phase is Phase.PUBLISHING else at.other)


# Gates


def gate(view: View) -> Gate:
    """Work out what the phase waits for. In Stable there is nothing to wait for."""
    at = standing(view.ledger)
    if at is None or at.phase is Phase.STABLE:
        return Gate(is_open=True)
    wanted = bundle.content_hash(bundle.merge(trusted_roots(view.ledger)))
    match at.phase:
        case Phase.PUBLISHING:
            return _approved(view, at, gates.published(view.sight, wanted, _publishing(view, at), now=view.now))
        case Phase.SIGNING:
            return _approved(view, at, _outlived(view, at.other))
        case Phase.WITHDRAWING:
            return _outlived(view, at.other)
        case _:
            root = f"root {at.other.number}"
            return gates.removed(view.sight, wanted, _patience(view, at.other), root=root, now=view.now)


def _patience(view: View, other: CAGeneration) -> Patience:
    since = other.since or _life(other)[0]
    laggards = times.parse_duration(view.authority.spec.rotation.laggard_timeout)
    return Patience(since=since, soak=_soak(view.authority), excuse=_first_tried(view, other) + laggards)


def _first_tried(view: View, other: CAGeneration) -> datetime:
    """Tell when this operator began what the phase waits for."""
    since = other.since or _life(other)[0]
    return max(since, view.at_it_since or since)


def _publishing(view: View, at: Standing) -> Patience:
    """Tell how long the new bundle is waited for: not so long that certificates, or their CA, end meanwhile."""
    authority, ledger, sight, root = view.authority, view.ledger, view.sight, at.root
    hurry = timedelta(seconds=10 + len(sight.leaves) / _REPLACED_A_SECOND)
    deadline = _deadline(authority, root)
    latest = [Deadline(at=_life(root)[1] - hurry, why=deadline.why)]
    latest += [replace(one, at=one.at - _soak(authority) - hurry) for one in _told_times(ledger, root)]
    if not _can_sign(view, root):
        ends = (leaf.not_after for leaf in sight.leaves if leaf.not_after is not None and leaf.not_after > view.now)
        end = min(ends, default=view.now)
        why = f"nothing can be signed under root {root.number}, and a certificate ends at {times.rfc3339(end)}"
        latest.append(Deadline(at=end - hurry, why=why))
    return replace(
        _patience(view, at.other),
        deadline=replace(deadline, at=max(deadline.at, _first_tried(view, at.other) + hurry)),
        latest=min(latest, key=lambda one: one.at),
    )


def _deadline(authority: Authority, outgoing: CAGeneration) -> Deadline:
    """Tell from when on neither laggards nor a missing approval hold the new root up."""
    _, ends = _life(outgoing)
    return Deadline(at=ends - 2 * _longest(authority), why=f"root {outgoing.number} ends at {times.rfc3339(ends)}")


def _can_sign(view: View, root: CAGeneration) -> bool:
    signer = view.ledger.active(Role.ISSUING)
    return any(ca is not None and key_of(view.held, ca) is not None for ca in (root, signer))


def _outlived(view: View, going: CAGeneration) -> Gate:
    """Wait until no leaf of a root is in use: until all have ended or, where that is asked for, were replaced."""
    ended = _last_end(view.ledger, going)
    if ended is None:
        return Gate(is_open=True)
    by_time = gates.passed(ended + MARGIN, f"the last certificate of root {going.number} to end", now=view.now)
    rotation, root = view.authority.spec.rotation, view.ledger.active(Role.ROOT)
    is_replaced = rotation.retire is Retire.AFTER_REPLACEMENT or _is_compromised(view.ledger, going)
    if by_time.is_open or not is_replaced or root is None or not _can_sign(view, root):
        return by_time  # without the key of another root nothing is replaced
    patience = _patience(view, going)
    turns = timedelta(seconds=len(view.sight.leaves) / rotation.pace)
    at_the_end = Deadline(at=ended + MARGIN, why="")  # none that anybody would miss: all have ended then
    latest = [at_the_end, *_told_times(view.ledger, going)]
    in_time = replace(patience, excuse=patience.excuse + turns, latest=min(latest, key=lambda one: one.at))
    key_ids = _key_ids(view.ledger, going)
    return gates.replaced(view.sight, key_ids, in_time, root=f"root {going.number}", now=view.now)


def _told_times(ledger: Ledger, root: CAGeneration) -> list[Deadline]:
    """List when a compromised root must be out of trust, as far as that was said."""
    told = [one.by for one in compromises(ledger, root) if one.by is not None]
    return [Deadline(at=by, why=f"root {root.number} is to be out of trust by {times.rfc3339(by)}") for by in told]


def _last_end(ledger: Ledger, root: CAGeneration) -> datetime | None:
    """Tell when the last leaf of a root ends; None where it never signed one."""
    of_root = [root, *(ca for ca in ledger.of(Role.ISSUING) if ca.issuer == root.number)]
    return max((ca.signs_until for ca in of_root if ca.signs_until is not None), default=None)


def _key_ids(ledger: Ledger, root: CAGeneration) -> frozenset[str]:
    """List the key ids of a root and of all issuing CAs of it."""
    return frozenset({root.key_id, *(ca.key_id for ca in ledger.of(Role.ISSUING) if ca.issuer == root.number)})


def approval(view: View, at: Standing) -> str | None:
    """Tell the value of the order `approve` that the next phase asks for; None where it asks for none, or has it."""
    following = {Phase.PUBLISHING: Phase.SIGNING, Phase.SIGNING: Phase.RETIRING}.get(at.phase)
    is_manual = view.authority.spec.rotation.approval is Approval.MANUAL and not is_hasty(view.ledger)
    order, fingerprint = view.authority.orders.approve, at.incoming.fingerprint
    is_given = order is not None and (order.fingerprint, order.phase) == (fingerprint, following)
    return f"{fingerprint}/{following}" if following is not None and is_manual and not is_given else None


def _approved(view: View, at: Standing, found: Gate) -> Gate:
    """Wait for an approval, too, where one is asked for; not past the deadline, nor for a compromised root."""
    asked = approval(view, at)
    deadline = _deadline(view.authority, at.root) if at.phase is Phase.PUBLISHING else None
    if not found.is_open or asked is None:
        return found
    if deadline is not None and view.now >= deadline.at:
        return replace(found, forced=f"it was not approved, and {deadline.why}")
    until = deadline.at if deadline is not None else None
    waits_for = f"the annotation mutualtls.dev/approve: {asked}"
    return Gate(is_open=False, waits_for=waits_for, excused=found.excused, until=until)


def _life(ca: CAGeneration) -> tuple[datetime, datetime]:
    if ca.not_before is None or ca.not_after is None:
        raise TypeError(f"programming error: {ca.role} {ca.number} was not made")
    return ca.not_before, ca.not_after


def _soak(authority: Authority) -> timedelta:
    return times.parse_duration(authority.spec.rotation.soak)


def _longest(authority: Authority) -> timedelta:
    return times.parse_duration(authority.spec.leaf.max_duration)
