"""Judge a chain as consumers do, by verifiers that are not ours: OpenSSL and Go."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devtools.machine import programs

USES = {"server": "sslserver", "client": "sslclient"}


def verdicts(folder: Path, *, name: str = "", use: str) -> dict[str, str]:
    """Verify tls.crt with ca.crt alone as the roots, by `openssl verify -x509_strict` and by Go.

    Tells for each verifier why it refuses; the empty text where it accepts.
    """
    ca, crt = str(folder / "ca.crt"), str(folder / "tls.crt")
    strict = ["openssl", "verify", "-x509_strict", "-purpose", USES[use], "-CAfile", ca, "-untrusted", crt]
    host = ["-verify_hostname", name] if name else []
    commands = {"OpenSSL": [*strict, *host, crt], "Go": [str(programs.verifier()), ca, crt, name, use]}
    done = {
        verifier: subprocess.run(command, capture_output=True, text=True, check=False)
        for verifier, command in commands.items()
    }
    return {verifier: one.stdout + one.stderr if one.returncode else "" for verifier, one in done.items()}


def chain(folder: Path, *, name: str = "", use: str) -> None:
    """Have both verifiers accept.

    Raises:
        AssertionError: one of them refuses; with what it said.
    """
    assert {"OpenSSL": "", "Go": ""} == verdicts(folder, name=name, use=use)
