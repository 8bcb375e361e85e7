"""How renewals spread: the hours in which identities that were issued together are renewed, by `core.times` alone.

Each renewal comes earlier than the last third of life by a jitter that is fixed by the uid. So each identity goes round
at its own speed, and the wave is wider by the longest jitter with every renewal.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mutualtls.core import times

LIFE = timedelta(hours=24)
RENEW_BEFORE = LIFE / 3
WITHIN = timedelta(minutes=1)
"""In which all of them are issued."""
DAYS = (1, 2, 7, 14)
_HOUR = timedelta(hours=1)
_HOURS_A_DAY = 24
_WIDTH = 60


def simulate(count: int, *, days: int) -> Counter[int]:
    """Count the renewals of each hour since the first issuance, for so many days. The same numbers give the same."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=days)
    hours: Counter[int] = Counter()
    for number in range(count):
        uid = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
        issued = start + WITHIN * number / count
        hours.update((moment - start) // _HOUR for moment in _renewals(uid, issued, end))
    return hours


def _renewals(uid: str, issued: datetime, end: datetime) -> Iterator[datetime]:
    """Follow an identity whose every certificate is renewed when it is due."""
    moment = issued
    while True:
        life = times.validity(moment, LIFE)
        moment = times.renewal_time(life, duration=LIFE, renew_before=RENEW_BEFORE, uid=uid)
        if moment >= end:
            return
        yield moment


def of_day(hours: Mapping[int, int], day: int) -> list[int]:
    """List the renewals of each hour of a day; the first day is 1."""
    first = (day - 1) * _HOURS_A_DAY
    return [hours.get(hour, 0) for hour in range(first, first + _HOURS_A_DAY)]


def shown(count: int) -> RenderableType:
    """Draw a histogram for each of some days."""
    hours = simulate(count, days=max(DAYS))
    title = f"{count:,} certificates of 24h, issued within a minute: renewals by hour since then"
    return Group(title, *(_day(day, of_day(hours, day), most=max(hours.values())) for day in DAYS))


def _day(day: int, counts: list[int], *, most: int) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for hour, number in enumerate(counts):
        bar = Bar(size=most, begin=0, end=number, width=_WIDTH)
        table.add_row(f"{(day - 1) * _HOURS_A_DAY + hour:>4}h", f"{number:>6,}", bar)
    peak, busy = max(counts), sum(number > 0 for number in counts)
    told = f"day {day}: {sum(counts):,} renewals in {busy} of 24 hours, at most {peak:,} an hour ({peak / 3600:.2f}/s)"
    return Group(Text(f"\n{told}", style="bold"), table)
