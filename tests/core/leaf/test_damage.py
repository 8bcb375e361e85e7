"""Each kind of damage to the files of a Secret is found and named."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448

from mutualtls.core import times
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.leaf import facts
from mutualtls.core.leaf.facts import Damage
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.reasons import Reason
from support.builders import DAY, ED25519, NOW, P256, P384, decoded, default_signer, key, merged, other_signer
from support.secrets import NAMES, good, signed, with_files


def damage(body: dict[str, Any]) -> Damage:
    """Read a Secret that cannot be used."""
    found = facts.read(body)
    if not isinstance(found, Damage):
        raise TypeError(f"not damaged: {found}")
    return found


def encrypted_key() -> bytes:
    """Write a key under a password."""
    return key(P256).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )


def reversed_chain(body: dict[str, Any]) -> dict[str, Any]:
    """Put the intermediate before the leaf."""
    leaf, issuing = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])
    return with_files(body, tls_crt=certificates.to_pem(issuing, leaf))


def of_another_ca(body: dict[str, Any]) -> dict[str, Any]:
    """Put the intermediate of another authority after the leaf."""
    leaf, _ = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])
    return with_files(body, tls_crt=certificates.to_pem(leaf, other_signer().issuing.certificate))


def forged(body: dict[str, Any]) -> dict[str, Any]:
    """Put a leaf that names our CA as its issuer but was signed by another key."""
    leaf = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])[0]
    ours = default_signer().issuing
    fake = issue.CA(certificate=ours.certificate, key=key(P384, 7))
    certificate = issue.leaf(
        key(P256).public_key(), fake, names=NAMES, usages=(Usage.SERVER_AUTH,), validity=times.validity(NOW, DAY)
    )
    return with_files(
        body, tls_crt=certificates.to_pem(certificate, ours.certificate, leaf)[: -len(certificates.to_pem(leaf))]
    )


def lacking(**lacks: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Put a leaf of our CA that lacks an extension."""
    return lambda body: with_files(body, tls_crt=certificates.to_pem(signed(**lacks)))


