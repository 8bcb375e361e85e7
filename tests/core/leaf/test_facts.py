"""The facts of a certificate, read from the files of a Secret."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from mutualtls.core import times
from mutualtls.core.api.algorithms import Algorithm, Encoding, Usage
from mutualtls.core.bundles import bundle
from mutualtls.core.leaf import facts
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.names.names import Names, Subject, names_hash
from mutualtls.core.pki import certificates, issue, keys
from support.builders import DAY, NOW, P256, an_identity, decoded, default_signer, issued, key, observed, secret_of
from support.secrets import NAMES, good, signed, with_files


def test_facts_of_good_files() -> None:
    """Every fact comes from the certificate itself."""
    o = observed(an_identity())
    body = secret_of(o)
    leaf, issuing = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])
    expected = Facts(
        serial_number=f"{leaf.serial_number:x}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        public_key_hash=keys.public_key_hash(key(P256).public_key()),
        issuer_key_id=certificates.key_id(issuing),
        chain_hash=bundle.chain_hash([issuing]),
        not_before=NOW - times.BACKDATE,
        not_after=NOW + DAY,
        names_hash=names_hash(o.wanted.names),
        usages=(Usage.CLIENT_AUTH, Usage.SERVER_AUTH),
        algorithm=Algorithm.ECDSA,
        size=256,
        encoding=Encoding.PKCS8,
        bundle_hash=o.trust.bundle_hash,
    )

    assert expected == facts.read(body)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="all defaults"),
        pytest.param({"privateKey": {"algorithm": "RSA", "encoding": "PKCS1"}}, id="RSA in PKCS1"),
        pytest.param({"privateKey": {"size": 384, "encoding": "SEC1"}}, id="P-384 in SEC1"),
        pytest.param({"privateKey": {"algorithm": "Ed25519"}}, id="Ed25519"),
        pytest.param({"usages": ["client auth"]}, id="one usage"),
        pytest.param({"services": []}, id="SPIFFE ID alone"),
        pytest.param({"serviceAccountName": "", "dnsNames": ["*.a.shop.svc", "b.shop.svc"]}, id="DNS names alone"),
    ],
)
def test_facts_read_are_facts_made(spec: dict[str, Any]) -> None:
    """What is noted at issuance is what a reader finds, or every Secret would be written again after its first read."""
    o = observed(an_identity(**spec))
    made, _ = issued(o)
    read = facts.read(secret_of(o))

    assert isinstance(read, Facts)
    for field in set(Facts.__struct_fields__) - {"serial_number", "fingerprint"}:
        assert getattr(made, field) == getattr(read, field), field


def test_facts_hold_nothing_secret() -> None:
    """They hold neither the key nor a part of it."""
    body = good()
    pem = decoded(body)["tls.key"].decode()

    assert not any(line in repr(facts.read(body)) for line in pem.splitlines())


def test_another_chain_is_another_fact() -> None:
    """A missing intermediate is found by the hash of the chain."""
    body = good()
    leaf, _ = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])
    read = facts.read(with_files(body, tls_crt=certificates.to_pem(leaf)))

    assert isinstance(read, Facts)
    assert bundle.chain_hash([]) == read.chain_hash


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(x509.DNSName("orders.shop.svc"), id="one twice"),
        pytest.param(x509.DNSName("admin.shop.svc"), id="another DNS name"),
        pytest.param(x509.RFC822Name("a@example.com"), id="e-mail address"),
        pytest.param(x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), id="registered id"),
    ],
)
def test_names_that_we_do_not_write_show(more: x509.GeneralName) -> None:
    """A certificate with other names never passes for ours."""
    certificate = signed([x509.DNSName("orders.shop.svc"), more])
    read = facts.of_leaf(certificate, intermediates=[], encoding=Encoding.PKCS8, ca=b"")

    assert names_hash(Names(dns=("orders.shop.svc",))) != read.names_hash


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(NAMES, id="without a subject"),
        pytest.param(
            Names(
                dns=("a.shop.svc", "b.shop.svc"),
                ips=("10.0.0.1", "2001:db8::1"),
                emails=("a@example.com",),
                uris=("urn:uuid:a",),
                subject=Subject(
                    common_name="a.shop.svc",
                    organizations=("b", "a"),
                    organizational_units=("u", "v"),
                    countries=("DE",),
                    localities=("Köln",),
                    provinces=("NRW",),
                    serial_number="1",
                ),
            ),
            id="every kind",
        ),
        pytest.param(Names(subject=Subject(common_name="postgres")), id="common name alone"),
    ],
)
def test_what_is_written_is_read_again(names: Names) -> None:
    """This holds for every kind of name and the whole subject, or a leaf would be replaced for ever."""
    by = default_signer()
    leaf = issue.leaf(
        key().public_key(), by.issuing, names=names, usages=(Usage.CLIENT_AUTH,), validity=by.issuing.validity
    )
    read = facts.of_leaf(leaf, intermediates=[], encoding=Encoding.PKCS8, ca=b"")

    assert names_hash(names) == read.names_hash


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((NameOID.COMMON_NAME, "b"), id="a second common name"),
        pytest.param((NameOID.SERIAL_NUMBER, "2"), id="a second serial number"),
        pytest.param((NameOID.ORGANIZATION_NAME, "b"), id="another organization"),
        pytest.param((NameOID.EMAIL_ADDRESS, "a@example.com"), id="an attribute that we do not write"),
    ],
)
def test_subjects_that_we_do_not_write_show(more: tuple[x509.ObjectIdentifier, str]) -> None:
    """A certificate with another subject never passes for ours."""
    ours = [(NameOID.ORGANIZATION_NAME, "a"), (NameOID.COMMON_NAME, "a"), (NameOID.SERIAL_NUMBER, "1")]
    names = Names(subject=Subject(organizations=("a",), common_name="a", serial_number="1"))
    hashes_of = [
        facts.of_leaf(signed(subject=subject), intermediates=[], encoding=Encoding.PKCS8, ca=b"").names_hash
        for subject in (ours, [*ours, more])
    ]

    assert names_hash(names) == hashes_of[0]
    assert hashes_of[0] != hashes_of[1]
