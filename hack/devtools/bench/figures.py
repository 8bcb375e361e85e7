"""What was measured: one set of figures for each scenario, whoever ran it, and the median of several."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devtools.bench.meters import Reading

ENOUGH = 0.005
"""Writes an identity that are worth telling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one scenario needed for `count` objects; zero objects where it is about none."""

    count: int
    seconds: float
    cpu_s: Mapping[str, float]
    """By program; so is all memory."""
    writes: Mapping[str, float]
    """By resource and verb, without what the load itself has written."""
    base_mib: Mapping[str, float]
    """Before it began."""
    end_mib: Mapping[str, float]
    peak_mib: Mapping[str, float]
    waits_s: Sequence[float] = ()
    """How long each of some new objects waited meanwhile."""

    @property
    def rate(self) -> float:
        """Objects a second."""
        return self.count / self.seconds

    def each_ms(self, program: str) -> float:
        """CPU time of a program for one object."""
        return self.cpu_s[program] / self.count * 1000

    def told(self) -> dict[str, Any]:
        """Tell them for a file, all of them."""
        each = {"rate": self.rate, "cpuMsEach": {name: self.each_ms(name) for name in self.cpu_s}} if self.count else {}
        return {
            "count": self.count,
            "seconds": self.seconds,
            **each,
            "cpuSeconds": dict(self.cpu_s),
            "writes": dict(self.writes),
            "memoryMiB": {"base": dict(self.base_mib), "end": dict(self.end_mib), "peak": dict(self.peak_mib)},
            "waitsSeconds": list(self.waits_s),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The figures of one controller in one scenario, of all rounds."""

    scenario: str
    count: int
    controller: str
    rounds: list[Figures]

    @property
    def middle(self) -> Figures:
        """Medians of all rounds, figure by figure."""
        return middle(self.rounds)

    def share_of(self, other: Row | None) -> float | None:
        """Tell how its rate compares with another's: the median of what each round says."""
        if other is None or other is self or not self.rounds[0].count:
            return None
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(one.rate / beside.rate for one, beside in pairs)


def between(
    before: Reading, after: Reading, *, count: int, memory: Sequence[Mapping[str, float]], by_load: Mapping[str, int]
) -> Figures:
    """Take the difference of two readings. `memory`: base, end and peak. `by_load`: writes of the load itself."""
    base, end, peak = memory
    written = after.writes - before.writes
    written.subtract(by_load)
    return Figures(
        count=count,
        seconds=after.at - before.at,
        cpu_s={name: after.cpu_s[name] - used for name, used in before.cpu_s.items()},
        writes={name: number for name, number in sorted(written.items()) if number},
        base_mib=base,
        end_mib=end,
        peak_mib=peak,
    )


def middle(rounds: Sequence[Figures]) -> Figures:
    """Take the medians of several rounds. The waits are those of all of them."""

    def of(part: Callable[[Figures], Mapping[str, float]]) -> dict[str, float]:
        names = dict.fromkeys(name for one in rounds for name in part(one))
        return {name: statistics.median(part(one).get(name, 0) for one in rounds) for name in names}

    return Figures(
        count=rounds[0].count,
        seconds=statistics.median(one.seconds for one in rounds),
        cpu_s=of(lambda one: one.cpu_s),
        writes=of(lambda one: one.writes),
        base_mib=of(lambda one: one.base_mib),
        end_mib=of(lambda one: one.end_mib),
        peak_mib=of(lambda one: one.peak_mib),
        waits_s=[wait for one in rounds for wait in one.waits_s],
    )


def find(rows: Iterable[Row], row: Row, controller: str) -> Row | None:
    """Find another controller's row of the same scenario and count."""
    return next(
        (one for one in rows if (one.scenario, one.count, one.controller) == (row.scenario, row.count, controller)),
        None,
    )
