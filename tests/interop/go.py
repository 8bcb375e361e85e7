"""Go's crypto/tls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from devtools.machine import programs
from interop.program import EXAMPLES
from interop.written import Written


class Go(Written):
    """net/http, both ways."""

    example = "go"
    server = "go-server"
    client = "go-client"
    needs = ()
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "certificate required|client didn't provide a certificate",
        # Go's client shows no certificate of a CA that the server did not ask for.
        "client of another CA": "client didn't provide a certificate",
        "client of another name": r"may not call: \[somebody.shop.svc",
        "expired client": "certificate has expired",
        "server's certificate as a client": "incompatible key usage",
        "server of another CA": "certificate signed by unknown authority",
        "server of another name": "certificate is valid for .*, not somebody.shop.svc",
        "expired server": "certificate has expired",
        "client's certificate as a server": "incompatible key usage",
    }

    def version(self) -> str:
        """Version of Go."""
        return f"Go {programs.go_version()}"

    def build(self) -> None:
        """Build both programs."""
        for side in ("server", "client"):
            programs.build_go(EXAMPLES / "go" / side, self.folder / side)

    def main(self, side: str) -> Sequence[str]:
        """Run what was built."""
        return [str(self.folder / side)]
