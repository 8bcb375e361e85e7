"""How the CA generations of an authority come about and go, step by step: a pure function of a `View`.

Making a CA takes three steps, so that a crash between any two is mended by taking the next one again: the ledger
announces it; its Secret is created, or taken as it is where there is one; the ledger records its certificate. Only then
is it published or used. No CA is ever made where one ought to be. How a root is replaced is in `phases`.

A CA that signs no more goes when nothing that it signed lives any more: the ledger says so, its Secret is deleted, and
one of the same name with the certificate alone takes its place, so that its number is never used again.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from mutualtls.core import times
from mutualtls.core.api.states import SIGNING, CAId, Role, State
from mutualtls.core.ca import generations
from mutualtls.core.ca.generations import Tombstone, key_of
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark, mark_of
from mutualtls.core.ca.source import Source
from mutualtls.core.model import labels
from mutualtls.core.pki import certificates, name_constraints
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import phases
from mutualtls.core.rotation.gates import MARGIN
from mutualtls.core.rotation.phases import announced, moved
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Step, View, Write


def next_step(view: View) -> Step:
    """Say the next step for an authority whose spec has no fault."""
    step = _next_step(view)
    if isinstance(step, Write):
        return Write(phases.begun(view.authority, step.ledger, view.now))
    return step


def _next_step(view: View) -> Step:
    step = (
        _note(view)
        or _bury(view)
        or phases.note_compromised(view)
        or _make(view)
        or _follow_source(view)
        or _retire_unused(view)
        or _begin_task(view)
        or phases.advance(view)
    )
    if step is not None:
        return step
    root = view.ledger.active(Role.ROOT)
    if root is None and view.ledger.active(Role.ISSUING) is not None:
        message = "there is an issuing CA, but no certificate of its root: restore the root's Secret from a backup"
        return Hold(Reason.LEDGER_LOST, message)
    if root is None:
        return _begin(view)
    if root.is_keyless:
        return _sign_by_intermediate(view, root)
    return _sign_by_issuing(view, root) if generations.is_tiered(view.authority, root) else _sign_by_root(view, root)


# What is noted


def _note(view: View) -> Note | None:
    """Have what the ledger says of the roots stand in the Secret of each that has its key.

    Of a root whose key is elsewhere, or gone, it stands in the Secrets of the issuing CAs under it.
    """
    mark = mark_of(view.ledger)
    for root in view.ledger.of(Role.ROOT):
        if root.state in _MARKED:
            under = [ca for ca in view.ledger.under(root) if ca.state in _MARKED]
            for ca in [root] if key_of(view.held, root) is not None else under:
                found = view.marks.get(ca.id)
                if key_of(view.held, ca) is not None and (found is None or not found.says_as(mark)):
                    return Note(ca, mark)
    return None


def _begin_task(view: View) -> Write | None:
    """Note when something is begun by a change of the spec alone."""
    ledger = phases.begun(view.authority, view.ledger, view.now)
    return Write(ledger) if ledger != view.ledger else None


# Who signs


def _begin(view: View) -> Step:
    """Announce the first root."""
    reference = view.authority.spec.root.secret_ref
    if reference is not None and view.source is None:
        return Hold(
            Reason.SOURCE_INVALID, f"there is no CA that can be used in Secret {reference.name}{_why_no_source(view)}"
        )
    return Write(phases.with_new_root(view))


def _sign_by_issuing(view: View, root: CAGeneration) -> Step:
    """See to an issuing CA that signs. One whose key is lost is replaced by itself, as long as the root's is there."""
    ledger, now = view.ledger, view.now
    root_ca = key_of(view.held, root)
    issuing = ledger.active(Role.ISSUING)
    issuing_ca = key_of(view.held, issuing) if issuing else None
    if issuing is not None and issuing_ca is not None and issuing.issuer == root.number:
        if root_ca is not None and _is_to_be_replaced(view, issuing, issuing_ca, root_ca):
            return Write(announced(ledger, Role.ISSUING, root))
        lost = None if root_ca is not None else _root_lost(view, root)
        return _sign(view, issuing_ca, lost, also=[_half(issuing_ca)] if _gains(issuing_ca, root_ca) else [])
    if root_ca is None:
        which = f"the key of issuing CA {issuing.number} is gone, too, and " if issuing else ""
        return Hold(Reason.KEY_LOST, which + _root_lost(view, root))
    if issuing is not None:
        ledger = ledger.put(moved(issuing, State.LOST if issuing_ca is None else State.RETIRING, now))
    return Write(announced(ledger, Role.ISSUING, root))


