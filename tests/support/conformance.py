"""What conforms: a row a feature, and one function that judges the files of a row in full.

The rows are printed into docs/conformance.md by `hack/fix`; `test_conformance.py` issues each on a real API server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from support import verify
from support.stores import PKCS12, opened
from support.world import World

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
BACKDATE = timedelta(minutes=5)
PERMITS = [
    {
        "namespaceSelector": {},
        "dnsNames": ["**.example.com", "example.com"],
        "wildcardDNSNames": ["*.example.com"],
        "shortServiceNames": True,
        "ipRanges": ["10.0.0.0/8", "2001:db8::/32"],
        "emailAddresses": ["*@example.com"],
        "uris": ["https://**.example.com/**", "spiffe://example.org/**", "urn:uuid:*"],
        "commonNames": ["*"],
        "subjects": {
            attribute: ["*"]
            for attribute in (
                "organizations",
                "organizationalUnits",
                "countries",
                "localities",
                "provinces",
                "serialNumbers",
            )
        },
    }
]
"""What the authority of the rows permits."""

_OWN = ("ID.NS.svc", "ID.NS.svc.cluster.local")
_ACCOUNT = ("spiffe://cluster.local/ns/NS/sa/ID",)
_BOTH = ("client auth", "server auth")
_EKU = {"server auth": ExtendedKeyUsageOID.SERVER_AUTH, "client auth": ExtendedKeyUsageOID.CLIENT_AUTH}
_HEADERS = {"PKCS8": b"-----BEGIN PRIVATE KEY", "SEC1": b"-----BEGIN EC PRIVATE", "PKCS1": b"-----BEGIN RSA PRIVATE"}
_KINDS = {
    "ECDSA": ec.EllipticCurvePrivateKey,
    "RSA": rsa.RSAPrivateKey,
    "Ed25519": ed25519.Ed25519PrivateKey,
}
_LONG = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 39])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is asked for, and what the certificate must say. `NS` is the namespace, `ID` the identity."""

    title: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    dns: Sequence[str] = _OWN
    ips: Sequence[str] = ()
    emails: Sequence[str] = ()
    uris: Sequence[str] = _ACCOUNT
    subject: str = ""
    """RFC 4514."""
    key: str = "ECDSA 256"
    encoding: str = "PKCS8"
    usages: Sequence[str] = _BOTH
    life: timedelta = timedelta(hours=24)
    further: Sequence[str] = ()


_HEAD = """\
# Conformance

What an identity asks for, and what the certificate then holds. `tests/cluster/test_conformance.py` issues each row on a
real API server and checks its files in full:

- names and subject are those of the row, and there are no others;
- the key has the type and encoding of the row, and belongs to the certificate;
- every extension of RFC 5280 is there with its criticality, and there are no others;
- the times are as requested, and within those of the CA;
- the chain verifies with OpenSSL (`-x509_strict`) and with Go, trusting only `ca.crt`, for each usage and name;
- additional files hold this key and chain, and stores open with their password;
- the status describes this certificate.

`NS` is the namespace, `ID` the identity. An empty cell is the same as in the first row. If a row needs a permit, the
authority has it.

| asked for | DNS names | other names | subject | key | usages | life | additional files |
|---|---|---|---|---|---|---|---|"""
_LONGEST_SHOWN = 60
_MOST_SHOWN = 4
_NOTHING = {"services": [], "serviceAccountName": ""}


def _names(
    title: str,
    field: str,
    asked: list[str],
    *,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    emails: Sequence[str] = (),
    uris: Sequence[str] = (),
) -> Row:
    return Row(title=title, spec=_NOTHING | {field: asked}, dns=dns, ips=ips, emails=emails, uris=uris)


def _key(key: str, encoding: str = "PKCS8") -> Row:
    algorithm, _, size = key.partition(" ")
    asked = {"algorithm": algorithm, "encoding": encoding} | ({"size": int(size)} if size else {})
    return Row(title=f"{key}, {encoding}", spec={"privateKey": asked}, key=key, encoding=encoding)


def _subject(title: str, asked: dict[str, Any], written: str, dns: Sequence[str] = _OWN) -> Row:
    return Row(title=title, spec={"subject": asked}, subject=written, dns=dns)


def _formats(title: str, further: Sequence[str], **asked: Any) -> Row:
    return Row(title=title, spec={"formats": asked}, further=further)


