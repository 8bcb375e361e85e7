"""What happens in a cluster, as it happens: lists and watches in a thread of their own, which hands each event on.

With all rights, and by no code of the operator's, on whose work it looks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import yaml

from devtools.clusters.clusters import Cluster

_RETRY_S = 0.1
_LISTED_S = 30.0
_GONE = 410

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One object as it is now. `is_gone`: it was deleted, and this is what it was."""

    at: float
    """When it was heard of, as Unix time."""
    body: dict[str, Any]
    is_gone: bool = False

    @property
    def version(self) -> int:
        """Order of all changes in a cluster, whatever their kind."""
        return int(self.body["metadata"]["resourceVersion"])


class Watches:
    """The watches of one cluster. Events are handed on in the watches' thread, one at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self.loop = asyncio.get_running_loop()
        self.errors: list[BaseException] = []
        """Why a watch ended that should not have."""
        self._server = cluster.server
        user = yaml.safe_load(cluster.kubeconfig().read_text())["users"][0]["user"]
        self._connector = aiohttp.TCPConnector(
            limit=0, ssl=ssl.create_default_context(cafile=str(cluster.folder / "ca.crt"))
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"Authorization": f"Bearer {user['token']}"},
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, path: str, on_event: Callable[[Event], None], *, selector: str = "") -> None:
        """Hand on all objects of a path, then whatever happens to them. Return once all were handed on."""
        listed = threading.Event()
        following = self._follow(path, selector, on_event, listed)
        self.call(lambda: self._start(following))
        if not listed.wait(timeout=_LISTED_S):
            raise RuntimeError(f"could not be listed: {path}")

    def call(self, action: Callable[[], T]) -> T:
        """Do something in the watches' thread, between two events, and return what it returns."""

        async def do() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(do(), self.loop).result(timeout=_LISTED_S)

    def _start(self, following: Any) -> None:
        task = self.loop.create_task(following)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def _follow(
        self, path: str, selector: str, on_event: Callable[[Event], None], listed: threading.Event
    ) -> None:
        """List and watch, and go on where a watch ends; list again where the API server has forgotten that place."""
        query = {"labelSelector": selector}
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list(path, query, on_event)
                    listed.set()
                watch = query | {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
                async for kind, body in self._events(path, watch):
                    if kind == "ERROR":
                        version = "" if body.get("code") == _GONE else version
                        break
                    version = body["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        on_event(Event(at=time.time(), body=body, is_gone=kind == "DELETED"))
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error, aiohttp.ClientResponseError) and error.status == _GONE:
                    version = ""
                await asyncio.sleep(_RETRY_S)  # the API server is away

    async def _list(self, path: str, query: dict[str, str], on_event: Callable[[Event], None]) -> str:
        async with self._session.get(self._server + path, params=query) as answer:
            answer.raise_for_status()
            listed = await answer.json()
        for body in listed["items"]:
            on_event(Event(at=time.time(), body=body))
        return str(listed["metadata"]["resourceVersion"])

    async def _events(self, path: str, query: dict[str, str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        async with self._session.get(self._server + path, params=query) as answer:
            answer.raise_for_status()
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]

    async def end(self) -> None:
        """End all watches."""
        # Not gracefully, and before whoever reads from it: what is closed otherwise is still open for a while.
        await self._connector.close(abort_ssl=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()


@contextlib.contextmanager
def running(cluster: Cluster) -> Iterator[Watches]:
    """Watch for as long as the block lasts.

    Raises:
        ExceptionGroup: a watch ended, or what it called failed.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=_LISTED_S)

    try:
        watches = do(_begin(cluster))
        try:
            yield watches
        finally:
            do(watches.end())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    if watches.errors:
        raise BaseExceptionGroup("a watch ended", watches.errors)


async def _begin(cluster: Cluster) -> Watches:
    return Watches(cluster)
