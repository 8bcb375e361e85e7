"""What is written keeps within its own schema, and a note of an Event within its bytes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core import fitting
from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus, NextStatus, OrderStatus
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.states import Role, State
from mutualtls.core.api.status import CertificateStatus, Condition

LONG = "é" * 20000


def condition(number: int) -> Condition:
    """One that is too long everywhere."""
    return Condition(
        type=f"{number}{LONG}", status="True", reason=LONG, message=LONG, observed_generation=1, last_transition_time=""
    )


LONGEST = [
    pytest.param(
        IdentityStatus(
            conditions=tuple(map(condition, range(20))),
            certificate=CertificateStatus(
                serial_number=LONG,
                fingerprint=LONG,
                public_key_hash=LONG,
                not_before="",
                not_after="",
                renewal_time="",
                issuer_key_id=LONG,
            ),
            secret_name=LONG,
            bundle=LONG,
            held_names=LONG,
            reissued=LONG,
        ),
        id="identity",
    ),
    pytest.param(
        AuthorityStatus(
            conditions=tuple(map(condition, range(20))),
            next=NextStatus(
                waits_for=LONG,
                laggards=(LONG,) * 20,
                excused_names=(LONG,) * 20,
                skipped_names=(LONG,) * 20,
                forced=LONG,
            ),
            orders=(OrderStatus(order=LONG, value=LONG, message=LONG),) * 60,
            generations=(
                CAStatus(
                    role=Role.ROOT,
                    number=1,
                    state=State.ACTIVE,
                    fingerprint=LONG,
                    key_id=LONG,
                    not_after="",
                    certificate=LONG,
                ),
            )
            * 90,
            bundle=LONG,
        ),
        id="authority",
    ),
]


def bounds_broken(value: Any, schema: dict[str, Any], schemas: dict[str, Any], path: str = "") -> list[str]:
    """List where a value is longer than a JSON schema says."""
    for other in schema.get("anyOf", ()):
        schema = schema | other if value is not None and other.get("type") != "null" else schema
    schema = schema | schemas.get(str(schema.get("$ref", "")).rpartition("/")[2], {})
    broken = [path] if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)) else []
    if isinstance(value, list):
        broken += [path] if len(value) > schema.get("maxItems", len(value)) else []
        for one in value:
            broken += bounds_broken(one, schema.get("items", {}), schemas, f"{path}[]")
    if isinstance(value, dict):
        for name, below in value.items():
            broken += bounds_broken(below, schema.get("properties", {}).get(name, {}), schemas, f"{path}.{name}")
    return broken


@pytest.mark.parametrize("longest", LONGEST)
def test_what_is_too_long_is_cut_to_what_the_schema_allows(longest: msgspec.Struct) -> None:
    """The schema that the CRD is written from bounds every text and list of a status, at every depth."""
    (schema,), schemas = msgspec.json.schema_components([type(longest)])
    assert bounds_broken(msgspec.to_builtins(longest), schema, schemas)

    fitted = fitting.fitted(longest)
    assert [] == bounds_broken(msgspec.to_builtins(fitted), schema, schemas)
    assert fitted is fitting.fitted(fitted)


def test_what_fits_is_left_as_it_is() -> None:
    """A text as long as its bound fits."""
    fits = IdentityStatus(secret_name="a" * 253, bundle="b" * 80)

    assert fits is fitting.fitted(fits)


@given(st.lists(st.text(max_size=400), max_size=40))
def test_no_note_is_longer_than_an_event_may_have(statements: list[str]) -> None:
    """The limit counts bytes; a note that fits is left as it is."""
    text = "; ".join(one.encode(errors="ignore").decode() for one in statements)
    note = fitting.note(text)

    assert len(note.encode()) <= fitting.LONGEST_NOTE
    assert len(text.encode()) > fitting.LONGEST_NOTE or note == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "; ".join(["é" * 100] * 30), "; ".join(["é" * 100] * 4) + "; and 26 more: see the status", id="many"
        ),
        pytest.param(
            "; ".join(["é" * 100] * 10) + "; and 20 more",
            "; ".join(["é" * 100] * 4) + "; and 26 more: see the status",
            id="some of which were left out before",
        ),
        pytest.param("é" * 600, "é" * 510 + "…", id="one that is too long"),
        pytest.param("é" * 600 + "; a", "é" * 496 + "…; and 1 more: see the status", id="one that is too long of two"),
    ],
)
def test_a_note_says_how_many_more_there_are(text: str, expected: str) -> None:
    """Statements are told apart by semicolons."""
    assert expected == fitting.note(text)
