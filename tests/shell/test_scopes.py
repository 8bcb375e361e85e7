"""What an operator knows that serves some of the authorities of a cluster, while identities move between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from mutualtls.authorities.known_identities import KnownIdentities
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.model.scope import Scope
from mutualtls.kube.api import API
from mutualtls.kube.versions import Versions
from mutualtls.queue.agenda import Agenda
from mutualtls.store.store import Store
from mutualtls.watching import followed
from mutualtls.watching.census import Census
from mutualtls.watching.handlers import Handlers
from mutualtls.watching.wakes import Wakes
from support.builders import NOW, SECOND, identity_body
from support.knowledge import KEY, metadata

NAMED = Scope(authorities=("a", "b"))


class Shell:
    """What an operator of authorities `a` and `b` knows."""

    def __init__(self) -> None:
        self.store = Store(scope=NAMED)
        self.wakes = Wakes(
            self.store, Agenda(clock=lambda: NOW, first_retry=SECOND, last_retry=SECOND), namespace="system"
        )
        self.handlers = Handlers(self.store, self.wakes)

    def tell(self, event: str, authority: str, version: int) -> None:
        """Bring an event about the identity."""
        self.handlers.note_identity(event, identity_body(version=version, authority=authority))

    @property
    def known(self) -> dict[ObjectKey, str]:
        """Which identities are known, with their authorities."""
        return {key: one.authority for key, one in self.store.identities.items()}


@pytest.mark.parametrize(
    ("events", "known"),
    [
        pytest.param([("ADDED", "a", 5), ("DELETED", "a", 6)], {}, id="deleted, or gone to another operator"),
        pytest.param([("ADDED", "a", 5), ("ADDED", "b", 6), ("DELETED", "a", 6)], {KEY: "b"}, id="come before gone"),
        pytest.param([("ADDED", "a", 5), ("DELETED", "a", 6), ("ADDED", "b", 6)], {KEY: "b"}, id="gone before come"),
        pytest.param([("ADDED", "a", 5), ("ADDED", "c", 6)], {}, id="read once it was another operator's"),
        pytest.param([("ADDED", "c", 5)], {}, id="another operator's"),
        pytest.param([("ADDED", "b", 6), ("ADDED", "a", 5)], {KEY: "b"}, id="told late of what it was"),
    ],
)
def test_an_identity_is_known_while_one_of_ours_signs(
    events: list[tuple[str, str, int]], known: dict[ObjectKey, str]
) -> None:
    """That it left one watch says nothing of another, and their events come in any order."""
    shell = Shell()
    for event in events:
        shell.tell(*event)

    assert known == shell.known


class Server:
    """An API server with one identity, which moves to another authority between two lists."""

    def __init__(self, shell: Shell, *, is_told: bool) -> None:
        self.shell, self.is_told, self.versions = shell, is_told, Versions()
        self.resource_version = "9"
        self.counted: list[str] = []

    async def _list(self, authority: str) -> AsyncIterator[dict[str, Any]]:
        if authority == "b":  # the list before had it no more
            if self.is_told:
                self.shell.tell("ADDED", "a", 8)
            self.counted.append("moved")
        return
        yield {}

    def listing(self, _: str, *, fields: str) -> Server:
        """List what there is of an authority."""
        self.fields = fields
        return self

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self._list(self.fields.removeprefix("spec.authority="))

    async def get(self, _: str) -> dict[str, Any] | None:
        """Read what is missing."""
        return identity_body(version=8, authority="a")

    async def count(self, _: str, *, fields: str) -> int:
        """Count what there is of an authority."""
        self.counted.append(fields)
        return 1 if fields == "spec.authority=a" else 0


@pytest.mark.parametrize(("is_told", "known"), [(True, {KEY: "a"}), (False, {})], ids=["moved", "gone"])
def test_what_moves_between_two_lists_is_not_taken_for_gone(*, is_told: bool, known: dict[ObjectKey, str]) -> None:
    """Its new watch has told of it by then, or will."""
    shell = Shell()
    shell.tell("ADDED", "b", 5)
    server = cast("API", Server(shell, is_told=is_told))
    (kind,) = [one for one in followed.by_kopf(shell.store, shell.handlers) if one.resource == "mutualtlsidentities"]
    asyncio.run(Census(server, [kind], interval_s=3600).count(kind))

    assert known == shell.known


def test_identities_of_other_operators_are_not_waited_for() -> None:
    """Those of each authority are counted, and once all were known, never again."""
    shell = Shell()
    server = Server(shell, is_told=False)
    identities = KnownIdentities(cast("API", server), shell.store)
    assert not asyncio.run(identities.are_all())
    shell.tell("ADDED", "a", 5)
    assert asyncio.run(identities.are_all())
    shell.tell("DELETED", "a", 6)
    assert asyncio.run(identities.are_all())

    assert ["spec.authority=a", "spec.authority=b"] == server.counted


def test_a_list_of_passwords_says_nothing_of_files() -> None:
    """They are of no authority, and have a watch of their own; each list forgets what is missing of its own kind."""
    store = Shell().store
    files, password = ObjectKey("shop", "orders-mtls"), ObjectKey("shop", "password")
    store.secrets.note(files, metadata(1), now=NOW)
    store.secrets.note(password, metadata(1, labels={labels.PART: labels.PART_PASSWORD}), now=NOW)

    assert (files,) == store.secrets.absent_files([])
    assert (password,) == store.secrets.absent_passwords([])
