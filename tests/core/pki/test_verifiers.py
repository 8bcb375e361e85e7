"""Outside CAs as OpenSSL, Python, Go and Java judge them, and that we take in those and only those that all take."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.api.identity_spec import FormatsSpec, PKCS12Format, SecretKeyReference
from mutualtls.core.api.states import Role, State
from mutualtls.core.ca import generations, source
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.ca.source import SourceError
from mutualtls.core.leaf import formats
from mutualtls.core.leaf.passwords import StorePassword
from mutualtls.core.pki import keys, verifiers
from mutualtls.core.pki.certificates import to_pem
from mutualtls.core.pki.issue import CA
from support import judges, strangers
from support.strangers import ca, ec_key, named, replaced, rsa_key
from support.trials import (
    BOTH_OPENSSL,
    DNS,
    EMAIL,
    EVERYBODY,
    GO,
    JAVA,
    NOW,
    OPENSSL,
    PYTHON,
    Row,
    chain,
    extension,
    lay,
    permits,
    root,
    spoil,
    under,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


def above(made: CA) -> CA:
    """An intermediate as it ought to be, under a strange root."""
    return ca("Team", made)


def deep(count: int) -> CA:
    """A CA under so many others below a root."""
    made = ca("Corp")
    for number in range(count):
        made = ca(f"Team {number}", made)
    return made


def rsa(size: int = 2048, number: int = 0) -> dict[str, Any]:
    """With an RSA key."""
    return {"key": rsa_key(size, number)}


def printable(text: str, kind: str) -> x509.Name:
    """A name as PrintableString."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, getattr(x509.name._ASN1Type, kind))])  # noqa: SLF001


MAILBOX = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.a")])

UNREAD = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
DIRECTORY = x509.NameConstraints([x509.DirectoryName(named("x")), x509.DNSName("svc")], None)
POLICIES = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
NO_MAPPING = x509.PolicyConstraints(require_explicit_policy=None, inhibit_policy_mapping=0)
WHERE = x509.UniformResourceIdentifier("http://crl.example.com/ca.crl")
REVOCATIONS = x509.CRLDistributionPoints([x509.DistributionPoint([WHERE], None, None, None)])
ACCESS = x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, WHERE)])
NETSCAPE = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.1"), b"\x03\x02\x01\x02")
TWO = x509.Name(
    [
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(NameOID.COMMON_NAME, "Corp"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Corp")]
        )
    ]
)
ANY_POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)])

