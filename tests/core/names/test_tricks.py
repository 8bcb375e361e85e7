"""Tricks by which somebody could try to get another's DNS name or address. None works, and each says why."""

from __future__ import annotations

import pytest

from support.builders import authority
from support.tricks import ALL, WHERE, said

# Spelling


def test_upper_case() -> None:
    """A name in capitals is the same name."""
    assert [
        (
            "spec.dnsNames[0]: orders.ops.svc is not permitted: it is a name of namespace ops; add dnsNames: "
            f'["orders.ops.svc"] and otherNamespaces: true {WHERE}'
        )
    ] == said(dnsNames=["Orders.OPS.svc"])
    assert [
        (
            "spec.uris[0]: not a SPIFFE ID, whose trust domain has lower-case letters, digits, dots, '-' and '_' only, "
            "no user and no port: spiffe://Cluster.Local/ns/ops/sa/orders"
        )
    ] == said(uris=["spiffe://Cluster.Local/ns/ops/sa/orders"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param(
            "orders.p\u0430y.svc",
            "orders.xn--py-7kc.svc is not permitted: it is a name of namespace xn--py-7kc",
            id="Cyrillic letter",
        ),
        pytest.param(
            "\uff4frders.ops.svc",
            "not a DNS name (Codepoint U+FF4F at position 1 of '\uff4frders' not allowed): \uff4frders.ops.svc",
            id="full-width letter",
        ),
        pytest.param(
            "orders\u3002ops\u3002svc",
            "not a DNS name (Codepoint U+3002 at position 7 of 'orders\u3002ops\u3002svc' not allowed): "
            "orders\u3002ops\u3002svc",
            id="ideographic full stops",
        ),
        pytest.param(
            "ord\u200bers.shop.svc",
            r"not a DNS name (Codepoint U+200B at position 4 of 'ord\u200bers' not allowed): ord\u200bers.shop.svc",
            id="zero-width space",
        ),
        pytest.param(
            "xn--orders-.ops.svc",
            "not a DNS name (A-label must not end with a hyphen): xn--orders-.ops.svc",
            id="A-label of an ASCII name",
        ),
    ],
)
def test_letters_that_look_alike(name: str, why: str) -> None:
    """A look-alike is another name, and is shown as the one that it is."""
    (refused,) = said(dnsNames=[name])

    assert refused.startswith(f"spec.dnsNames[0]: {why}")


FORM = "1 to 63 letters, digits and inner hyphens between dots, and no dot at the end"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("orders.ops.svc.", f"not a DNS name ({FORM}): orders.ops.svc.", id="trailing dot"),
        pytest.param(
            "orders.ops.svc\0.orders.shop.svc",
            rf"not a DNS name ({FORM}): orders.ops.svc\x00.orders.shop.svc",
            id="NUL",
        ),
        pytest.param(
            "orders.ops.svc\n.orders.shop.svc",
            rf"not a DNS name ({FORM}): orders.ops.svc\n.orders.shop.svc",
            id="newline",
        ),
        pytest.param("orders.ops.svc ", f"not a DNS name ({FORM}): orders.ops.svc ", id="blank"),
        pytest.param("10.0.0.1", "not a DNS name, as its last label is a number: 10.0.0.1", id="IP address"),
        pytest.param("0x7f000001", "not a DNS name, as its last label is a number: 0x7f000001", id="hexadecimal"),
    ],
)
def test_what_is_no_dns_name(name: str, why: str) -> None:
    """It is refused whether or not a verifier would stop reading at the NUL."""
    assert [f"spec.dnsNames[0]: {why}"] == said(dnsNames=[name])


