"""Whose a name is, by its form alone."""

from __future__ import annotations

import pytest

from mutualtls.core.names import ownership, uris

NOBODY: set[str] = set()
EVERY = ownership.EVERY


@pytest.mark.parametrize(
    ("name", "namespaces"),
    [
        pytest.param("orders.shop.svc", {"shop"}, id="Service"),
        pytest.param("a.b.orders.shop.svc.cluster.local", {"shop"}, id="below a Service"),
        pytest.param("*.shop.svc", {"shop"}, id="wildcard of a namespace"),
        pytest.param("1-2-3-4.shop.pod.cluster.local", {"shop"}, id="pod"),
        pytest.param("1-2-3-4.shop.pod", {"shop"}, id="pod without the cluster's domain"),
        pytest.param("1-2-3-4.shop.pod.cluster", {"shop"}, id="pod with the beginning of it"),
        pytest.param("orders.shop.svc.cluster", {"shop"}, id="Service with the beginning of it"),
        pytest.param("svc.cluster", {EVERY, "cluster"}, id="what all Services are below, with the beginning of it"),
        pytest.param("pod.cluster", {EVERY, "cluster"}, id="what all pods are below, with the beginning of it"),
        pytest.param("*.svc.cluster", {EVERY}, id="wildcard of all namespaces, with the beginning of it"),
        pytest.param("shop.pod", {"shop", "pod"}, id="all pods of a namespace, or Service shop of namespace pod"),
        pytest.param("shop.svc", {"shop", "svc"}, id="a namespace, or Service shop of namespace svc"),
        pytest.param("svc", {EVERY}, id="what all Services are below"),
        pytest.param("svc.cluster.local", {EVERY}, id="the same, long"),
        pytest.param("pod.cluster.local", {EVERY}, id="what all pods are below"),
        pytest.param("cluster.local", {EVERY, "local"}, id="the cluster"),
        pytest.param("*.svc", {EVERY, "svc"}, id="wildcard of all namespaces"),
        pytest.param("*.svc.cluster.local", {EVERY}, id="the same, long"),
        pytest.param("*.pod.cluster.local", {EVERY}, id="wildcard of all pods"),
        pytest.param("*.cluster.local", {EVERY}, id="wildcard of the cluster"),
        pytest.param("*.local", {EVERY, "local"}, id="wildcard above the cluster"),
        pytest.param("orders", {EVERY}, id="a Service of every namespace"),
        pytest.param("orders.shop", {"shop"}, id="short name"),
        pytest.param("www.example.com", NOBODY, id="outside"),
        pytest.param("*.example.com", NOBODY, id="wildcard outside"),
        pytest.param("orders.shop.svc.example.com", NOBODY, id="looks like a Service in another domain"),
        pytest.param("a.cluster.local", NOBODY, id="neither Service nor pod"),
        pytest.param("svc.example.cluster.local", NOBODY, id="svc elsewhere"),
    ],
)
def test_namespaces_of_a_dns_name(name: str, namespaces: set[str]) -> None:
    """They are all that it speaks for, by any reading."""
    assert namespaces == ownership.cluster("cluster.local").namespaces_of_dns_name(name)


def test_a_name_may_have_two_readings() -> None:
    """The cluster's domain may have labels that mean something else as well."""
    found = ownership.cluster("east.svc").namespaces_of_dns_name("orders.shop.svc.east.svc")

    assert {"shop", "east"} == found


@pytest.mark.parametrize(
    ("name", "is_its"),
    [
        pytest.param("kubernetes", True, id="short"),
        pytest.param("kubernetes.default", True, id="with its namespace"),
        pytest.param("kubernetes.default.svc", True, id="Service"),
        pytest.param("kubernetes.default.svc.cluster.local", True, id="long"),
        pytest.param("kubernetes.default.svc.cluster", True, id="with the beginning of the cluster's domain"),
        pytest.param("a.kubernetes.default.svc", True, id="below"),
        pytest.param("*.default.svc", True, id="wildcard of its namespace"),
        pytest.param("*.kubernetes.default.svc", True, id="wildcard below"),
        pytest.param("*.local", True, id="wildcard above"),
        pytest.param("a.kubernetes", False, id="a Service of a namespace of that name"),
        pytest.param("kubernetes.shop.svc", False, id="a Service of that name elsewhere"),
        pytest.param("kubernetes.default.svc.example.com", False, id="another domain"),
        pytest.param("*.shop.svc", False, id="wildcard of another namespace"),
        pytest.param("*.kubernetes.shop.svc", False, id="wildcard elsewhere"),
    ],
)
def test_names_of_the_api_server(name: str, *, is_its: bool) -> None:
    """Every workload trusts these names with its token."""
    assert is_its is ownership.cluster("cluster.local").is_of_api_server(name)


@pytest.mark.parametrize(
    ("uri", "namespaces"),
    [
        pytest.param("spiffe://cluster.local/ns/shop/sa/orders", {"shop"}, id="service account"),
        pytest.param("spiffe://cluster.local/ns/shop", {"shop"}, id="namespace"),
        pytest.param("spiffe://cluster.local/ns/shop/gateway/a/b", {"shop"}, id="another form"),
        pytest.param("spiffe://cluster.local/ns", {EVERY}, id="all namespaces"),
        pytest.param("spiffe://cluster.local/gateway/a", NOBODY, id="no namespace"),
        pytest.param("spiffe://example.org/ns/shop/sa/orders", NOBODY, id="another trust domain"),
        pytest.param("https://orders.shop.svc/a", {"shop"}, id="URL of a Service"),
        pytest.param("https://orders.shop.svc.cluster/a", {"shop"}, id="URL of a Service, as search domains complete"),
        pytest.param("https://example.com/ns/shop", NOBODY, id="URL outside"),
        pytest.param("urn:ns:shop", NOBODY, id="URN"),
    ],
)
def test_namespaces_of_a_uri(uri: str, namespaces: set[str]) -> None:
    """The path says so in the own trust domain, elsewhere the host."""
    within = ownership.cluster("cluster.local")
    found = ownership.namespaces_of_uri(uris.parse(uri), trust_domain="cluster.local", within=within)

    assert namespaces == found


@pytest.mark.parametrize(
    ("name", "is_public"),
    [
        pytest.param("example.com", True, id="domain of the internet"),
        pytest.param("orders.shop", True, id="namespace that is a top-level domain, too"),
        pytest.param("orders.payments", False, id="namespace"),
        pytest.param("www.example.com", False, id="below a domain, which cannot be S.NS"),
        pytest.param("com", False, id="top-level domain"),
        pytest.param("*.com", False, id="wildcard"),
    ],
)
def test_domains_of_the_internet(name: str, *, is_public: bool) -> None:
    """A name of two labels could be a Service's short name as well."""
    assert is_public is ownership.is_public_domain(name)
