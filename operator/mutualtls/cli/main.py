"""The command `mutualtls`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

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


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Manifests, folders of them, or - for standard input.")],
    authority: Annotated[
        bool,
        typer.Option(
            "--authority",
            help="Take authorities, and the labels of namespaces, from the cluster where the files do not hold them.",
        ),
    ] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of identities that name none.")] = "default",
    kubeconfig: Annotated[Path | None, typer.Option(help="Kubeconfig of the cluster, for --authority.")] = None,
) -> None:
    """Tell whether identities would be issued, with which names, and if not why.

    By the code of the operator, with the authorities and namespaces that are among the files. What the schema alone
    decides, `kubectl apply --dry-run=server` tells as well. The exit status is 1 where something is refused, and 2
    where nothing could be judged.
    """
    from mutualtls.cli import check as checking  # noqa: PLC0415 - so that --help is quick
    from mutualtls.core.errors import ClusterError  # noqa: PLC0415 - the same
    from mutualtls.kube import session  # noqa: PLC0415 - the same

    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(kubeconfig)
    try:
        manifests = checking.read(files, namespace=namespace)
        if authority:
            session.block_client_library()
            checking.complete(manifests)
    except (checking.ManifestError, session.LoginError, ClusterError) as error:
        _fail(str(error), code=2)
    if not manifests.identities and not manifests.authorities:
        _fail("there is no MutualTLSIdentity and no MutualTLSAuthority in the files", code=2)
    found = list(checking.verdicts(manifests, may_be_absent=not authority))
    for verdict in found:
        title, *lines = verdict.lines
        typer.secho(title, fg="green" if verdict.is_good else "red")
        for line in lines:
            typer.echo(f"  {line}")
    raise typer.Exit(code=0 if all(verdict.is_good for verdict in found) else 1)


def _run(chosen: object) -> NoReturn:
    """Run the operator and end the process."""
    import uvloop  # noqa: PLC0415 - so that --help is quick

    from mutualtls import running, settings  # noqa: PLC0415 - only after Kopf's import of the client is blocked

    assert isinstance(chosen, settings.Settings)  # noqa: S101 - tells the type checker
    code = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(running.run(chosen))
        except running.EndedError as error:
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
