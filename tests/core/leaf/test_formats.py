"""Further files: what is in them, what is recorded of them, and when they are written again."""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.bundles import bundle
from mutualtls.core.leaf import facts, formats, passwords, plan, render, secret
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Action, Observed
from mutualtls.core.model import labels
from mutualtls.core.model.labels import FILES
from mutualtls.core.pki import keys
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason
from support.builders import (
    KEY_TYPES,
    OTHER,
    PASSWORD,
    PKCS12,
    READABLE,
    acted,
    an_identity,
    decide,
    decoded,
    default_signer,
    entry_of_ours,
    issued,
    known,
    merged,
    observed,
    other_signer,
    secret_of,
    swept_later,
)
from support.formats import ALL, FURTHER, Change, of_body, spec_of, unchanged, with_bundle, with_password


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        pytest.param({}, set(), id="none"),
        pytest.param({"combinedPEM": {}}, {"tls.pem"}, id="combinedPEM"),
        pytest.param({"der": {}}, {"key.der", "tls.der"}, id="der"),
        pytest.param({"pkcs12": PKCS12}, {"keystore.p12", "truststore.p12"}, id="pkcs12"),
        pytest.param(ALL, FURTHER, id="all"),
    ],
)
def test_each_format_has_its_files(asked: dict[str, Any], names: set[str]) -> None:
    """They have the promised names, and no others."""
    _, files = issued(observed(an_identity(formats=asked)))

    assert names == set(formats.names(spec_of(**asked))) == set(files.further)


# What is in them

FORMS = [
    pytest.param(kind, encoding, id=f"{kind} as {encoding}")
    for kind, encoding in itertools.product(KEY_TYPES, Encoding)
    if encoding in {"ECDSA": ("PKCS8", "SEC1"), "RSA": ("PKCS8", "PKCS1")}.get(kind.algorithm, ("PKCS8",))
]


@pytest.mark.parametrize(("kind", "encoding"), FORMS)
def test_every_key_is_written_in_every_format(kind: KeyType, encoding: Encoding) -> None:
    """It is the key of the certificate, in the requested encoding where there is a choice."""
    form = {"algorithm": kind.algorithm.value, "size": kind.size, "encoding": encoding.value}
    if kind.algorithm == "Ed25519":
        del form["size"]
    o = observed(an_identity(formats=ALL, privateKey=form))
    _, files = issued(o)
    leaf, issuing = x509.load_pem_x509_certificates(files.chain)
    store = pkcs12.load_pkcs12(files.further["keystore.p12"], PASSWORD)
    der = files.further["key.der"]

    assert files.key + files.chain == files.further["tls.pem"]
    assert keys.from_pem(files.key).public_key() == leaf.public_key()
    assert (
        serialization.load_pem_private_key(files.key, None).private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8
            if encoding is Encoding.PKCS8
            else serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        == der
    )
    assert leaf == x509.load_der_x509_certificate(files.further["tls.der"])
    assert store.key is not None
    assert leaf.public_key() == store.key.public_key()
    assert store.cert is not None
    assert (leaf, b"orders") == (store.cert.certificate, store.cert.friendly_name)
    assert [issuing] == [other.certificate for other in store.additional_certs]


def openssl(file: Path, *more: str) -> str:
    """Have OpenSSL read a store, and return all that it says."""
    command = ["openssl", "pkcs12", "-in", str(file), "-info", "-passin", "stdin", *more]
    done = subprocess.run(command, input=PASSWORD, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


def saved(folder: Path, of: Observed) -> Path:
    """Write the further files into a folder."""
    _, files = issued(of)
    for name, content in files.further.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        pytest.param("Modern", ("PBES2, PBKDF2, AES-256-CBC", "PRF hmacWithSHA256", "MAC: sha256"), id="Modern"),
        pytest.param("Legacy", ("pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"), id="Legacy"),
    ],
)
def test_stores_are_encrypted_as_the_profile_says(tmp_path: Path, profile: str, said: tuple[str, ...]) -> None:
    """OpenSSL confirms the encryption."""
    folder = saved(tmp_path, observed(an_identity(formats={"pkcs12": PKCS12 | {"profile": profile}})))
    for file in ("keystore.p12", "truststore.p12"):
        text = openssl(folder / file, "-noout")

        assert [] == [words for words in said if words not in text]


