"""One operator process: wait for what it needs, start the watches and the workers, end in order."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from mutualtls.authorities.offers import Offers
from mutualtls.authorities.reconciler import AuthorityReconciler
from mutualtls.core.api.refusals import Cause
from mutualtls.core.ca.restored import Remembered
from mutualtls.core.model import labels
from mutualtls.core.model.scope import SPEC_AUTHORITY
from mutualtls.kube import session
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.kube.requests import asked
from mutualtls.kube.rights import Rights
from mutualtls.kube.session import Connection
from mutualtls.kube.watch import Followed, MetadataWatch
from mutualtls.metrics.metrics import Metrics, Sources
from mutualtls.process import health, leadership, prerequisites, supervision
from mutualtls.process.health import Health
from mutualtls.process.leadership import Candidate
from mutualtls.process.worker import Worker
from mutualtls.queue.agenda import Agenda
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.gather import urgent_from
from mutualtls.settings import Settings
from mutualtls.store.store import Store
from mutualtls.watching import echoes, followed, handlers, kopf_run
from mutualtls.watching.census import Census
from mutualtls.watching.wakes import Wakes

logger = logging.getLogger(__name__)

_SPARE_CONNECTIONS = 8
"""For the watches and the lists, beside one for each worker; each authority that is named takes two more."""


class EndedError(Exception):
    """The operator could not go on. Whoever started it starts it again."""


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT, then finish what is under way.

    Raises:
        LoginError: there is no way to the API server.
        EndedError: a watch ended for good, or another operator leads.
    """
    spare = _SPARE_CONNECTIONS + 2 * len(settings.authorities)
    connection = session.connect(connections=settings.workers + spare)
    candidate = leadership.join(settings, clock=utc_now)
    timeout_s = settings.request_timeout.total_seconds()
    api = API(connection.session, connection.server, timeout_s=timeout_s, clock=utc_now, fence=candidate.fence)
    remembered: Mapping[str, Remembered] = {}
    try:
        while True:
            operator = _Operator(api, connection, settings, candidate, remembered)
            await operator.run()
            if candidate.elector.lost.is_set():
                raise EndedError("the Lease was lost, to be started again as a standby")
            if not operator.is_outlived:
                return
            remembered = operator.remembered
            _end_by_signals()
    finally:
        await candidate.leave()
        await connection.session.close()


