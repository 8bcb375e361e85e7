"""The agenda: what is due, in which order, once at a time, and later after failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.builders import HOUR, NOW, SECOND
from mutualtls.agenda import Agenda, Key, Kind, Priority

A, B, C = (Key(Kind.IDENTITY, f"shop/{name}") for name in "abc")


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Read it."""
        return self.now


def play(scene: Callable[[Agenda, Clock], Coroutine[Any, Any, None]]) -> None:
    """Play a scene with a new agenda, which must end by itself."""
    clock = Clock()

    async def bounded() -> None:
        agenda = Agenda(clock=clock, first_retry=SECOND, last_retry=8 * SECOND)
        async with asyncio.timeout(10):
            await scene(agenda, clock)
        agenda.close()

    asyncio.run(bounded())


async def taken(agenda: Agenda) -> list[Key]:
    """Take all that is due now, and leave it at work."""
    found = []
    while (key := await at_once(agenda)) is not None:
        found.append(key)
    return found


async def at_once(agenda: Agenda) -> Key | None:
    """Take a key if one is due now; None if one would have to wait."""
    taking = asyncio.ensure_future(agenda.take())
    await asyncio.sleep(0)
    if taking.done():
        return taking.result()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return None


# Once


def test_a_key_that_was_put_twice_is_taken_once() -> None:
    """Many events about one object are one look at it."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for _time in range(3):
            agenda.put(A)

        assert [A] == await taken(agenda)

    play(scene)


def test_a_key_that_was_put_now_and_later_is_taken_now_alone() -> None:
    """The earlier wish counts; what was to be done later is done."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, at=NOW + HOUR)
        agenda.put(A)
        agenda.put(B)
        agenda.put(B, at=NOW + HOUR)

        assert [A, B] == await taken(agenda)
        agenda.done(A, look_again=None)
        agenda.done(B, look_again=None)
        clock.now += HOUR
        assert [] == await taken(agenda)

    play(scene)


def test_a_later_wish_does_not_put_off_an_earlier_one() -> None:
    """Nor an earlier one that is still to come."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, at=NOW + SECOND)
        agenda.put(A, at=NOW + HOUR)
        clock.now += SECOND

        assert [A] == await taken(agenda)

    play(scene)


def test_a_key_is_never_at_work_twice() -> None:
    """What comes in meanwhile waits until it is given back."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.put(A)

        assert [] == await taken(agenda)
        agenda.done(A, look_again=None)
        assert [A] == await taken(agenda)
        agenda.done(A, look_again=None)
        assert [] == await taken(agenda)

    play(scene)


def test_what_becomes_due_while_at_work_waits_too() -> None:
    """And is not lost."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.put(A, at=NOW + SECOND)
        clock.now += HOUR

        assert [] == await taken(agenda)
        agenda.done(A, look_again=None)
        assert [A] == await taken(agenda)

    play(scene)


def test_one_worker_gets_one_key() -> None:
    """With many workers and many puts, no key is at work twice and none is left."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        keys = [Key(Kind.IDENTITY, f"shop/{number}") for number in range(50)]
        at_work: set[Key] = set()
        looked: list[Key] = []

        async def work() -> None:
            while (key := await agenda.take()) is not None:
                assert key not in at_work
                at_work.add(key)
                await asyncio.sleep(0)
                looked.append(key)
                at_work.discard(key)
                agenda.done(key, look_again=None)

        async with asyncio.TaskGroup() as group:
            for _time in range(8):
                group.create_task(work())
            for _time in range(3):
                for key in keys:
                    agenda.put(key)
                await asyncio.sleep(0)
            for _turn in range(1000):
                await asyncio.sleep(0)
            agenda.close()

        assert set(keys) == set(looked)

    play(scene)


# In which order


def test_what_is_due_is_taken_by_priority() -> None:
    """First issuances before renewals before what only changed with many others."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for key, priority in ((A, Priority.REISSUE), (B, Priority.RENEWAL), (C, Priority.FIRST)):
            agenda.put(key, priority=priority)

        assert [C, B, A] == await taken(agenda)

    play(scene)


def test_what_is_of_one_priority_is_taken_in_order_of_arrival() -> None:
    """Whatever the names."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for key in (C, A, B):
            agenda.put(key)

        assert [C, A, B] == await taken(agenda)

    play(scene)


