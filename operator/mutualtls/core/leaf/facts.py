"""What the files of a Secret say, read from the certificate itself. Facts are kept; key material is dropped."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mutualtls.core import bounded, digests, times
from mutualtls.core.api.algorithms import Algorithm, Encoding, Usage
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.bundles import bundle
from mutualtls.core.errors import UnreadableError
from mutualtls.core.leaf import formats
from mutualtls.core.leaf.formats import ExtraFiles
from mutualtls.core.model import labels
from mutualtls.core.model.labels import FILES, SECRET_TYPE, TLS_CRT, TLS_KEY
from mutualtls.core.model.shared import share
from mutualtls.core.names.names import Names, Subject, names_hash
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.certificates import UNREADABLE
from mutualtls.core.reasons import Reason, Refusal

LONGEST_ANNOTATION = 4096
"""Of `labels.FACTS`, in characters: four times what we ever write."""

_ATTRIBUTES = {oid: attribute for attribute, oid in issue.SUBJECT_ATTRIBUTES}
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: Usage.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH: Usage.CLIENT_AUTH}


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """What is known of a key, a certificate and a bundle that fit together. Nothing in it is secret."""

    serial_number: str
    fingerprint: str
    public_key_hash: str
    issuer_key_id: str
    chain_hash: str
    not_before: times.Moment
    not_after: times.Moment
    names_hash: str
    usages: tuple[Usage, ...]
    algorithm: Algorithm
    size: int
    encoding: Encoding
    bundle_hash: str
    bundle_since: times.Moment | None = None
    """When this bundle was written in place of another; None where the Secret was made with it."""
    issuer_since: times.Moment | None = None
    """When a leaf of another CA was replaced by one of this; None where there was none before."""
    further: ExtraFiles | None = None
    """What is recorded of the files that `spec.formats` asked for; None where we put none there."""

    def __post_init__(self) -> None:
        share(self, "issuer_key_id", "chain_hash", "bundle_hash")
        msgspec.structs.force_setattr(self, "usages", _first_usages(self.usages))
        times.check(self.not_before, self.not_after, self.bundle_since, self.issuer_since)

    @property
    def key(self) -> keys.KeyType:
        """Type of the key."""
        return keys.KeyType(self.algorithm, self.size)

    def carries(self, bundle_hash: str) -> bool:
        """Whether a bundle has arrived: in ca.crt and, where there is one, in the trust store."""
        in_store = self.further.bundle_hash if self.further else ""
        return self.bundle_hash == bundle_hash and in_store in {"", bundle_hash}

    @property
    def validity(self) -> times.Validity:
        """Validity of the leaf."""
        return times.Validity(not_before=self.not_before, not_after=self.not_after)


@functools.lru_cache(maxsize=16)
def _first_usages(usages: tuple[Usage, ...]) -> tuple[Usage, ...]:
    """Return the first usages of late that were equal, so that nearly all leaves share one object."""
    return usages


@dataclass(frozen=True, slots=True)
class Damage(Refusal):
    """Why the files of a Secret cannot be used."""


def of_leaf(
    leaf: x509.Certificate, *, intermediates: Iterable[x509.Certificate], encoding: Encoding, ca: bytes
) -> Facts:
    """Collect the facts of a leaf with its chain, the form of its key and the bundle beside it.

    Raises:
        ValueError: the certificate lacks what every certificate of ours has.
    """
    public_key = leaf.public_key()
    kind = keys.type_of(public_key)
    if kind is None:
        raise ValueError("its key is of an algorithm that is not supported")
    try:
        authority_key = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise ValueError(f"it has no {error.oid._name}") from None  # noqa: SLF001 - the only name of an OID there is
    names = _names(leaf)
    if names.is_empty:
        raise ValueError("it has no names")
    return Facts(
        serial_number=certificates.serial_number(leaf),
        fingerprint=certificates.fingerprint(leaf),
        public_key_hash=keys.public_key_hash(public_key),
        issuer_key_id=issue.written_key_id(authority_key or b""),
        chain_hash=bundle.chain_hash(intermediates),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        names_hash=names_hash(names),
        usages=tuple(sorted(_USAGES[usage] for usage in usages if usage in _USAGES)),
        algorithm=kind.algorithm,
        size=kind.size,
        encoding=encoding,
        bundle_hash=digests.content_hash(ca),
    )


def with_times(made: Facts, before: Facts | None, *, now: datetime, is_first: bool = False) -> Facts:
    """Fill in since when bundle and issuer are what they are, from the facts before.

    What is not known began now. In files that are the first ever nobody can have read others.
    """
    began = None if is_first else now
    keeps_bundle = before is not None and before.bundle_hash == made.bundle_hash
    keeps_issuer = before is not None and before.issuer_key_id == made.issuer_key_id
    return msgspec.structs.replace(
        made,
        bundle_since=before.bundle_since if before and keeps_bundle else began,
        issuer_since=before.issuer_since if before and keeps_issuer else began,
    )


def landed(made: Facts, before: Facts | None, *, now: datetime) -> Facts:
    """Count from when a write was seen to have landed, where it says that it began just before.

    Its own times are those of its making. `before` is what was known of the same Secret until then.
    """
    is_new_bundle = before is None or before.bundle_hash != made.bundle_hash
    is_new_issuer = before is None or before.issuer_key_id != made.issuer_key_id
    return msgspec.structs.replace(
        made,
        bundle_since=times.landed(made.bundle_since, now) if is_new_bundle else before and before.bundle_since,
        issuer_since=times.landed(made.issuer_since, now) if is_new_issuer else before and before.issuer_since,
    )


def read(secret: Mapping[str, Any], *, issuers: Mapping[str, x509.Certificate] | None = None) -> Facts | Damage:
    """Read the files of a Secret, as JSON of the API server. The key is parsed, compared and dropped.

    `issuers`, by key id, are CAs that must really have signed the leaf where it says so.
    """
    if secret.get("type") != SECRET_TYPE:
        return Damage(reason=Reason.SECRET_TYPE_WRONG, message=f"secret is of type {secret.get('type')}")
    if secret.get("immutable"):
        return Damage(reason=Reason.SECRET_IMMUTABLE, message="secret was made immutable")
    data = secret.get("data") or {}
    missing = [name for name in FILES if not data.get(name)]
    if missing:
        return Damage(reason=Reason.SECRET_INCOMPLETE, message=f"secret lacks {', '.join(missing)}")
    try:
        key, chain, ca = (base64.b64decode(data[name], validate=True) for name in FILES)
    except binascii.Error:
        return Damage(reason=Reason.SECRET_UNREADABLE, message="secret is not base64")
    read = _read_files(key, chain, ca, issuers or {})
    if isinstance(read, Damage):
        return read
    return msgspec.structs.replace(read, further=formats.found(_further_noted(secret), data))


class _Noted(msgspec.Struct):
    """What of the annotation a reading takes over. All else is read from the files themselves."""

    further: ExtraFiles | None = None


def _further_noted(secret: Mapping[str, Any]) -> ExtraFiles | None:
    noted = (secret["metadata"].get("annotations") or {}).get(labels.FACTS)
    try:
        return bounded.decode(noted, _Noted, longest=LONGEST_ANNOTATION).further if noted else None
    except UnreadableError:
        return None


def kept_key(secret: Mapping[str, Any], *, recorded: CertificateStatus, kind: keys.KeyType) -> keys.PrivateKey | None:
    """Take the key out of a Secret if it and its leaf are those that the status recorded, and it fits what is asked.

    What else is in the Secret, and in what state, does not matter.
    """
    data = secret.get("data") or {}
    try:
        key = keys.from_pem(base64.b64decode(data.get(TLS_KEY) or "", validate=True))
        leaf = x509.load_pem_x509_certificates(base64.b64decode(data.get(TLS_CRT) or "", validate=True))[0]
    except UNREADABLE:
        return None
    public = key.public_key()
    is_recorded = (
        certificates.fingerprint(leaf) == recorded.fingerprint
        and keys.public_key_hash(public) == recorded.public_key_hash
    )
    return key if is_recorded and keys.type_of(public) == kind else None


def key_and_chain(secret: Mapping[str, Any]) -> tuple[keys.PrivateKey, list[x509.Certificate]]:
    """Take the key and its chain out of a Secret whose files were found good.

    Raises:
        ValueError: they are not.
    """
    key, chain = (base64.b64decode(secret["data"][name]) for name in (TLS_KEY, TLS_CRT))
    return keys.from_pem(key), x509.load_pem_x509_certificates(chain)


def _read_files(key_pem: bytes, chain_pem: bytes, ca: bytes, issuers: Mapping[str, x509.Certificate]) -> Facts | Damage:
    try:
        leaf, *intermediates = x509.load_pem_x509_certificates(chain_pem)
    except UNREADABLE:
        return Damage(reason=Reason.SECRET_UNREADABLE, message=f"{TLS_CRT} holds no PEM certificates")
    try:
        public_key = keys.from_pem(key_pem).public_key()
    except ValueError as error:
        return Damage(reason=Reason.SECRET_UNREADABLE, message=f"{TLS_KEY} is {error}")
    encoding = keys.encoding_of(key_pem)
    try:
        if encoding is None or public_key != leaf.public_key():
            message = f"{TLS_KEY} is not the key of the certificate in {TLS_CRT}"
            return Damage(reason=Reason.KEY_MISMATCH, message=message)
        for signed, signer in zip([leaf, *intermediates], intermediates, strict=False):
            signed.verify_directly_issued_by(signer)
        found = of_leaf(leaf, intermediates=intermediates, encoding=encoding, ca=ca)
        if (issuer := issuers.get(found.issuer_key_id)) is not None:
            leaf.verify_directly_issued_by(issuer)
    except UNREADABLE as error:
        why = str(error) or "a signature does not verify"
        return Damage(reason=Reason.SECRET_UNREADABLE, message=f"{TLS_CRT} holds another's certificate: {why}")
    return found


def names_in(secret: Mapping[str, Any]) -> Names:
    """Read the names of the leaf in a Secret whose files were found good."""
    return _names(x509.load_pem_x509_certificates(base64.b64decode(secret["data"][TLS_CRT]))[0])


def _names(leaf: x509.Certificate) -> Names:
    """Collect the names of a certificate. One of another kind than we write is no name of ours, and shows as such."""
    dns, ips, emails, uris = [], [], [], []
    for name in _alternative(leaf):
        match name:
            case x509.DNSName():
                dns.append(name.value)
            case x509.IPAddress():
                ips.append(str(name.value))
            case x509.RFC822Name():
                emails.append(name.value)
            case _:
                uris.append(str(name.value))
    subject, others = _subject(leaf.subject)
    return Names(dns=tuple(dns), ips=tuple(ips), emails=tuple(emails), uris=(*uris, *others), subject=subject)


def _alternative(leaf: x509.Certificate) -> Iterable[x509.GeneralName]:
    """List the alternative names; none where a common name is all there is."""
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()


def _subject(name: x509.Name) -> tuple[Subject, list[str]]:
    """Read a subject, and write down what of it we would never have written."""
    values: dict[str, list[str]] = {attribute: [] for attribute, _ in issue.SUBJECT_ATTRIBUTES}
    others = []
    for one in name:
        if (attribute := _ATTRIBUTES.get(one.oid)) is not None:
            values[attribute].append(str(one.value))
        else:
            others.append(one.rfc4514_string())
    others += [text for single in ("common_name", "serial_number") for text in values[single][1:]]
    return Subject(
        common_name=next(iter(values["common_name"]), ""),
        organizations=tuple(values["organizations"]),
        organizational_units=tuple(values["organizational_units"]),
        countries=tuple(values["countries"]),
        localities=tuple(values["localities"]),
        provinces=tuple(values["provinces"]),
        serial_number=next(iter(values["serial_number"]), ""),
    ), others
