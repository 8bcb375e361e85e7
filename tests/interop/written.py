"""Programs whose example is a server and a client in one language, which take the files of a renewal by themselves.

The server reads its files from FILES, listens on ADDRESS and PORT and answers each caller with the serial number of its
certificate. The client reads its files from FILES and asks SERVER (host:port), which must be called SERVER_NAME, for
REQUESTS times, each on a connection of its own; 0 is until it is ended. It prints a line a request, `ok ANSWER` or
`failed WHY`, and its exit status is 1 when one failed.
"""

from __future__ import annotations

import abc
import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from devtools.consumers import handshakes
from devtools.machine import processes
from interop import program
from interop.program import ADDRESS, Program, RefusedError, Service, Tally


class Written(Program):
    """A server and a client in one language."""

    variables: ClassVar[Mapping[str, str]] = {}
    """What both need in their environment."""

    @abc.abstractmethod
    def main(self, side: str) -> Sequence[str]:
        """Command line of the example's `server` or `client`."""

    def command(self, port: int, files: Path, folder: Path) -> tuple[Sequence[str], dict[str, str]]:
        """Run the example's server."""
        del folder
        return self.main("server"), {**self.variables, "FILES": str(files), "ADDRESS": ADDRESS, "PORT": str(port)}

    def ask(self, service: Service, files: Path, *, name: str | None = None, anonymously: bool = False) -> str:
        """Run the example's client for one request; the client of Python's `ssl` where it must hide its certificate."""
        if anonymously:
            return _ask_anonymously(service, files)
        variables = self._asking(service, files, name or service.name, requests=1)
        said = program.run(*self.main("client"), variables=variables)
        return said.removeprefix("ok ").strip()

    @contextlib.contextmanager
    def asking(self, service: Service, files: Path) -> Iterator[Tally]:
        """Run the example's client, once, for as long as the block lasts."""
        variables = self._asking(service, files, service.name, requests=0)
        log = service.folder / "client.log"
        process = processes.start(self.main("client"), log=log, environment=program.environment() | variables)
        tally = _Log(log)
        try:
            yield tally
        finally:
            process.stop()

    def _asking(self, service: Service, files: Path, name: str, *, requests: int) -> dict[str, str]:
        server = f"{ADDRESS}:{service.port}"
        asked = {"FILES": str(files), "SERVER": server, "SERVER_NAME": name, "REQUESTS": str(requests)}
        return {**self.variables, **asked}


@dataclass(frozen=True, slots=True)
class _Log:
    """What became of requests, as a client's log tells."""

    path: Path

    @property
    def answers(self) -> list[str]:
        return self._lines("ok ")

    @property
    def failures(self) -> list[str]:
        return self._lines("failed ")

    def _lines(self, kind: str) -> list[str]:
        lines = self.path.read_text().splitlines(keepends=True)
        return [line.removeprefix(kind).strip() for line in lines if line.startswith(kind) and line.endswith("\n")]


def _ask_anonymously(service: Service, files: Path) -> str:
    client = handshakes.context(files, ssl.Purpose.SERVER_AUTH, with_certificate=False)
    try:
        with (
            socket.create_connection((ADDRESS, service.port), timeout=10) as raw,
            client.wrap_socket(raw, server_hostname=service.name) as secured,
        ):
            secured.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = secured.recv(1024)
    except OSError as error:
        raise RefusedError(handshakes.why(error)) from error
    if not answer:
        raise RefusedError("the server ended the connection")
    return answer.decode()
