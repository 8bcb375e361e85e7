"""Python's `ssl`, as strict as it can be."""

from __future__ import annotations

import platform
import ssl
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from interop.program import EXAMPLES
from interop.written import Written


class Python(Written):
    """This very Python."""

    example = "python"
    server = "python-server"
    client = "python-client"
    needs = ()
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "certificate required|PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "client of another CA": "unable to get local issuer certificate",
        "client of another name": "may not call: somebody.shop.svc",
        "expired client": "certificate has expired",
        "server's certificate as a client": "unsuitable certificate purpose",
        "server of another CA": "unable to get local issuer certificate",
        "server of another name": "Hostname mismatch",
        "expired server": "certificate has expired",
        "client's certificate as a server": "unsuitable certificate purpose",
    }

    def version(self) -> str:
        """Versions of Python and its OpenSSL."""
        return f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"

    def main(self, side: str) -> Sequence[str]:
        """Run the example as it is."""
        return [sys.executable, "-u", str(EXAMPLES / "python" / f"{side}.py")]