TABLE = {
    # Keys
    "P-256 root": Row(made=root()),
    "P-384 root": Row(made=root(key=ec_key(strangers.P384))),
    "P-521 root": Row(made=root(key=ec_key(strangers.P521))),
    "RSA 2048 root": Row(made=root(**rsa())),
    "RSA 3072 root": Row(made=root(**rsa(3072))),
    "RSA 2048, small exponent": Row(made=root(key=rsa_key(2048, 0, 5))),
    "RSA 2048 over P-256": Row(made=lambda: above(ca(**rsa()))),
    "P-256 over RSA 2048": Row(made=under(**rsa())),
    "RSA 1024 root": Row(made=root(**rsa(1024)), refused_by=BOTH_OPENSSL, said="an RSA key of 1024 bits"),
    "RSA 1024 intermediate": Row(made=under(**rsa(1024)), refused_by=BOTH_OPENSSL, said="an RSA key of 1024 bits"),
    "RSA 1024 over P-256": Row(
        made=lambda: above(ca(**rsa(1024))), refused_by=BOTH_OPENSSL, said="CN=Corp has an RSA key of 1024 bits"
    ),
    "RSA 2048, exponent of 33 bits": Row(
        made=root(key=rsa_key(2048, 0, 2**32 + 15)), refused_by=(GO,), said="an exponent that Go refuses"
    ),
    "P-224": Row(made=root(key=ec_key(strangers.P224)), refused_by=(JAVA,), said="the curve secp224r1, which Java"),
    "brainpool": Row(
        made=root(key=ec_key(strangers.BRAINPOOL)), refused_by=(GO, JAVA), said="the curve brainpoolP256r1, which Go"
    ),
    "brainpool intermediate": Row(
        made=under(key=ec_key(strangers.BRAINPOOL)), refused_by=(GO, JAVA), said="the curve brainpoolP256r1, which Go"
    ),
    "secp256k1": Row(
        made=root(key=ec_key(strangers.SECP256K1)), refused_by=(GO, JAVA), said="the curve secp256k1, which Go"
    ),
    "Ed25519": Row(
        made=root(key=strangers.ed_key()),
        said="neither ECDSA nor RSA",
        ours_alone="BoringSSL, and with it gRPC, Envoy and browsers, does not verify by it unless told to",
    ),
    "RSASSA-PSS alone": Row(
        made=root(**rsa(), edit=strangers.PSS_ALONE),
        refused_by=(OPENSSL, PYTHON, GO),
        said="RSA key for RSASSA-PSS alone",
    ),
    "explicit parameters": Row(
        made=root(edit=strangers.explicit()), refused_by=EVERYBODY, said="a form that Go does not read"
    ),
    "compressed point": Row(
        made=root(key=ec_key(strangers.P256, 77), edit=strangers.compressed(ec_key(strangers.P256, 77))),
        refused_by=(GO, JAVA),
        said="a form that Go does not read",
    ),
    # Signatures
    "SHA-1 root": Row(made=root(**rsa(), digest="sha1")),
    "root with a damaged signature": Row(made=root(is_signed_well=False)),
    "SHA-1 intermediate": Row(
        made=lambda: ca("Team", ca(**rsa()), digest="sha1"),
        refused_by=(OPENSSL, PYTHON, GO),
        said="CN=Team is signed with SHA-1",
    ),
    "SHA-224 intermediate": Row(made=under(digest="sha224"), refused_by=(GO,), said="is signed with SHA-224"),
    "RSASSA-PSS intermediate": Row(made=lambda: ca("Team", ca(**rsa()), pss=32)),
    "RSASSA-PSS with a short salt": Row(
        made=lambda: ca("Team", ca(**rsa()), pss=16), refused_by=(GO,), said="RSASSA-PSS with parameters that Go"
    ),
    "two algorithms": Row(
        made=root(outside="sha224"), refused_by=(PYTHON, GO, JAVA), said="names one algorithm of its signature"
    ),
    "another CA of that name": Row(
        made=lambda: replace(ca("Team", ca()), intermediates=(ca().certificate,)),
        refused_by=EVERYBODY,
        said="is neither in tls.crt nor in ca.crt",
    ),
    # Form
    "48 bytes of key id": Row(made=root(key_id=b"k" * 48)),
    "48 bytes of key id, intermediate": Row(made=under(key_id=b"k" * 48)),
    "200 bytes of key id": Row(made=root(key_id=b"k" * 200)),
    "critical SKI": Row(
        made=root(is_key_id_critical=True),
        refused_by=(OPENSSL, PYTHON, GO),
        said="a critical subjectKeyIdentifier",
    ),
    "critical AKI": Row(
        made=under(is_authority_key_critical=True), refused_by=EVERYBODY, said="a critical authorityKeyIdentifier"
    ),
    "no SKI": Row(made=root(key_id=None), refused_by=(PYTHON,), said="no subjectKeyIdentifier"),
    "no AKI": Row(made=under(authority_key=None), refused_by=(PYTHON,), said="no authorityKeyIdentifier"),
    "no AKI, root": Row(made=root(authority_key=None)),
    "AKI of another": Row(
        made=under(authority_key=b"other"),
        refused_by=(OPENSSL, PYTHON, JAVA),
        said="an authorityKeyIdentifier that is not of",
    ),
    "AKI of another, root": Row(
        made=root(authority_key=b"other"), refused_by=BOTH_OPENSSL, said="another CA of the same name has signed it"
    ),
    "issuer in another encoding": Row(
        made=lambda: ca("Team", ca("Corp"), issuer=printable("Corp", "PrintableString")),
        refused_by=(GO,),
        said="is neither in tls.crt nor in ca.crt",
    ),
    "names as PrintableString": Row(made=root(subject=printable("Corp", "PrintableString"))),
    "names as BMPString": Row(made=root(subject=printable("Corp", "BMPString"))),
    "names as T61String": Row(made=root(subject=printable("Corp", "T61String"))),
    "underscore in a PrintableString": Row(
        made=lambda: ca("P_Q"),
        spoilt=(b"\x0c\x03P_Q", b"\x13\x03P_Q"),
        refused_by=(GO,),
        said="a PrintableString with a character that such a text cannot have",
    ),
    "empty subject": Row(made=lambda: ca("", ca()), refused_by=(PYTHON, JAVA), said="has an empty subject"),
    "negative serial number": Row(
        made=root(edit=replaced(b"\x02\x08\1\2\3\4\5\6\7\x08", b"\x02\x01\x85")),
        refused_by=(GO,),
        said="a serial number that is not positive",
    ),
    # Extensions
    "no CA": Row(made=root(is_ca=False), refused_by=(PYTHON, GO, JAVA), said="is no CA (basicConstraints)"),
    "basicConstraints that are not critical": Row(
        made=root(is_ca_critical=False), refused_by=(PYTHON,), said="basicConstraints that are not critical"
    ),
    "no keyUsage": Row(made=root(has_usage=False), refused_by=(PYTHON,), said="has no keyUsage"),
    "for servers and clients": Row(made=under(purposes=(SERVER, CLIENT))),
    "for clients": Row(made=under(purposes=(CLIENT,)), refused_by=(OPENSSL, PYTHON, GO), said="allows no server auth"),
    "for any usage": Row(made=under(purposes=(ANY,)), refused_by=BOTH_OPENSSL, said="allows no server auth"),
    "an extension that nobody knows": Row(made=under(**extension(UNREAD, critical=False))),
    "a critical one": Row(
        made=under(**extension(UNREAD)), refused_by=EVERYBODY, said="a critical extension that not every verifier knows"
    ),
    "policies": Row(made=under(**extension(ANY_POLICY, critical=False))),
    "policies, critical": Row(made=under(**extension(ANY_POLICY))),
    "inhibitAnyPolicy": Row(made=under(**extension(x509.InhibitAnyPolicy(0)))),
    "policy mappings that are inhibited": Row(made=under(**extension(NO_MAPPING))),
    "CRL distribution points": Row(made=under(**extension(REVOCATIONS, critical=False))),
    "CRL distribution points, critical": Row(
        made=under(**extension(REVOCATIONS)),
        refused_by=(JAVA,),
        said="a critical extension that not every verifier knows",
    ),
    "an address for OCSP, critical": Row(
        made=under(**extension(ACCESS)), refused_by=EVERYBODY, said="a critical authorityInfoAccess"
    ),
    "Netscape's type, for mail": Row(made=under(**extension(NETSCAPE, critical=False))),
    "an attribute of two values": Row(made=root(subject=TWO)),
    "policies that are required": Row(
        made=under(**extension(POLICIES, critical=False)), refused_by=(GO, JAVA), said="requires policies"
    ),
    "constraints on subjects": Row(
        made=under(**extension(DIRECTORY)), refused_by=(GO,), said="a kind that Go does not know, and refuses"
    ),
    "constraints on a domain with a dot at its end": Row(
        made=under(**extension(x509.NameConstraints([x509.DNSName("svc.")], None))),
        refused_by=EVERYBODY,
        said="name constraints that Go does not read: svc.",
    ),
    "constraints that permit the empty domain": Row(
        made=under(**extension(x509.NameConstraints([x509.DNSName("")], None))),
        refused_by=(JAVA,),
        said="permits names by an empty domain, at which Java fails",
    ),
    "a name that is not permitted": Row(
        made=lambda: ca(
            "Team",
            ca(**extension(permits(DNS("svc")))),
            **extension(x509.SubjectAlternativeName([DNS("a.b")]), critical=False),
        ),
        refused_by=(OPENSSL, PYTHON, GO),
        said="a name of CN=Team is refused: a.b is outside the DNS names that CN=Corp permits",
    ),
    "an e-mail address that is not permitted": Row(
        made=lambda: ca("Team", ca(**extension(permits(DNS("svc"), EMAIL("b.c")))), subject=MAILBOX),
        refused_by=BOTH_OPENSSL,
        said="a@b.a is outside the e-mail addresses that CN=Corp permits",
    ),
    "7 CAs below the root": Row(made=lambda: deep(7)),
    "expired root": Row(made=strangers.soon, refused_by=(OPENSSL, PYTHON, GO), said="expired at"),
}


