"""Which names an identity may hold by right, without a permit."""

from __future__ import annotations

import pytest

from mutualtls.core.names import ownership
from support.permits import refusals


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
    """It does not matter whether there is such a Service."""
    assert not refusals(namespace, dnsNames=[name])


@pytest.mark.parametrize(
    ("name", "namespace", "said"),
    [
        pytest.param("orders.other.svc", "shop", "a name of namespace other", id="another namespace"),
        pytest.param(
            "orders.other.svc.cluster.local", "shop", "a name of namespace other", id="another namespace, long"
        ),
        pytest.param("orders.myshop.svc", "shop", "a name of namespace myshop", id="a namespace that ends alike"),
        pytest.param("orders.shop", "shop", "it is a domain of the internet", id="S.NS"),
        pytest.param("orders", "shop", "means something else in other namespaces; add shortServiceNames: true", id="S"),
        pytest.param("shop.svc", "shop", "a name of namespace svc", id="the namespace itself"),
        pytest.param(
            "shop.svc.cluster.local", "shop", "it is not a name of a Service", id="the namespace itself, long"
        ),
        pytest.param("orders.shop.svc.example.com", "shop", "it is not a name of a Service", id="another domain"),
        pytest.param(
            "orders.shop.svc.local", "shop", "it is not a name of a Service", id="part of the cluster's domain"
        ),
        pytest.param("orders.shop.pod.cluster.local", "shop", "it is not a name of a Service", id="a pod's name"),
        pytest.param("shop.svc.other.svc", "shop", "a name of namespace other", id="own suffix within another's"),
        pytest.param("www.example.com", "shop", "it is not a name of a Service", id="outside"),
        pytest.param("cluster.local", "shop", "speaks for every namespace", id="the cluster"),
        pytest.param("*.shop.svc", "shop", "must stand below a Service", id="wildcard of the namespace"),
        pytest.param("*.shop.svc.cluster.local", "shop", "must stand below a Service", id="the same, long"),
        pytest.param("*.other.svc", "shop", "a name of namespace other", id="wildcard of another namespace"),
        pytest.param("kubernetes.default.svc", "default", "Kubernetes API server", id="API server"),
        pytest.param("kubernetes.default.svc.cluster.local", "default", "Kubernetes API server", id="the same, long"),
        pytest.param("a.kubernetes.default.svc", "default", "Kubernetes API server", id="below the API server"),
        pytest.param("*.kubernetes.default.svc", "default", "Kubernetes API server", id="wildcard below it"),
        pytest.param("*.default.svc", "default", "Kubernetes API server", id="wildcard that covers it"),
        pytest.param("kubernetes.default", "default", "Kubernetes API server", id="API server as S.NS"),
    ],
)
def test_other_names_may_not_be_held(name: str, namespace: str, said: str) -> None:
    """The refusal names the name and says what to do."""
    (refusal,) = refusals(namespace, dnsNames=[name])

    assert refusal.startswith(f"spec.dnsNames[0]: {name} is not permitted: ")
    assert said in refusal
    assert refusal.endswith(f"to a permit of authority default whose namespaceSelector matches namespace {namespace}")


@pytest.mark.parametrize(
    ("name", "cluster_domain"),
    [
        pytest.param("orders.shop.svc.svc", "svc", id="svc"),
        pytest.param("orders.shop.svc.east.svc", "east.svc", id="a domain below svc"),
    ],
)
def test_a_cluster_domain_that_ends_in_svc_brings_no_two_namespaces_together(name: str, cluster_domain: str) -> None:
    """A long name of one namespace must not read as a short name of another."""
    first_label = cluster_domain.split(".", maxsplit=1)[0]
    holders = {
        namespace
        for namespace in ("shop", first_label)
        if ownership.cluster(cluster_domain).is_own_dns_name(name, namespace)
    }

    assert len(holders) <= 1
