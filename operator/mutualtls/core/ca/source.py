"""What is of an outside PKI: a CA, as `root.secretRef` brings it, and roots to be trusted as well.

Each is judged whole, then copied: the CA to a CA generation, the roots to the ledger. What common verifiers refuse in a
single certificate is in `verifiers`; here is how certificates, key and ledger fit together.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mutualtls.core import times
from mutualtls.core.api.states import SIGNING, State
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.names import names
from mutualtls.core.pki import certificates, keys, name_constraints, verifiers
from mutualtls.core.pki.certificates import UNREADABLE
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import PrivateKey
from mutualtls.core.pki.verifiers import NO_CA


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A root, and the CA that signs under it: the root itself, or an intermediate whose root's key is elsewhere."""

    root: x509.Certificate
    signer: CA
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What people should know: why a CA that is used already would not be taken in now; what is there and not used."""

    @property
    def is_intermediate(self) -> bool:
        """Whether the key is that of an intermediate."""
        return self.signer.certificate != self.root


class SourceError(Exception):
    """The Secret holds no CA that can be used. The message names all faults, and never a key."""


def parse(data: Mapping[str, bytes], *, is_tiered: bool, now: datetime, known: Ledger | None = None) -> Source:
    """Read a CA from tls.crt, tls.key and ca.crt. `is_tiered`: an issuing CA is to stand under a root.

    `known` has the CAs that there are already, of which this is one, or takes the place of one. What is in use already
    is not judged again: that would change nothing but for the worse.

    Raises:
        SourceError: it cannot be used; names all faults.
    """
    if not data.get("tls.crt"):
        raise SourceError(_lacks_certificate(data))
    chain, roots = _certificates(data, "tls.crt"), _certificates(data, "ca.crt", is_needed=False)
    key, others = _key(data), known.generations if known else ()
    path, faults = _path(chain[0], [*chain[1:], *roots])
    used = {ca.fingerprint for ca in others if ca.state in SIGNING}
    warnings: list[str] = []
    for one, found in _judged(path):
        (warnings if certificates.fingerprint(one) in used else faults).extend(found)
    whole = [fault for one in path for fault in _out_of_time(one, now)]
    whole += [*_without_room(path, below=1 if is_tiered and len(path) == 1 else 0), *_too_long(path)]
    (warnings if certificates.fingerprint(chain[0]) in used else faults).extend(whole)
    faults += _that_is_known(path, others)
    if (fault := _why_no_key(key, chain)) is not None:
        faults.append(fault)
    if faults or key is None:
        raise SourceError("; ".join(faults))
    root = path[-1] if len(path) > 1 else None
    return Source(
        root=path[-1],
        signer=CA(certificate=path[0], key=key, intermediates=tuple(path[1:-1]), root=root),
        warnings=(
            *(f"it is used, as it was taken in before, and would not be now: {one}" for one in warnings),
            *_not_used(roots, path),
        ),
    )


_MOST_ROOTS = 32
"""As every Secret holds them all."""
_MOST_BYTES = 48 * 1024
"""So that those of all ConfigMaps that can be listed fit into one object (1 MiB), with room for all else in it."""


def roots(text: str) -> str:
    """Read roots that are to be trusted as well, and return their PEM without what else the text says.

    What verifies others need not be what we would sign with: any root is taken that can be read.

    Raises:
        SourceError: one of them cannot be used; names all faults.
    """
    if "PRIVATE KEY" in text:
        raise SourceError("it holds a private key, which has no business there: take it out, and replace the key")
    found = _read(text.encode(errors=ANY_BYTES), "it")
    faults = []
    if len(found) > _MOST_ROOTS:
        faults.append(f"it holds {len(found)} certificates, more than {_MOST_ROOTS}")
    pem = certificates.to_pem(*found).decode()
    if len(pem) > _MOST_BYTES:
        faults.append(
            f"its certificates are {len(pem)} bytes, more than {_MOST_BYTES}: spread them over more ConfigMaps"
        )
    for one in found:
        faults += [f"{verifiers.name(one)} {fault}" for fault in verifiers.serial_faults(one)]
        if verifiers.path_length(one) == NO_CA:
            faults.append(f"{verifiers.name(one)} is no CA (basicConstraints)")
        elif not verifiers.is_root(one):
            faults.append(_no_root(one))
    if faults:
        raise SourceError("; ".join(faults))
    return pem


# Of files

ANY_BYTES = "surrogateescape"
"""How bytes that are no text become one, to be read here."""
_OF_ISTIO = {"ca-cert.pem": "tls.crt", "ca-key.pem": "tls.key", "root-cert.pem": "ca.crt"}
"""What Istio calls them in its Secret `cacerts`, and what they are to be called."""
_MOST_NAMED = 10


def _lacks_certificate(data: Mapping[str, bytes]) -> str:
    """Say what a Secret has in place of tls.crt."""
    there = ", ".join(sorted(data)[:_MOST_NAMED])
    theirs = [f"{file} as {ours}" for file, ours in _OF_ISTIO.items() if file in data]
    renamed = f": these are the names of Istio; put {', '.join(theirs)}" if theirs else ""
    return "it has no tls.crt" + (f", but {there}" if there else "") + renamed


def _certificates(data: Mapping[str, bytes], file: str, *, is_needed: bool = True) -> list[x509.Certificate]:
    if not data.get(file) and not is_needed:
        return []
    return _read(data.get(file, b""), file)


_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_PRINTABLE = "AttributeValue::PrintableString"
"""By which `cryptography` says that a name has a character that its kind of text does not have."""


def _read(pem: bytes, where: str) -> list[x509.Certificate]:
    """Read certificates with all that is asked of them later."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except UNREADABLE as error:
        raise SourceError(f"{where} {_why_unread(pem, error)}") from None
    for one in found:
        try:
            _ = one.subject, one.issuer, one.extensions, one.public_key()  # each is read when it is asked for
        except UNREADABLE as error:
            message = f"{where} holds a certificate that cannot be read: {verifiers.name(one)} ({error})"
            raise SourceError(message) from None
    return found


