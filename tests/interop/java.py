"""Java, with the PKCS#12 stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from interop import program
from interop.program import EXAMPLES
from interop.written import Written

_PASSWORD = {"STORE_PASSWORD": "correct-horse"}
"""As the example's Secret has it."""
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""To start sooner."""


class Java(Written):
    """SSLSocket, both ways."""

    example = "java"
    server = "java-server"
    client = "java-client"
    needs = ("java", "javac")
    variables: ClassVar[Mapping[str, str]] = _PASSWORD
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "Empty client certificate chain",
        # Java's client shows no certificate of a CA that the server did not ask for.
        "client of another CA": "Empty client certificate chain",
        "client of another name": "may not call: .*somebody.shop.svc",
        "expired client": "CertificateExpiredException: NotAfter",
        "server's certificate as a client": "Extended key usage does not permit use for TLS client|Empty client",
        "server of another CA": "unable to find valid certification path|PKIX path",
        "server of another name": "No subject alternative DNS name matching somebody.shop.svc",
        "expired server": "CertificateExpiredException: NotAfter",
        "client's certificate as a server": "Extended key usage does not permit use for TLS server",
    }

    def version(self) -> str:
        """Version of Java."""
        return f"Java {program.run('java', '--version').split()[1]}"

    def build(self) -> None:
        """Compile the example."""
        sources = sorted(str(path) for path in (EXAMPLES / "java").glob("*.java"))
        program.run("javac", "-d", str(self.folder), *sources)

    def main(self, side: str) -> Sequence[str]:
        """Run what was compiled."""
        return ["java", *_QUICK, "-cp", str(self.folder), side.capitalize()]
