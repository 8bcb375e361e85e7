"""The names in a certificate, in canonical form (RFC 5280 §4.2.1.6), so that comparing bytes compares names.

URIs are in `uris`, as they have an inner structure. Who may hold which name is decided in `permits`.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from dataclasses import dataclass, fields

import idna

from mutualtls.core.digests import meaning

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that makes readers take a name for an IPv4 address (https://url.spec.whatwg.org/#ends-in-a-number-checker)."""
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_LONGEST_DNS_NAME = 253
_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+)*")
"""Local part of an e-mail address (RFC 5321 §4.1.2), but for `*`, which reads as a pattern."""
_LONGEST_LOCAL_PART, _LONGEST_EMAIL = 64, 254
_PRINTABLE_STRING = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")
"""X.680 §41.4: what a serialNumber attribute may hold (RFC 5280, appendix A.1)."""
_COUNTRY = re.compile(r"[A-Z]{2}")
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\u2800")
"""Characters that show nothing though they count as letters or marks."""
_VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The distinguished name of a leaf. Values of one attribute keep the order in which they are asked for."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    localities: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    serial_number: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self == _NO_SUBJECT


_NO_SUBJECT = Subject()
_ATTRIBUTES = tuple(field.name for field in fields(Subject))


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Everything that a certificate says its holder is. Each kind of alternative name is sorted and without doubles."""

    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    subject: Subject = _NO_SUBJECT

    @property
    def alternative(self) -> tuple[str, ...]:
        """All subject alternative names."""
        return (*self.dns, *self.ips, *self.emails, *self.uris)

    @property
    def is_empty(self) -> bool:
        """Whether nobody could be told by them: neither an alternative name nor a common name.

        RFC 5280 §4.1.2.6 takes any subject for a name. But verifiers look at alternative names, and where they look at
        the subject (PostgreSQL, Kubernetes) at its common name: an organization alone identifies nobody.
        """
        return not self.alternative and not self.subject.common_name


def canonical_dns_name(name: str) -> str:
    """Bring a DNS name into the form that is written into the certificate: lower-case A-labels.

    The first label may be `*`, the only form of wildcard that verifiers take (RFC 9525 §6.3). Labels that are not ASCII
    are converted after IDNA 2008 (RFC 5891), which has one spelling for each: what it would have to map is refused.

    Raises:
        ValueError: not a DNS name, or one that reads as an IP address.
    """
    labels = name.split(".")
    wildcard, labels = (["*"], labels[1:]) if labels[0] == "*" else ([], labels)
    try:
        canonical = [_canonical_label(label) for label in labels]
    except ValueError as error:
        raise ValueError(f"not a DNS name ({error}): {shown(name)}") from None
    whole = ".".join([*wildcard, *canonical])
    if not canonical:
        raise ValueError(f"not a DNS name, as nothing follows the *: {shown(name)}")
    if len(whole) > _LONGEST_DNS_NAME:
        raise ValueError(f"not a DNS name, as it is longer than {_LONGEST_DNS_NAME}: {shown(name)}")
    if _NUMBER.fullmatch(canonical[-1]):
        raise ValueError(f"not a DNS name, as its last label is a number: {shown(name)}")
    return whole


@functools.lru_cache(maxsize=4096)
def _canonical_label(label: str) -> str:
    lowered = label.translate(_LOWER)
    if lowered.isascii() and not lowered.startswith("xn--"):
        if not _LABEL.fullmatch(lowered):
            raise ValueError("1 to 63 letters, digits and inner hyphens between dots, and no dot at the end")
        return lowered
    try:
        return _a_label(lowered)
    except UnicodeError as error:
        raise ValueError(shown(str(error))) from None


def _a_label(label: str) -> str:
    """Convert by IDNA 2008. An A-label must be the one that its own U-label gives.

    Raises:
        UnicodeError: it has none, or is the A-label of nothing.
    """
    converted = idna.alabel(label).decode()
    if idna.alabel(idna.ulabel(converted)).decode() != converted or not _LABEL.fullmatch(converted):
        raise idna.IDNAError("not an A-label")
    return converted


def canonical_ip(text: str) -> str:
    """Bring an IP address into its one short form (RFC 5952 for IPv6).

    Raises:
        ValueError: not an address; or one with a zone, which no certificate can hold; or an IPv4 address written as an
            IPv6 one, which some verifiers take for the IPv4 address and others do not.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"not an IP address: {shown(text)}") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError(f"an IP address in a certificate has no zone: {shown(text)}")
        if address.ipv4_mapped is not None:
            raise ValueError(f"write it as an IPv4 address, {address.ipv4_mapped}: {shown(text)}")
    return str(address)


IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_IPV4_WITHIN = tuple(
    (ipaddress.IPv6Network(block), octets)
    for block, octets in (
        ("::/96", (12, 13, 14, 15)),  # RFC 4291 §2.5.5.1
        ("::ffff:0:0/96", (12, 13, 14, 15)),  # §2.5.5.2
        ("::ffff:0:0:0/96", (12, 13, 14, 15)),  # RFC 7915
        ("64:ff9b::/96", (12, 13, 14, 15)),  # RFC 6052
        ("64:ff9b:1::/48", (6, 7, 9, 10)),  # RFC 8215, each length of prefix of RFC 6052 §2.2
        ("64:ff9b:1::/48", (7, 9, 10, 11)),
        ("64:ff9b:1::/48", (9, 10, 11, 12)),
        ("64:ff9b:1::/48", (12, 13, 14, 15)),
        ("2002::/16", (2, 3, 4, 5)),  # RFC 3056
    )
)
"""Blocks of IPv6 addresses that stand for IPv4 ones, and the octets that hold those."""
_NOBODY = ipaddress.IPv4Network("0.0.0.0/8")
"""Of which no host has an address: what holds one of these, as `::1`, stands for none."""


def meant(address: IPAddress) -> tuple[IPAddress, ...]:
    """List the IPv4 addresses that an IPv6 one stands for, by translators and tunnels; itself where it does for none.

    More than one where a length of prefix is the network's choice. A Teredo address (RFC 4380) stands for its client.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    packed = address.packed
    held = [bytes(packed[octet] for octet in octets) for block, octets in _IPV4_WITHIN if address in block]
    found = dict.fromkeys(map(ipaddress.IPv4Address, held))
    if address.teredo is not None:
        found[address.teredo[1]] = None
    return tuple(one for one in found if one not in _NOBODY) or (address,)


def ip_range(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a range of IP addresses in CIDR notation, such as 10.1.0.0/16, as the schema takes it.

    Raises:
        ValueError: it is none, or a bare address, or its address has bits beyond the prefix.
    """
    if "/" not in text:
        raise ValueError(f"not a range such as 10.1.0.0/16: {shown(text)}")
    return ipaddress.ip_network(text)


