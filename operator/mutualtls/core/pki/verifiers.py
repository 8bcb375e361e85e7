"""What common verifiers refuse in the certificate of a CA, read from the certificate alone.

They are OpenSSL at security level 2, Python (which has OpenSSL be strict since 3.13), Go and Java. A CA that one of
them refuses is not taken in, as its leaves would be good for some peers and not for others. The tests have these very
verifiers judge a leaf of each kind of CA. What the API server takes in a ClusterTrustBundle is what Go can read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, PublicKeyAlgorithmOID, SignatureAlgorithmOID

from mutualtls.core.names import names
from mutualtls.core.pki import certificates, name_constraints
from mutualtls.core.pki.certificates import UNREADABLE

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_CURVES_OF_GO = _CURVES | {"secp224r1"}
_SMALLEST_RSA, _LARGEST_RSA = 2048, 8192
_LARGEST_EXPONENT = 2**31 - 1
_DIGESTS = ("sha256", "sha384", "sha512")
_NEVER_CRITICAL = frozenset(
    {
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)
_KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""Extensions that every verifier knows: of others, none may be critical."""
_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)
NO_CA = -1
"""What `path_length` tells of a certificate that is none of a CA."""


def name(certificate: x509.Certificate) -> str:
    """Name a CA for people: by its subject, or where that says nothing by its fingerprint."""
    unnamed = f"the certificate {certificates.fingerprint(certificate)[:16]}"
    try:
        return names.shown(certificate.subject.rfc4514_string()) or unnamed
    except UNREADABLE:
        return unnamed


def path_length(certificate: x509.Certificate) -> int | None:
    """Read how many CAs may stand below one; None for any number, `NO_CA` where it is none itself."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return NO_CA
    return found.path_length if found.ca else NO_CA


def is_ca(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is one of a CA. One that cannot be read is none."""
    try:
        return path_length(certificate) != NO_CA
    except UNREADABLE:
        return False


def key_id(certificate: x509.Certificate) -> str | None:
    """Read the subject key identifier of a CA; None where there is none."""
    try:
        return certificates.key_id(certificate) or None
    except x509.ExtensionNotFound:
        return None


# Of a CA


def faults(certificate: x509.Certificate) -> list[str]:
    """List why one of the verifiers refuses what stands under a CA, whoever has signed it and whenever."""
    who = name(certificate)
    return [f"{who} {fault}" for fault in (*_of_kind(certificate), *_of_key(certificate), *unread_by_go(certificate))]


def _of_kind(certificate: x509.Certificate) -> Iterator[str]:
    """Find what is no CA to everybody (RFC 5280 sections 4.1.2 and 4.2.1)."""
    extensions = certificate.extensions
    if path_length(certificate) == NO_CA:
        yield "is no CA (basicConstraints)"
    elif not extensions.get_extension_for_class(x509.BasicConstraints).critical:
        yield "has basicConstraints that are not critical, which Python refuses"
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
            yield "may not sign certificates (keyUsage)"
    except x509.ExtensionNotFound:
        yield "has no keyUsage"
    if key_id(certificate) is None:
        yield "has no subjectKeyIdentifier"
    if not list(certificate.subject):
        yield "has an empty subject"
    yield from (f"allows no {usage} below it (extendedKeyUsage)" for usage in _usages_denied(extensions))
    yield from serial_faults(certificate)
    yield from _unknown(extensions)


def _usages_denied(extensions: x509.Extensions) -> list[str]:
    """List for what leaves under a CA cannot be used. OpenSSL wants each usage by name; any usage is none to it."""
    try:
        allowed = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []
    needed = {"server auth": ExtendedKeyUsageOID.SERVER_AUTH, "client auth": ExtendedKeyUsageOID.CLIENT_AUTH}
    return [usage for usage, oid in needed.items() if oid not in allowed]


def serial_faults(certificate: x509.Certificate) -> list[str]:
    """Refuse what others refuse to read, as Go does negative numbers (RFC 5280 section 4.1.2.2)."""
    return ["has a serial number that is not positive"] if certificate.serial_number <= 0 else []


