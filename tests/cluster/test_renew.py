"""Renewal and re-issue: by time, by order, and when the spec asks for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes
from support.world import World


def test_a_certificate_is_renewed_in_time_with_a_new_key_and_two_writes(world: World, tmp_path: Path) -> None:
    """Time alone renews it, silently, before the old one ends; old and new files shake hands."""
    world.apply("orders", duration="1m", renewBefore="50s")
    world.wait_ready("orders")
    old = world.save_files("orders-mtls", tmp_path / "old")
    serial = world.serial("orders")
    world.wait_reissued("orders", serial)
    new = world.save_files("orders-mtls", tmp_path / "new")
    name = f"orders.{world.namespace}.svc"
    counted = world.counted_writes()

    assert (old / "tls.key").read_bytes() != (new / "tls.key").read_bytes()
    assert (old / "ca.crt").read_bytes() == (new / "ca.crt").read_bytes()
    assert (name, name) == handshakes.handshake(old, new, name=name)
    assert counted["patch", "secrets"] + counted["create", "secrets"] == counted["patch", "mutualtlsidentities/status"]
    assert world.events("orders") == []


CHANGES = [
    pytest.param({"dnsNames": ["a.orders.NAMESPACE.svc", "*.db.NAMESPACE.svc"]}, "NamesChanged", id="names"),
    pytest.param({"services": ["billing"]}, "NamesChanged", id="services"),
    pytest.param({"serviceAccountName": ""}, "NamesChanged", id="no service account"),
    pytest.param({"usages": ["server auth"]}, "UsagesChanged", id="usages"),
    pytest.param({"privateKey": {"size": 384}}, "KeyTypeChanged", id="key size"),
    pytest.param({"privateKey": {"encoding": "SEC1"}}, "KeyTypeChanged", id="key encoding"),
    pytest.param({"duration": "12h"}, "DurationChanged", id="duration"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_a_changed_spec_gets_a_new_certificate_and_an_event(world: World, change: dict[str, Any], reason: str) -> None:
    """The reason is the Event's, and the files are as the spec asks for now."""
    world.apply("orders")
    world.wait_ready("orders")
    serial = world.serial("orders")
    dns_names = [name.replace("NAMESPACE", world.namespace) for name in change.get("dnsNames", ())]
    world.apply("orders", **(change | {"dnsNames": dns_names} if dns_names else change))
    world.wait_reissued("orders", serial)
    wait_until(lambda: world.events("orders"), "the re-issue is told")

    world.wait_events("orders", ("Normal", reason))


def test_a_key_is_kept_under_never(world: World) -> None:
    """A renewal under rotationPolicy Never brings another certificate for the same key."""
    world.apply("orders", privateKey={"rotationPolicy": "Never"})
    world.wait_ready("orders")
    key, serial = world.files("orders-mtls")["tls.key"], world.serial("orders")
    world.apply("orders", privateKey={"rotationPolicy": "Never"}, services=["orders", "billing"])
    world.wait_reissued("orders", serial)

    assert key == world.files("orders-mtls")["tls.key"]


def test_an_order_by_serial_number_is_obeyed_once(world: World) -> None:
    """The annotation names the certificate to be replaced; its successor has another number."""
    world.apply("orders")
    world.wait_ready("orders")
    serial = world.serial("orders")
    world.apply("orders", annotations={"mutualtls.dev/reissue": serial})
    world.wait_reissued("orders", serial)
    second = world.serial("orders")
    world.apply("orders", annotations={"mutualtls.dev/reissue": serial}, secret={"labels": {"team": "shop"}})
    wait_until(lambda: (world.get("secret", "orders-mtls") or {})["metadata"]["labels"].get("team"), "label is there")

    assert second == world.serial("orders")


def test_labels_and_annotations_follow_the_spec_and_leave_others_alone(world: World) -> None:
    """What the spec drops goes away; what somebody else put there stays; the certificate is the same."""
    world.apply("orders", secret={"labels": {"team": "shop"}, "annotations": {"note": "one"}})
    world.wait_ready("orders")
    serial = world.serial("orders")
    world.kubectl("label", "secret", "orders-mtls", "theirs=yes")
    world.apply("orders", secret={"labels": {"tier": "backend"}})

    def metadata() -> dict[str, Any]:
        return dict((world.get("secret", "orders-mtls") or {})["metadata"])

    wait_until(lambda: "tier" in metadata()["labels"], "the new label is there")
    assert "team" not in metadata()["labels"]
    assert "note" not in metadata()["annotations"]
    assert metadata()["labels"]["theirs"] == "yes"
    assert serial == world.serial("orders")


def test_a_suspended_identity_gets_nothing_new_until_it_goes_on(world: World) -> None:
    """There is no certificate while suspend is true, and one as soon as it is false."""
    world.apply("orders", suspend=True)
    condition = world.wait_reason("orders", "Suspended")
    assert "set spec.suspend to false" in condition["message"]
    assert world.get("secret", "orders-mtls") is None

    world.apply("orders", suspend=False)
    world.wait_ready("orders")
