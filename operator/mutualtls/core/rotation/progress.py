"""What is said of an authority's CAs in its status: the phase, what it waits for, and which orders are not obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mutualtls.core import times
from mutualtls.core.api.orders import NotObeyed, Replace
from mutualtls.core.api.states import Phase, Role
from mutualtls.core.ca import rotation_state
from mutualtls.core.ca.generations import key_of
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.ca.rotation_state import RotationState
from mutualtls.core.model import labels
from mutualtls.core.rotation import gates, phases
from mutualtls.core.rotation.gates import Gate
from mutualtls.core.rotation.steps import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far things are, for people."""

    phase: Phase = Phase.STABLE
    gate: Gate = field(default_factory=lambda: Gate(is_open=True))
    note: str = ""
    """What else there is to know of the phase."""
    orders: tuple[tuple[str, str], ...] = ()
    """Orders that would be obeyed now: name and value, to be copied."""
    not_obeyed: tuple[NotObeyed, ...] = ()
    """Orders that are there and are not obeyed, and why."""
    skipped: tuple[str, ...] = ()
    """What nobody waits for, as no identity has it: a copy that a mirror keeps, say."""


def of(view: View) -> Progress:
    """Say how far the replacing of a root is."""
    at = rotation_state.of(view.ledger)
    if at is None:
        return Progress(not_obeyed=view.authority.orders.unreadable)
    return Progress(
        phase=at.phase,
        gate=gates.gate(view),
        note=_note(view, at),
        orders=tuple(_offered(view, at)),
        not_obeyed=(*view.authority.orders.unreadable, *_not_obeyed(view, at)),
        skipped=view.rollout.skipped,
    )


def _note(view: View, at: RotationState) -> str:
    """Say of a root that was rolled back to until when no other takes its place by itself."""
    if at.phase is not Phase.STABLE or view.ledger.is_automatic or view.authority.spec.root.secret_ref is not None:
        return ""
    begins = phases.automatic_start(view.authority, view.ledger, at.root)
    return f"after a rollback, root {at.root.number} is not replaced automatically before {times.rfc3339(begins)}"


def _offered(view: View, at: RotationState) -> Iterator[tuple[str, str]]:
    """List the orders that an authority would obey now."""
    is_ours = view.authority.spec.root.secret_ref is None
    if at.phase is Phase.STABLE and is_ours:
        yield labels.ROTATE_ROOT, _order(view.ledger, at.root)
    issuing = view.ledger.active(Role.ISSUING)
    if issuing is not None and not issuing.is_outside and key_of(view.held, at.root) is not None:
        yield labels.ROTATE_ISSUING, _order(view.ledger, issuing)
    if (asked := gates.approval(view, at)) is not None:
        yield labels.APPROVE, asked
    if phases.why_no_roll_back(view, at) is None:
        yield labels.ROLL_BACK, at.incoming.fingerprint


def _order(ledger: Ledger, ca: CAGeneration) -> str:
    return f"{ca.fingerprint}/{ledger.next_number(ca.role)}"


def _not_obeyed(view: View, at: RotationState) -> Iterator[NotObeyed]:
    orders, ledger = view.authority.orders, view.ledger
    if orders.rotate_root is not None and not _is_being_obeyed(orders.rotate_root, at):
        yield from _about(labels.ROTATE_ROOT, orders.rotate_root, ledger, at.root, _why_no_new_root(view, at))
    if orders.rotate_issuing is not None:
        issuing = ledger.active(Role.ISSUING)
        why_not = _why_no_new_issuing(view, at, issuing)
        yield from _about(labels.ROTATE_ISSUING, orders.rotate_issuing, ledger, issuing, why_not)
    is_rolled_back = at.phase in {Phase.WITHDRAWING, Phase.REMOVING} and orders.roll_back == at.incoming.fingerprint
    if orders.roll_back is not None and orders.roll_back != at.outgoing.fingerprint and not is_rolled_back:
        why_not = phases.why_no_roll_back(view, at)
        if orders.roll_back != at.incoming.fingerprint or at.phase is Phase.STABLE:
            why_not = "it names no incoming root"
        if why_not is not None:
            yield NotObeyed(order=labels.ROLL_BACK, value=orders.roll_back, message=why_not)
    approved = (at.incoming.fingerprint, at.to_be_approved)
    if orders.approve is not None and (orders.approve.fingerprint, orders.approve.phase) != approved:
        value = f"{orders.approve.fingerprint}/{orders.approve.phase}"
        yield NotObeyed(order=labels.APPROVE, value=value, message="no root is about to enter that phase")
    yield from _of_lost_and_stolen(view, at)


