"""Canonical names of each kind."""

from __future__ import annotations

import ipaddress

import pytest

from mutualtls.core.names import names, uris
from mutualtls.core.names.names import Names, Subject

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        pytest.param("orders.shop.svc", "orders.shop.svc", id="as it is"),
        pytest.param("Orders.SHOP.svc", "orders.shop.svc", id="upper case"),
        pytest.param("*.DB.shop.svc", "*.db.shop.svc", id="wildcard"),
        pytest.param("xn--bcher-kva.shop.svc", "xn--bcher-kva.shop.svc", id="A-label"),
        pytest.param("bücher.shop.svc", "xn--bcher-kva.shop.svc", id="U-label"),
        pytest.param("Bücher.shop.svc", "xn--bcher-kva.shop.svc", id="U-label with an ASCII capital"),
        pytest.param("*.bücher.shop.svc", "*.xn--bcher-kva.shop.svc", id="wildcard above a U-label"),
        pytest.param("faß.shop.svc", "xn--fa-hia.shop.svc", id="a letter that IDNA 2003 mapped away"),
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
        pytest.param("orders.shop.svc\n", id="newline"),
        pytest.param("orders.shop.svc\0.example.com", id="NUL"),
        pytest.param("orders shop.svc", id="blank"),
        pytest.param("B\u00dccher.shop.svc", id="a capital that is not ASCII, which would have to be mapped"),
        pytest.param("u\u0308ber.shop.svc", id="not NFC"),
        pytest.param("\u212aafka.shop.svc", id="Kelvin sign, a k in lower case"),
        pytest.param("\uff4frders.shop.svc", id="full-width letter"),
        pytest.param("orders\u3002shop.svc", id="ideographic full stop"),
        pytest.param("orders\u200d.shop.svc", id="zero-width joiner"),
        pytest.param("orders\u202e.shop.svc", id="right-to-left override"),
        pytest.param("\u2603.shop.svc", id="a snowman is no letter"),
        pytest.param("xn--foo-.shop.svc", id="A-label of nothing"),
        pytest.param("xn--.shop.svc", id="A-label of the empty label"),
        pytest.param("xn--abc.shop.svc", id="A-label that its U-label does not give"),
        pytest.param("10.0.0.1", id="IPv4 address"),
        pytest.param("orders.0x7f", id="last label a hexadecimal number, which browsers take for an IPv4 address"),
        pytest.param("2130706433", id="IPv4 address as one number"),
        pytest.param("::1", id="IPv6 address"),
        pytest.param(f"{LONGEST_LABEL}a.shop.svc", id="label of 64"),
        pytest.param(f"{LONGEST_NAME}a", id="name of 254"),
    ],
)
def test_what_is_no_dns_name_is_refused(name: str) -> None:
    """The refusal names it."""
    with pytest.raises(ValueError, match="not a DNS name") as error:
        names.canonical_dns_name(name)

    assert str(error.value).endswith(names.shown(name))


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        pytest.param("10.0.0.1", "10.0.0.1", id="IPv4"),
        pytest.param("2001:DB8:0:0::1", "2001:db8::1", id="IPv6, compressed"),
        pytest.param("::", "::", id="all zeros"),
        pytest.param("::10.0.0.1", "::a00:1", id="IPv4 at the end of an IPv6 address"),
    ],
)
def test_ip_addresses_are_made_canonical(given: str, canonical: str) -> None:
    """RFC 5952 says how an address is written."""
    assert canonical == names.canonical_ip(given) == names.canonical_ip(canonical)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        pytest.param("", "not an IP address", id="empty"),
        pytest.param("10.0.0.01", "not an IP address", id="leading zero, octal to some"),
        pytest.param("10.1", "not an IP address", id="short form"),
        pytest.param("0x0a000001", "not an IP address", id="hexadecimal"),
        pytest.param("167772161", "not an IP address", id="one number"),
        pytest.param("\u0661\u0660.0.0.1", "not an IP address", id="digits of another script"),
        pytest.param("10.0.0.1\n", "not an IP address", id="newline"),
        pytest.param(" 10.0.0.1", "not an IP address", id="blank"),
        pytest.param("10.0.0.0/8", "not an IP address", id="range"),
        pytest.param("[::1]", "not an IP address", id="brackets"),
        pytest.param("fe80::1%eth0", "has no zone", id="zone"),
        pytest.param("::ffff:10.0.0.1", "write it as an IPv4 address, 10.0.0.1", id="IPv4 as IPv6"),
        pytest.param("::ffff:a00:1", "write it as an IPv4 address, 10.0.0.1", id="the same in hexadecimal"),
        pytest.param("orders.shop.svc", "not an IP address", id="DNS name"),
    ],
)
def test_what_is_no_ip_address_is_refused(address: str, said: str) -> None:
    """This includes texts that could be read as two addresses."""
    with pytest.raises(ValueError, match=said):
        names.canonical_ip(address)


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        pytest.param("10.0.0.1", ["10.0.0.1"], id="IPv4"),
        pytest.param("2001:db8::1", ["2001:db8::1"], id="IPv6"),
        pytest.param("::", ["::"], id="no address"),
        pytest.param("::1", ["::1"], id="loopback"),
        pytest.param("64:ff9b::", ["64:ff9b::"], id="a prefix alone"),
        pytest.param("::ffff:10.0.0.1", ["10.0.0.1"], id="mapped"),
        pytest.param("64:ff9b:1:a00:0:100::", ["10.0.0.1"], id="by a prefix of 48 bits"),
        pytest.param("64:ff9b:1:1234:0:1:200::", ["18.52.0.0", "52.0.0.1", "2.0.0.0"], id="by whichever prefix"),
        pytest.param("2002:c000:201::7", ["192.0.2.1"], id="6to4"),
        pytest.param("2001:0:4136:e378:8000:63bf:3fff:fdd2", ["192.0.2.45"], id="Teredo, of RFC 4380"),
    ],
)
def test_ipv6_addresses_stand_for_ipv4_ones(address: str, meant: list[str]) -> None:
    """Each is told by the block that it is in; a host's own address is never in 0.0.0.0/8."""
    assert meant == [str(one) for one in names.meant(ipaddress.ip_address(address))]


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        pytest.param("a@example.com", "a@example.com", id="as it is"),
        pytest.param("A.b+c@Example.COM", "A.b+c@example.com", id="the domain alone is made lower-case"),
        pytest.param("o'neil@bücher.example", "o'neil@xn--bcher-kva.example", id="U-label"),
    ],
)
def test_email_addresses_are_made_canonical(given: str, canonical: str) -> None:
    """RFC 5280 section 7.5 says how addresses compare."""
    assert canonical == names.canonical_email(given) == names.canonical_email(canonical)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("example.com", id="no @"),
        pytest.param("@example.com", id="nobody"),
        pytest.param("a@", id="nowhere"),
        pytest.param("a@b@example.com", id="two @"),
        pytest.param('"a b"@example.com', id="quotes"),
        pytest.param("a..b@example.com", id="two dots"),
        pytest.param(".a@example.com", id="leading dot"),
        pytest.param("*@example.com", id="star"),
        pytest.param("a@*.example.com", id="wildcard"),
        pytest.param("a@[10.0.0.1]", id="address literal"),
        pytest.param("a@10.0.0.1", id="IP address"),
        pytest.param("ä@example.com", id="not ASCII"),
        pytest.param("a\0@example.com", id="NUL"),
        pytest.param("a@example.com\n", id="newline"),
        pytest.param(f"{'a' * 65}@example.com", id="local part of 65"),
        pytest.param(f"{'a' * 64}@{LONGEST_NAME}", id="too long as a whole"),
    ],
)
def test_what_is_no_email_address_is_refused(address: str) -> None:
    """RFC 5321 says what is one; quotes are not taken, and only ASCII before the @ is."""
    with pytest.raises(ValueError, match=r"not an e-mail address|not a DNS name"):
        names.canonical_email(address)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        pytest.param("spiffe://example.org/ns/a/sa/B.c_d-e", "spiffe://example.org/ns/a/sa/B.c_d-e", id="SPIFFE ID"),
        pytest.param("spiffe://under_score.org/a", "spiffe://under_score.org/a", id="underscore in a trust domain"),
        pytest.param("HTTPS://Example.COM/Path", "https://example.com/Path", id="scheme and host"),
        pytest.param("https://example.com", "https://example.com", id="no path"),
        pytest.param("https://example.com/", "https://example.com/", id="empty path"),
        pytest.param("https://example.com:8443/a/", "https://example.com:8443/a/", id="port and trailing slash"),
        pytest.param("https://bücher.example/", None, id="not ASCII"),
        pytest.param("https://example.com/a%20b/%C3%BC", "https://example.com/a%20b/%C3%BC", id="encoded"),
        pytest.param("https://example.com/a;b=c/@d:e", "https://example.com/a;b=c/@d:e", id="other characters"),
        pytest.param("urn:UUID:f81d4fae", "urn:uuid:f81d4fae", id="URN"),
        pytest.param("URN:example:a:B", "urn:example:a:B", id="URN of more parts"),
    ],
)
def test_uris_are_made_canonical(given: str, canonical: str | None) -> None:
    """One name has one spelling."""
    if canonical is None:
        with pytest.raises(ValueError, match="not an absolute URI"):
            uris.canonical(given)
    else:
        assert canonical == uris.canonical(given) == uris.canonical(canonical)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        pytest.param("", "not an absolute URI", id="empty"),
        pytest.param("/a", "not an absolute URI", id="relative"),
        pytest.param("//example.com/a", "not an absolute URI", id="no scheme"),
        pytest.param("1http://example.com", "not an absolute URI", id="scheme that begins with a digit"),
        pytest.param("https://example.com/a b", "not an absolute URI", id="blank"),
        pytest.param("https://example.com/a\n", "not an absolute URI", id="newline"),
        pytest.param("https://example.com/\0", "not an absolute URI", id="NUL"),
        pytest.param(f"https://example.com/{'a' * 2048}", "not an absolute URI", id="too long"),
        pytest.param("mailto:a@example.com", "has a host", id="no host"),
        pytest.param("file:///etc", "not a DNS name", id="empty host"),
        pytest.param("https://10.0.0.1/", "not a DNS name", id="IP address"),
        pytest.param("https://[::1]/", "not a port", id="IPv6 address"),
        pytest.param("https://*.example.com/", r"has no \*", id="wildcard"),
        pytest.param("https://a@example.com/", "user information", id="user"),
        pytest.param("https://example.com:0/", "not a port", id="port zero"),
        pytest.param("https://example.com:/", "not a port", id="empty port"),
        pytest.param("https://example.com:080/", "not a port", id="port with a leading zero"),
        pytest.param("https://example.com/?a", "has no query", id="query"),
        pytest.param("https://example.com/#a", "has no fragment", id="fragment"),
        pytest.param("https://example.com\\a", "has no backslash", id="backslash"),
        pytest.param("https://example.com/a/../b", r"\. or \.\.", id="parent"),
        pytest.param("https://example.com/./b", r"\. or \.\.", id="same"),
        pytest.param("https://example.com/..;x/b", r"\. or \.\.", id="parent with a parameter"),
        pytest.param("https://example.com//b", "empty segments", id="empty segment"),
        pytest.param("https://example.com/%2e%2e/b", "upper case", id="encoded dots, lower case"),
        pytest.param("https://example.com/%2E%2E/b", "must not encode %2E", id="encoded dots"),
        pytest.param("https://example.com/a%2Fb", "must not encode %2F", id="encoded slash"),
        pytest.param("https://example.com/a%5Cb", "must not encode %5C", id="encoded backslash"),
        pytest.param("https://example.com/a%00b", "must not encode %00", id="encoded NUL"),
        pytest.param("https://example.com/%41", "must not encode %41", id="encoded letter"),
        pytest.param("https://example.com/%2541", "must not encode %25", id="encoded twice"),
        pytest.param("https://example.com/%FF", "encodes UTF-8", id="no UTF-8"),
        pytest.param("https://example.com/%C0%AE", "encodes UTF-8", id="overlong dot"),
        pytest.param("https://example.com/%E2%80%AE", "invisible", id="encoded override of direction"),
        pytest.param("https://example.com/%zz", "upper case", id="no encoding"),
        pytest.param("urn:example", "not a URN", id="URN of nothing"),
        pytest.param("urn:example:a/b", "not a URN", id="URN with a slash"),
        pytest.param("urn:e:a", "not a URN", id="URN whose namespace is too short"),
        pytest.param("spiffe://example.org", "not a SPIFFE ID of a workload", id="trust domain alone"),
        pytest.param("spiffe://example.org/", "not a SPIFFE ID of a workload", id="empty path"),
        pytest.param("spiffe://example.org/a/", "not a SPIFFE ID of a workload", id="trailing slash"),
        pytest.param("spiffe://example.org//a", "not a SPIFFE ID of a workload", id="empty segment of a SPIFFE ID"),
        pytest.param("spiffe://example.org/a/../b", "not a SPIFFE ID of a workload", id="parent in a SPIFFE ID"),
        pytest.param("spiffe://example.org/a/./b", "not a SPIFFE ID of a workload", id="same in a SPIFFE ID"),
        pytest.param("spiffe://example.org/%61", "not a SPIFFE ID of a workload", id="encoding in a SPIFFE ID"),
        pytest.param("spiffe://Example.org/a", "lower-case letters", id="trust domain in upper case"),
        pytest.param("spiffe://a@example.org/a", "no user", id="user in a SPIFFE ID"),
        pytest.param("spiffe://example.org:443/a", "no user and no port", id="port in a SPIFFE ID"),
        pytest.param("spiffe:///a", "not a SPIFFE ID", id="empty trust domain"),
        pytest.param("spiffe://.example.org/a", "not a SPIFFE ID", id="empty label"),
        pytest.param("spiffe:a/b", "begins with spiffe://", id="SPIFFE ID without a trust domain"),
        pytest.param("SPIFFE://example.org/a", "begins with spiffe://", id="SPIFFE ID in upper case"),
        pytest.param("spiffe://example.org/a?b", "has no query", id="query in a SPIFFE ID"),
        pytest.param("spiffe://example.org/a#b", "has no fragment", id="fragment in a SPIFFE ID"),
    ],
)
def test_what_is_no_uri_is_refused(uri: str, said: str) -> None:
    """This includes texts that could be read in two ways."""
    with pytest.raises(ValueError, match=said):
        uris.canonical(uri)