def test_a_more_urgent_wish_moves_a_key_forward() -> None:
    """At the same moment."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A, priority=Priority.REISSUE)
        agenda.put(B, priority=Priority.RENEWAL)
        agenda.put(A, priority=Priority.FIRST)

        assert [A, B] == await taken(agenda)

    play(scene)


def test_a_more_urgent_wish_moves_a_key_forward_that_waits_already() -> None:
    """A user's change does not stand behind the thousands that are re-issued."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(B, priority=Priority.REISSUE)
        agenda.put(A, priority=Priority.REISSUE)
        clock.now += SECOND
        agenda.put(A, priority=Priority.CHANGE)

        assert [A, B] == await taken(agenda)

    play(scene)


def test_a_less_urgent_wish_moves_no_key_back() -> None:
    """Of those that are due."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, priority=Priority.FIRST)
        agenda.put(A, priority=Priority.REISSUE)
        agenda.put(B, priority=Priority.RENEWAL)
        clock.now += SECOND

        assert [A, B] == await taken(agenda)

    play(scene)


def test_what_is_to_be_done_later_makes_nothing_urgent_now() -> None:
    """Everything has a renewal before it: thousands that are re-issued would else stand before one that is due."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, priority=Priority.RENEWAL, at=NOW + HOUR)
        agenda.put(A, priority=Priority.REISSUE)
        clock.now += SECOND
        agenda.put(B, priority=Priority.RENEWAL)

        assert [B, A] == await taken(agenda)

    play(scene)


# Later


def test_what_is_to_come_is_not_taken_before_its_time() -> None:
    """To the moment."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, at=NOW + HOUR)
        clock.now = NOW + HOUR - timedelta(microseconds=1)

        assert [] == await taken(agenda)
        clock.now = NOW + HOUR
        assert [A] == await taken(agenda)

    play(scene)


def test_what_a_clock_put_off_that_was_ahead_is_looked_at_when_it_is_right_again() -> None:
    """It would sleep for as long as the clock was ahead."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, at=NOW + HOUR)
        clock.now = NOW + 24 * HOUR
        agenda.put(B, at=clock.now + SECOND)
        clock.now = NOW

        assert [A, B] == sorted(await taken(agenda))

    play(scene)


def test_a_clock_that_is_set_back_a_little_wakes_nobody() -> None:
    """As NTP does it."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A, at=NOW + HOUR)
        clock.now = NOW - SECOND

        assert [] == await taken(agenda)

    play(scene)


def test_a_key_that_is_given_back_comes_again_when_asked() -> None:
    """A renewal is put on the agenda by the look at what was made."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.done(A, look_again=NOW + HOUR)

        assert [] == await taken(agenda)
        clock.now += HOUR
        assert [A] == await taken(agenda)

    play(scene)


def test_a_renewal_that_is_due_comes_after_a_change() -> None:
    """What is looked at again by itself is less urgent than what somebody did."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.done(A, look_again=NOW + HOUR)
        clock.now += HOUR
        agenda.put(B, priority=Priority.CHANGE)

        assert [B, A] == await taken(agenda)

    play(scene)


def test_a_worker_that_waits_is_woken_when_something_becomes_due() -> None:
    """By the agenda's own alarm."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        taking = asyncio.ensure_future(agenda.take())
        await asyncio.sleep(0)
        agenda.put(A, at=NOW + timedelta(milliseconds=1))
        clock.now += SECOND

        assert A == await taking

    play(scene)


def test_a_worker_that_waits_is_woken_at_once() -> None:
    """By what is due now; one worker for one key."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        workers = [asyncio.ensure_future(agenda.take()) for _time in range(3)]
        await asyncio.sleep(0)
        agenda.put(A)
        agenda.put(B)
        for _time in range(3):
            await asyncio.sleep(0)

        assert [True, True, False] == [worker.done() for worker in workers]
        agenda.close()
        assert [A, B, None] == await asyncio.gather(*workers)

    play(scene)


def test_an_alarm_wakes_as_many_workers_as_there_are_keys() -> None:
    """All that becomes due together is worked on together."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        workers = [asyncio.ensure_future(agenda.take()) for _time in range(3)]
        await asyncio.sleep(0)
        for key in (A, B, C):
            agenda.put(key, at=NOW + timedelta(milliseconds=1))
        clock.now += SECOND

        assert {A, B, C} == set(await asyncio.gather(*workers))

    play(scene)


# After failures


