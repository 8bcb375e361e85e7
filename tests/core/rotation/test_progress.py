"""What an authority's status says: the phase, what it waits for, what may be ordered, and what is not obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mutualtls.core import times
from mutualtls.core.api import orders
from mutualtls.core.api.orders import Approve, Compromise, Replace
from mutualtls.core.api.states import CAId, Phase, Role
from mutualtls.core.model import labels
from mutualtls.core.rotation import phases, progress
from mutualtls.core.rotation.steps import Sign
from support.builders import DAY, NOW, Home, authority
from support.fleet import Fleet, fleet
from support.outside_cas import of_root
from support.phases import at_phase

ROTATE_ROOT, ROTATE_ISSUING, ROLL_BACK = labels.ROTATE_ROOT, labels.ROTATE_ISSUING, labels.ROLL_BACK


@pytest.mark.parametrize(
    ("phase", "offered"),
    [
        pytest.param(Phase.STABLE, {ROTATE_ROOT, ROTATE_ISSUING}, id="Stable"),
        pytest.param(Phase.PUBLISHING, {ROTATE_ISSUING, ROLL_BACK}, id="Publishing"),
        pytest.param(Phase.SIGNING, {ROTATE_ISSUING, ROLL_BACK}, id="Signing"),
        pytest.param(Phase.RETIRING, {ROTATE_ISSUING}, id="Retiring"),
        pytest.param(Phase.WITHDRAWING, {ROTATE_ISSUING}, id="Withdrawing"),
        pytest.param(Phase.REMOVING, {ROTATE_ISSUING}, id="Removing"),
    ],
)
def test_which_orders_would_be_obeyed(phase: Phase, offered: set[str]) -> None:
    """Users can copy each as it is."""
    made = at_phase(phase)

    assert phase is made.told.phase
    assert offered == {order for order, _ in made.told.orders}
    annotations = dict(made.told.orders)
    assert () == orders.parse(annotations).unreadable


def test_an_approval_is_offered_until_it_is_given() -> None:
    """It is offered for the next phase, if that needs one."""
    made = fleet("a", approval="Manual")
    made.rotate()
    made.settle()
    offered = dict(made.told.orders)[labels.APPROVE]
    made.order(approve=orders.parse({labels.APPROVE: offered}).approve)
    made.settle()

    assert f"{made.root(2).fingerprint}/Signing" == offered
    assert labels.APPROVE not in dict(made.told.orders)
    made.run_until(Phase.SIGNING)
    assert f"{made.root(2).fingerprint}/Retiring" == dict(made.told.orders)[labels.APPROVE]


@pytest.mark.parametrize("order", [ROTATE_ROOT, ROTATE_ISSUING])
def test_an_order_that_is_offered_is_obeyed(order: str) -> None:
    """A user can copy it as it is printed."""
    made = fleet("a")
    read = orders.parse(dict(made.told.orders))
    made.order(rotate_root=read.rotate_root if order == ROTATE_ROOT else None)
    made.order(rotate_issuing=read.rotate_issuing if order == ROTATE_ISSUING else None)
    role = Role.ROOT if order == ROTATE_ROOT else Role.ISSUING
    made.settle()

    assert 2 == len(made.ledger.of(role))


def not_obeyed(made: Fleet) -> dict[str, str]:
    """Say which orders are not obeyed, and why."""
    made.settle()
    return {one.order: one.message for one in made.told.not_obeyed}


FP = "ab" * 32
REFUSED: list[Any] = [
    pytest.param(
        lambda made: {"rotate_root": Replace(fingerprint=made.root(1).fingerprint, number=1)},
        {ROTATE_ROOT: "root 1 was made already"},
        id="a number that is taken",
    ),
    pytest.param(
        lambda made: {"rotate_root": Replace(fingerprint=made.root(1).fingerprint, number=7)},
        {ROTATE_ROOT: "the order would now be {root}/2"},
        id="a number too far",
    ),
    pytest.param(
        lambda _: {"rotate_root": Replace(fingerprint=FP, number=2)},
        {ROTATE_ROOT: "the order would now be {root}/2"},
        id="another root",
    ),
    pytest.param(lambda _: {"roll_back": FP}, {ROLL_BACK: "it names no incoming root"}, id="no root that comes"),
    pytest.param(
        lambda _: {"approve": Approve(fingerprint=FP, phase=Phase.SIGNING)},
        {labels.APPROVE: "no root is about to enter that phase"},
        id="nothing to approve",
    ),
    pytest.param(
        lambda made: {"abandon": frozenset({made.root(1).fingerprint})},
        {labels.ABANDON: "the key of root 1 is there"},
        id="a root that is not lost",
    ),
    pytest.param(
        lambda _: {"abandon": frozenset({FP})},
        {labels.ABANDON: "it names no root of this authority"},
        id="another's root given up",
    ),
    pytest.param(
        lambda _: {"compromised": (Compromise(fingerprint=FP),)},
        {labels.COMPROMISED: "it names no CA of this authority"},
        id="another's CA reported",
    ),
]


@pytest.mark.parametrize(("order", "said"), REFUSED)
def test_what_is_not_obeyed_is_said(order: Callable[[Fleet], dict[str, Any]], said: dict[str, str]) -> None:
    """The status also says why."""
    made = fleet("a")
    made.order(**order(made))
    expected = {name: text.format(root=made.root(1).fingerprint) for name, text in said.items()}

    assert expected == not_obeyed(made)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.STABLE])
def test_nothing_is_said_of_an_order_that_is_being_obeyed(phase: Phase) -> None:
    """Orders to replace the root and to roll back are silent until they are over."""
    made = at_phase(phase)
    assert made.of.orders.rotate_root is not None

    assert {} == not_obeyed(made)


def test_an_order_that_was_obeyed_is_said_to_be() -> None:
    """It may stay where it is."""
    made = at_phase(Phase.RETIRING)
    made.run_until(Phase.STABLE)

    assert {ROTATE_ROOT: "root 2 was made already"} == not_obeyed(made)


def test_an_order_for_another_root_waits_while_one_is_replaced() -> None:
    """The status says that it waits."""
    made = at_phase(Phase.PUBLISHING)
    made.order(rotate_root=Replace(fingerprint=made.root(2).fingerprint, number=3))

    assert {ROTATE_ROOT: "waits until the root rotation is over (phase Publishing)"} == not_obeyed(made)


def test_an_issuing_ca_is_not_replaced_without_the_key_of_its_root() -> None:
    """The status gives this as the reason."""
    made = fleet("a")
    made.order(rotate_issuing=orders.parse(dict(made.told.orders)).rotate_issuing)
    made.home.lose(CAId(Role.ROOT, 1))

    assert {ROTATE_ISSUING: "the key of root 1 is gone"} == not_obeyed(made)


def test_after_a_roll_back_it_is_said_when_the_root_is_replaced_by_itself() -> None:
    """That may be late, and nobody would know else."""
    made = at_phase(Phase.REMOVING)
    made.run_until(Phase.STABLE)
    begins = times.rfc3339(phases.automatic_start(made.of, made.ledger, made.root(1)))

    assert f"after a rollback, root 1 is not replaced automatically before {begins}" == made.told.note
    made.rotate()
    made.settle()
    assert "" == made.told.note


def test_an_outside_root_is_not_replaced_by_order() -> None:
    """The message says where to put another one."""
    home, of = Home(source=of_root()), authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp")
    home.walk(of)
    order = orders.Orders(rotate_root=Replace(fingerprint=home.recorded(CAId(Role.ROOT, 1)).fingerprint, number=2))
    told = progress.of(home.view(msgspec.structs.replace(of, orders=order), now=NOW + DAY))

    assert ROTATE_ROOT not in dict(told.orders)
    assert [f"the root is of an outside PKI: {PUT_ANOTHER}"] == [one.message for one in told.not_obeyed]


PUT_ANOTHER = "put another CA into the Secret that spec.root.secretRef names"


@pytest.mark.parametrize("ca", [CAId(Role.ROOT, 1), CAId(Role.ISSUING, 1)])
def test_an_outside_root_that_stays_trusted_is_never_reported_as_dealt_with(ca: CAId) -> None:
    """This holds for each of its CAs: the operator cannot create another root here."""
    home, of = Home(source=of_root()), authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp")
    home.walk(of)
    told = Compromise(fingerprint=home.recorded(ca).fingerprint)
    after = msgspec.structs.replace(of, orders=orders.Orders(compromised=(told,)))
    home.walk(after)

    assert [f"root 1 is of an outside PKI and stays trusted: {PUT_ANOTHER}, under another root"] == [
        one.message for one in progress.of(home.view(after, now=NOW + DAY)).not_obeyed
    ]


def test_an_outside_root_is_not_given_up_for_one_of_ours() -> None:
    """It is said what to do instead, by the order and by what holds the authority up."""
    home, of = Home(source=of_root()), authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp")
    home.walk(of)
    home.lose(CAId(Role.ROOT, 1))
    home.source = None
    order = orders.Orders(abandon=frozenset({home.recorded(CAId(Role.ROOT, 1)).fingerprint}))
    after = msgspec.structs.replace(of, orders=order)

    assert [f"the root is of an outside PKI: {PUT_ANOTHER}"] == [
        one.message for one in progress.of(home.view(after, now=NOW + DAY)).not_obeyed
    ]
    step = home.walk(after)
    assert isinstance(step, Sign)
    expected = (
        "the key of root 1 is gone: restore its Secret from a backup, or put it or another CA into the Secret that "
        "spec.root.secretRef names"
    )
    assert expected == step.lost


def test_before_there_is_a_root_only_unreadable_orders_are_told() -> None:
    """Nothing else can be said."""
    told = progress.of(Home().view(authority(abandon="x")))

    assert (Phase.STABLE, [labels.ABANDON]) == (told.phase, [one.order for one in told.not_obeyed])


def test_who_lags_is_told_by_name() -> None:
    """The status names it until it is excused, and then says so."""
    made = fleet("a", "b")
    made.members["b"].is_blocked = True
    made.rotate()
    made.settle()
    before = made.told.gate
    made.run(made.laggards)

    assert (("secret shop/b",), ()) == (before.laggards, before.excused)
    assert ((), ("secret shop/b",)) == (made.told.gate.laggards, made.told.gate.excused)
