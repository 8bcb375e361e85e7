"""The agenda: what is due, in which order, once at a time, and later after failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.agenda import Agenda, Key, Priority
from support.builders import HOUR, NOW, SECOND

A, B, C = (Key.identity(ObjectKey("shop", name)) for name in "abc")


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        """Read it."""
        return self.now


def nothing_is_urgent(_: Key) -> None:
    """Hurry nothing."""


def play(
    scene: Callable[[Agenda, Clock], Coroutine[Any, Any, None]],
    *,
    urgent_from: Callable[[Key], datetime | None] = nothing_is_urgent,
    most_at_work: int = 10_000,
) -> None:
    """Play a scene with a new agenda, which must end by itself."""
    clock = Clock()

    async def bounded() -> None:
        agenda = Agenda(
            clock=clock,
            first_retry=SECOND,
            last_retry=8 * SECOND,
            urgent_from=urgent_from,
            most_at_work=most_at_work,
        )
        async with asyncio.timeout(60):
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
        agenda.done(A, next_check=None)
        agenda.done(B, next_check=None)
        clock.now += HOUR
        assert [] == await taken(agenda)

    play(scene)


def test_a_later_wish_does_not_put_off_an_earlier_one() -> None:
    """It does not put off an earlier one that is still to come, either."""

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
        agenda.done(A, next_check=None)
        assert [A] == await taken(agenda)
        agenda.done(A, next_check=None)
        assert [] == await taken(agenda)

    play(scene)


def test_what_becomes_due_while_at_work_waits_too() -> None:
    """It is not lost."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.put(A, at=NOW + SECOND)
        clock.now += HOUR

        assert [] == await taken(agenda)
        agenda.done(A, next_check=None)
        assert [A] == await taken(agenda)

    play(scene)


def test_one_worker_gets_one_key() -> None:
    """With many workers and many puts, no key is at work twice, and none is left over."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        keys = [Key.identity(ObjectKey("shop", str(number))) for number in range(50)]
        at_work: set[Key] = set()
        looked: list[Key] = []

        async def work() -> None:
            while (key := await agenda.take()) is not None:
                assert key not in at_work
                at_work.add(key)
                await asyncio.sleep(0)
                looked.append(key)
                at_work.discard(key)
                agenda.done(key, next_check=None)

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


def test_what_is_of_one_priority_and_namespace_is_taken_in_order_of_arrival() -> None:
    """Names do not matter."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for key in (C, A, B):
            agenda.put(key)

        assert [C, A, B] == await taken(agenda)

    play(scene)


def test_a_more_urgent_wish_moves_a_key_forward() -> None:
    """This holds for keys of the same moment."""

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
    """This is about keys that are due."""

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


# Turns of namespaces


def of(namespace: str, *numbers: int) -> list[Key]:
    """Keys of identities of a namespace."""
    return [Key.identity(ObjectKey(namespace, str(number))) for number in numbers]


@pytest.mark.parametrize("priority", list(Priority))
def test_namespaces_take_turns(priority: Priority) -> None:
    """It does not matter how many identities one of them has applied at once, and before."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        flood = of("mallory", *range(5000))
        for key in (*flood, *of("shop", 0, 1), *of("pay", 0)):
            agenda.put(key, priority=priority)
        found = await taken(agenda)

        assert [flood[0], *of("shop", 0), *of("pay", 0), flood[1], *of("shop", 1), *flood[2:]] == found

    play(scene)


def test_who_has_had_a_turn_waits_for_all_others() -> None:
    """This includes a namespace with nothing else waiting that returns at once."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        found = []
        for key in (*of("a", 0), *of("b", 0, 1), *of("c", 0)):
            agenda.put(key)
        for number in range(1, 4):
            found.append(await agenda.take())
            agenda.put(*of("a", number))

        assert [*of("a", 0), *of("b", 0), *of("c", 0)] == found
        assert [*of("a", 1), *of("b", 1), *of("a", 2, 3)] == await taken(agenda)

    play(scene)


