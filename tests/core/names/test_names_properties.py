"""Names: no two namespaces hold one, tried with names and permits that nobody thought of."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import assume, given
from hypothesis import strategies as st

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.ca import offer as trusts
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired, facts
from mutualtls.core.leaf.desired import Wanted
from mutualtls.core.names import names, ownership, patterns, uris
from mutualtls.core.names.names import Names, names_hash
from mutualtls.core.pki import issue
from support.builders import DAY, NOW, an_identity, authority, default_signer, key
from support.examples import examples

words = st.sampled_from(["a", "b", "svc", "cluster", "local", "default", "kubernetes", "shop", "a-b", "xn--a", "0"])


labels = words | st.text("abcsv0", min_size=1, max_size=4)


namespace_pairs = st.tuples(labels, labels) | labels.map(lambda label: (label, f"a{label}"))


cluster_domains = st.sampled_from(["cluster.local", "local", "example.com", "svc.cluster.local", "shop.local", "a"])


dns_names = st.lists(labels | st.just("*"), min_size=1, max_size=8).map(".".join)


@st.composite
def tempting_names(draw: st.DrawFn, namespaces: tuple[str, str], cluster_domain: str) -> str:
    """A name that both namespaces would like."""
    tails = [
        f"{end}{domain}"
        for end in ("svc", *(f"{one}.svc" for one in namespaces))
        for domain in ("", f".{cluster_domain}")
    ]
    parts = labels | st.sampled_from([*namespaces, *tails, cluster_domain, "*", "kubernetes"])
    return ".".join([*draw(st.lists(parts, min_size=1, max_size=4)), draw(st.sampled_from(tails))])


@examples(400)
@given(st.data(), namespace_pairs, cluster_domains)
def test_no_two_namespaces_may_hold_one_name(
    data: st.DataObject, namespaces: tuple[str, str], cluster_domain: str
) -> None:
    """This is so without a permit."""
    assume(namespaces[0] != namespaces[1])
    name = data.draw(dns_names | tempting_names(namespaces, cluster_domain))
    holders = [
        namespace for namespace in namespaces if ownership.cluster(cluster_domain).is_own_dns_name(name, namespace)
    ]

    assert len(holders) <= 1


def covers(pattern: str, name: str) -> bool:
    """Tell whether a verifier takes a name in a certificate for another name (RFC 9525 section 6.3)."""
    first, _, rest = pattern.partition(".")
    return pattern == name or (first == "*" and "." in name and rest == name.partition(".")[2])


@examples(400)
@given(st.data(), namespace_pairs, cluster_domains)
def test_no_wildcard_of_a_namespace_covers_a_name_of_another(
    data: st.DataObject, namespaces: tuple[str, str], cluster_domain: str
) -> None:
    """This follows how verifiers read wildcards."""
    assume(namespaces[0] != namespaces[1])
    left, right = (data.draw(tempting_names(namespaces, cluster_domain)) for _ in range(2))
    is_permitted = [
        ownership.cluster(cluster_domain).is_own_dns_name(name, namespace)
        for name, namespace in zip((left, right), namespaces, strict=True)
    ]

    assert not (all(is_permitted) and (covers(left, right) or covers(right, left)))


@examples(200)
@given(labels, st.lists(labels, max_size=3), st.sampled_from(["*.", ""]), st.sampled_from(["", ".cluster.local"]))
def test_a_namespace_holds_all_that_is_below_its_services(
    namespace: str, below: list[str], wildcard: str, domain: str
) -> None:
    """The API server's own Service is the exception."""
    name = wildcard + ".".join([*below, "orders", namespace, "svc"]) + domain

    assert ownership.cluster("cluster.local").is_own_dns_name(name, namespace)


@examples(300)
@given(st.text(max_size=20) | dns_names)
def test_canonical_names_are_canonical(name: str) -> None:
    """Doing it again changes nothing, and the result can be written into a certificate."""
    try:
        canonical = names.canonical_dns_name(name)
    except ValueError:
        return

    assert canonical == names.canonical_dns_name(canonical)
    assert canonical.isascii()
    assert canonical == canonical.lower()
    assert "*" not in canonical[1:]


def names_of(name: str, namespace: str, **spec: Any) -> Names | None:
    """Names that an identity is given; None if it is refused."""
    try:
        return desired.wanted(an_identity(name, namespace, **spec), default_signer().trust).names
    except SpecError:
        return None


