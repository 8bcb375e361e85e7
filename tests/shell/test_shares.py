"""Shares: how many changes are made at once, and places for what takes long. Order is judged, never time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.shares import Shares
from mutualtls.queue.slow_keys import SlowKeySlots
from mutualtls.settings import Settings
from support.builders import MINUTE, NOW, SECOND

BURST = 10
WINDOW = 100 * SECOND
"""One change in ten seconds, for an identity, and for a namespace of few."""
ORDERS = ObjectKey("shop", "orders")


def shares() -> Shares:
    """Shares of which nothing was drawn."""
    return Shares(burst=BURST, window=WINDOW)


def of_n(name: str) -> ObjectKey:
    """Key of an identity in the namespace n."""
    return ObjectKey("n", name)


def drawn(of: Shares, times: int, *, key: ObjectKey = ORDERS, in_namespace: int = 1, now: datetime = NOW) -> int:
    """Draw so often, and count how often that was granted."""
    return sum(of.draw(key, in_namespace=in_namespace, now=now) is None for _ in range(times))


# An identity


def test_a_burst_is_had_at_once() -> None:
    """There is no more at once; the next change may be made when one has come back."""
    of = shares()

    assert BURST == drawn(of, BURST)
    assert NOW + 10 * SECOND == of.draw(ORDERS, in_namespace=100, now=NOW)


def test_a_moment_that_was_given_is_kept() -> None:
    """Asking again and again makes it neither sooner nor later."""
    of = shares()
    drawn(of, BURST)
    moments = {of.draw(ORDERS, in_namespace=1, now=NOW + seconds * SECOND) for seconds in range(10)}

    assert {NOW + 10 * SECOND} == moments
    assert [None, NOW + 20 * SECOND] == [of.draw(ORDERS, in_namespace=1, now=NOW + 10 * SECOND) for _ in range(2)]


def test_a_burst_is_there_again_after_its_window() -> None:
    """The whole of it is there."""
    of = shares()
    drawn(of, BURST)

    assert BURST == drawn(of, 2 * BURST, now=NOW + WINDOW)


def test_a_clock_that_was_ahead_delays_nobody_for_long() -> None:
    """What was given by it is as good as over."""
    of = shares()
    drawn(of, BURST + 1, now=NOW + 1000 * WINDOW)

    assert of.draw(ORDERS, in_namespace=1, now=NOW) is None


# A namespace


def test_a_namespace_may_have_two_changes_of_each_identity() -> None:
    """All may be made and all changed at once; further changes come one after the other."""
    of = shares()
    for number in range(100):
        assert 2 == drawn(of, 2, key=ObjectKey("shop", str(number)), in_namespace=100)

    assert NOW < (of.draw(ObjectKey("shop", "0"), in_namespace=100, now=NOW) or NOW)
    assert 1 == drawn(of, 1, key=ObjectKey("pay", "0"))


def test_who_waits_in_a_namespace_gets_one_moment_after_the_other() -> None:
    """They come in the order of asking, not all at once when one moment is free."""
    of = shares()
    for number in range(100):
        drawn(of, 2, key=ObjectKey("shop", str(number)), in_namespace=100)
    moments = [of.draw(ObjectKey("shop", str(number)), in_namespace=100, now=NOW) or NOW for number in range(50)]

    assert sorted(set(moments)) == moments
    assert NOW + 50 * WINDOW / 200 == moments[-1]


def test_who_deletes_all_and_makes_it_again_waits_for_nothing() -> None:
    """The namespace has few of them for a while, as after `kubectl replace --force` of all."""
    of = shares()
    for _time in range(2):
        for number in range(1, 101):
            assert of.draw(ObjectKey("shop", str(number)), in_namespace=number, now=NOW) is None
        for number in range(1, 101):
            of.forget(ObjectKey("shop", str(number)))


def test_what_a_gone_identity_waited_for_is_its_namespaces_again() -> None:
    """Creating and deleting ever new identities delays nobody for ever."""
    of = shares()
    drawn(of, BURST, key=ObjectKey("shop", "0"))
    for number in range(1, 1000):
        of.draw(ObjectKey("shop", str(number)), in_namespace=1, now=NOW)
        of.forget(ObjectKey("shop", str(number)))

    assert NOW + 10 * SECOND == of.draw(ORDERS, in_namespace=1, now=NOW)


# By default


def by_default() -> Shares:
    """Shares as they are when nothing is set."""
    chosen = Settings()
    return Shares(burst=chosen.burst, window=chosen.burst_window)


def test_five_thousand_identities_are_applied_at_once() -> None:
    """One after the other is known, and each is made at once."""
    of = by_default()

    assert all(of.draw(ObjectKey("shop", str(n)), in_namespace=n, now=NOW) is None for n in range(1, 5001))


def test_an_identity_is_edited_twenty_times_in_a_minute() -> None:
    """A user tries out a spec for three minutes."""
    of = by_default()
    moments = (NOW + number * MINUTE / 20 for number in range(60))

    assert all(of.draw(ORDERS, in_namespace=1, now=moment) is None for moment in moments)


def test_a_spec_that_flaps_is_followed_a_few_times_a_minute() -> None:
    """Sixteen specs flap twice a second each, for five minutes."""
    of = by_default()
    granted = Counter[int]()
    for second in range(5 * 60):
        for number in range(16):
            now = NOW + second * SECOND
            granted[second // 60] += drawn(of, 2, key=ObjectKey("mallory", str(number)), in_namespace=16, now=now)

    assert 60 < granted[0] < 70
    assert all(5 <= granted[minute] <= 7 for minute in range(1, 5))


# What is kept


def test_full_buckets_are_not_kept() -> None:
    """Moments that nobody came for are not kept, either."""
    of = shares()
    drawn(of, BURST + 1)
    drawn(of, 1, key=ObjectKey("pay", "0"))
    before = of.held
    of.sweep(NOW + 15 * SECOND)
    partly = of.held
    of.sweep(NOW + 3 * WINDOW)

    assert (5, 3, 0) == (before, partly, of.held)


def test_identities_that_come_and_go_leave_nothing() -> None:
    """Their number does not matter."""
    of = shares()
    for number in range(9000):
        key = ObjectKey("shop", str(number))
        drawn(of, 3, key=key, in_namespace=2)
        of.forget(key)

    assert 1 == of.held
    of.sweep(NOW + WINDOW)
    assert 0 == of.held


def test_who_waits_is_counted_by_namespace() -> None:
    """The metric counts them until their moment."""
    of = shares()
    drawn(of, BURST + 1)
    drawn(of, BURST + 1, key=ObjectKey("pay", "0"))

    assert {"shop": 1, "pay": 1} == of.waiting(NOW)
    assert {} == of.waiting(NOW + 10 * SECOND)
    assert 2 == of.delayed


# Slots for slow keys


def test_there_are_so_many_places_and_a_line() -> None:
    """Who stood in line first has the place that another leaves, and is told."""
    slots = SlowKeySlots(2)

    assert [True, True, False, False] == [slots.acquire(of_n(name), NOW) for name in "abcd"]
    assert [of_n("c")] == slots.release(of_n("a"))
    assert [True, False] == [slots.acquire(of_n("c"), NOW), slots.acquire(of_n("e"), NOW)]
    assert [[of_n("d")], [of_n("e")], [], []] == [slots.release(of_n(name)) for name in "bcde"]


def test_nobody_overtakes_who_was_told() -> None:
    """The place is kept until they come."""
    slots = SlowKeySlots(1)
    slots.acquire(of_n("a"), NOW)
    slots.acquire(of_n("b"), NOW)
    slots.release(of_n("a"))

    assert [False, True] == [slots.acquire(ObjectKey("m", "c"), NOW), slots.acquire(of_n("b"), NOW)]


def test_who_is_told_and_does_not_want_it_any_more_leaves_it_to_the_next() -> None:
    """Its spec was changed, say."""
    slots = SlowKeySlots(1)
    for name in "abc":
        slots.acquire(of_n(name), NOW)

    assert [[of_n("b")], [of_n("c")], []] == [slots.release(of_n(name)) for name in "abc"]


def test_who_leaves_the_line_is_not_told() -> None:
    """Nobody else waits for it either."""
    slots = SlowKeySlots(1)
    for name in "abc":
        slots.acquire(of_n(name), NOW)

    assert [[], [of_n("c")]] == [slots.release(of_n("b")), slots.release(of_n("a"))]


def test_namespaces_take_turns() -> None:
    """It does not matter how many stand in line for one of them."""
    slots = SlowKeySlots(1)
    slots.acquire(ObjectKey("mallory", "0"), NOW)
    for number in range(1, 300):
        slots.acquire(ObjectKey("mallory", str(number)), NOW)
    slots.acquire(ObjectKey("shop", "orders"), NOW)

    assert [ObjectKey("mallory", "1")] == slots.release(ObjectKey("mallory", "0"))
    assert [ObjectKey("shop", "orders")] == slots.release(ObjectKey("mallory", "1"))


def test_a_namespace_has_one_place_at_a_time_where_it_is_to() -> None:
    """The others are for others, though nobody else wants them yet."""
    slots = SlowKeySlots(2, one_a_namespace=True)

    assert [True, False, False, True] == [
        slots.acquire(k, NOW)
        for k in (ObjectKey("m", "0"), ObjectKey("m", "1"), ObjectKey("m", "2"), ObjectKey("shop", "0"))
    ]
    assert [] == slots.release(ObjectKey("shop", "0"))
    assert [ObjectKey("m", "1")] == slots.release(ObjectKey("m", "0"))


def test_who_is_urgent_comes_first() -> None:
    """A first issuance, or a renewal that is late, before all those that are made anew; also who has become so."""
    slots = SlowKeySlots(1)
    for name in "abcd":
        slots.acquire(of_n(name), NOW)
    slots.acquire(of_n("first"), NOW, is_urgent=True)
    slots.acquire(of_n("c"), NOW, is_urgent=True)
    told = [slots.release(of_n(name)) for name in ("a", "first", "c", "b")]

    assert [[of_n("first")], [of_n("c")], [of_n("b")], [of_n("d")]] == told


def test_since_when_somebody_waits_is_known() -> None:
    """Asking again does not change it."""
    slots = SlowKeySlots(1)
    for seconds in range(3):
        slots.acquire(of_n("a"), NOW)
        slots.acquire(of_n("b"), NOW + seconds * SECOND)
    since = slots.waits_since(of_n("b"))
    slots.release(of_n("a"))

    assert [NOW, None, None] == [since, slots.waits_since(of_n("a")), slots.waits_since(of_n("b"))]


def test_places_keep_nothing_of_who_came_and_went() -> None:
    """Nothing is kept of who had a place, waited for one, or was told."""
    slots = SlowKeySlots(2, one_a_namespace=True)
    for number in range(9000):
        slots.acquire(ObjectKey(str(number % 7), str(number)), NOW, is_urgent=bool(number % 2))
    for number in range(9000):
        slots.release(ObjectKey(str(number % 7), str(number)))

    assert (0, 0) == (slots.held, slots.waiting)


@settings(deadline=None)
@given(
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["take", "urgent", "leave"]), st.integers(0, 11)), max_size=60),
)
def test_places_are_never_more_and_never_idle(
    most: int,
    one_a_namespace: bool,  # noqa: FBT001 - drawn
    steps: list[tuple[str, int]],
) -> None:
    """No more are held than there are, and none is free that somebody waits for and may have."""
    slots = SlowKeySlots(most, one_a_namespace=one_a_namespace)
    having: set[ObjectKey] = set()
    waiting: set[ObjectKey] = set()
    for what, number in steps:
        key = ObjectKey(f"{number % 4}", str(number))
        if what != "leave":
            (having if slots.acquire(key, NOW, is_urgent=what == "urgent") else waiting).add(key)
            waiting -= having
        else:
            told = slots.release(key)
            having.discard(key)
            waiting.discard(key)
            assert set(told) <= waiting
            having |= set(told)
            waiting -= set(told)
        busy = {one.namespace for one in having} if one_a_namespace else set()

        assert len(having) <= most
        assert not one_a_namespace or len(busy) == len(having)
        assert len(having) == most or all(one.namespace in busy for one in waiting)
        assert len(waiting) == slots.waiting


def test_a_window_may_be_of_any_length() -> None:
    """This holds even if a change comes back within less than a microsecond."""
    of = Shares(burst=1_000_000, window=timedelta(seconds=1))

    assert 10 == drawn(of, 10)
