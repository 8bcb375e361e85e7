"""CAs of outside PKIs of every kind that there is, made byte by byte where libraries refuse to make them."""

from __future__ import annotations

import functools
import itertools
import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import PrivateKey
from mutualtls.core.times import Validity
from support.builders import DAY

BEGIN = datetime.now(UTC).replace(microsecond=0) - DAY
"""All is valid now: Go and Java ask their own clock."""
LIFE = Validity(not_before=BEGIN, not_after=BEGIN + 400 * DAY)
SHA256 = hashes.SHA256()
_DIGESTS = {"sha256": SHA256, "sha224": hashes.SHA224(), "sha1": hashes.SHA1()}  # noqa: S303 - CAs of old
_numbers = itertools.count(1)

P256, P384, P521, P224 = ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP224R1()
BRAINPOOL, SECP256K1 = ec.BrainpoolP256R1(), ec.SECP256K1()


@functools.cache
def ec_key(curve: ec.EllipticCurve = P256, number: int = 0) -> ec.EllipticCurvePrivateKey:
    """Make a key once for each curve and number."""
    del number
    return ec.generate_private_key(curve)


@functools.cache
def rsa_key(size: int, number: int = 0, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """Make a key once for each size, number and exponent, or the next that is possible."""
    del number
    if exponent == 65537:
        return rsa.generate_private_key(public_exponent=exponent, key_size=size)
    numbers = rsa_key(size).private_numbers()
    order = (numbers.p - 1) * (numbers.q - 1)
    exponent = next(one for one in itertools.count(exponent, 2) if math.gcd(one, order) == 1)
    d = pow(exponent, -1, order)
    public = rsa.RSAPublicNumbers(e=exponent, n=numbers.public_numbers.n)
    dp, dq = rsa.rsa_crt_dmp1(d, numbers.p), rsa.rsa_crt_dmq1(d, numbers.q)
    whole = rsa.RSAPrivateNumbers(numbers.p, numbers.q, d, dp, dq, numbers.iqmp, public)
    return whole.private_key(unsafe_skip_rsa_key_validation=True)


@functools.cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    """Make an Ed25519 key once."""
    return ed25519.Ed25519PrivateKey.generate()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a certificate of a CA is made; as it ought to be, unless said."""

    key: Any = None
    digest: str = "sha256"
    pss: int | None = None
    """Bytes of salt, where RSA signs by RSASSA-PSS."""
    subject: x509.Name | None = None
    issuer: x509.Name | None = None
    life: Validity = LIFE
    path_length: int | None = None
    is_ca: bool = True
    is_ca_critical: bool = True
    has_usage: bool = True
    key_id: bytes | None = b"\x01"
    """`b"\\x01"`: of the key; None: none."""
    is_key_id_critical: bool = False
    authority_key: bytes | None = b"\x01"
    is_authority_key_critical: bool = False
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    further: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    edit: Callable[[bytes], bytes] | None = None
    """What is done to the bytes that are signed."""
    is_signed_well: bool = True
    outside: str = ""
    """The hash that stands beside the signature, where it is another than the one that is signed."""


def named(text: str) -> x509.Name:
    """A name that is a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def ca(name: str = "Corp", signer: CA | None = None, **kind: Any) -> CA:
    """Make a CA that signs itself, or is signed by another."""
    return _made(name, signer, Kind(**kind))


def _made(name: str, signer: CA | None, kind: Kind) -> CA:
    key = kind.key or ec_key(P256, next(_numbers))
    signing = signer.key if signer is not None else key
    subject = kind.subject if kind.subject is not None else named(name)
    builder = x509.CertificateBuilder(
        issuer_name=kind.issuer or (signer.certificate.subject if signer is not None else subject),
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=0x0102030405060708,
        not_valid_before=kind.life.not_before,
        not_valid_after=kind.life.not_after,
    )
    for value, critical in _extensions(kind, key, signer):
        builder = builder.add_extension(value, critical=critical)
    made = builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else SHA256, rsa_padding=None)
    is_plain = kind == replace(kind, digest="sha256", pss=None, edit=None, is_signed_well=True, outside="")
    certificate = made if is_plain else _signed_anew(made, signing, kind)
    intermediates = (signer.certificate, *signer.intermediates) if signer is not None else ()
    return CA(certificate=certificate, key=key, intermediates=intermediates)


