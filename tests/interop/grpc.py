"""gRPC, in Debian's Python."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import ClassVar

from interop import program
from interop.program import EXAMPLES
from interop.written import Written

_PYTHON = "/usr/bin/python3"
"""Which has the package python3-grpcio."""


class GRPC(Written):
    """grpcio, both ways."""

    example = "grpc"
    server = "grpc-server"
    client = "grpc-client"
    needs = (_PYTHON,)
    variables: ClassVar[Mapping[str, str]] = {"GRPC_VERBOSITY": "ERROR"}
    # It says no more than that it does not verify.
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "peer did not return a certificate",
        "client of another CA": "certificate verify failed",
        "client of another name": "PERMISSION_DENIED may not call: .*somebody.shop.svc",
        "expired client": "certificate verify failed",
        "server's certificate as a client": "certificate verify failed",
        "server of another CA": "certificate verify failed",
        "server of another name": "Peer name somebody.shop.svc is not in peer certificate",
        "expired server": "certificate verify failed",
        "client's certificate as a server": "certificate verify failed",
    }

    @classmethod
    def missing(cls) -> list[str]:
        """Ask that Python for its package."""
        return super().missing() or ([] if _asked("import grpc") is not None else ["python3-grpcio"])

    def version(self) -> str:
        """Version of gRPC."""
        return f"gRPC {(_asked('import grpc; print(grpc.__version__)') or '').strip()}"

    def main(self, side: str) -> Sequence[str]:
        """Run the example as it is."""
        return [_PYTHON, "-I", "-u", str(EXAMPLES / "grpc" / f"{side}.py")]


def _asked(question: str) -> str | None:
    command = [_PYTHON, "-I", "-c", question]
    done = subprocess.run(command, env=program.environment(), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
