"""Orders are read as people write them; what cannot be read is named, and orders nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mutualtls.core.api import orders
from mutualtls.core.api.orders import Approve, Compromise, Orders, Replace
from mutualtls.core.api.states import Phase
from mutualtls.core.model import labels

FINGERPRINT = "0a" * 32
AS_PRINTED = ":".join(["0A"] * 32)
BY = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

READ = [
    pytest.param(labels.ROTATE_ROOT, f"{FINGERPRINT}/2", {"rotate_root": (FINGERPRINT, 2)}, id="rotate-root"),
    pytest.param(labels.ROTATE_ROOT, f"{AS_PRINTED}/12", {"rotate_root": (FINGERPRINT, 12)}, id="as OpenSSL prints it"),
    pytest.param(labels.ROTATE_ROOT, f" {FINGERPRINT}/2\n", {"rotate_root": (FINGERPRINT, 2)}, id="spaces around"),
    pytest.param(labels.ROTATE_ISSUING, f"{FINGERPRINT}/3", {"rotate_issuing": (FINGERPRINT, 3)}, id="rotate-issuing"),
    pytest.param(labels.ROLL_BACK, AS_PRINTED, {"roll_back": FINGERPRINT}, id="roll-back"),
]


@pytest.mark.parametrize(("order", "text", "expected"), READ)
def test_an_order_is_read(order: str, text: str, expected: dict[str, str | tuple[str, int]]) -> None:
    """Fingerprints may be in any case, with colons or without."""
    fields = {
        field: Replace(fingerprint=value[0], number=value[1]) if isinstance(value, tuple) else value
        for field, value in expected.items()
    }

    assert Orders(**fields) == orders.parse({order: text})  # type: ignore[arg-type]  # each has its own type


@pytest.mark.parametrize("phase", [Phase.SIGNING, Phase.RETIRING])
def test_an_approval_is_read(phase: Phase) -> None:
    """It names the incoming root and the phase to enter."""
    found = orders.parse({labels.APPROVE: f"{FINGERPRINT}/{phase}"})

    assert Approve(fingerprint=FINGERPRINT, phase=phase) == found.approve


def test_roots_are_given_up_by_comma() -> None:
    """Each root is named by its fingerprint; an empty one is nothing."""
    found = orders.parse({labels.ABANDON: f"{AS_PRINTED}, {'bb' * 32},"})

    assert frozenset({FINGERPRINT, "bb" * 32}) == found.abandon


@pytest.mark.parametrize(
    ("text", "by"),
    [
        pytest.param(FINGERPRINT, None, id="without a time"),
        pytest.param(f"{FINGERPRINT};by=2030-01-02T03:04:05Z", BY, id="with a time"),
        pytest.param(f"{FINGERPRINT}; by=2030-01-02T04:04:05+01:00", BY, id="in another zone"),
    ],
)
def test_compromised_cas_are_read(text: str, by: datetime | None) -> None:
    """Commas part several, each with its own time."""
    found = orders.parse({labels.COMPROMISED: f"{text},{'bb' * 32}"}).compromised

    assert (Compromise(fingerprint=FINGERPRINT, by=by), Compromise(fingerprint="bb" * 32)) == found


UNREADABLE = [
    pytest.param(labels.ROTATE_ROOT, FINGERPRINT, id="without a number"),
    pytest.param(labels.ROTATE_ROOT, f"{FINGERPRINT}/0", id="number nought"),
    pytest.param(labels.ROTATE_ROOT, f"{FINGERPRINT}/-1", id="a negative number"),
    pytest.param(labels.ROTATE_ROOT, f"{FINGERPRINT}/1234567890", id="too large a number"),
    pytest.param(labels.ROTATE_ROOT, f"{FINGERPRINT[2:]}/2", id="too short a fingerprint"),
    pytest.param(labels.ROTATE_ISSUING, "now", id="a word"),
    pytest.param(labels.APPROVE, f"{FINGERPRINT}/Soon", id="no phase"),
    pytest.param(labels.APPROVE, FINGERPRINT, id="without a phase"),
    pytest.param(labels.ROLL_BACK, "yes", id="no fingerprint"),
    pytest.param(labels.ABANDON, f"{FINGERPRINT},x", id="one of two"),
    pytest.param(labels.COMPROMISED, f"{FINGERPRINT};at=2030-01-02T03:04:05Z", id="another word"),
    pytest.param(labels.COMPROMISED, f"{FINGERPRINT};by=soon", id="no time"),
    pytest.param(labels.COMPROMISED, f"{FINGERPRINT};by=2030-01-02T03:04:05", id="a time without a zone"),
    pytest.param(labels.COMPROMISED, f"{FINGERPRINT};", id="nothing after the semicolon"),
]


@pytest.mark.parametrize(("order", "text"), UNREADABLE)
def test_what_cannot_be_read_is_named_and_orders_nothing(order: str, text: str) -> None:
    """The whole order, with the form that it must have; the others are obeyed."""
    found = orders.parse({order: text, labels.OPERATOR_NAMESPACE: "mutualtls-system"})

    assert Orders(unreadable=found.unreadable) == found
    assert [(order, text)] == [(one.order, one.value) for one in found.unreadable]
    assert found.unreadable[0].message.startswith("must be ")


def test_what_is_repeated_of_an_order_is_short() -> None:
    """It goes into the status, where anybody's text would else be of any length."""
    found = orders.parse({labels.ROLL_BACK: "x" * 10_000})

    assert 256 == len(found.unreadable[0].value)


@pytest.mark.parametrize("annotations", [{}, {labels.ROTATE_ROOT: ""}, {labels.ABANDON: " "}, {"other/roll-back": "x"}])
def test_nothing_is_ordered_by_nothing(annotations: dict[str, str]) -> None:
    """Annotations of others order nothing, either."""
    assert Orders() == orders.parse(annotations)
