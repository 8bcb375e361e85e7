"""The figures as a table that fits a terminal of 140 columns, and another of the writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from devtools.bench import contenders, figures
from devtools.bench.figures import ENOUGH, Figures, Row
from devtools.bench.meters import API_SERVER, CONTROLLER, METERED

_FAST = 10
"""Seconds below which tenths are shown."""


def figures_table(rows: Sequence[Row]) -> Table:
    """Show each scenario of each controller in a line."""
    table = Table(box=None, pad_edge=False)
    for name in ("Scenario", "Objects", "Controller", "Seconds", "A second", "Of\nfloor", "Of\nour API"):
        table.add_column(name, justify="left" if name in {"Scenario", "Controller"} else "right", no_wrap=True)
    for name in (
        "CPU\ncontroller", "CPU API\nserver", "CPU\netcd", "MiB controller\nbase/end/peak", "MiB API s.\nbase/peak",
        "New one waits\nhalf/all",
    ):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    before: tuple[str, int] | None = None
    for row in rows:
        if before not in {None, (row.scenario, row.count)}:
            table.add_row()
        table.add_row(*_cells(row, rows, is_first=before != (row.scenario, row.count)))
        before = row.scenario, row.count
    return table


def _cells(row: Row, rows: Sequence[Row], *, is_first: bool) -> list[str]:
    one = row.middle
    shares = (row.share_of(figures.find(rows, row, floor.name)) for floor in (contenders.FLOOR, contenders.API_FLOOR))
    return [
        row.scenario if is_first else "",
        f"{row.count:,}" if is_first else "",
        row.controller,
        f"{one.seconds:.1f}" if one.seconds < _FAST else f"{one.seconds:.0f}",
        f"{one.rate:.0f}" if one.count else "",
        *("" if share is None else f"{share:.0%}" for share in shares),
        *(_cpu(one, program) for program in METERED),
        "/".join(f"{memory[CONTROLLER]:.0f}" for memory in (one.base_mib, one.end_mib, one.peak_mib)),
        "/".join(f"{memory[API_SERVER]:.0f}" for memory in (one.base_mib, one.peak_mib)),
        _waits(one.waits_s),
    ]


def _cpu(one: Figures, program: str) -> str:
    """Show CPU time: of each object, or of all, where the scenario is about none."""
    return f"{one.each_ms(program):.2f} ms" if one.count else f"{one.cpu_s[program]:.2f} s"


def _waits(waits: Sequence[float]) -> str:
    if not waits:
        return ""
    return f"{sorted(waits)[len(waits) // 2]:.2f}/{max(waits):.2f} s"


def writes_table(rows: Sequence[Row]) -> Table:
    """Show the writes by resource and verb: an object where there are some, else all."""
    table = Table(box=None, pad_edge=False)
    for name in ("Scenario", "Objects", "Controller", "Writes"):
        table.add_column(name, justify="right" if name == "Objects" else "left")
    for row in rows:
        one = row.middle
        table.add_row(row.scenario, f"{row.count:,}", row.controller, _writes(one.writes, one.count))
    return table


def _writes(writes: Mapping[str, float], count: int) -> str:
    if not count:
        return ", ".join(f"{name} {number:.0f}" for name, number in writes.items()) or "none"
    each = {name: number / count for name, number in writes.items()}
    told = [f"{name} {number:.2f}" for name, number in each.items() if number >= ENOUGH]
    return f"{sum(each.values()):.2f} each: {', '.join(told)}" if told else "none"