def test_java_trusts_every_root_of_the_trust_store(tmp_path: Path) -> None:
    """Each has Oracle's attribute, without which Java passes over it, and a name of its own."""
    roots = bundle.merge(default_signer().trust.bundle.decode() + other_signer().trust.bundle.decode() for _ in "a")
    trust = replace(default_signer().trust, bundle=roots)
    text = openssl(saved(tmp_path, observed(an_identity(formats=ALL), trust=trust)) / "truststore.p12", "-nokeys")
    names = [line for line in text.splitlines() if "friendlyName: ca-" in line]

    assert 2 == text.count("2.16.840.1.113894.746875.1.1") == text.count("BEGIN CERTIFICATE") == len(set(names))


def test_a_key_store_holds_no_root(tmp_path: Path) -> None:
    """A peer need not send what the other side must have."""
    text = openssl(saved(tmp_path, observed(an_identity(formats=ALL))) / "keystore.p12", "-nokeys")

    assert 2 == text.count("BEGIN CERTIFICATE")


def test_nothing_secret_is_recorded_or_shown() -> None:
    """Annotations and reprs hold nothing secret."""
    o = observed(an_identity(formats=ALL))
    made, files = issued(o)
    body = render.secret(o.identity, o.wanted, made, files)
    opened = passwords.StorePassword(version="1", password=PASSWORD)
    shown = json.dumps(body["metadata"]) + repr(files) + repr(opened) + repr(o) + repr(made)

    assert PASSWORD.decode() not in shown
    assert "PRIVATE" not in shown
    assert "stores" not in json.dumps(body["metadata"])


# When they are written anew


def asking(**asked: Any) -> Change:
    """Ask for other formats."""

    def ask(o: Observed) -> Observed:
        of = an_identity(formats=asked)
        return replace(o, identity=of, password=READABLE if "pkcs12" in asked else None)

    return ask


STEPS = [
    pytest.param({}, unchanged, None, set(), id="none"),
    pytest.param(ALL, unchanged, None, FURTHER, id="nothing changed"),
    pytest.param({}, asking(**ALL), Reason.FORMATS_CHANGED, FURTHER, id="added"),
    pytest.param(ALL, asking(), Reason.FORMATS_CHANGED, set(), id="taken away"),
    pytest.param(ALL, asking(der={}), Reason.FORMATS_CHANGED, {"key.der", "tls.der"}, id="two taken away"),
    pytest.param(
        {"pkcs12": PKCS12},
        asking(pkcs12=PKCS12 | {"profile": "Legacy"}),
        Reason.FORMATS_CHANGED,
        {"keystore.p12", "truststore.p12"},
        id="another profile",
    ),
    pytest.param(ALL, with_password(version="uid-of-stores/8"), Reason.FORMATS_CHANGED, FURTHER, id="another password"),
    pytest.param(
        {"pkcs12": PKCS12},
        asking(pkcs12={"passwordSecretRef": {"name": "stores", "key": "other"}}),
        Reason.FORMATS_CHANGED,
        {"keystore.p12", "truststore.p12"},
        id="another key of its Secret",
    ),
    pytest.param(ALL, with_bundle, Reason.BUNDLE_OUTDATED, FURTHER, id="another bundle"),
    pytest.param(
        {"der": {}}, with_bundle, Reason.BUNDLE_OUTDATED, {"key.der", "tls.der"}, id="another bundle, no store"
    ),
]


@pytest.mark.parametrize(("before", "change", "reason", "names"), STEPS)
def test_formats_follow_the_spec(
    before: dict[str, Any], change: Change, reason: Reason | None, names: set[str]
) -> None:
    """One write changes them, with the existing key and leaf; files of others stay."""
    o = observed(an_identity(formats=before))
    body = merged(secret_of(o), {"data": {"theirs": "eWVz", "tls.pfx": "eWVz"}})
    o = change(of_body(o, body))
    decision = decide(o)
    if reason is None:
        assert Action.NOTHING is decision.action
        return
    after = acted(o, body, decision)

    assert reason is decision.reason
    assert {*FILES, *names, "theirs", "tls.pfx"} == set(after["data"])
    assert {name: body["data"][name] for name in ("tls.key", "tls.crt", "theirs")}.items() <= after["data"].items()
    assert o.trust.bundle == decoded(after)["ca.crt"]
    assert {*FILES, *names} == set(secret.parse(after["metadata"]).owned.data)
    assert Action.NOTHING is decide(of_body(o, after)).action
    assert facts.read(after) == secret.facts_noted(after["metadata"])


