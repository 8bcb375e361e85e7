"""What is told of any certificate: fingerprint, key identifier, PEM."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from mutualtls.core.pki.issue import written_key_id

UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""All that cryptography raises over certificates that somebody else made."""


def key_id(certificate: x509.Certificate) -> str:
    """Read the subject key identifier of a CA, as `written_key_id` writes it."""
    return written_key_id(certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a CA has signed a certificate, in a way that proves it.

    `verifiers.is_signed_by` takes hashes, too, by which anybody may pass for the signer.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True


def to_pem(*certificates: x509.Certificate) -> bytes:
    """Write certificates as PEM, one after the other."""
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def serial_number(certificate: x509.Certificate) -> str:
    """Write a serial number as statuses, logs and orders have it: lower-case hex without leading zeros."""
    return f"{certificate.serial_number:x}"


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's DER, lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()
