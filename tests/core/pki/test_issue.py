"""Certificates: every extension with its criticality, chains by independent verifiers, and a handshake for real."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import shutil
import ssl
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from mutualtls.core import times
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.names.names import Names, Subject
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType
from support.builders import (
    DAY,
    ED25519,
    KEY_TYPES,
    NOW,
    P256,
    P384,
    P521,
    RSA,
    SECOND,
    Signer,
    default_signer,
    key,
    other_signer,
    signer,
    signer_of,
)

DNS, SPIFFE = "orders.shop.svc", "spiffe://cluster.local/ns/shop/sa/orders"
NAMES = Names(dns=("*.orders.shop.svc", DNS), uris=(SPIFFE,))
BOTH = (Usage.CLIENT_AUTH, Usage.SERVER_AUTH)
OPENSSL = shutil.which("openssl")
BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)

each_key = pytest.mark.parametrize("kind", [pytest.param(kind, id=str(kind)) for kind in KEY_TYPES])
each_ca_key = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=str(kind)) for kind in (P256, P384, P521, KeyType(RSA.algorithm, 3072))]
)


def leaf(
    kind: KeyType = P256, by: Signer | None = None, *, names: Names = NAMES, usages: tuple[Usage, ...] = BOTH
) -> x509.Certificate:
    """Sign a leaf of a day."""
    ca = (by or default_signer()).issuing
    life = times.validity(NOW, DAY, within=ca.validity)
    return issue.leaf(key(kind).public_key(), ca, names=names, usages=usages, validity=life)


def extensions(certificate: x509.Certificate) -> dict[type[x509.ExtensionType], tuple[bool, x509.ExtensionType]]:
    """List all extensions: whether each is critical, and its value."""
    return {type(extension.value): (extension.critical, extension.value) for extension in certificate.extensions}


def key_usages(certificate: x509.Certificate) -> set[str]:
    """List the bits of the key usage."""
    value = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    return {bit for bit in BITS if getattr(value, bit)}


def key_identifier(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """Read the subject key identifier."""
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value


def named_issuer(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Read the authority key identifier."""
    return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value


# Extension by extension


@each_ca_key
def test_extensions_of_a_root(kind: KeyType) -> None:
    """Critical: what it may sign. One CA may stand below it."""
    root = signer_of(kind, P256).root.certificate
    found = extensions(root)

    assert {
        x509.BasicConstraints: (True, x509.BasicConstraints(ca=True, path_length=1)),
        x509.SubjectKeyIdentifier: (False, x509.SubjectKeyIdentifier.from_public_key(root.public_key())),
        x509.KeyUsage: (True, found[x509.KeyUsage][1]),
    } == found
    assert {"key_cert_sign", "crl_sign"} == key_usages(root)


@each_ca_key
def test_extensions_of_an_issuing_ca(kind: KeyType) -> None:
    """They are those of a root, but only leaves may be below it, and it names its signer."""
    by = signer_of(P256, kind)
    issuing = by.issuing.certificate
    found = extensions(issuing)

    assert {
        x509.BasicConstraints: (True, x509.BasicConstraints(ca=True, path_length=0)),
        x509.SubjectKeyIdentifier: (False, x509.SubjectKeyIdentifier.from_public_key(issuing.public_key())),
        x509.AuthorityKeyIdentifier: (False, named_issuer(issuing)),
        x509.KeyUsage: (True, found[x509.KeyUsage][1]),
    } == found
    assert {"key_cert_sign", "crl_sign"} == key_usages(issuing)


@each_key
def test_extensions_of_a_leaf(kind: KeyType) -> None:
    """The names are critical as the subject is empty (RFC 5280 section 4.2.1.6)."""
    certificate = leaf(kind)
    found = extensions(certificate)
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    names = [*map(x509.DNSName, NAMES.dns), x509.UniformResourceIdentifier(SPIFFE)]

    assert {
        x509.BasicConstraints: (True, x509.BasicConstraints(ca=False, path_length=None)),
        x509.SubjectAlternativeName: (True, x509.SubjectAlternativeName(names)),
        x509.ExtendedKeyUsage: (False, usages),
        x509.SubjectKeyIdentifier: (False, x509.SubjectKeyIdentifier.from_public_key(key(kind).public_key())),
        x509.AuthorityKeyIdentifier: (False, named_issuer(certificate)),
        x509.KeyUsage: (True, found[x509.KeyUsage][1]),
    } == found


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        pytest.param(P256, {"digital_signature"}, id="ECDSA"),
        pytest.param(ED25519, {"digital_signature"}, id="Ed25519"),
        pytest.param(RSA, {"digital_signature", "key_encipherment"}, id="RSA"),
    ],
)
def test_key_usage_of_a_leaf_follows_from_its_key(kind: KeyType, bits: set[str]) -> None:
    """An RSA key may also encipher (key transport of TLS 1.2)."""
    assert bits == key_usages(leaf(kind))


