"""OpenSSL's own server and client, for trying things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from interop import program
from interop.program import ADDRESS, EXAMPLES, RefusedError, Service
from interop.written import Written


class OpenSSL(Written):
    """`openssl s_server` and `openssl s_client`."""

    example = "openssl"
    server = "openssl-server"
    client = "openssl-client"
    needs = ("openssl", "sh")
    reloads = False
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "certificate required|peer did not return a certificate",
        "client of another CA": "unable to get local issuer certificate",
        "client of another name": "hostname mismatch",
        "expired client": "certificate has expired",
        "server's certificate as a client": "unsuitable certificate purpose",
        "server of another CA": "unable to get local issuer certificate",
        "server of another name": "hostname mismatch",
        "expired server": "certificate has expired",
        "client's certificate as a server": "unsuitable certificate purpose",
    }

    def version(self) -> str:
        """Version of OpenSSL."""
        return " ".join(program.run("openssl", "version").split()[:2])

    def main(self, side: str) -> Sequence[str]:
        """Run the example's script."""
        return ["sh", str(EXAMPLES / "openssl" / f"{side}.sh")]

    def ask(self, service: Service, files: Path, *, name: str | None = None, anonymously: bool = False) -> str:
        """Run the example's client, which prints the page as it comes."""
        said = super().ask(service, files, name=name, anonymously=anonymously)
        if "HTTP/1.0 200" not in said:
            raise RefusedError(said or f"no answer from {ADDRESS}:{service.port}")
        return said
