"""How long each test took, and which took far longer than the last time on this machine."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from devtools.machine import cache

_TIMES, _MORE_S = 1.5, 5.0
"""What counts as far longer: by both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A run of pytest that is timed."""

    report: Path
    before: Path

    @property
    def options(self) -> tuple[str, ...]:
        """What pytest is told."""
        return (f"--junitxml={self.report}", "--durations=5", "--durations-min=5")

    def grown(self) -> list[str]:
        """List the tests that took far longer than before, in words."""
        before, now = _read(self.before), _read(self.report)
        return [
            f"{test}: {before[test]:.0f} s before, {seconds:.0f} s now"
            for test, seconds in now.items()
            if test in before and seconds > before[test] * _TIMES and seconds > before[test] + _MORE_S
        ]


@contextlib.contextmanager
def taken(name: str) -> Iterator[Timed]:
    """Time what the block does with the options. What the last run of that name took is kept to compare with."""
    folder = cache.folder() / "timings"
    folder.mkdir(exist_ok=True)
    timed = Timed(report=folder / f"{name}.xml", before=folder / f"{name}.before.xml")
    if timed.report.exists():
        shutil.move(timed.report, timed.before)
    yield timed


def _read(report: Path) -> dict[str, float]:
    """Read the seconds of each test, set up and torn down, by file and name; none where there is no whole report."""
    try:
        cases = ElementTree.parse(report).iter("testcase")  # noqa: S314 - pytest wrote it
    except (FileNotFoundError, ElementTree.ParseError):  # the run before was ended while pytest wrote it
        return {}
    return {f"{case.get('classname', '')}::{case.get('name')}": float(case.get("time", "0")) for case in cases}
