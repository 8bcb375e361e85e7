"""How the CA generations of an authority come about and go, step by step: a pure function of ledger and CA Secrets.

Making a CA takes three steps, so that a crash between any two is mended by taking the next one again: the ledger
announces it; its Secret is created, or taken as it is where there is one; the ledger records its certificate. Only then
is it published or used. No CA is ever made where one ought to be.

A CA that signs no more goes when nothing that it signed lives any more: the ledger says so, its Secret is deleted, and
one of the same name with the certificate alone takes its place, so that its number is never used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from mutualtls.core import constraints, issue, keys, times
from mutualtls.core.authority import Authority, CAKeySpec
from mutualtls.core.errors import AuthorityError
from mutualtls.core.identity import Algorithm, Encoding
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType, PrivateKey
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.reasons import Reason

_DEFAULT_SIZES = {Algorithm.ECDSA: 256, Algorithm.RSA: 3072}
_MARGIN = timedelta(seconds=30)
"""Between the end of the last leaf of a CA and its going, for clocks that differ."""

CAId = tuple[Role, int]
"""Role and number of a CA generation."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A CA Secret with the certificate alone: the key was deleted, and the number is taken for good."""


Held = Mapping[CAId, CA | Tombstone | None]
"""What the Secret of each generation in the ledger holds; None: there is no Secret."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the ledger: one step of the state machine."""

    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Make:
    """Make the key and certificate of an announced generation, and create its Secret."""

    announced: CAGeneration


@dataclass(frozen=True, slots=True)
class Bury:
    """Delete the Secret of a generation that is gone, if there is one, and leave a tombstone."""

    gone: CAGeneration


@dataclass(frozen=True, slots=True)
class Hold:
    """Make nothing and sign nothing, until somebody acts. The message says what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Sign:
    """All is made."""

    issuing: CA
    lost: str | None = None
    """What is to be said of a key that is gone though signing goes on."""
    look_again: datetime | None = None
    """When the next step is due by time alone."""


Step = Write | Make | Bury | Hold | Sign


def next_step(authority: Authority, ledger: Ledger, held: Held, *, now: datetime) -> Step:
    """Say the next step for an authority whose spec has no fault.

    Its order `abandon` names fingerprints of lost roots. It is obeyed only while such a root's key is gone.
    """
    step = _bury(ledger, held) or _make(ledger, held) or _let_go(ledger, now)
    if step is not None:
        return step
    root = ledger.active(Role.ROOT)
    if root is None and ledger.active(Role.ISSUING) is not None:
        message = "there is an issuing CA, but no certificate of its root: restore the root's Secret from a backup"
        return Hold(Reason.LEDGER_LOST, message)
    if root is None:
        return Write(_announced(ledger, Role.ROOT))
    root_ca = _key(held, root)
    if root_ca is None and root.fingerprint in authority.abandon:
        return Write(_announced(ledger.put(_moved(root, State.LOST)), Role.ROOT))
    return _issue(ledger, held, root, root_ca, wanted=_constraints(authority), now=now)


_Constraints = x509.NameConstraints | None


def _issue(
    ledger: Ledger, held: Held, root: CAGeneration, root_ca: CA | None, *, wanted: _Constraints, now: datetime
) -> Step:
    """See to an issuing CA that signs. One whose key is lost is replaced by itself, as long as the root's is there."""
    issuing = ledger.active(Role.ISSUING)
    issuing_ca = _key(held, issuing) if issuing else None
    is_abandoned = issuing is not None and issuing.issuer != root.number and root_ca is not None
    if issuing_ca is not None and not is_abandoned:
        if root_ca is not None and _is_out_of_date(issuing_ca, root_ca, wanted, now):
            return Write(_announced(ledger, Role.ISSUING))
        return _sign(ledger, issuing_ca, root, root_ca, now=now)
    if root_ca is None:
        which = f"the key of issuing CA {issuing.number} is gone, too, and " if issuing else ""
        return Hold(Reason.KEY_LOST, which + _root_lost(root))
    lost = ledger.put(_moved(issuing, State.LOST)) if issuing and issuing_ca is None else ledger
    return Write(_announced(lost, Role.ISSUING))


