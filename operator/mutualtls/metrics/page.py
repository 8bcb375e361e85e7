"""One page of metrics: the values of one scrape, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from mutualtls.core.histogram import Histogram
from mutualtls.metrics.catalogue import CATALOGUE, ON_REQUEST, PER_IDENTITY, PREFIX, Entry, Type


class Page(Collector):
    """Values of metrics, each by its name in the catalogue and the values of its labels."""

    def __init__(self) -> None:
        self._families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        self._histograms: dict[str, HistogramMetricFamily] = {}
        self._lines: dict[str, list[str]] = {name: [] for name in PER_IDENTITY}
        for name, entry in CATALOGUE.items():
            if name in PER_IDENTITY:
                continue
            if entry.type is Type.HISTOGRAM:
                self._histograms[name] = HistogramMetricFamily(PREFIX + name, entry.meaning, labels=entry.labels)
            else:
                self._families[name] = _family(entry)

    def put(self, name: str, value: float, *labels: str) -> None:
        """Give a value to a gauge or a counter."""
        self._families[name].add_metric(labels, value)

    def put_time(self, name: str, moment: float | None, *labels: str) -> None:
        """Give a value to a gauge of times, where there is one."""
        if moment is not None:
            self._families[name].add_metric(labels, moment)

    def put_histogram(self, name: str, values: Histogram, *labels: str) -> None:
        """Give its values to a histogram."""
        self._histograms[name].add_metric(labels, buckets=values.cumulative(), sum_value=values.total)

    def put_of_identity(self, name: str, value: float | None, labels: str) -> None:
        """Give a value to a gauge of one identity, where there is one, with its labels as they are written.

        There may be thirty thousand of them, for which the library needs three times as long.
        """
        if value is not None:
            self._lines[name].append(f"{PREFIX}{name}{{{labels}}} {value}")

    def collect(self) -> Iterator[Metric]:
        """Return each family, but for those of single identities; of those on request, those that have values."""
        for name in (name for name in CATALOGUE if name not in PER_IDENTITY):
            family: Metric = self._histograms.get(name) or self._families[name]
            if family.samples or name not in ON_REQUEST:
                yield family

    def text(self) -> bytes:
        """Write the page."""
        parts = [generate_latest(self).decode()]
        for name, lines in self._lines.items():
            if lines:
                parts += [f"# HELP {PREFIX}{name} {CATALOGUE[name].meaning}\n", f"# TYPE {PREFIX}{name} gauge\n"]
                parts += ["\n".join(lines), "\n"]
        return "".join(parts).encode()


def _family(entry: Entry) -> GaugeMetricFamily | CounterMetricFamily:
    family = GaugeMetricFamily if entry.type is Type.GAUGE else CounterMetricFamily
    made: GaugeMetricFamily | CounterMetricFamily = family(PREFIX + entry.name, entry.meaning, labels=entry.labels)
    return made
