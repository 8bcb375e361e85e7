"""Build certificates: roots, issuing CAs and leaves, to RFC 5280. With `keys`, the only place that draws entropy."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mutualtls.core.api.algorithms import Usage
from mutualtls.core.api.status import LONGEST_KEY_ID
from mutualtls.core.names.names import Names, Subject
from mutualtls.core.pki.keys import PrivateKey, PublicKey
from mutualtls.core.times import Validity

_USAGES = {Usage.SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH, Usage.CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH}
_END_ENTITY = x509.BasicConstraints(ca=False, path_length=None)
_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True, kw_only=True)
class CA:
    """A CA that can sign: its certificate and its private key, which no repr shows.

    What every leaf asks of its certificate is worked out once.
    """

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    intermediates: tuple[x509.Certificate, ...] = ()
    """Intermediates between it and its root, where it is an outside one."""
    root: x509.Certificate | None = None
    """Its root, where that has no Secret of its own as its key never enters the cluster. Not read back from Secrets."""

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate's DER, lower-case hex."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @functools.cached_property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What follows its leaves in tls.crt: itself, unless it is a root, and the intermediates above it."""
        is_root = self.certificate.subject == self.certificate.issuer
        return () if is_root else (self.certificate, *self.intermediates)

    @functools.cached_property
    def chain_pem(self) -> bytes:
        """Its chain as PEM, one certificate after the other."""
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.chain)

    @property
    def validity(self) -> Validity:
        """Validity of its certificate, up to the first end of an intermediate above it."""
        end = min(one.not_valid_after_utc for one in (self.certificate, *self.intermediates))
        return Validity(not_before=self.certificate.not_valid_before_utc, not_after=end)


def root(key: PrivateKey, *, common_name: str, unique: str, validity: Validity) -> x509.Certificate:
    """Sign a root with its own key. One issuing CA may stand between it and the leaves.

    `unique` goes into the subject (serialNumber attribute), so that no two CAs ever share a subject.
    """
    subject = _ca_subject(common_name, unique)
    builder = _ca_builder(key.public_key(), subject=subject, issuer=subject, validity=validity, path_length=1)
    return builder.sign(key, _digest(key))


def issuing(
    public_key: PublicKey,
    parent: CA,
    *,
    common_name: str,
    unique: str,
    validity: Validity,
    constraints: x509.NameConstraints | None = None,
) -> x509.Certificate:
    """Sign the certificate of an issuing CA, under which only leaves may stand.

    `constraints` on names are critical (RFC 5280 §4.2.1.10), so that no verifier passes over them.
    """
    builder = _ca_builder(
        public_key,
        subject=_ca_subject(common_name, unique),
        issuer=parent.certificate.subject,
        validity=validity,
        path_length=0,
    ).add_extension(_authority_key_identifier(parent.certificate), critical=False)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(parent.key, _digest(parent.key))


def leaf(
    public_key: PublicKey, ca: CA, *, names: Names, usages: tuple[Usage, ...], validity: Validity
) -> x509.Certificate:
    """Sign a leaf. Its SAN is critical where its subject is empty, and only there (RFC 5280 §4.2.1.6).

    Nothing is checked: that the names may be held and the validity lies within the CA's is the caller's business.
    """
    extensions = [
        _extension(_END_ENTITY, critical=True),
        _extension(_leaf_key_usage(is_rsa=isinstance(public_key, rsa.RSAPublicKey)), critical=True),
        _extension(_extended_key_usage(usages), critical=False),
        _extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False),
        _extension(_authority_key_identifier(ca.certificate), critical=False),
    ]
    if names.alternative:
        extensions.append(_extension(_alternative(names), critical=names.subject.is_empty))
    subject, issuer = _leaf_subject(names.subject), ca.certificate.subject
    # All at once: each call of `add_extension` copies those before.
    builder = _builder(public_key, subject=subject, issuer=issuer, validity=validity, extensions=extensions)
    return builder.sign(ca.key, _digest(ca.key))


def _extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


SUBJECT_ATTRIBUTES = (
    ("countries", NameOID.COUNTRY_NAME),
    ("provinces", NameOID.STATE_OR_PROVINCE_NAME),
    ("localities", NameOID.LOCALITY_NAME),
    ("organizations", NameOID.ORGANIZATION_NAME),
    ("organizational_units", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("common_name", NameOID.COMMON_NAME),
    ("serial_number", NameOID.SERIAL_NUMBER),
)
"""The attributes of a leaf's subject by their names in `Subject`, from the wide to the narrow, as they are written."""


def _leaf_subject(subject: Subject) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(oid, value)
            for attribute, oid in SUBJECT_ATTRIBUTES
            for value in _values(getattr(subject, attribute))
        ]
    )


def _values(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """List the values of an attribute, of which some have one at most."""
    if isinstance(value, tuple):
        return value
    return (value,) if value else ()


def _alternative(names: Names) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            *map(x509.DNSName, names.dns),
            *map(x509.IPAddress, map(ipaddress.ip_address, names.ips)),
            *map(x509.RFC822Name, names.emails),
            *map(x509.UniformResourceIdentifier, names.uris),
        ]
    )


def written_key_id(identifier: bytes) -> str:
    """Write a key identifier in lower-case hex. Of one that a status could not hold it is the SHA-256."""
    text = identifier.hex()
    return text if len(text) <= LONGEST_KEY_ID else hashlib.sha256(identifier).hexdigest()


def _builder(
    public_key: PublicKey,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    validity: Validity,
    extensions: Iterable[x509.Extension[x509.ExtensionType]] = (),
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=public_key,
        serial_number=x509.random_serial_number(),
        not_valid_before=validity.not_before,
        not_valid_after=validity.not_after,
        extensions=list(extensions),
    )


def _ca_builder(
    public_key: PublicKey, *, subject: x509.Name, issuer: x509.Name, validity: Validity, path_length: int
) -> x509.CertificateBuilder:
    return (
        _builder(public_key, subject=subject, issuer=issuer, validity=validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _ca_subject(common_name: str, unique: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_LONGEST_COMMON_NAME]),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, unique),
        ]
    )


@functools.lru_cache(maxsize=32)
def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


@functools.cache
def _extended_key_usage(usages: tuple[Usage, ...]) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([_USAGES[usage] for usage in usages])


@functools.cache
def _leaf_key_usage(*, is_rsa: bool) -> x509.KeyUsage:
    """Key usage by key type: RSA key transport (TLS 1.2) is encipherment, all else is signing."""
    return _key_usage("digital_signature", "key_encipherment") if is_rsa else _key_usage("digital_signature")


def _key_usage(*bits: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in names})


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Choose the hash that is as strong as the key; Ed25519 brings its own."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        match key.key_size:
            case 256:
                return hashes.SHA256()
            case 384:
                return hashes.SHA384()
            case _:
                return hashes.SHA512()
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None
