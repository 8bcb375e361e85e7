"""Judge a chain as consumers do, by verifiers that are not ours: OpenSSL and Go."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devtools import programs

USES = {"server": "sslserver", "client": "sslclient"}


def chain(folder: Path, *, name: str = "", use: str) -> None:
    """Verify tls.crt with ca.crt alone as the roots, by `openssl verify -x509_strict` and by Go.

    Raises:
        AssertionError: one of them refuses; with what it said.
    """
    ca, crt = str(folder / "ca.crt"), str(folder / "tls.crt")
    strict = ["openssl", "verify", "-x509_strict", "-purpose", USES[use], "-CAfile", ca, "-untrusted", crt]
    host = ["-verify_hostname", name] if name else []
    for command in ([*strict, *host, crt], [str(programs.verifier()), ca, crt, name, use]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
