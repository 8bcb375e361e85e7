"""Every kind of key and file: formats and their password, slow keys, wildcards, kept keys, and what the spec drops."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from devtools.clusters import clusters, operators
from devtools.clusters.operators import wait_until
from support import rival, verify
from support.stores import PASSWORD, PKCS12, opened, put_password
from support.world import World

ALL: dict[str, Any] = {"combinedPEM": {}, "der": {}, "pkcs12": PKCS12}
FILES = {"tls.key", "tls.crt", "ca.crt"}
FURTHER = {"tls.pem", "key.der", "tls.der", "keystore.p12", "truststore.p12"}
WORKERS = 16
"""The default of the settings."""
NEVER = {"rotationPolicy": "Never"}


@pytest.fixture(scope="module")
def sweeping() -> Iterator[World]:
    """A namespace of another cluster, whose operator reads every Secret every 5 s."""
    with clusters.running("sweeping", audit=True) as cluster:
        operators.install(cluster)
        with operators.running(cluster, sweep="5s", first_retry="1s", last_retry="2s") as operator:
            world = World(cluster=cluster, operator=operator, namespace="sweeping")
            cluster.kubectl("create", "namespace", world.namespace)
            body = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "spec": {}}
            authority = yaml.safe_dump(body | {"metadata": {"name": "default"}})
            cluster.kubectl("apply", "--filename", "-", stdin=authority)
            yield world


def same(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """Name the files that are the same before and after."""
    return {name for name in before if before[name] == after.get(name)}


# What is asked for is there


KEYS = [
    pytest.param({}, id="defaults"),
    pytest.param({"algorithm": "ECDSA", "size": 384, "encoding": "SEC1"}, id="P-384 as SEC1"),
    pytest.param({"algorithm": "ECDSA", "size": 521}, id="P-521"),
    pytest.param({"algorithm": "RSA", "encoding": "PKCS1"}, id="RSA 2048 as PKCS1"),
    pytest.param({"algorithm": "RSA", "size": 4096}, id="RSA 4096"),
    pytest.param({"algorithm": "Ed25519"}, id="Ed25519"),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("profile", ["Modern", "Legacy"])
def test_every_format_is_issued_in_two_writes(world: World, key: dict[str, Any], profile: str) -> None:
    """This holds for every type of key, and each format says the same."""
    put_password(world)
    world.apply("orders", privateKey=key, formats=ALL | {"pkcs12": PKCS12 | {"profile": profile}})
    world.wait_ready("orders")
    files = world.files("orders-mtls")
    private = serialization.load_pem_private_key(files["tls.key"], None)
    leaf = x509.load_pem_x509_certificate(files["tls.crt"])

    assert FILES | FURTHER == set(files)
    assert files["tls.key"] + files["tls.crt"] == files["tls.pem"]
    assert private.public_key() == serialization.load_der_private_key(files["key.der"], None).public_key()
    assert leaf == x509.load_der_x509_certificate(files["tls.der"])
    assert opened(files)
    assert world.ISSUANCE == world.counted_writes()


def test_formats_come_and_go_without_a_new_certificate(world: World) -> None:
    """Each change of the spec is one write to the Secret; what is others' stays, whatever it is called."""
    put_password(world)
    world.apply("orders")
    world.wait_ready("orders")
    rival.patch(world, "orders-mtls", {"data": {"theirs": "eWVz", "tls.pfx": "eWVz"}})
    before, writes = world.files("orders-mtls"), world.counted_writes()["patch", "secrets"]
    theirs = {"theirs", "tls.pfx"}

    steps: list[tuple[dict[str, Any], set[str]]] = [
        (ALL, FURTHER),
        ({"der": {}, "pkcs12": PKCS12}, FURTHER - {"tls.pem"}),
        ({"combinedPEM": {}}, {"tls.pem"}),
        ({}, set()),
    ]
    for count, (formats, further) in enumerate(steps, start=1):
        world.apply("orders", formats=formats)
        wait_until(lambda: set(world.files("orders-mtls")) == FILES | theirs | further, f"{further} are there")  # noqa: B023
        world.wait_ready("orders")
        assert FILES | theirs <= same(before, world.files("orders-mtls"))
        assert count == world.counted_writes()["patch", "secrets"] - writes


def test_formats_follow_a_new_certificate(world: World) -> None:
    """They are replaced in the write that brings the certificate."""
    put_password(world)
    world.apply("orders", formats=ALL)
    world.wait_ready("orders")
    before, serial, writes = world.files("orders-mtls"), world.serial("orders"), world.counted_writes()
    world.apply("orders", formats=ALL, dnsNames=[f"other.{world.namespace}.svc"])
    world.wait_reissued("orders", serial)
    after = world.files("orders-mtls")

    assert {"ca.crt"} == same(before, after)
    assert opened(after)
    assert (world.counted_writes() - writes)["patch", "secrets"] == 1


