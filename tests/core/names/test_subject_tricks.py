"""Tricks with SPIFFE IDs and subjects. None works, and each says why."""

from __future__ import annotations

import pytest

from support.builders import authority
from support.tricks import ALL, WHERE, said

# SPIFFE IDs

_PATH = (
    "not a SPIFFE ID of a workload, whose path has segments of letters, digits, '.', '-' and '_', none of them empty,"
)
_DOMAIN = (
    "not a SPIFFE ID, whose trust domain has lower-case letters, digits, dots, '-' and '_' only, no user and no port:"
)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("spiffe://cluster.local/ns/shop%2F..%2Fops/sa/a", f"{_PATH} . or ..:", id="percent-encoding"),
        pytest.param("spiffe://cluster.local/ns/shop/../ops/sa/a", f"{_PATH} . or ..:", id="dots"),
        pytest.param("spiffe://cluster.local//ns/ops/sa/a", f"{_PATH} . or ..:", id="empty segment"),
        pytest.param("spiffe://cluster.local/ns/shop/sa/a/", f"{_PATH} . or ..:", id="trailing slash"),
        pytest.param("spiffe://shop@cluster.local/ns/ops/sa/a", _DOMAIN, id="user"),
        pytest.param("spiffe://cluster.local:443/ns/ops/sa/a", _DOMAIN, id="port"),
        pytest.param("spiffe://cluster.local./ns/ops/sa/a", _DOMAIN, id="trailing dot"),
        pytest.param(
            "spiffe://cluster.local/ns/shop/sa/a?/ns/ops/sa/a", "a URI that names somebody has no query:", id="query"
        ),
        pytest.param(
            "spiffe://cluster.local/ns/shop/sa/a#/ns/ops", "a URI that names somebody has no fragment:", id="fragment"
        ),
    ],
)
def test_what_is_no_spiffe_id(uri: str, why: str) -> None:
    """A SPIFFE ID has one spelling."""
    assert [f"spec.uris[0]: {why} {uri}"] == said(uris=[uri])


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param(
            "spiffe://evil.org/ns/shop/sa/orders",
            "its trust domain is not cluster.local, that of authority default; add",
            id="foreign trust domain",
        ),
        pytest.param(
            "spiffe://cluster.local/ns/ops/sa/orders", "it is a name of namespace ops; add", id="another namespace"
        ),
        pytest.param(
            "spiffe://cluster.local/ns/shop/sa/orders/ops",
            "it is not a name of a Service or service account of namespace shop; add",
            id="longer than a service account's",
        ),
        pytest.param(
            "spiffe://cluster.local/admin",
            "it is not a name of a Service or service account of namespace shop; add",
            id="of no namespace",
        ),
    ],
)
def test_spiffe_ids_of_others(uri: str, why: str) -> None:
    """A namespace holds one form by right, with its own name."""
    (refused,) = said(uris=[uri])

    assert refused.startswith(f'spec.uris[0]: {uri} is not permitted: {why} uris: ["{uri}"]')
    assert ("otherNamespaces" in refused) is ("/ns/ops" in uri)


# Subjects


@pytest.mark.parametrize(
    "common_name",
    [
        pytest.param("orders.ops.svc", id="as it is"),
        pytest.param("Orders.Ops.Svc", id="upper case"),
        pytest.param("orders.ops.svc.", id="trailing dot"),
        pytest.param("orders\uff0eops\uff0esvc", id="full-width dots"),
    ],
)
def test_a_common_name_that_looks_like_anothers_dns_name(common_name: str) -> None:
    """Verifiers that find no DNS name look there. A permit for any common name does not reach it."""
    of = authority(permits=[{**ALL, "commonNames": ["*"]}])

    assert not said(of, subject={"commonName": "alice"})
    assert [
        (
            f"spec.subject.commonName: {common_name} is not permitted: it looks like a DNS name, and the certificate "
            f'does not carry that name; add commonNames: ["{common_name}"] and otherNamespaces: true {WHERE}'
        )
    ] == said(of, subject={"commonName": common_name})


@pytest.mark.parametrize(
    ("common_name", "look", "reach"),
    [
        pytest.param("spiffe://cluster.local/ns/ops/sa/a", "a URI", " and otherNamespaces: true", id="SPIFFE ID"),
        pytest.param("SPIFFE://cluster.local/ns/ops/sa/a", "a URI", " and otherNamespaces: true", id="in capitals"),
        pytest.param("https://orders.ops.svc/", "a URI", " and otherNamespaces: true", id="URL"),
        pytest.param("urn:uuid:a", "a URI", "", id="URN"),
        pytest.param("spiffe:cluster.local/ns/ops", "a URI", "", id="no URI, but nearly"),
        pytest.param("a@example.com", "an e-mail address", "", id="e-mail address"),
        pytest.param("a@orders.ops.svc", "an e-mail address", " and otherNamespaces: true", id="e-mail of a Service"),
        pytest.param("10.0.0.1", "an IP address", "", id="IP address"),
        pytest.param("64:ff9b::a00:1", "an IP address", "", id="IPv6 address"),
    ],
)
def test_a_common_name_that_looks_like_a_name_of_another_kind(common_name: str, look: str, reach: str) -> None:
    """A permit for any common name does not give it: it must be permitted as what it is, or be spelled out."""
    of = authority(permits=[{**ALL, "commonNames": ["*", "**"], "otherNamespaces": True}])

    assert [
        (
            f"spec.subject.commonName: {common_name} is not permitted: it looks like {look}; add commonNames: "
            f'["{common_name}"]{reach} {WHERE}'
        )
    ] == said(of, subject={"commonName": common_name})


def test_users_and_groups_of_kubernetes() -> None:
    """This CA may be, or become, the client CA of Kubernetes."""
    widest = {"commonNames": ["*"], "subjects": {"organizations": ["*"]}, "otherNamespaces": True}
    of = authority(permits=[{**ALL, **widest}])

    assert [
        (
            "spec.subject.commonName: system:kube-controller-manager is not permitted: it names a user or group of "
            f'Kubernetes itself; add commonNames: ["system:kube-controller-manager"] {WHERE}'
        ),
        (
            "spec.subject.organizations[0]: system:masters is not permitted: it names a user or group of Kubernetes "
            f'itself; add subjects: {{organizations: ["system:masters"]}} {WHERE}'
        ),
    ] == said(of, subject={"commonName": "system:kube-controller-manager", "organizations": ["system:masters"]})


def test_another_attribute_within_a_value() -> None:
    """In a subject that is compared as one line, `acme/CN=admin` reads as two attributes."""
    of = authority(permits=[{**ALL, "subjects": {"organizations": ["*"]}}])

    assert [
        (
            "spec.subject.organizations[0]: acme/CN=admin is not permitted: it reads as several attributes where a "
            f'subject is written in one line; add subjects: {{organizations: ["acme/CN=admin"]}} {WHERE}'
        )
    ] == said(of, dnsNames=["a.orders.shop.svc"], subject={"organizations": ["acme/CN=admin"]})