@pytest.mark.parametrize(
    ("usages", "oids"),
    [
        pytest.param((Usage.SERVER_AUTH,), [ExtendedKeyUsageOID.SERVER_AUTH], id="server"),
        pytest.param((Usage.CLIENT_AUTH,), [ExtendedKeyUsageOID.CLIENT_AUTH], id="client"),
    ],
)
def test_a_leaf_may_be_used_for_what_was_asked_only(
    usages: tuple[Usage, ...], oids: list[x509.ObjectIdentifier]
) -> None:
    """A client's certificate cannot pose as a server."""
    assert oids == list(leaf(usages=usages).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


@pytest.mark.parametrize(
    ("names", "written"),
    [
        pytest.param(Names(dns=(DNS,)), [x509.DNSName(DNS)], id="DNS name alone"),
        pytest.param(Names(uris=(SPIFFE,)), [x509.UniformResourceIdentifier(SPIFFE)], id="SPIFFE ID alone"),
        pytest.param(
            Names(dns=(DNS,), ips=("10.0.0.1", "2001:db8::1"), emails=("a@example.com",), uris=(SPIFFE,)),
            [
                x509.DNSName(DNS),
                x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
                x509.RFC822Name("a@example.com"),
                x509.UniformResourceIdentifier(SPIFFE),
            ],
            id="every kind",
        ),
    ],
)
def test_a_leaf_has_the_names_that_were_asked_only(names: Names, written: list[x509.GeneralName]) -> None:
    """It has no common name in addition."""
    certificate = leaf(names=names)

    assert written == list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    assert x509.Name([]) == certificate.subject


SUBJECT = Subject(
    common_name=DNS,
    organizations=("b", "a"),
    organizational_units=("u",),
    countries=("DE",),
    localities=("Köln",),
    provinces=("NRW",),
    serial_number="AB-1",
)


def test_a_subject_is_written_from_the_wide_to_the_narrow() -> None:
    """Values of one attribute stay in the order in which they were asked for."""
    subject = leaf(names=replace(NAMES, subject=SUBJECT)).subject

    assert "2.5.4.5=AB-1,CN=orders.shop.svc,OU=u,O=a,O=b,L=Köln,ST=NRW,C=DE" == subject.rfc4514_string()


@pytest.mark.parametrize(
    ("names", "is_critical"),
    [
        pytest.param(NAMES, True, id="no subject"),
        pytest.param(replace(NAMES, subject=SUBJECT), False, id="subject"),
        pytest.param(replace(NAMES, subject=Subject(organizations=("a",))), False, id="subject without a common name"),
        pytest.param(Names(subject=SUBJECT), None, id="subject alone"),
    ],
)
def test_alternative_names_are_critical_where_there_is_no_subject(names: Names, *, is_critical: bool | None) -> None:
    """Elsewhere they are not (RFC 5280 section 4.2.1.6); there is no empty extension."""
    found = extensions(leaf(names=names)).get(x509.SubjectAlternativeName)

    assert is_critical is (found[0] if found else None)


# Who signed whom


def test_key_identifiers_chain() -> None:
    """The authority key identifier is the subject key identifier of the issuer (RFC 5280 section 4.2.1.1)."""
    root, issuing, end = default_signer().root.certificate, default_signer().issuing.certificate, leaf()

    assert key_identifier(issuing).digest == named_issuer(end).key_identifier
    assert key_identifier(root).digest == named_issuer(issuing).key_identifier
    assert certificates.key_id(issuing) == key_identifier(issuing).digest.hex()
    for identifier in (named_issuer(end), named_issuer(issuing)):
        assert (None, None) == (identifier.authority_cert_issuer, identifier.authority_cert_serial_number)


def test_issuer_names_chain() -> None:
    """Each issuer is its CA's subject; a root issued itself."""
    root, issuing, end = default_signer().root.certificate, default_signer().issuing.certificate, leaf()

    assert [issuing.subject, root.subject, root.subject] == [end.issuer, issuing.issuer, root.issuer]


@pytest.mark.parametrize(
    ("number", "role"), [pytest.param(0, "root", id="root"), pytest.param(1, "issuing", id="issuing CA")]
)
def test_every_ca_has_a_subject_of_its_own(number: int, role: str) -> None:
    """The serialNumber attribute differs: chains are built by name, and equal names break verifiers."""
    subjects = [(by.root, by.issuing)[number].certificate.subject for by in (default_signer(), other_signer())]
    unique = [subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value for subject in subjects]

    assert [f"uid-of-default/{role}/1", f"uid-of-other/{role}/1"] == unique
    assert 4 == len(
        {by.subject for s in (default_signer(), other_signer()) for by in (s.root.certificate, s.issuing.certificate)}
    )


def test_a_long_common_name_of_a_ca_is_cut() -> None:
    """X.520 allows 64 characters, and verifiers refuse more."""
    certificate = issue.root(key(), common_name="c" * 65, unique="u", validity=times.validity(NOW, DAY))

    assert "c" * 64 == certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_a_subject_of_a_ca_fits_x520() -> None:
    """Its serialNumber attribute holds at most 64 characters, with a uid as the API server makes them."""
    assert len("6c0e8f6e-5a6f-4c39-9c11-6f6b3c0a4f10/issuing/99999") <= 64


def test_serial_numbers_are_positive_unpredictable_and_short_enough() -> None:
    """20 octets at most and 64 bits of entropy at least (RFC 5280 section 4.1.2.2)."""
    serials = [leaf().serial_number for _ in range(20)]

    assert 20 == len(set(serials))
    assert 0 < min(serials)
    assert max(serials).bit_length() <= 159
    assert 2**100 < max(serials) - min(serials)


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        pytest.param(P256, hashes.SHA256, id="P-256"),
        pytest.param(P384, hashes.SHA384, id="P-384"),
        pytest.param(P521, hashes.SHA512, id="P-521"),
        pytest.param(KeyType(RSA.algorithm, 3072), hashes.SHA256, id="RSA"),
    ],
)
def test_the_hash_is_as_strong_as_the_key_that_signs(kind: KeyType, digest: type[hashes.HashAlgorithm]) -> None:
    """The key of the leaf does not matter."""
    assert isinstance(leaf(by=signer_of(P256, kind)).signature_hash_algorithm, digest)


