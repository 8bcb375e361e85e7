"""Facts from certificates, damage of every kind, and when our annotation is believed."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mutualtls.core import times
from mutualtls.core.api.algorithms import Algorithm, Encoding, Usage
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.bundles import bundle
from mutualtls.core.leaf import facts, secret, secret_metadata
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.leaf.secret import Owned
from mutualtls.core.model import labels
from mutualtls.core.names.names import Names, Subject, names_hash
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason
from support.builders import (
    DAY,
    ED25519,
    NOW,
    OTHER,
    P256,
    P384,
    RSA,
    UID,
    an_identity,
    as_stored,
    decoded,
    default_signer,
    encoded,
    entry_of_ours,
    issued,
    key,
    merged,
    observed,
    other_signer,
    secret_of,
)

NAMES = Names(dns=("orders.shop.svc",), uris=("spiffe://cluster.local/ns/shop/sa/orders",))


def good(**spec: Any) -> dict[str, Any]:
    """A Secret as a first issuance makes it."""
    return secret_of(observed(an_identity(**spec)))


def damage(body: dict[str, Any]) -> Damage:
    """Read a Secret that cannot be used."""
    found = facts.read(body)
    if not isinstance(found, Damage):
        raise TypeError(f"not damaged: {found}")
    return found


def with_files(body: dict[str, Any], **files: bytes) -> dict[str, Any]:
    """Change data of a Secret; `tls_key` stands for `tls.key`."""
    return merged(body, {"data": encoded(**{name.replace("_", "."): content for name, content in files.items()})})


# Facts


def test_facts_of_good_files() -> None:
    """Every one of them, from the certificate itself."""
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
    """Every kind of name and all of the subject, or a leaf would be replaced for ever."""
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


# Damage


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


def encrypted_key() -> bytes:
    """Write a key under a password."""
    return key(P256).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )


def reversed_chain(body: dict[str, Any]) -> dict[str, Any]:
    """Put the intermediate before the leaf."""
    leaf, issuing = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])
    return with_files(body, tls_crt=certificates.to_pem(issuing, leaf))


def of_another_ca(body: dict[str, Any]) -> dict[str, Any]:
    """Put the intermediate of another authority after the leaf."""
    leaf, _ = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])
    return with_files(body, tls_crt=certificates.to_pem(leaf, other_signer().issuing.certificate))


def forged(body: dict[str, Any]) -> dict[str, Any]:
    """Put a leaf that names our CA as its issuer but was signed by another key."""
    leaf = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])[0]
    ours = default_signer().issuing
    fake = issue.CA(certificate=ours.certificate, key=key(P384, 7))
    certificate = issue.leaf(
        key(P256).public_key(), fake, names=NAMES, usages=(Usage.SERVER_AUTH,), validity=times.validity(NOW, DAY)
    )
    return with_files(
        body, tls_crt=certificates.to_pem(certificate, ours.certificate, leaf)[: -len(certificates.to_pem(leaf))]
    )


def lacking(**lacks: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Put a leaf of our CA that lacks an extension."""
    return lambda body: with_files(body, tls_crt=certificates.to_pem(signed(**lacks)))