def test_a_bundle_is_written_into_the_trust_store_too() -> None:
    """The store has all its roots, in the same write."""
    o = observed(an_identity(formats=ALL))
    body = secret_of(o)
    o = with_bundle(of_body(o, body))
    store = pkcs12.load_pkcs12(decoded(acted(o, body, decide(o)))["truststore.p12"], PASSWORD)

    assert set(x509.load_pem_x509_certificates(o.trust.bundle)) == {one.certificate for one in store.additional_certs}


def test_formats_follow_a_new_leaf() -> None:
    """They are of the same write."""
    o = observed(an_identity(formats=ALL))
    body = secret_of(o)
    o = of_body(replace(o, now=known(body).verified), body)
    o = swept_later(replace(o, now=o.facts.not_after))
    after = acted(o, body, decide(o))
    leaf = x509.load_pem_x509_certificate(decoded(after)["tls.crt"])

    assert leaf.fingerprint(hashes.SHA256()).hex() == facts_of(after).fingerprint
    assert leaf == x509.load_der_x509_certificate(decoded(after)["tls.der"])
    assert Action.NOTHING is decide(of_body(o, after)).action


def facts_of(body: dict[str, Any]) -> Facts:
    """Read facts, which must be good."""
    found = facts.read(body)
    assert isinstance(found, Facts)
    return found


@pytest.mark.parametrize("name", sorted(FURTHER))
@pytest.mark.parametrize(
    "content", [pytest.param(None, id="gone"), pytest.param("bm8=", id="other"), pytest.param("?", id="not base64")]
)
def test_damage_to_a_further_file_is_found_and_mended(name: str, content: str | None) -> None:
    """Reading the Secret finds it, whoever did it; key and leaf stay."""
    o = observed(an_identity(formats=ALL))
    body = secret_of(o)
    harmed = merged(body, {"data": {name: content}})
    o = of_body(o, harmed)
    decision = decide(o)
    after = acted(o, harmed, decision)

    assert (Reason.FORMATS_DAMAGED, Action.WRITE_FORMATS) == (decision.reason, decision.action)
    assert Reason.FORMATS_DAMAGED in plan.MENDED
    assert {file: body["data"][file] for file in FILES} == {file: after["data"][file] for file in FILES}
    assert Action.NOTHING is decide(of_body(o, after)).action


@pytest.mark.parametrize("name", sorted(FURTHER))
def test_another_writer_of_a_further_file_is_noticed(name: str) -> None:
    """The managedFields show it without reading the Secret."""
    body = secret_of(observed(an_identity(formats=ALL)))
    ours = entry_of_ours("type", "data", "metadata", body=body)
    del ours["fieldsV1"]["f:data"][f"f:{name}"]
    theirs = {**OTHER, "fieldsV1": {"f:data": {f"f:{name}": {}}}}

    assert secret.facts_noted(body["metadata"]) is not None
    assert secret.facts_noted(body["metadata"] | {"managedFields": [ours, theirs]}) is None


def test_files_of_formats_that_nobody_asked_for_are_left_alone() -> None:
    """They are somebody else's."""
    o = observed(an_identity())
    body = merged(secret_of(o), {"data": dict.fromkeys(FURTHER, "eWVz")})

    assert Action.NOTHING is decide(of_body(o, body)).action


def test_secrets_without_formats_are_annotated_as_before_there_were_any() -> None:
    """Otherwise an upgrade would write them all."""
    body = secret_of(observed(an_identity()))

    assert "further" not in json.loads(body["metadata"]["annotations"][labels.FACTS])


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param({labels.FACTS: None}, id="facts removed"),
        pytest.param({labels.FACTS: "?"}, id="facts overwritten"),
        pytest.param({labels.OWNED: None}, id="owned removed"),
        pytest.param({labels.FACTS: None, labels.OWNED: None}, id="both removed"),
    ],
)
def test_what_was_recorded_and_lost_is_written_anew(harm: dict[str, Any]) -> None:
    """This takes several steps, none of them for a new key."""
    o = observed(an_identity(formats=ALL))
    first = secret_of(o)
    body = merged(first, {"metadata": {"annotations": harm}})
    for _ in range(3):
        o = of_body(o, body)
        decision = decide(o)
        if decision.action is Action.NOTHING:
            break
        body = acted(o, body, decision)

    assert Action.NOTHING is decision.action
    assert first["data"]["tls.crt"] == body["data"]["tls.crt"]
    assert {*FILES, *FURTHER} == set(secret.parse(body["metadata"]).owned.data)
    assert facts.read(body) == secret.facts_noted(body["metadata"])
