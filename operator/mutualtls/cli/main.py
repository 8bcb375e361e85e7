"""The command `mutualtls`.

Its parts are imported by the command that needs them: `--help` is quick, and the operator imports only what it runs on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

_DESCRIPTION = "Mutual-TLS certificates for Kubernetes workloads."
_RUN = """Run the operator until it gets SIGTERM or Ctrl-C.

Environment variables set all intervals and limits: see docs/settings.md.
"""
_CHECK = """Check manifests offline: would these identities be issued, and if not, why?

Uses the operator's own code, with the authorities and namespaces that are in the files, and reports all faults at
once. Exits with 1 if something is refused, and with 2 if the manifests cannot be checked.
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command by its arguments, those of the process by default, and exit with its status.

    The status is 2 where the arguments are wrong.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help(sys.stderr)
        sys.exit(2)
    sys.exit(_COMMANDS[chosen.command](chosen))


def _parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    parser = argparse.ArgumentParser(prog="mutualtls", description=_DESCRIPTION, allow_abbrev=False)
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    run = _command(commands, "run", _RUN)
    run.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="Kubeconfig of the cluster. Default: the service account, KUBECONFIG, ~/.kube/config.",
    )
    run.add_argument("--namespace", help="Namespace that holds the CA. Default: mutualtls-system.")
    run.add_argument("--log-format", choices=("json", "text"), default="text", help="Format of log lines.")
    run.add_argument("--verbose", action="store_true", help="Log each step, too.")
    check = _command(commands, "check", _CHECK)
    check.add_argument("files", nargs="+", metavar="FILE", help="Manifests, folders of them, or - for standard input.")
    check.add_argument(
        "--authority",
        action="store_true",
        help="Read authorities and the labels of namespaces that are not in the files from the cluster.",
    )
    check.add_argument(
        "--cluster",
        action="store_true",
        help="The same, and report what the authorities in the files would take away there: which identities would "
        "lose names, and which copies of bundles would be deleted.",
    )
    check.add_argument(
        "--namespace", default="default", help="Namespace of identities that do not name one. Default: default."
    )
    check.add_argument("--kubeconfig", metavar="FILE", help="Kubeconfig of the cluster, for --authority and --cluster.")
    check.add_argument("--recursive", "-R", action="store_true", help="Read subfolders as well.")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str
) -> argparse.ArgumentParser:
    """Add a command. Help of all commands shows the first sentence of its description."""
    return commands.add_parser(
        name,
        help=description.partition("\n")[0],
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _run(chosen: argparse.Namespace) -> int:
    """Run the operator and end the process, or tell why it cannot run."""
    with _without_public_cas():
        from mutualtls.kube import session  # noqa: PLC0415 - so that --help is quick
    from mutualtls import settings  # noqa: PLC0415 - the same
    from mutualtls.process import telemetry  # noqa: PLC0415 - the same

    log_format = telemetry.LogFormat(chosen.log_format)
    telemetry.configure(log_format, level=logging.DEBUG if chosen.verbose else logging.INFO)
    if chosen.kubeconfig is not None:
        if not Path(chosen.kubeconfig).is_file():
            return _failed(f"no such kubeconfig: {chosen.kubeconfig}")
        os.environ["KUBECONFIG"] = chosen.kubeconfig
    environment = dict(os.environ)
    if chosen.namespace is not None:
        environment[f"{settings.PREFIX}NAMESPACE"] = chosen.namespace
    session.block_client_library()
    try:
        _run_by(settings.from_environment(environment))
    except (ValueError, session.LoginError) as error:
        return _failed(str(error))


@contextlib.contextmanager
def _without_public_cas() -> Iterator[None]:
    """Have what is imported meanwhile load none of the CAs that this system trusts.

    aiohttp makes a context for TLS when it is imported, with all of them: 2 MiB, and a tenth of a second. It is never
    used, as a session of ours has its own, which loads them where a kubeconfig names no CA.
    """
    before = os.environ.get(_TRUSTED_CAS)
    os.environ[_TRUSTED_CAS] = os.devnull
    try:
        yield
    finally:
        del os.environ[_TRUSTED_CAS]
        if before is not None:
            os.environ[_TRUSTED_CAS] = before


_TRUSTED_CAS = "SSL_CERT_FILE"
"""Environment variable of OpenSSL: path of a file with the CAs that are trusted."""


def _run_by(chosen: object) -> NoReturn:
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
            code = _failed(str(error))
        # All is closed. A thread may still be making a large RSA key, which Python would wait for longer than kubelet.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _check(chosen: argparse.Namespace) -> int:
    """Check manifests, and tell of each object how it stands."""
    from mutualtls.cli import check as checking  # noqa: PLC0415 - so that --help is quick
    from mutualtls.core.errors import ClusterError  # noqa: PLC0415 - the same
    from mutualtls.kube import session  # noqa: PLC0415 - the same

    if chosen.kubeconfig is not None:
        os.environ["KUBECONFIG"] = chosen.kubeconfig
    is_online = chosen.authority or chosen.cluster
    try:
        folders = checking.Folders.READ if chosen.recursive else checking.Folders.SKIP
        manifests = checking.read(chosen.files, namespace=chosen.namespace, folders=folders)
        if is_online:
            session.block_client_library()
            checking.complete(manifests, checking.Cluster.PRESENT if chosen.cluster else checking.Cluster.JUDGES)
    except (checking.ManifestError, session.LoginError, ClusterError) as error:
        return _failed(str(error), code=2)
    _warn_of_skipped(manifests.skipped)
    if not manifests.identities and not manifests.authorities:
        return _failed("the files hold no MutualTLSIdentity and no MutualTLSAuthority", code=2)
    found = list(checking.verdicts(manifests, may_be_absent=not is_online))
    for verdict in found:
        _show(verdict.lines, colour=_COLOURS[verdict.standing.value])
    return 1 if checking.Standing.BAD in {verdict.standing for verdict in found} else 0


_COMMANDS = {"run": _run, "check": _check}

_GREEN, _YELLOW, _RED, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
_COLOURS = {"good": _GREEN, "assumed": _YELLOW, "bad": _RED}
"""By which `check` tells how an object stands."""


def _warn_of_skipped(skipped: Mapping[str, Collection[str]]) -> None:
    """Name the folders within folders that were not read."""
    for folder, within in skipped.items():
        if within:
            what = f"skipped {len(within)} folders in {folder} (use --recursive): {', '.join(within)}"
            _tell(what, sys.stderr, colour=_YELLOW)


def _show(lines: Iterable[str], *, colour: str) -> None:
    """Print a verdict: its title, and what belongs to it."""
    title, *others = lines
    _tell(title, sys.stdout, colour=colour)
    for line in others:
        _tell(f"  {line}", sys.stdout)


def _failed(message: str, *, code: int = 1) -> int:
    """Tell why a command failed, and return the status to exit with."""
    _tell(f"mutualtls: {message}", sys.stderr)
    return code


def _tell(line: str, stream: TextIO, *, colour: str = "") -> None:
    """Print a line, in colour on a terminal."""
    stream.write(f"{colour}{line}{_PLAIN}\n" if colour and stream.isatty() else f"{line}\n")
