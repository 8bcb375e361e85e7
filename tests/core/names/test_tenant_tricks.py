"""Tricks with what tenants write: names of objects, labels and annotations. None works, and each says why."""

from __future__ import annotations

from typing import Any

from support.builders import authority
from support.tricks import ALL, WHERE, said

# Names of objects


def test_dots_and_slashes_in_names_of_services_and_accounts() -> None:
    """Each is one label, or one segment."""
    assert [
        "spec.services[0]: not the name of a Service, which is one label in lower case: orders.ops.svc",
        "spec.services[1]: not the name of a Service, which is one label in lower case: a/b",
        "spec.services[2]: not the name of a Service, which is one label in lower case: *",
        "spec.serviceAccountName: not the name of a service account: a/../../ops/sa/b",
    ] == said(services=["orders.ops.svc", "a/b", "*"], serviceAccountName="a/../../ops/sa/b")


def test_an_identity_whose_own_name_looks_like_a_dns_name() -> None:
    """The same goes for a namespace like a path. The API server refuses both; a file may hold them."""
    form = "must be a DNS label, at most 63 characters, no dots"

    assert [f"metadata.name: {form}: orders.ops.svc"] == said(name="orders.ops.svc", services=None)
    assert [f"metadata.namespace: {form}: shop/sa/a"] == said(namespace="shop/sa/a")


# Rights of namespaces


def test_an_authority_that_is_not_meant_for_the_namespace() -> None:
    """One sentence says so, whatever else is asked for."""
    of = authority(namespaceSelector={"matchLabels": {"env": "prod"}}, permits=[{**ALL, "dnsNames": ["**"]}])

    assert [
        (
            "spec.authority: authority default does not serve namespace shop: its spec.namespaceSelector, env=prod, "
            "does not match the labels of the namespace"
        )
    ] == said(of, labels={"env": "test"}, dnsNames=["a.example.com", "orders.ops.svc"])


def test_labels_that_look_like_the_permits() -> None:
    """Labels of the identity and of its Secret select nothing; those of the namespace do, whole and by case."""
    of = authority(permits=[{"namespaceSelector": {"matchLabels": {"team": "edge"}}, "dnsNames": ["a.example.com"]}])
    asked: dict[str, Any] = {"dnsNames": ["a.example.com"], "secret": {"labels": {"team": "edge"}}}
    refused = [
        (
            "spec.dnsNames[0]: a.example.com is not permitted: it is not a name of a Service or service account of "
            f'namespace shop; add dnsNames: ["a.example.com"] {WHERE}'
        )
    ]

    assert refused == said(of, **asked)
    assert refused == said(of, labels={"team": "Edge"}, **asked)
    assert refused == said(of, labels={"team": "edge2", "Team": "edge"}, **asked)
    assert not said(of, labels={"team": "edge"}, **asked)


def test_a_permit_that_reaches_into_another_namespace_without_saying_so() -> None:
    """Stars, spelled-out names, short ones, long ones and SPIFFE IDs all need `otherNamespaces`."""
    permit = {
        **ALL,
        "dnsNames": ["**", "orders.ops.svc", "*.*.svc", "*.ops", "orders.ops"],
        "wildcardDNSNames": ["*.ops.svc"],
        "uris": ["spiffe://**/**", "spiffe://cluster.local/ns/*/sa/*"],
        "commonNames": ["**.svc", "orders.ops.svc"],
    }
    asked: dict[str, Any] = {
        "dnsNames": ["orders.ops.svc", "a.orders.ops.svc.cluster.local", "orders.ops", "*.ops.svc"],
        "uris": ["spiffe://cluster.local/ns/ops/sa/orders"],
    }
    whose = "is not permitted: it is a name of namespace ops; add"

    assert [
        f'spec.dnsNames[0]: orders.ops.svc {whose} dnsNames: ["orders.ops.svc"] and otherNamespaces: true {WHERE}',
        (
            f"spec.dnsNames[1]: a.orders.ops.svc.cluster.local {whose} dnsNames: "
            f'["a.orders.ops.svc.cluster.local"] and otherNamespaces: true {WHERE}'
        ),
        f'spec.dnsNames[2]: orders.ops {whose} dnsNames: ["orders.ops"] and otherNamespaces: true {WHERE}',
        f'spec.dnsNames[3]: *.ops.svc {whose} wildcardDNSNames: ["*.ops.svc"] and otherNamespaces: true {WHERE}',
        (
            f"spec.uris[0]: spiffe://cluster.local/ns/ops/sa/orders {whose} uris: "
            f'["spiffe://cluster.local/ns/ops/sa/orders"] and otherNamespaces: true {WHERE}'
        ),
    ] == said(authority(permits=[permit]), **asked)
    assert not said(authority(permits=[{**permit, "otherNamespaces": True}]), **asked)


# The Secret


def test_annotations_that_make_another_controller_copy_the_key() -> None:
    """Keys with a prefix are for controllers; the operator's own and Kubernetes' are for nobody."""
    annotations = {"reflector.v1.k8s.emberstack.com/reflection-allowed": "true", "mutualtls.dev/identity-uid": "x"}

    assert [
        (
            "spec.secret.annotations[reflector.v1.k8s.emberstack.com/reflection-allowed]: the prefix "
            "reflector.v1.k8s.emberstack.com is not permitted, as another controller may obey it; add it to "
            "spec.leaf.secretMetadataPrefixes of authority default"
        ),
        (
            "spec.secret.annotations[mutualtls.dev/identity-uid]: the prefix mutualtls.dev is not permitted and cannot "
            "be: it means something to Kubernetes or to the operator"
        ),
    ] == said(services=["orders"], secret={"annotations": annotations})