def test_a_common_name_is_made_canonical() -> None:
    """NFC makes alike what looks alike."""
    assert "Zo\u00eb" == names.canonical_common_name("Zoe\u0308")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a\0b", "control characters", id="NUL"),
        pytest.param("a\nb", "control characters", id="newline"),
        pytest.param("a\u202eb", "invisible", id="override of direction"),
        pytest.param("a\u200bb", "invisible", id="zero-width space"),
        pytest.param("a\u034fb", "invisible", id="grapheme joiner"),
        pytest.param("a\u3164b", "invisible", id="filler"),
        pytest.param("a\ufe0fb", "invisible", id="variation selector"),
        pytest.param("a\u00a0b", "invisible", id="blank that does not break"),
        pytest.param("a\U000e0041b", "invisible", id="tag"),
        pytest.param("a\ue000b", "invisible", id="private use"),
        pytest.param(" a", "begin or end", id="leading blank"),
        pytest.param("a ", "begin or end", id="trailing blank"),
        pytest.param("a  b", "two in a row", id="two blanks"),
        pytest.param("", "1 to 64 bytes", id="empty"),
        pytest.param("a" * 65, "1 to 64 bytes", id="too long"),
        pytest.param("ü" * 33, "1 to 64 bytes", id="too long in UTF-8"),
        pytest.param("*.example.com", "cannot be a wildcard", id="wildcard"),
        pytest.param("\uff0a.example.com", "cannot be a wildcard", id="full-width star"),
    ],
)
def test_what_is_no_common_name_is_refused(text: str, said: str) -> None:
    """A reader should see what a program compares."""
    with pytest.raises(ValueError, match=said):
        names.canonical_common_name(text)