def _is_to_be_replaced(view: View, issuing: CAGeneration, issuing_ca: CA, root_ca: CA) -> bool:
    """Tell whether another issuing CA is to sign: by order, for other name constraints, or at half its life."""
    order = view.authority.orders.rotate_issuing
    if order is not None and phases.names(order, issuing, view.ledger):
        return True
    wanted = name_constraints.extension(view.authority.compiled.constraints)
    if name_constraints.of_certificate(issuing_ca.certificate) != wanted and view.now < root_ca.validity.not_after:
        return True
    return view.now >= _half(issuing_ca) and _gains(issuing_ca, root_ca)


def _gains(issuing: CA, root: CA | None) -> bool:
    """Tell whether an issuing CA that lives longer can be made."""
    return root is not None and root.validity.not_after > issuing.validity.not_after


def _half(issuing: CA) -> datetime:
    return issuing.validity.not_after - issuing.validity.life / 2


def _sign_by_root(view: View, root: CAGeneration) -> Step:
    """Have the root sign leaves itself, and no issuing CA any more."""
    issuing = view.ledger.active(Role.ISSUING)
    if issuing is not None:
        return Write(view.ledger.put(moved(issuing, State.RETIRING, view.now)))
    root_ca = key_of(view.held, root)
    return _sign(view, root_ca) if root_ca is not None else Hold(Reason.KEY_LOST, _root_lost(view, root))


def _sign_by_intermediate(view: View, root: CAGeneration) -> Step:
    """Have the intermediate of an outside PKI sign, whose root's key is elsewhere."""
    issuing = view.ledger.active(Role.ISSUING)
    issuing_ca = key_of(view.held, issuing) if issuing else None
    if root.not_after is not None and view.now >= root.not_after:
        return Hold(Reason.CA_EXPIRED, f"root {root.number} expired at: {times.rfc3339(root.not_after)}")
    if issuing_ca is not None:
        return _sign(view, issuing_ca)
    reference = view.authority.spec.root.secret_ref
    where = f"Secret {reference.name}" if reference else "the Secret that spec.root.secretRef names"
    if issuing is None:
        message = f"there is no intermediate under root {root.number}: put one into {where}{_why_no_source(view)}"
        return Hold(Reason.SOURCE_INVALID, message)
    message = (
        f"the key of issuing CA {issuing.number} is gone: restore its Secret from a backup, or put it or another "
        f"intermediate into {where}{_why_no_source(view)}"
    )
    return Hold(Reason.KEY_LOST, message)


def _why_no_source(view: View) -> str:
    """Say why the source brings nothing; empty where it does."""
    return f": {view.source_fault}" if view.source_fault else ""


def _sign(view: View, ca: CA, lost: str | None = None, *, also: list[datetime] | None = None) -> Step:
    """Sign with a CA until it ends; look again when something is due by time alone."""
    if view.now >= ca.validity.not_after:
        return Hold(Reason.CA_EXPIRED, f"the CA that signs expired at: {times.rfc3339(ca.validity.not_after)}")
    going = (one for one in view.ledger.of(Role.ISSUING) if one.state in _GOING)
    ends = [one.signs_until + MARGIN for one in going if one.signs_until is not None]
    roots = [root] if (root := view.ledger.active(Role.ROOT)) and view.authority.spec.root.secret_ref is None else []
    begins = [phases.automatic_start(view.authority, view.ledger, root) for root in roots]
    due = min((moment for moment in [*ends, *begins, *(also or [])] if moment > view.now), default=None)
    return Sign(ca, lost or _still_trusted(view), next_check=due)


def _still_trusted(view: View) -> str | None:
    """Tell of a root without a key that was found when a ledger was rebuilt, and that its leaves still need."""
    lost = next((ca for ca in view.ledger.of(Role.ROOT) if ca.state == State.LOST), None)
    if lost is None:
        return None
    until = times.rfc3339(lost.signs_until or view.now)
    return f"root {lost.number} has no key and stays in the bundle until {until}; its fingerprint is {lost.fingerprint}"


def _root_lost(view: View, root: CAGeneration) -> str:
    """Say what to do about a root whose key is gone, or what is being done."""
    if view.authority.spec.root.secret_ref is not None:
        where = "the Secret that spec.root.secretRef names"
        return (
            f"the key of root {root.number} is gone: restore its Secret from a backup, or put it or another CA into "
            f"{where}"
        )
    if root.fingerprint in view.authority.orders.abandon:
        return f"the key of root {root.number} is gone and was given up: another root takes its place"
    return (
        f"the key of root {root.number} is gone: restore its Secret from a backup, or give it up for good by the "
        f"annotation {labels.ABANDON}: {root.fingerprint}"
    )


# Making and burying

_MARKED = frozenset({State.PUBLISHED, State.ACTIVE, State.RETIRING, State.WITHDRAWN, State.LOST})
"""States of CAs whose Secrets say how far things are."""
_GOING = frozenset({State.RETIRING, State.WITHDRAWN, State.LOST})


