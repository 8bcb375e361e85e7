"""Specs that are refused: at apply by the API server, where one object can tell; else by the operator, in words."""

from __future__ import annotations

from typing import Any

import pytest

from support.world import World

WRONG = [
    pytest.param({"usages": ["code signing"]}, 'Unsupported value: "code signing"', id="unknown usage"),
    pytest.param({"usages": []}, "should have at least 1 items", id="no usage"),
    pytest.param({"services": ["Orders"]}, "should match", id="service in capitals"),
    pytest.param({"services": [], "serviceAccountName": ""}, "at least one name must remain", id="no name at all"),
    pytest.param({"duration": "1d"}, "must be hours, minutes and seconds such as 24h", id="duration in days"),
    pytest.param({"duration": "30s"}, "at least 1m", id="duration too short for any"),
    pytest.param({"duration": "1h", "renewBefore": "2h"}, "must be shorter than duration", id="renewed before made"),
    pytest.param({"renewBefore": "1h", "renewBeforePercentage": 10}, "not both", id="two rules of renewal"),
    pytest.param({"privateKey": {"algorithm": "DSA"}}, 'Unsupported value: "DSA"', id="unknown algorithm"),
    pytest.param({"privateKey": {"size": 2048}}, "256, 384 or 521 for ECDSA", id="RSA size for ECDSA"),
    pytest.param({"privateKey": {"algorithm": "Ed25519", "encoding": "SEC1"}}, "SEC1 for ECDSA", id="SEC1 for Ed25519"),
    pytest.param({"privateKey": {"encoding": "PKCS1"}}, "PKCS1 is for RSA", id="PKCS1 without an algorithm"),
    pytest.param({"secret": {"name": "Not_a_name"}}, "should match", id="name of the secret"),
]


@pytest.mark.parametrize(("spec", "said"), WRONG)
def test_a_wrong_spec_is_refused_at_apply(world: World, spec: dict[str, Any], said: str) -> None:
    """Kubectl says what is wrong and what to do, and nothing is stored."""
    printed = world.refused("orders", **spec)

    assert said in printed


def test_a_name_that_is_no_dns_label_is_refused_at_apply(world: World) -> None:
    """It would be no name of a Service."""
    assert "must be a DNS label" in world.refused("orders.eu")


NAMES = [
    pytest.param("orders", id="short"),
    pytest.param("*.NAMESPACE.svc", id="wildcard over the namespace"),
    pytest.param("www.example.com", id="public"),
    pytest.param("NAMESPACE.svc", id="the namespace itself"),
    pytest.param("orders.NAMESPACE.svc.evil.com", id="ours as a prefix"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_others_is_refused_by_the_operator(world: World, name: str) -> None:
    """The identity is refused as a whole, with the field and what would be allowed; there is no Secret."""
    name = name.replace("NAMESPACE", world.namespace)
    world.apply("orders", dnsNames=[name])
    condition = world.wait_reason("orders", "NotPermitted")

    assert f"spec.dnsNames[0]: {name} is not permitted" in condition["message"]
    assert world.condition("orders", "Stalled")["status"] == "True"
    world.wait_events("orders", ("Warning", "NotPermitted"))
    assert world.get("secret", "orders-mtls") is None


def test_all_faults_are_named_at_once(world: World) -> None:
    """The message has more than the first fault."""
    world.apply("orders", dnsNames=["www.example.com", "www.example.org"], duration="9999h")
    message = world.wait_reason("orders", "NotPermitted")["message"]

    assert "spec.duration: 9999h is longer than authority default allows (leaf.maxDuration 168h)" in message
    assert "spec.dnsNames[0]" in message
    assert "spec.dnsNames[1]" in message


def test_what_the_authority_does_not_sign_for_is_refused_by_the_operator(world: World) -> None:
    """A duration out of its bounds is no missing right."""
    world.apply("orders", duration="9999h")

    assert (
        "longer than authority default allows (leaf.maxDuration 168h)"
        in world.wait_reason("orders", "InvalidSpec")["message"]
    )


def test_a_refusal_ends_when_the_spec_is_mended(world: World) -> None:
    """The change is waited for, and no backoff of hours."""
    world.apply("orders", dnsNames=["www.example.com"])
    world.wait_reason("orders", "NotPermitted")
    world.apply("orders")
    world.wait_ready("orders")


def test_an_authority_that_does_not_exist_is_waited_for(world: World) -> None:
    """The identity says so, and is served as soon as the authority is there."""
    name = f"of-{world.namespace}"
    world.apply("orders", authority=name)
    condition = world.wait_reason("orders", "AuthorityNotFound")
    assert f"authority {name} does not exist" in condition["message"]

    manifest = f"{{apiVersion: mutualtls.dev/v1alpha1, kind: MutualTLSAuthority, metadata: {{name: {name}}}}}"
    world.kubectl("apply", "--filename", "-", stdin=manifest)
    world.wait_ready("orders")


AUTHORITIES = [
    pytest.param("leaf: {duration: 5m}", "must be between minDuration", id="duration below its bounds"),
    pytest.param("leaf: {maxDuration: 2000h}", "at most half of issuing.duration", id="leaf beyond the CA"),
    pytest.param("issuing: {privateKey: {algorithm: Ed25519}}", "Unsupported value", id="CA key verifiers refuse"),
    pytest.param("root: {selfSigned: {duration: 100h}}", "at most half of root", id="issuing beyond the root"),
]


@pytest.mark.parametrize(("spec", "said"), AUTHORITIES)
def test_a_wrong_authority_is_refused_at_apply(world: World, spec: str, said: str) -> None:
    """Rules of the schema judge its own fields."""
    head = "apiVersion: mutualtls.dev/v1alpha1, kind: MutualTLSAuthority, metadata: {name: wrong}"
    printed = world.kubectl("apply", "--filename", "-", stdin=f"{{{head}, spec: {{{spec}}}}}", check=False)

    assert said in printed


def test_the_trust_domain_cannot_be_changed(world: World) -> None:
    """SPIFFE IDs would change under everybody's feet."""
    printed = world.kubectl(
        "patch", "mtlsca", "default", "--type=merge", "--patch", '{"spec":{"trustDomain":"other"}}', check=False
    )

    assert "cannot be changed" in printed


def test_explain_reads_like_documentation(world: World) -> None:
    """Every field of the spec is described."""
    printed = world.kubectl("explain", "mutualtlsidentity.spec")
    fields = [line for line in printed.splitlines() if line.startswith("  ") and "\t<" in line]

    assert len(fields) == 16
    assert "<no description>" not in world.kubectl("explain", "mutualtlsidentity.spec", "--recursive=false")
    assert "What the identity is and how its files are made" in printed