def _unknown(extensions: x509.Extensions) -> Iterator[str]:
    """Find what must be understood and is not by everybody."""
    for one in extensions:
        if one.critical and one.oid not in _KNOWN | _NEVER_CRITICAL:
            yield f"has a critical extension that not every verifier knows: {one.oid.dotted_string}"
        if isinstance(one.value, x509.NameConstraints) and (kinds := name_constraints.kinds_unknown(one.value)):
            yield f"constrains names of a kind that Go does not know, and refuses: {', '.join(kinds)}"
        if isinstance(one.value, x509.NameConstraints) and name_constraints.permits_empty(one.value):
            yield "permits names by an empty domain, at which Java fails: leave that kind of name out"
        if isinstance(one.value, x509.PolicyConstraints) and one.value.require_explicit_policy is not None:
            yield "requires policies of what is below it, and no certificate of ours has any (policyConstraints)"


def _of_key(certificate: x509.Certificate) -> Iterator[str]:
    key = certificate.public_key()
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        yield "has an RSA key for RSASSA-PSS alone, by which Go verifies nothing: make one for RSA (rsaEncryption)"
    elif isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SMALLEST_RSA:
            yield f"has an RSA key of {key.key_size} bits, and OpenSSL at security level 2 takes none below 2048"
        if key.key_size > _LARGEST_RSA:
            yield f"has an RSA key of {key.key_size} bits, and Go takes none above {_LARGEST_RSA} in a handshake"
        exponent = key.public_numbers().e
        if not 1 < exponent <= _LARGEST_EXPONENT or exponent % 2 == 0:
            yield "has an RSA key with an exponent that Go refuses: use 65537"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES_OF_GO - _CURVES:
            yield f"has a key on the curve {key.curve.name}, which Java refuses: use P-256, P-384 or P-521"
    else:
        yield "has a key that is neither ECDSA nor RSA, which not every verifier knows"


def unread_by_go(certificate: x509.Certificate) -> Iterator[str]:
    """Find why Go cannot read a certificate at all, nor the API server hold it in a ClusterTrustBundle."""
    for one in certificate.extensions:
        if one.critical and one.oid in _NEVER_CRITICAL:
            yield f"has a critical {one.oid._name}, which Go does not read"  # noqa: SLF001 - the only name there is
        if isinstance(one.value, x509.NameConstraints) and (unread := name_constraints.unread_by_go(one.value)):
            yield f"has name constraints that Go does not read: {', '.join(map(names.shown, unread))}"
    if unread_text := next((one for one in _texts(certificate) if not _is_read_by_go(one)), None):
        yield f"has a name in a kind of text that Go does not read: {names.shown(str(unread_text.value))}"
    if uri := next((one for one in _uris(certificate) if not name_constraints.is_read_by_go(one)), None):
        yield f"has a URI that Go does not read: {names.shown(uri)}"
    if not _names_one_algorithm(certificate):
        yield "names one algorithm of its signature within what is signed, and another outside"
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES_OF_GO:
        yield f"has a key on the curve {key.curve.name}, which Go does not know: use P-256, P-384 or P-521"
    elif isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        is_rsa_pss = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
        if not is_rsa_pss and not _has_plain_key(certificate):
            yield "has its key in a form that Go does not read, as with explicit parameters or a compressed point"


_TEXTS_OF_GO = frozenset({12, 19, 20, 22, 30})
"""Tags of UTF8String, PrintableString, T61String, IA5String and BMPString."""
_NUMERIC_STRING = 18


def _texts(certificate: x509.Certificate) -> list[x509.NameAttribute[Any]]:
    return [*certificate.subject, *certificate.issuer]


def _is_read_by_go(text: x509.NameAttribute[Any]) -> bool:
    tag = text._type.value  # noqa: SLF001 - the only place where it stands
    is_number = tag == _NUMERIC_STRING and not set(str(text.value)) - set("0123456789 ")
    return tag in _TEXTS_OF_GO or is_number


