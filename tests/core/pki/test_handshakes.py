"""Handshakes between identities, for real and in memory."""

from __future__ import annotations

import contextlib
import functools
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.keys import KeyType
from support.builders import DAY, ED25519, P256, P384, P521, RSA, Signer, key, signer
from support.leaves import DNS, NAMES, SPIFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a connection in memory: what it trusts, and its files unless it has none."""

    trusts: x509.Certificate
    chain: bytes = b""
    key: bytes = b""

    def context(self, purpose: ssl.Purpose, folder: Path) -> ssl.SSLContext:
        """Set TLS up, with the strictest flags, which are the default from Python 3.13 on."""
        made = ssl.create_default_context(purpose, cadata=certificates.to_pem(self.trusts).decode())
        made.verify_mode = ssl.CERT_REQUIRED
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        if self.chain:
            (folder / "tls.crt").write_bytes(self.chain)
            (folder / "tls.key").write_bytes(self.key)
            made.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return made


def side(kind: KeyType, usage: Usage, *, by: Signer, encoding: Encoding = Encoding.PKCS8) -> Side:
    """A side with a leaf that is valid now."""
    life = times.validity(datetime.now(UTC), DAY, within=by.issuing.validity)
    certificate = issue.leaf(key(kind).public_key(), by.issuing, names=NAMES, usages=(usage,), validity=life)
    return Side(
        trusts=by.root.certificate,
        chain=certificates.to_pem(certificate, by.issuing.certificate),
        key=keys.to_pem(key(kind), encoding),
    )


@functools.cache
def signer_now(name: str) -> Signer:
    """An authority that made its CAs now: OpenSSL reads the clock in a handshake, and so must we."""
    return signer(name, made=datetime.now(UTC) - DAY)


def shake_hands(
    client: Side, server: Side, folder: Path, *, hostname: str = DNS
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Let two sides shake hands in memory and the client send a byte, which is when it learns that it was refused."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.context(ssl.Purpose.SERVER_AUTH, folder).wrap_bio(to_client, to_server, server_hostname=hostname)
    there = server.context(ssl.Purpose.CLIENT_AUTH, folder).wrap_bio(to_server, to_client, server_side=True)
    waiting = [here, there]
    for _ in range(10):
        for end in tuple(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.remove(end)
    here.write(b"x")
    if there.read(1) != b"x":
        raise AssertionError("another byte came than was sent")
    return here, there


ENCODINGS = [
    pytest.param(P256, Encoding.PKCS8, id="P-256"),
    pytest.param(P384, Encoding.SEC1, id="P-384 in SEC1"),
    pytest.param(P521, Encoding.PKCS8, id="P-521"),
    pytest.param(RSA, Encoding.PKCS1, id="RSA in PKCS1"),
    pytest.param(ED25519, Encoding.PKCS8, id="Ed25519"),
]


@pytest.mark.parametrize(("kind", "encoding"), ENCODINGS)
def test_two_identities_shake_hands(kind: KeyType, encoding: Encoding, tmp_path: Path) -> None:
    """Each verifies the other's chain and sees the other's names."""
    by = signer_now("default")
    client = side(kind, Usage.CLIENT_AUTH, by=by, encoding=encoding)
    server = side(kind, Usage.SERVER_AUTH, by=by, encoding=encoding)
    ends = shake_hands(client, server, tmp_path)

    for end in ends:
        peer = end.getpeercert()
        assert peer is not None
        assert ("URI", SPIFFE) in peer["subjectAltName"]
        assert "TLSv1.3" == end.version()


def test_a_client_without_a_certificate_is_refused(tmp_path: Path) -> None:
    """Mutual TLS is mutual."""
    by = signer_now("default")
    with pytest.raises(ssl.SSLError, match=r"(?i)peer.did.not.return.a.certificate"):
        shake_hands(Side(trusts=by.root.certificate), side(P256, Usage.SERVER_AUTH, by=by), tmp_path)


def test_a_client_of_another_authority_is_refused(tmp_path: Path) -> None:
    """The server refuses it even though the client trusts the server."""
    ours, others = signer_now("default"), signer_now("other")
    stranger = replace(side(P256, Usage.CLIENT_AUTH, by=others), trusts=ours.root.certificate)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self.signed certificate"):
        shake_hands(stranger, side(P256, Usage.SERVER_AUTH, by=ours), tmp_path)


def test_a_server_of_another_name_is_refused(tmp_path: Path) -> None:
    """A certificate that merely chains to the CA is not authentication."""
    by = signer_now("default")
    client, server = side(P256, Usage.CLIENT_AUTH, by=by), side(P256, Usage.SERVER_AUTH, by=by)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(client, server, tmp_path, hostname="payments.shop.svc")


@pytest.mark.parametrize(
    ("of_client", "of_server"),
    [
        pytest.param(Usage.SERVER_AUTH, Usage.SERVER_AUTH, id="server as client"),
        pytest.param(Usage.CLIENT_AUTH, Usage.CLIENT_AUTH, id="client as server"),
    ],
)
def test_a_certificate_for_the_other_usage_is_refused(of_client: Usage, of_server: Usage, tmp_path: Path) -> None:
    """Both sides refuse it."""
    by = signer_now("default")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(unsuitable|unsupported) certificate purpose"):
        shake_hands(side(P256, of_client, by=by), side(P256, of_server, by=by), tmp_path)


def test_a_wildcard_matches_one_label(tmp_path: Path) -> None:
    """Verifiers read it this way (RFC 9525 section 6.3)."""
    by = signer_now("default")
    client, server = side(P256, Usage.CLIENT_AUTH, by=by), side(P256, Usage.SERVER_AUTH, by=by)
    shake_hands(client, server, tmp_path, hostname=f"pod-0.{DNS}")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(client, server, tmp_path, hostname=f"a.pod-0.{DNS}")
