"""What the reconciler remembers: how often it mended what, and whose turn is when."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.builders import MINUTE, NOW, SECOND
from mutualtls.core.checks import Contest
from mutualtls.history import Mends, Places, Turns

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


# Turns


def waiting(*ends: int) -> Turns:
    """Turns for which identities wait whose leaves end after so many minutes, each called by them."""
    turns = Turns()
    for end in ends:
        assert not turns.has(str(end), NOW + end * MINUTE, NOW)
    return turns


def test_turns_come_at_a_pace() -> None:
    """So many a second, and nobody's but who waits."""
    turns = waiting(*range(100))

    assert [0, 25, 25, 50, 0] == [
        len(turns.grant(NOW + seconds * SECOND, per_second=50)) for seconds in (0, 0.5, 1, 2, 3)
    ]
    assert turns.is_over


def test_whose_leaf_ends_soonest_comes_first() -> None:
    """Whoever asked before, also where others wait already."""
    turns = waiting(3, 1, 2)
    first = turns.grant(NOW + SECOND, per_second=1)
    turns.has("0", NOW, NOW + SECOND)

    assert ["1"] == first
    assert ["0", "2"] == turns.grant(NOW + 2 * SECOND, per_second=2)


def test_a_turn_is_had_until_it_is_done() -> None:
    """So that what fails can be tried again; who then comes again waits again."""
    turns = waiting(1)
    turns.grant(NOW + SECOND, per_second=1)

    assert [True, True] == [turns.has("1", NOW + MINUTE, NOW + SECOND) for _ in range(2)]
    turns.done("1")
    assert not turns.has("1", NOW + MINUTE, NOW + SECOND)


def test_who_needs_no_turn_any_more_takes_none() -> None:
    """It was renewed meanwhile, say."""
    turns = waiting(1, 2)
    turns.done("1")

    assert ["2"] == turns.grant(NOW + SECOND, per_second=1)
    assert turns.is_over


def test_who_comes_again_for_another_leaf_stands_where_that_one_ends() -> None:
    """Not where the one before did."""
    turns = waiting(1, 2)
    turns.done("1")
    turns.has("1", NOW + 3 * MINUTE, NOW)

    assert ["2", "1"] == turns.grant(NOW + SECOND, per_second=2)


@pytest.mark.parametrize("idle", [pytest.param(False, id="somebody waits"), pytest.param(True, id="nobody waits")])
def test_turns_are_not_saved_up(*, idle: bool) -> None:
    """A minute later no more than a second's are given at once."""
    turns = waiting() if idle else waiting(0)
    later = NOW + MINUTE
    for number in range(1, 5):
        turns.has(str(number), NOW + number * MINUTE, later if idle else NOW)

    assert (0 if idle else 2) == len(turns.grant(later, per_second=2))
    assert 2 == len(turns.grant(later + SECOND, per_second=2))


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


def test_who_is_urgent_comes_first() -> None:
    """A first issuance, before all those that are made anew."""
    places = Places(1)
    taken = [places.take("a"), places.take("b"), places.take("first", is_urgent=True), places.take("c")]

    assert [True, False, False, False] == taken
    assert ["first", "b", "c"] == [places.leave() for _ in range(3)]


def test_a_place_is_not_lost_by_who_does_not_come() -> None:
    """It is free for anybody, who looks again after a while."""
    places = Places(1)
    taken = [places.take("a"), places.take("gone"), places.take("b")]

    assert [True, False, False] == taken
    assert "gone" == places.leave()
    assert places.take("b")
