"""Judge files as their consumers do, by verifiers that are not ours: OpenSSL and Go, and Python's own TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from devtools import programs

USES = {"server": "sslserver", "client": "sslclient"}


def chain(folder: Path, *, name: str = "", use: str) -> None:
    """Verify tls.crt with ca.crt alone as the roots, by `openssl verify -x509_strict` and by Go.

    Raises:
        AssertionError: one of them refuses; with what it said.
    """
    ca, crt = str(folder / "ca.crt"), str(folder / "tls.crt")
    strict = ["openssl", "verify", "-x509_strict", "-purpose", USES[use], "-CAfile", ca, "-untrusted", crt]
    host = ["-verify_hostname", name] if name else []
    for command in ([*strict, *host, crt], [str(programs.verifier()), ca, crt, name, use]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


def context(folder: Path, side: ssl.Purpose) -> ssl.SSLContext:
    """Make a context as strict as Python 3.13's default, with key, certificate and bundle of a folder."""
    made = ssl.create_default_context(side, cafile=str(folder / "ca.crt"))
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return made


def handshake(server: Path, client: Path, *, name: str) -> tuple[str, str]:
    """Shake hands over a socket and return the first DNS name that the client saw, and that the server saw.

    Raises:
        ssl.SSLError: the client refuses the server.
        OSError: the server refuses the client.
    """
    with _serving(context(server, ssl.Purpose.CLIENT_AUTH)) as (port, seen):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context(client, ssl.Purpose.SERVER_AUTH).wrap_socket(raw, server_hostname=name) as secured,
        ):
            assert secured.recv(2) == b"ok"
            by_client = _first_name(secured)
    return by_client, seen[0]


@contextlib.contextmanager
def _serving(tls: ssl.SSLContext) -> Iterator[tuple[int, list[str]]]:
    """Serve one connection in a thread, and note whom the server saw."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            raw, _ = listening.accept()
            with raw, contextlib.suppress(ssl.SSLError), tls.wrap_socket(raw, server_side=True) as secured:
                seen.append(_first_name(secured))
                secured.sendall(b"ok")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], seen
        finally:
            thread.join()


def _first_name(secured: ssl.SSLSocket) -> str:
    peer = secured.getpeercert() or {}
    (_, value), *_ = peer.get("subjectAltName", (("", ""),))  # type: ignore[misc]
    return str(value)
