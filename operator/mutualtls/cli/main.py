"""The command `mutualtls`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mutualtls.process.telemetry import LogFormat

app = typer.Typer(
    name="mutualtls",
    help="Mutual-TLS certificates for Kubernetes workloads.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Mutual-TLS certificates for Kubernetes workloads."""


@app.command()
def run(
    kubeconfig: Annotated[
        Path | None,
        typer.Option(help="Kubeconfig of the cluster. Default: the service account, KUBECONFIG, ~/.kube/config."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace that holds the CA. Default: mutualtls-system.")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="Format of log lines.")] = LogFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log each step, too.")] = False,
) -> None:
    """Run the operator until it gets SIGTERM or Ctrl-C.

    Environment variables set all intervals and limits: see docs/settings.md.
    """
    from mutualtls import settings  # noqa: PLC0415 - so that --help is quick
    from mutualtls.kube import session  # noqa: PLC0415 - the same
    from mutualtls.process import telemetry  # noqa: PLC0415 - the same

    telemetry.configure(log_format, level=logging.DEBUG if verbose else logging.INFO)
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            _fail(f"no such kubeconfig: {kubeconfig}")
        os.environ["KUBECONFIG"] = str(kubeconfig)
    environment = dict(os.environ)
    if namespace is not None:
        environment[f"{settings.PREFIX}NAMESPACE"] = namespace
    session.block_client_library()
    try:
        _run(settings.from_environment(environment))
    except (ValueError, session.LoginError) as error:
        _fail(str(error))


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Manifests, folders of them, or - for standard input.")],
    *,
    authority: Annotated[
        bool,
        typer.Option(
            "--authority",
            help="Read authorities and the labels of namespaces that are not in the files from the cluster.",
        ),
    ] = False,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="The same, and report what the authorities in the files would take away there: which identities would "
            "lose names, and which copies of bundles would be deleted.",
        ),
    ] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of identities that do not name one.")] = "default",
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Kubeconfig of the cluster, for --authority and --cluster.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="Read subfolders as well.")] = False,
) -> None:
    """Check manifests offline: would these identities be issued, and if not, why?

    Uses the operator's own code, with the authorities and namespaces that are in the files, and reports all faults at
    once. Exits with 1 if something is refused, and with 2 if the manifests cannot be checked.
    """
    from mutualtls.cli import check as checking  # noqa: PLC0415 - so that --help is quick
    from mutualtls.core.errors import ClusterError  # noqa: PLC0415 - the same
    from mutualtls.kube import session  # noqa: PLC0415 - the same

    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(kubeconfig)
    try:
        folders = checking.Folders.READ if recursive else checking.Folders.SKIP
        manifests = checking.read(files, namespace=namespace, folders=folders)
        if authority or cluster:
            session.block_client_library()
            checking.complete(manifests, checking.Cluster.PRESENT if cluster else checking.Cluster.JUDGES)
    except (checking.ManifestError, session.LoginError, ClusterError) as error:
        _fail(str(error), code=2)
    _warn_of_skipped(manifests.skipped)
    if not manifests.identities and not manifests.authorities:
        _fail("the files hold no MutualTLSIdentity and no MutualTLSAuthority", code=2)
    found = list(checking.verdicts(manifests, may_be_absent=not (authority or cluster)))
    for verdict in found:
        _show(verdict.lines, colour=_COLOURS[verdict.standing.value])
    raise typer.Exit(code=1 if checking.Standing.BAD in {verdict.standing for verdict in found} else 0)


def _warn_of_skipped(skipped: Mapping[str, Collection[str]]) -> None:
    """Name the folders within folders that were not read."""
    for folder, within in skipped.items():
        if within:
            what = f"skipped {len(within)} folders in {folder} (use --recursive): {', '.join(within)}"
            typer.secho(what, fg="yellow", err=True)


def _show(lines: Iterable[str], *, colour: str) -> None:
    """Print a verdict: its title, and what belongs to it."""
    title, *others = lines
    typer.secho(title, fg=colour)
    for line in others:
        typer.echo(f"  {line}")


_COLOURS = {"good": "green", "assumed": "yellow", "bad": "red"}
"""By which `check` tells how an object stands."""


def _run(chosen: object) -> NoReturn:
    """Run the operator and end the process."""
    import uvloop  # noqa: PLC0415 - so that --help is quick

    from mutualtls import settings  # noqa: PLC0415 - only after Kopf's import of the client is blocked
    from mutualtls.process import operator  # noqa: PLC0415 - the same

    assert isinstance(chosen, settings.Settings)  # noqa: S101 - tells the type checker
    code = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(operator.run(chosen))
        except operator.EndedError as error:
            typer.echo(f"mutualtls: {error}", err=True)
            code = 1
        # All is closed. A thread may still be making a large RSA key, which Python would wait for longer than kubelet.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _fail(message: str, *, code: int = 1) -> NoReturn:
    typer.echo(f"mutualtls: {message}", err=True)
    raise typer.Exit(code=code)
