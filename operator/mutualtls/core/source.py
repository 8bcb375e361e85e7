"""What is of an outside PKI: a CA, as `root.secretRef` brings it, and roots to be trusted as well.

Each is judged whole, then copied: the CA to a CA generation, the roots to the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from mutualtls.core import generations, issue, keys, times
from mutualtls.core.errors import UNREADABLE
from mutualtls.core.identity import Algorithm
from mutualtls.core.issue import CA


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A root, and the CA that signs under it: the root itself, or an intermediate whose root's key is elsewhere."""

    root: x509.Certificate
    signer: CA

    @property
    def is_intermediate(self) -> bool:
        """Whether the key is that of an intermediate."""
        return self.signer.certificate != self.root


class SourceError(Exception):
    """The Secret holds no CA that can be used. The message names all faults, and never a key."""


def parse(data: Mapping[str, bytes], *, is_tiered: bool, now: datetime) -> Source:
    """Read a CA from tls.crt, tls.key and ca.crt. `is_tiered`: an issuing CA is to stand under a root.

    Raises:
        SourceError: it cannot be used; says why.
    """
    chain, roots = _certificates(data, "tls.crt"), _certificates(data, "ca.crt", is_needed=False)
    try:
        key = keys.from_pem(data.get("tls.key", b""))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SourceError("tls.key is no private key in PEM, without a password") from None
    first, above = chain[0], [*chain[1:], *roots]
    path = [first]
    while path[-1].subject != path[-1].issuer:
        issuer = next((one for one in above if one not in path and _is_issued_by(path[-1], one)), None)
        if issuer is None:
            raise SourceError(
                f"the CA that signed {path[-1].subject.rfc4514_string()} is neither in tls.crt nor in ca.crt"
            )
        path.append(issuer)
    faults = [fault for one in path for fault in _faults(one, now)]
    if first.public_key() != key.public_key():
        faults.append("tls.key is not the key of the first certificate of tls.crt")
    below = 1 if is_tiered and len(path) == 1 else 0
    for depth, one in enumerate(path):
        longest = _path_length(one)
        if longest is not None and longest < depth + below:
            faults.append(f"{_name(one)} allows {longest} CAs below it, and {depth + below} are needed")
    if faults:
        raise SourceError("; ".join(faults))
    root = path[-1] if len(path) > 1 else None
    return Source(root=path[-1], signer=CA(certificate=first, key=key, further=tuple(path[1:-1]), root=root))


_MOST_ROOTS = 32
"""As every Secret holds them all."""


def roots(text: str) -> str:
    """Read roots that are to be trusted as well, and return their PEM without what else the text says.

    Raises:
        SourceError: one of them cannot be used; names all faults.
    """
    if "PRIVATE KEY" in text:
        raise SourceError("it holds a private key, which has no business there: take it out, and replace the key")
    found = _read(text.encode(), "it")
    faults = []
    if len(found) > _MOST_ROOTS:
        faults.append(f"it holds {len(found)} certificates, more than {_MOST_ROOTS}")
    for one in found:
        if _path_length(one) == _NO_CA:
            faults.append(f"{_name(one)} is no CA (basicConstraints)")
        elif not _is_issued_by(one, one):
            faults.append(f"{_name(one)} is no root: it is not signed by itself")
    if faults:
        raise SourceError("; ".join(faults))
    return issue.to_pem(*found).decode()


def _certificates(data: Mapping[str, bytes], file: str, *, is_needed: bool = True) -> list[x509.Certificate]:
    if not data.get(file) and not is_needed:
        return []
    return _read(data.get(file, b""), file)


def _read(pem: bytes, where: str) -> list[x509.Certificate]:
    """Read certificates with all their extensions."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise SourceError(f"{where} holds no certificates in PEM") from None
    for one in found:
        try:
            one.extensions  # noqa: B018 - it is read when it is asked for
        except UNREADABLE:
            raise SourceError(f"{where} holds a certificate that cannot be read: {_name(one)}") from None
    return found


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _faults(certificate: x509.Certificate, now: datetime) -> list[str]:
    """List why a certificate cannot be a CA that every verifier takes (RFC 5280 sections 4.2.1.1 to 4.2.1.9)."""
    name, extensions = _name(certificate), certificate.extensions
    faults = []
    if _path_length(certificate) == _NO_CA:
        faults.append(f"{name} is no CA (basicConstraints)")
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            faults.append(f"{name} may not sign certificates (keyUsage)")
    except x509.ExtensionNotFound:
        faults.append(f"{name} has no keyUsage")
    try:
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        faults.append(f"{name} has no subjectKeyIdentifier")
    kind = keys.type_of(certificate.public_key())
    if kind is None or kind.algorithm is Algorithm.ED25519:
        faults.append(f"the key of {name} is neither ECDSA nor RSA")
    if now >= certificate.not_valid_after_utc:
        faults.append(f"{name} expired at {times.rfc3339(certificate.not_valid_after_utc)}")
    if now < certificate.not_valid_before_utc:
        faults.append(f"{name} is not valid before {times.rfc3339(certificate.not_valid_before_utc)}")
    return faults


_NO_CA = -1


def _path_length(certificate: x509.Certificate) -> int | None:
    """Read how many CAs may stand below; None for any number."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return _NO_CA
    return constraints.path_length if constraints.ca else _NO_CA


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"the certificate {generations.fingerprint(certificate)[:16]}"