def test_turns_are_of_one_priority() -> None:
    """A first issuance comes before all changes, whatever turns its namespace has had."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for key in (*of("a", 0, 1), *of("b", 0)):
            agenda.put(key)
        agenda.put(*of("a", 2), priority=Priority.FIRST)

        assert [*of("a", 2), *of("a", 0), *of("b", 0), *of("a", 1)] == await taken(agenda)

    play(scene)


def test_copies_of_bundles_take_the_turns_of_their_namespace() -> None:
    """Authorities and what else is of none take turns, too."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        bundle, authority = Key.bundle("default", "shop"), Key.authority("default")
        for key in (*of("shop", 0), bundle, *of("pay", 0), authority, Key.pace("default")):
            agenda.put(key)

        assert [*of("shop", 0), *of("pay", 0), authority, bundle, Key.pace("default")] == await taken(agenda)

    play(scene)


def test_a_key_that_is_wished_for_again_keeps_its_turn() -> None:
    """Editing a spec again does not send it to the end of the line."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        for key in (*of("a", 0), *of("b", 0), *of("b", 1)):
            agenda.put(key)
        clock.now += SECOND
        agenda.put(*of("a", 0))
        agenda.put(*of("b", 0), priority=Priority.REISSUE)

        assert [*of("a", 0), *of("b", 0), *of("b", 1)] == await taken(agenda)

    play(scene)


def test_a_namespace_has_only_so_many_at_work() -> None:
    """The other workers, and what they may ask of the API server at once, are for others; authorities have no bound."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        authorities = [Key.authority(name) for name in "abc"]
        for key in (*of("mallory", *range(5)), *authorities):
            agenda.put(key, priority=Priority.FIRST)
        agenda.put(*of("shop", 0))
        first = await taken(agenda)
        worker = asyncio.ensure_future(agenda.take())
        await asyncio.sleep(0)
        agenda.done(*of("mallory", 0), next_check=None)

        assert {*of("mallory", 0, 1), *of("shop", 0), *authorities} == set(first)
        assert of("mallory", 2) == [await worker]
        assert [] == await taken(agenda)

    play(scene, most_at_work=2)


NAMESPACES = "abcd"
put_or_take = st.one_of(
    st.tuples(st.sampled_from(NAMESPACES), st.integers(0, 3), st.sampled_from([Priority.FIRST, Priority.CHANGE])),
    st.none(),
)


@given(st.lists(put_or_take, max_size=120))
@settings(deadline=None)
def test_no_namespace_waits_for_more_than_one_turn_of_each_other(steps: list[tuple[str, int, Priority] | None]) -> None:
    """Within a priority, whatever comes in meanwhile; and what is more urgent is always taken first."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        waiting: dict[Key, Priority] = {}
        turns: dict[tuple[Priority, str], Counter[str]] = {}
        for step in (*steps, *[None] * 16):
            if step is not None:
                namespace, number, priority = step
                (key,) = of(namespace, number)
                agenda.put(key, priority=priority)
                waiting[key] = min(waiting.get(key, priority), priority)
            elif (found := await at_once(agenda)) is not None:
                priority = waiting.pop(found)
                assert priority == min([priority, *waiting.values()])
                for (other, namespace), seen in turns.items():
                    seen[found.namespace] += other is priority and namespace != found.namespace
                turns.pop((priority, found.namespace), None)
                agenda.done(found, next_check=None)
            now_waiting = {(priority, key.namespace) for key, priority in waiting.items()}
            turns = {one: turns.get(one, Counter()) for one in now_waiting}

            assert all(number <= 1 for seen in turns.values() for number in seen.values())
        assert {} == waiting
        assert 0 == agenda.held - len(agenda._later)  # noqa: SLF001 - what is left behind has a test of its own

    play(scene)


# What cannot wait


def urgent_in(**seconds: float) -> Callable[[Key], datetime | None]:
    """Have identities be urgent so many seconds from now, by namespace."""
    return lambda key: NOW + timedelta(seconds=seconds[key.namespace]) if key.namespace in seconds else None


def test_what_is_urgent_goes_with_the_first() -> None:
    """The given priority does not matter; it takes its turn among the first."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for key in of("new", 0, 1):
            agenda.put(key, priority=Priority.FIRST)
        agenda.put(*of("shop", 0))
        agenda.put(*of("late", 0), priority=Priority.REISSUE)

        assert [*of("new", 0), *of("late", 0), *of("new", 1), *of("shop", 0)] == await taken(agenda)

    play(scene, urgent_from=urgent_in(late=-1))


