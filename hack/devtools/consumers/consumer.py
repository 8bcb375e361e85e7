"""A consumer as a process: it serves and calls by the files of a mounted Secret, and writes down how that goes.

`python -m devtools.consumers.consumer FOLDER`. The folder holds `files`, which kubelet mounts, and `name`, the DNS
name that its
certificate must have. The process writes `port` there, where it serves, and `log.jsonl`. Its peers are all folders
beside its own that have a port, its own included. It ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from cryptography import x509

from devtools.consumers import handshakes

FILES, NAME, PORT, LOG = "files", "name", "port", "log.jsonl"
PAUSE = "MUTUALTLS_CONSUMER_PAUSE"
"""Environment variable: seconds between two calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The files of one version, read."""

    version: Path
    server: ssl.SSLContext
    client: ssl.SSLContext
    says: dict[str, Any]
    """What the log tells of them."""


class Log:
    """The log: one JSON object a line. `what` is loaded, round, failure or refusal; `at` is a Unix time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def write(self, what: str, **fields: Any) -> None:
        """Write a line, whole."""
        with self._lock:
            print(json.dumps({"what": what, "at": time.time()} | fields), file=self._file, flush=True)


class Files:
    """The mounted files, read anew when kubelet has put others there."""

    def __init__(self, mounted: Path, log: Log) -> None:
        self._mounted = mounted
        self._log = log
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None

    def current(self) -> Loaded:
        """Return the files that are there now."""
        with self._lock:
            while True:
                version = current(self._mounted)
                if self._loaded is not None and self._loaded.version == version:
                    return self._loaded
                try:
                    self._loaded = load(version)
                except FileNotFoundError:
                    if current(self._mounted) == version:
                        raise
                    continue  # kubelet took this version away while it was read
                self._log.write("loaded", **self._loaded.says)


def current(mounted: Path) -> Path:
    """Find the folder of the version that kubelet mounted last: all files are to be read from this one."""
    return (mounted / "..data").resolve()


def load(version: Path) -> Loaded:
    """Read the files of one version."""
    return Loaded(
        version=version,
        server=handshakes.context(version, ssl.Purpose.CLIENT_AUTH),
        client=handshakes.context(version, ssl.Purpose.SERVER_AUTH),
        says=told((version / "tls.crt").read_bytes(), (version / "ca.crt").read_bytes()),
    )


def told(chain: bytes, bundle: bytes) -> dict[str, Any]:
    """Tell what is in the files: serial number and end of the leaf, key ids of its issuer, its root and the bundle."""
    leaf, *intermediates = x509.load_pem_x509_certificates(chain)
    return {
        "serial": format(leaf.serial_number, "x"),
        "not_after": leaf.not_valid_after_utc.timestamp(),
        "issuer": issuer_key_id(leaf),
        "root": issuer_key_id([leaf, *intermediates][-1]),
        "bundle": sorted(key_id(root) for root in x509.load_pem_x509_certificates(bundle)),
    }


def key_id(certificate: x509.Certificate) -> str:
    """Read the subject key identifier, in hex."""
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def issuer_key_id(certificate: x509.Certificate) -> str:
    """Read the authority key identifier, in hex."""
    found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return (found or b"").hex()


def serve(listening: socket.socket, files: Files, log: Log) -> None:
    """Let in who has a certificate of a CA in the bundle, and tell each whom it names."""
    while True:
        raw, _ = listening.accept()
        raw.settimeout(handshakes.TIMEOUT_S)
        try:
            with raw, files.current().server.wrap_socket(raw, server_side=True) as secured:
                secured.sendall(handshakes.first_name(secured).encode())
        except OSError as error:
            # Not counted: the one who called fails, too.
            log.write("refusal", why=handshakes.why(error), **files.current().says)


def call(folder: Path, files: Files, log: Log, pause_s: float) -> None:
    """Call every peer in turn, without end, and log each round: when it began, and what became of its calls."""
    name = (folder / NAME).read_text()
    parent = os.getppid()
    while os.getppid() == parent:
        began, done, failed = time.time(), Counter[str](), Counter[str]()
        for peer in peers(folder.parent):
            loaded = files.current()
            try:
                greet(peer, loaded, own=name)
                done[peer.name] += 1
            except OSError as error:
                failed[peer.name] += 1
                log.write("failure", client=folder.name, server=peer.name, why=handshakes.why(error), **loaded.says)
            time.sleep(pause_s)
        log.write("round", began=began, done=done, failed=failed)


def greet(peer: Path, loaded: Loaded, *, own: str) -> None:
    """Shake hands with a peer.

    Raises:
        OSError: one of both refused the other, or took it for somebody else.
    """
    server = handshakes.Server(port=int((peer / PORT).read_text()), refusals=[])
    _, seen = handshakes.greet(server, loaded.client, name=(peer / NAME).read_text())
    if seen != own:
        raise ConnectionError(f"the server took us for {seen}")


def peers(folder: Path) -> list[Path]:
    """List the folders of all who serve."""
    return sorted(port.parent for port in folder.glob(f"*/{PORT}"))


@contextlib.contextmanager
def listening_at(folder: Path) -> Iterator[socket.socket]:
    """Listen, and let the peers know the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        unseen = folder / f"{PORT}.new"
        unseen.write_text(str(listening.getsockname()[1]))
        unseen.replace(folder / PORT)
        yield listening


def main() -> None:
    """Serve and call until told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    folder = Path(sys.argv[1])
    with (folder / LOG).open("a") as file, listening_at(folder) as listening:
        log = Log(file)
        files = Files(folder / FILES, log)
        files.current()
        threading.Thread(target=serve, args=(listening, files, log), daemon=True).start()
        call(folder, files, log, float(os.environ[PAUSE]))


if __name__ == "__main__":
    main()
