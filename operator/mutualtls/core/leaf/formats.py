"""The further files that `spec.formats` asks for: their names, how they are made, and what is recorded of them.

A PKCS#12 file cannot be read without its password, and its salts make it another one at every writing (`cryptography`
draws them). So whether the files are right is told by what is recorded beside the facts: what they were made from, and
a hash of each.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Mapping

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from mutualtls.core import digests
from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.api.identity_spec import FormatsSpec, Profile
from mutualtls.core.leaf.passwords import StorePassword
from mutualtls.core.pki import certificates, keys, verifiers
from mutualtls.core.pki.keys import PrivateKey

TLS_PEM = "tls.pem"
KEY_DER, TLS_DER = "key.der", "tls.der"
KEYSTORE, TRUSTSTORE = "keystore.p12", "truststore.p12"


_PROFILES: dict[Profile, tuple[pkcs12.PBES, hashes.HashAlgorithm]] = {
    Profile.MODERN: (pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256()),
    Profile.LEGACY: (pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1()),  # noqa: S303 - for old readers
}


class ExtraFiles(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is recorded of the further files that we put into a Secret. Nothing in it is secret."""

    inputs_hash: str = msgspec.field(name="madeFrom")
    """`inputs_hash` of what they were made from; empty where they are not there any more as we wrote them."""
    bundle_hash: str = ""
    """Hash of the bundle whose roots the trust store holds; empty where there is none."""
    files: dict[str, str]
    """SHA-256 of each by its name, lower-case hex. Keys and salts in them are such that nobody guesses them so."""

    @property
    def is_intact(self) -> bool:
        """Whether they are there as we wrote them."""
        return self.inputs_hash != ""


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
    opened: StorePassword | None,
) -> dict[str, bytes]:
    """Write the further files. `chain` begins with the leaf; `alias` is the key's name in the key store."""
    files: dict[str, bytes] = {}
    if spec.combined_pem is not None:
        files[TLS_PEM] = keys.to_pem(key, encoding) + certificates.to_pem(*chain)
    if spec.der is not None:
        files[KEY_DER] = keys.to_der(key, encoding)
        files[TLS_DER] = chain[0].public_bytes(serialization.Encoding.DER)
    if spec.pkcs12 is not None and opened is not None:
        encryption = _encryption(spec.pkcs12.profile, opened.password)
        leaf, *intermediates = chain
        files[KEYSTORE] = pkcs12.serialize_key_and_certificates(alias.encode(), key, leaf, intermediates, encryption)
        held = (root for root in x509.load_pem_x509_certificates(ca) if not list(verifiers.unread_by_java(root)))
        roots = [pkcs12.PKCS12Certificate(root, _root_alias(root)) for root in held]
        files[TRUSTSTORE] = pkcs12.serialize_java_truststore(roots, encryption)
    return files


@functools.lru_cache(maxsize=64)
def left_out(ca: bytes) -> tuple[str, ...]:
    """Say for each root of a bundle that no trust store holds why not: one that Java cannot read spoils all of it."""
    found = x509.load_pem_x509_certificates(ca) if ca else []
    return tuple(f"{verifiers.name(one)} {fault}" for one in found for fault in verifiers.unread_by_java(one))


def _encryption(profile: Profile, password: bytes) -> serialization.KeySerializationEncryption:
    scheme, digest = _PROFILES[profile]
    builder = serialization.PrivateFormat.PKCS12.encryption_builder()
    return builder.key_cert_algorithm(scheme).hmac_hash(digest).build(password)


def _root_alias(root: x509.Certificate) -> bytes:
    """Name a root in the trust store. Java keeps one certificate a name."""
    return f"ca-{certificates.fingerprint(root)[:16]}".encode()


# What is recorded


def inputs_hash(spec: FormatsSpec, *, leaf: str, password_version: str) -> str | None:
    """Hash what further files are made from, but for the bundle; None where none are asked for.

    `leaf` is the fingerprint of the certificate, which stands for its key and its chain, too. The password is told by
    the version of its Secret: a hash of it could be tried out.
    """
    if not names(spec):
        return None
    asked = msgspec.to_builtins(spec)
    password = password_version if spec.pkcs12 is not None else ""
    return digests.meaning([asked, leaf, password])


def recorded(
    spec: FormatsSpec, files: Mapping[str, bytes], *, leaf: str, bundle_hash: str, opened: StorePassword | None
) -> ExtraFiles | None:
    """Record what was written; None for nothing."""
    made = inputs_hash(spec, leaf=leaf, password_version=opened.version if opened else "")
    if made is None:
        return None
    return ExtraFiles(
        inputs_hash=made,
        bundle_hash=bundle_hash if TRUSTSTORE in files else "",
        files={name: digests.content_hash(content) for name, content in files.items()},
    )


def found(before: ExtraFiles | None, data: Mapping[str, str]) -> ExtraFiles | None:
    """Compare what is in a Secret, as the API holds it, with what was recorded."""
    if before is None or all(_is(data.get(name), known) for name, known in before.files.items()):
        return before
    return ExtraFiles(inputs_hash="", files=before.files)


def _is(content: str | None, known: str) -> bool:
    try:
        return content is not None and known == digests.content_hash(base64.b64decode(content, validate=True))
    except binascii.Error:
        return False