def altered(old: bytes, new: bytes) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Change bytes in the DER of the leaf, where parsers are lazy."""

    def alter(body: dict[str, Any]) -> dict[str, Any]:
        leaf = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])[0]
        der = leaf.public_bytes(serialization.Encoding.DER)
        if old not in der:
            raise ValueError("programming error: nothing to alter")
        text = base64.encodebytes(der.replace(old, new)).decode()
        pem = f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"
        return with_files(body, tls_crt=pem.encode())

    return alter


OID_OF_P256 = bytes.fromhex("06082a8648ce3d030107")
OID_OF_NO_CURVE = bytes.fromhex("06082a8648ce3d03017f")
OID_OF_SKI, OID_OF_AKI = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d23")
VERSION_3, VERSION_9 = bytes.fromhex("a003020102"), bytes.fromhex("a003020108")
SAN_OF_DNS, SAN_OF_X400 = b"\x82\x0forders.shop.svc", b"\xa3\x0forders.shop.svc"

DAMAGES = [
    pytest.param(lambda b: b | {"type": "Opaque"}, Reason.SECRET_TYPE_WRONG, "Opaque", id="another type"),
    pytest.param(lambda b: b | {"immutable": True}, Reason.SECRET_IMMUTABLE, "immutable", id="made immutable"),
    pytest.param(lambda b: b | {"data": None}, Reason.SECRET_INCOMPLETE, "tls.key, tls.crt, ca.crt", id="no data"),
    pytest.param(lambda b: merged(b, {"data": {"tls.key": None}}), Reason.SECRET_INCOMPLETE, "tls.key", id="no key"),
    pytest.param(
        lambda b: merged(b, {"data": {"tls.crt": None}}), Reason.SECRET_INCOMPLETE, "tls.crt", id="no certificate"
    ),
    pytest.param(lambda b: merged(b, {"data": {"ca.crt": None}}), Reason.SECRET_INCOMPLETE, "ca.crt", id="no bundle"),
    pytest.param(lambda b: with_files(b, ca_crt=b""), Reason.SECRET_INCOMPLETE, "ca.crt", id="empty bundle"),
    pytest.param(
        lambda b: merged(b, {"data": {"tls.crt": "%"}}), Reason.SECRET_UNREADABLE, "not base64", id="not base64"
    ),
    pytest.param(
        lambda b: with_files(b, tls_crt=b"x"), Reason.SECRET_UNREADABLE, "tls.crt holds no PEM", id="no PEM in tls.crt"
    ),
    pytest.param(
        lambda b: with_files(b, tls_crt=decoded(b)["tls.key"]),
        Reason.SECRET_UNREADABLE,
        "tls.crt",
        id="a key in tls.crt",
    ),
    pytest.param(lambda b: with_files(b, tls_key=b"x"), Reason.SECRET_UNREADABLE, "tls.key", id="no PEM in tls.key"),
    pytest.param(
        lambda b: with_files(b, tls_key=encrypted_key()), Reason.SECRET_UNREADABLE, "tls.key", id="encrypted key"
    ),
    pytest.param(
        lambda b: with_files(b, tls_key=keys.to_pem(key(P256, 1), Encoding.PKCS8)),
        Reason.KEY_MISMATCH,
        "tls.key is not the key",
        id="another key",
    ),
    pytest.param(
        lambda b: with_files(b, tls_key=keys.to_pem(key(ED25519), Encoding.PKCS8)),
        Reason.KEY_MISMATCH,
        "tls.key is not the key",
        id="a key of another algorithm",
    ),
    pytest.param(
        lambda b: with_files(b, tls_key=b"# the key\n" + decoded(b)["tls.key"]),
        Reason.KEY_MISMATCH,
        "tls.key is not the key",
        id="text before the key",
    ),
    pytest.param(reversed_chain, Reason.KEY_MISMATCH, "tls.key is not the key", id="chain in the wrong order"),
    pytest.param(of_another_ca, Reason.SECRET_UNREADABLE, "another's certificate", id="intermediate of another CA"),
    pytest.param(forged, Reason.SECRET_UNREADABLE, "another's certificate", id="forged signature"),
    pytest.param(lacking(), Reason.SECRET_UNREADABLE, "it has no names", id="no names"),
    pytest.param(lacking(names=[], usages=False), Reason.SECRET_UNREADABLE, "extendedKeyUsage", id="no usages"),
    pytest.param(
        lacking(names=[], authority_key=False), Reason.SECRET_UNREADABLE, "authorityKeyIdentifier", id="no issuer key"
    ),
]


@pytest.mark.parametrize(("harm", "reason", "said"), DAMAGES)
def test_damage(harm: Callable[[dict[str, Any]], dict[str, Any]], reason: Reason, said: str) -> None:
    """Each kind of damage has a reason and a message that names the file."""
    found = damage(harm(good()))

    assert reason == found.reason
    assert said in found.message


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(altered(OID_OF_P256, OID_OF_NO_CURVE), id="key on an unknown curve"),
        pytest.param(altered(OID_OF_SKI, OID_OF_AKI), id="an extension twice"),
        pytest.param(altered(VERSION_3, VERSION_9), id="another version of X.509"),
        pytest.param(altered(SAN_OF_DNS, SAN_OF_X400), id="a kind of name that nobody reads"),
    ],
)
def test_a_certificate_that_cannot_be_parsed_whole_is_damage(harm: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Any content of a Secret is reissued, and never raises a programming error."""
    assert isinstance(facts.read(harm(good(services=["orders"]))), Damage)


def test_a_certificate_with_a_key_that_we_do_not_make_is_damage() -> None:
    """Ed448 has no type of ours."""
    made = ed448.Ed448PrivateKey.generate()
    certificate = signed([x509.DNSName("orders.shop.svc")], public_key=made.public_key())
    with pytest.raises(ValueError, match="not supported"):
        facts.of_leaf(certificate, intermediates=[], encoding=Encoding.PKCS8, ca=b"")
