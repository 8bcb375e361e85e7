"""Node.js."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from interop import program
from interop.program import EXAMPLES
from interop.written import Written


class NodeJS(Written):
    """node:https, both ways."""

    example = "nodejs"
    server = "nodejs-server"
    client = "nodejs-client"
    needs = ("node",)
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "certificate required|peer did not return a certificate",
        "client of another CA": "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "client of another name": "may not call: somebody.shop.svc",
        "expired client": "CERT_HAS_EXPIRED",
        "server's certificate as a client": "INVALID_PURPOSE",
        "server of another CA": "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "server of another name": "ERR_TLS_CERT_ALTNAME_INVALID",
        "expired server": "CERT_HAS_EXPIRED",
        "client's certificate as a server": "unsuitable certificate purpose|INVALID_PURPOSE",
    }

    def version(self) -> str:
        """Version of Node.js."""
        return f"Node.js {program.run('node', '--version').strip().removeprefix('v')}"

    def main(self, side: str) -> Sequence[str]:
        """Run the example as it is."""
        return ["node", str(EXAMPLES / "nodejs" / f"{side}.js")]
