"""What the operator measures, put on a page when it is asked for."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from mutualtls.authorities.outlook import Outlook
from mutualtls.core.leaf.waiting import SlowWork
from mutualtls.core.rotation.walk import RESULTS
from mutualtls.kube.clocks import Clocks
from mutualtls.kube.requests import Requests
from mutualtls.kube.unread import UnreadObjects
from mutualtls.kube.versions import Versions
from mutualtls.metrics import of_authorities
from mutualtls.metrics.of_identities import IdentitiesPass
from mutualtls.metrics.page import Page
from mutualtls.queue.agenda import Agenda
from mutualtls.queue.shares import Shares
from mutualtls.queue.slow_keys import SlowKeySlots
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.tally import REFUSALS, Tally
from mutualtls.settings import Settings
from mutualtls.store.store import Store

_REVISION = "MUTUALTLS_REVISION"
"""Environment variable with the revision of the source, for who builds an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the values come from. Each part of the operator keeps its own counts."""

    store: Store
    agenda: Agenda
    tally: Tally
    trouble: Trouble
    shares: Shares
    slots: Mapping[SlowWork, SlowKeySlots]
    requests: Requests
    clocks: Clocks
    unread: UnreadObjects
    versions: Versions
    reconciles: Counter[tuple[str, str]]
    """By kind and result."""
    rotations: Counter[tuple[str, str]]
    """By authority and result."""
    missed: Counter[str]
    """By resource: what a watch had not told of."""
    heard: Mapping[str, datetime]
    """By the name of each watch, which begins with its resource: when it last told anything."""
    outlooks: Callable[[], Mapping[str, Outlook]]
    left_alone: Callable[[], Mapping[str, str]]
    """Authorities that other operators serve, with their namespaces."""
    remembered: Callable[[], int]
    """How many things are kept in memory beside the objects."""
    is_leader: Callable[[], bool]
    transitions: Callable[[], int]
    """How often the Lease went from one operator to another."""
    why_not_ready: Callable[[], str | None]
    why_not_healthy: Callable[[], str | None]
    server_version: Callable[[], str]
    clock: Callable[[], datetime]


class Metrics:
    """Writes a page of all metrics."""

    def __init__(self, sources: Sources, settings: Settings) -> None:
        self._sources = sources
        self._settings = settings
        self._process = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)
        self._version = _version()
        self._turn = asyncio.Lock()
        """Whoever reaches the port may ask as often as they like: one page is worked out at a time."""

    async def text(self) -> bytes:
        """Write them in Prometheus' text format. Others have their turn on the event loop meanwhile."""
        async with self._turn:
            page = await self.page()
            return await asyncio.to_thread(lambda: page.text() + generate_latest(self._process))

    async def page(self) -> Page:
        """Work out all values, but for those of the process."""
        page, of = Page(), self._sources
        await IdentitiesPass(
            of.store,
            page,
            of.clock(),
            per_identity=self._settings.metrics_per_identity,
            by_namespace=self._settings.metrics_by_namespace,
        ).run()
        of_authorities.write(page, of.store, of.outlooks())
        for name, namespace in sorted(of.left_alone().items()):
            page.put("authority_served_elsewhere", 1, name, namespace)
        self._write_process(page)
        self._write_queue(page)
        self._write_counts(page)
        self._write_requests(page)
        return page

    def _write_process(self, page: Page) -> None:
        of = self._sources
        versions = (self._version, os.environ.get(_REVISION, ""), platform.python_version(), of.server_version())
        page.put("build_info", 1, *versions)
        page.put("ready", of.why_not_ready() is None)
        page.put("healthy", of.why_not_healthy() is None)
        page.put("leader", of.is_leader())
        page.put("leader_transitions_total", of.transitions())
        page.put("clock_skew_seconds", of.clocks.skew.total_seconds())
        page.put("workers", self._settings.workers)
        page.put("workers_busy", len(of.agenda.at_work))
        page.put("tracked_entries", of.remembered())
        for resource, heard in sorted(_by_resource(of.heard).items()):
            page.put("watch_last_event_timestamp_seconds", heard.timestamp(), resource)

    def _write_queue(self, page: Page) -> None:
        of, now = self._sources, self._sources.clock()
        for priority, since in of.agenda.waiting().items():
            oldest = (now - min(since)).total_seconds() if since else 0.0
            page.put("agenda_entries", len(since), priority.name.lower())
            page.put("agenda_oldest_seconds", max(0.0, oldest), priority.name.lower())
        for namespace, number in sorted(of.shares.waiting(now).items()):
            page.put("throttled_identities", number, namespace)
        for size, slots in of.slots.items():
            page.put("keys_waiting", slots.waiting, size)

    def _write_counts(self, page: Page) -> None:
        of = self._sources
        page.put("throttled_total", of.shares.delayed)
        page.put("resource_version_rollbacks_total", of.versions.returns)
        by_several: dict[str, Iterable[tuple[tuple[str, ...], int]]] = {
            "certificates_issued_total": of.tally.issued.items(),
            "refusals_total": self._with_zeros(of.tally.refused, REFUSALS).items(),
            "rotations_total": self._with_zeros(of.rotations, RESULTS).items(),
            "rejected_writes_total": of.trouble.refused.items(),
            "reconcile_total": of.reconciles.items(),
        }
        for name, counted in by_several.items():
            for values, number in sorted(counted):
                page.put(name, number, *values)
        by_one: dict[str, Counter[str]] = {
            "secrets_mended_total": of.tally.mended,
            "census_missed_total": of.missed,
            "unreadable_objects_total": of.unread.counts,
        }
        for name, counts in by_one.items():
            for label, number in sorted(counts.items()):
                page.put(name, number, label)
        for stage, durations in of.tally.durations.items():
            page.put_histogram("issuance_duration_seconds", durations, stage)

    def _with_zeros(self, counted: Counter[tuple[str, str]], of_each: Iterable[str]) -> Counter[tuple[str, str]]:
        """Add what has not happened to each authority yet: an alert sees the first time only where there was a 0."""
        zeros = Counter({(name, str(one)): 0 for name in self._sources.store.authorities for one in of_each})
        zeros.update(counted)
        return zeros

    def _write_requests(self, page: Page) -> None:
        requests = self._sources.requests
        for asked, number in sorted(requests.counts.items()):
            page.put("api_requests_total", number, *asked)
        for what, durations in sorted(requests.durations.items(), key=lambda one: one[0]):
            page.put_histogram("api_request_duration_seconds", durations, *what)
        for resource, number in sorted(requests.watches().items()):
            page.put("watch_restarts_total", number - 1, resource)


def _by_resource(heard: Mapping[str, datetime]) -> dict[str, datetime]:
    """Tell of each resource when the watch last told anything that has told nothing for the longest time."""
    found: dict[str, datetime] = {}
    for watch, at in heard.items():
        resource = watch.partition(" ")[0]
        found[resource] = min(at, found.get(resource, at))
    return found


def _version() -> str:
    """Tell the version of the operator; "" where it runs from its sources."""
    try:
        return importlib.metadata.version("mutualtls-operator")
    except importlib.metadata.PackageNotFoundError:
        return ""
