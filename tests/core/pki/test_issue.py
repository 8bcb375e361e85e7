"""Certificates: every extension with its criticality, who signed whom, and how long they live."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from mutualtls.core import times
from mutualtls.core.api.algorithms import Usage
from mutualtls.core.names.names import Names, Subject
from mutualtls.core.pki import certificates, issue
from mutualtls.core.pki.keys import KeyType
from support.builders import DAY, ED25519, NOW, P256, P384, P521, RSA, default_signer, key, other_signer, signer_of
from support.leaves import DNS, NAMES, SPIFFE, SUBJECT, each_ca_key, each_key, leaf

BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


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
    """Those are critical that say what it may sign; one CA may stand below it."""
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
    """They have 20 octets at most and 64 bits of entropy at least (RFC 5280 section 4.1.2.2)."""
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
    """The issuing CA lives within its root."""
    root, issuing = default_signer().root.validity, default_signer().issuing.validity

    assert root.not_before <= issuing.not_before
    assert issuing.not_after <= root.not_after
    assert timedelta(hours=87600) == root.not_after - (NOW - DAY)
    assert timedelta(hours=2160) == issuing.not_after - (NOW - DAY)
