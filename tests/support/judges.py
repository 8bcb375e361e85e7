"""Verifiers that are not ours, as they judge a leaf and what is above it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from devtools.machine import programs

_JUDGE = Path(programs.__file__).parent / "judge" / "Judge.java"
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
JAVA = shutil.which("java")
ALL = ("OpenSSL", "Python", "Go", *(["Java"] if JAVA else []))
"""Python is OpenSSL with X509_STRICT, as it is by default since 3.13. Where there is no Java, three must do."""


def verdicts(folders: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """Judge tls.crt by ca.crt in each folder: by name and verifier why it is refused, nothing where it is accepted."""
    java = _java(list(folders.values())) if JAVA else []
    found = {
        name: {
            "OpenSSL": _openssl(folder),
            "Python": _openssl(folder, "-x509_strict"),
            "Go": _said([str(programs.verifier()), str(folder / "ca.crt"), str(folder / "tls.crt"), "", "server"]),
        }
        for name, folder in folders.items()
    }
    for name, said in zip(folders, java, strict=JAVA is not None):
        found[name]["Java"] = said
    return found


def _openssl(folder: Path, *more: str) -> str:
    ca, crt = str(folder / "ca.crt"), str(folder / "tls.crt")
    options = ["-auth_level", "2", *more, "-purpose", "sslserver"]
    return _said(["openssl", "verify", *options, "-CAfile", ca, "-untrusted", crt, crt])


def _java(folders: Sequence[Path]) -> list[str]:
    command = [str(JAVA), *_QUICK, str(_JUDGE), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split("\n")[: len(folders)]


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return (done.stdout + done.stderr).strip() or "refused" if done.returncode else ""


PASSWORD = b"correct horse"


def store_of(root: x509.Certificate) -> bytes:
    """A trust store that holds a root, whatever it is."""
    one = [pkcs12.PKCS12Certificate(root, b"root")]
    return pkcs12.serialize_java_truststore(one, BestAvailableEncryption(PASSWORD))


def unloaded(folder: Path, stores: Mapping[str, bytes]) -> set[str]:
    """Name the stores that Java does not load, or finds empty."""
    folders = [folder / str(number) for number in range(len(stores))]
    for one, content in zip(folders, stores.values(), strict=True):
        one.mkdir()
        (one / "store.p12").write_bytes(content)
        (one / "store.password").write_bytes(PASSWORD)
    return {name for name, said in zip(stores, _java(folders), strict=True) if said}