@examples(150)
@given(st.data(), namespace_pairs, st.tuples(labels, labels))
def test_no_two_namespaces_are_given_one_name(
    data: st.DataObject, namespaces: tuple[str, str], identities: tuple[str, str]
) -> None:
    """Services, service accounts and further names go through the whole of a spec."""
    assume(namespaces[0] != namespaces[1])
    given_names = []
    for name, namespace in zip(identities, namespaces, strict=True):
        spec = {
            "services": data.draw(st.lists(labels, max_size=2)),
            "serviceAccountName": data.draw(labels),
            "dnsNames": data.draw(st.lists(tempting_names(namespaces, "cluster.local"), max_size=1)),
        }
        given_names.append(names_of(name, namespace, **spec) or Names())
    one, other = given_names

    assert not {*one.alternative} & {*other.alternative}


scraps = st.sampled_from(
    [
        *[
            "a",
            "shop",
            "ops",
            "svc",
            "cluster",
            "local",
            "com",
            "example",
            "default",
            "kubernetes",
            "kube-system",
            "pod",
        ],
        *[
            "*",
            "**",
            ".",
            "..",
            "/",
            "@",
            ":",
            "//",
            "%2e",
            "%2F",
            "#",
            "?",
            "\\0",
            "\n",
            " ",
            "\u3002",
            "\u0430",
            "\u00df",
        ],
        *["spiffe://", "https://", "urn:", "cluster.local", "ns/", "sa/", "10.0.0.1", "::1", "::ffff:1.2.3.4", "%eth0"],
        *["system:", "A", "xn--", "-", "_", "0x1", "7", "=", ",", "\u202e", "\u200b"],
    ]
)


anything = st.lists(scraps, max_size=8).map("".join) | st.text(max_size=12)


some_namespaces = st.sampled_from(
    ["shop", "ops", "svc", "com", "default", "kube-system", "local", "cluster", "pod", "a"]
)


some_domains = st.sampled_from(["cluster.local", "local", "example.com", "shop.local", "svc.cluster.local", "a"])


hosts = st.lists(
    some_namespaces | st.sampled_from(["svc", "cluster", "local", "example", "com", "kubernetes", "orders"]),
    min_size=1,
    max_size=6,
).map(".".join)


spiffe_ids = st.builds(
    lambda domain, path: f"spiffe://{domain}/{'/'.join(path)}",
    some_domains,
    st.lists(some_namespaces | st.sampled_from(["ns", "sa", "orders"]), min_size=1, max_size=5),
)


own_spiffe_ids = st.builds(lambda domain, ns: f"spiffe://{domain}/ns/{ns}/sa/orders", some_domains, some_namespaces)


service_hosts = st.builds(
    lambda wildcard, first, ns, kind, domain: f"{wildcard}{first}{ns}.{kind}{domain}",
    st.sampled_from(["", "*."]),
    st.sampled_from(["", "orders.", "a.orders.", "kubernetes."]),
    some_namespaces,
    st.sampled_from(["svc", "pod"]),
    some_domains.map(lambda domain: f".{domain}") | st.just(""),
)


dns_like = hosts | service_hosts | hosts.map(lambda host: f"*.{host}")


subjects = st.fixed_dictionaries(
    {},
    optional={
        "commonName": anything | dns_like,
        "organizations": st.lists(anything, max_size=2),
        "organizationalUnits": st.lists(anything, max_size=2),
        "countries": st.lists(st.sampled_from(["DE", "de", "", "D"]), max_size=1),
        "localities": st.lists(anything, max_size=1),
        "provinces": st.lists(anything, max_size=1),
        "serialNumber": anything,
    },
)


names_asked = st.fixed_dictionaries(
    {},
    optional={
        "services": st.lists(labels | anything, max_size=2),
        "serviceAccountName": labels | anything,
        "dnsNames": st.lists(dns_like | anything, max_size=3),
        "ipAddresses": st.lists(st.ip_addresses().map(str) | anything, max_size=2),
        "uris": st.lists(own_spiffe_ids | spiffe_ids | anything, max_size=2),
        "emailAddresses": st.lists(hosts.map(lambda host: f"a@{host}") | anything, max_size=2),
        "subject": subjects,
        "secret": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(anything, anything, max_size=2)}),
    },
)


starred = st.lists(
    some_namespaces | st.sampled_from(["*", "**", "svc", "cluster", "local", "orders"]), min_size=1, max_size=5
)


