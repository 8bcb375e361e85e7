"""The reconciler and its agenda as they are, over a memory in place of the API server, which counts what is written."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from mutualtls.authorities.offers import Offers
from mutualtls.authorities.reconciler import AuthorityReconciler
from mutualtls.core.ca.offer import Offer
from mutualtls.core.pki.issue import CA
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.process.worker import Worker
from mutualtls.queue.agenda import Agenda
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.gather import urgent_from
from mutualtls.settings import Settings
from mutualtls.store.store import Store
from support.builders import HOUR, SECOND, as_stored, default_signer, merged

_STEP = SECOND / 100

Begin = Callable[["Memory", Store, Agenda], None]
"""Has objects be there and be known, and puts on the agenda what is to be looked at."""


class Memory:
    """An API server that takes everything that is not refused, and a clock."""

    def __init__(self, now: datetime) -> None:
        self.began = self.now = now
        self.objects: dict[str, dict[str, Any]] = {}
        """By path."""
        self.writes: list[tuple[datetime, str]] = []
        """When, and the path, Events apart."""
        self.refuse: Callable[[datetime, str], Exception | None] = lambda _now, _path: None
        """Tells why the write of a path is refused; None: it is not."""
        self._version = 1_000_000

    def clock(self) -> datetime:
        """Tell the time."""
        return self.now

    latest = clock

    async def create(self, path: str, body: dict[str, Any], **_: object) -> dict[str, Any]:
        """Take an Event, or a Secret."""
        if path.endswith("/events"):
            return body
        assert path.endswith("/secrets"), path
        whole = f"{path}/{body['metadata']['name']}"
        self._note_write(whole)
        self.objects[whole] = as_stored(body)
        return cast("dict[str, Any]", self.objects[whole]["metadata"])

    async def patch(self, path: str, patch: dict[str, Any], **_: object) -> dict[str, Any]:
        """Change an object, or its status."""
        self._note_write(path)
        self._version += 1
        whole = path.removesuffix("/status")
        changed = merged(self.objects[whole], patch)
        self.objects[whole] = merged(changed, {"metadata": {"resourceVersion": str(self._version)}})
        return cast("dict[str, Any]", self.objects[whole]["metadata"])

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read an object."""
        return self.objects.get(path)

    async def get_metadata(self, path: str) -> dict[str, Any] | None:
        """Read the metadata of an object."""
        found = self.objects.get(path)
        return found["metadata"] if found is not None else None

    def _note_write(self, path: str) -> None:
        """Count a write that is taken.

        Raises:
            Exception: it is refused.
        """
        if (refusal := self.refuse(self.now, path)) is not None:
            raise refusal
        self.writes.append((self.now, path))

    @property
    def written(self) -> list[str]:
        """List the paths that were written, in order of their names."""
        return sorted(path for _, path in self.writes)

    def per_second(self) -> list[int]:
        """Count the writes of each second since the beginning."""
        seconds = Counter((at - self.began) // SECOND for at, _ in self.writes)
        return [seconds[second] for second in range(max(seconds, default=-1) + 1)]


class _Signing:
    """What authorities that sign offer, and the CA with which all of them sign."""

    def __init__(self, offered: Mapping[str, Offer]) -> None:
        self._offered = offered

    async def ca_for(self, name: str, *, not_after: datetime) -> CA:
        """Hand out the CA."""
        del name, not_after
        return default_signer().issuing

    def trust(self, name: str) -> Offer | None:
        """Tell what one offers."""
        return self._offered.get(name)


def _is_busy(agenda: Agenda) -> bool:
    """Tell whether something is due or at work."""
    agenda._ring()  # noqa: SLF001 - what is due by this clock; the loop's own stands still
    return bool(agenda.at_work) or any(agenda._due.values())  # noqa: SLF001 - nothing else needs to know


During = Callable[[Memory, Worker], None]
"""What is done at each moment."""


def worked(
    begin: Begin,
    offered: Mapping[str, Offer],
    *,
    now: datetime,
    time: timedelta = 10 * SECOND,
    during: During = lambda _memory, _worker: None,
) -> Memory:
    """Have an operator work for a while, and return the memory as it left it."""
    memory = Memory(now)

    async def run() -> None:
        store, of = Store(), cast("API", memory)
        agenda = Agenda(
            clock=memory.clock,
            first_retry=SECOND,
            last_retry=HOUR,
            urgent_from=functools.partial(urgent_from, store),
        )
        working = Worker(
            of,
            store,
            cast("Offers", _Signing(offered)),
            agenda,
            Announcer(of, clock=memory.clock, instance="here"),
            authorities=cast("AuthorityReconciler", None),
            trouble=Trouble(),
            settings=Settings(),
            clock=memory.clock,
        )
        begin(memory, store, agenda)
        worker = asyncio.create_task(working.work())
        for step in range(time // _STEP):
            memory.now = now + step * _STEP
            during(memory, working)
            while _is_busy(agenda):
                assert not worker.done()
                await asyncio.sleep(0)
        agenda.close()
        await worker
        assert 0 == working._bundles._rewrites.held  # noqa: SLF001 - nothing waits any more

    asyncio.run(run())
    return memory