def altered(old: bytes, new: bytes) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Change bytes in the DER of the leaf, where parsers are lazy."""

    def alter(body: dict[str, Any]) -> dict[str, Any]:
        leaf = x509.load_pem_x509_certificates(decoded(body)["tls.crt"])[0]
        der = leaf.public_bytes(serialization.Encoding.DER)
        if old not in der:
            raise ValueError("programming error: nothing to alter")
        text = base64.encodebytes(der.replace(old, new)).decode()
        pem = f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"
        return with_files(body, tls_crt=pem.encode())

    return alter


OID_OF_P256 = bytes.fromhex("06082a8648ce3d030107")
OID_OF_NO_CURVE = bytes.fromhex("06082a8648ce3d03017f")
OID_OF_SKI, OID_OF_AKI = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d23")
VERSION_3, VERSION_9 = bytes.fromhex("a003020102"), bytes.fromhex("a003020108")
SAN_OF_DNS, SAN_OF_X400 = b"\x82\x0forders.shop.svc", b"\xa3\x0forders.shop.svc"

DAMAGES = [
    pytest.param(lambda b: b | {"type": "Opaque"}, Reason.SECRET_TYPE_WRONG, "Opaque", id="another type"),
    pytest.param(lambda b: b | {"immutable": True}, Reason.SECRET_IMMUTABLE, "immutable", id="made immutable"),
    pytest.param(lambda b: b | {"data": None}, Reason.SECRET_INCOMPLETE, "tls.key, tls.crt, ca.crt", id="no data"),
    pytest.param(lambda b: merged(b, {"data": {"tls.key": None}}), Reason.SECRET_INCOMPLETE, "tls.key", id="no key"),
    pytest.param(
        lambda b: merged(b, {"data": {"tls.crt": None}}), Reason.SECRET_INCOMPLETE, "tls.crt", id="no certificate"
    ),
    pytest.param(lambda b: merged(b, {"data": {"ca.crt": None}}), Reason.SECRET_INCOMPLETE, "ca.crt", id="no bundle"),
    pytest.param(lambda b: with_files(b, ca_crt=b""), Reason.SECRET_INCOMPLETE, "ca.crt", id="empty bundle"),
    pytest.param(
        lambda b: merged(b, {"data": {"tls.crt": "%"}}), Reason.SECRET_UNREADABLE, "not base64", id="not base64"
    ),
    pytest.param(
        lambda b: with_files(b, tls_crt=b"x"), Reason.SECRET_UNREADABLE, "tls.crt holds no PEM", id="no PEM in tls.crt"
    ),
    pytest.param(
        lambda b: with_files(b, tls_crt=decoded(b)["tls.key"]),
        Reason.SECRET_UNREADABLE,
        "tls.crt",
        id="a key in tls.crt",
    ),
    pytest.param(lambda b: with_files(b, tls_key=b"x"), Reason.SECRET_UNREADABLE, "tls.key", id="no PEM in tls.key"),
    pytest.param(
        lambda b: with_files(b, tls_key=encrypted_key()), Reason.SECRET_UNREADABLE, "tls.key", id="encrypted key"
    ),
    pytest.param(
        lambda b: with_files(b, tls_key=keys.to_pem(key(P256, 1), Encoding.PKCS8)),
        Reason.KEY_MISMATCH,
        "tls.key is not the key",
        id="another key",
    ),
    pytest.param(
        lambda b: with_files(b, tls_key=keys.to_pem(key(ED25519), Encoding.PKCS8)),
        Reason.KEY_MISMATCH,
        "tls.key is not the key",
        id="a key of another algorithm",
    ),
    pytest.param(
        lambda b: with_files(b, tls_key=b"# the key\n" + decoded(b)["tls.key"]),
        Reason.KEY_MISMATCH,
        "tls.key is not the key",
        id="text before the key",
    ),
    pytest.param(reversed_chain, Reason.KEY_MISMATCH, "tls.key is not the key", id="chain in the wrong order"),
    pytest.param(of_another_ca, Reason.SECRET_UNREADABLE, "another's certificate", id="intermediate of another CA"),
    pytest.param(forged, Reason.SECRET_UNREADABLE, "another's certificate", id="forged signature"),
    pytest.param(lacking(), Reason.SECRET_UNREADABLE, "it has no names", id="no names"),
    pytest.param(lacking(names=[], usages=False), Reason.SECRET_UNREADABLE, "extendedKeyUsage", id="no usages"),
    pytest.param(
        lacking(names=[], authority_key=False), Reason.SECRET_UNREADABLE, "authorityKeyIdentifier", id="no issuer key"
    ),
]


@pytest.mark.parametrize(("harm", "reason", "said"), DAMAGES)
def test_damage(harm: Callable[[dict[str, Any]], dict[str, Any]], reason: Reason, said: str) -> None:
    """Each kind of damage has a reason and a message that names the file."""
    found = damage(harm(good()))

    assert reason == found.reason
    assert said in found.message


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(altered(OID_OF_P256, OID_OF_NO_CURVE), id="key on an unknown curve"),
        pytest.param(altered(OID_OF_SKI, OID_OF_AKI), id="an extension twice"),
        pytest.param(altered(VERSION_3, VERSION_9), id="another version of X.509"),
        pytest.param(altered(SAN_OF_DNS, SAN_OF_X400), id="a kind of name that nobody reads"),
    ],
)
def test_a_certificate_that_cannot_be_parsed_whole_is_damage(harm: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Any content of a Secret is reissued, and never raises a programming error."""
    assert isinstance(facts.read(harm(good(services=["orders"]))), Damage)


