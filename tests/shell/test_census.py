"""What a count of objects sets right, and when it says that a watch is deaf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube.api import API
from mutualtls.kube.versions import Versions
from mutualtls.watching import census
from mutualtls.watching.census import Census, Counted

Known = dict[str, tuple[str, int]]


class Cluster:
    """Objects of one kind as they are listed, and what is known of them."""

    def __init__(self, listed: Known, known: Known) -> None:
        self.listed, self.known = listed, known
        self.noted: list[tuple[str, str]] = []
        self.versions = Versions()
        self.resource_version = "9"
        self.on_note = asyncio.Event()

    def listing(self, _: str, **__: str) -> Cluster:
        """List them."""
        return self

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        for name, (uid, version) in self.listed.items():
            yield {"name": name, "uid": uid, "resourceVersion": str(version)}

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read one."""
        found = self.listed.get(path)
        return {"metadata": {"name": path, "uid": found[0]}} if found else None

    def note(self, event: str, body: dict[str, Any]) -> None:
        """Take one in."""
        name = body["metadata"]["name"]
        self.noted.append((event, name))
        if event == "DELETED":
            self.known.pop(name)
        else:
            self.known[name] = self.listed[name]
        self.on_note.set()

    @property
    def kind(self) -> Counted:
        """How they are counted."""
        return Counted(
            resource="things",
            path="/things",
            path_of=lambda key: key.name,
            known=lambda: {ObjectKey("", name): one for name, one in self.known.items()},
            note=self.note,
        )

    def counting(self) -> Census:
        """Make a count that is not due for an hour."""
        return Census(cast("API", self), [self.kind], interval_s=3600)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch is given no time to catch up."""
    monkeypatch.setattr(census, "_LAG_S", 0)


@pytest.mark.parametrize(
    ("listed", "known", "noted"),
    [
        pytest.param({"a": ("1", 5)}, {"a": ("1", 5)}, [], id="as it is known"),
        pytest.param({"a": ("1", 5)}, {"a": ("1", 7)}, [], id="known at a later version than the list's"),
        pytest.param({"a": ("1", 5)}, {"a": ("1", 4)}, [("ADDED", "a")], id="changed"),
        pytest.param({"a": ("1", 5)}, {"a": ("1", 0)}, [], id="of a kind whose versions are not kept"),
        pytest.param({"a": ("2", 5)}, {"a": ("1", 4)}, [("ADDED", "a")], id="another of its name"),
        pytest.param({"a": ("1", 5)}, {}, [("ADDED", "a")], id="new"),
        pytest.param({}, {"a": ("1", 5)}, [("DELETED", "a")], id="gone"),
    ],
)
def test_what_the_watch_did_not_tell_of_is_set_right(listed: Known, known: Known, noted: list[tuple[str, str]]) -> None:
    """Once: the next count finds nothing."""

    async def count() -> Cluster:
        cluster = Cluster(listed, known)
        counting = cluster.counting()
        for _ in range(2):
            assert not await counting.count(cluster.kind)
        return cluster

    assert noted == asyncio.run(count()).noted


def test_a_watch_that_is_a_moment_late_is_not_deaf() -> None:
    """What it tells of while the count waits is not missed, however often that is."""

    async def count() -> None:
        cluster = Cluster({}, {})
        counting = cluster.counting()
        for number in range(3):
            cluster.listed[str(number)] = ("1", number + 1)
            asyncio.get_running_loop().call_soon(cluster.known.update, dict(cluster.listed))
            assert not await counting.count(cluster.kind)
        assert [] == cluster.noted

    asyncio.run(count())


def test_a_watch_that_misses_something_twice_in_a_row_is_deaf() -> None:
    """Each time something else."""

    async def count() -> list[bool]:
        cluster = Cluster({}, {})
        counting = cluster.counting()
        found = []
        for number in range(3):
            cluster.listed[str(number)] = ("1", number + 1)
            found.append(await counting.count(cluster.kind))
        return found

    assert [False, True, True] == asyncio.run(count())


def test_what_went_before_a_list_was_begun_again_is_found_at_once() -> None:
    """Kopf does not tell of it. The first list has nothing before it."""

    async def count() -> None:
        cluster = Cluster({}, {"a": ("1", 5)})
        counting = cluster.counting()
        running = asyncio.create_task(counting.run(lambda _: None))
        for _ in range(2):
            assert [] == cluster.noted
            counting.list_ended("things")
        async with asyncio.timeout(60):
            await cluster.on_note.wait()
        running.cancel()
        assert [("DELETED", "a")] == cluster.noted

    asyncio.run(count())
