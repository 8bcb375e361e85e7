"""Canonical names, and who may hold which."""

from __future__ import annotations

import pytest

from mutualtls.core import names, permits

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        pytest.param("orders.shop.svc", "orders.shop.svc", id="as it is"),
        pytest.param("Orders.SHOP.svc", "orders.shop.svc", id="upper case"),
        pytest.param("*.DB.shop.svc", "*.db.shop.svc", id="wildcard"),
        pytest.param("xn--bcher-kva.shop.svc", "xn--bcher-kva.shop.svc", id="A-label"),
        pytest.param("7.shop.svc", "7.shop.svc", id="digits"),
        pytest.param("localhost", "localhost", id="one label"),
        pytest.param(f"{LONGEST_LABEL}.shop.svc", f"{LONGEST_LABEL}.shop.svc", id="longest label"),
        pytest.param(LONGEST_NAME, LONGEST_NAME, id="longest name"),
    ],
)
def test_dns_names_are_made_canonical(given: str, canonical: str) -> None:
    """One name has one form, so that comparing bytes compares names."""
    assert canonical == names.canonical_dns_name(given)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("*", id="wildcard of everything"),
        pytest.param("*.", id="wildcard of the empty label"),
        pytest.param("a.*.shop.svc", id="wildcard within"),
        pytest.param("*.*.shop.svc", id="two wildcards"),
        pytest.param("a*.shop.svc", id="part of a label"),
        pytest.param("orders..svc", id="empty label"),
        pytest.param(".orders.shop.svc", id="leading dot"),
        pytest.param("orders.shop.svc.", id="trailing dot"),
        pytest.param("-orders.shop.svc", id="leading hyphen"),
        pytest.param("orders-.shop.svc", id="trailing hyphen"),
        pytest.param("or_ders.shop.svc", id="underscore"),
        pytest.param("bücher.shop.svc", id="not an A-label"),
        pytest.param("orders.shop.svc\n", id="newline"),
        pytest.param("orders.shop.svc\0.example.com", id="NUL"),
        pytest.param("orders shop.svc", id="blank"),
        pytest.param(f"{LONGEST_LABEL}a.shop.svc", id="label of 64"),
        pytest.param(f"{LONGEST_NAME}a", id="name of 254"),
    ],
)
def test_what_is_no_dns_name_is_refused(name: str) -> None:
    """Naming it."""
    with pytest.raises(ValueError, match="not a DNS name: ") as error:
        names.canonical_dns_name(name)

    assert str(error.value).endswith(name)


def test_letters_that_only_look_like_ascii_do_not_reach_a_certificate() -> None:
    """The Kelvin sign is a k in lower case: what is judged is what is written."""
    assert names.canonical_dns_name("\u212aafka.shop.svc").isascii()


def test_a_service_has_a_short_and_a_long_name() -> None:
    """Both mean the same Service in every namespace."""
    expected = ("orders.shop.svc", "orders.shop.svc.cluster.local")

    assert expected == names.service_dns_names("orders", "shop", cluster_domain="cluster.local")


def test_a_service_account_has_a_spiffe_id() -> None:
    """In exactly this form."""
    assert "spiffe://td.example/ns/shop/sa/orders" == names.spiffe_id("orders", "shop", trust_domain="td.example")


def why_not(name: str, namespace: str = "shop") -> str | None:
    """Ask whether a namespace may hold a name."""
    return permits.why_not_dns_name(name, namespace, cluster_domain="cluster.local")


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        pytest.param("orders.shop.svc", "shop", id="Service"),
        pytest.param("orders.shop.svc.cluster.local", "shop", id="Service with the cluster's domain"),
        pytest.param("a.b.orders.shop.svc", "shop", id="below a Service"),
        pytest.param("a.orders.shop.svc.cluster.local", "shop", id="below, with the cluster's domain"),
        pytest.param("*.orders.shop.svc", "shop", id="wildcard below a Service"),
        pytest.param("*.orders.shop.svc.cluster.local", "shop", id="wildcard with the cluster's domain"),
        pytest.param("*.a.orders.shop.svc", "shop", id="wildcard further below"),
        pytest.param("kubernetes.shop.svc", "shop", id="a Service called kubernetes elsewhere"),
        pytest.param("orders.default.svc", "default", id="another Service in default"),
        pytest.param("kubernetes.orders.default.svc", "default", id="kubernetes as a label below"),
        pytest.param("svc.svc.svc", "svc", id="namespace svc"),
        pytest.param("cluster.local.svc.cluster.local", "local", id="namespace local"),
    ],
)
def test_names_of_the_own_namespace_may_be_held(name: str, namespace: str) -> None:
    """Whether there is such a Service or not."""
    assert why_not(name, namespace) is None