def _is_out_of_date(issuing: CA, root: CA, wanted: _Constraints, now: datetime) -> bool:
    """Tell whether the name constraints are to be others, and a CA with those can be made."""
    return constraints.of_certificate(issuing.certificate) != wanted and now < root.validity.not_after


def _constraints(authority: Authority) -> _Constraints:
    return constraints.compiled(authority.spec.name_constraints)[0].extension()


def _sign(ledger: Ledger, issuing: CA, root: CAGeneration, root_ca: CA | None, *, now: datetime) -> Step:
    """Sign, unless the issuing CA has lived half of its life and one that lives longer can be made."""
    life = issuing.validity
    begun = life.not_before + times.BACKDATE
    half = begun + (life.not_after - begun) / 2
    gains = root_ca is not None and root_ca.validity.not_after > life.not_after
    if now >= half and gains:
        return Write(_announced(ledger, Role.ISSUING))
    if now >= life.not_after:
        return Hold(Reason.CA_EXPIRED, f"the issuing CA expired at: {times.rfc3339(life.not_after)}")
    abandoned = [ca for ca in ledger.of(Role.ROOT) if ca.state == State.LOST]
    lost = _root_lost(root) if root_ca is None else None
    if abandoned:
        until = max((ca.signs_until for ca in ledger.generations if ca.state in _GOING and ca.signs_until), default=now)
        lost = (
            f"root {abandoned[-1].number} has no key and stays in the bundle until {times.rfc3339(until)}; "
            "handshakes may fail between who has read the new bundle and who has not"
        )
    ends = [ca.signs_until + _MARGIN for ca in ledger.of(Role.ISSUING) if ca.state in _GOING and ca.signs_until]
    return Sign(issuing, lost, look_again=min([*ends, half] if now < half and gains else ends, default=None))


_GOING = frozenset({State.RETIRING, State.WITHDRAWN, State.LOST})


def _bury(ledger: Ledger, held: Held) -> Step | None:
    """Put a tombstone where a CA was, before another number is taken."""
    gone = (ca for ca in ledger.generations if ca.state == State.GONE)
    unburied = next((ca for ca in gone if not isinstance(held[ca.role, ca.number], Tombstone)), None)
    return Bury(unburied) if unburied else None


def _make(ledger: Ledger, held: Held) -> Step | None:
    """Bring the making of a CA to its end: record it, or give its number up where it cannot be made any more."""
    making = next((ca for ca in ledger.generations if ca.state == State.MAKING), None)
    if making is None:
        return None
    made = held[making.role, making.number]
    if isinstance(made, CA):
        return Write(_recorded(ledger, making, made))
    signer_is_lost = making.issuer is not None and not isinstance(held[Role.ROOT, making.issuer], CA)
    if isinstance(made, Tombstone) or signer_is_lost:
        return Write(ledger.put(_moved(making, State.GONE)))
    return Make(making)


def _let_go(ledger: Ledger, now: datetime) -> Step | None:
    """Let a CA go when nothing that it signed lives any more; a root only after all its issuing CAs."""
    needed = {ca.issuer for ca in ledger.of(Role.ISSUING) if ca.state != State.GONE}
    for ca in ledger.generations:
        is_needed = ca.role == Role.ROOT and ca.number in needed
        is_over = ca.signs_until is None or ca.signs_until + _MARGIN <= now
        if ca.state in _GOING and is_over and not is_needed:
            return Write(ledger.put(_moved(ca, State.GONE)))
    return None


def _key(held: Held, ca: CAGeneration) -> CA | None:
    found = held[ca.role, ca.number]
    return found if isinstance(found, CA) else None


