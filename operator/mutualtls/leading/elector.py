"""Take the Lease, renew it, give it up: the reads and writes between the moves of `election`.

It speaks to the API server over a connection of its own, so that no amount of work delays a renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime

from mutualtls.core.errors import AlreadyExistsError, ClusterError, ConflictError, NotFoundError, UnreadableError
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.kube.fence import Fence, boot_clock
from mutualtls.leading import lease
from mutualtls.leading.election import Election, Move
from mutualtls.leading.lease import Lease, Record

logger = logging.getLogger(__name__)

_OVERTAKEN = (ConflictError, NotFoundError, AlreadyExistsError)
"""What a write of the Lease meets that is not as it was known."""
_RELEASE_S = 3.0
"""How long the end of the process may wait for the Lease to be given up."""
_MOST_WRITES = 2
"""At once: what a first one meets is read, and decided about."""


class Elector:
    """One operator as a candidate for the Lease of its namespace, and as its holder."""

    def __init__(
        self,
        api: API,
        fence: Fence,
        announcer: Announcer,
        *,
        identity: str,
        namespace: str,
        duration_s: int,
        retry_s: float,
        now: Callable[[], datetime],
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        """`now` is what is written for people; waiting goes by `clock`, in seconds."""
        self._api = api
        self._fence = fence
        self._announcer = announcer
        self._namespace = namespace
        self._duration_s = duration_s
        self._retry_s = retry_s
        self._now = now
        self._clock = clock
        self._election = Election(identity, duration_s=duration_s)
        self._trouble: str | None = None
        self._is_late = False
        self._is_in_doubt = True
        self.may_lead = asyncio.Event()
        """Set once this operator would know what to do: the Lease is not taken before."""
        self.leads = asyncio.Event()
        """Set when it has become the leader."""
        self.lost = asyncio.Event()
        """Set when it is no more, and has to end."""

    async def run(self) -> None:
        """Take the Lease as soon as that may be, and renew it, until cancelled or until it is lost."""
        while not self.lost.is_set():
            try:
                await self._step()
            except (ClusterError, UnreadableError) as error:
                self._note_trouble(str(error))
            else:
                self._trouble = None
            await self._pause()

    async def release(self) -> None:
        """Give the Lease up, if it may be ours, so that another operator need not wait. All writes must have ended."""
        self._fence.close()
        # A write that got no answer may have taken it.
        may_be_ours = self._election.leads or (self._is_in_doubt and self.may_lead.is_set())
        if not may_be_ours or self.lost.is_set():
            return
        try:
            async with asyncio.timeout(_RELEASE_S):
                if await self._release():
                    logger.info("released the Lease")
                    await self._announce("stopped leading")
        except (ClusterError, UnreadableError, TimeoutError) as error:
            why = {"error": str(error) or "no answer in time"}
            logger.warning("the Lease could not be released: a standby waits until it ends", extra=why)
        self._election.resigned()

    # What is told of it

    @property
    def is_leader(self) -> bool:
        """Whether this operator leads, and may write now."""
        return self._election.leads and self._fence.is_open

    @property
    def transitions(self) -> int:
        """How often the Lease went from one operator to another, as far as it is known."""
        return self._election.record.transitions if self._election.record is not None else 0

    def why_not_ready(self) -> str | None:
        """Tell why this operator neither leads nor stands by; None while it does."""
        if self._election.leads:
            return None if self._fence.is_open else f"the Lease is not renewed: {self._trouble or 'it took too long'}"
        if self._trouble is not None:
            return self._trouble
        return None if self.standby_of else "the Lease is about to be taken"

    @property
    def standby_of(self) -> str:
        """The leader for which this operator stands by; "" where it leads itself, or nobody else does."""
        record = self._election.record
        if self._election.leads or record is None or record.holder == self._election.identity:
            return ""
        return record.holder

    # Moves

    async def _step(self) -> None:
        if self._is_in_doubt or not self._election.leads:
            await self._read()
        for _ in range(_MOST_WRITES):
            move = self._election.next_move(now=self._clock())
            if move is Move.YIELD:
                await self._lose()
                return
            if move is Move.WAIT or not (self._election.leads or self.may_lead.is_set()):
                return
            if await self._write(move):
                return

    async def _read(self) -> None:
        found = await self._api.get(paths.lease(self._namespace, lease.NAME))
        self._election.saw(lease.parse(found) if found is not None else None, now=self._clock())
        self._is_in_doubt = False

    async def _write(self, move: Move) -> bool:
        """Take the Lease or renew it. False: it was not as it was known, and was read again."""
        election, before = self._election, self._election.record
        known = election.lease if move is Move.REPLACE else None
        record = lease.held(election.identity, before, duration_s=self._duration_s, now=self._now())
        sent, self._is_in_doubt = self._clock(), True
        try:
            written = await self._put(known, record)
        except _OVERTAKEN:
            await self._read()
            return False
        was_leader, self._is_in_doubt = election.leads, False
        election.wrote(written, sent=sent)
        self._fence.hold(election.end)
        if not was_leader:
            await self._begin(before)
        elif self._is_late:
            self._is_late = False
            logger.warning("the Lease was renewed late, and nobody took it meanwhile: this operator goes on")
        return True

    async def _put(self, known: Lease | None, record: Record) -> Lease:
        """Write over the version that is known, or create the Lease where none is."""
        if known is not None:
            body = lease.replacement(known, record)
            return lease.parse(await self._api.replace(paths.lease(self._namespace, lease.NAME), body))
        metadata = await self._api.create(paths.leases(self._namespace), lease.manifest(self._namespace, record))
        return Lease(record=record, body=lease.manifest(self._namespace, record) | {"metadata": metadata})

    async def _release(self) -> bool:
        """Write that nobody holds the Lease. False: it is not ours."""
        for _ in range(_MOST_WRITES):
            if self._is_in_doubt:
                await self._read()
            known = self._election.lease
            if known is None or known.record.holder != self._election.identity:
                return False
            self._is_in_doubt = True
            with contextlib.suppress(*_OVERTAKEN):
                await self._put(known, lease.released(known.record, now=self._now()))
                return True
        return False

    async def _begin(self, before: Record | None) -> None:
        of = before.holder if before is not None else ""
        logger.info("this operator leads", extra={"identity": self._election.identity, "after": of or "nobody"})
        self.leads.set()
        await self._announce("became leader")

    async def _lose(self) -> None:
        """Write nothing from now on. What was known may be outdated, so that this process has to end."""
        self._fence.close()
        self._election.resigned()
        self.lost.set()
        holder = self.standby_of or "nobody"
        logger.error("the Lease was lost: this operator stops writing and ends", extra={"holder": holder})
        await self._announce("stopped leading")

    async def _announce(self, what: str) -> None:
        known = self._election.lease
        uid = known.body["metadata"]["uid"] if known is not None else ""
        await self._announcer.about_lease(self._namespace, lease.NAME, uid, f"{self._election.identity} {what}")

    # Time and trouble

    async def _pause(self) -> None:
        """Wait until the next look: no longer than until the Lease is free, or may be taken.

        A standby looks twice as often as the leader renews, so that it soon sees that the Lease was given up.
        """
        free_at = None if self._election.leads else self._election.free_at
        most = self._retry_s if self._election.leads else self._retry_s / 2
        left = most if free_at is None else free_at - self._clock()
        delay = min(most, left) if left > 0 else most
        if self.may_lead.is_set():
            await asyncio.sleep(delay)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self.may_lead.wait()

    def _note_trouble(self, why: str) -> None:
        """Take in that the Lease could not be read or written. Each begin of that is logged, and when it matters."""
        if self._trouble is None:
            logger.warning("the Lease cannot be read or renewed, trying again", extra={"error": why})
        self._trouble = why
        if self._election.leads and not self._fence.is_open and not self._is_late:
            self._is_late = True
            logger.error("the Lease was not renewed in time: nothing is written until it is", extra={"error": why})