# Reaching far


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param(
            "*.shop.svc",
            "*.shop.svc is not permitted: it covers every Service of namespace shop, and a wildcard must stand below a "
            'Service, as in *.SERVICE.shop.svc; add wildcardDNSNames: ["*.shop.svc"]',
            id="the own namespace",
        ),
        pytest.param(
            "*.ops.svc",
            "*.ops.svc is not permitted: it is a name of namespace ops; add wildcardDNSNames: "
            '["*.ops.svc"] and otherNamespaces: true',
            id="another namespace",
        ),
        pytest.param(
            "*.svc.cluster.local",
            "*.svc.cluster.local is not permitted: it covers a name of the Kubernetes API server; add "
            'wildcardDNSNames: ["*.svc.cluster.local"] and otherNamespaces: true',
            id="all namespaces",
        ),
        pytest.param(
            "*.cluster.local",
            "*.cluster.local is not permitted: it covers a name of the Kubernetes API server; add wildcardDNSNames: "
            '["*.cluster.local"] and otherNamespaces: true',
            id="the cluster",
        ),
        pytest.param(
            "*.co.uk",
            "*.co.uk is not permitted: it is not a name of a Service or service account of namespace shop; add "
            'wildcardDNSNames: ["*.co.uk"]',
            id="public suffix of two labels",
        ),
    ],
)
def test_wildcards(name: str, why: str) -> None:
    """A permit must spell out a wildcard; no pattern gives it."""
    widest = authority(permits=[{**ALL, "dnsNames": ["**"], "uris": ["https://**/**"], "otherNamespaces": True}])

    assert [f"spec.dnsNames[0]: {why} {WHERE}"] == said(dnsNames=[name]) == said(widest, dnsNames=[name])


@pytest.mark.parametrize("name", ["*.com", "*.svc", "*.local"])
def test_wildcards_of_a_top_level_domain(name: str) -> None:
    """Nobody gets one, and an authority that permits it has a fault."""
    of = authority(permits=[{**ALL, "wildcardDNSNames": [name], "otherNamespaces": True}])

    assert [
        f"spec.dnsNames[0]: {name} is not permitted and cannot be: a wildcard needs at least two labels after the *"
    ] == said(dnsNames=[name])
    assert f"spec.permits[0].wildcardDNSNames[0]: not a wildcard name with at least two labels after the *: {name}" == (
        of.fault
    )


def test_a_wildcard_of_everything() -> None:
    """It is no name at all."""
    assert ["spec.dnsNames[0]: not a DNS name, as nothing follows the *: *"] == said(dnsNames=["*"])


def test_a_name_that_only_begins_like_ones_own() -> None:
    """What counts is how it ends."""
    assert [
        (
            "spec.dnsNames[0]: orders.shop.svc.evil.com is not permitted: it is not a name of a Service or service "
            f'account of namespace shop; add dnsNames: ["orders.shop.svc.evil.com"] {WHERE}'
        )
    ] == said(dnsNames=["orders.shop.svc.evil.com"])


def test_a_namespace_that_is_a_top_level_domain() -> None:
    """`shortServiceNames` gives namespace `com` the name `google`, not `google.com`."""
    of = authority(permits=[{**ALL, "shortServiceNames": True}])

    assert not said(of, namespace="com", dnsNames=["google"])
    assert not said(of, namespace="payments", dnsNames=["orders.payments"])
    assert [
        (
            "spec.dnsNames[0]: google.com is not permitted: it is a domain of the internet and could be Service google "
            'of namespace com; add dnsNames: ["google.com"] to a permit of authority default whose namespaceSelector '
            "matches namespace com"
        )
    ] == said(of, namespace="com", dnsNames=["google.com"])