def test_ed25519_signs_without_a_hash() -> None:
    """It brings its own; no authority of ours has such a key, but an outside CA may."""
    life = times.validity(NOW, DAY)
    root = issue.root(key(ED25519), common_name="root", unique="u", validity=life)

    assert SignatureAlgorithmOID.ED25519 == root.signature_algorithm_oid
    root.verify_directly_issued_by(root)


# Validity


def test_validity_is_written_as_it_was_asked() -> None:
    """Times are exact to the second."""
    certificate = leaf()

    assert NOW - times.BACKDATE == certificate.not_valid_before_utc
    assert NOW + DAY == certificate.not_valid_after_utc


def test_cas_live_within_each_other() -> None:
    """The issuing CA within the root."""
    root, issuing = default_signer().root.validity, default_signer().issuing.validity

    assert root.not_before <= issuing.not_before
    assert issuing.not_after <= root.not_after
    assert timedelta(hours=87600) == root.not_after - (NOW - DAY)
    assert timedelta(hours=2160) == issuing.not_after - (NOW - DAY)


# Independent verifiers


@pytest.mark.parametrize("kind", [pytest.param(kind, id=str(kind)) for kind in (P256, P384, RSA)])
def test_cryptography_verifies_server_and_client(kind: KeyType) -> None:
    """Its verifier follows the rules of the Web PKI, which are stricter than RFC 5280."""
    by, certificate = default_signer(), leaf(kind)
    builder = verification.PolicyBuilder().store(verification.Store([by.root.certificate])).time(NOW)
    chain = builder.build_server_verifier(x509.DNSName(DNS)).verify(certificate, [by.issuing.certificate])
    client = builder.build_client_verifier().verify(certificate, [by.issuing.certificate])

    assert [certificate, by.issuing.certificate, by.root.certificate] == chain
    assert client.subjects is not None
    assert x509.UniformResourceIdentifier(SPIFFE) in client.subjects