def _uris(certificate: x509.Certificate) -> list[str]:
    """List the URIs by which a CA is named, which few are."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return alternative.get_values_for_type(x509.UniformResourceIdentifier)


def unread_by_java(certificate: x509.Certificate) -> Iterator[str]:
    """Find why Java cannot read a certificate at all, nor any store that holds it."""
    if not list(certificate.issuer):
        yield "has an empty issuer, and Java does not read a store that holds it"
    if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey) and not _has_plain_key(certificate):
        yield "has its key in a form for which Java does not read a store that holds it"
    if not _names_one_algorithm(certificate):
        yield "names two algorithms of its signature, and Java does not read a store that holds it"


def _names_one_algorithm(certificate: x509.Certificate) -> bool:
    """Tell whether the algorithm of the signature, which stands in a certificate twice, is the same."""
    whole, signed = certificate.public_bytes(serialization.Encoding.DER), certificate.tbs_certificate_bytes
    after = whole[whole.index(signed) + len(signed) :]
    return after[: 2 + after[1]] in signed  # what is longer than 127 bytes is the algorithm of no CA


def _has_plain_key(certificate: x509.Certificate) -> bool:
    """Tell whether a key stands in a certificate as everybody writes it: a curve by name, a point in full."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    plain = certificate.public_key().public_bytes(serialization.Encoding.DER, form)
    return plain in certificate.tbs_certificate_bytes


# Of a signature


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a CA has signed a certificate, be it with a hash that nobody takes any more."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except UNREADABLE:  # such as a hash that `cryptography` verifies in no certificate
        is_named = certificate.issuer.public_bytes() == issuer.subject.public_bytes()
        return is_named and _verifies(certificate, issuer)
    return True


def _verifies(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Verify a signature by the key alone."""
    key, signature, signed = issuer.public_key(), certificate.signature, certificate.tbs_certificate_bytes
    try:
        digest, scheme = certificate.signature_hash_algorithm, certificate.signature_algorithm_parameters
        if digest is None:
            return False
        if isinstance(key, rsa.RSAPublicKey) and isinstance(scheme, padding.PKCS1v15 | padding.PSS):
            key.verify(signature, signed, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(scheme, ec.ECDSA):
            key.verify(signature, signed, scheme)
        else:
            return False
    except UNREADABLE:
        return False
    return True


def signature_faults(certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[str]:
    """Find why a verifier refuses that one CA has signed another. A root's own signature does not matter to any."""
    who = name(certificate)
    oid = certificate.signature_algorithm_oid
    if oid == SignatureAlgorithmOID.RSASSA_PSS and not _is_plain_pss(certificate):
        yield f"{who} is signed by RSASSA-PSS with parameters that Go refuses: the salt must be as long as the hash"
    elif oid not in _SIGNATURES | {SignatureAlgorithmOID.RSASSA_PSS}:
        digest = _digest(certificate) or oid._name  # noqa: SLF001 - the only name there is
        yield f"{who} is signed with {digest}, which not every verifier takes: have it signed with SHA-256"
    if (found := _authority_key(certificate)) is None or found.key_identifier is None:
        yield f"{who} has no authorityKeyIdentifier, without which Python refuses it"
    elif not is_named_by(found, issuer):
        yield f"{who} has an authorityKeyIdentifier that is not of {name(issuer)}, so that OpenSSL does not find that"


def is_root(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is a root to everybody: its issuer is itself, whatever its signature is.

    One that was signed by another CA of the same name says so by its authorityKeyIdentifier.
    """
    if certificate.subject.public_bytes() != certificate.issuer.public_bytes():
        return False
    found = _authority_key(certificate)
    return found is None or is_named_by(found, certificate)


def is_named_by(found: x509.AuthorityKeyIdentifier, issuer: x509.Certificate) -> bool:
    """Tell whether an authority key identifier fits a CA, as OpenSSL does: what both say must be the same."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        own = None
    if own is not None and found.key_identifier is not None and found.key_identifier != own:
        return False
    serial, above = found.authority_cert_serial_number, found.authority_cert_issuer or ()
    directories = [one.value for one in above if isinstance(one, x509.DirectoryName)]
    return serial in {None, issuer.serial_number} and (not directories or issuer.issuer in directories)


def _authority_key(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None


def _digest(certificate: x509.Certificate) -> str:
    """Name the hash of a signature as people do: SHA-1."""
    try:
        found = certificate.signature_hash_algorithm
    except UNREADABLE:
        return ""
    return found.name.upper().replace("SHA", "SHA-", 1) if found is not None and found.name.startswith("sha") else ""


def _is_plain_pss(certificate: x509.Certificate) -> bool:
    found, digest = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    if not isinstance(found, padding.PSS) or digest is None or digest.name not in _DIGESTS:
        return False
    return found._salt_length == digest.digest_size and found.mgf._algorithm.name == digest.name  # noqa: SLF001