def test_a_certificate_with_a_key_that_we_do_not_make_is_damage() -> None:
    """Ed448 has no type of ours."""
    made = ed448.Ed448PrivateKey.generate()
    certificate = signed([x509.DNSName("orders.shop.svc")], public_key=made.public_key())
    with pytest.raises(ValueError, match="not supported"):
        facts.of_leaf(certificate, intermediates=[], encoding=Encoding.PKCS8, ca=b"")


# What is noted, and when it is believed


def facts_of(body: dict[str, Any]) -> Facts:
    """Read a Secret that can be used."""
    found = facts.read(body)
    if not isinstance(found, Facts):
        raise TypeError(f"damaged: {found}")
    return found


def test_noted_facts_are_believed_when_all_is_ours() -> None:
    """After a start, the operator need not read the Secret."""
    body = good()

    assert facts_of(body) == secret.facts_noted(body["metadata"])


def entry(fields: dict[str, Any], *, manager: str = "kubectl-edit", operation: str = "Update") -> dict[str, Any]:
    """An entry of `managedFields`."""
    return {**OTHER, "manager": manager, "operation": operation, "fieldsV1": fields}


def ours_without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    """Our entry of `managedFields`, less one field that somebody took away from us."""
    mine: dict[str, Any] = json.loads(json.dumps(entry_of_ours("type", "data", "metadata", body=body)))
    parent = mine["fieldsV1"]
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return mine


def noted(*entries: Callable[[dict[str, Any]], dict[str, Any]]) -> Facts | None:
    """Judge a good Secret by other `managedFields`."""
    body = good()
    return secret.facts_noted(body["metadata"] | {"managedFields": [made(body) for made in entries]})


def split(*sections: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An entry of ours for a part of the object."""
    return lambda body: entry_of_ours(*sections, body=body)


def without(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Our entry, less one field."""
    return lambda body: ours_without(body, *path)


def foreign(fields: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Somebody else's entry."""
    return lambda _: entry(fields)


def bundle_alone(_: dict[str, Any]) -> dict[str, Any]:
    """Our entry for `ca.crt` alone, as a write of another kind makes it."""
    return entry({"f:data": {"f:ca.crt": {}}}, manager=labels.FIELD_MANAGER, operation="Apply")


ALL_OURS = split("type", "data", "metadata")


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((ALL_OURS,), id="ours whole"),
        pytest.param((split("type", "data"), split("metadata")), id="ours in two"),
        pytest.param((split("metadata"), split("type"), split("data")), id="ours in three"),
        pytest.param((without("f:data", "f:ca.crt"), bundle_alone), id="ours in two, data in both"),
        pytest.param((ALL_OURS, foreign({"f:metadata": {"f:labels": {"f:team": {}}}})), id="another's label"),
        pytest.param((ALL_OURS, foreign({"f:metadata": {"f:annotations": {"f:note": {}}}})), id="another's annotation"),
        pytest.param((ALL_OURS, foreign({"f:data": {"f:note": {}}})), id="another's key"),
        pytest.param((ALL_OURS, foreign({"f:data": {"f:tls.crt": {}}})), id="applied by another to the same value"),
        pytest.param((foreign({}), ALL_OURS), id="an empty entry"),
        pytest.param((without("f:metadata", "f:labels"), foreign({"f:metadata": {"f:labels": {}}})), id="labels taken"),
    ],
)
def test_noted_facts_are_believed(entries: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]) -> None:
    """What we still own is as we wrote it: an update takes a changed field away from the manager that had it."""
    assert noted(*entries) is not None


