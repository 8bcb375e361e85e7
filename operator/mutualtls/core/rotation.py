"""How the CA generations of an authority come about, step by step: a pure function of ledger and CA Secrets.

Making a CA takes three steps, so that a crash between any two is mended by taking the next one again: the ledger
announces it; its Secret is created, or taken as it is where there is one; the ledger records its certificate. Only then
is it published or used. No CA is ever made where one ought to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives import hashes

from mutualtls.core import issue, keys, times
from mutualtls.core.authority import Authority, CAKeySpec
from mutualtls.core.errors import AuthorityError
from mutualtls.core.identity import Algorithm, Encoding
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType, PrivateKey
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.reasons import Reason

_DEFAULT_SIZES = {Algorithm.ECDSA: 256, Algorithm.RSA: 3072}

CAId = tuple[Role, int]
"""Role and number of a CA generation."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the ledger: one step of the state machine."""

    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Make:
    """Make the key and certificate of an announced generation, and create its Secret."""

    announced: CAGeneration


@dataclass(frozen=True, slots=True)
class Hold:
    """Make nothing and sign nothing, until somebody acts. The message says what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Sign:
    """All is made. `lost` names a key that is gone though signing goes on."""

    issuing: CA
    lost: str | None = None


Step = Write | Make | Hold | Sign


def first_ledger(authority: Authority, evidence: str | None) -> Write | Hold:
    """Begin the ledger of an authority that has none, unless there is evidence of an earlier one."""
    if evidence is not None:
        message = (
            f"the ledger is gone, but there is {evidence}: restore the ConfigMap from a backup; no new CA is made, "
            "as what the old one signed would not be trusted any more"
        )
        return Hold(Reason.LEDGER_LOST, message)
    return Write(_announced(Ledger(authority_uid=authority.uid), Role.ROOT))


def next_step(ledger: Ledger, held: Mapping[CAId, CA | None], *, now: datetime) -> Step:
    """Say the next step. `held` holds, for each generation that is not gone, what its Secret holds; None: no Secret.

    Raises:
        AuthorityError: a CA Secret holds another key than the ledger's.
    """
    for role in Role:
        if not ledger.of(role):
            return Write(_announced(ledger, role))
        making = next((ca for ca in ledger.of(role) if ca.state == State.MAKING), None)
        if making is not None:
            made = held[role, making.number]
            return Write(ledger.put(_recorded(making, made))) if made else Make(making)
    return _signing(ledger, held, now=now)


def _signing(ledger: Ledger, held: Mapping[CAId, CA | None], *, now: datetime) -> Step:
    root, issuing = ledger.active(Role.ROOT), ledger.active(Role.ISSUING)
    if root is None or issuing is None:
        return Hold(Reason.KEY_LOST, "the ledger names no CA that signs: restore the ConfigMap from a backup")
    ca = held[Role.ISSUING, issuing.number]
    if ca is None:
        return Hold(
            Reason.KEY_LOST, f"the key of issuing CA {issuing.number} is gone: restore its Secret from a backup"
        )
    if now >= ca.validity.not_after:
        return Hold(Reason.CA_EXPIRED, f"issuing CA {issuing.number} expired at {times.rfc3339(ca.validity.not_after)}")
    lost = None
    if held[Role.ROOT, root.number] is None:
        lost = f"the key of root {root.number} is gone: restore its Secret from a backup before issuing CAs end"
    return Sign(ca, lost)


def _announced(ledger: Ledger, role: Role) -> Ledger:
    root = ledger.active(Role.ROOT)
    issuer = root.number if root and role == Role.ISSUING else None
    return ledger.put(CAGeneration(role=role, number=ledger.next_number(role), state=State.MAKING, issuer=issuer))


def _recorded(announced: CAGeneration, made: CA) -> CAGeneration:
    """Record a made CA. The first of its role signs at once, as there is no bundle that could lack it."""
    certificate = made.certificate
    return msgspec.structs.replace(
        announced,
        state=State.ACTIVE,
        fingerprint=fingerprint(made),
        key_id=issue.key_id(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        certificate=issue.to_pem(certificate).decode(),
    )


def check_held(recorded: CAGeneration, ca: CA) -> None:
    """Refuse a CA Secret whose key or certificate is not the ledger's.

    Raises:
        AuthorityError: it is another's.
    """
    if recorded.state != State.MAKING and fingerprint(ca) != recorded.fingerprint:
        message = f"the Secret of {recorded.role} {recorded.number} holds another CA than the ledger's: restore it"
        raise AuthorityError(Reason.CA_UNREADABLE, message)


def fingerprint(ca: CA) -> str:
    """SHA-256 of a CA certificate's DER, lower-case hex."""
    return ca.certificate.fingerprint(hashes.SHA256()).hex()


def key_type(authority: Authority, role: Role) -> KeyType:
    """Tell what key a new CA of a role gets."""
    spec: CAKeySpec = (
        authority.spec.root.self_signed.private_key if role == Role.ROOT else authority.spec.issuing.private_key
    )
    return KeyType(spec.algorithm, spec.size or _DEFAULT_SIZES[spec.algorithm])


def certify(authority: Authority, announced: CAGeneration, key: PrivateKey, root: CA | None, *, now: datetime) -> CA:
    """Make the certificate of an announced generation. `root` is the CA that signs an issuing CA.

    Raises:
        AuthorityError: the root's key is gone, or the root ends before the issuing CA would be of use.
    """
    unique = f"{authority.uid}/{announced.role}/{announced.number}"
    if announced.role == Role.ROOT:
        spec = authority.spec.root.self_signed
        life = times.validity(now, times.parse_duration(spec.duration))
        name = spec.common_name or f"{authority.name} root"
        return CA(certificate=issue.root(key, common_name=name, unique=unique, validity=life), key=key)
    if root is None:
        message = f"the key of root {announced.issuer} is gone: restore its Secret from a backup"
        raise AuthorityError(Reason.KEY_LOST, message)
    life = times.validity(now, times.parse_duration(authority.spec.issuing.duration), within=root.validity)
    if life.not_after <= now:
        raise AuthorityError(Reason.CA_EXPIRED, f"root {announced.issuer} has expired")
    certificate = issue.issuing(
        key.public_key(), root, common_name=f"{authority.name} issuing CA", unique=unique, validity=life
    )
    return CA(certificate=certificate, key=key)


def secret_data(ca: CA) -> dict[str, bytes]:
    """Write what the Secret of a CA generation holds."""
    return {
        "tls.crt": issue.to_pem(ca.certificate),
        "tls.key": keys.to_pem(ca.key, Encoding.PKCS8),
    }