def test_a_wrong_format_is_refused_at_apply(world: World) -> None:
    """The schema also refuses a store without a password."""
    assert "passwordSecretRef: Required value" in world.refused("orders", formats={"pkcs12": {}})
    assert "Unsupported value" in world.refused("orders", formats={"pkcs12": PKCS12 | {"profile": "Old"}})
    reference = {"passwordSecretRef": {"name": "../stores"}}
    assert "passwordSecretRef.name: Invalid value" in world.refused("orders", formats={"pkcs12": reference})


# The password


def test_a_changed_password_brings_new_stores_alone(world: World) -> None:
    """The change is one write; key, certificate and all other files stay, also when the operator starts again."""
    put_password(world)
    world.apply("orders", formats=ALL)
    world.wait_ready("orders")
    before, writes = world.files("orders-mtls"), world.counted_writes()
    put_password(world, "another")
    wait_until(lambda: opened(world.files("orders-mtls"), "another"), "the stores have the new password")
    after = world.files("orders-mtls")
    assert (FILES | FURTHER) - {"keystore.p12", "truststore.p12"} == same(before, after)
    assert {("patch", "secrets"): 1} == dict(world.counted_writes() - writes)

    assert world.operator.stop()
    put_password(world, "a third")
    world.operator.start()
    wait_until(lambda: opened(world.files("orders-mtls"), "a third"), "the stores have the third password")
    writes = world.counted_writes()
    assert world.operator.stop()
    world.operator.start()
    world.apply("next")
    world.wait_ready("next")
    assert writes + world.ISSUANCE == world.counted_writes()


UNUSABLE = [
    pytest.param(None, "", "there is no secret stores with the label mutualtls.dev/part=password", id="absent"),
    pytest.param(PASSWORD, "", "or add the label", id="not labelled"),
    pytest.param("", "password", "or nothing under it", id="empty"),
    pytest.param(b"\xff", "password", "is not text in UTF-8", id="not UTF-8"),
    pytest.param(f"{PASSWORD}\n", "password", "printf, not echo", id="line break"),
]


@pytest.mark.parametrize(("password", "part", "said"), UNUSABLE)
def test_without_a_password_nothing_is_made_until_there_is_one(
    world: World, password: bytes | str | None, part: str, said: str
) -> None:
    """The condition says what to do; the Secret's coming is all that it takes."""
    if password is not None:
        put_password(world, password, part=part)
    world.apply("orders", formats={"pkcs12": PKCS12})
    condition = world.wait_reason("orders", "PasswordMissing")
    assert said in condition["message"]
    assert world.condition("orders", "Stalled")["status"] == "True"
    assert world.get("secret", "orders-mtls") is None
    wait_until(lambda: world.events("orders") == [("Warning", "PasswordMissing")], "it is told once")

    put_password(world)
    world.wait_ready("orders")
    assert opened(world.files("orders-mtls"))


def test_a_password_that_goes_away_is_told_and_changes_no_file(world: World) -> None:
    """It may be deleted, spoiled, or without its label; files come right when it is back."""
    put_password(world)
    world.apply("orders", formats=ALL)
    world.wait_ready("orders")
    before = world.files("orders-mtls")
    harms = (
        ("delete", "secret", "stores"),
        ("label", "secret", "stores", "mutualtls.dev/part-"),
        ("patch", "secret", "stores", "--type=merge", "--patch", '{"data": {"password": ""}}'),
        ("patch", "secret", "stores", "--type=merge", "--patch", '{"data": {"password": null}}'),
    )
    for harm in harms:
        world.kubectl(*harm)
        world.wait_reason("orders", "PasswordMissing")
        assert before == world.files("orders-mtls")
        put_password(world)
        world.wait_ready("orders")
        before = world.files("orders-mtls")
        assert opened(before)


def test_no_password_reaches_a_log_an_event_or_a_status(world: World) -> None:
    """It reaches no annotation, either, whether the operator accepts it or not."""
    password = "Tr0ub4dor-and-3"
    put_password(world, password)
    put_password(world, f"{password}\n", name="spoiled")
    world.apply("orders", formats=ALL)
    world.apply("billing", formats={"pkcs12": {"passwordSecretRef": {"name": "spoiled"}}})
    world.wait_ready("orders")
    world.wait_reason("billing", "PasswordMissing")
    put_password(world, password * 2)
    wait_until(lambda: opened(world.files("orders-mtls"), password * 2), "the stores have the new password")
    seen = [
        world.operator.log.read_text(),
        world.kubectl("get", "events,mtls", "--output", "yaml"),
        json.dumps((world.get("secret", "orders-mtls") or {})["metadata"]),
    ]
    hidden = (password, base64.b64encode(password.encode()).decode()[:16])

    assert [] == [text for text in hidden for where in seen if text in where]


