"""The command `mutualtls`."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from mutualtls.telemetry import LogFormat

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
    log_format: Annotated[LogFormat, typer.Option(help="Form of the log lines.")] = LogFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what is looked at, too.")] = False,
) -> None:
    """Run the operator until it is told to stop (SIGTERM, Ctrl-C).

    Every interval and limit can be set by an environment variable: see docs/settings.md.
    """
    from mutualtls import settings, telemetry  # noqa: PLC0415 - so that --help is quick
    from mutualtls.kube import session  # noqa: PLC0415 - the same

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


def _run(chosen: object) -> None:
    import uvloop  # noqa: PLC0415 - so that --help is quick

    from mutualtls import running, settings  # noqa: PLC0415 - only after Kopf's import of the client is blocked

    assert isinstance(chosen, settings.Settings)  # noqa: S101 - tells the type checker
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(running.run(chosen))
        except running.EndedError as error:
            _fail(str(error))


def _fail(message: str) -> None:
    typer.echo(f"mutualtls: {message}", err=True)
    raise typer.Exit(code=1)
