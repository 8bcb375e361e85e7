"""Histograms count as Prometheus does: by upper bounds, each with all that is less."""

from __future__ import annotations

from mutualtls.core.histogram import Histogram


def test_values_are_counted_up_to_each_bound() -> None:
    """A value that is equal to a bound counts under it."""
    of = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        of.add(value)

    assert [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)] == of.cumulative()
    assert (4, 7.65) == (of.count, of.total)
