"""The further files that `spec.formats` asks for: their names, how they are made, and what is recorded of them.

A PKCS#12 file cannot be read without its password, and its salts make it another one at every writing (`cryptography`
draws them). So whether the files are right is told by what is recorded beside the facts: what they were made from, and
a hash of each.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from mutualtls.core import issue, keys, labels
from mutualtls.core.identity import Encoding, FormatsSpec, Profile
from mutualtls.core.keys import PrivateKey

TLS_PEM = "tls.pem"
KEY_DER, TLS_DER = "key.der", "tls.der"
KEYSTORE, TRUSTSTORE = "keystore.p12", "truststore.p12"

PASSWORD_FIELD = "spec.formats.pkcs12.passwordSecretRef"
LONGEST_PASSWORD = 1024
"""In bytes. Keys are derived from a password by hashing it thousands of times."""

_PROFILES: dict[Profile, tuple[pkcs12.PBES, hashes.HashAlgorithm]] = {
    Profile.MODERN: (pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256()),
    Profile.LEGACY: (pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1()),  # noqa: S303 - for old readers
}


class Further(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is recorded of the further files that we put into a Secret. Nothing in it is secret."""

    made_from: str
    """`made_from` of what they were made from; empty where they are not there any more as we wrote them."""
    bundle_hash: str = ""
    """Hash of the bundle whose roots the trust store holds; empty where there is none."""
    files: dict[str, str]
    """SHA-256 of each by its name, lower-case hex. Keys and salts in them are such that nobody guesses them so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """What is known of the password of an identity's stores, without it."""

    version: str
    """Of the Secret that holds it, another after every change of that; empty where there is none."""
    fault: str | None = None
    """Why it cannot be used, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The password itself, for as long as stores are written. No repr shows it."""

    version: str
    password: bytes = field(repr=False)


def names(spec: FormatsSpec) -> tuple[str, ...]:
    """Name the further files."""
    asked = (
        (spec.combined_pem, (TLS_PEM,)),
        (spec.der, (KEY_DER, TLS_DER)),
        (spec.pkcs12, (KEYSTORE, TRUSTSTORE)),
    )
    return tuple(name for of, files in asked if of is not None for name in files)


def write(
    spec: FormatsSpec,
    key: PrivateKey,
    *,
    encoding: Encoding,
    chain: list[x509.Certificate],
    ca: bytes,
    alias: str,
    opened: Opened | None,
) -> dict[str, bytes]:
    """Write the further files. `chain` begins with the leaf; `alias` is the key's name in the key store."""
    files: dict[str, bytes] = {}
    if spec.combined_pem is not None:
        files[TLS_PEM] = keys.to_pem(key, encoding) + issue.to_pem(*chain)
    if spec.der is not None:
        files[KEY_DER] = keys.to_der(key, encoding)
        files[TLS_DER] = chain[0].public_bytes(serialization.Encoding.DER)
    if spec.pkcs12 is not None and opened is not None:
        encryption = _encryption(spec.pkcs12.profile, opened.password)
        leaf, *intermediates = chain
        files[KEYSTORE] = pkcs12.serialize_key_and_certificates(alias.encode(), key, leaf, intermediates, encryption)
        roots = [pkcs12.PKCS12Certificate(root, _root_alias(root)) for root in x509.load_pem_x509_certificates(ca)]
        files[TRUSTSTORE] = pkcs12.serialize_java_truststore(roots, encryption)
    return files


def _encryption(profile: Profile, password: bytes) -> serialization.KeySerializationEncryption:
    scheme, digest = _PROFILES[profile]
    builder = serialization.PrivateFormat.PKCS12.encryption_builder()
    return builder.key_cert_algorithm(scheme).hmac_hash(digest).build(password)


def _root_alias(root: x509.Certificate) -> bytes:
    """Name a root in the trust store. Java keeps one certificate a name."""
    return f"ca-{root.fingerprint(hashes.SHA256()).hex()[:16]}".encode()


# What is recorded


def made_from(spec: FormatsSpec, *, leaf: str, password_version: str) -> str | None:
    """Hash what further files are made from, but for the bundle; None where none are asked for.

    `leaf` is the fingerprint of the certificate, which stands for its key and its chain, too. The password is told by
    the version of its Secret: a hash of it could be tried out.
    """
    if not names(spec):
        return None
    asked = msgspec.to_builtins(spec)
    password = password_version if spec.pkcs12 is not None else ""
    encoded = msgspec.json.encode([asked, leaf, password], order="deterministic")
    return f"v1:{hashlib.sha256(encoded).hexdigest()[:32]}"


def recorded(
    spec: FormatsSpec, files: Mapping[str, bytes], *, leaf: str, bundle_hash: str, opened: Opened | None
) -> Further | None:
    """Record what was written; None for nothing."""
    made = made_from(spec, leaf=leaf, password_version=opened.version if opened else "")
    if made is None:
        return None
    return Further(
        made_from=made,
        bundle_hash=bundle_hash if TRUSTSTORE in files else "",
        files={name: _hash(content) for name, content in files.items()},
    )


def found(before: Further | None, data: Mapping[str, str]) -> Further | None:
    """Compare what is in a Secret, as the API holds it, with what was recorded."""
    if before is None or all(_is(data.get(name), known) for name, known in before.files.items()):
        return before
    return Further(made_from="", files=before.files)


def _is(content: str | None, known: str) -> bool:
    try:
        return content is not None and known == _hash(base64.b64decode(content, validate=True))
    except binascii.Error:
        return False


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# The password


def why_no_password(name: str) -> str:
    """Say that there is no Secret with a password, and what to do."""
    return (
        f"there is no secret {name} with the label {labels.PART}={labels.PART_PASSWORD}: create it, or add the label, "
        "by which its owner lets it be used"
    )


def is_password(metadata: Mapping[str, Any]) -> bool:
    """Tell by its label whether a Secret may be used as a password."""
    return (metadata.get("labels") or {}).get(labels.PART) == labels.PART_PASSWORD


def password_in(body: Mapping[str, Any], *, key: str) -> bytes:
    """Take the password out of its Secret, as JSON of the API server.

    Raises:
        ValueError: it cannot be used. The text says what to do, and holds nothing of it.
    """
    name = body["metadata"]["name"]
    if not is_password(body["metadata"]):
        raise ValueError(why_no_password(name))
    data = body.get("data") or {}
    try:
        password = base64.b64decode(data.get(key) or "", validate=True)
        text = password.decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"key {key} of secret {name} is not text in UTF-8: put another password there") from None
    if not password:
        raise ValueError(f"secret {name} has no key {key}, or nothing under it: put the password there")
    if len(password) > LONGEST_PASSWORD:
        raise ValueError(f"key {key} of secret {name} is longer than {LONGEST_PASSWORD} bytes: put a shorter one there")
    if any(ord(character) < ord(" ") or ord(character) == 0x7F for character in text):  # noqa: PLR2004 - DEL
        raise ValueError(
            f"key {key} of secret {name} holds a line break or another control character, which no reader would be "
            "given: write it without (printf, not echo)"
        )
    return password