@pytest.mark.parametrize(
    ("name", "namespace", "said"),
    [
        pytest.param("orders.other.svc", "shop", "without a permit", id="another namespace"),
        pytest.param("orders.other.svc.cluster.local", "shop", "without a permit", id="another namespace, long"),
        pytest.param("orders.myshop.svc", "shop", "without a permit", id="a namespace that ends alike"),
        pytest.param("orders.shop", "shop", "without a permit", id="S.NS"),
        pytest.param("orders", "shop", "without a permit", id="S"),
        pytest.param("shop.svc", "shop", "without a permit", id="the namespace itself"),
        pytest.param("shop.svc.cluster.local", "shop", "without a permit", id="the namespace itself, long"),
        pytest.param("orders.shop.svc.example.com", "shop", "without a permit", id="another domain"),
        pytest.param("orders.shop.svc.local", "shop", "without a permit", id="part of the cluster's domain"),
        pytest.param("orders.shop.pod.cluster.local", "shop", "without a permit", id="a pod's name"),
        pytest.param("shop.svc.other.svc", "shop", "without a permit", id="own suffix within another's"),
        pytest.param("www.example.com", "shop", "without a permit", id="outside"),
        pytest.param("cluster.local", "shop", "without a permit", id="the cluster"),
        pytest.param("*.shop.svc", "shop", "must stand below a Service", id="wildcard of the namespace"),
        pytest.param("*.shop.svc.cluster.local", "shop", "must stand below a Service", id="the same, long"),
        pytest.param("*.svc", "shop", "without a permit", id="wildcard of all namespaces"),
        pytest.param("*.other.svc", "shop", "without a permit", id="wildcard of another namespace"),
        pytest.param("kubernetes.default.svc", "default", "Kubernetes API server", id="API server"),
        pytest.param("kubernetes.default.svc.cluster.local", "default", "Kubernetes API server", id="the same, long"),
        pytest.param("a.kubernetes.default.svc", "default", "Kubernetes API server", id="below the API server"),
        pytest.param("*.kubernetes.default.svc", "default", "Kubernetes API server", id="wildcard below it"),
        pytest.param("*.default.svc", "default", "must stand below a Service", id="wildcard that covers it"),
        pytest.param("kubernetes.default", "default", "without a permit", id="API server as S.NS"),
    ],
)
def test_other_names_may_not_be_held(name: str, namespace: str, said: str) -> None:
    """And the refusal names the name and says what to do."""
    refusal = why_not(name, namespace)

    assert refusal is not None
    assert refusal.startswith(f"{name} is not permitted: ")
    assert said in refusal


@pytest.mark.parametrize(
    ("name", "cluster_domain"),
    [
        pytest.param("orders.shop.svc.svc", "svc", id="svc"),
        pytest.param("orders.shop.svc.east.svc", "east.svc", id="a domain below svc"),
    ],
)
def test_a_cluster_domain_that_ends_in_svc_brings_no_two_namespaces_together(name: str, cluster_domain: str) -> None:
    """Where a long name of one namespace reads as a short one of another."""
    first_label = cluster_domain.split(".", maxsplit=1)[0]
    holders = {
        namespace
        for namespace in ("shop", first_label)
        if permits.why_not_dns_name(name, namespace, cluster_domain=cluster_domain) is None
    }

    assert len(holders) <= 1
