"""Name constraints: what they mean, that OpenSSL means the same, and that a change of them replaces the issuing CA."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api.algorithms import Usage
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_spec import OnNotPermitted
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import offer as trusts
from mutualtls.core.ca.offer import Offer
from mutualtls.core.ca.source import Source
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired, plan
from mutualtls.core.leaf.observed import Action
from mutualtls.core.names import constraints
from mutualtls.core.names.names import Names, Subject
from mutualtls.core.pki import certificates, issue, name_constraints
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold, Sign
from support import strangers
from support.builders import DAY, HOUR, NOW, Home, Signer, an_identity, authority, grown, key, named, settled, signer

OPENSSL = shutil.which("openssl")

PERMITTED = {
    "dnsDomains": ["example.com", "shop.svc"],
    "ipRanges": ["10.1.0.0/16", "2001:db8::/32"],
    "uriDomains": ["cluster.local", ".example.com"],
}
EXCLUDED = {
    "dnsDomains": ["secret.example.com"],
    "ipRanges": ["10.1.9.0/24"],
    "uriDomains": ["secret.example.com"],
}
BOTH = {"permitted": PERMITTED, "excluded": EXCLUDED}
ALL = [{"namespaceSelector": {}, "dnsNames": ["**"], "otherNamespaces": True}]


def kept(names: Names, of: Authority) -> bool:
    """Tell whether names keep within the constraints of an authority."""
    found, faults = constraints.compiled(of.spec.name_constraints)
    checks = (
        (names.dns, constraints.why_not_dns_name),
        (names.ips, constraints.why_not_ip),
        (names.uris, constraints.why_not_uri),
    )
    assert not faults
    return not any(check(name, found) for of_kind, check in checks for name in of_kind)


def dns(*names: str) -> Names:
    """Write DNS names."""
    return Names(dns=names)


CASES = [
    pytest.param(dns("example.com"), True, id="the domain itself"),
    pytest.param(dns("a.b.example.com"), True, id="below it"),
    pytest.param(dns("a.badexample.com"), False, id="a domain that ends alike"),
    pytest.param(dns("com"), False, id="above it"),
    pytest.param(dns("orders.shop.svc"), True, id="Service"),
    pytest.param(dns("orders.pay.svc"), False, id="another Service"),
    pytest.param(dns("a.example.com", "b.example.net"), False, id="one of two"),
    pytest.param(dns("secret.example.com"), False, id="excluded"),
    pytest.param(dns("a.secret.example.com"), False, id="below what is excluded"),
    pytest.param(dns("notsecret.example.com"), True, id="ends like what is excluded"),
    pytest.param(dns("*.a.example.com"), True, id="wildcard"),
    pytest.param(dns("*.secret.example.com"), False, id="wildcard below what is excluded"),
    pytest.param(Names(ips=("10.1.2.3",)), True, id="IPv4"),
    pytest.param(Names(ips=("10.2.2.3",)), False, id="IPv4 outside"),
    pytest.param(Names(ips=("10.1.9.9",)), False, id="IPv4 excluded"),
    pytest.param(Names(ips=("2001:db8::1",)), True, id="IPv6"),
    pytest.param(Names(ips=("::1",)), False, id="IPv6 outside"),
    pytest.param(Names(uris=("spiffe://cluster.local/ns/shop/sa/orders",)), True, id="SPIFFE ID"),
    pytest.param(Names(uris=("spiffe://a.cluster.local/ns/shop/sa/orders",)), False, id="a host is that host alone"),
    pytest.param(Names(uris=("https://a.b.example.com/x",)), True, id="below a domain with a dot"),
    pytest.param(Names(uris=("https://example.com/x",)), False, id="a domain with a dot is not the domain itself"),
    pytest.param(Names(uris=("https://secret.example.com:1/x",)), False, id="excluded host"),
    pytest.param(Names(uris=("https://a.secret.example.com/x",)), True, id="below an excluded host"),
    pytest.param(Names(uris=("urn:uuid:a",)), False, id="URI without a host"),
    pytest.param(Names(emails=("a@example.net",)), True, id="a kind that is not constrained"),
]


@pytest.mark.parametrize(("names", "is_kept"), CASES)
def test_what_keeps_within_constraints(names: Names, *, is_kept: bool) -> None:
    """RFC 5280 section 4.2.1.10 says which names do."""
    assert is_kept is kept(names, authority(nameConstraints=BOTH))


@functools.cache
def constrained() -> Signer:
    """An authority with constraints, made once."""
    return signer(nameConstraints=BOTH)


@pytest.mark.parametrize(("names", "is_kept"), CASES)
def test_openssl_means_the_same(names: Names, tmp_path: Path, *, is_kept: bool) -> None:
    """It verifies what we would sign, and refuses what we would not."""
    by = constrained()
    if OPENSSL is None:
        pytest.skip("there is no `openssl` command")
    life = times.validity(NOW, DAY, within=by.issuing.validity)
    leaf = issue.leaf(key().public_key(), by.issuing, names=names, usages=(Usage.SERVER_AUTH,), validity=life)
    for name, content in {"root": by.root.certificate, "issuing": by.issuing.certificate, "leaf": leaf}.items():
        (tmp_path / f"{name}.pem").write_bytes(certificates.to_pem(content))
    command = [OPENSSL, "verify", "-x509_strict", "-attime", str(int(NOW.timestamp()))]
    command += ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)

    assert is_kept is (done.returncode == 0)
    assert is_kept or any(why in done.stderr for why in ("subtree violation", "name constraint", "name syntax"))


def test_a_wildcard_that_covers_an_excluded_name_is_refused() -> None:
    """`*.example.com` stands for secret.example.com, which OpenSSL does not see."""
    of = authority(nameConstraints={"excluded": {"dnsDomains": ["secret.example.com"]}})

    assert not kept(dns("*.example.com"), of)
    assert kept(dns("*.other.example.com"), of)


def test_constraints_of_one_kind_constrain_that_kind_only() -> None:
    """Permitted DNS domains say nothing about IP addresses."""
    of = authority(nameConstraints={"permitted": {"dnsDomains": ["example.com"]}})

    assert kept(Names(dns=("a.example.com",), ips=("1.2.3.4",), uris=("urn:uuid:a",)), of)
    assert not kept(dns("a.example.net"), of)


def test_ipv6_is_in_no_range_of_ipv4() -> None:
    """Permitted ranges of one family permit nothing of the other."""
    of = authority(nameConstraints={"permitted": {"ipRanges": ["0.0.0.0/0"]}})

    assert kept(Names(ips=("1.2.3.4",)), of)
    assert not kept(Names(ips=("::1",)), of)


# Before a leaf is signed


def offered(of: Authority, home: Home | None = None) -> Offer:
    """Say what an authority offers."""
    return trusts.of(of, home.read_ledger() if home else None)


def faults(of: Authority, **spec: Any) -> list[str]:
    """List why an identity is refused."""
    with pytest.raises(SpecError) as error:
        desired.wanted(an_identity(**spec), offered(of), {})
    return [str(fault) for fault in error.value.faults]


def test_names_outside_are_refused_before_they_are_signed() -> None:
    """The refusal names the constraint that they break, beside what permits say."""
    of = authority(
        permits=ALL,
        nameConstraints={
            "permitted": {"dnsDomains": ["shop.svc", "example.com"]},
            "excluded": {"dnsDomains": ["secret.example.com"], "uriDomains": ["cluster.local"]},
        },
    )

    assert [
        (
            "metadata.name: orders.shop.svc.cluster.local is outside spec.nameConstraints.permitted.dnsDomains of the "
            "authority: shop.svc, example.com"
        ),
        (
            "spec.dnsNames[1]: a.secret.example.com is within spec.nameConstraints.excluded.dnsDomains of the "
            "authority: secret.example.com"
        ),
        (
            "spec.serviceAccountName: spiffe://cluster.local/ns/shop/sa/orders is within "
            "spec.nameConstraints.excluded.uriDomains of the authority: cluster.local"
        ),
    ] == faults(of, dnsNames=["a.example.com", "a.secret.example.com"])


def test_a_common_name_that_looks_like_a_dns_name_is_constrained() -> None:
    """OpenSSL applies constraints of DNS names to it where there is no DNS name."""
    of = authority(
        permits=[{"namespaceSelector": {}, "commonNames": ["*", "**.example.com", "**.example.net"]}],
        nameConstraints={"permitted": {"dnsDomains": ["example.com"]}},
    )
    spec: dict[str, Any] = {"services": []}

    assert [
        (
            "spec.subject.commonName: a.b.example.net is outside spec.nameConstraints.permitted.dnsDomains of the "
            "authority: example.com"
        )
    ] == faults(of, **spec, subject={"commonName": "a.b.example.net"})
    trust = offered(of)
    for common_name in ("a.b.example.com", "alice"):
        held = desired.wanted(an_identity(services=[], subject={"commonName": common_name}), trust, {}).names
        assert Subject(common_name=common_name) == held.subject


# In the issuing CA


def test_constraints_are_critical_and_in_the_issuing_ca_alone() -> None:
    """No verifier passes over them (RFC 5280 §4.2.1.10); another issuing CA may have others under the same root."""
    by = constrained()
    extension = by.issuing.certificate.extensions.get_extension_for_class(x509.NameConstraints)

    assert extension.critical
    assert "example.com" == extension.value.permitted_subtrees[0].value  # type: ignore[index]
    assert name_constraints.of_certificate(by.root.certificate) is None


CHANGES = [
    pytest.param({}, BOTH, id="first"),
    pytest.param(BOTH, {}, id="none any more"),
    pytest.param(BOTH, {"permitted": PERMITTED}, id="fewer"),
    pytest.param(BOTH, {"permitted": EXCLUDED, "excluded": PERMITTED}, id="the other way round"),
    pytest.param({"permitted": {"dnsDomains": ["a.b"]}}, {"permitted": {"uriDomains": ["a.b"]}}, id="another kind"),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_change_replaces_the_issuing_ca(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The steps are those at half its life, begin at once, and leave nothing to do."""
    home, new = grown(authority(nameConstraints=before)), authority(nameConstraints=after)
    home.sign(until=NOW + DAY, now=NOW)
    steps = []
    for _ in range(4):
        step = home.next_step(new, now=NOW + HOUR)
        steps.append(named(step))
        if not isinstance(step, Sign | Hold):
            home.act(new, step, now=NOW + HOUR)

    assert [
        "write root 1 Active, issuing 1 Active, issuing 2 Making",
        "make issuing 2",
        "write root 1 Active, issuing 1 Retiring, issuing 2 Active",
        "sign",
    ] == steps
    wanted = name_constraints.extension(constraints.compiled(new.spec.name_constraints)[0])
    assert wanted == name_constraints.of_certificate(home.ca(CAId(Role.ISSUING, 2)).certificate)


