"""Metrics for Prometheus: the CAs of each authority, how far a root rotation is, what is pending, and what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from mutualtls.core import times
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import ROTATING
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.states import Phase
from mutualtls.core.leaf.waiting import SlowWork
from mutualtls.core.reasons import Reason
from mutualtls.kube.unread import UnreadObjects
from mutualtls.kube.versions import Versions
from mutualtls.queue.shares import Shares
from mutualtls.queue.slow_keys import SlowKeySlots
from mutualtls.queue.trouble import Trouble
from mutualtls.store.store import Store


class Metrics(Collector):
    """Works them out from what is known when they are asked for."""

    def __init__(
        self,
        store: Store,
        unread: UnreadObjects,
        versions: Versions,
        shares: Shares,
        slots: Mapping[SlowWork, SlowKeySlots],
        *,
        trouble: Trouble,
        left_alone: Callable[[], Mapping[str, str]],
        remembered: Callable[[], int],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._unread = unread
        self._versions = versions
        self._shares = shares
        self._slots = slots
        self._trouble = trouble
        self._left_alone = left_alone
        self._remembered = remembered
        self._clock = clock
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Write them in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Make each family."""
        authorities = sorted(self._store.authorities.values(), key=lambda authority: authority.name)
        yield _of_cas(authorities)
        phase = GaugeMetricFamily("mutualtls_rotation_phase", "1 for the phase of the root rotation.", labels=_PHASE)
        laggards = GaugeMetricFamily(
            "mutualtls_rotation_laggards", "Objects that the root rotation waits for.", labels=_AUTHORITY
        )
        excused = GaugeMetricFamily(
            "mutualtls_rotation_excused", "Objects that the root rotation has skipped.", labels=_AUTHORITY
        )
        skipped = GaugeMetricFamily(
            "mutualtls_rotation_skipped", "Secrets that it never waits for, as no identity has them.", labels=_AUTHORITY
        )
        behind = GaugeMetricFamily(
            "mutualtls_bundle_behind", "Secrets and copies that do not have the current bundle.", labels=_AUTHORITY
        )
        for authority in authorities:
            waits_for, rollout = authority.status.next, self._store.rollout_of(authority.name)
            phase.add_metric([authority.name, _phase(authority)], 1)
            laggards.add_metric([authority.name], waits_for.behind if waits_for else 0)
            excused.add_metric([authority.name], waits_for.excused if waits_for else 0)
            skipped.add_metric([authority.name], len(rollout.skipped))
            behind.add_metric(
                [authority.name], sum(carrier.bundle_hash != authority.status.bundle for carrier in rollout.carriers)
            )
        left = GaugeMetricFamily(
            "mutualtls_bundle_copies_orphaned", "Copies of bundles whose authority does not exist.", labels=_AUTHORITY
        )
        for name, number in sorted(self._store.copies.count_by_authority().items()):
            if name not in self._store.authorities:
                left.add_metric([name], number)
        yield from (phase, laggards, excused, skipped, behind, left)
        unread = CounterMetricFamily(
            "mutualtls_unreadable_objects", "How often an object could not be read and was skipped.", labels=_RESOURCE
        )
        for resource, count in sorted(self._unread.counts.items()):
            unread.add_metric([resource], count)
        yield unread
        returned = CounterMetricFamily(
            "mutualtls_resource_version_rollbacks", "How often resource versions went back, as after a restore of etcd."
        )
        returned.add_metric([], self._versions.returns)
        yield returned
        yield from self._of_what_waits()
        yield from self._of_trouble(authorities)

    def _of_trouble(self, authorities: list[Authority]) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "mutualtls_rejected_writes", "Writes that the API server rejected.", labels=("resource", "code")
        )
        for (resource, code), number in sorted(self._trouble.refused.items()):
            refused.add_metric([resource, code], number)
        identities = GaugeMetricFamily(
            "mutualtls_secrets_not_writable", "Identities whose Secret cannot be written.", labels=("namespace",)
        )
        in_trouble = Counter(one.namespace for one in self._store.identities.values() if _is_refused(one))
        for namespace, number in sorted(in_trouble.items()):
            identities.add_metric([namespace], number)
        copies = GaugeMetricFamily(
            "mutualtls_bundle_copies_not_writable",
            "Namespaces where a copy of the bundle cannot be written.",
            labels=_AUTHORITY,
        )
        for authority in authorities:
            copies.add_metric([authority.name], len(self._store.copies.refused_of(authority.name)))
        left = GaugeMetricFamily(
            "mutualtls_authority_served_elsewhere", "1 for an authority that the operator of another namespace serves.",
            labels=("authority", "served_by"),
        )  # fmt: skip
        for name, namespace in sorted(self._left_alone().items()):
            left.add_metric([name, namespace], 1)
        yield from (refused, identities, copies, left)

    def _of_what_waits(self) -> Iterator[Metric]:
        delayed = CounterMetricFamily(
            "mutualtls_throttled", "Changes that were delayed because more were requested than are made at once."
        )
        delayed.add_metric([], self._shares.delayed)
        waiting = GaugeMetricFamily(
            "mutualtls_throttled_identities", "Identities whose change is delayed.", labels=("namespace",)
        )
        for namespace, number in sorted(self._shares.waiting(self._clock()).items()):
            waiting.add_metric([namespace], number)
        keys = GaugeMetricFamily(
            "mutualtls_keys_waiting", "Identities that wait for a slot in which slow keys are made.",
            labels=("size",),
        )  # fmt: skip
        for size, slots in self._slots.items():
            keys.add_metric([size], slots.waiting)
        remembered = GaugeMetricFamily(
            "mutualtls_tracked_entries", "Entries in memory beside the objects: the agenda, and recent changes."
        )
        remembered.add_metric([], self._remembered())
        yield from (delayed, waiting, keys, remembered)


_AUTHORITY = ("authority",)
_PHASE = ("authority", "phase")
_RESOURCE = ("resource",)


def _is_refused(identity: Identity) -> bool:
    ready = identity.status.ready
    return ready is not None and ready.reason == Reason.SECRET_NOT_WRITABLE


def _of_cas(authorities: list[Authority]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "mutualtls_ca_not_after_timestamp_seconds",
        "End of each CA generation, in seconds since 1970.",
        labels=("authority", "role", "number", "state"),
    )
    for authority in authorities:
        for ca in authority.status.generations:
            if (end := times.moment_in(ca.not_after)) is not None:
                family.add_metric([authority.name, ca.role, str(ca.number), ca.state], end.timestamp())
    return family


def _phase(authority: Authority) -> str:
    rotating = authority.status.condition(ROTATING)
    return rotating.reason if rotating is not None else Phase.STABLE
