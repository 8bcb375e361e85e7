"""The agenda: what is on it once is taken once, and it keeps nothing of what is done."""

from __future__ import annotations

import asyncio

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.agenda import Agenda, Key, Priority
from support.agendas import A, B, Clock, play, taken
from support.builders import HOUR, NOW, SECOND

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


def test_a_key_that_waits_is_kept_once() -> None:
    """It has an entry, and one place in the order of what is due later."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A)
        assert [A] == await taken(agenda)
        agenda.done(A, next_check=NOW + HOUR)

        assert 2 == agenda.held

    play(scene)


def test_one_key_that_is_looked_at_again_and_again_leaves_nothing() -> None:
    """Each look puts off the next one."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for _time in range(5000):
            agenda.put(A)
            await agenda.take()
            agenda.done(A, next_check=NOW + 16 * HOUR)

        assert agenda.held < 100

    play(scene, urgent_from=lambda _: NOW + 20 * HOUR)


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


def test_since_when_something_is_due_is_told_while_it_waits_and_while_it_is_worked_on() -> None:
    """What is due later does not wait yet, and what is given back is worked on no more."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        agenda.put(A, at=NOW - HOUR)
        agenda.put(B, at=NOW + HOUR)
        assert [NOW - HOUR] == agenda.waiting()[Priority.CHANGE]
        assert A == await agenda.take()

        assert (1, NOW - HOUR, None) == (len(agenda.at_work), agenda.at_work.due_since(A), agenda.at_work.due_since(B))
        assert not any(agenda.waiting().values())
        agenda.done(A, next_check=None)
        assert (0, None) == (len(agenda.at_work), agenda.at_work.due_since(A))

    play(scene)