# Damage


@pytest.mark.parametrize("name", sorted(FURTHER))
def test_a_further_file_that_somebody_changed_is_mended(world: World, name: str) -> None:
    """The file comes back at once, and without a new certificate."""
    put_password(world)
    world.apply("orders", formats=ALL)
    world.wait_ready("orders")
    before = world.files("orders-mtls")
    for content in ("bm8gZmlsZQ==", None):
        rival.patch(world, "orders-mtls", {"data": {name: content}})
        wait_until(lambda: world.files("orders-mtls").get(name, b"no file") != b"no file", f"{name} is mended")
        wait_until(lambda: opened(world.files("orders-mtls")), "the stores open")
    after = world.files("orders-mtls")

    assert {*FILES, "tls.pem", "key.der", "tls.der"} <= same(before, after)


def test_a_further_file_that_somebody_keeps_changing_is_left_alone(world: World) -> None:
    """The condition says who does it."""
    world.apply("orders", formats={"combinedPEM": {}})
    world.wait_ready("orders")
    for _ in range(3):
        rival.patch(world, "orders-mtls", {"data": {"tls.pem": "bm8gZmlsZQ=="}})
        wait_until(lambda: world.files("orders-mtls")["tls.pem"] != b"no file", "tls.pem is mended")
    rival.patch(world, "orders-mtls", {"data": {"tls.pem": "bm8gZmlsZQ=="}})
    condition = world.wait_reason("orders", "SecretContested")

    assert condition["message"].startswith("secret orders-mtls was overwritten 3 times since 2")
    assert " by rival; left alone until 2" in condition["message"]


@pytest.mark.further
def test_a_further_file_that_was_changed_behind_our_own_name_is_found_by_the_sweep(sweeping: World) -> None:
    """The sweep reads what managedFields say nothing of."""
    put_password(sweeping)
    sweeping.apply("orders", formats=ALL)
    sweeping.wait_ready("orders")
    before = sweeping.files("orders-mtls")
    harm = dict.fromkeys(FURTHER, "bm8gZmlsZQ==")
    rival.patch(sweeping, "orders-mtls", {"data": harm}, manager="mutualtls-operator")
    wait_until(lambda: b"no file" not in sweeping.files("orders-mtls").values(), "all files are mended")
    after = sweeping.files("orders-mtls")

    assert opened(after)
    assert same(before, after) == (FILES | FURTHER) - {"keystore.p12", "truststore.p12"}


# Slow keys


def test_slow_keys_hold_nobody_up(world: World) -> None:
    """A certificate for ECDSA comes before any worker is done with a key of RSA 8192, of which there are more.

    Were all workers occupied, as many RSA keys as there are more of would be made before it was its turn.
    """
    slow = [f"slow-{number}" for number in range(WORKERS + 4)]
    manifests = [world.manifest(name, privateKey={"algorithm": "RSA", "size": 8192}) for name in slow]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests))
    world.apply("orders")
    world.wait_ready("orders")
    ready = [name for name in slow if world.condition(name).get("status") == "True"]
    world.delete("mtls", *slow)

    assert len(ready) < len(slow) - WORKERS
    world.apply("next")
    world.wait_ready("next")


def test_a_slow_key_does_not_hold_up_the_end(world: World) -> None:
    """The operator ends and leaves the key that it was making."""
    slow = [f"slow-{number}" for number in range(4)]
    manifests = [world.manifest(name, privateKey={"algorithm": "RSA", "size": 8192}) for name in slow]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests))
    world.apply("orders")
    world.wait_ready("orders")

    assert world.operator.stop()
    world.delete("mtls", *slow)


# Names below a Service