def test_what_becomes_urgent_while_it_waits_moves_up() -> None:
    """No flood of first issuances and of changes keeps a certificate from being renewed before it ends."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(*of("late", 0), priority=Priority.RENEWAL)
        found = []
        for number in range(6):
            agenda.put(*of("mallory", number), priority=Priority.FIRST)
            agenda.put(*of("mallory", 10 + number))
            clock.now = NOW + number * SECOND
            found.append(await agenda.take())

        assert [*of("mallory", 0, 1, 2, 3, 4), *of("late", 0)] == found

    play(scene, urgent_from=urgent_in(late=4))


def test_what_becomes_urgent_is_taken_once() -> None:
    """Also where it was taken before."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(*of("late", 0), priority=Priority.RENEWAL)

        assert of("late", 0) == await taken(agenda)
        clock.now += HOUR
        assert [] == await taken(agenda)
        agenda.done(*of("late", 0), next_check=None)
        assert [] == await taken(agenda)

    play(scene, urgent_from=urgent_in(late=1))


def test_what_is_put_off_is_urgent_when_it_is_due() -> None:
    """It is not urgent before."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(*of("late", 0), priority=Priority.RENEWAL, at=NOW + HOUR)
        assert [] == await taken(agenda)
        clock.now += HOUR
        agenda.put(*of("shop", 0))

        assert [*of("late", 0), *of("shop", 0)] == await taken(agenda)

    play(scene, urgent_from=urgent_in(late=-1))


# What is kept


def test_what_comes_and_goes_leaves_nothing() -> None:
    """The agenda forgets its times, its failures and its namespace."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        keys = [Key.identity(ObjectKey(f"n{number % 100}", str(number))) for number in range(9000)]
        for key in keys:
            agenda.put(key, priority=Priority.FIRST)
        for key in await taken(agenda):
            agenda.failed(key)
        clock.now += SECOND
        for key in await taken(agenda):
            agenda.done(key, next_check=clock.now + 16 * HOUR)
        full = agenda.held
        for key in keys:
            agenda.put(key)  # they are gone: looked at once more
        for key in await taken(agenda):
            agenda.done(key, next_check=None)

        assert full >= 2 * len(keys)
        assert agenda.held < 100

    play(scene, urgent_from=lambda _: NOW + 20 * HOUR)


def test_one_key_that_is_looked_at_again_and_again_leaves_nothing() -> None:
    """Each look puts off the next one."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for _time in range(5000):
            agenda.put(A)
            await agenda.take()
            agenda.done(A, next_check=NOW + 16 * HOUR)

        assert agenda.held < 100

    play(scene, urgent_from=lambda _: NOW + 20 * HOUR)


# Later


def test_what_is_to_come_is_not_taken_before_its_time() -> None:
    """Its time counts exactly."""

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
    """NTP sets clocks back like this."""

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
        agenda.done(A, next_check=NOW + HOUR)

        assert [] == await taken(agenda)
        clock.now += HOUR
        assert [A] == await taken(agenda)

    play(scene)


def test_a_renewal_that_is_due_comes_after_a_change() -> None:
    """What is looked at again by itself is less urgent than what somebody did."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.done(A, next_check=NOW + HOUR)
        clock.now += HOUR
        agenda.put(B, priority=Priority.CHANGE)

        assert [B, A] == await taken(agenda)

    play(scene)


def test_a_worker_that_waits_is_woken_when_something_becomes_due() -> None:
    """The agenda's own alarm wakes it."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        taking = asyncio.ensure_future(agenda.take())
        await asyncio.sleep(0)
        agenda.put(A, at=NOW + timedelta(milliseconds=1))
        clock.now += SECOND

        assert A == await taking

    play(scene)


def test_a_worker_that_waits_is_woken_at_once() -> None:
    """A key that is due now wakes it; one key wakes one worker."""

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
    """They stay below it even after weeks of failures."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for _time in range(2000):
            assert agenda.failed(A) <= 8 * SECOND

    play(scene)


def test_success_makes_the_delay_short_again() -> None:
    """The next failure is a first one."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        delays = [agenda.failed(A), agenda.failed(A)]
        agenda.done(A, next_check=None)

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
    """Otherwise a key that fails and changes often would never pause; it is taken once."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        await agenda.take()
        agenda.put(A)
        delay = agenda.failed(A)

        assert [] == await taken(agenda)
        clock.now += delay
        assert [A] == await taken(agenda)
        agenda.done(A, next_check=None)
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


def test_a_closed_agenda_hands_out_nothing() -> None:
    """Nothing due is handed out, and waiting workers learn of it."""

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
        agenda.done(A, next_check=NOW + HOUR)
        agenda.failed(B)

        assert await agenda.take() is None

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
