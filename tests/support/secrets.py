"""Bodies of Secrets with good files and with others, and what is read from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import ExtendedKeyUsageOID

from mutualtls.core.leaf import facts
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.names.names import Names
from support.builders import (
    DAY,
    NOW,
    OTHER,
    P256,
    an_identity,
    default_signer,
    encoded,
    key,
    merged,
    observed,
    secret_of,
)

NAMES = Names(dns=("orders.shop.svc",), uris=("spiffe://cluster.local/ns/shop/sa/orders",))
FACTS: dict[str, Any] = {
    "serialNumber": "1",
    "fingerprint": "1",
    "publicKeyHash": "1",
    "issuerKeyId": "1",
    "chainHash": "1",
    "notBefore": "2026-01-01T00:00:00Z",
    "notAfter": "2027-01-01T00:00:00Z",
    "namesHash": "1",
    "usages": ["server auth"],
    "algorithm": "ECDSA",
    "size": 256,
    "encoding": "PKCS8",
    "bundleHash": "1",
}
"""What is noted of the files of a Secret, of no certificate in particular."""


def good(**spec: Any) -> dict[str, Any]:
    """A Secret as a first issuance makes it."""
    return secret_of(observed(an_identity(**spec)))


def with_files(body: dict[str, Any], **files: bytes) -> dict[str, Any]:
    """Change data of a Secret; `tls_key` stands for `tls.key`."""
    return merged(body, {"data": encoded(**{name.replace("_", "."): content for name, content in files.items()})})


def signed(
    names: list[x509.GeneralName] | None = None,
    *,
    public_key: ec.EllipticCurvePublicKey | ed448.Ed448PublicKey | None = None,
    authority_key: bool = True,
    usages: bool = True,
    subject: Sequence[tuple[x509.ObjectIdentifier, str]] = (),
) -> x509.Certificate:
    """Sign a leaf that lacks something, with the CA of the authority `default`."""
    ca = default_signer().issuing
    own = key(P256).public_key()
    if not isinstance(own, ec.EllipticCurvePublicKey):
        raise TypeError("P-256 is on an elliptic curve")
    builder = x509.CertificateBuilder(
        subject_name=x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]),
        issuer_name=ca.certificate.subject,
        public_key=public_key or own,
        serial_number=7,
        not_valid_before=NOW,
        not_valid_after=NOW + DAY,
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    if authority_key:
        identifier = x509.SubjectKeyIdentifier.from_public_key(ca.certificate.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        builder = builder.add_extension(issuer, critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(ca.key, hashes.SHA256())


def facts_of(body: dict[str, Any]) -> Facts:
    """Read a Secret that can be used."""
    found = facts.read(body)
    if not isinstance(found, Facts):
        raise TypeError(f"damaged: {found}")
    return found


def entry(fields: dict[str, Any], *, manager: str = "kubectl-edit", operation: str = "Update") -> dict[str, Any]:
    """An entry of `managedFields`."""
    return {**OTHER, "manager": manager, "operation": operation, "fieldsV1": fields}
