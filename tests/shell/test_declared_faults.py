"""Faults between operator and API server: how they are declared by hand, and what they do to watches."""

from __future__ import annotations

import json
import random

import pytest

from devtools.clusters import faults
from devtools.clusters.faults import (
    Asked,
    Double,
    Effect,
    Fault,
    HalfLine,
    Lines,
    Lose,
    NoBookmarks,
    NoSuchFaultError,
    Refuse,
    Reorder,
    WatchError,
)

WATCH = Asked(method="GET", path="/api/v1/secrets", query={"watch": "true"})


def in_effect(fault: Fault) -> Effect:
    """Put a fault into effect."""
    return Effect(fault, random.Random(7))  # noqa: S311 - repeatable


def line(name: str, kind: str = "ADDED") -> bytes:
    """Write an event."""
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


def names(content: bytes) -> str:
    """Name what came, in order."""
    return "".join(json.loads(one)["object"]["metadata"].get("name", "!") for one in content.splitlines())


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        pytest.param(Double(times=1), "aabc", id="doubled"),
        pytest.param(Lose(times=1), "bc", id="lost"),
        pytest.param(Reorder(times=1), "bac", id="out of order"),
        pytest.param(NoBookmarks(), "abc", id="bookmarks alone"),
        pytest.param(WatchError(), "!", id="an error"),
        pytest.param(Lose(contains="/configmaps"), "abc", id="of another resource"),
    ],
)
def test_events_of_a_watch_come_as_the_fault_says(fault: Fault, sent: str) -> None:
    """Three events and a bookmark are sent until the watch is cut."""
    lines, effects = Lines(WATCH), [in_effect(fault)]
    came = b""
    for one in (line("a"), line("b"), line("c"), line("", "BOOKMARK")):
        came += lines.passed(one, effects) if not lines.ends else b""

    assert sent == names(came)


def test_half_a_line_ends_a_watch() -> None:
    """What is sent of it cannot be decoded."""
    lines = Lines(WATCH)
    came = lines.passed(line("a"), [in_effect(HalfLine())])

    assert lines.ends
    assert line("a").startswith(came)


def test_a_fault_is_declared_by_a_text() -> None:
    """Verbs are joined by a plus."""
    wanted = Refuse(status=429, verbs=frozenset({"list", "watch"}), share=0.5, contains="/secrets")

    assert wanted == faults.parse("refuse:status=429,verbs=list+watch,share=0.5,contains=/secrets")


@pytest.mark.parametrize("text", ["refuze", "refuse:code=503"])
def test_a_text_that_declares_none_is_refused(text: str) -> None:
    """What there is instead is named."""
    with pytest.raises(NoSuchFaultError, match="refuse"):
        faults.parse(text)


def test_a_fault_strikes_a_share_of_what_it_is_meant_for() -> None:
    """The same share again by the same seed."""

    def struck() -> list[bool]:
        effect = in_effect(Refuse(share=0.5, verbs=frozenset({"watch"})))
        assert not effect.strikes(Asked(method="POST", path="/api/v1/secrets"))
        return [effect.strikes(WATCH) for _ in range(20)]

    assert struck() == struck()
    assert 0 < sum(struck()) < 20
