"""A gRPC client of `server.py`, which shows its certificate and loads renewed files at once."""

import itertools
import os
import sys
from pathlib import Path

import grpc

FILES = Path(os.environ.get("FILES", "/var/run/mtls"))
SERVER = os.environ.get("SERVER", "grpc-server.shop.svc:8443")
NAME = os.environ.get("SERVER_NAME", SERVER.rpartition(":")[0])
REQUESTS = int(os.environ.get("REQUESTS", "1"))


def ask() -> str:
    """Make one call on a channel of its own, with the current files."""
    options = [("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(SERVER, credentials(), options) as channel:
        return channel.unary_unary("/shop.Greeter/Hello")(b"", timeout=10).decode()


def credentials() -> grpc.ChannelCredentials:
    """Read the files of one version: kubelet moves the link ..data, which changes all files at once."""
    try:
        folder = (FILES / "..data").resolve(strict=True)
        roots, key, chain = ((folder / name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt"))
    except FileNotFoundError:
        return credentials()  # it moved it just now
    return grpc.ssl_channel_credentials(roots, key, chain)


failed = False
for _ in range(REQUESTS) if REQUESTS else itertools.count():
    try:
        print("ok", ask(), flush=True)
    except grpc.RpcError as error:
        failed = True
        print("failed", error.code().name, " ".join(error.details().split()), flush=True)
sys.exit(failed)