TAKEN: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{labels.FACTS}": {}}}}


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((), id="nobody's"),
        pytest.param((foreign({"f:data": {"f:tls.crt": {}}, "f:type": {}}),), id="another's whole"),
        pytest.param((without("f:data", "f:tls.crt"), foreign({"f:data": {"f:tls.crt": {}}})), id="tls.crt taken"),
        pytest.param((without("f:data", "f:tls.key"), foreign({"f:data": {"f:tls.key": {}}})), id="tls.key taken"),
        pytest.param((without("f:data", "f:ca.crt"),), id="ca.crt removed"),
        pytest.param((without("f:data"),), id="all data removed"),
        pytest.param((without("f:type"),), id="type"),
        pytest.param((without("f:metadata", "f:annotations", f"f:{labels.FACTS}"), foreign(TAKEN)), id="facts taken"),
        pytest.param((without("f:metadata", "f:annotations", f"f:{labels.OWNED}"),), id="what is owned, taken"),
        pytest.param((without("f:metadata", "f:annotations", f"f:{labels.IDENTITY_UID}"),), id="uid taken"),
        pytest.param((ALL_OURS, foreign({"f:immutable": {}})), id="made immutable by another"),
        pytest.param((split("data", "metadata"), foreign({"f:type": {}})), id="made anew by another"),
    ],
)
def test_noted_facts_are_not_believed(entries: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]) -> None:
    """If somebody changed after us what the facts are about, the operator reads the Secret."""
    assert noted(*entries) is None


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({labels.FACTS: None}, id="no facts"),
        pytest.param({labels.FACTS: "{"}, id="no JSON"),
        pytest.param({labels.FACTS: "{}"}, id="facts of another form"),
        pytest.param({labels.OWNED: None}, id="nothing is said to be ours"),
        pytest.param({labels.OWNED: "[]"}, id="of another form"),
        pytest.param({labels.OWNED: json.dumps({"data": ["tls.crt"]})}, id="not all files are said to be ours"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_not_believed(annotations: dict[str, str | None]) -> None:
    """The body is read, and the annotation written anew."""
    body = merged(good(), {"metadata": {"annotations": annotations}})

    assert secret.facts_noted(body["metadata"]) is None


# Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """An ownerReference, as far as it matters."""

    kind: str = labels.IDENTITY_KIND
    uid: str = UID
    version: str = labels.API_VERSION

    def written(self) -> dict[str, Any]:
        """Write it as the API does."""
        return {"apiVersion": self.version, "kind": self.kind, "name": "orders", "uid": self.uid}


def test_metadata_of_a_secret_of_ours() -> None:
    """The metadata say whose it is, and which parts are ours."""
    body = good(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}})
    found = secret.parse(body["metadata"])
    expected = Owned(
        labels=("app.kubernetes.io/managed-by", "mutualtls.dev/authority", "mutualtls.dev/part", "team"),
        annotations=("mutualtls.dev/identity-name", "mutualtls.dev/identity-uid", "note"),
        data=("ca.crt", "tls.crt", "tls.key"),
    )

    assert (UID, "orders") == (found.identity_uid, found.identity_name)
    assert ("default", NOW) == (found.authority, found.created)
    assert expected == found.owned
    assert () == found.other_owners


BARE = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-02T03:04:05Z"}


def test_metadata_of_anothers_secret() -> None:
    """Nothing of it is ours, and its managers say whose it is."""
    entries = [entry({}, manager="helm"), entry({}, manager="argo"), entry({}, manager="helm")]
    found = secret.parse({**BARE, "managedFields": entries})

    assert (None, None, Owned()) == (found.identity_uid, found.authority, found.owned)
    assert "argo, helm" == found.manager


