"""nginx with client verification, asked by curl."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from interop import program
from interop.program import ADDRESS, EXAMPLES, MOUNT, Program, Service


class Nginx(Program):
    """nginx and curl."""

    example = "nginx"
    server = "nginx"
    client = "curl"
    needs = ("nginx", "curl")
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "No required SSL certificate was sent",
        "client of another CA": "verify error: .*unable to get local issuer certificate",
        "client of another name": "not for CN=somebody.shop.svc",
        "expired client": "verify error: .*certificate has expired",
        "server's certificate as a client": "verify error: .*unsuitable certificate purpose",
        "server of another CA": "unable to get local issuer certificate",
        "server of another name": "no alternative certificate subject name matches",
        "expired server": "certificate has expired",
        "client's certificate as a server": "unsuitable certificate purpose",
    }

    def version(self) -> str:
        """Versions of nginx and curl."""
        nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, env=program.environment(), check=True)
        curl = program.run("curl", "--version")
        return f"nginx {nginx.stderr.split('/')[1].split()[0]}, curl {curl.split()[1]}"

    def command(self, port: int, files: Path, folder: Path) -> tuple[Sequence[str], dict[str, str]]:
        """Run with the example's configuration."""
        changes = {MOUNT: str(files), "8443": f"{ADDRESS}:{port}", "/var/lib/nginx": str(folder)}
        written = program.rewritten(EXAMPLES / "nginx" / "nginx.conf", changes, folder)
        return ["nginx", "-c", str(written), "-e", "stderr"], {}

    def reload(self, service: Service, client: Path) -> None:
        """As the example says."""
        del client
        program.run("nginx", "-c", service.folder / "nginx.conf", "-e", "stderr", "-s", "reload")

    def ask(self, service: Service, files: Path, *, name: str | None = None, anonymously: bool = False) -> str:
        """GET / with the files."""
        host = name or service.name
        curl = ["curl", "--silent", "--show-error", "--fail-with-body", "--cacert", str(files / "ca.crt")]
        if not anonymously:
            curl += ["--cert", str(files / "tls.crt"), "--key", str(files / "tls.key")]
        here = ["--connect-to", f"{host}:8443:{ADDRESS}:{service.port}"]
        return program.run(*curl, *here, f"https://{host}:8443/")
