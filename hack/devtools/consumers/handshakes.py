"""TLS between two ends that hold the files of a Secret each, as strict as Python 3.13's default."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

TIMEOUT_S = 10.0


def context(files: Path, side: ssl.Purpose, *, with_certificate: bool = True) -> ssl.SSLContext:
    """Make a context from a folder with tls.key, tls.crt and ca.crt. The peer must have a certificate, too."""
    made = ssl.create_default_context(side, cafile=str(files / "ca.crt"))
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_mode = ssl.CERT_REQUIRED
    if with_certificate:
        made.load_cert_chain(files / "tls.crt", files / "tls.key")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs: its port, and why it refused whom it refused, in OpenSSL's words."""

    port: int
    refusals: list[str]


@contextlib.contextmanager
def serving(files: Path) -> Iterator[Server]:
    """Serve for as long as the block lasts, and tell each client whom its certificate names.

    Each connection loads the files of the folder anew.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(port=listening.getsockname()[1], refusals=[])
        thread = threading.Thread(target=_serve, args=(listening, files, server.refusals))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, files: Path, refusals: list[str]) -> None:
    while True:
        try:
            raw, _ = listening.accept()
        except OSError:
            return  # the block has ended
        raw.settimeout(TIMEOUT_S)
        try:
            with raw, _server_side(raw, files) as secured:
                secured.sendall(first_name(secured).encode())
        except OSError as error:
            refusals.append(why(error))


def _server_side(raw: socket.socket, files: Path) -> ssl.SSLSocket:
    return context(files, ssl.Purpose.CLIENT_AUTH).wrap_socket(raw, server_side=True)


def why(error: OSError) -> str:
    """Tell in OpenSSL's words why one side refused the other."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return reason.lower().replace("_", " ") if reason else str(error)


def greet(server: Server, client: ssl.SSLContext, *, name: str) -> tuple[str, str]:
    """Shake hands with a server that must be called `name`; return who it is, and who it took us for.

    Raises:
        OSError: one of both refused the other; an `ssl.SSLError` says why.
    """
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as raw,
        client.wrap_socket(raw, server_hostname=name) as secured,
    ):
        seen = secured.recv(1024).decode()
        if not seen:
            raise ConnectionError("the server ended the connection")
        return first_name(secured), seen


def handshake(server: Path, client: Path, *, name: str) -> tuple[str, str]:
    """Let the holders of two folders shake hands; return who the client saw, and who the server saw.

    Raises:
        OSError: one of both refused the other.
    """
    with serving(server) as running:
        return greet(running, context(client, ssl.Purpose.SERVER_AUTH), name=name)


def first_name(secured: ssl.SSLSocket) -> str:
    """Read the first DNS name, or other name, of the peer's certificate."""
    peer: dict[str, Any] = dict(secured.getpeercert() or {})
    return next((str(value) for _, value in peer.get("subjectAltName", ())), "nobody")


def serial_number(files: Path) -> int:
    """Read the serial number of the leaf in tls.crt."""
    return x509.load_pem_x509_certificate((files / "tls.crt").read_bytes()).serial_number
