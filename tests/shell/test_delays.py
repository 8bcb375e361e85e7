"""The agenda: what is to come later, and what waits after a failure."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from mutualtls.queue.agenda import Agenda, Priority
from support.agendas import A, B, C, Clock, play, taken
from support.builders import HOUR, NOW, SECOND

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
    """The delay grows up to a limit, which is minutes and not hours."""

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


def test_what_failed_is_tried_at_once_when_what_it_failed_by_has_passed() -> None:
    """What merely waits for its time is left alone."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        agenda.put(B, at=NOW + HOUR)
        for _ in range(4):
            assert A == await agenda.take()
            clock.now += agenda.failed(A)
        agenda.put(A, at=clock.now)
        assert A == await agenda.take()
        assert 8 * SECOND == agenda.failed(A)
        agenda.retry()

        assert [A] == await taken(agenda)

    play(scene)


def test_of_what_failed_the_most_urgent_is_tried_first() -> None:
    """It does not matter which failed first; what is never urgent comes last."""

    async def scene(agenda: Agenda, _: Clock) -> None:
        for key in (A, B, C):
            agenda.failed(key)
        agenda.retry()

        assert [C, A, B] == await taken(agenda)

    urgent = {A: NOW + 2 * HOUR, C: NOW + HOUR}
    play(scene, urgent_from=urgent.get)


def test_a_failure_that_passes_is_tried_again_before_long() -> None:
    """It does not wait for as long as others do; the more there are, the longer."""

    async def scene(agenda: Agenda, clock: Clock) -> None:
        agenda.put(A)
        for _ in range(9):
            assert A == await agenda.take()
            delay = agenda.failed(A, at_most=2 * SECOND)
            clock.now += delay

        assert 2 * SECOND == delay
        assert 30 * SECOND == agenda.failures.longest_in_outage

    play(scene)
