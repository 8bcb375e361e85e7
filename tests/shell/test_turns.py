"""The agenda: namespaces take turns."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutualtls.queue.agenda import Agenda, Key, Priority
from support.agendas import Clock, at_once, of, play, taken
from support.builders import SECOND


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
    """This holds within a priority, whatever comes in meanwhile; what is more urgent is taken first."""

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