permits_without_reach = st.fixed_dictionaries(
    {"namespaceSelector": st.just({})},
    optional={
        "dnsNames": st.lists(starred.map(".".join) | hosts, max_size=3),
        "wildcardDNSNames": st.lists(service_hosts | hosts.map(lambda host: f"*.{host}"), max_size=3),
        "shortServiceNames": st.booleans(),
        "uris": st.lists(
            own_spiffe_ids | starred.map(lambda parts: f"spiffe://**/{'/'.join(parts)}") | spiffe_ids, max_size=3
        ),
        "ipRanges": st.just(["0.0.0.0/0", "::/0"]),
        "emailAddresses": st.lists(starred.map(lambda parts: f"*@{'.'.join(parts)}"), max_size=2),
        "commonNames": st.lists(starred.map(".".join) | hosts | st.just("*"), max_size=3),
        "subjects": st.just({"organizations": ["*"], "organizationalUnits": ["*"], "serialNumbers": ["*"]}),
    },
)


@examples(400)
@given(st.data(), some_domains, some_namespaces, some_namespaces)
def test_without_permits_the_names_of_two_namespaces_never_meet(
    data: st.DataObject, domain: str, one: str, other: str
) -> None:
    """This holds for names of every kind; nor does a wildcard of one cover a name of the other."""
    assume(one != other)
    by = trusts.of(authority(clusterDomain=domain, trustDomain=domain), None)
    tempting = own_spiffe_ids | spiffe_ids
    held = []
    for namespace in (one, other):
        for dns_name in data.draw(st.lists(dns_like, max_size=3)):
            held.append((namespace, given_names(by, namespace, dnsNames=[dns_name], subject={"commonName": dns_name})))
            held.append((namespace, given_names(by, namespace, dnsNames=[dns_name])))
        held += [
            (namespace, given_names(by, namespace, uris=[uri])) for uri in data.draw(st.lists(tempting, max_size=2))
        ]
    ours, theirs = (
        {
            name
            for namespace, names in held
            if namespace == of
            for name in (*names.alternative, names.subject.common_name)
        }
        - {""}
        for of in (one, other)
    )

    assert not ours & theirs
    assert not any(covers(left, right) or covers(right, left) for left in ours for right in theirs)


def given_names(by: Offer, namespace: str, **spec: Any) -> Names:
    """Names that `orders` is given, beside which it asks for none; none if it is refused."""
    asked = {"services": [], "serviceAccountName": ""} | spec
    try:
        return desired.wanted(an_identity("orders", namespace, **asked), by, {}).names
    except SpecError:
        return Names()


@examples(500)
@given(permits_without_reach, st.data(), some_domains, some_namespaces)
def test_a_permit_without_other_namespaces_reaches_none(
    permit: dict[str, Any], data: st.DataObject, domain: str, namespace: str
) -> None:
    """No pattern reaches a name in a form that Services and service accounts have, whole or cut short.

    A domain of the internet that a permit spells out is its own: `example.com`, though `com` may be a namespace.
    """
    of = authority(clusterDomain=domain, trustDomain=domain, permits=[permit])
    assume(of.fault is None)
    by = trusts.of(of, None)
    names_given = [
        *(given_names(by, namespace, dnsNames=[name]) for name in data.draw(st.lists(dns_like, max_size=4))),
        *(
            given_names(by, namespace, uris=[uri])
            for uri in data.draw(st.lists(own_spiffe_ids | spiffe_ids, max_size=3))
        ),
        *(
            given_names(by, namespace, subject={"commonName": name})
            for name in data.draw(st.lists(dns_like | own_spiffe_ids | spiffe_ids, max_size=2))
        ),
    ]
    spelled_out = {*permit.get("dnsNames", ()), *permit.get("commonNames", ())}
    for held in names_given:
        for name in (*held.dns, held.subject.common_name):
            assert others(name, domain) <= {namespace} or (name in spelled_out and ownership.is_public_domain(name))
        for uri in (*held.uris, held.subject.common_name):
            match = re.fullmatch(f"spiffe://{re.escape(domain)}/ns/([^/]+)(/.*)?", uri)
            assert match is None or match[1] == namespace


FIRST_OCTET_WITHIN = {
    "::/96": (12, 0),
    "::ffff:0:0:0/96": (12, 0),
    "64:ff9b::/96": (12, 0),
    "2002::/16": (2, 0),
    "2001::/32": (12, 255),
}
"""Where the first octet of an IPv4 address is in IPv6 ones that stand for it, and what stands for its being 0."""


