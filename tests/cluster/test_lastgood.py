"""A spec that cannot be read changes nothing: the last good one counts, and the condition says so."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.clusters.operators import NAMESPACE, wait_until
from support.authority import AnAuthority
from support.world import World

COPY = "roots.of.ours"
TYPO = {"permits": [{"namespaceSelector": {}, "dnsNames": ["xn--a.example.com"]}]}
"""What the schema takes, and nobody can read."""


@pytest.fixture
def authority(world: World) -> AnAuthority:
    """An authority of the test's own, whose bundle goes into its namespace, and which permits names."""
    made = AnAuthority(world=world, name=f"of-{world.namespace}")
    made.apply(**_good(world))
    made.issue("orders")
    wait_until(lambda: _copy(world), "the bundle is published")
    return made


def _good(world: World, **more: Any) -> dict[str, Any]:
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    permit = {"namespaceSelector": here, "dnsNames": ["*.example.com"]}
    config_map = {"name": COPY, "namespaceSelector": here}
    return {"trust": {"configMap": config_map, "clusterTrustBundle": False}, "permits": [permit]} | more


def _copy(world: World) -> dict[str, Any]:
    return world.get("configmap", COPY) or {}


def _wait_invalid(authority: AnAuthority) -> str:
    """Wait until the authority tells that its spec of now cannot be read, and return what it says."""

    def is_told() -> bool:
        body = authority.world.get("mtlsca", authority.name) or {}
        ready = authority.condition("Ready")
        is_new = ready.get("observedGeneration") == body["metadata"]["generation"]
        return bool(is_new and ready["reason"] == "InvalidSpec")

    wait_until(is_told, "the authority tells that its spec cannot be read")
    return str(authority.condition("Ready")["message"])


def _kept(authority: AnAuthority) -> dict[str, Any]:
    """Read the spec that is kept; empty where there is none."""
    name = f"mutualtls-ledger.{authority.name}.spec"
    body = authority.world.client.get("configmap", name, namespace=NAMESPACE) or {}
    return dict(json.loads(body["data"]["spec.json"])) if body else {}


def test_a_typo_in_a_permit_takes_nothing_away(world: World, authority: AnAuthority) -> None:
    """The bundle stays the same object; existing identities are renewed, and new ones wait."""
    before, serial = _copy(world), world.serial("orders")
    authority.apply(**_good(world, **TYPO))
    message = _wait_invalid(authority)
    assert "spec.permits[0].dnsNames[0]: not a DNS name" in message
    assert "the last spec that could be read counts" in message

    world.apply("billing", authority=authority.name)
    waits = world.wait_reason("billing", "AuthorityNotReady")["message"]
    assert f"new certificates wait until the spec of authority {authority.name} can be read" in waits
    world.apply("orders", authority=authority.name, annotations={"mutualtls.dev/reissue": serial})
    world.wait_reissued("orders", serial)
    world.delete("secret", "orders-mtls")
    wait_until(lambda: world.get("secret", "orders-mtls"), "a deleted Secret is made anew")
    _assert_same(world, before, authority)

    assert world.operator.stop()
    world.operator.start()
    authority.apply(**_good(world, **TYPO, suspend=True))
    _wait_invalid(authority)
    world.client.delete("secret", "orders-mtls", namespace=world.namespace)
    assert "is suspended" in world.wait_reason("orders", "Suspended")["message"]
    _assert_same(world, before, authority)

    authority.apply(**_good(world))
    world.wait_ready("orders", "billing")
    _assert_same(world, before, authority)


def _assert_same(world: World, before: dict[str, Any], authority: AnAuthority) -> None:
    """The copy is the very object, with the same roots; there is no other; and what is kept is the good spec."""
    now = _copy(world)
    assert (before["metadata"]["uid"], before["data"]) == (now["metadata"]["uid"], now["data"])
    assert world.client.get("clustertrustbundle", f"mutualtls.dev:{authority.name}:bundle") is None
    assert [["*.example.com"]] == [permit["dnsNames"] for permit in _kept(authority)["permits"]]


@pytest.mark.further
def test_a_root_that_is_compromised_is_replaced_under_a_spec_that_cannot_be_read(authority: AnAuthority) -> None:
    """It does not matter what else is wrong."""
    authority.apply(**_good(authority.world, **TYPO))
    _wait_invalid(authority)
    authority.order("compromised", authority.fingerprint("root 1"))
    wait_until(lambda: authority.states().get("root 2") == "Active", "another root signs", deadline_s=60)
    wait_until(lambda: "root 1" not in authority.states(), "the first is gone", deadline_s=60)

    assert {authority.fingerprint("root 2")} == authority.bundle("orders")


