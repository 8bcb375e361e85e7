"""The figures as a picture: an SVG with a line for each controller in each scenario, and three scales beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from devtools.bench.figures import Figures, Row
from devtools.bench.meters import API_SERVER, CONTROLLER, ETCD

_COLOURS = {CONTROLLER: "#4878a8", API_SERVER: "#e08a3c", ETCD: "#5b9c64"}
_RATE, _PEAK, _BASE, _INK, _FAINT = "#8d6cab", "#b8c7d6", "#4878a8", "#222", "#777"
_LEFT, _SCALE, _GAP, _TOP, _ROW, _BETWEEN = 260, 250, 60, 74, 20, 26

Parts = Sequence[tuple[float, str]]
"""Lengths and colours of the parts of a bar, one after the other."""


def _rate(one: Figures) -> Parts:
    return [(one.rate, _RATE)] if one.count else []


def _cpu(one: Figures) -> Parts:
    return [(one.each_ms(name), colour) for name, colour in _COLOURS.items()] if one.count else []


def _memory(one: Figures) -> Parts:
    base, peak = one.base_mib[CONTROLLER], one.peak_mib[CONTROLLER]
    return [(base, _BASE), (max(0.0, peak - base), _PEAK)]


_SCALES: Sequence[tuple[str, Callable[[Figures], Parts], str]] = (
    ("objects a second", _rate, "{:.0f}"),
    ("CPU each, ms: controller, API server, etcd", _cpu, "{:.1f}"),
    ("controller's memory, MiB: base, peak", _memory, "{:.0f}"),
)


def draw(rows: Sequence[Row], title: str) -> str:
    """Draw them. What measures nothing in a scale has no bar there."""
    return "\n".join(_drawn(rows, title)) + "\n"


def _drawn(rows: Sequence[Row], title: str) -> Iterator[str]:
    places = list(_places(rows))
    width, height = _LEFT + len(_SCALES) * (_SCALE + _GAP), (places[-1] if places else _TOP) + 2 * _ROW
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    yield f'  font-family="sans-serif" font-size="12" fill="{_INK}" shape-rendering="crispEdges">'
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield _text(10, 22, title, size=15)
    before = None
    for row, y in zip(rows, places, strict=True):
        if before != (row.scenario, row.count):
            yield _text(10, y + 14, f"{row.scenario}, {row.count:,}")
        yield _text(_LEFT - 8, y + 14, row.controller, anchor="end")
        before = row.scenario, row.count
    for number, (name, parts, form) in enumerate(_SCALES):
        yield from _scale(rows, places, x=_LEFT + number * (_SCALE + _GAP), name=name, parts=parts, form=form)
    yield "</svg>"


def _places(rows: Sequence[Row]) -> Iterator[int]:
    """Tell the height of each row, with room between scenarios."""
    y, before = _TOP - _BETWEEN, None
    for row in rows:
        y += _ROW if before == (row.scenario, row.count) else _BETWEEN
        before = row.scenario, row.count
        yield y


def _scale(
    rows: Sequence[Row], places: Sequence[int], *, x: int, name: str, parts: Callable[[Figures], Parts], form: str
) -> Iterator[str]:
    yield _text(x, _TOP - 12, name, colour=_FAINT)
    bars = [parts(row.middle) for row in rows]
    longest = max((sum(length for length, _ in bar) for bar in bars), default=0) or 1
    for bar, y in zip(bars, places, strict=True):
        at = float(x)
        for length, colour in bar:
            wide = length / longest * _SCALE
            yield f'<rect x="{at:.1f}" y="{y + 3}" width="{wide:.1f}" height="{_ROW - 6}" fill="{colour}"/>'
            at += wide
        if bar:
            yield _text(at + 4, y + 14, form.format(sum(length for length, _ in bar)))


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", colour: str = _INK) -> str:
    said = escape(text)
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{said}</text>'