_STORES = ("keystore.p12", "truststore.p12")
_ALL_FILES = {"tls.key", "tls.crt", "ca.crt", "tls.pem", "key.der", "tls.der", *_STORES}
ROWS = (
    Row(title="an empty spec"),
    # Names
    Row(title="another Service", spec={"services": ["db"]}, dns=("db.NS.svc", "db.NS.svc.cluster.local")),
    Row(
        title="several Services",
        spec={"services": ["web", "db"]},
        dns=("web.NS.svc", "web.NS.svc.cluster.local", "db.NS.svc", "db.NS.svc.cluster.local"),
    ),
    Row(title="no Service", spec={"services": []}, dns=()),
    Row(
        title="another service account",
        spec={"serviceAccountName": "a.b"},
        uris=("spiffe://cluster.local/ns/NS/sa/a.b",),
    ),
    Row(title="no service account", spec={"serviceAccountName": ""}, uris=()),
    Row(title="pods of a StatefulSet", spec={"dnsNames": ["*.db.NS.svc"]}, dns=(*_OWN, "*.db.NS.svc")),
    _names("a name below a Service", "dnsNames", ["db-0.db.NS.svc"], dns=("db-0.db.NS.svc",)),
    _names("short names of a Service", "dnsNames", ["orders", "orders.NS"], dns=("orders", "orders.NS")),
    _names("a domain", "dnsNames", ["api.example.com"], dns=("api.example.com",)),
    _names("the apex of a domain", "dnsNames", ["example.com"], dns=("example.com",)),
    _names("upper case", "dnsNames", ["API.Example.COM"], dns=("api.example.com",)),
    _names("not ASCII", "dnsNames", ["münchen.example.com"], dns=("xn--mnchen-3ya.example.com",)),
    _names("a long name", "dnsNames", [f"{_LONG}.example.com"], dns=(f"{_LONG}.example.com",)),
    _names("a wildcard", "dnsNames", ["*.example.com"], dns=("*.example.com",)),
    _names("IPv4", "ipAddresses", ["10.1.2.3"], ips=("10.1.2.3",)),
    _names("IPv6", "ipAddresses", ["2001:DB8:0:0::1"], ips=("2001:db8::1",)),
    _names("an e-mail address", "emailAddresses", ["Ops@Example.com"], emails=("Ops@example.com",)),
    _names("a URI", "uris", ["https://api.example.com/a/b"], uris=("https://api.example.com/a/b",)),
    _names("a SPIFFE ID of another trust domain", "uris", ["spiffe://example.org/x"], uris=("spiffe://example.org/x",)),
    _names(
        "a URN",
        "uris",
        ["urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
        uris=("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",),
    ),
    Row(
        title="all kinds at once",
        spec={
            "dnsNames": ["api.example.com"],
            "ipAddresses": ["10.1.2.3", "2001:db8::1"],
            "emailAddresses": ["ops@example.com"],
            "uris": ["https://api.example.com/a"],
            "subject": {"commonName": "api.example.com"},
        },
        dns=(*_OWN, "api.example.com"),
        ips=("10.1.2.3", "2001:db8::1"),
        emails=("ops@example.com",),
        uris=(*_ACCOUNT, "https://api.example.com/a"),
        subject="CN=api.example.com",
    ),
    Row(
        title="a hundred names",
        spec={"dnsNames": [f"name-{number}.example.com" for number in range(100)]},
        dns=(*_OWN, *(f"name-{number}.example.com" for number in range(100))),
    ),
    # Subjects
    _subject("common name: one of the DNS names", {"commonName": "ID.NS.svc"}, "CN=ID.NS.svc"),
    _subject("common name: a user", {"commonName": "alice"}, "CN=alice"),
    Row(
        title="common name alone",
        spec=_NOTHING | {"subject": {"commonName": "alice"}},
        dns=(),
        uris=(),
        subject="CN=alice",
    ),
    _subject("common name of 64 characters", {"commonName": "u" * 64}, f"CN={'u' * 64}"),
    _subject("an organization", {"organizations": ["Shop"]}, "O=Shop"),
    _subject("two organizations", {"organizations": ["Shop", "Bank"]}, "O=Bank,O=Shop"),
    _subject(
        "every attribute",
        {
            "commonName": "alice",
            "organizations": ["Shop"],
            "organizationalUnits": ["Edge"],
            "countries": ["DE"],
            "localities": ["Köln"],
            "provinces": ["NRW"],
            "serialNumber": "7",
        },
        "2.5.4.5=7,CN=alice,OU=Edge,O=Shop,L=Köln,ST=NRW,C=DE",
    ),
    # Keys
    *(_key(f"ECDSA {size}", encoding) for size in (256, 384, 521) for encoding in ("PKCS8", "SEC1")),
    *(_key(f"RSA {size}", encoding) for size in (2048, 3072, 4096) for encoding in ("PKCS8", "PKCS1")),
    _key("RSA 8192"),
    _key("Ed25519"),
    # Usages and life
    Row(title="server only", spec={"usages": ["server auth"]}, usages=("server auth",)),
    Row(title="client only", spec={"usages": ["client auth"]}, usages=("client auth",)),
    Row(title="an hour", spec={"duration": "1h"}, life=timedelta(hours=1)),
    Row(title="the shortest life", spec={"duration": "1m"}, life=timedelta(minutes=1)),
    Row(title="the longest life", spec={"duration": "168h"}, life=timedelta(hours=168)),
    # Formats
    _formats("key and chain in one file", ["tls.pem"], combinedPEM={}),
    _formats("DER", ["key.der", "tls.der"], der={}),
    _formats("PKCS#12", _STORES, pkcs12=PKCS12),
    _formats("PKCS#12 for old readers", _STORES, pkcs12=PKCS12 | {"profile": "Legacy"}),
    _formats("every format", ["tls.pem", "key.der", "tls.der", *_STORES], combinedPEM={}, der={}, pkcs12=PKCS12),
)


def manifest(world: World, row: Row, identity: str, authority: str) -> str:
    """Write the identity of a row."""
    text = filled(json.dumps(row.spec), namespace=world.namespace, identity=identity)
    return world.manifest(identity, authority=authority, **json.loads(text))


def table() -> str:
    """Write the page."""
    lines = [_HEAD]
    first = ROWS[0]
    for row in ROWS:
        is_first = row is first
        further = _cell(row.further, is_same=not row.further and not is_first)
        others = (*row.ips, *row.emails, *row.uris)
        cells = (
            row.title,
            _cell(_shortened(row.dns), is_same=row.dns == first.dns and not is_first),
            _cell(others, is_same=others == tuple(first.uris) and not is_first),
            _cell([row.subject] if row.subject else [], is_same=not row.subject and not is_first),
            _cell(
                [f"{row.key}, {row.encoding}"],
                is_same=(row.key, row.encoding) == (first.key, first.encoding) and not is_first,
            ),
            _cell(row.usages, is_same=row.usages == first.usages and not is_first),
            _cell([_hours(row.life)], is_same=row.life == first.life and not is_first),
        )
        lines.append(f"| {' | '.join((*cells, further))} |")
    return "\n".join(lines) + "\n"


def _shortened(names: Sequence[str]) -> Sequence[str]:
    shown = [name if len(name) <= _LONGEST_SHOWN else f"{name[:20]}…{name[-20:]}" for name in names[:_MOST_SHOWN]]
    return [*shown, "…"] if len(names) > _MOST_SHOWN else shown


def _hours(life: timedelta) -> str:
    minutes = life // timedelta(minutes=1)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _cell(values: Sequence[str], *, is_same: bool) -> str:
    if is_same:
        return ""
    return "<br>".join(f"`{value}`" if value != "…" else value for value in values) or "none"


def check(world: World, row: Row, identity: str, folder: Path) -> None:
    """Judge what an identity has got for a row: files, names, key, extensions, times, chain and status.

    Raises:
        AssertionError: something is not as it must be.
    """
    row = _filled_row(row, namespace=world.namespace, identity=identity)
    files = world.files(f"{identity}-mtls")
    assert {"tls.key", "tls.crt", "ca.crt", *row.further} == files.keys() & _ALL_FILES
    leaf, *intermediates = x509.load_pem_x509_certificates(files["tls.crt"])
    _check_key(row, leaf, files["tls.key"])
    _check_names(row, leaf)
    _check_extensions(row, leaf, intermediates)
    _check_times(row, leaf, intermediates)
    _check_further(row, leaf, files)
    _check_status(world.status(identity), leaf)
    roots = x509.load_pem_x509_certificates(files["ca.crt"])
    assert all(root.subject == root.issuer for root in roots)
    assert not set(roots) & set(intermediates)
    world.save_files(f"{identity}-mtls", folder)
    for usage in row.usages:
        verify.chain(folder, use=usage.removesuffix(" auth"))
    for name in row.dns[:3] if "server auth" in row.usages else ():
        verify.chain(folder, name=name.replace("*", "any"), use="server")


def filled(text: str, *, namespace: str, identity: str) -> str:
    """Put the names of namespace and identity in."""
    return text.replace("NS", namespace).replace("ID", identity)


def _filled_row(row: Row, **names: str) -> Row:
    dns, uris = ([filled(name, **names) for name in of_kind] for of_kind in (row.dns, row.uris))
    return replace(row, dns=dns, uris=uris, subject=filled(row.subject, **names))


def _check_key(row: Row, leaf: x509.Certificate, pem: bytes) -> None:
    key = serialization.load_pem_private_key(pem, password=None)
    assert key.public_key() == leaf.public_key()
    assert pem.startswith(_HEADERS[row.encoding])
    algorithm, _, size = row.key.partition(" ")
    assert isinstance(key, _KINDS[algorithm])
    assert not size or int(size) == getattr(key, "key_size", 0)


def _check_names(row: Row, leaf: x509.Certificate) -> None:
    """Every name that is asked for, as it is written, and no other; and which extension is critical."""
    expected: dict[type[x509.GeneralName], set[str]] = {
        x509.DNSName: set(row.dns),
        x509.IPAddress: set(row.ips),
        x509.RFC822Name: set(row.emails),
        x509.UniformResourceIdentifier: set(row.uris),
    }
    assert row.subject == leaf.subject.rfc4514_string()
    if not any(expected.values()):
        assert ExtensionOID.SUBJECT_ALTERNATIVE_NAME not in {one.oid for one in leaf.extensions}
        return
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    found = {kind: {str(name.value) for name in alternative.value if type(name) is kind} for kind in expected}
    assert expected == found
    assert len(list(alternative.value)) == sum(map(len, expected.values()))
    assert alternative.critical is (not row.subject)


def _check_extensions(row: Row, leaf: x509.Certificate, intermediates: list[x509.Certificate]) -> None:
    """Each of RFC 5280's extensions with its criticality, and no other."""
    critical = {one.oid: one.critical for one in leaf.extensions}
    critical.pop(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, None)
    assert {
        ExtensionOID.BASIC_CONSTRAINTS: True,
        ExtensionOID.KEY_USAGE: True,
        ExtensionOID.EXTENDED_KEY_USAGE: False,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER: False,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER: False,
    } == critical
    of = leaf.extensions.get_extension_for_class
    assert not of(x509.BasicConstraints).value.ca
    usage = of(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, row.key.startswith("RSA"))
    assert not any((usage.key_cert_sign, usage.crl_sign, usage.key_agreement, usage.data_encipherment))
    assert {_EKU[usage] for usage in row.usages} == set(of(x509.ExtendedKeyUsage).value)
    (issuer,) = intermediates
    issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert of(x509.AuthorityKeyIdentifier).value.key_identifier == issuer_id
    assert leaf.issuer == issuer.subject
    assert 2**63 < leaf.serial_number < 2**159


def _check_times(row: Row, leaf: x509.Certificate, intermediates: list[x509.Certificate]) -> None:
    (issuer,) = intermediates
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    assert issuer.not_valid_before_utc <= begin
    assert end <= issuer.not_valid_after_utc
    assert row.life <= end - begin <= row.life + BACKDATE


def _check_further(row: Row, leaf: x509.Certificate, files: Mapping[str, bytes]) -> None:
    """The further files hold the very key and chain, and the stores open with the password."""
    if "tls.pem" in row.further:
        assert files["tls.key"] + files["tls.crt"] == files["tls.pem"]
    if "tls.der" in row.further:
        assert leaf == x509.load_der_x509_certificate(files["tls.der"])
        key = serialization.load_der_private_key(files["key.der"], password=None)
        assert key.public_key() == leaf.public_key()
    if "keystore.p12" in row.further:
        assert opened(files)


def _check_status(status: Mapping[str, Any], leaf: x509.Certificate) -> None:
    """The status tells of this very certificate."""
    told = status["certificate"]
    assert f"{leaf.serial_number:x}" == told["serialNumber"]
    assert leaf.fingerprint(hashes.SHA256()).hex() == told["fingerprint"]
    assert f"{leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}" == told["notBefore"]
    assert f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}" == told["notAfter"]
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert (issuer or b"").hex() == told["issuerKeyID"]


if __name__ == "__main__":
    PAGE.write_text(table())
