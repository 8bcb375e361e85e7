"""Independent verifiers accept the chains of every kind of key, and refuse what they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification

from mutualtls.core import times
from mutualtls.core.names.names import Names
from mutualtls.core.pki import certificates, issue
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType
from support.builders import DAY, NOW, P256, P384, RSA, SECOND, Signer, default_signer, key, other_signer, signer_of
from support.leaves import BOTH, DNS, NAMES, SPIFFE, SUBJECT, each_ca_key, each_key, leaf

OPENSSL = shutil.which("openssl")


@pytest.mark.parametrize("kind", [pytest.param(kind, id=str(kind)) for kind in (P256, P384, RSA)])
def test_cryptography_verifies_server_and_client(kind: KeyType) -> None:
    """Its verifier follows the rules of the Web PKI, which are stricter than RFC 5280."""
    by, certificate = default_signer(), leaf(kind)
    builder = verification.PolicyBuilder().store(verification.Store([by.root.certificate])).time(NOW)
    chain = builder.build_server_verifier(x509.DNSName(DNS)).verify(certificate, [by.issuing.certificate])
    client = builder.build_client_verifier().verify(certificate, [by.issuing.certificate])

    assert [certificate, by.issuing.certificate, by.root.certificate] == chain
    assert client.subjects is not None
    assert x509.UniformResourceIdentifier(SPIFFE) in client.subjects


def test_cryptography_refuses_another_name_and_another_root() -> None:
    """Otherwise the test above would prove nothing."""
    certificate, issuing = leaf(), [default_signer().issuing.certificate]
    ours, others = (
        verification.PolicyBuilder().store(verification.Store([by.root.certificate])).time(NOW)
        for by in (default_signer(), other_signer())
    )
    with pytest.raises(verification.VerificationError):
        ours.build_server_verifier(x509.DNSName("payments.shop.svc")).verify(certificate, issuing)
    with pytest.raises(verification.VerificationError):
        others.build_server_verifier(x509.DNSName(DNS)).verify(certificate, issuing)


def openssl_verify(folder: Path, by: Signer, certificate: x509.Certificate, *more: str) -> str:
    """Verify a chain with the `openssl` command, and return what it says."""
    if OPENSSL is None:
        pytest.skip("there is no `openssl` command")
    files = {"root.pem": by.root.certificate, "issuing.pem": by.issuing.certificate, "leaf.pem": certificate}
    for name, content in files.items():
        (folder / name).write_bytes(certificates.to_pem(content))
    command = [OPENSSL, "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), *more]
    command += ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout + done.stderr


@each_key
@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_verifies_a_leaf_of_every_kind(kind: KeyType, purpose: str, tmp_path: Path) -> None:
    """OpenSSL verifies in its strict mode."""
    by = default_signer()

    assert "leaf.pem: OK\n" == openssl_verify(tmp_path, by, leaf(kind), "-purpose", purpose, "-verify_hostname", DNS)


def test_openssl_verifies_every_kind_of_name(tmp_path: Path) -> None:
    """OpenSSL takes host names and addresses, beside a subject or without, and a subject alone."""
    names = Names(dns=(DNS,), ips=("2001:db8::1",), emails=("a@example.com",), uris=(SPIFFE,), subject=SUBJECT)
    ways = ("-verify_hostname", DNS), ("-verify_ip", "2001:db8::1"), ("-verify_email", "a@example.com")

    for way in ways:
        assert "leaf.pem: OK\n" == openssl_verify(tmp_path, default_signer(), leaf(names=names), *way)
    assert "mismatch" in openssl_verify(tmp_path, default_signer(), leaf(names=names), "-verify_ip", "2001:db8::2")
    assert "leaf.pem: OK\n" == openssl_verify(tmp_path, default_signer(), leaf(names=Names(subject=SUBJECT)))


@each_ca_key
def test_openssl_verifies_under_a_ca_of_every_kind(kind: KeyType, tmp_path: Path) -> None:
    """Root and issuing CA have the same kind of key."""
    by = signer_of(kind, kind)

    assert "leaf.pem: OK\n" == openssl_verify(tmp_path, by, leaf(by=by))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("-verify_hostname", "payments.shop.svc"), "hostname mismatch", id="another name"),
        pytest.param(("-purpose", "smimesign"), "purpose", id="another purpose"),
        pytest.param(("-attime", str(int((NOW + DAY + SECOND).timestamp()))), "expired", id="too late"),
        pytest.param(("-attime", str(int((NOW - DAY).timestamp()))), "not yet valid", id="too early"),
    ],
)
def test_openssl_refuses(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Otherwise the tests above would prove nothing."""
    answer = openssl_verify(tmp_path, default_signer(), leaf(), *arguments)

    assert "verification failed" in answer
    assert said in answer


def test_an_issuing_ca_cannot_make_another(tmp_path: Path) -> None:
    """The path length forbids it: a stolen issuing key makes leaves, no CAs."""
    by, life = default_signer(), times.validity(NOW, DAY)
    below = CA(
        certificate=issue.issuing(key(P384).public_key(), by.issuing, common_name="below", unique="u", validity=life),
        key=key(P384),
    )
    certificate = issue.leaf(key().public_key(), below, names=NAMES, usages=BOTH, validity=life)
    (tmp_path / "below.pem").write_bytes(certificates.to_pem(below.certificate))

    assert "path length constraint exceeded" in openssl_verify(tmp_path, by, certificate, "-untrusted", "below.pem")
