"""The chart's ValidatingAdmissionPolicy: names of other namespaces are refused at apply, in the operator's words."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from devtools.clusters.operators import wait_until
from support import chart
from support.chart import Helm
from support.world import World

FOREIGN: list[dict[str, Any]] = [
    {"dnsNames": ["orders.pay.svc"]},
    {"dnsNames": ["ok.{own}.svc", "Orders.pay.svc.cluster.local", "a.b.pay.svc"]},
    {"dnsNames": ["*.pay.svc", "a.pay.svc", "a.pay.svc.cluster.local", "A.pay.svc"]},
    {"dnsNames": ["*.orders.pay.svc.cluster.local"]},
    {"dnsNames": ["kubernetes.default.svc", "a.kubernetes.default.svc", "*.default.svc", "*.kubernetes.default.svc"]},
    {"uris": ["spiffe://cluster.local/ns/pay/sa/orders"], "serviceAccountName": ""},
]
NOT_SEEN: list[dict[str, Any]] = [
    {"dnsNames": ["orders.{own}.svc", "*.orders.{own}.svc.cluster.local"]},
    {"dnsNames": ["orders.pay.svc.evil.com", "orders.pay"]},
    {"dnsNames": ["svc", "pay.svc"]},
    {"dnsNames": ["orders.pay.svc.cluster", "1-2-3-4.pay.pod", "web-0.nginx.pay"]},
    {"uris": ["spiffe://other.org/ns/pay/sa/orders", "spiffe://cluster.local/ns/"]},
    {},
]


def _of(world: World, spec: dict[str, Any]) -> dict[str, Any]:
    return {key: [text.format(own=world.namespace) for text in value] if value else "" for key, value in spec.items()}


def test_names_of_another_namespace_are_refused_at_apply(world: World, helm: Helm) -> None:
    """The message is that of the condition where the policy is off; what was made meanwhile can be worked on."""
    said = [world.refused(f"identity-{number}", **_of(world, spec)) for number, spec in enumerate(FOREIGN)]
    chart.upgrade(helm, chart.VALUES | {"admissionPolicy": {"enabled": False}})
    try:
        wait_until(lambda: "denied" not in _dry_run(world, "other", FOREIGN[0]), "the policy is off")
        for number, spec in enumerate(FOREIGN):
            world.apply(f"identity-{number}", **_of(world, spec))
    finally:
        chart.upgrade(helm, chart.VALUES)
        wait_until(lambda: "denied" in _dry_run(world, "other", FOREIGN[0]), "the policy is on")

    for number, refusal in enumerate(said):
        message = world.wait_reason(f"identity-{number}", "NotPermitted")["message"]
        assert "denied" in refusal
        assert message in refusal
    world.kubectl("label", "mtls", "--all", "team=shop")
    world.delete_all("mtls")


def _dry_run(world: World, name: str, spec: dict[str, Any]) -> str:
    manifest = world.manifest(name, **spec)
    return world.kubectl("apply", "--dry-run=server", "--filename", "-", stdin=manifest, check=False)


@pytest.mark.parametrize("spec", NOT_SEEN, ids=str)
def test_what_the_policy_cannot_judge_is_left_to_the_operator(world: World, spec: dict[str, Any]) -> None:
    """A name that is in order passes."""
    assert "created (server dry run)" in _dry_run(world, "orders", _of(world, spec))


def test_a_permit_that_reaches_further_leaves_it_to_the_operator(world: World) -> None:
    """An authority that is not the identity's does not matter, whatever it permits."""
    reaching = {"permits": [{"namespaceSelector": {}, "dnsNames": ["a.b.svc"], "otherNamespaces": True}]}
    name = f"reaching-{world.namespace}"
    head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": name}}
    world.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(head | {"spec": reaching}))
    wait_until(
        lambda: "created" in _dry_run(world, "orders", {"authority": name} | FOREIGN[0]),
        "the policy knows the authority",
    )

    assert "denied" in _dry_run(world, "orders", FOREIGN[0])