def test_a_key_that_fails_waits_longer_every_time() -> None:
    """Up to a limit, which is minutes and not hours."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        delays = []
        for _time in range(6):
            assert [A] == await taken(agenda)
            delay = agenda.failed(A)
            delays.append(delay)
            clock.now += delay - timedelta(microseconds=1)
            assert [] == await taken(agenda)
            clock.now += timedelta(microseconds=1)

        assert [1 * SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 8 * SECOND, 8 * SECOND] == delays

    play(scene)


def test_failures_never_grow_beyond_the_limit() -> None:
    """Not even after weeks of them."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for _time in range(2000):
            assert agenda.failed(A) <= 8 * SECOND

    play(scene)


def test_success_makes_the_delay_short_again() -> None:
    """The next failure is a first one."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        delays = [agenda.failed(A), agenda.failed(A)]
        agenda.done(A, look_again=None)

        assert [SECOND, 2 * SECOND, SECOND] == [*delays, agenda.failed(A)]

    play(scene)


def test_failures_of_one_key_are_not_those_of_another() -> None:
    """Each waits for its own."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.failed(A)
        agenda.failed(A)

        assert SECOND == agenda.failed(B)

    play(scene)


def test_what_came_in_during_a_failure_waits_as_well() -> None:
    """Or a key that fails and changes often would never pause; and it is taken once."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.put(A)
        delay = agenda.failed(A)

        assert [] == await taken(agenda)
        clock.now += delay
        assert [A] == await taken(agenda)
        agenda.done(A, look_again=None)
        assert [] == await taken(agenda)

    play(scene)


def test_the_priority_of_what_failed_is_kept() -> None:
    """A first issuance that came in meanwhile is still one."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.put(A, priority=Priority.FIRST)
        clock.now += agenda.failed(A)
        agenda.put(B)

        assert [A, B] == await taken(agenda)

    play(scene)


def test_a_change_after_a_failure_is_looked_at_at_once() -> None:
    """It may be what mends it."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.failed(A)
        agenda.put(A)

        assert [A] == await taken(agenda)

    play(scene)


# Ends


def test_what_is_forgotten_is_not_taken() -> None:
    """Neither now nor later, and its failures are forgotten with it."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        agenda.put(B, at=NOW + SECOND)
        agenda.failed(C)
        for key in (A, B, C):
            agenda.forget(key)
        clock.now += HOUR

        assert [] == await taken(agenda)
        assert SECOND == agenda.failed(C)

    play(scene)


def test_what_is_forgotten_can_come_again() -> None:
    """As another object of its name."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A)
        agenda.forget(A)
        agenda.put(A)

        assert [A] == await taken(agenda)

    play(scene)


def test_a_closed_agenda_hands_out_nothing() -> None:
    """Whatever is due, and whoever waits is told."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        workers = [asyncio.ensure_future(agenda.take()) for _time in range(3)]
        await asyncio.sleep(0)
        agenda.close()

        assert [None, None, None] == await asyncio.gather(*workers)
        agenda.put(A)
        agenda.put(B, at=NOW + HOUR)
        assert await agenda.take() is None

    play(scene)


def test_work_that_ends_after_the_close_can_be_given_back() -> None:
    """It is finished, and sets no alarm."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A)
        agenda.put(B)
        await agenda.take()
        await agenda.take()
        agenda.close()
        agenda.done(A, look_again=NOW + HOUR)
        agenda.failed(B)

        assert await agenda.take() is None

    play(scene)


@pytest.mark.parametrize(
    ("prepare", "is_quiet"),
    [
        pytest.param(lambda _: None, True, id="empty"),
        pytest.param(lambda agenda: agenda.put(A), False, id="something is due"),
        pytest.param(lambda agenda: agenda.put(A, at=NOW + SECOND), True, id="something is to come"),
        pytest.param(lambda agenda: (agenda.put(A), agenda.forget(A)), True, id="what was due is forgotten"),
    ],
)
def test_an_agenda_is_quiet(prepare: Callable[[Agenda], object], *, is_quiet: bool) -> None:
    """When nothing is due and nothing at work."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        prepare(agenda)

        assert is_quiet is agenda.is_quiet

    play(scene)


def test_an_agenda_is_not_quiet_while_something_is_at_work() -> None:
    """Until it is given back."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()

        assert not agenda.is_quiet
        agenda.done(A, look_again=NOW + HOUR)
        assert agenda.is_quiet
        clock.now += HOUR
        assert not agenda.is_quiet

    play(scene)


def test_a_worker_that_was_cancelled_takes_no_wake_up_with_it() -> None:
    """The next one is woken in its place."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        first, second = (asyncio.ensure_future(agenda.take()) for _time in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        agenda.put(A)

        assert A == await second

    play(scene)
