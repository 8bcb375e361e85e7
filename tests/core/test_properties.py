"""What holds for whatever comes: promises of the design, tried with values that nobody thought of."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.builders import (
    DAY,
    MINUTE,
    NOW,
    P256,
    PKCS12,
    SECOND,
    Home,
    Signer,
    acted,
    an_identity,
    authority,
    decide,
    default_signer,
    grown,
    issued,
    key,
    known,
    observed,
    secret_of,
    signer,
)
from mutualtls.core import (
    bundle,
    desired,
    facts,
    generations,
    issue,
    ledger,
    names,
    ownership,
    patterns,
    times,
    uris,
)
from mutualtls.core import trust as trusts
from mutualtls.core.checks import Absent, Action
from mutualtls.core.desired import Wanted
from mutualtls.core.errors import SpecError
from mutualtls.core.identity import Identity
from mutualtls.core.issue import CA
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.names import Names
from mutualtls.core.steps import Make, Sign, Write
from mutualtls.core.times import Validity
from mutualtls.core.trust import Trust

Test = TypeVar("Test", bound=Callable[..., None])


def examples(most: int) -> Callable[[Test], Test]:
    """Try so many examples, the same in every run, however long one takes."""
    return settings(max_examples=most, deadline=None, derandomize=True, database=None)


moments = st.integers(min_value=0, max_value=10**9).map(lambda s: NOW + s * SECOND)
fractions = st.integers(min_value=0, max_value=999_999).map(lambda us: timedelta(microseconds=us))
durations = st.integers(min_value=60, max_value=168 * 3600).map(lambda s: s * SECOND)


# Times


@examples(200)
@given(st.integers(min_value=0, max_value=99_999 * 3600))
def test_durations_are_read_as_they_were_written(whole_seconds: int) -> None:
    """Nothing is lost on the way."""
    duration = timedelta(seconds=whole_seconds)

    assert duration == times.parse_duration(times.format_duration(duration))


@examples(100)
@given(moments, fractions)
def test_moments_are_read_as_they_were_written(moment: datetime, fraction: timedelta) -> None:
    """But for fractions of a second."""
    assert moment == times.from_rfc3339(times.rfc3339(moment + fraction))


@examples(200)
@given(moments, fractions, durations, st.integers(1, 10**7), st.integers(1, 10**7))
def test_no_validity_reaches_beyond_that_of_the_ca(
    now: datetime, fraction: timedelta, duration: timedelta, begun: int, left: int
) -> None:
    """On either side, and in whole seconds."""
    within = Validity(not_before=now - begun * SECOND, not_after=now + left * SECOND)
    life = times.validity(now + fraction, duration, within=within)

    assert within.not_before <= life.not_before <= now
    assert now < life.not_after <= within.not_after
    assert life.not_after <= now + duration
    assert 0 == life.not_before.microsecond == life.not_after.microsecond


@examples(150)
@given(moments, durations, st.data(), st.text(max_size=40))
def test_a_renewal_lies_within_life(now: datetime, duration: timedelta, data: st.DataObject, uid: str) -> None:
    """After a tenth of it, and before its end, whatever is asked for."""
    renew_before = data.draw(st.integers(1, int(duration.total_seconds()) - 1)) * SECOND
    life = times.validity(now, duration)
    due = times.renewal_time(life, duration=duration, renew_before=renew_before, uid=uid)

    assert now + duration / 10 - SECOND < due < life.not_after
    assert due <= max(life.not_after - renew_before, times.whole(now + duration / 10))


@examples(150)
@given(durations, st.integers(0, 168 * 3600), st.integers(1, 168 * 3600), st.text(max_size=40))
def test_a_leaf_is_not_renewed_before_it_is_valid(duration: timedelta, left: int, before: int, uid: str) -> None:
    """Also when its CA's end cuts it short."""
    ca = Validity(not_before=NOW - DAY, not_after=NOW + left * SECOND)
    life = times.validity(NOW, duration, within=ca)
    due = times.renewal_time(life, duration=duration, renew_before=before * SECOND, uid=uid)

    assert life.not_before <= due


# Bundles


@functools.cache
def roots() -> tuple[str, ...]:
    """A handful of roots as PEM."""
    announced = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
    made = (generations.certify(authority(), announced, key(P256, number), None, now=NOW) for number in range(6))
    return tuple(issue.to_pem(ca.certificate).decode() for ca in made)


some_roots = st.lists(st.integers(0, 5), max_size=8)