@pytest.mark.parametrize("name", ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "*.default.svc"])
def test_the_api_server(name: str) -> None:
    """A permit must spell out its names: namespace `default` and the widest permit do not give them."""
    widest = authority(permits=[{**ALL, "dnsNames": ["**"], "shortServiceNames": True, "otherNamespaces": True}])
    kind = "wildcardDNSNames" if name.startswith("*") else "dnsNames"
    verb = "covers" if name.startswith("*") else "is"

    assert [
        (
            f"spec.dnsNames[0]: {name} is not permitted: it {verb} a name of the Kubernetes API server; add "
            f'{kind}: ["{name}"] and otherNamespaces: true to a permit of authority default whose namespaceSelector '
            "matches namespace default"
        )
    ] == said(widest, namespace="default", dnsNames=[name])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("10-0-0-1.ops.pod", id="pod"),
        pytest.param("10-0-0-1.ops.pod.cluster", id="pod, with the beginning of the domain"),
        pytest.param("orders.ops.svc.cluster", id="Service, with the beginning of the domain"),
        pytest.param("a.b.orders.ops.svc.cluster", id="below that"),
    ],
)
def test_names_that_search_domains_complete(name: str) -> None:
    """A pod that dials one of these may reach namespace `ops`."""
    of = authority(permits=[{**ALL, "dnsNames": ["**"]}])

    assert [
        (
            f"spec.dnsNames[0]: {name} is not permitted: it is a name of namespace ops; add dnsNames: "
            f'["{name}"] and otherNamespaces: true {WHERE}'
        )
    ] == said(of, dnsNames=[name])


def test_the_api_server_as_search_domains_complete_it() -> None:
    """With the beginning of the cluster's domain, it is the same Service."""
    of = authority(permits=[{**ALL, "dnsNames": ["**"], "otherNamespaces": True}])

    assert [
        (
            "spec.dnsNames[0]: kubernetes.default.svc.cluster is not permitted: it is a name of the Kubernetes API "
            'server; add dnsNames: ["kubernetes.default.svc.cluster"] and otherNamespaces: true '
            f"{WHERE}"
        )
    ] == said(of, dnsNames=["kubernetes.default.svc.cluster"])


def test_a_pod_by_the_name_of_its_service() -> None:
    """`POD.SERVICE.NAMESPACE` looks like a host of a company's zone, which a pattern must spell out."""
    of = authority(permits=[{**ALL, "dnsNames": ["**"]}])

    assert [
        (
            "spec.dnsNames[0]: web-0.nginx.ops is not permitted: it is not a name of a Service or service account of "
            f'namespace shop; add dnsNames: ["web-0.nginx.ops"] {WHERE}'
        )
    ] == said(of, dnsNames=["web-0.nginx.ops"])
    assert not said(authority(permits=[{**ALL, "dnsNames": ["*.corp.lan"]}]), dnsNames=["web-0.corp.lan"])


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        pytest.param("::a00:1", ["10.0.0.1"], id="of RFC 4291"),
        pytest.param("::ffff:0:a00:1", ["10.0.0.1"], id="translated, of old"),
        pytest.param("64:ff9b::a00:1", ["10.0.0.1"], id="translated"),
        pytest.param("64:ff9b:1::a00:1", ["10.0.0.1"], id="translated within a site"),
        pytest.param("64:ff9b:1:a01:2:300::", ["10.1.2.3", "1.2.3.0", "2.3.0.0"], id="by one of several prefixes"),
        pytest.param("2002:a00:1::", ["10.0.0.1"], id="6to4"),
        pytest.param("2001:0:102:304::f5ff:fffe", ["10.0.0.1"], id="Teredo"),
    ],
)
def test_an_ipv6_address_that_stands_for_an_ipv4_one(address: str, meant: list[str]) -> None:
    """It is judged as that one: a range of IPv6 addresses gives none of these."""
    of = authority(permits=[{**ALL, "ipRanges": ["::/0"]}])
    ranges = ", ".join(f'"{one}/32"' for one in meant)

    assert [
        (
            f"spec.ipAddresses[0]: {address} is not permitted: it stands for {', '.join(meant)}; add ipRanges: "
            f"[{ranges}] {WHERE}"
        )
    ] == said(of, ipAddresses=[address])
    assert not said(authority(permits=[{**ALL, "ipRanges": [f"{one}/32" for one in meant]}]), ipAddresses=[address])
