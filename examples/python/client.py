"""A client of `server.py`, which shows its certificate and loads renewed files at once."""

import itertools
import os
import socket
import ssl
import sys
from pathlib import Path

FILES = Path(os.environ.get("FILES", "/var/run/mtls"))
HOST, _, PORT = os.environ.get("SERVER", "python-server.shop.svc:8443").rpartition(":")
NAME = os.environ.get("SERVER_NAME", HOST)
REQUESTS = int(os.environ.get("REQUESTS", "1"))


def ask() -> str:
    """Make one request on a connection of its own."""
    with (
        socket.create_connection((HOST, int(PORT)), timeout=10) as raw,
        context().wrap_socket(raw, server_hostname=NAME) as connection,
    ):
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: connection.recv(4096), b"")).decode().partition("\r\n\r\n")
        if " 200 " not in head:
            raise OSError(body.strip())
        return body.strip()


def context() -> ssl.SSLContext:
    """Make a context from the current files."""
    try:
        folder = (FILES / "..data").resolve(strict=True)  # kubelet moves this link, which changes all files at once
        made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=folder / "ca.crt")
        made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    except FileNotFoundError:
        return context()  # it moved it just now
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


failed = False
for _ in range(REQUESTS) if REQUESTS else itertools.count():
    try:
        print("ok", ask(), flush=True)
    except OSError as error:
        failed = True
        print("failed", error, flush=True)
sys.exit(failed)