def test_a_wildcard_covers_the_pods_of_a_stateful_set(world: World, tmp_path: Path) -> None:
    """It covers each pod by its name below the headless Service, and nothing beside or below that."""
    base = f"db.{world.namespace}.svc"
    world.apply("db", dnsNames=[f"*.{base}", f"*.{base}.cluster.local"])
    world.wait_ready("db")
    files = world.save_files("db-mtls", tmp_path / "files")
    for name in (base, f"db-0.{base}", f"db-12.{base}.cluster.local"):
        for use in ("server", "client"):
            verify.chain(files, name=name, use=use)
    for name in (f"a.db-0.{base}", f"db-0.db.{world.namespace}", f"other.{world.namespace}.svc"):
        assert all(verify.verdicts(files, name=name, use="server").values()), name

    said = subprocess.run(
        ["openssl", "x509", "-in", str(files / "tls.crt"), "-noout", "-checkhost", f"db-0.{base}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "does match certificate" in said.stdout


# Keys that are kept


def applied(world: World, **spec: Any) -> None:
    """Apply `orders` under rotationPolicy Never."""
    world.apply("orders", **{"privateKey": NEVER, **spec})


KEPT = [
    pytest.param({"services": ["orders", "billing"]}, None, True, id="another name"),
    pytest.param({"usages": ["client auth"]}, None, True, id="another usage"),
    pytest.param({"duration": "12h"}, None, True, id="another duration"),
    pytest.param({"privateKey": NEVER | {"encoding": "SEC1"}}, None, True, id="another encoding"),
    pytest.param({"authority": "another"}, None, True, id="another authority"),
    pytest.param({}, {"tls.crt": "bm8gZmlsZQ=="}, False, id="the certificate is damaged"),
    pytest.param({}, {"tls.crt": ""}, False, id="the certificate is emptied"),
    pytest.param({}, {"tls.key": "bm8gZmlsZQ=="}, False, id="the key is damaged"),
    pytest.param({}, {"tls.key": ""}, False, id="the key is emptied"),
    pytest.param({"privateKey": NEVER | {"size": 384}}, None, False, id="another size"),
    pytest.param({"privateKey": NEVER | {"algorithm": "RSA"}}, None, False, id="another algorithm"),
]


@pytest.mark.parametrize(("spec", "damage", "is_kept"), KEPT)
def test_a_key_is_kept_under_never_as_long_as_it_can_be(
    world: World, spec: dict[str, Any], damage: dict[str, Any] | None, *, is_kept: bool
) -> None:
    """A key that is gone or does not fit the spec is replaced by a new one, which is kept from then on."""
    body = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": "another"}}
    world.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(body | {"spec": {}}))
    applied(world)
    world.wait_ready("orders")
    serial, before = world.serial("orders"), public(world)
    if damage is None:
        applied(world, **spec)
    else:
        rival.patch(world, "orders-mtls", {"data": damage})
    world.wait_reissued("orders", serial)
    made = public(world)
    assert is_kept is (made == before)

    serial = world.serial("orders")
    spec = {"privateKey": NEVER, **spec}
    world.apply("orders", annotations={"mutualtls.dev/reissue": serial}, **spec)
    world.wait_reissued("orders", serial)
    assert made == public(world)


def public(world: World) -> str:
    """Read the hash of the public key that `orders` has."""
    key = serialization.load_pem_private_key(world.files("orders-mtls")["tls.key"], None)
    leaf = x509.load_pem_x509_certificate(world.files("orders-mtls")["tls.crt"])
    assert key.public_key() == leaf.public_key()
    return str(world.status("orders")["certificate"]["publicKeyHash"])


def test_a_key_is_kept_under_never_when_its_certificate_is_renewed(world: World) -> None:
    """Each renewal in its time keeps the key."""
    applied(world, duration="1m", renewBefore="50s")
    world.wait_ready("orders")
    before = public(world)
    for _ in range(2):
        world.wait_reissued("orders", world.serial("orders"))
        assert before == public(world)


# What the spec drops


@pytest.mark.further
def test_labels_and_annotations_that_the_spec_drops_go_away_and_others_stay(world: World) -> None:
    """Each key goes by itself, also while the operator is away, and no new certificate is made."""
    world.apply("orders", secret={"labels": {"team": "shop", "tier": "a"}, "annotations": {"note": "one", "more": "1"}})
    world.wait_ready("orders")
    serial = world.serial("orders")
    world.kubectl("annotate", "secret", "orders-mtls", "theirs=yes")

    def ours(part: str) -> dict[str, str]:
        found = (world.get("secret", "orders-mtls") or {})["metadata"][part]
        return {key: value for key, value in found.items() if "/" not in key}

    world.apply("orders", secret={"labels": {"tier": "b"}, "annotations": {"note": "two"}})
    wait_until(lambda: ours("labels") == {"tier": "b"}, "the labels are as asked for")
    assert {"note": "two", "theirs": "yes"} == ours("annotations")

    assert world.operator.stop()
    world.apply("orders")
    world.operator.start()
    wait_until(lambda: ours("labels") == {}, "the labels are gone")
    assert {"theirs": "yes"} == ours("annotations")
    assert serial == world.serial("orders")
