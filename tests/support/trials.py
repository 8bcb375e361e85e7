"""CAs of every kind, laid down for verifiers to judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mutualtls.core import times
from mutualtls.core.api.algorithms import Usage
from mutualtls.core.names.names import Names
from mutualtls.core.pki import issue, verifiers
from mutualtls.core.pki.certificates import to_pem
from mutualtls.core.pki.issue import CA
from support import strangers
from support.builders import DAY, key
from support.strangers import ca

NAMES = Names(dns=("orders.shop.svc",), uris=("spiffe://corp.example/ns/shop/sa/orders",))

NOW = datetime.now(UTC)
OPENSSL, PYTHON, GO, JAVA = "OpenSSL", "Python", "Go", "Java"
BOTH_OPENSSL, EVERYBODY = (OPENSSL, PYTHON), (OPENSSL, PYTHON, GO, JAVA)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A CA, who refuses a leaf of it, and what we say of it."""

    made: Callable[[], CA]
    refused_by: tuple[str, ...] = ()
    said: str = ""
    """Part of what we refuse it for; empty where it is taken in."""
    spoilt: tuple[bytes, bytes] | None = None
    """Bytes of its certificates that are changed at last, as no library makes them so. No signature is made anew."""
    ours_alone: str = ""
    """Why we refuse what all of these take."""


def under(**kind: Any) -> Callable[[], CA]:
    """A strange intermediate under a root as it ought to be."""
    return lambda: ca("Team", ca("Corp"), **kind)


def root(**kind: Any) -> Callable[[], CA]:
    """A strange root."""
    return lambda: ca("Corp", **kind)


def extension(value: x509.ExtensionType, *, critical: bool = True) -> dict[str, Any]:
    """With another extension."""
    return {"further": ((value, critical),)}


DNS, IP, URI, EMAIL = x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name


def permits(*names: x509.GeneralName) -> x509.NameConstraints:
    """Constraints that permit names alone."""
    return x509.NameConstraints(names, None)


def chain(made: CA) -> tuple[x509.Certificate, ...]:
    """All from a CA up to its root."""
    return (made.certificate, *made.intermediates)


def spoil(row: Row, *certificates: x509.Certificate) -> bytes:
    """Write certificates as PEM, spoilt as the row says."""
    if row.spoilt is None:
        return to_pem(*certificates)
    old, new = row.spoilt
    ders = (one.public_bytes(serialization.Encoding.DER).replace(old, new) for one in certificates)
    return b"".join(strangers.pem(der) for der in ders)


def trial(made: CA, names: Names = NAMES) -> x509.Certificate:
    """Sign a leaf as we would."""
    usages, life = (Usage.SERVER_AUTH, Usage.CLIENT_AUTH), times.validity(NOW, DAY)
    if verifiers.key_id(made.certificate) is None:
        return strangers.leaf(made, names.dns[0], key().public_key(), life)
    return issue.leaf(key().public_key(), made, names=names, usages=usages, validity=life)


def lay(folder: Path, row: Row, made: CA, names: Names = NAMES) -> Path:
    """Lay down what a peer is shown, and what it trusts."""
    folder.mkdir()
    *below, top = chain(made)
    (folder / "tls.crt").write_bytes(to_pem(trial(made, names)) + spoil(row, *below))
    (folder / "ca.crt").write_bytes(spoil(row, top))
    return folder
