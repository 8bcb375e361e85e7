"""One CA generation: how its key and certificate are made, how it is named, and how it is known again.

When one is made, and what becomes of it, is in `rotation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from mutualtls.core import times
from mutualtls.core.api.algorithms import DEFAULT_CA_SIZES, Encoding
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_spec import CAKeySpec
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import certificates, issue, keys, name_constraints, verifiers
from mutualtls.core.pki.certificates import fingerprint
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType, PrivateKey
from mutualtls.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A CA Secret with the certificate alone: the key was deleted, and the number is taken for good."""


Held = Mapping[CAId, CA | Tombstone | None]
"""What the Secret of each generation in the ledger holds; None: there is no Secret."""


def key_of(held: Held, ca: CAGeneration) -> CA | None:
    """Find the key of a generation; None where it is not there."""
    found = held[ca.id]
    return found if isinstance(found, CA) else None


def check_made(ledger: Ledger, announced: CAGeneration, certificate: x509.Certificate) -> None:
    """Refuse what lies in an announced Secret unless it is a CA of that role and number, signed by its root.

    Raises:
        AuthorityError: it is not.
    """
    issuer = ledger.find(Role.ROOT, announced.issuer) if announced.issuer is not None else None
    signer = x509.load_pem_x509_certificate(issuer.certificate.encode()) if issuer else certificate
    is_signed = announced.is_outside or certificates.is_issued_by(certificate, signer)
    is_ca = is_signed and verifiers.is_ca(certificate)
    is_named = announced.is_outside or identify(certificate) == announced.id
    if not is_ca or not is_named:
        message = f"the Secret of {announced.role} {announced.number} holds a CA that is not ours: delete it"
        raise AuthorityError(Reason.CA_UNREADABLE, message)


def identify(certificate: x509.Certificate) -> CAId | None:
    """Read from a CA's subject which generation it is; None for a CA that is not ours."""
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER):
        match str(attribute.value).split("/"):
            case [_, "root" | "issuing" as role, number] if number.isdigit():
                return CAId(Role(role), int(number))
    return None


def owner(certificate: x509.Certificate) -> str:
    """Read from a CA's subject the uid of the authority that it was made for; empty for a CA that is not ours."""
    found = identify(certificate)
    names = (str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER))
    return next((name.split("/")[0] for name in names), "") if found is not None else ""


def described(
    ca: CAGeneration, certificate: x509.Certificate, state: State, *, intermediates: tuple[x509.Certificate, ...] = ()
) -> CAGeneration:
    """Fill in what a certificate, and the intermediates above it, say of a CA generation."""
    return msgspec.structs.replace(
        ca,
        state=state,
        fingerprint=fingerprint(certificate),
        key_id=certificates.key_id(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        certificate=certificates.to_pem(certificate).decode(),
        chain=certificates.to_pem(*intermediates).decode(),
    )


def check_held(recorded: CAGeneration, ca: CA) -> None:
    """Refuse a CA Secret whose key or certificate is not the ledger's.

    Raises:
        AuthorityError: it is another's.
    """
    if recorded.state != State.MAKING and fingerprint(ca.certificate) != recorded.fingerprint:
        message = f"the Secret of {recorded.role} {recorded.number} holds another CA than the ledger's: restore it"
        raise AuthorityError(Reason.CA_UNREADABLE, message)


def is_tiered(authority: Authority, root: CAGeneration) -> bool:
    """Tell whether an issuing CA is to stand under a root: as the spec asks, unless the root allows no CA below it.

    Such a root, of an outside PKI, signs leaves itself: everybody would refuse what an issuing CA under it signs
    (RFC 5280 section 4.2.1.9).
    """
    if not authority.spec.issuing.enabled or not root.is_outside:
        return authority.spec.issuing.enabled
    return verifiers.path_length(x509.load_pem_x509_certificate(root.certificate.encode())) != 0


def key_type(authority: Authority, role: Role) -> KeyType:
    """Tell what key a new CA of a role gets."""
    spec: CAKeySpec = (
        authority.spec.root.self_signed.private_key if role == Role.ROOT else authority.spec.issuing.private_key
    )
    return KeyType(spec.algorithm, spec.size or DEFAULT_CA_SIZES[spec.algorithm])


def unique_name(authority: Authority, role: Role, number: int) -> str:
    """Name a CA generation in its subject (serialNumber attribute), so that no two CAs ever share a subject."""
    return f"{authority.uid}/{role}/{number}"


def certify(authority: Authority, announced: CAGeneration, key: PrivateKey, root: CA | None, *, now: datetime) -> CA:
    """Make the certificate of an announced generation. `root` is the CA that signs an issuing CA.

    Raises:
        AuthorityError: the root's key is gone, or the root ends before the issuing CA would be of use.
    """
    unique = unique_name(authority, announced.role, announced.number)
    if announced.role == Role.ROOT:
        spec = authority.spec.root.self_signed
        life = times.validity(now, authority.durations.root)
        name = spec.common_name or f"{authority.name} root"
        return CA(certificate=issue.root(key, common_name=name, unique=unique, validity=life), key=key)
    if root is None:
        message = f"the key of root {announced.issuer} is gone: restore its Secret from a backup"
        raise AuthorityError(Reason.KEY_LOST, message)
    life = times.validity(now, authority.durations.issuing, within=root.validity)
    if life.not_after <= now:
        raise AuthorityError(Reason.CA_EXPIRED, f"root {announced.issuer} has expired")
    certificate = issue.issuing(
        key.public_key(),
        root,
        common_name=f"{authority.name} issuing CA",
        unique=unique,
        validity=life,
        constraints=name_constraints.extension(authority.compiled.constraints),
    )
    return CA(certificate=certificate, key=key)


def secret_data(ca: CA) -> dict[str, bytes]:
    """Write what the Secret of a CA generation holds: all that the ledger knows of it, so that it can be rebuilt."""
    above = {"ca.crt": certificates.to_pem(ca.root)} if ca.root else {}
    key = keys.to_pem(ca.key, Encoding.PKCS8)
    return {"tls.crt": certificates.to_pem(ca.certificate, *ca.intermediates), "tls.key": key} | above