def _extensions(kind: Kind, key: Any, signer: CA | None) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if kind.is_ca:
        found.append((x509.BasicConstraints(ca=True, path_length=kind.path_length), kind.is_ca_critical))
    if kind.has_usage:
        found.append((issue._key_usage("key_cert_sign", "crl_sign"), True))  # noqa: SLF001 - as ours have it
    if kind.key_id is not None:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        identifier = identifier if kind.key_id == b"\x01" else x509.SubjectKeyIdentifier(kind.key_id)
        found.append((identifier, kind.is_key_id_critical))
    if kind.authority_key is not None and (signer is not None or kind.authority_key != b"\x01"):
        found.append((_authority_key(kind, signer), kind.is_authority_key_critical))
    if kind.purposes:
        found.append((x509.ExtendedKeyUsage(kind.purposes), False))
    return [*found, *kind.further]


def _authority_key(kind: Kind, signer: CA | None) -> x509.AuthorityKeyIdentifier:
    identifier = kind.authority_key
    if signer is not None and identifier == b"\x01":
        extensions = signer.certificate.extensions
        try:
            identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except x509.ExtensionNotFound:
            identifier = b"\x02"
    return x509.AuthorityKeyIdentifier(identifier, None, None)


# Bytes

_OIDS: dict[str, dict[type[Any], str]] = {
    "sha256": {rsa.RSAPrivateKey: "2a864886f70d01010b", ec.EllipticCurvePrivateKey: "2a8648ce3d040302"},
    "sha224": {rsa.RSAPrivateKey: "2a864886f70d01010e", ec.EllipticCurvePrivateKey: "2a8648ce3d040301"},
    "sha1": {rsa.RSAPrivateKey: "2a864886f70d010105"},
}


def der(tag: int, *parts: bytes) -> bytes:
    """Write a value of ASN.1."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Put other bytes in the place of some, be they more or fewer, and mend the lengths around them."""

    def edit(content: bytes) -> bytes:
        done, count = _replaced(content, old, new)
        assert count, f"there is no {old.hex()}"
        return done

    return edit


def _replaced(content: bytes, old: bytes, new: bytes) -> tuple[bytes, int]:
    """Replace in values that are made of values; `old` is whole values."""
    parts, count, rest = [], 0, content
    while rest:
        if rest.startswith(old):
            parts.append(new)
            count, rest = count + 1, rest[len(old) :]
            continue
        tag, (head, length) = rest[0], _length(rest)
        value = rest[head : head + length]
        if tag & 0x20:
            value, inner = _replaced(value, old, new)
            count += inner
        parts.append(der(tag, value))
        rest = rest[head + length :]
    return b"".join(parts), count


def _length(content: bytes) -> tuple[int, int]:
    first = content[1]
    if first < 0x80:
        return 2, first
    size = first & 0x7F
    return 2 + size, int.from_bytes(content[2 : 2 + size], "big")


def _signed_anew(made: x509.Certificate, key: Any, kind: Kind) -> x509.Certificate:
    """Sign by another algorithm, or what was edited."""
    tbs = made.tbs_certificate_bytes
    whole = made.public_bytes(serialization.Encoding.DER)
    after = whole[whole.index(tbs) + len(tbs) :]
    head, length = _length(after)
    algorithm = after[: head + length]
    wanted = _algorithm(algorithm, key, kind)
    if wanted != algorithm:
        tbs = replaced(algorithm, wanted)(tbs)
    if kind.edit is not None:
        tbs = kind.edit(tbs)
    signature = _signature(key, tbs, kind) if kind.is_signed_well else b"\x00" * 256
    outside = _algorithm(algorithm, key, replace(kind, digest=kind.outside)) if kind.outside else wanted
    return x509.load_der_x509_certificate(der(0x30, tbs, outside, der(0x03, b"\x00", signature)))


def _algorithm(algorithm: bytes, key: Any, kind: Kind) -> bytes:
    if kind.pss is not None:
        sha = der(0x30, der(0x06, bytes.fromhex("608648016503040201")), der(0x05))
        mask = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010108")), sha)
        salt = der(0x02, bytes([kind.pss]))
        parameters = der(0x30, der(0xA0, sha), der(0xA1, mask), der(0xA2, salt))
        return der(0x30, der(0x06, bytes.fromhex("2a864886f70d01010a")), parameters)
    of = rsa.RSAPrivateKey if isinstance(key, rsa.RSAPrivateKey) else ec.EllipticCurvePrivateKey
    old, new = (bytes.fromhex(_OIDS[name][of]) for name in ("sha256", kind.digest))
    return algorithm.replace(old, new)


def _signature(key: PrivateKey, tbs: bytes, kind: Kind) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = padding.PKCS1v15() if kind.pss is None else padding.PSS(padding.MGF1(SHA256), kind.pss)
        return key.sign(tbs, scheme, _DIGESTS[kind.digest])
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(tbs, ec.ECDSA(_DIGESTS[kind.digest]))


def _public(key: Any, form: serialization.PublicFormat) -> bytes:
    return bytes(key.public_key().public_bytes(serialization.Encoding.X962, form))