def test_the_other_attributes_have_their_forms() -> None:
    """Countries are by ISO 3166, and serial numbers are PrintableStrings (RFC 5280, appendix A.1)."""
    assert "DE" == names.canonical_country("DE")
    assert "AB-1 (2)" == names.canonical_serial_number("AB-1 (2)")
    for country in ("de", "DEU", "D1", "", "\u0394E"):
        with pytest.raises(ValueError, match="two upper-case letters"):
            names.canonical_country(country)
    for number in ("ü", "a_b", "a*", ""):
        with pytest.raises(ValueError, match="letters, digits"):
            names.canonical_serial_number(number)


def test_what_nobody_would_see_is_shown() -> None:
    """This is about messages in terminals and logs."""
    assert r"a\x00b\nc\u202ed" == names.shown("a\0b\nc\u202ed")
    assert "Zoë" == names.shown("Zoë")


@pytest.mark.parametrize(
    ("held", "is_empty"),
    [
        pytest.param(Names(), True, id="nothing"),
        pytest.param(Names(ips=("10.0.0.1",)), False, id="alternative name"),
        pytest.param(Names(subject=Subject(common_name="a")), False, id="common name"),
        pytest.param(Names(subject=Subject(organizations=("a",))), True, id="an organization identifies nobody"),
    ],
)
def test_who_has_a_name(held: Names, *, is_empty: bool) -> None:
    """An alternative name or a common name, which is where verifiers look."""
    assert is_empty is held.is_empty


def test_a_service_has_a_short_and_a_long_name() -> None:
    """Both mean the same Service in every namespace."""
    expected = ("orders.shop.svc", "orders.shop.svc.cluster.local")

    assert expected == names.service_dns_names("orders", "shop", cluster_domain="cluster.local")


def test_a_service_account_has_a_spiffe_id() -> None:
    """It has exactly this form."""
    assert "spiffe://td.example/ns/shop/sa/orders" == names.spiffe_id("orders", "shop", trust_domain="td.example")