def _bury(view: View) -> Step | None:
    """Put a tombstone where a CA was, before another number is taken; delete the key of a root that is elsewhere."""
    unburied = next((ca for ca in view.ledger.generations if _is_to_be_buried(view, ca)), None)
    return Bury(unburied) if unburied else None


def _is_to_be_buried(view: View, ca: CAGeneration) -> bool:
    held = view.held[ca.id]
    if ca.state == State.GONE:
        return not isinstance(held, Tombstone)
    if not ca.is_keyless or not isinstance(held, CA):
        return False
    under = (one for one in view.ledger.under(ca) if one.state in SIGNING)
    return any(one.is_outside and key_of(view.held, one) is not None for one in under)


def _make(view: View) -> Step | None:
    """Bring the making of a CA to its end: record it, or give its number up where it cannot be made any more."""
    making = next((ca for ca in view.ledger.generations if ca.state == State.MAKING), None)
    if making is None:
        return None
    made = view.held[making.id]
    if isinstance(made, CA):
        return Write(_recorded(view.ledger, making, made, view.now))
    if isinstance(made, Tombstone) or not _can_be_made(view, making):
        return Write(view.ledger.put(moved(making, State.GONE, view.now)))
    return Make(making)


def mark_of_made(view: View, announced: CAGeneration, made: CA) -> Mark:
    """Say what the ledger will when it has recorded a CA that is being made: its Secret is made with that."""
    if announced.state != State.MAKING:
        return mark_of(view.ledger)
    return mark_of(_recorded(view.ledger, announced, made, view.now))


def _can_be_made(view: View, making: CAGeneration) -> bool:
    """Tell whether there still is what an announced CA is made from."""
    if making.is_outside:
        return view.source is not None and _brings(view.source, making, view.ledger)
    return making.issuer is None or isinstance(view.held[CAId(Role.ROOT, making.issuer)], CA)


def _brings(source: Source, making: CAGeneration, ledger: Ledger) -> bool:
    """Tell whether a source still is what was announced: another root, or another intermediate of that very root."""
    there = {ca.fingerprint for ca in ledger.generations if ca.state != State.GONE}
    if certificates.fingerprint(source.signer.certificate) in there:
        return False
    if making.issuer is None:
        return not source.is_intermediate
    issuer = ledger.find(Role.ROOT, making.issuer)
    is_under_it = issuer is not None and certificates.fingerprint(source.root) == issuer.fingerprint
    return source.is_intermediate and is_under_it


def _follow_source(view: View) -> Step | None:
    """Have the key that the source brings of a CA that is used, and of a root none that it does not bring any more.

    A lost one is copied again. A root whose key moves elsewhere, or back, stays what it is: nobody's bundle changes.
    """
    source = view.source
    if source is None:
        return None
    root, signer = (phases.used(view.ledger, one) for one in (source.root, source.signer.certificate))
    if root is not None and root.is_keyless != source.is_intermediate:
        return Write(view.ledger.put(msgspec.structs.replace(root, is_keyless=source.is_intermediate)))
    return Make(signer) if signer is not None and view.held[signer.id] is None else None


def _recorded(ledger: Ledger, making: CAGeneration, made: CA, now: datetime) -> Ledger:
    """Record a made CA. A first one signs from now on; another root, and what is under it, is published first.

    Raises:
        AuthorityError: what the Secret holds is not the CA that was announced.
    """
    generations.check_made(ledger, making, made.certificate)
    before = ledger.active(making.role)
    root = ledger.active(Role.ROOT)
    is_for_later = root is not None and (making.role == Role.ROOT or making.issuer != root.number)
    if not is_for_later and before is not None:
        ledger = ledger.put(moved(before, State.RETIRING, now))
    state = State.PUBLISHED if is_for_later else State.ACTIVE
    return ledger.put(
        moved(generations.described(making, made.certificate, state, intermediates=made.intermediates), state, now)
    )


def _retire_unused(view: View) -> Step | None:
    """Retire an issuing CA when nothing that it signed lives any more; a lost root after all its issuing CAs.

    Those of a root that is coming or going stay with it: they may have to sign again.
    """
    ledger = view.ledger
    kept = {ca.number for ca in ledger.of(Role.ROOT) if ca.state in {State.PUBLISHED, State.RETIRING, State.WITHDRAWN}}
    needed = {ca.issuer for ca in ledger.of(Role.ISSUING) if ca.state != State.GONE}
    for ca in ledger.generations:
        is_issuing = ca.role == Role.ISSUING and ca.state in _GOING and ca.issuer not in kept
        is_lost_root = ca.role == Role.ROOT and ca.state == State.LOST and ca.number not in needed
        is_over = ca.signs_until is None or ca.signs_until + MARGIN <= view.now
        if (is_issuing or is_lost_root) and is_over:
            return Write(ledger.put(moved(ca, State.GONE, view.now)))
    return None