@examples(100)
@given(some_roots, st.randoms(use_true_random=False))
def test_bundles_merge_in_any_order_to_the_same_bytes(chosen: list[int], random: Any) -> None:
    """However often each root comes."""
    pems = [roots()[number] for number in chosen]
    shuffled = [*pems, *pems]
    random.shuffle(shuffled)
    merged = bundle.merge(pems)

    assert merged == bundle.merge(shuffled)
    assert len(set(chosen)) == merged.count(b"BEGIN CERTIFICATE")


@examples(100)
@given(some_roots, some_roots)
def test_merging_bundles_is_merging_their_roots(left: list[int], right: list[int]) -> None:
    """Of bundles as of single roots, and once more changes nothing."""
    one, other = (bundle.merge(roots()[number] for number in chosen) for chosen in (left, right))
    both = bundle.merge(pem.decode() for pem in (one, other) if pem)

    assert bundle.merge(roots()[number] for number in (*left, *right)) == both
    assert both == (bundle.merge([both.decode()]) if both else b"")


@examples(50)
@given(some_roots)
def test_text_around_a_root_does_not_matter(chosen: list[int]) -> None:
    """Comments and line ends of those who wrote it."""
    pems = [roots()[number] for number in chosen]
    dressed = [f"# a root\r\n\r\n{pem}\n\n" for pem in pems]

    assert bundle.merge(pems) == bundle.merge(dressed)


# No leaf outlives its CA


def ledger_of(root_ends: datetime, ca_ends: datetime, root_until: datetime | None, ca_until: datetime | None) -> Ledger:
    """A ledger of two CAs."""
    root = CAGeneration(role=Role.ROOT, number=1, state=State.ACTIVE, not_after=root_ends, signs_until=root_until)
    issuing = CAGeneration(
        role=Role.ISSUING, number=1, state=State.ACTIVE, issuer=1, not_after=ca_ends, signs_until=ca_until
    )
    return Ledger(authority_uid="u", generations=(root, issuing))


@examples(300)
@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    durations,
    fractions,
    st.tuples(*[st.none() | st.integers(-(10**5), 10**6)] * 2),
)
def test_no_leaf_outlives_its_ca_nor_what_the_ledger_allows(
    left: int, more: int, duration: timedelta, fraction: timedelta, before_until: tuple[int | None, int | None]
) -> None:
    """Whatever the ledger said before, after one write at most; and what it allowed it still allows."""
    ca_ends, root_ends = NOW + left * SECOND, NOW + (left + more) * SECOND
    limits = [
        None if until is None else min(NOW + until * SECOND, end)
        for until, end in zip(before_until, (root_ends, ca_ends), strict=True)
    ]
    before = ledger_of(root_ends, ca_ends, limits[0], limits[1])
    within = Validity(not_before=NOW - DAY, not_after=ca_ends)
    end = times.validity(NOW + fraction, duration, within=within).not_after
    active = before.generations[1]
    after = before if ledger.covers(active, end) else ledger.extended(before, active, now=NOW + fraction, not_after=end)
    root, issuing = after.generations

    assert end <= ca_ends
    assert ledger.covers(issuing, end)
    assert issuing.signs_until is not None
    assert issuing.signs_until <= ca_ends
    assert 0 == issuing.signs_until.microsecond
    if after is not before:
        assert ledger.covers(root, issuing.signs_until)
        assert root.signs_until is not None
        assert root.signs_until <= root_ends
    for was, now_is in zip(before.generations, after.generations, strict=True):
        assert was.signs_until is None or ledger.covers(now_is, was.signs_until)


@examples(30)
@given(st.integers(1, 2160 * 3600), st.integers(600, 168 * 3600))
def test_no_certificate_outlives_its_ca(age: int, duration: int) -> None:
    """As it is signed, at any time of the CA's life."""
    by = default_signer()
    now = by.issuing.validity.not_before + age * SECOND
    assume(now < by.issuing.validity.not_after - SECOND)
    o = observed(an_identity(duration=times.format_duration(duration * SECOND)), now=now)
    made, _ = issued(o)

    assert by.issuing.validity.not_before <= made.not_before
    assert made.not_after <= by.issuing.validity.not_after <= by.root.validity.not_after


