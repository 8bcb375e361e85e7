"""Tricks by which somebody could try to get another's name. None works, and each says why in words that help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mutualtls.core.api.authority import Authority
from mutualtls.core.ca import offer as trusts
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired
from support.builders import an_identity, authority

WHERE = "to a permit of authority default whose namespaceSelector matches namespace shop"
ALL: dict[str, Any] = {"namespaceSelector": {}}


def said(
    of: Authority | None = None,
    *,
    name: str = "orders",
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> list[str]:
    """List what the user is told; nothing where the names are given. Only what `spec` says is asked for."""
    asked = {"services": [], "serviceAccountName": ""} | spec
    try:
        desired.wanted(an_identity(name, namespace, **asked), trusts.of(of or authority(), None), labels or {})
    except SpecError as error:
        return [str(fault) for fault in error.faults]
    return []


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
    """Whether a verifier would stop reading at the NUL or not."""
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
    """Whether by stars or spelled out; short, long, or as a SPIFFE ID."""
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
