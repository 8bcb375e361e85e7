"""Draw the house from its sources: `hack/fix` writes what `--check` compares.

The first sentence of each module goes into the `__init__` of its room, the first paragraphs of these into the table of
ARCHITECTURE.md, and the imports between rooms into docs/rooms.svg.
"""

from __future__ import annotations

import ast
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.sax.saxutils import escape

import typer

TOP = Path(__file__).parents[3]
PACKAGE = "mutualtls"
SOURCES = TOP / "operator" / PACKAGE
PAGE = TOP / "ARCHITECTURE.md"
PICTURE = TOP / "docs" / "rooms.svg"
_BEGIN, _END = "<!-- rooms: written by hack/fix -->\n", "<!-- end of rooms -->\n"
_ENTRY = "- `"
_LINE = 120
_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" fill="#567"/></marker></defs>'
)
_BOX, _STEP, _HEIGHT, _RISE, _MARGIN = 150, 172, 40, 66, 24

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A package, or a module that stands alone: what it is for, what is in it, which rooms it imports."""

    path: Path
    purpose: str
    modules: Mapping[str, str]
    """The first paragraph of each module's docstring, by its name."""
    uses: frozenset[str]


def rooms() -> dict[str, Room]:
    """Read all rooms from the sources, by their path below the package, as in `core/pki`."""
    paths = sorted(path for path in SOURCES.rglob("*.py") if path.name != "__main__.py" and path.parent != SOURCES)
    alone = [path for path in sorted(SOURCES.glob("*.py")) if not path.name.startswith("__")]
    folders = {
        folder: [path for path in paths if path.parent == folder] for folder in sorted({p.parent for p in paths})
    }
    return {_name(folder): _room(folder, inside) for folder, inside in folders.items()} | {
        _name(path.with_suffix("")): _room(path, [path]) for path in alone
    }


def _name(path: Path) -> str:
    return path.relative_to(SOURCES).as_posix()


def _room(path: Path, inside: Sequence[Path]) -> Room:
    head = path / "__init__.py" if path.is_dir() else path
    modules = [module for module in inside if module != head]
    uses = {_room_of(name) for module in inside for name in _imports(module)}
    return Room(
        path=path,
        purpose=_purpose(head),
        modules={module.stem: _purpose(module).split("\n\n")[0] for module in modules},
        uses=frozenset(uses) - {_name(path.with_suffix(""))},
    )


def _purpose(module: Path) -> str:
    """Return the docstring of a module up to its list of files."""
    return (ast.get_docstring(ast.parse(module.read_text())) or "").split(f"\n{_ENTRY}")[0].rstrip()