def _why_unread(pem: bytes, error: Exception) -> str:
    """Say what is there in place of certificates, or which of them cannot be read, and why."""
    if pem.startswith(b"\x30\x82"):
        return "holds no certificates in PEM, but perhaps one in DER: convert it (openssl x509 -inform DER)"
    blocks = _BLOCK.findall(pem)
    for number, block in enumerate(blocks, start=1):
        which = "holds a certificate that cannot be read" + (f", {number} of {len(blocks)}" if len(blocks) > 1 else "")
        try:
            der = base64.b64decode(b"".join(block.split()), validate=True)
        except binascii.Error:
            return f"{which}: it is damaged"
        try:
            x509.load_der_x509_certificate(der)
        except UNREADABLE as why:
            if _PRINTABLE in str(why):
                return (
                    f"{which}: a name in it is a PrintableString with a character that such a text cannot have, as "
                    "_; have it reissued with UTF8String"
                )
            return f"{which}: {why}"
    return f"holds a certificate that cannot be read: {error}" if blocks else "holds no certificates in PEM"


def _key(data: Mapping[str, bytes]) -> PrivateKey | None:
    try:
        return keys.from_pem(data.get("tls.key", b""))
    except ValueError:
        return None


def _why_no_key(key: PrivateKey | None, chain: list[x509.Certificate]) -> str | None:
    """Say why a key is not that of the CA; None where it is."""
    if key is None:
        return "tls.key is no private key in PEM, without a password"
    public = key.public_key()
    whose = next((number for number, one in enumerate(chain) if one.public_key() == public), None)
    if whose == 0:
        return None
    if whose is None:
        return "tls.key is not the key of the first certificate of tls.crt"
    who = verifiers.name(chain[whose])
    return (
        f"tls.key is the key of {who}, which is certificate {whose + 1} of tls.crt and must be the first: the CA that "
        "signs, then each that signed the one before"
    )


def _not_used(roots: Iterable[x509.Certificate], path: list[x509.Certificate]) -> Iterator[str]:
    """Name the roots of ca.crt that are not that of the CA: nothing is trusted by being there."""
    for one in dict.fromkeys(roots):
        if one not in path:
            yield (
                f"{verifiers.name(one)} in ca.crt is not above the CA and is not used: to have it trusted, list it in "
                "spec.trust.additionalRoots"
            )


# Of the path from a CA to its root


def _path(first: x509.Certificate, others: Iterable[x509.Certificate]) -> tuple[list[x509.Certificate], list[str]]:
    """Go up from a CA to its root, as far as it goes, and list what is in the way. A root is issued by its own name.

    Roots come first: a root may have a twin of its name and key that yet another CA has signed.
    """
    nearest = sorted(others, key=lambda one: not verifiers.is_root(one))
    path = [first]
    while path[-1].subject.public_bytes() != path[-1].issuer.public_bytes():
        above = (one for one in nearest if one not in path and verifiers.is_signed_by(path[-1], one))
        if (issuer := next(above, None)) is None:
            return path, [f"the CA that signed {verifiers.name(path[-1])} is neither in tls.crt nor in ca.crt"]
        path.append(issuer)
    return path, []


