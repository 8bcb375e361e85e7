"""CAs of an outside PKI, as tools other than ours make them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideCA:
    """A CA and those above it, nearest first."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def fingerprint(self) -> str:
        """As the status prints it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def files(self) -> dict[str, bytes]:
        """Write what `root.secretRef` takes: the root in ca.crt, all below it in tls.crt."""
        chain = (self.certificate, *self.above)
        encoding = serialization.Encoding.PEM
        key = self.key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        below = b"".join(one.public_bytes(encoding) for one in chain[: max(len(chain) - 1, 1)])
        return {"tls.crt": below, "tls.key": key, "ca.crt": chain[-1].public_bytes(encoding)}


def make(name: str, *, signer: OutsideCA | None = None, life: datetime.timedelta | None = None) -> OutsideCA:
    """Make a root, or an intermediate under `signer`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    issuer_key = signer.key if signer else key
    certificate = (
        x509.CertificateBuilder(
            subject_name=subject,
            issuer_name=signer.certificate.subject if signer else subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(minutes=5),
            not_valid_after=now + (life or datetime.timedelta(days=3650)),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return OutsideCA(certificate=certificate, key=key, above=(signer.certificate, *signer.above) if signer else ())