_PUT_ANOTHER = "put another CA into the Secret that spec.root.secretRef names"


def _is_being_obeyed(order: Replace, at: RotationState) -> bool:
    """Tell whether it is this order by which the root is being replaced, or would be but for a roll-back."""
    is_at_it = at.phase is not Phase.STABLE
    return is_at_it and (order.fingerprint, order.number) == (at.outgoing.fingerprint, at.incoming.number)


def _why_no_new_root(view: View, at: RotationState) -> str | None:
    if view.authority.spec.root.secret_ref is not None:
        return f"the root is of an outside PKI: {_PUT_ANOTHER}"
    return None if at.phase is Phase.STABLE else f"waits until the root rotation is over (phase {at.phase})"


def _why_no_new_issuing(view: View, at: RotationState, issuing: CAGeneration | None) -> str | None:
    if issuing is None or issuing.is_outside:
        return "there is no issuing CA that the operator made"
    return f"the key of root {at.root.number} is gone" if key_of(view.held, at.root) is None else None


def _about(
    order: str, given: Replace, ledger: Ledger, ca: CAGeneration | None, why_not: str | None
) -> Iterator[NotObeyed]:
    """Say why an order to replace a CA is not obeyed; nothing where it is."""
    value = f"{given.fingerprint}/{given.number}"
    if ca is not None and given.number < ledger.next_number(ca.role):
        why_not = f"{ca.role} {given.number} was made already"
    elif ca is not None and why_not is None and not phases.names(given, ca, ledger):
        why_not = f"the order would now be {_order(ledger, ca)}"
    if why_not is not None:
        yield NotObeyed(order=order, value=value, message=why_not)


def _of_lost_and_stolen(view: View, at: RotationState) -> Iterator[NotObeyed]:
    orders, ledger = view.authority.orders, view.ledger
    known = {ca.fingerprint: ca for ca in ledger.generations if ca.fingerprint}
    stays = view.authority.spec.root.secret_ref is not None and at.phase is Phase.STABLE
    for fingerprint in sorted(orders.abandon):
        ca = known.get(fingerprint)
        if ca is None or ca.role != Role.ROOT:
            yield NotObeyed(order=labels.ABANDON, value=fingerprint, message="it names no root of this authority")
        elif key_of(view.held, ca) is not None:
            yield NotObeyed(order=labels.ABANDON, value=fingerprint, message=f"the key of root {ca.number} is there")
        elif stays and ca == at.root:
            message = f"the root is of an outside PKI: {_PUT_ANOTHER}"
            yield NotObeyed(order=labels.ABANDON, value=fingerprint, message=message)
    for ordered in orders.compromised:
        ca = known.get(ordered.fingerprint)
        if ca is None:
            message = "it names no CA of this authority"
            yield NotObeyed(order=labels.COMPROMISED, value=ordered.fingerprint, message=message)
        elif stays and _root_of(ca) == at.root.number:
            message = (
                f"root {at.root.number} is of an outside PKI and stays trusted: {_PUT_ANOTHER}, under another root"
            )
            yield NotObeyed(order=labels.COMPROMISED, value=ordered.fingerprint, message=message)


def _root_of(ca: CAGeneration) -> int:
    """Tell the number of the root that a CA is under, or is."""
    return ca.number if ca.issuer is None else ca.issuer
