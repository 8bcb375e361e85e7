"""PostgreSQL, whose users are the common names of certificates, asked by psql."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from cryptography import x509

from interop import program
from interop.program import ADDRESS, EXAMPLES, MOUNT, Program, RefusedError, Service

_EXAMPLE = EXAMPLES / "postgresql"
_WHO = "select user, client_serial from pg_stat_ssl where pid = pg_backend_pid()"


class PostgreSQL(Program):
    """PostgreSQL and psql."""

    example = "postgresql"
    server = "postgresql"
    client = "reports"
    needs = ("postgres", "initdb", "psql", "openssl")
    refusals: ClassVar[Mapping[str, str]] = {
        "no certificate": "connection requires a valid client certificate",
        "client of another CA": "could not accept SSL connection: certificate verify failed|alert unknown ca",
        "client of another name": 'certificate authentication failed for user "reports"',
        "expired client": "alert certificate expired|could not accept.*: certificate verify failed",
        "server's certificate as a client": "alert unsupported|could not accept.*: certificate verify failed",
        "server of another CA": "certificate verify failed",
        "server of another name": 'does not match host name "somebody.shop.svc"',
        "expired server": "certificate has expired|certificate verify failed",
        "client's certificate as a server": "certificate verify failed",
    }

    def version(self) -> str:
        """Version of PostgreSQL."""
        return f"PostgreSQL {program.run('postgres', '--version').split()[2]}"

    def build(self) -> None:
        """Make an empty database with the user `reports`."""
        _own(self.folder)
        data = str(self.folder / "data")
        program.run(
            *_as_owner("initdb", "--username", program.DATABASE_USER, "--auth", "trust", "--no-sync", "--pgdata", data)
        )
        user = "create role reports login"
        single = _as_owner("postgres", "--single", "-D", data, "postgres")
        program.run(*single, stdin=f"{user};\n".replace(";", ""))

    def command(self, port: int, files: Path, folder: Path) -> tuple[Sequence[str], dict[str, str]]:
        """Run with the example's configuration."""
        hba = program.rewritten(_EXAMPLE / "pg_hba.conf", {}, folder)
        changes = {
            "'*'": f"'{ADDRESS}'",
            "5432": str(port),
            "/etc/postgresql/pg_hba.conf": str(hba),
            "/var/run/postgresql": str(folder),
            MOUNT: str(files),
        }
        written = program.rewritten(_EXAMPLE / "postgresql.conf", changes, folder)
        _own(folder)
        arguments = ["-D", str(self.folder / "data"), "-c", f"config_file={written}"]
        return _as_owner("postgres", *arguments), {}

    def reload(self, service: Service, client: Path) -> None:
        """Send SIGHUP, as `pg_ctl reload` does."""
        del client
        os.kill(service.process.pid, signal.SIGHUP)

    def ask(self, service: Service, files: Path, *, name: str | None = None, anonymously: bool = False) -> str:
        """Ask who it takes us for."""
        parameters = {
            "host": name or service.name,
            "hostaddr": ADDRESS,
            "port": service.port,
            "user": "reports",
            "dbname": "postgres",
            "sslmode": "verify-full",
            "sslrootcert": files / "ca.crt",
            "sslcert": "/nonexistent" if anonymously else files / "tls.crt",
            "sslkey": files / "tls.key",
        }
        conninfo = " ".join(f"{key}={value}" for key, value in parameters.items())
        said = program.run("psql", "--no-psqlrc", "--tuples-only", "--no-align", conninfo, "--command", _WHO)
        user, _, serial = said.strip().partition("|")
        return f"hello {user}, certificate {int(serial):x}"

    def shown(self, service: Service, files: Path) -> int:
        """Ask for its certificate by `openssl s_client`, which speaks PostgreSQL's way into TLS."""
        address = ["-connect", f"{ADDRESS}:{service.port}", "-starttls", "postgres"]
        said = program.run("openssl", "s_client", *address, "-CAfile", files / "ca.crt")
        pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", said, re.DOTALL)
        if pem is None:
            raise RefusedError(said)
        return x509.load_pem_x509_certificate(pem[0].encode()).serial_number


def _as_owner(*command: str) -> list[str]:
    """Run a command as the owner of the data, where we are root."""
    if os.getuid() != 0:
        return list(command)
    path = shutil.which(command[0], path=program.environment()["PATH"]) or command[0]
    return [
        "setpriv",
        f"--reuid={program.DATABASE_USER}",
        f"--regid={program.DATABASE_USER}",
        "--clear-groups",
        path,
        *command[1:],
    ]


def _own(folder: Path) -> None:
    if os.getuid() == 0:
        subprocess.run(["chown", "--recursive", f"{program.DATABASE_USER}:{program.DATABASE_USER}", folder], check=True)
