"""Texts that many objects have in common."""

from __future__ import annotations

import msgspec
import pytest

from mutualtls.core.model.shared import share


class Told(msgspec.Struct, frozen=True):
    """What is read again and again."""

    reason: str | None
    message: str = ""

    def __post_init__(self) -> None:
        share(self, "reason")


def read(text: str) -> Told:
    """Read one, of which every text is an object of its own."""
    return msgspec.json.decode(msgspec.json.encode({"reason": text, "message": text}), type=Told)


def test_equal_texts_of_two_objects_are_one() -> None:
    """Those of fields that are not named stay two."""
    first, second = read("a" * 64), read("a" * 64)

    assert first.reason is second.reason
    assert first.message is not second.message


@pytest.mark.parametrize("reason", [None, "a" * 1000])
def test_what_is_absent_or_long_stays_as_it_is(reason: str | None) -> None:
    """Long texts would fill the memory of what is shared."""
    assert reason is Told(reason).reason
