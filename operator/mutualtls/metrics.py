"""Metrics for Prometheus: the CAs of each authority, how far the replacing of a root is, and who lags."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from mutualtls.core import times
from mutualtls.core.authority import Authority
from mutualtls.kube.store import Store


class Metrics(Collector):
    """Works them out from what is known when they are asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Write them in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Make each family anew."""
        authorities = sorted(self._store.authorities.values(), key=lambda authority: authority.name)
        yield _of_cas(authorities)
        phase = GaugeMetricFamily(
            "mutualtls_rotation_phase", "1 for the phase that the replacing of the root is in.", labels=_PHASE
        )
        laggards = GaugeMetricFamily(
            "mutualtls_rotation_laggards", "Objects that the replacing of the root waits for.", labels=_AUTHORITY
        )
        excused = GaugeMetricFamily(
            "mutualtls_rotation_excused", "Objects that it does not wait for any more.", labels=_AUTHORITY
        )
        behind = GaugeMetricFamily(
            "mutualtls_bundle_behind", "Secrets and copies that do not have the bundle of now.", labels=_AUTHORITY
        )
        for authority in authorities:
            waits_for = authority.status.next
            phase.add_metric([authority.name, _phase(authority)], 1)
            laggards.add_metric([authority.name], waits_for.behind if waits_for else 0)
            excused.add_metric([authority.name], waits_for.excused if waits_for else 0)
            behind.add_metric([authority.name], self._behind(authority))
        yield from (phase, laggards, excused, behind)

    def _behind(self, authority: Authority) -> int:
        carriers = self._store.sight_of_authority(authority.name).carriers
        return sum(carrier.bundle_hash != authority.status.bundle for carrier in carriers)


_AUTHORITY = ("authority",)
_PHASE = ("authority", "phase")


def _of_cas(authorities: list[Authority]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "mutualtls_ca_not_after_timestamp_seconds",
        "End of each CA generation, in seconds since 1970.",
        labels=("authority", "role", "number", "state"),
    )
    for authority in authorities:
        for ca in authority.status.generations:
            which = [authority.name, ca.role, str(ca.number), ca.state]
            family.add_metric(which, times.from_rfc3339(ca.not_after).timestamp())
    return family


def _phase(authority: Authority) -> str:
    told = (one.reason for one in authority.status.conditions if one.type == "Rotating")
    return next(told, "Stable")
