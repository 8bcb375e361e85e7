"""One operator process: wait for what it needs, start the watches and the workers, end in order."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from datetime import UTC, datetime

import kopf

from mutualtls import handlers, health
from mutualtls.agenda import Agenda, Key, Kind, Priority
from mutualtls.authorities import Authorities
from mutualtls.core import labels
from mutualtls.core.errors import ClusterError
from mutualtls.events import Announcer
from mutualtls.health import Health
from mutualtls.kube import echoes, paths, session
from mutualtls.kube.api import API
from mutualtls.kube.census import Census
from mutualtls.kube.session import Connection
from mutualtls.kube.store import Store
from mutualtls.kube.watch import Followed, MetadataWatch
from mutualtls.metrics import Metrics
from mutualtls.reconcile import Reconciler
from mutualtls.settings import Settings

logger = logging.getLogger(__name__)

_SPARE_CONNECTIONS = 8
"""For the watches and the lists, beside one for each worker."""
_WAIT_S = 2.0


class EndedError(Exception):
    """The operator could not go on. Whoever started it starts it again."""


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT, then finish what is under way.

    Raises:
        LoginError: there is no way to the API server.
        EndedError: a watch ended for good.
    """
    connection = session.connect(connections=settings.workers + _SPARE_CONNECTIONS)
    api = API(connection.session, connection.server, timeout_s=settings.request_timeout.total_seconds(), clock=utc_now)
    try:
        await _Operator(api, connection, settings).run()
    finally:
        await connection.session.close()


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class _Operator:
    """The parts of an operator, put together."""

    def __init__(self, api: API, connection: Connection, settings: Settings) -> None:
        self._api = api
        self._connection = connection
        self._settings = settings
        self._store = Store(sweep=settings.sweep)
        self._agenda = Agenda(clock=utc_now, first_retry=settings.first_retry, last_retry=settings.last_retry)
        announcer = Announcer(api, clock=utc_now, instance=socket.gethostname())
        self._authorities = Authorities(
            api, self._store, announcer, namespace=settings.namespace, clock=utc_now, check=settings.authority_check
        )
        self._reconciler = Reconciler(
            api,
            self._store,
            self._authorities,
            self._agenda,
            announcer,
            settings=settings,
            clock=utc_now,
        )
        self._health = Health(clock=utc_now)
        self._watches = [self._watch(*one) for one in self._followed().items()]
        self._census = Census(api, self._store, wake=self._reconciler.wake, interval_s=settings.relist.total_seconds())
        api.on_skew = self._look_at_authorities

    async def run(self) -> None:
        # Kopf cancels, when it ends, every task that began after it: ours begin before.
        endless = [asyncio.create_task(watch.run()) for watch in self._watches]
        endless.append(asyncio.create_task(self._census.run(self._deaf), name="census"))
        workers = self._start_workers()
        port = self._settings.health_port
        server = await health.serve(self._health, Metrics(self._store).text, port=port) if port else None
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

    def _followed(self) -> dict[str, Followed]:
        """Say what is followed without Kopf: its own Secrets, and the copies of bundles."""
        store, copies = self._store, self._store.copies

        def not_served() -> None:
            store.serves_trust_bundles = False

        bundles = f"{labels.PART}={labels.PART_BUNDLE}"
        return {
            "secrets": Followed(
                path=paths.SECRETS,
                selector=f"{labels.PART} in ({labels.PART_FILES},{labels.PART_CA},{labels.PART_PASSWORD})",
                note=store.note_secret,
                note_gone=store.note_secret_gone,
                absent=store.absent_secrets,
                changed=self._secret_changed,
            ),
            "configmaps": Followed(
                path=paths.CONFIG_MAPS,
                selector=bundles,
                note=copies.note,
                note_gone=copies.note_gone,
                absent=functools.partial(copies.absent, with_namespace=True),
                changed=self._reconciler.wake_copy,
            ),
            "clustertrustbundles": Followed(
                path=paths.TRUST_BUNDLES,
                selector=bundles,
                note=copies.note,
                note_gone=copies.note_gone,
                absent=functools.partial(copies.absent, with_namespace=False),
                changed=self._reconciler.wake_copy,
                not_served=not_served,
            ),
        }

    def _watch(self, what: str, followed: Followed) -> MetadataWatch:
        return MetadataWatch(
            self._api,
            followed,
            clock=utc_now,
            hear=functools.partial(self._health.hear, what),
            lose=functools.partial(self._health.lose, what),
            relist_s=int(self._settings.relist.total_seconds()),
        )

    def _deaf(self, why: str) -> None:
        logger.error("the operator is deaf", extra={"why": why})
        self._health.deaf = why

    def _look_at_authorities(self) -> None:
        for name in self._store.authorities:
            self._agenda.put(Key(Kind.AUTHORITY, name), priority=Priority.FIRST)

    def _start_workers(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._work(), name=f"worker {number}") for number in range(self._settings.workers)]

    async def _work(self) -> None:
        """Begin only when all that is followed was listed: before that, what was not seen may well be there."""
        for watch in self._watches:
            await watch.is_listed.wait()
        await self._reconciler.work()

    async def _run_kopf(self) -> None:
        await self._wait_for_cluster()
        registry = kopf.OperatorRegistry()
        reconciler = self._reconciler
        found = handlers.Handlers(self._store, self._agenda, wake=reconciler.wake, wake_copies=reconciler.wake_copies)
        found.register(registry)

        @kopf.on.login(registry=registry)
        def login(**_: object) -> kopf.AiohttpSession:
            borrowed = self._connection.borrowed(echoes.quiet_response(self._store.is_known))
            return kopf.AiohttpSession(server=self._connection.server, aiohttp_session=borrowed)

        self._health.started = True
        logger.info("operator runs", extra={"namespace": self._settings.namespace, "server": self._connection.server})
        await kopf.operator(registry=registry, settings=handlers.settings(), clusterwide=True, standalone=True)

    async def _wait_for_cluster(self) -> None:
        """Wait, saying so, until all that is watched can be listed and our namespace is there."""
        said = ""
        while why_not := await self._why_not_ready():
            self._health.waits_for = f"waiting for: {why_not}"
            if why_not != said:
                logger.warning("waiting for the cluster", extra={"for": why_not})
                said = why_not
            await asyncio.sleep(_WAIT_S)
        self._health.waits_for = None

    async def _why_not_ready(self) -> str | None:
        try:
            for path in (paths.IDENTITIES, paths.AUTHORITIES):
                async for _ in self._api.pages(path, metadata_only=True):
                    break
            async for page in self._api.pages(paths.NAMESPACES, metadata_only=True):
                for item in page.items:
                    self._store.note_namespace(item["metadata"])
            if await self._api.get_metadata(paths.namespace(self._settings.namespace)) is None:
                return f"namespace {self._settings.namespace}, which holds the CA: create it"
        except ClusterError as error:
            return str(error)
        return None

    def _secret_changed(self, key: str) -> None:
        """Wake who depends on a Secret: identities, for their files or their password, or the authority of a CA."""
        namespace, _, name = key.partition("/")
        of_ca = labels.parse_ca_secret_name(name)
        if of_ca is not None and namespace == self._settings.namespace and of_ca[0] in self._store.authorities:
            self._agenda.put(Key(Kind.AUTHORITY, of_ca[0]), priority=Priority.FIRST)
        for identity in self._store.identities_of_secret(namespace, name):
            self._reconciler.wake(identity)
        for identity in self._store.identities_of_password(namespace, name):
            self._reconciler.wake(identity)

    async def _drain(self, endless: list[asyncio.Task[None]], workers: list[asyncio.Task[None]]) -> None:
        """Hand out nothing new, let work under way end, and cancel what does not."""
        self._agenda.close()
        for task in endless:
            task.cancel()
        if not all(watch.is_listed.is_set() for watch in self._watches):
            for task in workers:
                task.cancel()
        _, late = await asyncio.wait(workers, timeout=self._settings.drain_timeout.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*endless, *workers, return_exceptions=True)
        logger.info("operator ended", extra={"unfinished": len(late)})
