"""What the reconciler remembers: how often it mended what, and whose turn is when."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.builders import MINUTE, NOW, SECOND
from mutualtls.core.checks import Contest
from mutualtls.history import Mends, Pace, Places

WINDOW = 10 * MINUTE


ORDERS = "shop/orders"
VERSION = (1, "bundle")
"""Of what is wanted: generation of the identity, hash of the bundle."""


def mended(*moments: datetime) -> Mends:
    """A memory of mends of an object."""
    mends = Mends(WINDOW)
    for moment in moments:
        mends.note(ORDERS, VERSION, "helm", moment)
    return mends


def contest(mends: Mends, *, now: datetime, key: str = ORDERS, version: object = VERSION) -> Contest | None:
    """Ask whether an object is contested."""
    return mends.contest(key, version, now)


THREE = (NOW, NOW + MINUTE, NOW + 2 * MINUTE)


@pytest.mark.parametrize(
    ("moments", "is_contest"),
    [
        pytest.param((), False, id="never"),
        pytest.param(THREE[:1], False, id="once"),
        pytest.param(THREE[:2], False, id="twice"),
        pytest.param(THREE, True, id="three times"),
        pytest.param((NOW,) * 3, True, id="three times at once"),
        pytest.param((NOW - 8 * MINUTE, *THREE[1:]), False, id="three times, but not within the window"),
        pytest.param((NOW - 8 * MINUTE + SECOND, *THREE[1:]), True, id="three times, just within the window"),
    ],
)
def test_three_mends_within_the_window_are_a_contest(moments: tuple[datetime, ...], *, is_contest: bool) -> None:
    """Looked at two minutes from now."""
    assert is_contest is (contest(mended(*moments), now=THREE[2]) is not None)


def test_a_contest_says_who_how_often_and_until_when() -> None:
    """It is over when the first of the three has left the window."""
    mends = mended(*THREE)

    assert Contest(by="helm", times=3, over=NOW + WINDOW) == contest(mends, now=THREE[2])


def test_all_who_took_part_are_named() -> None:
    """Once each, in order."""
    mends = Mends(WINDOW)
    for who in ("kubectl", "argo", "kubectl"):
        mends.note(ORDERS, VERSION, who, NOW)
    found = contest(mends, now=NOW)

    assert found is not None
    assert "argo, kubectl" == found.by


@pytest.mark.parametrize(
    ("now", "is_contest"),
    [
        pytest.param(NOW + WINDOW - SECOND, True, id="a second before"),
        pytest.param(NOW + WINDOW, False, id="when it is over"),
        pytest.param(NOW + 10 * WINDOW, False, id="long after"),
    ],
)
def test_a_contest_is_over_when_its_window_is(now: datetime, *, is_contest: bool) -> None:
    """Then the Secret is mended again."""
    assert is_contest is (contest(mended(*THREE), now=now) is not None)


def test_a_contest_that_goes_on_is_one_again_after_one_mend() -> None:
    """As long as two earlier ones are within the window."""
    mends = mended(*THREE)
    over = NOW + WINDOW
    mends.note(ORDERS, VERSION, "helm", over)
    found = contest(mends, now=over)

    assert found is not None
    assert THREE[1] + WINDOW == found.over


@pytest.mark.parametrize(
    "version",
    [pytest.param((2, "bundle"), id="a new spec"), pytest.param((1, "new"), id="a new bundle")],
)
def test_what_is_new_of_ours_ends_a_contest(version: object) -> None:
    """The user did something, or every Secret must get a new root."""
    mends = mended(*THREE)

    assert contest(mends, now=THREE[2], version=version) is None
    assert contest(mends, now=THREE[2]) is not None


def test_a_contest_of_one_is_none_of_another() -> None:
    """Each object has its own."""
    assert contest(mended(*THREE), now=THREE[2], key="shop/payments") is None


# Pace


def test_turns_come_at_a_pace() -> None:
    """The first at once, and then so many a second."""
    pace = Pace()
    turns = [pace.turn(f"{number}", NOW, per_second=50) for number in range(101)]

    assert turns[0] is None
    assert [NOW + number * SECOND / 50 for number in range(1, 101)] == turns[1:]


def test_whoever_asked_once_keeps_the_turn() -> None:
    """However often it asks, and whoever comes later."""
    pace = Pace()
    pace.turn("first", NOW, per_second=1)

    assert NOW + SECOND == pace.turn("second", NOW, per_second=1)
    assert NOW + 2 * SECOND == pace.turn("third", NOW, per_second=1)
    assert NOW + SECOND == pace.turn("second", NOW + SECOND / 2, per_second=1)
    assert pace.turn("second", NOW + SECOND, per_second=1) is None
    assert NOW + 2 * SECOND == pace.turn("third", NOW + SECOND, per_second=1)


def test_a_turn_is_had_once() -> None:
    """Who comes again stands at the end."""
    pace = Pace()

    assert pace.turn("first", NOW, per_second=1) is None
    assert NOW + SECOND == pace.turn("first", NOW, per_second=1)


@pytest.mark.parametrize("late", [pytest.param(SECOND, id="on time"), pytest.param(MINUTE, id="late")])
def test_who_comes_late_has_the_turn_still(late: timedelta) -> None:
    """And turns that nobody used are not saved up."""
    pace = Pace()
    pace.turn("first", NOW, per_second=1)
    pace.turn("second", NOW, per_second=1)

    assert pace.turn("second", NOW + late, per_second=1) is None
    later = NOW + late + MINUTE
    assert pace.turn("third", later, per_second=1) is None
    assert later + SECOND == pace.turn("fourth", later, per_second=1)


# Places


def test_there_are_so_many_places_and_a_line() -> None:
    """Who stood in line first is told when there is a place again."""
    places = Places(2)

    assert [True, True, False, False, False] == [places.take(name) for name in ("a", "b", "c", "d", "c")]
    assert "c" == places.leave()
    assert places.take("c")
    assert ["d", None] == [places.leave(), places.leave()]


def test_who_came_by_itself_stands_in_line_no_more() -> None:
    """Or it would be told in another's stead."""
    places = Places(1)
    taken = [places.take("a"), places.take("b"), places.take("c")]

    assert [True, False, False] == taken
    assert "b" == places.leave()
    assert places.take("c")
    assert places.leave() is None


def test_a_place_is_not_lost_by_who_does_not_come() -> None:
    """It is free for anybody, who looks again after a while."""
    places = Places(1)
    taken = [places.take("a"), places.take("gone"), places.take("b")]

    assert [True, False, False] == taken
    assert "gone" == places.leave()
    assert places.take("b")