def _judged(path: list[x509.Certificate]) -> Iterator[tuple[x509.Certificate, list[str]]]:
    """List what verifiers refuse in each CA of a path, and in the signature by the one above it."""
    for number, one in enumerate(path):
        found = [*verifiers.faults(one), *_too_large(one)]
        if number + 1 < len(path):
            found += verifiers.signature_faults(one, path[number + 1])
        elif one.subject.public_bytes() == one.issuer.public_bytes() and not verifiers.is_root(one):
            found.append(_no_root(one))
        found += _misnamed(one, path[number + 1 :])
        yield one, found


def _misnamed(certificate: x509.Certificate, above: Iterable[x509.Certificate]) -> Iterator[str]:
    """Find names of a CA that those above it do not allow (RFC 5280 section 4.2.1.10)."""
    for one in above:
        found = name_constraints.read(one, by=verifiers.name(one))
        if broken := name_constraints.why_not_ca(certificate, found):
            yield f"a name of {verifiers.name(certificate)} is refused: {broken}"


_LARGEST = 16 * 1024
"""Of a certificate in PEM: what the status holds of one."""
_MOST_SENT = 7
"""CAs that go with a leaf in a handshake: a server in Java takes eight certificates (JDK-8313236)."""
_MOST_BYTES_SENT = 24 * 1024
"""Of these in DER, with room for a leaf: Java takes 32 KiB in one message."""


def _too_large(certificate: x509.Certificate) -> Iterator[str]:
    size = len(certificates.to_pem(certificate))
    if size > _LARGEST:
        yield f"{verifiers.name(certificate)} is {size} bytes in PEM, more than {_LARGEST}"


def _too_long(path: list[x509.Certificate]) -> Iterator[str]:
    """Find what is too much for a handshake, into which all goes but the root."""
    sent = path[:-1]
    size = sum(len(one.public_bytes(serialization.Encoding.DER)) for one in sent)
    if len(sent) > _MOST_SENT:
        yield f"there are {len(sent)} CAs below the root, and a server in Java takes {_MOST_SENT} beside a leaf"
    if size > _MOST_BYTES_SENT:
        yield f"the CAs below the root are {size} bytes, and Java takes {_MOST_BYTES_SENT} in a handshake beside a leaf"


def _without_room(path: Iterable[x509.Certificate], *, below: int) -> Iterator[str]:
    """Find what allows fewer CAs below it than there are to be (RFC 5280 section 4.2.1.9)."""
    for needed, one in enumerate(path, start=below):
        longest = verifiers.path_length(one)
        if longest is not None and longest < needed:
            yield f"{verifiers.name(one)} allows {longest} CAs below it, and {needed} are needed"


def _out_of_time(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    if now >= certificate.not_valid_after_utc:
        yield f"{verifiers.name(certificate)} expired at {times.rfc3339(certificate.not_valid_after_utc)}"
    if now < certificate.not_valid_before_utc:
        yield f"{verifiers.name(certificate)} is not valid before {times.rfc3339(certificate.not_valid_before_utc)}"


def _that_is_known(path: list[x509.Certificate], known: Iterable[CAGeneration]) -> Iterator[str]:
    """Find where a path has a CA of ours, or its first was replaced before, or has another's key in a new certificate.

    Which CA a leaf is of is told by the key id in it. Of two with one key it cannot be told: neither when the first is
    not needed any more, nor whether the chain beside a leaf is the right one.
    """
    name, key_id = verifiers.name(path[0]), verifiers.key_id(path[0])
    fingerprints = [certificates.fingerprint(one) for one in path]
    for ca in known:
        if not ca.is_outside and ca.fingerprint in fingerprints:
            yield f"{ca.role} {ca.number} is none of an outside PKI, the operator has made it: put another CA there"
        elif ca.fingerprint == fingerprints[0] and ca.state not in SIGNING:
            yield f"{name} is {ca.role} {ca.number}, which was replaced: put the CA that signs there, or a new one"
        elif ca.fingerprint != fingerprints[0] and ca.key_id == key_id and ca.state != State.GONE:
            other = f"{ca.role} {ca.number} has under another certificate"
            yield f"{name} has the key that {other}: its replacement needs a key of its own"


def _no_root(certificate: x509.Certificate) -> str:
    """Say of a certificate that is to be a root which CA has signed it."""
    who = verifiers.name(certificate)
    if certificate.subject.public_bytes() != certificate.issuer.public_bytes():
        return f"{who} is no root: it was issued by {names.shown(certificate.issuer.rfc4514_string())}"
    return f"{who} is no root: its authorityKeyIdentifier says that another CA of the same name has signed it"