# No two namespaces hold one name


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
    """Without a permit."""
    assume(namespaces[0] != namespaces[1])
    name = data.draw(dns_names | tempting_names(namespaces, cluster_domain))
    holders = [
        namespace
        for namespace in namespaces
        if ownership.is_own_dns_name(name, namespace, cluster_domain=cluster_domain)
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
    """As verifiers read wildcards."""
    assume(namespaces[0] != namespaces[1])
    left, right = (data.draw(tempting_names(namespaces, cluster_domain)) for _ in range(2))
    is_permitted = [
        ownership.is_own_dns_name(name, namespace, cluster_domain=cluster_domain)
        for name, namespace in zip((left, right), namespaces, strict=True)
    ]

    assert not (all(is_permitted) and (covers(left, right) or covers(right, left)))


@examples(200)
@given(labels, st.lists(labels, max_size=3), st.sampled_from(["*.", ""]), st.sampled_from(["", ".cluster.local"]))
def test_a_namespace_holds_all_that_is_below_its_services(
    namespace: str, below: list[str], wildcard: str, domain: str
) -> None:
    """The API server's own Service excepted."""
    name = wildcard + ".".join([*below, "orders", namespace, "svc"]) + domain

    assert ownership.is_own_dns_name(name, namespace, cluster_domain="cluster.local")


@examples(300)
@given(st.text(max_size=20) | dns_names)
def test_canonical_names_are_canonical(name: str) -> None:
    """Once more changes nothing, and what comes out can be written into a certificate."""
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
    """Through the whole of a spec: Services, service accounts, further names."""
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


# Names, permits and certificates


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
    """Whatever they ask for, of every kind; nor does a wildcard of one cover a name of the other."""
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


def given_names(by: Trust, namespace: str, **spec: Any) -> Names:
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
    """Whatever its patterns are: by the forms that names of Services and service accounts have.

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
            for name in data.draw(st.lists(dns_like, max_size=2))
        ),
    ]
    spelled_out = {*permit.get("dnsNames", ()), *permit.get("commonNames", ())}
    for held in names_given:
        for name in (*held.dns, held.subject.common_name):
            assert others(name, domain) <= {namespace} or (name in spelled_out and ownership.is_public_domain(name))
        for uri in held.uris:
            match = re.fullmatch(f"spiffe://{re.escape(domain)}/ns/([^/]+)(/.*)?", uri)
            assert match is None or match[1] == namespace


def others(name: str, domain: str) -> set[str]:
    """List the namespaces of which a name is a Service's, a pod's or short name; in other words than the code's."""
    forms = [rf"(?:.+\.)?([^.]+)\.(?:svc|pod)\.{re.escape(domain)}", r"(?:.+\.)?([^.]+)\.svc", r"[^.]+\.([^.]+)"]
    return {match[1] for form in forms if (match := re.fullmatch(form, name))}


def judged(of: Identity, by: Trust) -> Wanted | SpecError:
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
    """Never anything else: no crash, no name that is not in the certificate, none that is only there."""
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

    assert desired.names_hash(found.names) == read.names_hash


@examples(500)
@given(anything | dns_like | spiffe_ids)
def test_canonical_forms_are_canonical(text: str) -> None:
    """Once more changes nothing, for every kind of name; what is not one is a ValueError and nothing else."""
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
    """And one without stars stands for itself."""
    with contextlib.suppress(ValueError):
        pattern = patterns.dns(text)
        assert not patterns.is_spelled_out(pattern) or patterns.fits(pattern, pattern)
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


# Decide, act, decide again


specs = st.fixed_dictionaries(
    {},
    optional={
        "usages": st.lists(st.sampled_from(["server auth", "client auth"]), min_size=1, max_size=2, unique=True),
        "services": st.lists(st.sampled_from(["a", "b", "orders"]), max_size=3),
        "serviceAccountName": st.sampled_from(["", "robot"]),
        "dnsNames": st.lists(st.sampled_from(["a.shop.svc", "*.B.shop.svc", "c.d.shop.svc.cluster.local"]), max_size=3),
        "duration": st.integers(600, 168 * 3600).map(lambda s: times.format_duration(s * SECOND)),
        "renewBeforePercentage": st.integers(1, 90),
        "privateKey": st.sampled_from(
            [
                {},
                {"encoding": "SEC1"},
                {"size": 384},
                {"algorithm": "Ed25519"},
                {"algorithm": "RSA"},
                {"algorithm": "RSA", "encoding": "PKCS1"},
            ]
        ),
        "formats": st.fixed_dictionaries(
            {}, optional={"combinedPEM": st.just({}), "der": st.just({}), "pkcs12": st.just(PKCS12)}
        ),
        "secret": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", ""])),
                "annotations": st.dictionaries(st.sampled_from(["c", "d"]), st.text(max_size=5)),
                "deletionPolicy": st.sampled_from(["Delete", "Retain"]),
            },
        ),
    },
)


