"""Roots of an outside PKI that are to be trusted as well."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.ca import source
from mutualtls.core.ca.source import SourceError
from mutualtls.core.names.names import Names
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from support.builders import NOW, P256, key
from support.outside_cas import LIFE, files, outside_intermediate, outside_root, plain


def pem(*cas: CA) -> str:
    """Their certificates, as somebody might have written them down."""
    return "Roots of ours:\n" + "".join(certificates.to_pem(ca.certificate).decode() for ca in cas)


def test_roots_are_read_without_what_else_is_said() -> None:
    """They come in their order, and nothing but PEM does."""
    first, second = outside_root("Corp"), outside_root("Other")

    assert certificates.to_pem(first.certificate, second.certificate).decode() == source.roots(pem(first, second))


def leaf_of(ca: CA) -> CA:
    """What a CA signed for somebody."""
    made = key(P256, 77)
    names, usages = Names(dns=("a.example.com",)), (Usage.SERVER_AUTH,)
    certificate = issue.leaf(made.public_key(), ca, names=names, usages=usages, validity=LIFE)
    return CA(certificate=certificate, key=made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "it holds no certificates in PEM", id="nothing"),
        pytest.param("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "it is damaged", id="damaged"),
        pytest.param(pem(outside_intermediate()), "CN=Team", id="an intermediate"),
        pytest.param(pem(outside_root()) * 33, "33 certificates, more than 32", id="too many"),
        pytest.param(
            pem(outside_root()) + keys.to_pem(outside_root().key, Encoding.PKCS8).decode(),
            "it holds a private key",
            id="a key",
        ),
    ],
)
def test_what_holds_no_roots_is_refused(text: str, expected: str) -> None:
    """The refusal says what to do, and nothing of a key."""
    with pytest.raises(SourceError, match=expected) as told:
        source.roots(text)

    assert "BEGIN" not in str(told.value)


def test_a_certificate_that_cannot_be_read_is_refused() -> None:
    """An extended key usage that is empty is one example."""
    root = outside_root()
    empty = (
        x509.CertificateBuilder(root.certificate.subject, root.certificate.subject, root.key.public_key(), 1)
        .not_valid_before(LIFE.not_before)
        .not_valid_after(LIFE.not_after)
        .add_extension(x509.ExtendedKeyUsage([]), critical=False)
        .sign(root.key, hashes.SHA256())
    )

    with pytest.raises(SourceError, match="it holds a certificate that cannot be read"):
        source.roots(certificates.to_pem(empty).decode())


def written_anew(certificate: x509.Certificate, old: bytes, new: bytes) -> str:
    """A certificate with other bytes in it, as PEM. Its signature is not made anew."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert 1 == der.count(old)
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new))


VERSION = ("a003020102", "a003020104")


CURVE = ("2a8648ce3d030107", "2a8648ce3d030106")
"""The object identifiers of P-256 and of one that nobody uses."""


STRANGE = [
    pytest.param(VERSION, "4 is not a valid X509 version", id="of a version to come"),
    pytest.param(CURVE, "CN=P \\(Curve 1.2.840.10045.3.1.6 is not supported", id="with a key of another curve"),
]


@pytest.mark.parametrize(("change", "said"), STRANGE)
def test_what_is_of_no_known_kind_is_refused(change: tuple[str, str], said: str) -> None:
    """The user has to mend it, be it a root of others or a CA that is to sign."""
    strange = written_anew(plain().certificate, *map(bytes.fromhex, change))

    with pytest.raises(SourceError, match=f"it holds a certificate that cannot be read: {said}"):
        source.roots(strange)
    with pytest.raises(SourceError, match=f"tls.crt holds a certificate that cannot be read: {said}"):
        source.parse({**files(plain()), "tls.crt": strange.encode()}, is_tiered=True, now=NOW)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("number", [b"\x00", b"\x85"], ids=["zero", "negative"])
def test_a_serial_number_must_be_positive(number: bytes) -> None:
    """Go reads no other, nor does the API server in a ClusterTrustBundle."""
    strange = written_anew(plain(serial=0x55).certificate, b"\x02\x01\x55", b"\x02\x01" + number)

    with pytest.raises(SourceError, match="CN=P has a serial number that is not positive"):
        source.roots(strange)
    with pytest.raises(SourceError, match="CN=P has a serial number that is not positive"):
        source.parse({**files(plain()), "tls.crt": strange.encode()}, is_tiered=True, now=NOW)


def test_roots_have_a_size_that_every_object_can_hold() -> None:
    """The size is that of all eight ConfigMaps together."""
    large = plain(padding=24 * 1024)

    assert 8 * len(source.roots(pem(large))) < 1024 * 1024 / 2
    with pytest.raises(SourceError, match="bytes, more than 49152: spread them over more ConfigMaps"):
        source.roots(pem(large) * 2)


def test_all_faults_of_roots_are_named() -> None:
    """One message names them all."""
    with pytest.raises(SourceError) as told:
        source.roots(pem(outside_intermediate(), leaf_of(outside_root())))

    assert "CN=Team is no root: it was issued by 2.5.4.5=Corp,CN=Corp" in str(told.value)
    assert "is no CA (basicConstraints)" in str(told.value)