def compressed(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    """Write the point of a public key in its short form."""
    forms = (serialization.PublicFormat.UncompressedPoint, serialization.PublicFormat.CompressedPoint)
    old, new = (der(0x03, b"\x00", _public(key, form)) for form in forms)
    return replaced(old, new)


def explicit() -> Callable[[bytes], bytes]:
    """Write the parameters of P-256 in full in the place of its name."""

    def integer(text: str) -> bytes:
        return der(0x02, b"\x00" * (text[0] in "89abcdef") + bytes.fromhex(text))

    prime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
    a, b = prime[:-1] + "c", "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"
    point = (
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
    order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
    field = der(0x30, der(0x06, bytes.fromhex("2a8648ce3d0101")), integer(prime))
    curve = der(0x30, der(0x04, bytes.fromhex(a)), der(0x04, bytes.fromhex(b)))
    whole = der(0x30, der(0x02, b"\x01"), field, curve, der(0x04, bytes.fromhex(point)), integer(order), der(2, b"\1"))
    return replaced(der(0x06, bytes.fromhex("2a8648ce3d030107")), whole)


PSS_ALONE = replaced(
    der(0x30, der(0x06, bytes.fromhex("2a864886f70d010101")), der(0x05)),
    der(0x30, der(0x06, bytes.fromhex("2a864886f70d01010a"))),
)
"""Makes of an RSA key one that is for RSASSA-PSS alone."""


def soon(**kind: Any) -> CA:
    """A root that has ended."""
    life = Validity(not_before=BEGIN - 10 * DAY, not_after=BEGIN + timedelta(hours=1))
    return ca(life=life, **kind)


def pem(content: bytes) -> bytes:
    """Write bytes as a certificate in PEM, whatever they are."""
    return ssl.DER_cert_to_PEM_cert(content).encode()


def leaf(signer: CA, name: str, key: Any, life: Validity) -> x509.Certificate:
    """A leaf of a CA that has no key identifier to name."""
    return (
        x509.CertificateBuilder(signer.certificate.subject, named(name), key, 7)
        .not_valid_before(life.not_before)
        .not_valid_after(life.not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        .sign(signer.key, SHA256)
    )


def files(made: CA) -> dict[str, bytes]:
    """The Secret that brings a CA: its root in ca.crt, all below that in tls.crt."""
    *below, top = (made.certificate, *made.intermediates)
    return {
        "tls.crt": certificates.to_pem(*(below or [top])),
        "tls.key": keys.to_pem(made.key, Encoding.PKCS8),
        "ca.crt": certificates.to_pem(top),
    }


def text(content: str, tag: int) -> Callable[[bytes], bytes]:
    """Write a name as another kind of text."""
    return replaced(der(0x0C, content.encode()), der(tag, content.encode()))


def _uri(content: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(content)])


def _domain(content: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.DNSName(content)], None)


# Roots for people to trust as well


@functools.cache
def roots() -> dict[str, CA]:
    """Roots of every kind, each made once."""
    short = ec_key(P256, 7)
    return {
        "brainpool": ca("B", key=ec_key(BRAINPOOL)),
        "secp256k1": ca("K", key=ec_key(SECP256K1)),
        "critical SKI": ca("S", is_key_id_critical=True),
        "SHA-1": ca("H", key=rsa_key(2048), digest="sha1"),
        "RSA 1024": ca("R", key=rsa_key(1024)),
        "RSASSA-PSS alone": ca("P", key=rsa_key(2048), edit=PSS_ALONE),
        "Ed25519": ca("E", key=ed_key()),
        "P-224": ca("F", key=ec_key(P224)),
        "compressed point": ca("C", key=short, edit=compressed(short)),
        "explicit parameters": ca("X", edit=explicit()),
        "empty name": ca(""),
        "long key id": ca("L", key_id=b"k" * 200),
        "two algorithms": ca("T", outside="sha224"),
        "VisibleString": ca("V_", edit=text("V_", 26)),
        "NumericString": ca("12", edit=text("12", 18)),
        "T61String": ca("T_", edit=text("T_", 20)),
        "URI with an empty label": ca("U", further=((_uri("https://a..b/"), False),)),
        "URI": ca("W", further=((_uri("https://a.b:1/c"), False),)),
        "domain with a dot at its end": ca("D", further=((_domain("svc."), True),)),
    }


NOT_READ_BY_GO = frozenset(
    {
        "brainpool",
        "secp256k1",
        "critical SKI",
        "compressed point",
        "explicit parameters",
        "two algorithms",
        "VisibleString",
        "URI with an empty label",
        "domain with a dot at its end",
    }
)
NOT_READ_BY_JAVA = frozenset({"compressed point", "explicit parameters", "empty name", "two algorithms"})
