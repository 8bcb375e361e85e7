"""CAs of an outside PKI, made once for all tests."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.api.authority import Authority
from mutualtls.core.ca import source
from mutualtls.core.ca.source import Source
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.rotation.steps import Hold, Sign
from mutualtls.core.times import Validity
from support.builders import DAY, NOW, P256, Home, authority, key

LIFE = Validity(not_before=NOW - DAY, not_after=NOW + 400 * DAY)


SOON = Validity(not_before=LIFE.not_before, not_after=LIFE.not_after - DAY)


def outside_root(name: str = "Corp", kind: KeyType = P256) -> CA:
    """A root, made once for each name."""
    return _outside_root(name, kind)


@functools.cache
def _outside_root(name: str, kind: KeyType) -> CA:
    made = key(kind, 1000 + sum(name.encode()))
    return CA(certificate=issue.root(made, common_name=name, unique=name, validity=LIFE), key=made)


def outside_intermediate(name: str = "Team", root: str = "Corp") -> CA:
    """An intermediate under a root, made once for each name."""
    return _outside_intermediate(name, root)


@functools.cache
def _outside_intermediate(name: str, root: str) -> CA:
    made = key(P256, 2000 + sum(name.encode()))
    certificate = issue.issuing(made.public_key(), outside_root(root), common_name=name, unique=name, validity=LIFE)
    return CA(certificate=certificate, key=made)


def files(ca: CA, *above: CA, roots: tuple[CA, ...] = ()) -> dict[str, bytes]:
    """The Secret that brings a CA."""
    return {
        "tls.crt": certificates.to_pem(ca.certificate, *(one.certificate for one in above)),
        "tls.key": keys.to_pem(ca.key, Encoding.PKCS8),
        "ca.crt": certificates.to_pem(*(one.certificate for one in roots)),
    }


def of_root(name: str = "Corp") -> Source:
    """A source that is a root."""
    return Source(root=outside_root(name).certificate, signer=outside_root(name))


def of_intermediate(name: str = "Team", root: str = "Corp") -> Source:
    """A source that is an intermediate."""
    above = outside_root(root).certificate
    return Source(root=above, signer=replace(outside_intermediate(name, root), root=above))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a certificate of a CA is made."""

    name: str = "P"
    is_ca: bool = True
    path_length: int | None = 1
    usage: bool = True
    key_id: bool = True
    life: Validity = LIFE
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    number: int = 1
    """Which key it has."""
    serial: int | None = None
    padding: int = 0
    """Bytes in an extension that nobody reads."""


def plain(signer: CA | None = None, **shape: Any) -> CA:
    """A CA that is signed by itself or by another, and may lack something."""
    return made_as(Shape(**shape), signer)


def made_as(shape: Shape, signer: CA | None) -> CA:
    """Make a certificate as tools other than ours do."""
    made, name = key(P256, 3000 + sum(shape.name.encode()) + shape.number), _common_name(shape.name)
    builder = x509.CertificateBuilder(
        issuer_name=signer.certificate.subject if signer else name,
        subject_name=name,
        public_key=made.public_key(),
        serial_number=shape.serial or x509.random_serial_number(),
        not_valid_before=shape.life.not_before,
        not_valid_after=shape.life.not_after,
    )
    length = shape.path_length if shape.is_ca else None
    builder = builder.add_extension(x509.BasicConstraints(ca=shape.is_ca, path_length=length), critical=True)
    if shape.usage:
        bits = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **bits), critical=True)
    if signer is not None:
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
        builder = builder.add_extension(above, critical=False)
    if shape.key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(made.public_key()), critical=False)
    if shape.padding:
        unread = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(shape.padding))
        builder = builder.add_extension(unread, critical=False)
    if shape.purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(shape.purposes), critical=False)
    return CA(certificate=builder.sign(signer.key if signer else made, hashes.SHA256()), key=made)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tall:
    """A root, an intermediate under it, and one under that, whose key is here."""

    root: CA
    upper: CA
    lower: CA

    def source(self) -> Source:
        """Read it, as it lies in its Secret."""
        return source.parse(files(self.lower, self.upper, roots=(self.root,)), is_tiered=True, now=NOW)


@functools.cache
def tall(name: str = "Tall") -> Tall:
    """An outside PKI of three tiers, made once for each name."""
    root = plain(name=name, path_length=None)
    upper = plain(root, name=f"{name} upper")
    return Tall(root=root, upper=upper, lower=plain(upper, name=f"{name} lower", path_length=0))


@dataclass(slots=True, kw_only=True)
class Outside:
    """An authority whose CA is an outside one."""

    home: Home
    of: Authority
    now: datetime = NOW

    def walk(self, after: timedelta = timedelta()) -> Sign | Hold:
        """Take steps some time later."""
        self.now += after
        return self.home.walk(self.of, now=self.now)


def outside(first: Source | None, **spec: Any) -> Outside:
    """Begin with a CA of an outside PKI."""
    home = Home(source=first)
    made = Outside(home=home, of=authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp", **spec))
    made.walk()
    return made
