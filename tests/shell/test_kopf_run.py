"""What Kopf must not depend on."""

from __future__ import annotations

import asyncio
import getpass
from typing import Any, cast

import aiohttp
import pytest

from mutualtls.core.model.scope import Scope
from mutualtls.kube.session import Connection
from mutualtls.queue.agenda import Agenda
from mutualtls.store.store import Store
from mutualtls.watching import kopf_run
from mutualtls.watching.handlers import Handlers
from mutualtls.watching.wakes import Wakes
from support.builders import NOW, SECOND


def _nameless() -> str:
    raise OSError("No username set in the environment")


def test_a_user_without_a_name_can_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose uid is not in its passwd. All of several end when they are told to."""
    monkeypatch.setattr(getpass, "getuser", _nameless)
    scope = Scope(authorities=("a", "b"))
    store = Store(scope=scope)
    agenda = Agenda(clock=lambda: NOW, first_retry=SECOND, last_retry=SECOND)
    handlers, begun = Handlers(store, Wakes(store, agenda, namespace="system")), list[str]()

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            connection, stop = Connection(server="https://127.0.0.1:1", session=session), asyncio.Event()
            asyncio.get_running_loop().call_later(0.1, stop.set)
            through = cast("Any", begun.append)
            await kopf_run.run(scope, handlers, connection, through, stop=stop)

    asyncio.run(run())
    assert ["a", "b"] == begun
