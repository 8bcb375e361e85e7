"""What is of an outside PKI: a CA, as `root.secretRef` brings it, and roots to be trusted as well.

Each is judged whole, then copied: the CA to a CA generation, the roots to the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mutualtls.core import generations, issue, keys, times
from mutualtls.core.errors import UNREADABLE
from mutualtls.core.identity import Algorithm
from mutualtls.core.issue import CA
from mutualtls.core.keys import PrivateKey
from mutualtls.core.ledger import SIGNING, CAGeneration, Ledger, State


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


def parse(data: Mapping[str, bytes], *, is_tiered: bool, now: datetime, known: Ledger | None = None) -> Source:
    """Read a CA from tls.crt, tls.key and ca.crt. `is_tiered`: an issuing CA is to stand under a root.

    `known` has the CAs that there are already, of which this is one, or takes the place of one.

    Raises:
        SourceError: it cannot be used; names all faults.
    """
    chain, roots = _certificates(data, "tls.crt"), _certificates(data, "ca.crt", is_needed=False)
    key = _key(data)
    path, faults = _path(chain[0], [*chain[1:], *roots])
    faults += [fault for one in path for fault in _faults(one, now)]
    faults += _without_room(path, below=1 if is_tiered and len(path) == 1 else 0)
    faults += _that_is_known(path, known.generations if known else ())
    if key is None:
        faults.append("tls.key is no private key in PEM, without a password")
    elif path[0].public_key() != key.public_key():
        faults.append("tls.key is not the key of the first certificate of tls.crt")
    if faults or key is None:
        raise SourceError("; ".join(faults))
    root = path[-1] if len(path) > 1 else None
    return Source(root=path[-1], signer=CA(certificate=path[0], key=key, further=tuple(path[1:-1]), root=root))


_MOST_ROOTS = 32
"""As every Secret holds them all."""
_MOST_BYTES = 48 * 1024
"""So that those of all ConfigMaps that can be listed fit into one object (1 MiB), with room for all else in it."""


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
    pem = issue.to_pem(*found).decode()
    if len(pem) > _MOST_BYTES:
        faults.append(
            f"its certificates are {len(pem)} bytes, more than {_MOST_BYTES}: spread them over more ConfigMaps"
        )
    for one in found:
        faults += _serial_faults(one)
        if _path_length(one) == _NO_CA:
            faults.append(f"{_name(one)} is no CA (basicConstraints)")
        elif not _is_issued_by(one, one):
            faults.append(_not_itself(one))
    if faults:
        raise SourceError("; ".join(faults))
    return pem


def _certificates(data: Mapping[str, bytes], file: str, *, is_needed: bool = True) -> list[x509.Certificate]:
    if not data.get(file) and not is_needed:
        return []
    return _read(data.get(file, b""), file)


def _read(pem: bytes, where: str) -> list[x509.Certificate]:
    """Read certificates with all that is asked of them later."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise SourceError(f"{where} holds no certificates in PEM") from None
    except UNREADABLE as error:
        raise SourceError(f"{where} holds a certificate that cannot be read: {error}") from None
    for one in found:
        try:
            _ = one.subject, one.issuer, one.extensions, one.public_key()  # each is read when it is asked for
        except UNREADABLE as error:
            message = f"{where} holds a certificate that cannot be read: {_name(one)} ({error})"
            raise SourceError(message) from None
    return found


def _key(data: Mapping[str, bytes]) -> PrivateKey | None:
    try:
        return keys.from_pem(data.get("tls.key", b""))
    except ValueError:
        return None


# Of the path from a CA to its root


def _path(first: x509.Certificate, others: Iterable[x509.Certificate]) -> tuple[list[x509.Certificate], list[str]]:
    """Go up from a CA to its root, as far as it goes, and list what is in the way.

    What is signed by itself comes first: a root may have a twin of its name and key that yet another CA has signed.
    """
    nearest = sorted(others, key=lambda one: not _is_issued_by(one, one))
    path = [first]
    while path[-1].subject != path[-1].issuer:
        issuer = next((one for one in nearest if one not in path and _is_issued_by(path[-1], one)), None)
        if issuer is None:
            return path, [f"the CA that signed {_name(path[-1])} is neither in tls.crt nor in ca.crt"]
        path.append(issuer)
    return path, [] if _is_issued_by(path[-1], path[-1]) else [_not_itself(path[-1])]


