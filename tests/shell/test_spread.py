"""How renewals spread, as `hack/bench --spread` shows it."""

from __future__ import annotations

import io

from rich.console import Console

from devtools.bench import spread

COUNT = 500


def test_the_hours_of_renewals_grow_until_they_are_the_whole_day() -> None:
    """The first time all are renewed within the longest jitter, which is less than an hour."""
    hours = spread.simulate(COUNT, days=max(spread.DAYS))
    busy = [sum(number > 0 for number in spread.of_day(hours, day)) for day in spread.DAYS]

    assert COUNT == sum(spread.of_day(hours, 1)) == sum(hours[hour] for hour in (15, 16))
    assert sorted(set(busy)) == busy
    assert 24 == busy[-1]


def test_the_histogram_has_a_bar_for_each_hour() -> None:
    """Above them it says how many there are that day."""
    written = io.StringIO()
    Console(file=written, width=100).print(spread.shown(COUNT))

    assert "day 1: 500 renewals in " in written.getvalue()
    assert len(spread.DAYS) * 24 == sum(
        line.lstrip()[:1].isdigit() and "h " in line for line in written.getvalue().splitlines()[1:]
    )