@pytest.mark.parametrize(
    ("metadata", "manager"),
    [
        pytest.param({"labels": {labels.MANAGED_BY: "Helm"}, "managedFields": [entry({})]}, "Helm", id="by its label"),
        pytest.param({"managedFields": [entry({})]}, "kubectl-edit", id="by its managers"),
        pytest.param(
            {"labels": {labels.MANAGED_BY: labels.FIELD_MANAGER}, "managedFields": [entry({})]},
            "kubectl-edit",
            id="by its managers, as the label is ours",
        ),
        pytest.param(
            {"managedFields": [entry({}), entry({}, manager=labels.FIELD_MANAGER)]},
            "kubectl-edit",
            id="by its managers but us",
        ),
        pytest.param({"managedFields": [{"operation": "Update"}]}, "somebody unknown", id="by a manager without name"),
        pytest.param({}, "somebody unknown", id="by nothing"),
    ],
)
def test_whose_a_secret_is(metadata: dict[str, Any], manager: str) -> None:
    """Users can find out."""
    assert manager == secret.parse(BARE | metadata).manager


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"labels": {"theirs": "x"}}, True, id="another's label"),
        pytest.param({"annotations": {"theirs": "x"}}, True, id="another's annotation"),
        pytest.param({"annotations": {labels.FACTS: "{}"}}, True, id="facts are judged otherwise"),
        pytest.param({"ownerReferences": [Owner().written(), Owner(kind="Pod").written()]}, True, id="another owner"),
        pytest.param({"labels": {"team": "x"}}, False, id="our label changed"),
        pytest.param({"labels": {labels.PART: None}}, False, id="our label removed"),
        pytest.param({"annotations": {"note": None}}, False, id="our annotation removed"),
        pytest.param({"ownerReferences": []}, False, id="owner removed"),
        pytest.param({"ownerReferences": [Owner(uid="older").written()]}, False, id="owned by a predecessor"),
        pytest.param({"ownerReferences": [Owner(version="other.dev/v1").written()]}, False, id="another's kind"),
    ],
)
def test_the_hash_of_metadata_is_of_what_is_ours(change: dict[str, Any], *, same: bool) -> None:
    """Others may add what they like."""
    body = good(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}})
    before = secret.parse(body["metadata"])
    after = secret.parse(merged(body["metadata"], change))

    assert same is (before.metadata_hash == after.metadata_hash)


def test_the_hash_of_metadata_is_that_of_what_is_wanted() -> None:
    """Otherwise every Secret would be written again at once."""
    o = observed(an_identity(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}}))
    wanted = secret_metadata.metadata_hash(o.wanted.labels, o.wanted.annotations, o.wanted.owner_uid)

    assert wanted == secret.parse(secret_of(o)["metadata"]).metadata_hash


def test_owners_that_are_no_identities_are_kept() -> None:
    """A merge patch replaces the whole list."""
    pod = Owner(kind="Pod").written()
    body = merged(good(), {"metadata": {"ownerReferences": [pod, Owner(uid="older").written()]}})

    assert (pod,) == secret.parse(body["metadata"]).other_owners


def test_two_versions_of_one_object_differ_in_version_only() -> None:
    """The store tells them apart by it."""
    body = good()
    again = as_stored(body)

    assert facts_of(body) == facts_of(again)
    assert secret.parse(body["metadata"]).resource_version != secret.parse(again["metadata"]).resource_version
    assert timedelta() < facts_of(body).not_after - facts_of(body).not_before
    assert RSA != facts_of(body).key


# A key that is to be kept


@functools.cache
def leaf_with(kind: KeyType, number: int = 0) -> x509.Certificate:
    """A leaf of a key."""
    life = times.validity(NOW, DAY)
    return issue.leaf(key(kind, number).public_key(), default_signer().issuing, names=NAMES, usages=(), validity=life)


def recorded(kind: KeyType, *, leaf: int = 0, of_key: int = 0) -> CertificateStatus:
    """What the status records of a leaf, and of a key."""
    return CertificateStatus(
        serial_number="1",
        fingerprint=leaf_with(kind, leaf).fingerprint(hashes.SHA256()).hex(),
        public_key_hash=keys.public_key_hash(key(kind, of_key).public_key()),
        not_before="",
        not_after="",
        renewal_time="",
        issuer_key_id="",
    )