def canonical_email(text: str) -> str:
    """Bring an e-mail address into canonical form. The part before the @ stays as it is: its case may count.

    Raises:
        ValueError: not an ASCII address of RFC 5321 without quotes, or its domain is no DNS name.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(local) > _LONGEST_LOCAL_PART or not _DOT_ATOM.fullmatch(local) or domain.startswith("*"):
        raise ValueError(f"not an e-mail address: {shown(text)}")
    canonical = f"{local}@{canonical_dns_name(domain)}"
    if len(canonical) > _LONGEST_EMAIL:
        raise ValueError(f"not an e-mail address: {shown(text)}")
    return canonical


def canonical_text(text: str, *, longest: int) -> str:
    """Bring a value of the subject into canonical form: NFC.

    `longest` is in bytes of UTF-8, which is never more generous than the bounds of X.520 in characters.

    Raises:
        ValueError: it is empty or too long, or people would not see all of it: control characters, invisible ones, ones
            that turn the direction of writing, blanks at an end or two in a row.
    """
    canonical = unicodedata.normalize("NFC", text)
    if not canonical or len(canonical.encode(errors="replace")) > longest:
        raise ValueError(f"must have 1 to {longest} bytes: {shown(text)}")
    if not is_visible(canonical):
        raise ValueError(f"must not hold control characters or invisible ones: {shown(text)}")
    if canonical.strip(" ") != canonical or "  " in canonical:
        raise ValueError(f"must not begin or end with a blank, or have two in a row: {shown(text)}")
    return canonical


def canonical_common_name(text: str) -> str:
    """Bring a common name into canonical form.

    Raises:
        ValueError: as of `canonical_text`, or it holds a `*`, which verifiers that fall back to it take for a wildcard.
    """
    canonical = canonical_text(text, longest=64)
    if "*" in unicodedata.normalize("NFKC", canonical):
        raise ValueError(f"a common name cannot be a wildcard: {shown(text)}")
    return canonical


def canonical_country(text: str) -> str:
    """Check a country's code (ISO 3166, two upper-case letters).

    Raises:
        ValueError: it has another form.
    """
    if not _COUNTRY.fullmatch(text):
        raise ValueError(f"must be two upper-case letters (ISO 3166): {shown(text)}")
    return text


def canonical_serial_number(text: str) -> str:
    """Check the serialNumber attribute, which names a device and has nothing to do with that of the certificate.

    Raises:
        ValueError: it is too long, or has characters outside PrintableString (RFC 5280, appendix A.1).
    """
    if not _PRINTABLE_STRING.fullmatch(text):
        raise ValueError(f"must have letters, digits, blanks and '()+,-./:=? only: {shown(text)}")
    return canonical_text(text, longest=64)


def is_visible(text: str) -> bool:
    """Tell whether people see every character of a text, where it stands."""
    if text.isascii():
        return text.isprintable()
    return not any(map(_is_unseen, text))


def _is_unseen(character: str) -> bool:
    category = unicodedata.category(character)
    is_odd_blank = category == "Zs" and character != " "
    is_variation = any(ord(character) in selectors for selectors in _VARIATIONS)
    return category[0] == "C" or category in {"Zl", "Zp"} or is_odd_blank or character in _UNSEEN or is_variation


def shown(text: str) -> str:
    """Write a text that may hold anything into a message: what nobody would see is escaped."""
    return "".join(_escaped(character) if _is_unseen(character) else character for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def is_label(text: str) -> bool:
    """Tell whether a text is an RFC 1123 label, as names of namespaces, Services and identities are."""
    return _LABEL.fullmatch(text) is not None


def check_service(name: str) -> None:
    """Refuse what is no name of a Service and could reach beyond its label of the DNS name.

    Raises:
        ValueError: not an RFC 1123 label.
    """
    if not is_label(name):
        raise ValueError(f"not the name of a Service, which is one label in lower case: {shown(name)}")


def check_service_account(name: str) -> None:
    """Refuse what is no name of a service account and could reach beyond its segment of the SPIFFE ID.

    Raises:
        ValueError: not an RFC 1123 subdomain.
    """
    if len(name) > _LONGEST_DNS_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"not the name of a service account: {shown(name)}")


def service_dns_names(service: str, namespace: str, *, cluster_domain: str) -> tuple[str, str]:
    """Name a Service as its clients inside the cluster do, from any namespace."""
    return f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.{cluster_domain}"


def spiffe_id(service_account: str, namespace: str, *, trust_domain: str) -> str:
    """Name a service account (SPIFFE ID, in the form that Istio made customary)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


@functools.lru_cache(maxsize=256)
def names_hash(held: Names) -> str:
    """Hash names by their meaning. The prefix is the version of the form, so that an upgrade re-issues nothing.

    Kinds that came after the first version count only where there are names of them. The hash is kept for a while: a
    look at an identity asks for that of the same names several times.
    """
    subject = {name: value for name in _ATTRIBUTES if (value := getattr(held.subject, name))}
    later = {"ips": sorted(held.ips), "emails": sorted(held.emails), "subject": subject}
    return meaning(
        {"dns": sorted(held.dns), "uris": sorted(held.uris)} | {kind: value for kind, value in later.items() if value}
    )