@pytest.mark.parametrize(
    "of",
    [
        pytest.param({}, id="none"),
        pytest.param(BOTH, id="all kinds"),
        pytest.param({"excluded": {"ipRanges": ["0.0.0.0/0", "::/0", "10.0.0.1/32"]}}, id="whole and single ranges"),
        pytest.param({"permitted": {"dnsDomains": ["bücher.example", "A.Example"]}}, id="names to be converted"),
        pytest.param(
            {"permitted": {"dnsDomains": ["b.a", "a.a"], "uriDomains": [".B.A"]}}, id="in an order of their own"
        ),
    ],
)
def test_constraints_that_stay_replace_nothing(of: dict[str, Any]) -> None:
    """What is read from the certificate is what was written, or CAs would be made without end."""
    home, by = grown(authority(nameConstraints=of)), authority(nameConstraints=of)

    assert "sign" == named(home.next_step(by, now=NOW + HOUR))


def test_a_change_waits_for_the_root_s_key() -> None:
    """Without the key the CA signs on, loudly; the change is made when the key is back."""
    home, new = grown(), authority(nameConstraints=BOTH)
    root = home.ca(CAId(Role.ROOT, 1))
    home.lose(CAId(Role.ROOT, 1))
    step = home.walk(new, now=NOW + HOUR)

    assert isinstance(step, Sign)
    assert step.lost is not None
    assert State.ACTIVE is home.states()[CAId(Role.ISSUING, 1)]
    home.create(CAId(Role.ROOT, 1), root)
    home.walk(new, now=NOW + HOUR)
    assert State.ACTIVE is home.states()[CAId(Role.ISSUING, 2)]