def data_of(kind: KeyType, encoding: Encoding = Encoding.PKCS8, *, leaf: int = 0, of_key: int = 0) -> dict[str, str]:
    """Key and leaf as a Secret holds them."""
    files = {"tls.key": keys.to_pem(key(kind, of_key), encoding), "tls.crt": certificates.to_pem(leaf_with(kind, leaf))}
    return encoded(**files)


KEPT = [
    pytest.param(P256, Encoding.PKCS8, P256, True, id="as it was"),
    pytest.param(P256, Encoding.SEC1, P256, True, id="in another encoding"),
    pytest.param(RSA, Encoding.PKCS1, RSA, True, id="RSA"),
    pytest.param(ED25519, Encoding.PKCS8, ED25519, True, id="Ed25519"),
    pytest.param(P256, Encoding.PKCS8, P384, False, id="another size is asked for"),
    pytest.param(P256, Encoding.PKCS8, RSA, False, id="another algorithm is asked for"),
]


@pytest.mark.parametrize(("kind", "encoding", "asked", "is_kept"), KEPT)
@pytest.mark.parametrize("beside", [{}, {"ca.crt": "bm8="}, {"ca.crt": None}])
def test_a_key_is_kept_that_is_recorded_and_fits(
    kind: KeyType, encoding: Encoding, asked: KeyType, beside: dict[str, Any], *, is_kept: bool
) -> None:
    """It does not matter what is beside it."""
    body = {"data": data_of(kind, encoding) | beside}
    kept = facts.kept_key(body, recorded=recorded(kind), kind=asked)

    assert is_kept is (kept is not None)
    assert kept is None or kept.public_key() == key(kind, 0).public_key()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no Secret"),
        pytest.param({"data": {}}, id="no key"),
        pytest.param({"data": data_of(P256) | {"tls.key": ""}}, id="empty"),
        pytest.param({"data": data_of(P256) | {"tls.key": "?"}}, id="not base64"),
        pytest.param({"data": data_of(P256) | {"tls.key": "bm8="}}, id="not a key"),
        pytest.param({"data": data_of(P256, of_key=1)}, id="another"),
        pytest.param({"data": data_of(P256, leaf=1, of_key=1)}, id="another, with its leaf"),
        pytest.param({"data": data_of(P256, leaf=1)}, id="another leaf"),
        pytest.param({"data": data_of(P256) | {"tls.crt": ""}}, id="no leaf"),
        pytest.param({"data": data_of(P256) | {"tls.crt": "bm8="}}, id="nothing like a leaf"),
    ],
)
def test_a_key_that_is_not_the_recorded_one_is_not_kept(body: dict[str, Any]) -> None:
    """It may be known to others, or be none."""
    assert facts.kept_key(body, recorded=recorded(P256), kind=P256) is None


@pytest.mark.parametrize("is_tiered", [True, False])
def test_a_leaf_must_be_signed_by_the_ca_that_it_names(*, is_tiered: bool) -> None:
    """Otherwise a CA with the same key id could have a key of its own recorded."""
    signer, forger = default_signer().issuing, key(P256, 9)
    own = issue.CA(certificate=signer.certificate, key=forger)
    leaf = issue.leaf(
        key().public_key(), own, names=NAMES, usages=(Usage.SERVER_AUTH,), validity=times.validity(NOW, DAY)
    )
    body = good()
    chain = certificates.to_pem(leaf, *([signer.certificate] if is_tiered else []))
    body["data"] |= encoded(**{"tls.key": keys.to_pem(key(), Encoding.PKCS8), "tls.crt": chain})
    key_id = certificates.key_id(signer.certificate)

    assert isinstance(facts.read(body, issuers={key_id: signer.certificate}), Damage)
    assert is_tiered is isinstance(facts.read(body), Damage)
    assert isinstance(facts.read(good(), issuers={key_id: signer.certificate}), Facts)
