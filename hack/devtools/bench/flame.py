"""Stacks of a profile, drawn as a flame graph, and as a list of the functions that take most of the time."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

Stacks = Counter[tuple[str, ...]]
"""How often each stack was seen, from the outermost function to the innermost."""

_WIDTH, _ROW, _TOP, _INK = 1400, 17, 40, "#222"
_LETTER = 6.4
"""Width of a letter."""
_THINNEST = 0.6
"""Narrowest box that is drawn."""
_LEAST_TEXT = 3
"""Letters, with which a text is worth its place."""


@dataclass(slots=True)
class _Node:
    seen: int = 0
    inside: dict[str, _Node] = field(default_factory=dict)


def folded(lines: Iterable[str]) -> Stacks:
    """Read stacks as profilers write them, one a line: `outer;inner 12`."""
    stacks: Stacks = Counter()
    for line in filter(None, map(str.strip, lines)):
        names, _, seen = line.rpartition(" ")
        stacks[tuple(names.split(";"))] += int(seen)
    return stacks


def draw(stacks: Stacks, title: str) -> str:
    """Draw a flame graph: as wide as often it was seen, what is called below who calls. Hovering names a box."""
    root = _tree(stacks)
    height = _TOP + (_depth(root, _scale(root)) + 1) * _ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
        f'  font-family="monospace" font-size="10.5" fill="{_INK}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="22" font-size="15" font-family="sans-serif">{escape(title)}</text>',
        *_boxes(root, 0.0, _TOP, _scale(root), root.seen),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _tree(stacks: Stacks) -> _Node:
    root = _Node(seen=stacks.total())
    for stack, seen in stacks.items():
        node = root
        for name in stack:
            node = node.inside.setdefault(name, _Node())
            node.seen += seen
    return root


def _scale(root: _Node) -> float:
    return _WIDTH / max(1, root.seen)


def _depth(node: _Node, scale: float) -> int:
    drawn = [one for one in node.inside.values() if one.seen * scale >= _THINNEST]
    return 1 + max((_depth(one, scale) for one in drawn), default=0)


def _boxes(node: _Node, x: float, y: float, scale: float, total: int) -> Iterator[str]:
    for name, one in sorted(node.inside.items()):
        wide = one.seen * scale
        if wide >= _THINNEST:
            said = escape(f"{name}: {one.seen / total:.1%}")
            box = f'<rect x="{x:.1f}" y="{y}" width="{max(wide - 0.4, 0.2):.1f}" height="{_ROW - 1}"'
            letters = int(wide / _LETTER) - 1
            text = escape(name[:letters]) if letters >= _LEAST_TEXT else ""
            words = f'<text x="{x + 3:.1f}" y="{y + 12}">{text}</text>' if text else ""
            yield f'<g><title>{said}</title>{box} fill="{_colour(name)}"/>{words}</g>'
            yield from _boxes(one, x, y + _ROW, scale, total)
        x += wide


def _colour(name: str) -> str:
    """Pick a colour by the package or file, so that what belongs together looks alike."""
    file, package = name.rpartition("(")[2], name.rpartition("/")[2].partition(".")[0]
    where = file if file.endswith(".py)") else package
    hue = hashlib.sha256(where.encode()).digest()[0] * 360 // 256
    return f"hsl({hue},55%,78%)"


def listed(stacks: Stacks, *, most: int = 40) -> str:
    """List the functions by their own time, and by that of all they call."""
    own, whole = Counter[str](), Counter[str]()
    for stack, seen in stacks.items():
        own[stack[-1]] += seen
        for name in dict.fromkeys(stack):
            whole[name] += seen
    total = max(1, stacks.total())
    # What calls all the rest is in every profile.
    whole = Counter({name: seen for name, seen in whole.items() if seen < total})
    lines = ["own time:", *_lines(own, total, most), "", "with all they call:", *_lines(whole, total, most)]
    return "\n".join(lines) + "\n"


def _lines(counted: Counter[str], total: int, most: int) -> Iterator[str]:
    for name, seen in counted.most_common(most):
        yield f"{seen / total:7.1%}  {name}"