def test_leaves_of_the_ca_before_are_to_be_replaced() -> None:
    """They were signed without the constraints, and are replaced as after every rotation."""
    home, new = grown(), authority(nameConstraints=BOTH)
    home.sign(until=NOW + DAY, now=NOW)
    home.walk(new, now=NOW + HOUR)

    assert State.RETIRING is home.states()[CAId(Role.ISSUING, 1)]
    assert State.ACTIVE is home.states()[CAId(Role.ISSUING, 2)]
    trust = offered(new, home)
    assert [True, False] == [
        trust.in_use[certificates.key_id(home.ca(ca).certificate)].is_replaced for ca in home.made[1:]
    ]


@pytest.mark.parametrize(
    ("of", "field", "said"),
    [
        pytest.param({"permitted": {"dnsDomains": ["*.a"]}}, "permitted.dnsDomains[0]", "not a DNS domain", id="star"),
        pytest.param({"excluded": {"dnsDomains": ["a", ".b"]}}, "excluded.dnsDomains[1]", "not a DNS name", id="dot"),
        pytest.param({"excluded": {"ipRanges": ["10.0.0.1/8"]}}, "excluded.ipRanges[0]", "host bits", id="range"),
        pytest.param({"permitted": {"uriDomains": ["https://a"]}}, "permitted.uriDomains[0]", "not a DNS", id="URL"),
    ],
)
def test_faulty_constraints_are_a_fault_of_the_authority(of: dict[str, Any], field: str, said: str) -> None:
    """Nothing is signed by a guess."""
    fault = authority(nameConstraints=of).fault

    assert fault is not None
    assert fault.startswith(f"spec.nameConstraints.{field}: ")
    assert said in fault