def test_cryptography_refuses_another_name_and_another_root() -> None:
    """Otherwise the test above would prove nothing."""
    certificate, issuing = leaf(), [default_signer().issuing.certificate]
    ours, others = (
        verification.PolicyBuilder().store(verification.Store([by.root.certificate])).time(NOW)
        for by in (default_signer(), other_signer())
    )
    with pytest.raises(verification.VerificationError):
        ours.build_server_verifier(x509.DNSName("payments.shop.svc")).verify(certificate, issuing)
    with pytest.raises(verification.VerificationError):
        others.build_server_verifier(x509.DNSName(DNS)).verify(certificate, issuing)


def openssl_verify(folder: Path, by: Signer, certificate: x509.Certificate, *more: str) -> str:
    """Verify a chain with the `openssl` command, and return what it says."""
    if OPENSSL is None:
        pytest.skip("there is no `openssl` command")
    files = {"root.pem": by.root.certificate, "issuing.pem": by.issuing.certificate, "leaf.pem": certificate}
    for name, content in files.items():
        (folder / name).write_bytes(certificates.to_pem(content))
    command = [OPENSSL, "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), *more]
    command += ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout + done.stderr


@each_key
@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_verifies_a_leaf_of_every_kind(kind: KeyType, purpose: str, tmp_path: Path) -> None:
    """OpenSSL verifies in its strict mode."""
    by = default_signer()

    assert "leaf.pem: OK\n" == openssl_verify(tmp_path, by, leaf(kind), "-purpose", purpose, "-verify_hostname", DNS)


def test_openssl_verifies_every_kind_of_name(tmp_path: Path) -> None:
    """By host name, address and e-mail address; and with a subject, or with nothing but a subject."""
    names = Names(dns=(DNS,), ips=("2001:db8::1",), emails=("a@example.com",), uris=(SPIFFE,), subject=SUBJECT)
    ways = ("-verify_hostname", DNS), ("-verify_ip", "2001:db8::1"), ("-verify_email", "a@example.com")

    for way in ways:
        assert "leaf.pem: OK\n" == openssl_verify(tmp_path, default_signer(), leaf(names=names), *way)
    assert "mismatch" in openssl_verify(tmp_path, default_signer(), leaf(names=names), "-verify_ip", "2001:db8::2")
    assert "leaf.pem: OK\n" == openssl_verify(tmp_path, default_signer(), leaf(names=Names(subject=SUBJECT)))


@each_ca_key
def test_openssl_verifies_under_a_ca_of_every_kind(kind: KeyType, tmp_path: Path) -> None:
    """Root and issuing CA alike."""
    by = signer_of(kind, kind)

    assert "leaf.pem: OK\n" == openssl_verify(tmp_path, by, leaf(by=by))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("-verify_hostname", "payments.shop.svc"), "hostname mismatch", id="another name"),
        pytest.param(("-purpose", "smimesign"), "purpose", id="another purpose"),
        pytest.param(("-attime", str(int((NOW + DAY + SECOND).timestamp()))), "expired", id="too late"),
        pytest.param(("-attime", str(int((NOW - DAY).timestamp()))), "not yet valid", id="too early"),
    ],
)
def test_openssl_refuses(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Otherwise the tests above would prove nothing."""
    answer = openssl_verify(tmp_path, default_signer(), leaf(), *arguments)

    assert "verification failed" in answer
    assert said in answer


def test_an_issuing_ca_cannot_make_another(tmp_path: Path) -> None:
    """The path length forbids it: a stolen issuing key makes leaves, no CAs."""
    by, life = default_signer(), times.validity(NOW, DAY)
    below = CA(
        certificate=issue.issuing(key(P384).public_key(), by.issuing, common_name="below", unique="u", validity=life),
        key=key(P384),
    )
    certificate = issue.leaf(key().public_key(), below, names=NAMES, usages=BOTH, validity=life)
    (tmp_path / "below.pem").write_bytes(certificates.to_pem(below.certificate))

    assert "path length constraint exceeded" in openssl_verify(tmp_path, by, certificate, "-untrusted", "below.pem")


# Handshakes


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
    """On either side."""
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
