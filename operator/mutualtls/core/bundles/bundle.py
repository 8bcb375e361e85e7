"""The CA bundle (ca.crt): every root that must be trusted now, in bytes that are the same for the same roots."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from mutualtls.core.digests import content_hash


def merge(pems: Iterable[str]) -> bytes:
    """Write each certificate once, ordered by fingerprint, whatever the order and number of `pems`.

    Each of `pems` holds one or more certificates.

    Raises:
        ValueError: one of them is not PEM.
    """
    certificates = {
        certificate.fingerprint(hashes.SHA256()): certificate
        for pem in pems
        for certificate in x509.load_pem_x509_certificates(pem.encode())
    }
    ordered = (certificates[fingerprint] for fingerprint in sorted(certificates))
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in ordered)


def chain_hash(intermediates: Iterable[x509.Certificate]) -> str:
    """Hash the certificates that follow a leaf in tls.crt, in their order."""
    return _chain_hash(tuple(intermediates))


@functools.lru_cache(maxsize=32)
def _chain_hash(intermediates: tuple[x509.Certificate, ...]) -> str:
    """Hash a chain. It is kept for a while: the leaves of a CA have the same."""
    return content_hash(b"".join(certificate.fingerprint(hashes.SHA256()) for certificate in intermediates))
