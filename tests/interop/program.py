"""What the tests know of a program: how it is started with the files of its example, asked, and made to reload."""

from __future__ import annotations

import abc
import contextlib
import grp
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes, mounts
from devtools.machine import guard, ports, processes
from devtools.machine.processes import Process

EXAMPLES = Path(__file__).parents[2] / "examples"
MOUNT = "/var/run/mtls"
"""Where the examples look for the files."""
ADDRESS = "127.0.0.1"

DATABASE_USER = "postgres"
"""Who owns databases, as they refuse to run as root; Debian's package brings the user."""
_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postgresql/15/bin:/usr/lib/postgresql/17/bin"
_TIMEOUT_S = 30


class RefusedError(Exception):
    """A request came to nothing. The message is what the client printed, or what it was answered."""


class Tally(Protocol):
    """What became of requests made one after another, so far."""

    @property
    def answers(self) -> Sequence[str]:
        """Of those that were served."""

    @property
    def failures(self) -> Sequence[str]:
        """Why, of the others."""


@dataclass(frozen=True, slots=True)
class _Counted:
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A server that runs on a port of `ADDRESS`, with the files of a folder."""

    port: int
    name: str
    """In its certificate."""
    process: Process
    log: Path
    folder: Path
    """Its own, for what it keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of the requests that a program made while both sides were renewed."""

    example: str
    version: str
    requests: int
    failed: int


class Program(abc.ABC):
    """A server and a client of it, as an example describes them."""

    example: ClassVar[str]
    """Folder of `examples/`."""
    server: ClassVar[str]
    client: ClassVar[str]
    """Identities of the example."""
    needs: ClassVar[tuple[str, ...]]
    """Executables."""
    refusals: ClassVar[Mapping[str, str]]
    """What is printed about each refusal, by the client or into the server's log: regular expressions.

    A client that has sent its request to a connection that was closed (TLS 1.3) does not hear the server's reason: what
    the server logs about a handshake is always among them.
    """
    lets_in: ClassVar[Mapping[str, str]] = {}
    """Refusals that it cannot make, and what to do about it."""
    reloads: ClassVar[bool] = True
    """Whether the server takes new files without a restart."""
    tells_serial_number: ClassVar[bool] = True
    """Whether its answers hold the serial number of the client's certificate, in hexadecimal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """For what is built, once a session."""

    @abc.abstractmethod
    def version(self) -> str:
        """Versions of server and client."""

    @classmethod
    def missing(cls) -> list[str]:
        """List what of it is not on this machine."""
        return [name for name in cls.needs if shutil.which(name, path=environment()["PATH"]) is None]

    def build(self) -> None:  # noqa: B027 - most need nothing
        """Compile what must be compiled."""

    @abc.abstractmethod
    def command(self, port: int, files: Path, folder: Path) -> tuple[Sequence[str], dict[str, str]]:
        """Command line of the server, and what it needs in its environment."""

    def reload(self, service: Service, client: Path) -> None:  # noqa: B027 - many look by themselves
        """Have the server take the files that its folder has now, be it by asking it with the files of a client."""

    @abc.abstractmethod
    def ask(self, service: Service, files: Path, *, name: str | None = None, anonymously: bool = False) -> str:
        """Make one request with the files of a client, and return the answer.

        The server must be called `name`; as the service is called, unless given. `anonymously` shows no certificate.

        Raises:
            RefusedError: there was no good answer.
        """

    @contextlib.contextmanager
    def serving(self, files: Path, folder: Path) -> Iterator[Service]:
        """Run the server for as long as the block lasts."""
        folder.mkdir()
        (port,) = ports.free(1)
        log = folder / "server.log"
        command, variables = self.command(port, files, folder)
        process = processes.start(command, log=log, environment=environment() | variables)
        guard.tie(process)
        try:
            wait_until(
                lambda: _listens(port) or not process.is_alive(), f"{self.example} listens: {log}", deadline_s=60
            )
            assert process.is_alive(), log.read_text()
            name = f"{self.server}.shop.svc"
            yield Service(port=port, name=name, process=process, log=log, folder=folder)
        finally:
            process.stop()

    @contextlib.contextmanager
    def asking(self, service: Service, files: Path) -> Iterator[Tally]:
        """Make requests one after another for as long as the block lasts, each with the files of then."""
        tally = _Counted()
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                try:
                    tally.answers.append(self.ask(service, mounts.copied(files, service.folder / "client")))
                except RefusedError as error:
                    tally.failures.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield tally
        finally:
            ended.set()
            thread.join()

    def shown(self, service: Service, files: Path) -> int:
        """Read the serial number of the certificate that the server shows to a client with these files."""
        return _serial_number(service, handshakes.context(files, ssl.Purpose.SERVER_AUTH))


def environment() -> dict[str, str]:
    """Variables of a program: ours, and a PATH with the system's own programs, as Debian has servers there."""
    return os.environ | {"PATH": f"{os.environ['PATH']}:{_SYSTEM}"}


def database_group() -> int:
    """Group of the user that databases run as, where we are root; -1 for none."""
    try:
        return grp.getgrnam(DATABASE_USER).gr_gid if os.getuid() == 0 else -1
    except KeyError:
        return -1


def let_all_enter(folder: Path) -> Path:
    """Let every user enter a temporary folder, as some servers refuse to run as root."""
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return folder


def run(*command: str | Path, variables: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """Run a client and return what it printed.

    Raises:
        RefusedError: it failed; with all that it printed.
    """
    done = subprocess.run(
        command,
        input=stdin,
        env=environment() | dict(variables or {}),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RefusedError((done.stdout + done.stderr).strip())
    return done.stdout


def rewritten(example: Path, changes: Mapping[str, str], folder: Path) -> Path:
    """Copy a file of an example into a folder with other paths and ports. Each must be in it."""
    text = example.read_text()
    for old, new in changes.items():
        assert old in text, f"{example} has no {old}"
        text = text.replace(old, new)
    written = folder / example.name
    written.write_text(text)
    return written


def _serial_number(service: Service, client: ssl.SSLContext) -> int:
    with (
        socket.create_connection((ADDRESS, service.port), timeout=_TIMEOUT_S) as raw,
        client.wrap_socket(raw, server_hostname=service.name) as secured,
    ):
        return int(str((secured.getpeercert() or {})["serialNumber"]), 16)


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex((ADDRESS, port)) == 0
