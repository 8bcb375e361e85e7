"""What keys and certificates may be asked to be, by the names that the API has for it."""

from __future__ import annotations

from enum import StrEnum


class Usage(StrEnum):
    """Extended key usage, by its name in certificates.k8s.io."""

    SERVER_AUTH = "server auth"
    CLIENT_AUTH = "client auth"


class Algorithm(StrEnum):
    """Algorithm of a private key."""

    ECDSA = "ECDSA"
    RSA = "RSA"
    ED25519 = "Ed25519"


class Encoding(StrEnum):
    """PEM form of a private key: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017, RSA), SEC 1 (RFC 5915, ECDSA)."""

    PKCS8 = "PKCS8"
    PKCS1 = "PKCS1"
    SEC1 = "SEC1"


_CURVES = (256, 384, 521)
SIZES = {Algorithm.ECDSA: _CURVES, Algorithm.RSA: range(2048, 8193), Algorithm.ED25519: (256,)}
"""Sizes in bits that the key of a leaf may have."""
DEFAULT_SIZES = {Algorithm.ECDSA: 256, Algorithm.RSA: 2048, Algorithm.ED25519: 256}
CA_SIZES = {Algorithm.ECDSA: _CURVES, Algorithm.RSA: (2048, 3072, 4096)}
"""Sizes in bits that the key of a CA may have, by the algorithms that it may have."""
DEFAULT_CA_SIZES = {Algorithm.ECDSA: 256, Algorithm.RSA: 3072}
ENCODINGS = {
    Algorithm.ECDSA: (Encoding.PKCS8, Encoding.SEC1),
    Algorithm.RSA: (Encoding.PKCS8, Encoding.PKCS1),
    Algorithm.ED25519: (Encoding.PKCS8,),
}
