"""Draws what a fleet wrote down: who trusted what and showed what, who signed, and how the handshakes went, over time.

`draw` takes the folder of a run, which `fleet` describes, and returns an SVG.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from devtools.consumers import consumer, fleet

_COLOURS = ("#4878a8", "#e08a3c", "#5b9c64", "#8d6cab")
"""Of roots, in the order in which they appear."""
_PHASES = {"Stable": "#f4f4f4", "Publishing": "#dfe8f0", "Signing": "#f6e7d6", "Retiring": "#e9e2ee"}
_BACK = "#eadfdf"
"""Of the phases of a roll-back."""
_FAILED, _DONE, _INK = "#c62828", "#9aa5ad", "#222"
_LEFT, _WIDTH, _TOP = 110, 1000, 76
_ROW, _GAP, _BARS = 22, 8, 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What held from one moment to another."""

    begin: float
    end: float
    says: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A run as it was written down."""

    phases: Sequence[Span]
    files: Mapping[str, Sequence[Span]]
    """By consumer."""
    done: Counter[int]
    """Handshakes by second, of all consumers."""
    failed: Counter[int]

    @property
    def begin(self) -> float:
        """When everyone was there."""
        return max(spans[0].begin for spans in self.files.values())

    @property
    def end(self) -> float:
        """When the last handshake was."""
        return max(self.done) + 1.0


def read(folder: Path) -> Record:
    """Read the folder of a run."""
    logs = {log.parent.name: fleet.lines(log) for log in sorted(folder.glob(f"*/{consumer.LOG}"))}
    rounds = [line for log in logs.values() for line in log if line["what"] == "round"]
    end = math.floor(max(line["began"] for line in rounds)) + 1.0
    done, failed = Counter[int](), Counter[int]()
    for line in rounds:
        done[int(line["began"])] += sum(line["done"].values())
        failed[int(line["began"])] += sum(line["failed"].values())
    files = {name: _spans([one for one in log if one["what"] == "loaded"], end) for name, log in logs.items()}
    return Record(phases=_spans(fleet.lines(folder / fleet.PHASES), end), files=files, done=done, failed=failed)


def _spans(told: Sequence[dict[str, Any]], end: float) -> list[Span]:
    ends = [*(line["at"] for line in told[1:]), end]
    return [Span(begin=line["at"], end=until, says=line) for line, until in zip(told, ends, strict=True)]


def draw(record: Record, title: str) -> str:
    """Draw a run as an SVG."""
    return "\n".join(_Drawing(record).drawn(title)) + "\n"


class _Drawing:
    def __init__(self, record: Record) -> None:
        self._record = record
        spans = [span for row in record.files.values() for span in row]
        roots = [root for span in sorted(spans, key=lambda span: span.begin) for root in span.says["bundle"]]
        self._colours = dict(zip(dict.fromkeys(roots), _COLOURS, strict=False))
        self._bottom = _TOP + (len(record.files) + 1) * (_ROW + _GAP)

    def drawn(self, title: str) -> Iterator[str]:
        record, height = self._record, self._bottom + _BARS + 44
        done, failed = record.done.total(), record.failed.total()
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}"'
        yield f'  font-family="sans-serif" font-size="12" fill="{_INK}" shape-rendering="crispEdges">'
        yield '<rect width="100%" height="100%" fill="white"/>'
        yield self._text(10, 20, f"{title}: {done} handshakes, {failed} failed", size=15)
        yield from self._phases()
        yield from self._signer()
        for row, (name, spans) in enumerate(record.files.items(), start=1):
            yield from self._consumer(_TOP + row * (_ROW + _GAP), name, spans)
        yield from self._handshakes()
        yield from self._axis()
        yield from self._legend()
        yield "</svg>"

    def _x(self, moment: float) -> float:
        begin, end = self._record.begin, self._record.end
        return round(_LEFT + _WIDTH * (min(max(moment, begin), end) - begin) / (end - begin), 1)

    def _box(self, span: Span, y: float, height: float, colour: str) -> str:
        x = self._x(span.begin)
        return f'<rect x="{x}" y="{y:.1f}" width="{self._x(span.end) - x:.1f}" height="{height:.1f}" fill="{colour}"/>'

    def _text(self, x: float, y: float, text: str, *, size: int = 12, anchor: str = "start") -> str:
        return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'

    def _phases(self) -> Iterator[str]:
        for span in self._record.phases:
            yield self._box(span, _TOP - 36, self._bottom + _BARS - _TOP + 36, _PHASES.get(span.says["phase"], _BACK))
        before, line = "", 0
        for span in self._record.phases:
            phase = span.says["phase"]
            if phase != before and self._x(span.end) > _LEFT:
                yield self._text(self._x(span.begin) + 3, _TOP - 22 + 14 * line, phase)
                before, line = phase, 1 - line  # a short phase is not as wide as its name

    def _signer(self) -> Iterator[str]:
        yield self._text(_LEFT - 8, _TOP + 12, "signs", anchor="end")
        for span in self._record.phases:
            if colour := self._colours.get(span.says["signers"].get("root")):
                yield self._box(span, _TOP, _ROW / 2, colour)

    def _consumer(self, y: float, name: str, spans: Sequence[Span]) -> Iterator[str]:
        """Draw above the roots that it trusts, below the one whose certificate it shows."""
        yield self._text(_LEFT - 8, y + 14, name, anchor="end")
        for span in spans:
            bundle = [root for root in self._colours if root in span.says["bundle"]]
            height = _ROW * 0.6 / len(bundle)
            for place, root in enumerate(bundle):
                yield self._box(span, y + place * height, height, self._colours[root])
            if colour := self._colours.get(span.says["root"]):
                yield self._box(span, y + _ROW * 0.7, _ROW * 0.3, colour)

    def _handshakes(self) -> Iterator[str]:
        record, floor = self._record, self._bottom + _BARS
        most = max(record.done.values()) + max(record.failed.values())
        yield self._text(_LEFT - 8, floor - _BARS / 2, "handshakes", anchor="end")
        yield self._text(_LEFT - 8, floor - _BARS / 2 + 14, "a second", anchor="end")
        for second in range(int(record.begin), int(record.end)):
            span = Span(begin=second + 0.08, end=second + 0.92, says={})
            good, bad = (_BARS * counted[second] / most for counted in (record.done, record.failed))
            yield self._box(span, floor - good, good, _DONE)
            if record.failed[second]:
                yield self._box(span, floor - good - bad, max(bad, 3), _FAILED)

    def _axis(self) -> Iterator[str]:
        y = self._bottom + _BARS
        length = self._record.end - self._record.begin
        step = next(step for step in (1, 2, 5, 10, 20, 60, 600) if length / step <= 20 or step == 600)  # noqa: PLR2004
        for second in range(0, int(length) + 1, step):
            yield self._text(self._x(self._record.begin + second), y + 16, f"{second} s", anchor="middle")

    def _legend(self) -> Iterator[str]:
        y = self._bottom + _BARS + 36
        said = "each consumer: above, the roots it trusts; below, the root of the certificate it shows"
        yield self._text(_LEFT, y, said)
        for place, colour in enumerate(self._colours.values()):
            x = _LEFT + 520 + 90 * place
            yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
            yield self._text(x + 17, y, f"root {place + 1}")
