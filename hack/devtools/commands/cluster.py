"""The command behind hack/cluster."""

from __future__ import annotations

import datetime
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from devtools.clusters import clusters, proxy
from devtools.clusters import faults as kinds
from devtools.machine import programs

DEFAULT = "default"

app = typer.Typer(
    name="hack/cluster",
    help="A real Kubernetes control plane on this machine, without Docker: etcd, API server, controller manager.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_Name = Annotated[str, typer.Argument(help="Name of the cluster; several may run side by side.")]


@app.command()
def up(name: _Name = DEFAULT) -> None:
    """Start a cluster, which stays up until it is taken down, and say how to use it."""
    clusters.sweep()
    cluster = clusters.find(name)
    try:
        if cluster is None:
            cluster = clusters.start(name)
        else:
            cluster.mend()
    except (clusters.ClusterError, programs.BuildError) as error:
        typer.echo(f"hack/cluster: {error}", err=True)
        raise typer.Exit(code=1) from None
    typer.echo(f"cluster {name} serves at {cluster.server}. To use it:\n")
    typer.echo(f"  export KUBECONFIG={cluster.kubeconfig()}")
    typer.echo(f"  alias kubectl={programs.kubectl()}\n")
    typer.echo(f"To end it: hack/cluster down{'' if name == DEFAULT else f' {name}'}")


@app.command()
def down(
    name: _Name = DEFAULT,
    everyone: Annotated[bool, typer.Option("--all", help="All clusters, those in use included.")] = False,
) -> None:
    """Stop a cluster and remove it, and what a crash left of others."""
    chosen = [cluster for cluster in clusters.everyone() if everyone or cluster.name == name]
    for cluster in chosen:
        clusters.stop(cluster)
        typer.echo(f"cluster {cluster.name} is down")
    for swept in clusters.sweep():
        typer.echo(f"cluster {swept} was left behind by a crash and is removed")
    if not chosen:
        typer.echo(f"no cluster {name} was up" if not everyone else "no cluster was up")


@app.command()
def status() -> None:
    """Show the clusters of this machine."""
    table = Table("Name", "Server", "Since", "Runs", "Not running", "Memory", box=None)
    for cluster in clusters.everyone():
        known = cluster.processes()
        alive = {name: process for name, process in known.items() if process.is_alive()}
        since = datetime.datetime.fromtimestamp((cluster.folder / "cluster.json").stat().st_mtime, datetime.UTC)
        table.add_row(
            cluster.name,
            cluster.server,
            f"{since:%Y-%m-%d %H:%M:%S}Z",
            str(len(alive)),
            ", ".join(known.keys() - alive.keys()) or "-",
            f"{sum(process.memory_mib() for process in alive.values()):.0f} MiB",
        )
    if table.row_count:
        Console(width=140).print(table)
    else:
        typer.echo("no cluster is up: hack/cluster up")


@app.command()
def kubeconfig(name: _Name = DEFAULT) -> None:
    """Print the path of a cluster's kubeconfig."""
    cluster = clusters.find(name)
    if cluster is None:
        typer.echo(f"hack/cluster: no cluster {name} is up: hack/cluster up {name}", err=True)
        raise typer.Exit(code=1)
    typer.echo(cluster.kubeconfig())


@app.command()
def faults(
    chosen: Annotated[
        list[str] | None, typer.Argument(help=f"Such as refuse:status=503,share=0.3. Kinds: {', '.join(kinds.KINDS)}.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the cluster.")] = DEFAULT,
    seed: Annotated[int, typer.Option(help="From which it is drawn what faults strike.")] = 0,
) -> None:
    """Put faults between a cluster and what uses the kubeconfig that is printed, until Ctrl-C or the end of the input.

    Each line of the standard input replaces the faults by others, separated by spaces; an empty line ends them.
    """
    cluster = clusters.find(name)
    if cluster is None:
        typer.echo(f"hack/cluster: no cluster {name} is up: hack/cluster up {name}", err=True)
        raise typer.Exit(code=1)
    with tempfile.TemporaryDirectory() as folder, proxy.running(cluster, Path(folder), seed=seed) as between:
        typer.echo(f"export KUBECONFIG={between.kubeconfig}")
        _put(between, chosen or [])
        try:
            for line in sys.stdin:
                told = ", ".join(f"{kind}: {times}" for kind, times in kinds.told(between.effects).items())
                typer.echo(f"struck: {told or 'nothing'}")
                between.mend()
                _put(between, line.split())
        except KeyboardInterrupt:
            typer.echo("the faults are over")


def _put(between: proxy.Proxy, texts: list[str]) -> None:
    try:
        between.put(*map(kinds.parse, texts))
    except (kinds.NoSuchFaultError, ValueError) as error:
        typer.echo(f"hack/cluster: {error}", err=True)


if __name__ == "__main__":
    app()