@functools.cache
def made_of(name: str) -> CA:
    """Make the CA of a row, once."""
    return TABLE[name].made()


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What each verifier says of each row."""
    folder = tmp_path_factory.mktemp("table")
    rows = enumerate(TABLE.items())
    return judges.verdicts({name: lay(folder / str(at), row, made_of(name)) for at, (name, row) in rows})


@pytest.mark.parametrize("name", TABLE)
def test_a_ca_is_taken_in_where_all_verifiers_take_it(name: str, judged: dict[str, dict[str, str]]) -> None:
    """If one verifier refuses it, the operator refuses it and says why."""
    row, made = TABLE[name], made_of(name)
    *below, top = chain(made)
    data = {
        "tls.crt": spoil(row, *(below or [top])),
        "tls.key": keys.to_pem(made.key, Encoding.PKCS8),
        "ca.crt": spoil(row, top),
    }
    try:
        source.parse(data, is_tiered=False, now=NOW)
        said = ""
    except SourceError as error:
        said = str(error)

    refused_by = {verifier for verifier, why in judged[name].items() if why}
    assert set(row.refused_by) & set(judges.ALL) == refused_by, judged[name]
    assert bool(row.refused_by or row.ours_alone) is bool(said)
    assert row.said in said


UNREADABLE = {"underscore in a PrintableString", "no SKI"}
"""No ledger can have these."""
NOT_A_CHAIN = {"another CA of that name", "issuer in another encoding"}


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.said and name not in UNREADABLE])
def test_a_ca_that_signs_already_is_named_and_stays(name: str) -> None:
    """It stays even if it would be refused now, unless it is no chain at all."""
    made = made_of(name)
    *below, top = chain(made)
    generation = CAGeneration(role=Role.ROOT, number=1, state=State.ACTIVE, is_outside=True)
    known = [generations.described(generation, top, State.ACTIVE)]
    if below:
        issuing = CAGeneration(role=Role.ISSUING, number=1, state=State.ACTIVE, issuer=1, is_outside=True)
        known.append(generations.described(issuing, below[0], State.ACTIVE))
    ledger = Ledger(authority_uid="u", generations=tuple(known))
    try:
        warnings = source.parse(strangers.files(made), is_tiered=False, now=NOW, known=ledger).warnings
    except SourceError as error:
        assert name in NOT_A_CHAIN
        warnings = (str(error),)

    assert any(TABLE[name].said in one for one in warnings)


def test_which_roots_spoil_a_store_for_java(tmp_path: Path) -> None:
    """A trust store of ours is read whatever roots are trusted as well, without those that it cannot hold."""
    if judges.JAVA is None:
        pytest.skip("there is no Java")
    stores = {name: judges.store_of(one.certificate) for name, one in strangers.roots().items()}
    pem = to_pem(*(one.certificate for one in strangers.roots().values()))
    asked = FormatsSpec(pkcs12=PKCS12Format(password_secret_ref=SecretKeyReference(name="stores", key="password")))
    written = formats.write(
        asked,
        made_of("P-256 root").key,
        encoding=Encoding.PKCS8,
        chain=[made_of("P-256 root").certificate],
        ca=pem,
        alias="orders",
        opened=StorePassword(version="1", password=judges.PASSWORD),
    )

    found = judges.unloaded(tmp_path, stores | {"ours": written["truststore.p12"]})
    assert strangers.NOT_READ_BY_JAVA == found


@pytest.mark.parametrize(("size", "is_taken"), [(8192, True), (8200, False)])
def test_a_key_can_be_too_large(size: int, *, is_taken: bool) -> None:
    """Go refuses it in a handshake. Such a key is not made for a test: only its size counts."""
    made = ca("Corp")
    public = RSAPublicNumbers(65537, (1 << size) - 1).public_key()
    life = strangers.LIFE
    certificate = (
        x509.CertificateBuilder(named("Large"), named("Large"), public, 1, life.not_before, life.not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(made.key, hashes.SHA256())
    )
    said = [fault for fault in verifiers.faults(certificate) if "RSA key" in fault]

    assert is_taken is not bool(said)
    assert is_taken or said == [f"CN=Large has an RSA key of {size} bits, and Go takes none above 8192 in a handshake"]