def _imports(module: Path) -> Iterator[str]:
    """Name what a module imports of this package; what is no module is named by its parent."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _file(inner).exists() else node.module


def _file(module: str) -> Path:
    return SOURCES.parent.joinpath(*module.split(".")).with_suffix(".py")


def _room_of(module: str) -> str:
    parts = module.split(".")[1:]
    return "/".join(parts[:-1]) or parts[-1]


def head(room: Room) -> str:
    """Write the `__init__` of a room: its purpose, then a line for each of its modules. What follows stays."""
    lines = [
        textwrap.fill(
            f"{_ENTRY}{name}`: {' '.join(says.split())}", _LINE, subsequent_indent="  ", break_on_hyphens=False
        )
        for name, says in room.modules.items()
    ]
    source = (room.path / "__init__.py").read_text()
    rest = source.splitlines(keepends=True)[ast.parse(source).body[0].end_lineno :]
    return '"""' + room.purpose + "\n\n" + "\n".join(lines) + '\n"""\n' + "".join(rest)


def table(found: Mapping[str, Room]) -> str:
    """Write the table of rooms, from the top floor down."""
    level = floors(found)
    lines = ["| room | what it is for |", "|---|---|"]
    for name in sorted(found, key=lambda name: (-level[name], name)):
        link = found[name].path.relative_to(TOP).as_posix()
        lines.append(f"| [`{name}`]({link}) | {' '.join(found[name].purpose.split())} |")
    return "\n".join(lines) + "\n"


def floors(found: Mapping[str, Room]) -> dict[str, int]:
    """Say on which floor each room is: just above the highest that it imports."""
    level: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in level:
            level[name] = 1 + max((floor(used) for used in found[name].uses), default=0)
        return level[name]

    return {name: floor(name) for name in found}


def arrows(found: Mapping[str, Room]) -> list[tuple[str, str]]:
    """List who imports whom, without what follows from the other arrows."""

    def reached(name: str) -> set[str]:
        return set(found[name].uses).union(*(reached(used) for used in found[name].uses))

    return sorted(
        (name, used)
        for name, room in found.items()
        for used in room.uses
        if not any(used in reached(other) for other in room.uses)
    )


def picture(found: Mapping[str, Room]) -> str:
    """Draw the rooms by floors as an SVG. An arrow over several floors has a place of its own on each between."""
    level = floors(found)
    ways = [_way(upper, lower, level) for upper, lower in arrows(found)]
    rows = _rows(found, ways, level)
    top, width = max(rows), max(len(row) for row in rows.values()) * _STEP + 2 * _MARGIN
    at = {
        place: (width / 2 + (number - (len(row) - 1) / 2) * _STEP, _MARGIN + (top - floor) * _RISE)
        for floor, row in rows.items()
        for number, place in enumerate(row)
    }
    height = 2 * _MARGIN + (top - 1) * _RISE + _HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        '  font-family="sans-serif" font-size="13" stroke-width="1.2">',
        _HEAD,
        '<rect width="100%" height="100%" fill="white"/>',
        *(_line([at[place] for place in way]) for way in ways),
        *(_box(name, len(room.modules), *at[name]) for name, room in found.items()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _way(upper: str, lower: str, level: Mapping[str, int]) -> list[str]:
    """Name the places that an arrow passes, floor by floor."""
    between = range(level[upper] - 1, level[lower], -1)
    return [upper, *(f"{upper} to {lower} on {floor}" for floor in between), lower]


def _rows(found: Mapping[str, Room], ways: Sequence[Sequence[str]], level: Mapping[str, int]) -> dict[int, list[str]]:
    """Put the places of each floor in an order: below what leads to them, as far as that goes."""
    floor_of = dict(level) | {
        place: level[way[0]] - down for way in ways for down, place in enumerate(way) if place not in found
    }
    above: dict[str, list[str]] = {place: [] for place in floor_of}
    for way in ways:
        for upper, lower in itertools.pairwise(way):
            above[lower].append(upper)
    rows: dict[int, list[str]] = {}
    where: dict[str, float] = {}
    for floor in sorted(set(floor_of.values()), reverse=True):
        places = [place for place, its in floor_of.items() if its == floor]
        wish = {place: sum(where[up] for up in above[place]) / (len(above[place]) or 1) for place in places}
        rows[floor] = sorted(places, key=lambda place, wish=wish: (wish[place], place not in found, place))  # type: ignore[misc]
        where |= {place: number - (len(places) - 1) / 2 for number, place in enumerate(rows[floor])}
    return rows


def _line(points: Sequence[tuple[float, float]]) -> str:
    """Draw an arrow from the lower edge of the first place to the upper edge of the last."""
    through = [(x, y + edge) for x, y in points[1:-1] for edge in (0, _HEIGHT)]
    corners = [(points[0][0], points[0][1] + _HEIGHT), *through, points[-1]]
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in corners)
    return f'<polyline points="{path}" fill="none" stroke="#567" marker-end="url(#head)"/>'


def _box(name: str, modules: int, x: float, y: float) -> str:
    fill = "#e4edf5" if name.startswith("core") else "#f7ecd9"
    count = f"{modules} files" if modules > 1 else "1 file"
    return (
        f'<rect x="{x - _BOX / 2:.0f}" y="{y:.0f}" width="{_BOX}" height="{_HEIGHT}" rx="4"'
        f' fill="{fill}" stroke="#567"/>'
        f'<text x="{x:.0f}" y="{y + 17:.0f}" text-anchor="middle">{escape(name)}</text>'
        f'<text x="{x:.0f}" y="{y + 32:.0f}" text-anchor="middle" font-size="10" fill="#555">{count}</text>'
    )


def texts() -> dict[Path, str]:
    """Write all that is drawn, by file."""
    found = rooms()
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return {
        **{room.path / "__init__.py": head(room) for room in found.values() if room.modules},
        PAGE: before + _BEGIN + table(found) + _END + after,
        PICTURE: picture(found),
    }


@app.command()
def main(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if a file is old.")] = False,
) -> None:
    """Write the tables of files and rooms, and the picture of the rooms, from the sources."""
    old = [(path, text) for path, text in texts().items() if not path.exists() or path.read_text() != text]
    names = ", ".join(str(path.relative_to(TOP)) for path, _ in old)
    for path, text in old if not check else ():
        path.write_text(text)
    if check and old:
        typer.echo(f"rooms: not as the sources say: {names}; run hack/fix", err=True)
        raise typer.Exit(code=1)
    typer.echo(f"rooms: {f'wrote {names}' if old else 'all current'}")


if __name__ == "__main__":
    app()