def _end_by_signals() -> None:
    """End at once by signals, as before the start, until Kopf takes them again."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class _Operator:
    """The parts of an operator, put together.

    Versions that go back end it, to be followed by another: what it knows would seem newer than what the API server
    says. Only what it knew of CAs is handed on.
    """

    def __init__(
        self,
        api: API,
        connection: Connection,
        settings: Settings,
        candidate: Candidate,
        remembered: Mapping[str, Remembered],
    ) -> None:
        self.is_outlived = False
        """Whether versions went back."""
        self._stop = asyncio.Event()
        candidate.elector.may_lead.clear()
        self._api = api
        self._connection = connection
        self._candidate = candidate
        self._settings = settings
        self._store = Store(sweep=settings.sweep, scope=settings.scope)
        self._agenda = Agenda(
            clock=utc_now,
            first_retry=settings.first_retry,
            last_retry=settings.last_retry,
            urgent_from=functools.partial(urgent_from, self._store),
            most_at_work=max(1, settings.workers // 2),
        )
        announcer = Announcer(api, clock=utc_now, instance=leadership.name())
        self._trouble = Trouble()
        offers = Offers(api, namespace=settings.namespace, clock=utc_now)
        self._authorities = AuthorityReconciler(
            api,
            self._store,
            offers,
            announcer,
            trouble=self._trouble,
            namespace=settings.namespace,
            clock=utc_now,
            check=settings.authority_check,
            on_offer_changed=self._wake_all,
            remembered=remembered,
        )
        self.remembered: Mapping[str, Remembered] = {}
        """What was known of CAs when they did."""
        self._wakes = Wakes(self._store, self._agenda, namespace=settings.namespace)
        self._worker = Worker(
            api,
            self._store,
            offers,
            self._agenda,
            announcer,
            authorities=self._authorities,
            trouble=self._trouble,
            settings=settings,
            clock=utc_now,
        )
        self._health = Health(
            clock=utc_now,
            why_no_statuses=self._trouble.why_not_ready,
            why_no_leader=candidate.elector.why_not_ready,
            standby_of=lambda: candidate.elector.standby_of,
        )
        self._rights = Rights(api, lack=self._lack, regain=self._regain)
        by_watches = followed.by_watches(self._store, self._wakes, not_served=self._follow_no_trust_bundles)
        self._watches = {of: self._watch(of, one) for of, one in by_watches.items()}
        self._handlers = handlers.Handlers(self._store, self._wakes)
        by_kopf = followed.by_kopf(self._store, self._handlers)
        self._census = Census(api, by_kopf, interval_s=settings.relist.total_seconds())
        self._metrics = Metrics(self._sources(), settings)
        self._listen()

    def _sources(self) -> Sources:
        """Say where metrics come from."""
        transport, worker = self._api.transport, self._worker
        return Sources(
            store=self._store,
            agenda=self._agenda,
            tally=worker.tally,
            trouble=self._trouble,
            shares=worker.limits.shares,
            slots=worker.limits.slots,
            requests=transport.requests,
            clocks=transport.clocks,
            unread=self._api.unread,
            versions=self._api.versions,
            reconciles=worker.reconciles,
            rotations=self._authorities.rotations,
            missed=self._census.missed,
            heard=self._health.heard,
            outlooks=self._authorities.outlooks,
            left_alone=lambda: self._authorities.left_alone,
            remembered=lambda: worker.held,
            is_leader=lambda: self._candidate.elector.is_leader,
            transitions=lambda: self._candidate.elector.transitions,
            why_not_ready=self._health.why_not_ready,
            why_not_healthy=self._health.why_not_healthy,
            server_version=lambda: self._api.server_version,
            clock=utc_now,
        )

    def _listen(self) -> None:
        """Take in what the session with the API server notices."""
        api = self._api
        for transport in (api.transport, self._candidate.api.transport):
            transport.on_denied = self._rights.doubt
            transport.on_refused = self._count_refused
            transport.requests = api.transport.requests
            transport.clocks = api.transport.clocks  # compared at every renewal of the Lease
        api.transport.clocks.on_skew = self._wakes.authorities
        api.transport.outage.on_end = self._worker.retry
        api.versions.begin_again()
        api.versions.on_return = self._end_outlived

    async def run(self) -> None:
        # Kopf cancels, when it ends, every task that began after it: ours begin before.
        tasks = {f"the watch of {of}": watch.run for of, watch in self._watches.items()}
        tasks |= {"the count of objects": functools.partial(self._census.run, self._deaf)}
        tasks |= {"the check of rights": self._rights.run, "the Lease": self._candidate.elector.run}
        tasks |= {"the begin of leading": self._begin, "the end of leading": self._end_deposed}
        endless = [asyncio.create_task(supervision.keep(name, task, self._health)) for name, task in tasks.items()]
        workers = self._start_workers()
        port = self._settings.health_port
        server = await health.serve(self._health, self._metrics.text, port=port) if port else None
        try:
            await self._run_kopf()
        except Exception as error:
            logger.exception("a watch ended for good")
            raise EndedError(f"a watch ended for good, to be started again: {error}") from error
        finally:
            self._health.started = False
            await self._drain(endless, workers)
            if server is not None:
                await server.cleanup()

    def _follow_no_trust_bundles(self) -> None:
        self._store.serves_trust_bundles = False
        self._health.unfollow("clustertrustbundles")

    def _watch(self, what: str, one: Followed) -> MetadataWatch:
        self._health.follow(what)
        return MetadataWatch(
            self._api,
            one,
            clock=utc_now,
            hear=functools.partial(self._health.hear, what),
            list_ended=functools.partial(self._health.list_ended, what),
            lose=functools.partial(self._health.lose, what),
            relist_s=int(self._settings.relist.total_seconds()),
        )

    def _list_ended(self, watch: str) -> None:
        self._health.list_ended(watch)
        self._census.list_ended(watch)

    def _end_outlived(self, resource: str, before: int, now: int) -> None:
        """Take in that versions went back, and end."""
        logger.error(
            "resource versions went back, as after a restore of etcd: everything is listed again",
            extra={"resource": resource, "before": before, "now": now},
        )
        if not self.is_outlived:
            self.is_outlived, self.remembered = True, self._authorities.remembered()
        self._stop.set()

    def _count_refused(self, method: str, path: str, code: int, cause: Cause) -> None:
        _, resource = asked(method, path)
        self._trouble.count(resource, code, cause)

    def _deaf(self, why: str) -> None:
        logger.error("a watch is stalled", extra={"why": why})
        self._health.deaf = why

    def _lack(self, what: str) -> None:
        if self._health.lacks != what:
            logger.error("the account lacks a right", extra={"why": what})
        self._health.lacks = what

    def _regain(self) -> None:
        if self._health.lacks is not None:
            self._worker.retry()
        self._health.lacks = None

    def _wake_all(self, authority: str) -> None:
        self._worker.on_offer_changed(authority)

    def _start_workers(self) -> list[asyncio.Task[None]]:
        names = [f"worker {number}" for number in range(1, self._settings.workers + 1)]
        work = self._worker.work
        return [asyncio.create_task(supervision.keep(name, work, self._health), name=name) for name in names]

    async def _begin(self) -> None:
        """Have everything looked at once this operator leads, which it may when all that is followed was listed.

        Before that, what was not seen may well be there. `health` has the operator started again where that takes too
        long.
        """
        await self._health.listed.wait()
        self._candidate.elector.may_lead.set()
        await self._candidate.elector.leads.wait()
        self._wakes.begin()

    async def _end_deposed(self) -> None:
        """End when another operator leads."""
        await self._candidate.elector.lost.wait()
        self._stop.set()

    async def _run_kopf(self) -> None:
        await prerequisites.wait(self._api, self._store, self._health, namespace=self._settings.namespace)
        scope = self._store.scope
        for of in scope.by_field(SPEC_AUTHORITY):
            for resource in (labels.IDENTITY_PLURAL, labels.AUTHORITY_PLURAL, "namespaces"):
                self._health.follow(followed.watch_name(resource, of))
        self._health.started = True
        serves = {"serves": scope.shown()} if not scope.is_whole else {}
        where = {"namespace": self._settings.namespace, "server": self._connection.server}
        logger.info("operator runs", extra=where | serves)
        await kopf_run.run(scope, self._handlers, self._connection, self._through, stop=self._stop)

    def _through(self, of: str) -> echoes.Filter:
        """Make what stands between Kopf and its watches: of the objects of one authority, or with "" of all."""

        def named(take: Callable[..., None]) -> Callable[..., None]:
            return lambda resource, *more: take(followed.watch_name(resource, of), *more)

        return echoes.Filter(
            is_known=self._store.is_known,
            hear=named(self._health.hear),
            list_ended=named(self._list_ended),
            lose=named(self._health.lose),
            refused=self._api.transport.refused_watch,
            unread=self._api.unread,
            versions=self._api.versions,
            requests=self._api.transport.requests,
            notes={labels.IDENTITY_PLURAL: self._handlers.note_identity},
        )

    async def _drain(self, endless: list[asyncio.Task[None]], workers: list[asyncio.Task[None]]) -> None:
        """Hand out nothing new, let work under way end, and cancel what does not."""
        self._agenda.close()
        for task in endless:
            task.cancel()
        _, late = await asyncio.wait(workers, timeout=self._settings.drain_timeout.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*endless, *workers, return_exceptions=True)
        logger.info("operator ended", extra={"unfinished": len(late)})
