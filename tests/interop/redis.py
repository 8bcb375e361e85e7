"""Redis over TLS, asked by redis-cli."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from interop import program
from interop.program import ADDRESS, EXAMPLES, MOUNT, Program, RefusedError, Service

_FILES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")


class Redis(Program):
    """Redis and redis-cli."""

    example = "redis"
    server = "redis"
    client = "redis-client"
    needs = ("redis-server", "redis-cli")
    tells_serial_number = False
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "peer did not return a certificate",
        "client of another CA": "certificate verify failed",
        "expired client": "certificate verify failed",
        "server's certificate as a client": "certificate verify failed",
        "server of another CA": "certificate verify failed",
        "expired server": "certificate verify failed",
        "client's certificate as a server": "certificate verify failed",
    }
    lets_in: ClassVar[Mapping[str, str]] = {
        "client of another name": "Redis judges the chain alone: give it an authority of its own, and users passwords",
        "server of another name": "redis-cli judges the chain alone; client libraries compare the name",
    }

    def version(self) -> str:
        """Version of Redis."""
        return f"Redis {program.run('redis-server', '--version').split('v=')[1].split()[0]}"

    def command(self, port: int, files: Path, folder: Path) -> tuple[Sequence[str], dict[str, str]]:
        """Run with the example's configuration."""
        changes = {
            "bind * -::*": f"bind {ADDRESS}",
            "tls-port 6379": f"tls-port {port}",
            MOUNT: str(files),
            "/var/lib/redis": str(folder),
        }
        return ["redis-server", str(program.rewritten(EXAMPLES / "redis" / "redis.conf", changes, folder))], {}

    def reload(self, service: Service, client: Path) -> None:
        """Tell it the names of its files again, as the example says."""
        lines = (service.folder / "redis.conf").read_text().splitlines()
        told = [part for line in lines if line.startswith(_FILES) for part in line.split()]
        self._run(service, client, "CONFIG", "SET", *told)

    def ask(self, service: Service, files: Path, *, name: str | None = None, anonymously: bool = False) -> str:
        """PING."""
        return self._run(service, files, "PING", name=name, anonymously=anonymously)

    def _run(
        self, service: Service, files: Path, *command: str, name: str | None = None, anonymously: bool = False
    ) -> str:
        mine = [] if anonymously else ["--cert", str(files / "tls.crt"), "--key", str(files / "tls.key")]
        where = ["-h", ADDRESS, "-p", str(service.port), "--sni", name or service.name]
        said = program.run("redis-cli", *where, "--tls", "--cacert", str(files / "ca.crt"), *mine, *command)
        if said.startswith(("Error", "Could not", "I/O error", "ERR")):
            raise RefusedError(said)
        return said.strip()