def _root_lost(root: CAGeneration) -> str:
    return (
        f"the key of root {root.number} is gone: restore its Secret from a backup, or give it up for good by the "
        f"annotation mutualtls.dev/abandon: {root.fingerprint}"
    )


def _moved(ca: CAGeneration, state: State) -> CAGeneration:
    return msgspec.structs.replace(ca, state=state)


def _announced(ledger: Ledger, role: Role) -> Ledger:
    root = ledger.active(Role.ROOT)
    issuer = root.number if root and role == Role.ISSUING else None
    return ledger.put(CAGeneration(role=role, number=ledger.next_number(role), state=State.MAKING, issuer=issuer))


def announced_first(authority: Authority) -> Ledger:
    """Begin the ledger of an authority that never had a CA."""
    return _announced(Ledger(authority_uid=authority.uid), Role.ROOT)


def _recorded(ledger: Ledger, announced: CAGeneration, made: CA) -> Ledger:
    """Record a made CA, which signs from now on. The issuing CA before it signs no more.

    A root that signs at once is one that replaces none which still signs: the first, or an abandoned one's successor.

    Raises:
        AuthorityError: what the Secret holds is not the CA that was announced.
    """
    _check_made(ledger, announced, made.certificate)
    before = ledger.active(announced.role)
    if before is not None:
        ledger = ledger.put(_moved(before, State.RETIRING))
    return ledger.put(described(announced, made.certificate, State.ACTIVE))


def _check_made(ledger: Ledger, announced: CAGeneration, certificate: x509.Certificate) -> None:
    """Take what lies in an announced Secret only if it is a CA of that role and number, signed by its root."""
    issuer = ledger.find(Role.ROOT, announced.issuer) if announced.issuer is not None else None
    signer = x509.load_pem_x509_certificate(issuer.certificate.encode()) if issuer else certificate
    try:
        certificate.verify_directly_issued_by(signer)
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        is_ca = False
    if not is_ca or identify(certificate) != (announced.role, announced.number):
        message = f"the Secret of {announced.role} {announced.number} holds a CA that is not ours: delete it"
        raise AuthorityError(Reason.CA_UNREADABLE, message)


def identify(certificate: x509.Certificate) -> CAId | None:
    """Read from a CA's subject which generation it is; None for a CA that is not ours."""
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER):
        match str(attribute.value).split("/"):
            case [_, "root" | "issuing" as role, number] if number.isdigit():
                return Role(role), int(number)
    return None


def described(ca: CAGeneration, certificate: x509.Certificate, state: State) -> CAGeneration:
    """Fill in what a certificate says of a CA generation."""
    return msgspec.structs.replace(
        ca,
        state=state,
        fingerprint=fingerprint(certificate),
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
    if recorded.state != State.MAKING and fingerprint(ca.certificate) != recorded.fingerprint:
        message = f"the Secret of {recorded.role} {recorded.number} holds another CA than the ledger's: restore it"
        raise AuthorityError(Reason.CA_UNREADABLE, message)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's DER, lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_type(authority: Authority, role: Role) -> KeyType:
    """Tell what key a new CA of a role gets."""
    spec: CAKeySpec = (
        authority.spec.root.self_signed.private_key if role == Role.ROOT else authority.spec.issuing.private_key
    )
    return KeyType(spec.algorithm, spec.size or _DEFAULT_SIZES[spec.algorithm])


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
        key.public_key(),
        root,
        common_name=f"{authority.name} issuing CA",
        unique=unique,
        validity=life,
        constraints=_constraints(authority),
    )
    return CA(certificate=certificate, key=key)


def secret_data(ca: CA) -> dict[str, bytes]:
    """Write what the Secret of a CA generation holds."""
    return {"tls.crt": issue.to_pem(ca.certificate), "tls.key": keys.to_pem(ca.key, Encoding.PKCS8)}
