"""What an authority decides beside permits: whom it serves, its domains, algorithms and prefixes."""

from __future__ import annotations

from typing import Any

import pytest

from mutualtls.core.errors import SpecError
from mutualtls.core.reasons import Reason
from support.builders import authority
from support.permits import given, refusals


def test_an_authority_serves_the_namespaces_that_it_selects() -> None:
    """One fault says so, and no other name is judged."""
    of = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}

    assert not refusals(services=["a"], of=of, labels={"env": "prod"})
    assert [
        (
            "spec.authority: authority default does not serve namespace shop: its spec.namespaceSelector, env=prod, "
            "does not match the labels of the namespace"
        )
    ] == refusals(services=["a"], dnsNames=["a.example.com"], of=of, labels={"env": "test"})


def test_a_faulty_selector_serves_nobody() -> None:
    """It is a fault of the authority."""
    of = authority(namespaceSelector={"matchExpressions": [{"key": "-", "operator": "Exists"}]})

    assert "spec.namespaceSelector: not a label: -: " == of.fault


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({"clusterDomain": "Cluster.Local"}, "spec.clusterDomain: must be", id="upper case"),
        pytest.param({"clusterDomain": "east.svc"}, "spec.clusterDomain: must be", id="ends in svc"),
        pytest.param({"clusterDomain": "cluster.1"}, "spec.clusterDomain: must be", id="ends in a number"),
        pytest.param({"clusterDomain": "*.local"}, "spec.clusterDomain: must be", id="wildcard"),
        pytest.param({"trustDomain": "Cluster.Local"}, "spec.trustDomain: must be", id="trust domain in upper case"),
        pytest.param({"trustDomain": "a/b"}, "spec.trustDomain: must be", id="trust domain with a path"),
    ],
)
def test_domains_in_which_names_could_meet_are_faults(spec: dict[str, Any], said: str) -> None:
    """The schema sees most of them; a file need not have passed it."""
    fault = authority(**spec).fault

    assert fault is not None
    assert fault.startswith(said)


def test_algorithms_are_the_authority_s_say() -> None:
    """What it does not sign is invalid, as a duration beyond its bounds is: no right is taken away by it."""
    of = {"leaf": {"algorithms": ["ECDSA", "Ed25519"]}}

    assert not refusals(services=["a"], of=of, privateKey={"algorithm": "Ed25519"})
    assert [
        "spec.privateKey.algorithm: authority default allows ECDSA, Ed25519 only (leaf.algorithms), and not RSA"
    ] == refusals(services=["a"], of=of, privateKey={"algorithm": "RSA"})


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param("other.dev/copy", "add it to spec.leaf.secretMetadataPrefixes of authority default", id="another"),
        pytest.param("a.stakater.com/match", "add it to", id="below one that is allowed"),
        pytest.param("mutualtls.dev/part", "not permitted and cannot be", id="the operator's own"),
        pytest.param("app.kubernetes.io/name", "not permitted and cannot be", id="Kubernetes' own"),
    ],
)
def test_prefixes_on_the_secret_are_the_authority_s_say(key: str, said: str) -> None:
    """Other controllers obey them, and some would copy the key."""
    of = {"leaf": {"secretMetadataPrefixes": ["stakater.com", "app.kubernetes.io", "mutualtls.dev"]}}
    for kind in ("labels", "annotations"):
        assert not refusals(services=["a"], of=of, secret={kind: {"plain": "a", "stakater.com/match": "true"}})
        (refused,) = refusals(services=["a"], of=of, secret={kind: {key: "a"}})

        assert refused.startswith(f"spec.secret.{kind}[{key}]: the prefix {key.partition('/')[0]} is not permitted")
        assert said in refused


@pytest.mark.parametrize(
    ("secret", "field"),
    [
        pytest.param({"labels": {"a b": "c"}}, "spec.secret.labels", id="key of a label"),
        pytest.param({"labels": {"a": "b c"}}, "spec.secret.labels[a]", id="value of a label"),
        pytest.param({"annotations": {"a/b/c": "d"}}, "spec.secret.annotations", id="key of an annotation"),
    ],
)
def test_metadata_that_the_api_server_would_refuse_is_invalid(secret: dict[str, Any], field: str) -> None:
    """Otherwise the API server would refuse the write for ever."""
    assert field == refusals(services=["a"], secret=secret)[0].partition(": ")[0]


def test_a_missing_right_is_the_reason_beside_other_faults() -> None:
    """Otherwise an invalid field would keep the files that `onNotPermitted: Delete` removes."""
    with pytest.raises(SpecError) as error:
        given(dnsNames=["a.example.com"], duration="1s")

    assert Reason.NOT_PERMITTED == error.value.reason
    assert ["spec.duration", "spec.dnsNames[0]"] == [fault.field for fault in error.value.faults]
