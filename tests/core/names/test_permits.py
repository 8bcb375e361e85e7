"""Which names permits allow, and which they only seem to allow."""

from __future__ import annotations

from typing import Any

import pytest

from mutualtls.core.ca import offer as trusts
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired
from mutualtls.core.names.names import Names
from mutualtls.core.reasons import Reason
from support.builders import an_identity, authority
from support.permits import given, refusals


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
    """Each name needs one of them."""
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