@examples(300)
@given(
    st.ip_addresses(v=6)
    | st.sampled_from(sorted(FIRST_OCTET_WITHIN)).flatmap(lambda block: st.ip_addresses(network=block))
)
def test_a_range_of_ipv6_addresses_gives_none_that_stands_for_an_ipv4_one(address: ipaddress.IPv6Address) -> None:
    """It gives all other addresses of the range."""
    by = trusts.of(authority(permits=[{"namespaceSelector": {}, "ipRanges": ["::/0"]}]), None)
    assume(not any(address in ipaddress.ip_network(block) for block in ("::ffff:0:0/96", "64:ff9b:1::/48")))
    stands_for = any(
        address in ipaddress.ip_network(block) and address.packed[octet] != zero
        for block, (octet, zero) in FIRST_OCTET_WITHIN.items()
    )

    assert (() if stands_for else (str(address),)) == given_names(by, "shop", ipAddresses=[str(address)]).ips


def others(name: str, domain: str) -> set[str]:
    """List the namespaces of which a name is a Service's, a pod's or short name; in other words than the code's.

    A common name may be a URI, which no verifier takes for a host.
    """
    if "://" in name:
        return set()
    labels = domain.split(".")
    ends = (re.escape("".join(f".{label}" for label in labels[:count])) for count in range(len(labels) + 1))
    forms = [r"[^.]+\.([^.]+)", *(rf"(?:.+\.)?([^.]+)\.(?:svc|pod){end}" for end in ends)]
    return {match[1] for form in forms if (match := re.fullmatch(form, name))}


def judged(of: Identity, by: Offer) -> Wanted | SpecError:
    """Work out what is wanted, or why it is refused."""
    try:
        return desired.wanted(of, by, {})
    except SpecError as error:
        return error


@examples(600)
@given(
    names_asked, st.none() | permits_without_reach, st.sampled_from([{}, {"otherNamespaces": True}]), some_namespaces
)
def test_whatever_is_asked_for_is_issued_as_judged_or_refused_with_reasons(
    spec: dict[str, Any], permit: dict[str, Any] | None, reach: dict[str, Any], namespace: str
) -> None:
    """There is no crash, no name that the certificate lacks, and none that it alone has."""
    of = authority(permits=[permit | reach] if permit else [])
    assume(of.fault is None)
    by = default_signer()
    found = judged(an_identity("orders", namespace, **spec), trusts.of(of, by.ledger))
    if isinstance(found, SpecError):
        assert found.faults
        assert all(fault.field and fault.message for fault in found.faults)
        assert len(str(found)) <= 4096
        return
    life = times.validity(NOW, DAY, within=by.issuing.validity)
    leaf = issue.leaf(key().public_key(), by.issuing, names=found.names, usages=found.usages, validity=life)
    again = x509.load_der_x509_certificate(leaf.public_bytes(serialization.Encoding.DER))
    read = facts.of_leaf(again, intermediates=[], encoding=found.encoding, ca=b"")

    assert names_hash(found.names) == read.names_hash


@examples(500)
@given(anything | dns_like | spiffe_ids)
def test_canonical_forms_are_canonical(text: str) -> None:
    """Doing it again changes nothing, for every kind; an invalid name raises only ValueError."""
    for canonical in (
        names.canonical_dns_name,
        names.canonical_ip,
        names.canonical_email,
        names.canonical_common_name,
        names.canonical_serial_number,
        uris.canonical,
    ):
        with contextlib.suppress(ValueError):
            found = canonical(text)
            assert found == canonical(found)
            assert names.is_visible(found)


@examples(500)
@given(anything | starred.map(".".join))
def test_patterns_are_read_or_refused(text: str) -> None:
    """A pattern without stars stands for itself."""
    with contextlib.suppress(ValueError):
        pattern = patterns.dns(text)
        assert patterns.spelled_out(pattern) < len(pattern) or patterns.fits(pattern, pattern)
    with contextlib.suppress(ValueError):
        uri = patterns.uri(text)
        assert "*" in str(uri) or patterns.fits_uri(uri, uris.parse(str(uri)))
    with contextlib.suppress(ValueError):
        patterns.email(text)


parts = st.lists(st.sampled_from("ab"), max_size=5)


pattern_parts = st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=4)


@examples(500)
@given(pattern_parts, parts)
def test_patterns_fit_as_regular_expressions_do(pattern: list[str], found: list[str]) -> None:
    """`*` is one part, `**` is one or more."""
    meaning = {"*": "[ab],", "**": "([ab],)+"}
    expression = "".join(meaning.get(part, f"{part},") for part in pattern)

    assert bool(re.fullmatch(expression, "".join(f"{part}," for part in found))) is patterns.fits(tuple(pattern), found)
