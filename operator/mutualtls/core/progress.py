"""What is said of an authority's CAs in its status: the phase, what it waits for, and which orders are not obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mutualtls.core import labels, phases
from mutualtls.core.gates import Gate
from mutualtls.core.generations import key_of
from mutualtls.core.ledger import CAGeneration, Ledger, Role
from mutualtls.core.orders import NotObeyed, Phase, Replace
from mutualtls.core.phases import Standing
from mutualtls.core.steps import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far things are, for people."""

    phase: Phase = Phase.STABLE
    gate: Gate = field(default_factory=lambda: Gate(is_open=True))
    orders: tuple[tuple[str, str], ...] = ()
    """Orders that would be obeyed now: name and value, to be copied."""
    not_obeyed: tuple[NotObeyed, ...] = ()
    """Orders that are there and are not obeyed, and why."""


def of(view: View) -> Progress:
    """Say how far the replacing of a root is."""
    at = phases.standing(view.ledger)
    if at is None:
        return Progress(not_obeyed=view.authority.orders.unreadable)
    return Progress(
        phase=at.phase,
        gate=phases.gate(view),
        orders=tuple(_offered(view, at)),
        not_obeyed=(*view.authority.orders.unreadable, *_not_obeyed(view, at)),
    )


def _offered(view: View, at: Standing) -> Iterator[tuple[str, str]]:
    """List the orders that an authority would obey now."""
    is_ours = view.authority.spec.root.secret_ref is None
    if at.phase is Phase.STABLE and is_ours:
        yield labels.ROTATE_ROOT, _order(view.ledger, at.root)
    issuing = view.ledger.active(Role.ISSUING)
    if issuing is not None and not issuing.is_outside and key_of(view.held, at.root) is not None:
        yield labels.ROTATE_ISSUING, _order(view.ledger, issuing)
    if phases.why_no_roll_back(view, at) is None:
        yield labels.ROLL_BACK, at.incoming.fingerprint


def _order(ledger: Ledger, ca: CAGeneration) -> str:
    return f"{ca.fingerprint}/{ledger.next_number(ca.role)}"


def _not_obeyed(view: View, at: Standing) -> Iterator[NotObeyed]:
    orders, ledger = view.authority.orders, view.ledger
    if orders.rotate_root is not None:
        yield from _about(labels.ROTATE_ROOT, orders.rotate_root, ledger, at.root, _why_no_new_root(view, at))
    if orders.rotate_issuing is not None:
        issuing = ledger.active(Role.ISSUING)
        why_not = "there is no issuing CA of ours" if issuing is None or issuing.is_outside else None
        yield from _about(labels.ROTATE_ISSUING, orders.rotate_issuing, ledger, issuing, why_not)
    if orders.roll_back is not None and orders.roll_back != at.outgoing.fingerprint:
        why_not = phases.why_no_roll_back(view, at)
        if orders.roll_back != at.incoming.fingerprint or at.phase is Phase.STABLE:
            why_not = "it names no root that is coming"
        if why_not is not None:
            yield NotObeyed(order=labels.ROLL_BACK, value=orders.roll_back, message=why_not)
    if orders.approve is not None:
        following = {Phase.PUBLISHING: Phase.SIGNING, Phase.SIGNING: Phase.RETIRING}.get(at.phase)
        if (orders.approve.fingerprint, orders.approve.phase) != (at.incoming.fingerprint, following):
            value = f"{orders.approve.fingerprint}/{orders.approve.phase}"
            yield NotObeyed(order=labels.APPROVE, value=value, message="no root is about to enter that phase")
    yield from _of_lost_and_stolen(view)


def _why_no_new_root(view: View, at: Standing) -> str | None:
    if view.authority.spec.root.secret_ref is not None:
        return "the root is an outside one: put another CA into the Secret that spec.root.secretRef names"
    return None if at.phase is Phase.STABLE else f"waits, as the root is being replaced (phase {at.phase})"


def _about(
    order: str, given: Replace, ledger: Ledger, ca: CAGeneration | None, why_not: str | None
) -> Iterator[NotObeyed]:
    """Say why an order to replace a CA is not obeyed; nothing where it is."""
    value = f"{given.fingerprint}/{given.number}"
    if ca is not None and why_not is None and not phases.names(given, ca, ledger):
        number = given.number < ledger.next_number(ca.role)
        why_not = (
            f"{ca.role} {given.number} was made already" if number else f"the order now would be {_order(ledger, ca)}"
        )
    if why_not is not None:
        yield NotObeyed(order=order, value=value, message=why_not)


def _of_lost_and_stolen(view: View) -> Iterator[NotObeyed]:
    orders, ledger = view.authority.orders, view.ledger
    known = {ca.fingerprint: ca for ca in ledger.generations if ca.fingerprint}
    for fingerprint in sorted(orders.abandon):
        ca = known.get(fingerprint)
        if ca is None or ca.role != Role.ROOT:
            yield NotObeyed(order=labels.ABANDON, value=fingerprint, message="it names no root of this authority")
        elif key_of(view.held, ca) is not None:
            yield NotObeyed(order=labels.ABANDON, value=fingerprint, message=f"the key of root {ca.number} is there")
    for told in orders.compromised:
        if told.fingerprint not in known:
            message = "it names no CA of this authority"
            yield NotObeyed(order=labels.COMPROMISED, value=told.fingerprint, message=message)
