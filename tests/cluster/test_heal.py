"""Secrets that are deleted, damaged, somebody else's, kept or taken over; and an operator that is interrupted."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from devtools.clusters.operators import wait_until
from support import rival
from support.world import World


def test_a_deleted_secret_comes_back(world: World) -> None:
    """It comes back at once, with a new key and an Event."""
    world.apply("orders")
    world.wait_ready("orders")
    serial = world.serial("orders")
    world.delete("secret", "orders-mtls")
    world.wait_reissued("orders", serial)
    wait_until(lambda: world.events("orders"), "the healing is told")

    world.wait_events("orders", ("Normal", "SecretMissing"))


DAMAGES = [
    pytest.param({"tls.crt": "bm8gY2VydGlmaWNhdGU="}, "SecretUnreadable", id="tls.crt is no certificate"),
    pytest.param({"tls.key": "bm8ga2V5"}, "SecretUnreadable", id="tls.key is no key"),
    pytest.param({"ca.crt": None}, "SecretIncomplete", id="ca.crt is gone"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES)
def test_damaged_files_are_made_anew(world: World, damage: dict[str, Any], reason: str) -> None:
    """The Event names whatever is wrong with them."""
    world.apply("orders")
    world.wait_ready("orders")
    serial = world.serial("orders")
    rival.patch(world, "orders-mtls", {"data": damage})
    world.wait_reissued("orders", serial)
    wait_until(lambda: world.events("orders"), "the healing is told")

    world.wait_events("orders", ("Normal", reason))


def test_the_key_of_another_certificate_is_noticed(world: World) -> None:
    """A planted key, valid in itself, is replaced together with the certificate."""
    for name in ("orders", "billing"):
        world.apply(name)
    world.wait_ready("orders", "billing")
    serial = world.serial("orders")
    planted = (world.get("secret", "billing-mtls") or {})["data"]["tls.key"]
    rival.patch(world, "orders-mtls", {"data": {"tls.key": planted}})
    world.wait_reissued("orders", serial)

    assert planted != (world.get("secret", "orders-mtls") or {})["data"]["tls.key"]


def test_a_changed_bundle_is_mended_alone(world: World) -> None:
    """ca.crt is written back; key and certificate stay as they are."""
    world.apply("orders")
    world.wait_ready("orders")
    before = world.files("orders-mtls")
    rival.patch(world, "orders-mtls", {"data": {"ca.crt": "bm8gYnVuZGxl"}})
    wait_until(lambda: world.files("orders-mtls") == before, "the bundle is written back")


def test_a_label_that_was_taken_off_is_put_back(world: World) -> None:
    """The watch sees it as a deletion; the certificate stays."""
    world.apply("orders")
    world.wait_ready("orders")
    serial = world.serial("orders")
    world.kubectl("label", "secret", "orders-mtls", "mutualtls.dev/part-")

    def label() -> object:
        return (world.get("secret", "orders-mtls") or {})["metadata"]["labels"].get("mutualtls.dev/part")

    wait_until(lambda: label() == "files", "the label is back")
    assert serial == world.serial("orders")


def test_a_foreign_edit_that_damages_nothing_changes_nothing(world: World) -> None:
    """Others may label our Secrets and add keys to them."""
    world.apply("orders")
    world.wait_ready("orders")
    before = world.counted_writes()
    rival.patch(world, "orders-mtls", {"data": {"theirs": "eWVz"}, "metadata": {"labels": {"theirs": "yes"}}})
    world.apply("next")
    world.wait_ready("next")

    assert before + world.ISSUANCE == world.counted_writes()
    assert world.files("orders-mtls")["theirs"] == b"yes"


def test_a_secret_of_somebody_else_is_never_touched(world: World) -> None:
    """It is refused with what to do, and taken up when the other Secret is gone."""
    world.kubectl("create", "secret", "generic", "orders-mtls", "--from-literal=theirs=yes")
    before = world.get("secret", "orders-mtls")
    world.apply("orders")
    condition = world.wait_reason("orders", "SecretConflict")
    assert "delete it or set spec.secret.name" in condition["message"]
    assert world.condition("orders", "Stalled")["status"] == "True"
    assert before == world.get("secret", "orders-mtls")

    world.delete("secret", "orders-mtls")
    world.wait_ready("orders")


def test_two_identities_never_share_a_secret(world: World) -> None:
    """The second is refused and named the first; no key is certified for two."""
    world.apply("orders", secret={"name": "shared"})
    world.wait_ready("orders")
    serial = world.serial("orders")
    world.apply("billing", secret={"name": "shared"})
    condition = world.wait_reason("billing", "SecretConflict")

    assert "belongs to identity orders" in condition["message"]
    assert serial == world.serial("orders")


def test_a_secret_goes_with_its_identity(world: World) -> None:
    """Garbage collection deletes it, as deletionPolicy Delete is the default."""
    world.apply("orders")
    world.wait_ready("orders")
    world.delete("mtls", "orders")
    wait_until(lambda: world.get("secret", "orders-mtls") is None, "the secret is collected")


def test_a_retained_secret_stays_and_is_adopted(world: World) -> None:
    """Under Retain it outlives its identity, and a later one of the same name takes it over as it is."""
    world.apply("orders", secret={"deletionPolicy": "Retain"})
    world.wait_ready("orders")
    files = world.files("orders-mtls")
    world.delete("mtls", "orders")
    world.apply("other")
    world.wait_ready("other")
    assert files == world.files("orders-mtls")

    world.apply("orders")
    world.wait_ready("orders")
    metadata = (world.get("secret", "orders-mtls") or {})["metadata"]
    assert files == world.files("orders-mtls")
    assert (world.get("mtls", "orders") or {})["metadata"]["uid"] == metadata["annotations"][
        "mutualtls.dev/identity-uid"
    ]
    assert len(metadata["ownerReferences"]) == 1


def test_a_restart_writes_nothing(world: World) -> None:
    """An operator that finds all as it left it leaves it so."""
    for name in ("orders", "billing", "shipping"):
        world.apply(name)
    world.wait_ready("orders", "billing", "shipping")
    assert world.operator.stop()
    before = world.writes(everywhere=True)
    world.operator.start()
    world.apply("next")
    world.wait_ready("next")
    after = world.writes(everywhere=True)[len(before) :]

    leads = ("create", "events", "")
    """The Event of the Lease, which may come after the identity is ready."""
    assert {("create", "secrets", "next-mtls"), ("patch", "mutualtlsidentities/status", "next")} == {*after} - {leads}
    assert after.count(leads) <= 1


def test_what_happened_while_the_operator_was_away_is_made_good(world: World) -> None:
    """A deleted Secret, a damaged one, a changed spec and a new identity, all found at the start."""
    for name in ("deleted", "damaged", "changed", "untouched"):
        world.apply(name)
    world.wait_ready("deleted", "damaged", "changed", "untouched")
    serials = {name: world.serial(name) for name in ("deleted", "damaged", "changed", "untouched")}
    assert world.operator.stop()
    world.delete("secret", "deleted-mtls")
    rival.patch(world, "damaged-mtls", {"data": {"tls.crt": "bm8gY2VydGlmaWNhdGU="}})
    world.apply("changed", usages=["client auth"])
    world.apply("new")
    world.operator.start()
    for name in ("deleted", "damaged", "changed"):
        world.wait_reissued(name, serials[name])
    world.wait_ready("new")

    assert serials["untouched"] == world.serial("untouched")


def test_a_killed_operator_goes_on_where_it_was(world: World) -> None:
    """After SIGKILL in the middle of fifty issuances all become ready, and there is one CA of each kind."""
    names = [f"identity-{number}" for number in range(50)]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(world.manifest(name) for name in names))
    wait_until(lambda: any(resource == "secrets" for _, resource, _ in world.writes()), "the first secret is written")
    world.operator.kill()
    world.operator.start()
    world.wait_ready(*names)
    secrets = world.kubectl("get", "secrets", "--output", "name").split()
    of_default = ("--namespace=mutualtls-system", "--selector=mutualtls.dev/authority=default")
    cas = world.cluster.kubectl("get", "secrets", *of_default, "--output", "name").split()

    assert len(secrets) == 50
    assert cas == ["secret/mutualtls-ca.default.issuing.1", "secret/mutualtls-ca.default.root.1"]


@pytest.mark.parametrize(
    "policy", [pytest.param("Delete", id="Delete"), pytest.param("Retain", id="Retain", marks=pytest.mark.further)]
)
def test_an_identity_that_is_made_again_and_again_is_no_contest(world: World, policy: str) -> None:
    """Each has its Secret, though `kubectl replace --force` is faster than the operator looks."""
    world.apply("orders", secret={"deletionPolicy": policy})
    for _ in range(5):
        world.wait_ready("orders")
        assert world.operator.process is not None
        os.kill(world.operator.process.pid, signal.SIGSTOP)
        world.delete("mtls", "orders")
        world.apply("orders", secret={"deletionPolicy": policy})
        os.kill(world.operator.process.pid, signal.SIGCONT)
    world.wait_ready("orders")
    uid = (world.get("mtls", "orders") or {})["metadata"]["uid"]

    def is_its_own() -> bool:
        annotations = (world.get("secret", "orders-mtls") or {"metadata": {}})["metadata"].get("annotations", {})
        return bool(annotations.get("mutualtls.dev/identity-uid") == uid)

    wait_until(is_its_own, "the Secret is of the last one")
    world.wait_ready("orders")
