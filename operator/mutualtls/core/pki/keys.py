"""Private keys: make, write, read, and name their public half. With `issue`, the only place that draws entropy.

No key appears in a repr or in an exception's text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mutualtls.core.api.algorithms import Algorithm, Encoding

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
_NAMES = frozenset(curve.name for curve in _CURVES.values())
"""Others of the same size are other curves, which few know."""
_FORMATS = {
    Encoding.PKCS8: serialization.PrivateFormat.PKCS8,
    Encoding.PKCS1: serialization.PrivateFormat.TraditionalOpenSSL,
    Encoding.SEC1: serialization.PrivateFormat.TraditionalOpenSSL,
}
_HEADERS = {b"PRIVATE KEY": Encoding.PKCS8, b"RSA PRIVATE KEY": Encoding.PKCS1, b"EC PRIVATE KEY": Encoding.SEC1}
_RSA_EXPONENT = 65537
_SMALL_RSA = 2048
_LARGEST_RSA = 8192


@dataclass(frozen=True, slots=True)
class KeyType:
    """Algorithm and size in bits; the size of Ed25519 is always 256."""

    algorithm: Algorithm
    size: int

    @property
    def is_slow(self) -> bool:
        """Whether making such a key takes long enough to hold others up, so that it belongs into a thread."""
        return self.algorithm == Algorithm.RSA

    @property
    def is_large(self) -> bool:
        """Whether it takes seconds, a hundred times as long as the smallest of the slow ones."""
        return self.is_slow and self.size > _SMALL_RSA

    def __str__(self) -> str:
        return self.algorithm if self.algorithm == Algorithm.ED25519 else f"{self.algorithm} {self.size}"


def generate(kind: KeyType) -> PrivateKey:
    """Make a new private key."""
    match kind.algorithm:
        case Algorithm.ECDSA:
            return ec.generate_private_key(_CURVES[kind.size])
        case Algorithm.RSA:
            return rsa.generate_private_key(public_exponent=_RSA_EXPONENT, key_size=kind.size)
        case Algorithm.ED25519:
            return ed25519.Ed25519PrivateKey.generate()


def to_pem(key: PrivateKey, encoding: Encoding) -> bytes:
    """Write a private key as unencrypted PEM."""
    return key.private_bytes(serialization.Encoding.PEM, _FORMATS[encoding], serialization.NoEncryption())


def to_der(key: PrivateKey, encoding: Encoding) -> bytes:
    """Write a private key as unencrypted DER."""
    return key.private_bytes(serialization.Encoding.DER, _FORMATS[encoding], serialization.NoEncryption())


def from_pem(pem: bytes) -> PrivateKey:
    """Read an unencrypted private key of one of the algorithms we know.

    Raises:
        ValueError: anything else. The text of the error holds nothing of the input.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not an unencrypted PEM private key") from None
    if not isinstance(key, PrivateKey):
        raise ValueError("a private key of an algorithm that is not supported")
    if isinstance(key, rsa.RSAPrivateKey):
        _check_rsa(key)
    return key


def _check_rsa(key: rsa.RSAPrivateKey) -> None:
    """Check that all numbers of an RSA key fit together, without testing primes.

    OpenSSL's own validation does test them, which takes seconds for 8192 bits and holds up every thread meanwhile. It
    would tell nothing more of a key whose modulus we have made: who has factors of that has its primes.
    """
    if key.key_size > _LARGEST_RSA:
        raise ValueError(f"an RSA private key of more than {_LARGEST_RSA} bits")
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    e, n = numbers.public_numbers.e, numbers.public_numbers.n
    are_factors = p > 1 and q > 1 and p * q == n
    if not are_factors or any(
        (
            d * e % (p - 1) != 1,
            d * e % (q - 1) != 1,
            numbers.dmp1 != d % (p - 1),
            numbers.dmq1 != d % (q - 1),
            numbers.iqmp * q % p != 1,
        )
    ):
        raise ValueError("an RSA private key whose numbers do not fit together")


def encoding_of(pem: bytes) -> Encoding | None:
    """Tell the form of a PEM private key by its header; None for any other."""
    for header, encoding in _HEADERS.items():
        if pem.lstrip().startswith(b"-----BEGIN " + header + b"-----"):
            return encoding
    return None


def type_of(key: PublicKey | CertificatePublicKeyTypes) -> KeyType | None:
    """Tell algorithm and size of a public key; None for an algorithm that is not supported."""
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in _NAMES:
            return KeyType(Algorithm.ECDSA, key.key_size)
        case rsa.RSAPublicKey():
            return KeyType(Algorithm.RSA, key.key_size)
        case ed25519.Ed25519PublicKey():
            return KeyType(Algorithm.ED25519, 256)
        case _:
            return None


def public_key_hash(key: PublicKey | CertificatePublicKeyTypes) -> str:
    """Hash a public key: SHA-256 of its SubjectPublicKeyInfo in DER, lower-case hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
