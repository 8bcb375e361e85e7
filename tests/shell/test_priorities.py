"""The agenda: in which order it hands out what is due, and what cannot wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from mutualtls.queue.agenda import Agenda, Key, Priority
from support.agendas import A, B, C, Clock, of, play, taken
from support.builders import HOUR, NOW, SECOND

# In which order


def test_what_is_due_is_taken_by_priority() -> None:
    """First issuances come before renewals, and those before what only changed with many others."""

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
    """This holds also where it was taken before."""

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