def _without_room(path: Iterable[x509.Certificate], *, below: int) -> Iterator[str]:
    """Find what allows fewer CAs below it than there are to be (RFC 5280 section 4.2.1.9)."""
    for needed, one in enumerate(path, start=below):
        longest = _path_length(one)
        if longest is not None and longest < needed:
            yield f"{_name(one)} allows {longest} CAs below it, and {needed} are needed"


def _that_is_known(path: list[x509.Certificate], known: Iterable[CAGeneration]) -> Iterator[str]:
    """Find where a path has a CA of ours, or its first was replaced before, or has another's key in a new certificate.

    Which CA a leaf is of is told by the key id in it. Of two with one key it cannot be told: neither when the first is
    not needed any more, nor whether the chain beside a leaf is the right one.
    """
    name, key_id = _name(path[0]), _key_id(path[0])
    fingerprints = [generations.fingerprint(one) for one in path]
    for ca in known:
        if not ca.is_outside and ca.fingerprint in fingerprints:
            yield f"{ca.role} {ca.number} is none of an outside PKI, the operator has made it: put another CA there"
        elif ca.fingerprint == fingerprints[0] and ca.state not in SIGNING:
            yield f"{name} is {ca.role} {ca.number}, which was replaced: put the CA that signs there, or a new one"
        elif ca.fingerprint != fingerprints[0] and ca.key_id == key_id and ca.state != State.GONE:
            other = f"{ca.role} {ca.number} has under another certificate"
            yield f"{name} has the key that {other}: who takes its place needs a key of its own"


# Of one certificate


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
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
    if _key_id(certificate) is None:
        faults.append(f"{name} has no subjectKeyIdentifier")
    faults += [f"{name} allows no {usage} below it (extendedKeyUsage)" for usage in _usages_denied(extensions)]
    faults += _serial_faults(certificate)
    kind = keys.type_of(certificate.public_key())
    if kind is None or kind.algorithm is Algorithm.ED25519:
        faults.append(f"the key of {name} is neither ECDSA nor RSA")
    if now >= certificate.not_valid_after_utc:
        faults.append(f"{name} expired at {times.rfc3339(certificate.not_valid_after_utc)}")
    if now < certificate.not_valid_before_utc:
        faults.append(f"{name} is not valid before {times.rfc3339(certificate.not_valid_before_utc)}")
    return faults


def _usages_denied(extensions: x509.Extensions) -> list[str]:
    """List for what leaves under a CA cannot be used. OpenSSL wants each usage by name; any usage is none to it."""
    try:
        allowed = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []
    needed = {"server auth": ExtendedKeyUsageOID.SERVER_AUTH, "client auth": ExtendedKeyUsageOID.CLIENT_AUTH}
    return [usage for usage, oid in needed.items() if oid not in allowed]


def _serial_faults(certificate: x509.Certificate) -> list[str]:
    """Refuse what others refuse to read, as Go does negative numbers (RFC 5280 section 4.1.2.2)."""
    if certificate.serial_number > 0:
        return []
    return [f"{_name(certificate)} has a serial number that is not positive"]


_NO_CA = -1


def _path_length(certificate: x509.Certificate) -> int | None:
    """Read how many CAs may stand below; None for any number."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return _NO_CA
    return constraints.path_length if constraints.ca else _NO_CA


def _key_id(certificate: x509.Certificate) -> str | None:
    try:
        return issue.key_id(certificate)
    except x509.ExtensionNotFound:
        return None


def _not_itself(certificate: x509.Certificate) -> str:
    return f"{_name(certificate)} is no root: it is not signed by itself"


def _name(certificate: x509.Certificate) -> str:
    unnamed = f"the certificate {generations.fingerprint(certificate)[:16]}"
    try:
        return certificate.subject.rfc4514_string() or unnamed
    except UNREADABLE:
        return unnamed