@pytest.mark.further
def test_a_kept_spec_that_was_deleted_is_kept_again(world: World, authority: AnAuthority) -> None:
    """An operator that knows it keeps it again from memory; one that does not removes nothing."""
    authority.apply(**_good(world, **TYPO))
    _wait_invalid(authority)
    before, name = _copy(world), f"mutualtls-ledger.{authority.name}.spec"
    world.client.delete("configmap", name, namespace=NAMESPACE)
    authority.annotate("example.com/look", "again")
    wait_until(lambda: _kept(authority), "it is kept again")

    assert world.operator.stop()
    world.client.delete("configmap", name, namespace=NAMESPACE)
    world.operator.start()
    said = "there is no earlier spec that counts: nothing is signed, and nothing is removed"
    wait_until(lambda: said in authority.condition("Ready")["message"], "nothing is known of a good spec")
    world.apply("billing", authority=authority.name)
    world.wait_reason("billing", "AuthorityNotReady")
    now = _copy(world)
    assert (before["metadata"]["uid"], before["data"]) == (now["metadata"]["uid"], now["data"])


@contextlib.contextmanager
def _older_crd(world: World) -> Iterator[None]:
    """Have a CRD that takes another usage, for as long as the block lasts."""
    usages = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/usages/items/enum"
    patch = ("patch", "crd", "mutualtlsidentities.mutualtls.dev", "--type=json", "--patch")
    world.cluster.kubectl(*patch, json.dumps([{"op": "add", "path": f"{usages}/-", "value": "sign code"}]))
    yield
    world.cluster.kubectl(*patch, json.dumps([{"op": "remove", "path": f"{usages}/2"}]))


def test_an_identity_whose_stored_spec_does_not_fit_stays_as_it_is(world: World, authority: AnAuthority) -> None:
    """It keeps its authority and gets no roots of another; its certificate is renewed by the last good spec."""
    before, names = world.files("orders-mtls")["ca.crt"], _names(world)
    spec = {"authority": authority.name, "usages": ["sign code"], "secret": {"name": "another"}}
    serial = world.serial("orders")

    def is_taken() -> bool:
        manifest = world.manifest("orders", annotations={"mutualtls.dev/reissue": serial}, **spec)
        said = world.kubectl("apply", "--filename", "-", stdin=manifest, check=False)
        return "Unsupported value" not in said

    with _older_crd(world):
        wait_until(is_taken, "the older CRD takes it")
    condition = world.wait_reason("orders", "InvalidSpec")
    assert "spec.usages[0]: sign code is not one of client auth, server auth" in condition["message"]
    world.wait_reissued("orders", serial)

    status = world.status("orders")
    assert (authority.name, "orders-mtls") == (status["authority"], status["secretName"])
    assert (before, names) == (world.files("orders-mtls")["ca.crt"], _names(world))
    assert world.get("secret", "another") is None
    assert ("True", "True") == (world.condition("orders")["status"], world.condition("orders", "Stalled")["status"])
    assert ("Warning", "InvalidSpec") in world.events("orders")


def _names(world: World) -> str:
    """Read what the facts say of the names of the certificate."""
    body = world.get("secret", "orders-mtls") or {}
    return str(json.loads(body["metadata"]["annotations"]["mutualtls.dev/facts"])["namesHash"])


def test_check_tells_before_apply_what_an_authority_would_take_away(
    world: World, authority: AnAuthority, tmp_path: Path
) -> None:
    """It names identities and copies of the bundle that would go, and nothing of what stays."""
    world.apply("edge", authority=authority.name, dnsNames=["api.example.com"])
    world.wait_ready("edge")
    good = _check(world, tmp_path, authority, _good(world))
    narrow = _check(world, tmp_path, authority, {"trust": {"clusterTrustBundle": False}})

    assert (0, [f"authority {authority.name}: ok, compared with the one that there is"]) == good
    assert 1 == narrow[0]
    assert [
        f"authority {authority.name}: ok, compared with the one that there is",
        f"  configmap {world.namespace}/{COPY}: would be deleted",
        f"identity {world.namespace}/edge: would be refused (NotPermitted) and is not yet",
    ] == narrow[1][:3]
    assert narrow[1][3].startswith("  spec.dnsNames[0]: api.example.com is not permitted")
    assert 4 == len(narrow[1])


def _check(world: World, folder: Path, authority: AnAuthority, spec: dict[str, Any]) -> tuple[int, list[str]]:
    head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": authority.name}}
    file = folder / "authority.yaml"
    file.write_text(yaml.safe_dump(head | {"spec": spec}))
    options = ["--cluster", "--kubeconfig", str(world.cluster.kubeconfig())]
    command = [sys.executable, "-m", "mutualtls", "check", *options, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()
