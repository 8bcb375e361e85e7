"""Who may hold which name: by right, and by permits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from mutualtls.core.ca import offer as trusts
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired
from mutualtls.core.names import ownership
from mutualtls.core.names.names import Names
from mutualtls.core.reasons import Reason
from support.builders import an_identity, authority


def given(
    namespace: str = "shop",
    *permits: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    of: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Names:
    """Work out the names of `orders` under permits, which are for all namespaces where they do not say otherwise.

    `labels` are the namespace's, `of` is more of the authority's spec. Only what `spec` says is asked for.
    """
    serving = [{"namespaceSelector": {}} | dict(permit) for permit in permits]
    by = trusts.of(authority(permits=serving, **(of or {})), None)
    asked = {"services": [], "serviceAccountName": ""} | spec
    return desired.wanted(an_identity(namespace=namespace, **asked), by, labels or {}).names


def refusals(namespace: str = "shop", *permits: Mapping[str, Any], **more: Any) -> list[str]:
    """List the faults of what `given` refuses; none if it gives the names."""
    try:
        given(namespace, *permits, **more)
    except SpecError as error:
        return [str(fault) for fault in error.faults]
    return []


# By right


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


# By a permit


def dns(*names: str, **more: Any) -> dict[str, Any]:
    """A permit for patterns of DNS names."""
    return {"dnsNames": list(names), **more}


OTHERS = {"otherNamespaces": True}


@pytest.mark.parametrize(
    ("permit", "spec"),
    [
        pytest.param(dns("api.example.com"), {"dnsNames": ["api.example.com"]}, id="spelled out"),
        pytest.param(dns("API.Example.com"), {"dnsNames": ["api.EXAMPLE.com"]}, id="case does not matter"),
        pytest.param(dns("bücher.example.com"), {"dnsNames": ["xn--bcher-kva.example.com"]}, id="A-label or U-label"),
        pytest.param(dns("*.example.com"), {"dnsNames": ["api.example.com"]}, id="one label"),
        pytest.param(dns("api.*.example.com"), {"dnsNames": ["api.eu.example.com"]}, id="one label within"),
        pytest.param(dns("**.example.com"), {"dnsNames": ["api.example.com"]}, id="any depth: one"),
        pytest.param(dns("**.example.com"), {"dnsNames": ["a.b.c.example.com"]}, id="any depth: three"),
        pytest.param(dns("**"), {"dnsNames": ["a.b.c.dev"]}, id="every name below a domain of the internet"),
        pytest.param(dns("example.com"), {"dnsNames": ["example.com"]}, id="domain of the internet, spelled out"),
        pytest.param(dns("**.corp.lan"), {"dnsNames": ["db.corp.lan"]}, id="zone that is named"),
        pytest.param(dns("*.corp.lan"), {"dnsNames": ["db.corp.lan"]}, id="zone that is named, one label"),
        pytest.param(dns("db.corp.lan"), {"dnsNames": ["db.corp.lan"]}, id="name of three labels, spelled out"),
        pytest.param(
            dns("*.cluster.local"), {"dnsNames": ["dns.cluster.local"]}, id="nobody's in the cluster's domain"
        ),
        pytest.param(dns("**"), {"dnsNames": ["1-2-3-4.shop.pod"]}, id="own pod as search domains complete it"),
        pytest.param(dns("**"), {"dnsNames": ["orders.shop.svc.cluster"]}, id="own Service so"),
        pytest.param(dns("**", **OTHERS), {"dnsNames": ["1-2-3-4.ops.pod"]}, id="another's pod"),
        pytest.param(dns("**", **OTHERS), {"dnsNames": ["a.ops.svc.cluster"]}, id="another's Service so"),
        pytest.param(dns("**", **OTHERS), {"dnsNames": ["web-0.nginx.ops"]}, id="another's pod by its Service"),
        pytest.param(
            dns("kubernetes.default.svc.cluster", **OTHERS),
            {"dnsNames": ["kubernetes.default.svc.cluster"]},
            id="the API server so",
        ),
        pytest.param(
            dns("*.pod.cluster.local", "**.shop.pod.*.*"), {"dnsNames": ["1.shop.pod.cluster.local"]}, id="pod"
        ),
        pytest.param(
            {"wildcardDNSNames": ["*.Example.com"]}, {"dnsNames": ["*.example.com"]}, id="wildcard, literally"
        ),
        pytest.param({"wildcardDNSNames": ["*.shop.svc"]}, {"dnsNames": ["*.shop.svc"]}, id="wildcard of one's own"),
        pytest.param({"shortServiceNames": True}, {"dnsNames": ["orders"]}, id="S"),
        pytest.param(dns("orders.shop"), {"dnsNames": ["orders.shop"]}, id="S.NS of .shop, spelled out"),
        pytest.param(dns("**", **OTHERS), {"dnsNames": ["orders.ops.svc"]}, id="another namespace"),
        pytest.param(dns("*.ops.svc.**", **OTHERS), {"dnsNames": ["a.ops.svc.cluster.local"]}, id="the same, long"),
        pytest.param(dns("*", **OTHERS), {"dnsNames": ["localhost"]}, id="a single label"),
        pytest.param(
            {"wildcardDNSNames": ["*.ops.svc"], **OTHERS}, {"dnsNames": ["*.ops.svc"]}, id="wildcard of another"
        ),
        pytest.param(
            dns("kubernetes.default.svc", **OTHERS), {"dnsNames": ["kubernetes.default.svc"]}, id="the API server"
        ),
        pytest.param({"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["10.1.2.3"]}, id="IPv4 range"),
        pytest.param({"ipRanges": ["2001:db8::/32"]}, {"ipAddresses": ["2001:DB8:0::1"]}, id="IPv6 range"),
        pytest.param({"ipRanges": ["10.1.2.3/32"]}, {"ipAddresses": ["10.1.2.3"]}, id="single address"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["::1"]}, id="loopback, which stands for no other"),
        pytest.param({"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["::10.0.0.1"]}, id="what stands for an IPv4 one"),
        pytest.param({"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["64:ff9b::a00:1"]}, id="translated"),
        pytest.param(
            {"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["64:ff9b:1::a00:1"]}, id="translated within a site"
        ),
        pytest.param({"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["2002:a00:1::1"]}, id="6to4"),
        pytest.param({"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["2001:0:1:2::f5ff:fffe"]}, id="Teredo"),
        pytest.param({"emailAddresses": ["a@example.com"]}, {"emailAddresses": ["a@Example.com"]}, id="e-mail"),
        pytest.param(
            {"emailAddresses": ["*@example.com"]}, {"emailAddresses": ["a.b@example.com"]}, id="any of a domain"
        ),
        pytest.param({"emailAddresses": ["*@**.example.com"]}, {"emailAddresses": ["a@b.example.com"]}, id="subdomain"),
        pytest.param(
            {"uris": ["spiffe://other.org/a/*"]}, {"uris": ["spiffe://other.org/a/b"]}, id="foreign SPIFFE ID"
        ),
        pytest.param({"uris": ["spiffe://*.org/**"]}, {"uris": ["spiffe://other.org/a/b/c"]}, id="stars in both parts"),
        pytest.param(
            {"uris": ["spiffe://cluster.local/ns/*/gateway/*"]},
            {"uris": ["spiffe://cluster.local/ns/shop/gateway/a"]},
            id="another form of SPIFFE ID of one's own namespace",
        ),
        pytest.param(
            {"uris": ["spiffe://cluster.local/gateways/*"]},
            {"uris": ["spiffe://cluster.local/gateways/a"]},
            id="SPIFFE ID of no namespace",
        ),
        pytest.param(
            {"uris": ["spiffe://cluster.local/**"], **OTHERS},
            {"uris": ["spiffe://cluster.local/ns/ops/sa/a"]},
            id="SPIFFE ID of another namespace",
        ),
        pytest.param({"uris": ["https://*.example.com/a/"]}, {"uris": ["https://b.Example.com/a/"]}, id="URL"),
        pytest.param({"uris": ["https://b.example.com:8443"]}, {"uris": ["HTTPS://b.example.com:8443"]}, id="port"),
        pytest.param({"uris": ["urn:uuid:*"]}, {"uris": ["urn:UUID:f81d"]}, id="URN"),
        pytest.param({"commonNames": ["postgres"]}, {"subject": {"commonName": "postgres"}}, id="common name"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "Zoë Example"}}, id="any common name"),
        pytest.param(
            {"commonNames": ["*.example.com"]}, {"subject": {"commonName": "a.example.com"}}, id="pattern of DNS names"
        ),
        pytest.param(
            {"commonNames": ["a.smith"], **OTHERS},
            {"subject": {"commonName": "a.smith"}},
            id="user that looks like S.NS",
        ),
        pytest.param(
            {"commonNames": ["10.0.0.1"]}, {"subject": {"commonName": "10.0.0.1"}}, id="IP address, spelled out"
        ),
        pytest.param(
            {"commonNames": ["*"], "ipRanges": ["10.0.0.0/8"]},
            {"subject": {"commonName": "10.0.0.1"}},
            id="IP address, permitted as such",
        ),
        pytest.param(
            {"commonNames": ["*"], "dnsNames": ["*.example.com"]},
            {"subject": {"commonName": "a.example.com"}},
            id="DNS name, permitted as such",
        ),
        pytest.param(
            {"commonNames": ["*"]}, {"subject": {"commonName": "a.orders.shop.svc"}}, id="DNS name, held by right"
        ),
        pytest.param(
            {"commonNames": ["*"], "emailAddresses": ["*@example.com"]},
            {"subject": {"commonName": "a@example.com"}},
            id="e-mail address, permitted as such",
        ),
        pytest.param(
            {"commonNames": ["a@example.com"]}, {"subject": {"commonName": "a@example.com"}}, id="e-mail, spelled out"
        ),
        pytest.param(
            {"commonNames": ["*"], "uris": ["https://example.com/**"]},
            {"subject": {"commonName": "https://example.com/a"}},
            id="URI, permitted as such",
        ),
        pytest.param(
            {"commonNames": ["*"]},
            {"subject": {"commonName": "spiffe://cluster.local/ns/shop/sa/orders"}},
            id="SPIFFE ID, held by right",
        ),
        pytest.param(
            {"commonNames": ["spiffe://cluster.local/ns/ops/sa/a"], **OTHERS},
            {"subject": {"commonName": "spiffe://cluster.local/ns/ops/sa/a"}},
            id="SPIFFE ID of another, spelled out",
        ),
        pytest.param({"commonNames": ["*.*"], **OTHERS}, {"subject": {"commonName": "a.smith"}}, id="users with a dot"),
        pytest.param(
            {"commonNames": ["system:node:a"]}, {"subject": {"commonName": "system:node:a"}}, id="Kubernetes user"
        ),
        pytest.param(
            {"commonNames": ["a"], "subjects": {"organizations": ["*"], "countries": ["DE"], "serialNumbers": ["7"]}},
            {"subject": {"commonName": "a", "organizations": ["x", "y"], "countries": ["DE"], "serialNumber": "7"}},
            id="whole subject",
        ),
    ],
)
def test_what_a_permit_allows(permit: dict[str, Any], spec: dict[str, Any]) -> None:
    """Without the permit, the name is refused."""
    spec = {"services": ["x"]} | spec

    assert not refusals("shop", permit, **spec)
    assert refusals("shop", **spec)


@pytest.mark.parametrize(
    ("permit", "spec"),
    [
        pytest.param(dns("*.example.com"), {"dnsNames": ["example.com"]}, id="* is not nothing"),
        pytest.param(dns("**.example.com"), {"dnsNames": ["example.com"]}, id="** is not nothing"),
        pytest.param(dns("*.example.com"), {"dnsNames": ["a.b.example.com"]}, id="* is one label"),
        pytest.param(dns("api.example.com"), {"dnsNames": ["a.api.example.com"]}, id="below what is spelled out"),
        pytest.param(dns("**.example.com"), {"dnsNames": ["a.badexample.com"]}, id="a domain that ends alike"),
        pytest.param(dns("**.example.com"), {"dnsNames": ["a.example.com.evil.net"]}, id="a domain that begins alike"),
        pytest.param(dns("*.example.com"), {"dnsNames": ["*.example.com"]}, id="a pattern is no right to a wildcard"),
        pytest.param(dns("**"), {"dnsNames": ["*.example.com"]}, id="nor is the widest"),
        pytest.param({"wildcardDNSNames": ["*.example.com"]}, {"dnsNames": ["a.example.com"]}, id="nor the other way"),
        pytest.param({"wildcardDNSNames": ["*.example.com"]}, {"dnsNames": ["*.a.example.com"]}, id="wildcard below"),
        pytest.param({"shortServiceNames": True}, {"dnsNames": ["orders.ops"]}, id="S.NS of another namespace"),
        pytest.param({"shortServiceNames": True}, {"dnsNames": ["orders.shop"]}, id="S.NS of a top-level domain"),
        pytest.param({"shortServiceNames": True}, {"dnsNames": ["localhost"]}, id="localhost"),
        pytest.param({"shortServiceNames": True}, {"dnsNames": ["kubernetes"]}, id="the API server's short name"),
        pytest.param({"shortServiceNames": True}, {"dnsNames": ["a.orders.shop"]}, id="below S.NS"),
        pytest.param(dns("**"), {"dnsNames": ["orders.ops.svc"]}, id="another namespace"),
        pytest.param(dns("orders.ops.svc"), {"dnsNames": ["orders.ops.svc"]}, id="another namespace, spelled out"),
        pytest.param(dns("**"), {"dnsNames": ["orders.ops.svc.cluster.local"]}, id="another namespace, long"),
        pytest.param(dns("**"), {"dnsNames": ["1-2-3-4.ops.pod.cluster.local"]}, id="another namespace's pod"),
        pytest.param(dns("**"), {"dnsNames": ["svc.cluster.local"]}, id="what all Services are below"),
        pytest.param(dns("**"), {"dnsNames": ["cluster.local"]}, id="the cluster's domain"),
        pytest.param(dns("**"), {"dnsNames": ["10-0-0-1.ops.pod"]}, id="another's pod, as search domains complete it"),
        pytest.param(dns("**"), {"dnsNames": ["10-0-0-1.ops.pod.cluster"]}, id="with the beginning of the domain"),
        pytest.param(dns("*.ops.pod"), {"dnsNames": ["10-0-0-1.ops.pod"]}, id="another's pod by a pattern of it"),
        pytest.param(dns("**"), {"dnsNames": ["a.ops.svc.cluster"]}, id="another's Service so"),
        pytest.param(dns("a.ops.svc.cluster"), {"dnsNames": ["a.ops.svc.cluster"]}, id="the same, spelled out"),
        pytest.param(dns("**"), {"dnsNames": ["svc.cluster"]}, id="the beginning of the cluster's domain"),
        pytest.param({"wildcardDNSNames": ["*.ops.pod"]}, {"dnsNames": ["*.ops.pod"]}, id="all pods of another"),
        pytest.param(
            {"wildcardDNSNames": ["*.ops.svc.cluster"]},
            {"dnsNames": ["*.ops.svc.cluster"]},
            id="all Services of another",
        ),
        pytest.param(dns("**"), {"dnsNames": ["kubernetes.default.svc.cluster"]}, id="the API server so"),
        pytest.param(
            dns("**", **OTHERS), {"dnsNames": ["kubernetes.default.svc.cluster"]}, id="the API server so, by stars"
        ),
        pytest.param(dns("**"), {"dnsNames": ["web-0.nginx.ops"]}, id="another's pod by its Service"),
        pytest.param(dns("**.ops"), {"dnsNames": ["web-0.nginx.ops"]}, id="the same of a namespace that is named"),
        pytest.param(dns("**"), {"dnsNames": ["http.tcp.nginx.ops"]}, id="another's port by its Service"),
        pytest.param(dns("**"), {"dnsNames": ["orders.web"]}, id="a pod of Service web of any namespace"),
        pytest.param(dns("**"), {"dnsNames": ["dns.cluster.local"]}, id="within the cluster's domain"),
        pytest.param(dns("*.*"), {"dnsNames": ["orders.ops"]}, id="S.NS by stars"),
        pytest.param(dns("*.ops"), {"dnsNames": ["orders.ops"]}, id="S.NS of a namespace that is named"),
        pytest.param(dns("*.com"), {"dnsNames": ["example.com"]}, id="domain of the internet, by a star"),
        pytest.param(dns("*"), {"dnsNames": ["orders"]}, id="S by a star"),
        pytest.param(dns("orders"), {"dnsNames": ["orders"]}, id="S, spelled out"),
        pytest.param(dns("**", **OTHERS), {"dnsNames": ["kubernetes.default.svc"]}, id="the API server, by stars"),
        pytest.param(dns("kubernetes.default.svc"), {"dnsNames": ["kubernetes.default.svc"]}, id="without reach"),
        pytest.param(
            {"wildcardDNSNames": ["*.svc.cluster.local"]}, {"dnsNames": ["*.svc.cluster.local"]}, id="all namespaces"
        ),
        pytest.param({"wildcardDNSNames": ["*.cluster.local"]}, {"dnsNames": ["*.cluster.local"]}, id="the cluster"),
        pytest.param({"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["11.0.0.1"]}, id="outside the range"),
        pytest.param({"ipRanges": ["0.0.0.0/0"]}, {"ipAddresses": ["::1"]}, id="IPv6 in a range of IPv4"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["10.0.0.1"]}, id="IPv4 in a range of IPv6"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["::10.0.0.1"]}, id="what stands for an IPv4 one"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["::ffff:0:a00:1"]}, id="translated, of old"),
        pytest.param({"ipRanges": ["64:ff9b::/96"]}, {"ipAddresses": ["64:ff9b::a00:1"]}, id="translated"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["64:ff9b:1::a00:1"]}, id="translated within a site"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["64:ff9b:1:a00:0:100::"]}, id="by a prefix of 48 bits"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["2002:a00:1::"]}, id="6to4"),
        pytest.param({"ipRanges": ["::/0"]}, {"ipAddresses": ["2001:0:1:2::f5ff:fffe"]}, id="Teredo"),
        pytest.param(
            {"ipRanges": ["10.0.0.0/8"]}, {"ipAddresses": ["64:ff9b:1:a01:2:300::"]}, id="several, not all in the range"
        ),
        pytest.param({"emailAddresses": ["a@example.com"]}, {"emailAddresses": ["A@example.com"]}, id="case of a name"),
        pytest.param({"emailAddresses": ["*@example.com"]}, {"emailAddresses": ["a@b.example.com"]}, id="subdomain"),
        pytest.param({"emailAddresses": ["*@**"]}, {"emailAddresses": ["a@b.ops.svc"]}, id="e-mail of a namespace"),
        pytest.param({"uris": ["spiffe://other.org/a/*"]}, {"uris": ["spiffe://other.org/a/b/c"]}, id="deeper path"),
        pytest.param({"uris": ["spiffe://other.org/**"]}, {"uris": ["spiffe://another.org/a"]}, id="trust domain"),
        pytest.param({"uris": ["spiffe://**/**"]}, {"uris": ["spiffe://cluster.local/ns/ops/sa/a"]}, id="by stars"),
        pytest.param(
            {"uris": ["spiffe://cluster.local/ns/ops/sa/a"]},
            {"uris": ["spiffe://cluster.local/ns/ops/sa/a"]},
            id="SPIFFE ID of another namespace, spelled out",
        ),
        pytest.param({"uris": ["spiffe://**/**"]}, {"uris": ["spiffe://cluster.local/ns/ops/a"]}, id="of another form"),
        pytest.param({"uris": ["spiffe://**/**"]}, {"uris": ["spiffe://cluster.local/ns"]}, id="above all namespaces"),
        pytest.param({"uris": ["https://**/**"]}, {"uris": ["https://a.ops.svc/x"]}, id="URL of another namespace"),
        pytest.param({"uris": ["https://a.example.com/b"]}, {"uris": ["http://a.example.com/b"]}, id="scheme"),
        pytest.param({"uris": ["https://a.example.com/b"]}, {"uris": ["https://a.example.com:1/b"]}, id="port"),
        pytest.param({"uris": ["https://a.example.com/**"]}, {"uris": ["https://a.example.com"]}, id="no path"),
        pytest.param({"uris": ["https://a.example.com/*"]}, {"uris": ["https://a.example.com/"]}, id="empty segment"),
        pytest.param({"uris": ["https://a.example.com/B"]}, {"uris": ["https://a.example.com/b"]}, id="case of a path"),
        pytest.param({"commonNames": ["postgres"]}, {"subject": {"commonName": "Postgres"}}, id="case of a user"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "system:admin"}}, id="Kubernetes user"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "10.0.0.1"}}, id="IP address by a star"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "::a00:1"}}, id="IPv4 address as IPv6"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "www.example.com"}}, id="DNS name by a star"),
        pytest.param(
            {"commonNames": ["*"], **OTHERS}, {"subject": {"commonName": "a.ops.svc"}}, id="DNS name, with reach alone"
        ),
        pytest.param(
            {"commonNames": ["*", "**"]}, {"subject": {"commonName": "1.ops.pod"}}, id="another's pod, in the subject"
        ),
        pytest.param(
            {"commonNames": ["*"]},
            {"subject": {"commonName": "spiffe://cluster.local/ns/ops/sa/a"}},
            id="another's SPIFFE ID as text",
        ),
        pytest.param(
            {"commonNames": ["*"], **OTHERS},
            {"subject": {"commonName": "spiffe://cluster.local/ns/ops/sa/a"}},
            id="SPIFFE ID, with reach alone",
        ),
        pytest.param(
            {"commonNames": ["*"], "uris": ["spiffe://**/**"]},
            {"subject": {"commonName": "spiffe://cluster.local/ns/ops/sa/a"}},
            id="SPIFFE ID, permitted without reach",
        ),
        pytest.param(
            {"commonNames": ["spiffe://cluster.local/ns/ops/sa/a"]},
            {"subject": {"commonName": "spiffe://cluster.local/ns/ops/sa/a"}},
            id="SPIFFE ID, spelled out without reach",
        ),
        pytest.param(
            {"commonNames": ["*"], "uris": ["spiffe://**/**"], **OTHERS},
            {"subject": {"commonName": "SPIFFE://cluster.local/ns/ops/sa/a"}},
            id="SPIFFE ID in another spelling",
        ),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "urn:uuid:a"}}, id="URN"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "a@example.com"}}, id="e-mail address"),
        pytest.param(
            {"commonNames": ["*"], "emailAddresses": ["*@**"]},
            {"subject": {"commonName": "a@b.ops.svc"}},
            id="e-mail address of a namespace",
        ),
        pytest.param(
            {"emailAddresses": ["*@example.com"]},
            {"subject": {"commonName": "a@example.com"}},
            id="e-mail only as such",
        ),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "orders.ops.svc"}}, id="another's DNS name"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "Orders.Ops.SVC."}}, id="in another spelling"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "a_b.ops.svc"}}, id="with an underscore"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "orders.ops"}}, id="as S.NS"),
        pytest.param({"commonNames": ["*"]}, {"subject": {"commonName": "orders\u3002ops\uff0esvc"}}, id="other dots"),
        pytest.param(
            {"subjects": {"organizations": ["*"]}}, {"subject": {"organizations": ["system:masters"]}}, id="group"
        ),
        pytest.param(
            {"subjects": {"organizations": ["*"]}},
            {"subject": {"organizations": ["\uff33ystem:masters"]}},
            id="look-alike",
        ),
        pytest.param(
            {"subjects": {"organizations": ["*"]}},
            {"subject": {"organizations": ["kubeadm:cluster-admins"]}},
            id="kubeadm's group",
        ),
        pytest.param(
            {"subjects": {"organizations": ["*"]}}, {"subject": {"organizations": ["a/CN=b"]}}, id="attributes"
        ),
        pytest.param(
            {"subjects": {"organizations": ["a"]}}, {"subject": {"organizationalUnits": ["a"]}}, id="attribute"
        ),
    ],
)
def test_what_a_permit_does_not_allow(permit: dict[str, Any], spec: dict[str, Any]) -> None:
    """Each case looks as if the permit could allow it."""
    refused = refusals("shop", permit, services=["x"], **spec)

    assert 1 == len(refused)
    assert " is not permitted: " in refused[0]


def test_a_name_is_allowed_whole_by_one_permit() -> None:
    """Two permits that allow half of it each do not add up."""
    halves = [{"emailAddresses": ["a@b.example.com"]}, {"emailAddresses": ["*@example.com"]}]

    assert refusals("shop", *halves, emailAddresses=["a@example.net"])
    assert refusals("shop", dns("**"), OTHERS, dnsNames=["orders.ops.svc"])


def test_names_of_one_leaf_are_allowed_by_different_permits() -> None:
    """Each name by one of them."""
    permits = [dns("a.example.com"), dns("b.example.com"), {"ipRanges": ["10.0.0.0/8"]}]
    held = given("shop", *permits, dnsNames=["a.example.com", "b.example.com"], ipAddresses=["10.0.0.1"])

    assert Names(dns=("a.example.com", "b.example.com"), ips=("10.0.0.1",)) == held


def test_a_subject_is_one_name() -> None:
    """One permit must allow all of it: the user of one permit is not put into the group of another."""
    user, group = {"commonNames": ["alice"]}, {"subjects": {"organizations": ["admins"]}}
    subject = {"commonName": "alice", "organizations": ["admins"]}

    assert not refusals("shop", user | group, subject=subject)
    assert [
        (
            "spec.subject: the subject is not permitted: it is one name, which one permit must allow whole; add "
            'commonNames: ["alice"] and subjects: {organizations: ["admins"]} to a permit of authority default whose '
            "namespaceSelector matches namespace shop"
        )
    ] == refusals("shop", user, group, subject=subject)


def test_a_common_name_that_the_leaf_carries_needs_no_permit() -> None:
    """It says nothing that is not said already; and it is written as the alternative name is."""
    held = given(services=["orders"], subject={"commonName": "Orders.SHOP.svc"})

    assert "orders.shop.svc" == held.subject.common_name
    assert not refusals(
        "shop", dns("a.example.com"), dnsNames=["a.example.com"], subject={"commonName": "a.example.com"}
    )
    assert refusals(dnsNames=["*.a.shop.svc"], subject={"commonName": "b.a.shop.svc"})
    assert refusals(services=["orders"], subject={"commonName": "cart.shop.svc"})


def test_a_permit_is_for_the_namespaces_that_it_selects() -> None:
    """Only the labels of the namespace count, which its users cannot write."""
    permit = dns("a.example.com", namespaceSelector={"matchLabels": {"team": "edge"}})

    assert not refusals("shop", permit, dnsNames=["a.example.com"], labels={"team": "edge"})
    assert refusals("shop", permit, dnsNames=["a.example.com"], labels={"team": "shop"})
    assert refusals("shop", permit, dnsNames=["a.example.com"])


def test_labels_that_are_not_known_give_no_right() -> None:
    """Even a selector for namespaces that lack a label gives none."""
    lacking = {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}
    by = trusts.of(authority(permits=[dns("a.example.com", namespaceSelector=lacking)]), None)
    of = an_identity(dnsNames=["a.example.com"])

    assert "a.example.com" in desired.wanted(of, by, {}).names.dns
    with pytest.raises(SpecError):
        desired.wanted(of, by, None)


@pytest.mark.parametrize(
    ("permit", "field", "said"),
    [
        pytest.param(dns("a*.example.com"), "dnsNames[0]", "not a DNS name", id="star for a part"),
        pytest.param(dns("a.example.com", "b."), "dnsNames[1]", "not a DNS name", id="trailing dot"),
        pytest.param({"wildcardDNSNames": ["*.com"]}, "wildcardDNSNames[0]", "at least two labels", id="too wide"),
        pytest.param({"wildcardDNSNames": ["a.b.com"]}, "wildcardDNSNames[0]", "not a wildcard", id="no wildcard"),
        pytest.param({"uris": ["spiffe://a.b/c*"]}, "uris[0]", "has no *", id="star for a part of a segment"),
        pytest.param({"uris": ["spiffe://a.b/../c"]}, "uris[0]", ". or ..", id="dots in a pattern"),
        pytest.param({"uris": ["*://a.b/c"]}, "uris[0]", "not an absolute URI", id="star for the scheme"),
        pytest.param({"ipRanges": ["10.0.0.1/8"]}, "ipRanges[0]", "has host bits set", id="bits beyond the prefix"),
        pytest.param({"emailAddresses": ["a*@b.c"]}, "emailAddresses[0]", "not an e-mail", id="star for a part of it"),
        pytest.param({"commonNames": ["ali*"]}, "commonNames[0]", "not a DNS name", id="star for a part of a user"),
        pytest.param(
            {"subjects": {"organizations": ["a*"]}}, "subjects.organizations[0]", "a whole value", id="part of a value"
        ),
        pytest.param(
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "namespaceSelector",
            "which need some: a In",
            id="selector without values",
        ),
    ],
)
def test_a_faulty_permit_is_a_fault_of_the_authority(permit: dict[str, Any], field: str, said: str) -> None:
    """Nobody is judged by it: identities say whose fault it is, and are not refused for lack of a right."""
    of = authority(permits=[{"namespaceSelector": {}} | permit])

    assert of.fault is not None
    assert f"spec.permits[0].{field}: " in of.fault
    assert said in of.fault
    with pytest.raises(SpecError, match="the spec of authority default cannot be read") as error:
        desired.wanted(an_identity(), trusts.of(of, None), {})
    assert Reason.AUTHORITY_NOT_READY == error.value.reason


def test_a_refusal_names_all_and_what_would_permit_it() -> None:
    """One message says it all, and a condition can hold it."""
    asked: dict[str, Any] = {
        "dnsNames": ["api.example.com", "orders.ops.svc"],
        "ipAddresses": ["10.0.0.1"],
        "uris": ["spiffe://other.org/a"],
        "emailAddresses": ["a@example.com"],
        "subject": {"commonName": "alice", "organizations": ["admins"]},
    }
    where = "to a permit of authority default whose namespaceSelector matches namespace shop"

    assert [
        (
            "spec.dnsNames[0]: api.example.com is not permitted: it is not a name of a Service or service account of "
            f'namespace shop; add dnsNames: ["api.example.com"] {where}'
        ),
        (
            "spec.dnsNames[1]: orders.ops.svc is not permitted: it is a name of namespace ops; add dnsNames: "
            f'["orders.ops.svc"] and otherNamespaces: true {where}'
        ),
        (
            "spec.ipAddresses[0]: 10.0.0.1 is not permitted: an IP address belongs to no namespace; add ipRanges: "
            f'["10.0.0.1/32"] {where}'
        ),
        (
            "spec.emailAddresses[0]: a@example.com is not permitted: an e-mail address belongs to no namespace; add "
            f'emailAddresses: ["a@example.com"] {where}'
        ),
        (
            "spec.uris[0]: spiffe://other.org/a is not permitted: its trust domain is not cluster.local, that of "
            f'authority default; add uris: ["spiffe://other.org/a"] {where}'
        ),
        (
            "spec.subject.commonName: alice is not permitted: it belongs to no namespace; add commonNames: "
            f'["alice"] {where}'
        ),
        (
            "spec.subject.organizations[0]: admins is not permitted: it belongs to no namespace; add subjects: "
            f'{{organizations: ["admins"]}} {where}'
        ),
    ] == refusals(**asked)


def test_what_a_refusal_asks_for_is_what_permits_it() -> None:
    """After doing what it says, the identity is not refused again."""
    asked: dict[str, Any] = {
        "dnsNames": [
            *["a.example.com", "b.ops.svc", "*.c.example.com", "*.shop.svc", "d", "e.com", "orders.shop", "f.g"],
            *["1.ops.pod", "a.ops.svc.cluster", "svc.cluster", "kubernetes.default.svc.cluster", "web-0.nginx.ops"],
        ],
        "ipAddresses": ["10.0.0.1", "::1", "::b00:1", "64:ff9b:1:a01:2:300::"],
        "uris": ["spiffe://other.org/a", "spiffe://cluster.local/ns/ops/sa/a", "https://a.ops.svc/", "urn:uuid:a"],
        "emailAddresses": ["a@example.com", "a@b.ops.svc"],
        "subject": {
            "commonName": "system:x",
            "organizations": ["system:masters", "a=b", 'the "best"'],
            "organizationalUnits": ["u"],
            "countries": ["DE"],
            "localities": ["l"],
            "provinces": ["p"],
            "serialNumber": "7",
        },
    }
    advice = [re.search(r"; add (.+) to a permit of ", refusal) for refusal in refusals(**asked)]
    permit: dict[str, Any] = {}
    for found in advice:
        assert found is not None
        for part in found[1].split(" and "):
            merge(permit, yaml.safe_load(f"{{{part}}}"))

    assert not refusals("shop", permit, **asked)


def merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add to a permit what a refusal asks for."""
    for name, value in more.items():
        if isinstance(value, dict):
            merge(into.setdefault(name, {}), value)
        elif isinstance(value, list):
            into[name] = [*into.get(name, []), *value]
        else:
            into[name] = value


def test_a_long_refusal_fits_into_a_condition() -> None:
    """A status that the API server refuses would be written for ever."""
    with pytest.raises(SpecError) as error:
        given(dnsNames=[f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{index}.example.com" for index in range(100)])

    assert 4096 >= len(str(error.value))
    assert re.search(r"; and 9\d more$", str(error.value))


# The authority


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