@examples(60)
@given(st.lists(specs, min_size=1, max_size=3), st.integers(1, 2160 * 3600 - 3600))
def test_nothing_is_left_to_do_after_one_write(wanted: list[dict[str, Any]], age: int) -> None:
    """One spec after the other, at any time of the CA's life; and an hour later nothing has changed by itself."""
    by = default_signer()
    now = by.issuing.validity.not_before + times.BACKDATE + age * SECOND
    body = None
    for spec in wanted:
        try:
            o = observed(an_identity(**spec), now=now)
        except SpecError:
            continue
        o = replace(o, found=known(body, verified=now) if body else Absent())
        decision = decide(o)
        if decision.action is not Action.NOTHING:
            body = acted(o, body, decision, by)
        if body is None:
            raise AssertionError("nothing was made")
        settled = decide(replace(o, found=known(body, verified=now)))

        assert (Action.NOTHING, True) == (settled.action, settled.is_ready)
        assert settled.look_again is not None
        assert now < settled.look_again


@examples(40)
@given(st.integers(0, 10), st.integers(0, 300), st.integers(600, 3600))
def test_leaves_of_a_young_ca_settle(age: int, fraction: int, duration: int) -> None:
    """Whose beginning is nearer than leaves are backdated."""
    by = young_signer()
    now = NOW + age * MINUTE + fraction * SECOND
    o = observed(an_identity(duration=times.format_duration(duration * SECOND)), by, now=now)
    decision = decide(replace(o, found=known(secret_of(o, by), verified=now)))

    assert Action.NOTHING is decision.action


@functools.cache
def young_signer() -> Signer:
    """An authority that made its CAs now."""
    return signer("young", made=NOW)


# Making CAs


@examples(60)
@given(st.lists(st.sampled_from(["step", "crash with a key", "crash"]), max_size=20))
def test_cas_are_made_once_whatever_happens(history: list[str]) -> None:
    """Steps and crashes in any order end in the same two CAs."""
    of, home = authority(), Home()
    for event in history:
        step = home.next_step(of)
        if event == "step" and isinstance(step, Write | Make):
            home.act(of, step)
        elif event == "crash with a key" and isinstance(step, Make):
            home.make(of, step, key(P256, 99))
    home.walk(of)
    found = home.read_ledger()

    assert found is not None
    assert [(Role.ROOT, 1), (Role.ISSUING, 1)] == home.made
    assert [State.ACTIVE, State.ACTIVE] == [ca.state for ca in found.generations]
    assert found == ledger.decode(ledger.encode(found))


EVENTS = st.sampled_from(["lose the root", "lose the issuing CA", "restore", "abandon", "step", "sign", "sign", "wait"])


@examples(150)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 2000)), max_size=25))
def test_whatever_is_lost_no_leaf_loses_its_root(history: list[tuple[str, int]]) -> None:
    """What signs is under a root of the bundle, so are living leaves, and each number is made once."""
    of, home, now = authority(), grown(), NOW
    leaves: list[tuple[generations.CAId, datetime]] = []
    lost: dict[generations.CAId, CA] = {}
    for event, hours in history:
        known = home.read_ledger()
        root, issuing = (known.active(role) for role in (Role.ROOT, Role.ISSUING)) if known else (None, None)
        doomed = {"lose the root": root, "lose the issuing CA": issuing}.get(event)
        if doomed is not None and isinstance(home.secrets.get((doomed.role, doomed.number)), CA):
            lost[doomed.role, doomed.number] = home.ca((doomed.role, doomed.number))
            home.lose((doomed.role, doomed.number))
        elif event == "restore":
            home.secrets |= {name: ca for name, ca in lost.items() if name not in home.secrets}
        elif event == "abandon" and root is not None:
            of = authority(abandon=root.fingerprint)
        elif event == "step":
            step = home.next_step(of, now=now)
            if isinstance(step, Write):
                home.act(of, step, now=now)
            continue
        elif event == "wait":
            now += timedelta(hours=hours)
        step = home.walk(of, now=now)
        if isinstance(step, Sign) and event == "sign":
            end = min(now + DAY, step.ca.validity.not_after)
            leaves.append((home.sign(until=end, now=now), end))
        trusted = home.read_ledger()
        assert trusted is not None
        roots = {ca.number for ca in trusted.of(Role.ROOT) if ca.state in ledger.TRUSTED}
        signing = trusted.active(Role.ISSUING)
        assert not isinstance(step, Sign) or (signing is not None and signing.issuer in roots)
        assert {home.recorded(name).issuer for name, end in leaves if end > now} <= roots
        assert len(home.made) == len(set(home.made))
