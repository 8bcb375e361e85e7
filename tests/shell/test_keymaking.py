"""Slow keys are made beside the loop, in threads of lower priority."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from mutualtls.core.api.algorithms import Algorithm
from mutualtls.core.pki import keys
from mutualtls.core.pki.keys import KeyType, PrivateKey
from mutualtls.queue import slow_keys
from support.builders import P256, RSA

LARGE = KeyType(Algorithm.RSA, 3072)


def made(kind: KeyType) -> tuple[PrivateKey, int]:
    """Make a key, and count how often the loop went round meanwhile."""

    async def count() -> tuple[PrivateKey, int]:
        making, rounds = asyncio.ensure_future(slow_keys.make(kind)), 0
        while not making.done():
            rounds += 1
            await asyncio.sleep(0)
        return making.result(), rounds

    return asyncio.run(count())


@pytest.mark.parametrize("kind", [P256, RSA, LARGE], ids=str)
def test_keys_are_of_the_type_that_was_asked(kind: KeyType) -> None:
    """It does not matter where they are made."""
    key, _ = made(kind)

    assert kind == keys.type_of(key.public_key())


def test_the_loop_goes_on_while_a_slow_key_is_made() -> None:
    """A quick key is made without leaving the loop."""
    assert made(RSA)[1] > 10 >= made(P256)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
@pytest.mark.parametrize(("kind", "lower_by"), [(P256, 0), (RSA, 5), (LARGE, 10)], ids=str)
def test_what_takes_long_gives_way(monkeypatch: pytest.MonkeyPatch, kind: KeyType, lower_by: int) -> None:
    """Large keys give way to small ones, both to everything else; the priority of nobody else changes."""
    found: list[int] = []
    generate = keys.generate

    def watched(of: KeyType) -> PrivateKey:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return generate(of)

    monkeypatch.setattr(keys, "generate", watched)
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    made(kind)

    assert [min(before + lower_by, 19)] == found
    assert before == os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_what_goes_wrong_is_raised_where_the_key_is_waited_for() -> None:
    """It is not lost in a thread that nobody looks at."""
    with pytest.raises(ValueError, match="key_size"):
        made(KeyType(Algorithm.RSA, 1))


def test_who_is_cancelled_waits_for_no_key() -> None:
    """An operator that ends leaves the thread behind."""

    async def cancel() -> None:
        making = asyncio.ensure_future(slow_keys.make(RSA))
        await asyncio.sleep(0)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    asyncio.run(cancel())
    for thread in threading.enumerate():
        assert thread is threading.current_thread() or thread.daemon
