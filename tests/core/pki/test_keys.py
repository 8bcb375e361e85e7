"""Private keys: written and read in each form, and never shown."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

from mutualtls.core.api.algorithms import Algorithm, Encoding
from mutualtls.core.pki import keys
from mutualtls.core.pki.keys import KeyType
from support.builders import ED25519, KEY_TYPES, P256, P384, P521, RSA, key

FORMS = [
    pytest.param(P256, Encoding.PKCS8, b"PRIVATE KEY", id="ECDSA in PKCS8"),
    pytest.param(P521, Encoding.SEC1, b"EC PRIVATE KEY", id="ECDSA in SEC1"),
    pytest.param(RSA, Encoding.PKCS8, b"PRIVATE KEY", id="RSA in PKCS8"),
    pytest.param(RSA, Encoding.PKCS1, b"RSA PRIVATE KEY", id="RSA in PKCS1"),
    pytest.param(ED25519, Encoding.PKCS8, b"PRIVATE KEY", id="Ed25519 in PKCS8"),
]


@pytest.mark.parametrize(("kind", "encoding", "header"), FORMS)
def test_keys_are_written_and_read(kind: KeyType, encoding: Encoding, header: bytes) -> None:
    """The header shows the requested encoding."""
    pem = keys.to_pem(key(kind), encoding)

    assert pem.startswith(b"-----BEGIN " + header + b"-----\n")
    assert encoding == keys.encoding_of(pem)
    assert key(kind).public_key() == keys.from_pem(pem).public_key()


@pytest.mark.parametrize("kind", [pytest.param(kind, id=str(kind)) for kind in KEY_TYPES])
def test_keys_are_of_the_type_that_was_asked(kind: KeyType) -> None:
    """Algorithm and size are read back from the public half."""
    assert kind == keys.type_of(key(kind).public_key())


def test_every_key_is_new() -> None:
    """Two keys of one type differ."""
    made = {keys.public_key_hash(keys.generate(P256).public_key()) for _ in range(10)}

    assert 10 == len(made)
    assert {64} == {len(found) for found in made}


@pytest.mark.parametrize(
    ("kind", "is_slow", "is_large", "text"),
    [
        pytest.param(P384, False, False, "ECDSA 384", id="ECDSA"),
        pytest.param(RSA, True, False, "RSA 2048", id="RSA"),
        pytest.param(KeyType(Algorithm.RSA, 3072), True, True, "RSA 3072", id="larger RSA"),
        pytest.param(ED25519, False, False, "Ed25519", id="Ed25519"),
    ],
)
def test_key_types_say_what_they_are(kind: KeyType, text: str, *, is_slow: bool, is_large: bool) -> None:
    """RSA keys alone take long enough for a thread, and large ones need a slot of their own."""
    assert (is_slow, is_large, text) == (kind.is_slow, kind.is_large, str(kind))


def encrypted() -> bytes:
    """Write a key under a password."""
    return key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )


def plain(of: ed448.Ed448PrivateKey) -> bytes:
    """Write a key of an algorithm that is none of ours."""
    return of.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def rsa_of(**changed: int) -> bytes:
    """Write an RSA key some of whose numbers are others: PKCS#1 by hand, as cryptography would not write it."""
    made = key(RSA)
    assert isinstance(made, rsa.RSAPrivateKey)
    of = made.private_numbers()
    numbers = {"n": of.public_numbers.n, "e": of.public_numbers.e}
    numbers |= {name: getattr(of, name) for name in ("d", "p", "q", "dmp1", "dmq1", "iqmp")} | changed
    integers = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in (0, *numbers.values())]
    der = der_of(0x30, b"".join(der_of(0x02, integer) for integer in integers))
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END RSA PRIVATE KEY-----\n"


def der_of(tag: int, content: bytes) -> bytes:
    """Write one value in DER, with its length in two bytes, or in one where it must be."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    return bytes([tag, 0x81, length] if length < 0x100 else [tag, 0x82, length >> 8, length & 0xFF]) + content


@pytest.mark.parametrize(
    "changed",
    [pytest.param({name: 3}, id=name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")]
    + [
        pytest.param({"n": (1 << 2047) + 1}, id="modulus"),
        pytest.param({"p": 1, "q": 1, "n": 1 << 2047 | 1}, id="factors of one"),
        pytest.param({"n": (1 << 8192) + 1}, id="more than 8192 bits"),
    ],
)
def test_an_rsa_key_that_does_not_work_is_refused(changed: dict[str, int]) -> None:
    """Its primes are not tested, because that would block everything for seconds."""
    assert key(RSA).public_key() == keys.from_pem(rsa_of()).public_key()
    with pytest.raises(ValueError, match="private key"):
        keys.from_pem(rsa_of(**changed))


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"SECRET-TEXT", id="no PEM"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nU0VDUkVULVRFWFQ=\n-----END PRIVATE KEY-----\n", id="no key"),
        pytest.param(encrypted(), id="encrypted"),
        pytest.param(plain(ed448.Ed448PrivateKey.generate()), id="Ed448"),
    ],
)
def test_what_is_no_key_of_ours_is_refused(pem: bytes) -> None:
    """The message holds nothing of the input, and neither does an error behind it."""
    with pytest.raises(ValueError, match="private key") as error:
        keys.from_pem(pem)

    assert "SECRET" not in str(error.value)
    assert "U0VDUkVU" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", id="encrypted"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\n", id="certificate"),
    ],
)
def test_other_pem_has_no_encoding_of_a_key(pem: bytes) -> None:
    """Other PEM must never be taken for a key."""
    assert keys.encoding_of(pem) is None


def test_an_algorithm_that_is_not_supported_has_no_type() -> None:
    """Ed448 and others are not made, so they are not recognised."""
    assert keys.type_of(ed448.Ed448PrivateKey.generate().public_key()) is None
    assert keys.type_of(ec.generate_private_key(ec.SECP256K1()).public_key()) is None


def test_a_hash_of_a_public_key_is_of_the_key() -> None:
    """The encoding of the key does not change the hash."""
    pem = keys.to_pem(key(P256), Encoding.SEC1)

    assert keys.public_key_hash(key(P256).public_key()) == keys.public_key_hash(keys.from_pem(pem).public_key())
    assert keys.public_key_hash(key(P256).public_key()) != keys.public_key_hash(key(P256, 1).public_key())


def test_curves_are_those_of_nist() -> None:
    """Verifiers know them by these names."""
    curves = [key(kind) for kind in (P256, P384, P521)]

    assert ["secp256r1", "secp384r1", "secp521r1"] == [
        made.curve.name for made in curves if isinstance(made, ec.EllipticCurvePrivateKey)
    ]
