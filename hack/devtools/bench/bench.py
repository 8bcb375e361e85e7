"""The command behind hack/bench: ours beside the floors, and beside cert-manager, in one run and one table.

Each is measured on clusters of its own, in turn, so that what else this machine does meets all of them. Figures of one
run may be compared with one another; those of two runs may not, as machines differ and are shared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from devtools.bench import certmanager, chart, contenders, resources, scenarios, tables
from devtools.bench import fairness as attacks
from devtools.bench import spread as spreading
from devtools.bench.contenders import Contender
from devtools.bench.figures import Row
from mutualtls.kube import session

console = Console(width=140, highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(  # noqa: PLR0917 - options of a command
    counts: Annotated[list[int] | None, typer.Argument(help="Numbers of identities; 500 and 2000 where none.")] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help=f"Measure this alone, of {', '.join(scenarios.SCENARIOS)}; repeatable.")
    ] = None,
    controller: Annotated[
        list[str] | None, typer.Option(help="Measure this alone, by its name in the table; repeatable.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often each is measured, in turn; the median is shown.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures of all rounds there.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the medians there, as SVG.")] = None,
    cert_manager: Annotated[
        Path | None, typer.Option(help="Measure cert-manager, too: its controller's binary, as `certmanager` says.")
    ] = None,
    cert_manager_crds: Annotated[
        Path | None,
        typer.Option(help="Definitions of cert-manager's resources: a file, or `deploy/crds` of its sources."),
    ] = None,
    fairness: Annotated[
        bool, typer.Option("--fairness", help="Measure instead how long others wait while one namespace attacks.")
    ] = False,
    spread: Annotated[
        bool, typer.Option("--spread", help="Show instead, by a simulation, in which hours renewals fall.")
    ] = False,
    scale: Annotated[float, typer.Option(help="Make the attacks so many times as large.")] = 1.0,
    beside: Annotated[
        Path | None, typer.Option(help="A checkout of another version, whose operator is attacked first.")
    ] = None,
) -> None:
    """Measure ours beside what no controller can do better than, or fair shares; or show how renewals spread."""
    if fairness:
        _attack(scale, beside)
        return
    if spread:
        for count in counts or [10_000]:
            console.print(spreading.shown(count))
        return
    chosen = _chosen("scenario", scenario, scenarios.SCENARIOS)
    beside_ours = [contenders.FLOOR, contenders.TRACKED_FLOOR, contenders.API_FLOOR]
    if cert_manager is not None:
        if cert_manager_crds is None:
            raise typer.BadParameter("--cert-manager needs --cert-manager-crds")
        beside_ours.append(certmanager.contender(cert_manager.resolve(), cert_manager_crds.resolve()))
    by_name = {one.name: one for one in (contenders.OURS, *beside_ours)}
    measured = [by_name[name] for name in _chosen("controller", controller, by_name)]
    rows = _measure(measured, counts or [500, 2000], names=chosen, rounds=rounds)
    console.print(tables.figures_table(rows))
    console.print()
    console.print(tables.writes_table(rows))
    if picture:
        picture.write_text(chart.draw(rows, f"hack/bench: medians, rounds: {rounds}"))
    if json_file:
        json_file.write_text(json.dumps(_told(rows), indent=2) + "\n")


def _chosen(kind: str, names: list[str] | None, known: Iterable[str]) -> list[str]:
    """Take the names that were given; without names, all that are known.

    Raises:
        typer.BadParameter: there is none of that name.
    """
    all_of_them = list(known)
    if unknown := sorted(set(names or ()) - set(all_of_them)):
        raise typer.BadParameter(f"no {kind}: {', '.join(unknown)}; there are {', '.join(all_of_them)}")
    return names or all_of_them


def _attack(scale: float, beside: Path | None) -> None:
    if beside is not None:
        console.print(attacks.table(attacks.run(resources.AUTHORITY, scale=scale, tree=beside)))
    rows = attacks.run(resources.AUTHORITY, scale=scale)
    console.print(attacks.table(rows))
    raise typer.Exit(code=not all(row.is_fair for row in rows))


def _measure(all_of_them: list[Contender], counts: list[int], *, names: list[str], rounds: int) -> list[Row]:
    """Measure each in turn, several times. Rows come by scenario, then count, then controller."""
    rows = {
        (name, count, one.name): Row(scenario=name, count=count, controller=one.name, rounds=[])
        for name in scenarios.SCENARIOS
        for count in counts
        for one in all_of_them
        if name in names and scenarios.possible(one, name, ours=contenders.OURS.name)
    }
    turns = [
        (one, count, wanted)
        for count in counts
        for life in scenarios.LIVES
        for one in all_of_them
        if (wanted := [name for name in life if (name, count, one.name) in rows])
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("measuring", total=rounds * len(turns))
        for _ in range(rounds):
            for one, count, wanted in turns:
                bar.update(task, description=f"{one.name}, {count:,}: {', '.join(wanted)}")
                for name, measured in scenarios.run(one, count, wanted):
                    rows[name, count, one.name].rounds.append(measured)
                bar.advance(task)
    return list(rows.values())


def _told(rows: list[Row]) -> list[dict[str, object]]:
    return [
        {
            "scenario": row.scenario,
            "count": row.count,
            "controller": row.controller,
            "median": row.middle.told(),
            "rounds": [one.told() for one in row.rounds],
        }
        for row in rows
    ]


if __name__ == "__main__":
    session.block_client_library()
    app()