# In a CA of others


def below(*found: x509.NameConstraints, **spec: Any) -> Offer:
    """What an authority offers whose CA is an outside one with constraints: an intermediate, and its root."""
    intermediate, *above = found
    root = strangers.ca("Corp", further=tuple((one, True) for one in above))
    ca = strangers.ca("Team", root, further=((intermediate, True),))
    home = Home(source=Source(root=root.certificate, signer=replace(ca, intermediates=(), root=root.certificate)))
    of = authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp", **spec)
    home.walk(of, now=strangers.BEGIN + DAY)
    return trusts.of(of, home.read_ledger())


CORP = x509.NameConstraints([x509.DNSName("corp.example.com")], None)
NO_SERVICES = x509.NameConstraints(None, [x509.DNSName("svc.cluster.local")])
ANY = x509.NameConstraints(None, [x509.DNSName("nobody.example.com")])


def refused(trust: Offer, **spec: Any) -> SpecError:
    """Say why an identity is refused."""
    with pytest.raises(SpecError) as error:
        desired.wanted(an_identity(**spec), trust, {})
    return error.value


@pytest.mark.parametrize("found", [(CORP,), (ANY, CORP)], ids=["the CA that signs", "its root"])
def test_names_are_judged_by_every_ca_above_the_leaf(found: tuple[x509.NameConstraints, ...]) -> None:
    """The refusal comes before signing, and has the CA, what it permits, and the name."""
    error = refused(below(*found))

    by = "CN=Team" if len(found) == 1 else "CN=Corp"
    assert Reason.NOT_PERMITTED is error.reason
    assert [
        f"metadata.name: {name} is outside the DNS names that {by} permits below itself (nameConstraints of its "
        "certificate): corp.example.com"
        for name in ("orders.shop.svc", "orders.shop.svc.cluster.local")
    ] == list(map(str, error.faults))


def test_what_a_ca_excludes_is_refused() -> None:
    """Nothing else is refused."""
    error = refused(below(NO_SERVICES), dnsNames=["a.orders.shop.svc"])

    (fault,) = error.faults
    expected = (
        "metadata.name: orders.shop.svc.cluster.local is within the DNS names that CN=Team excludes below itself "
        "(nameConstraints of its certificate): svc.cluster.local"
    )
    assert expected == str(fault)
    assert desired.wanted(an_identity(services=[], dnsNames=["a.orders.shop.svc"]), below(NO_SERVICES), {}).names.dns


def test_a_common_name_counts_where_there_is_no_dns_name() -> None:
    """OpenSSL reads it the same way."""
    permits = [{"namespaceSelector": {}, "commonNames": ["a.example.net"], "dnsNames": ["**.corp.example.com"]}]
    of = below(CORP, permits=permits)
    asked: dict[str, Any] = {"services": [], "subject": {"commonName": "a.example.net"}}

    assert ["spec.subject.commonName"] == [fault.field for fault in refused(of, **asked).faults]
    held = desired.wanted(an_identity(**asked, dnsNames=["a.corp.example.com"]), of, {}).names
    assert "a.example.net" == held.subject.common_name


def test_what_a_ca_cannot_sign_deletes_nothing() -> None:
    """Nobody has taken a right away: a CA was put in the place of another."""
    of = below(CORP, onNotPermitted="Delete")
    error, there = refused(of), settled()
    seen = replace(there, trust=replace(there.trust, on_not_permitted=OnNotPermitted.DELETE))

    assert error.takes_nothing
    assert Action.REMOVE is not plan.refused(seen, error).action
    assert not refused(of, dnsNames=["b.example.net"]).takes_nothing


def test_constraints_of_spec_and_certificate_are_told_once() -> None:
    """The spec is named, because users can change it."""
    of = authority(nameConstraints={"permitted": {"dnsDomains": ["example.com"]}}, permits=ALL)
    with pytest.raises(SpecError) as error:
        desired.wanted(an_identity(dnsNames=["a.example.net"]), offered(of, grown(of)), {})

    assert ["metadata.name", "metadata.name", "spec.dnsNames[0]"] == [fault.field for fault in error.value.faults]
    assert all("spec.nameConstraints.permitted.dnsDomains" in str(fault) for fault in error.value.faults)


def test_a_ca_that_signs_on_with_constraints_of_before_is_judged_by_them() -> None:
    """Without the root's key, no other CA can be created for the new spec."""
    home, new = grown(authority(nameConstraints={"permitted": {"dnsDomains": ["example.com"]}})), authority()
    home.lose(CAId(Role.ROOT, 1))
    home.walk(new, now=NOW + HOUR)
    error = refused(offered(new, home))

    assert "default issuing CA permits below itself" in str(error)
