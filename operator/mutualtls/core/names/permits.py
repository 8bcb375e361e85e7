"""Permits: what an authority allows identities to be called beside the names that are theirs. Judged by in `judge`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import msgspec

from mutualtls.core.errors import Fault
from mutualtls.core.model import schema, selectors
from mutualtls.core.model.resource import Resource
from mutualtls.core.model.selectors import LabelSelector
from mutualtls.core.names import names, patterns
from mutualtls.core.names.patterns import Parts
from mutualtls.core.names.uris import URI

_STARS = r"\*{1,2}"
_LABEL_OR_STAR = rf"({schema.DNS_NAME_LABEL}|{_STARS})"
_PATTERNS_SAY = "* stands for one label or path segment, ** for one or more, never for a part of one"
_SUBJECT_PATTERN = schema.text("The value, or * for any.", longest=128)


class SubjectPatterns(Resource, frozen=True, kw_only=True):
    """Attributes of the subject that may be held beside the common name."""

    organizations: Annotated[
        tuple[Annotated[str, _SUBJECT_PATTERN], ...], schema.unique("Organizations.", most=32)
    ] = ()
    organizational_units: Annotated[
        tuple[Annotated[str, _SUBJECT_PATTERN], ...], schema.unique("Organizational units.", most=32)
    ] = ()
    countries: Annotated[tuple[Annotated[str, _SUBJECT_PATTERN], ...], schema.unique("Countries.", most=32)] = ()
    localities: Annotated[tuple[Annotated[str, _SUBJECT_PATTERN], ...], schema.unique("Localities.", most=32)] = ()
    provinces: Annotated[
        tuple[Annotated[str, _SUBJECT_PATTERN], ...], schema.unique("States or provinces.", most=32)
    ] = ()
    serial_numbers: Annotated[
        tuple[Annotated[str, _SUBJECT_PATTERN], ...], schema.unique("Serial numbers of devices.", most=32)
    ] = ()


class PermitSpec(Resource, frozen=True, kw_only=True):
    """Names that identities of some namespaces may hold beside their own."""

    namespace_selector: Annotated[
        LabelSelector,
        schema.field(
            "The namespaces whose identities it is for, by their labels; {} is all. Who may label a namespace may gain "
            "the permit: kubernetes.io/metadata.name, which the API server sets, names one namespace for sure."
        ),
    ]
    dns_names: Annotated[
        tuple[
            Annotated[
                str,
                schema.form(
                    "A DNS name, or a pattern such as *.example.com.",
                    rf"^({_LABEL_OR_STAR}\.)*{_LABEL_OR_STAR}$",
                    f"must be a DNS name without a trailing dot, in which {_PATTERNS_SAY}",
                    longest=253,
                ),
            ],
            ...,
        ],
        schema.unique(
            "DNS names. * stands for one label, ** for one or more: **.example.com is every name below example.com, "
            "and not example.com itself. Never allows a wildcard name; and only with otherNamespaces a name that could "
            "be of another namespace's Services or pods, short or completed by search domains. For a domain of two "
            "labels, and outside of the internet's top-level domains, the last two labels must be spelled out.",
            most=32,
        ),
    ] = msgspec.field(default=(), name="dnsNames")
    wildcard_dns_names: Annotated[
        tuple[
            Annotated[
                str,
                schema.form(
                    "A wildcard name such as *.example.com.",
                    rf"^\*(\.{schema.DNS_NAME_LABEL}){{2,}}$",
                    "must be *. and at least two labels after it",
                    longest=253,
                ),
            ],
            ...,
        ],
        schema.unique(
            "Wildcard names, such as *.example.com, that may be held as they are written here. No pattern.", most=50
        ),
    ] = msgspec.field(default=(), name="wildcardDNSNames")
    short_service_names: Annotated[
        bool,
        schema.field(
            "True: also the short names SERVICE and SERVICE.NAMESPACE of the identity's own namespace. They mean "
            "something else in other namespaces."
        ),
    ] = False
    uris: Annotated[
        tuple[
            Annotated[
                str,
                schema.form(
                    "A URI, or a pattern such as spiffe://example.org/ns/*/sa/*.",
                    rf"^(urn(:({schema.URN_PART}|{_STARS})){{2,}}|[a-z][a-z0-9+.-]*://({schema.HOST_LABEL}|{_STARS})"
                    rf"(\.({schema.HOST_LABEL}|{_STARS}))*(:[0-9]+)?(/({schema.URI_SEGMENT}|{_STARS}))*/?)$",
                    f"must be an absolute URI without user, query and fragment, in which {_PATTERNS_SAY}",
                    longest=400,
                ),
            ],
            ...,
        ],
        schema.unique(
            "URIs. * stands for one label of the host or one segment of the path, ** for one or more. A name of "
            "another namespace in the own trust domain needs otherNamespaces as well.",
            most=32,
        ),
    ] = ()
    ip_ranges: Annotated[
        tuple[
            Annotated[str, schema.text("A range such as 10.1.0.0/16.", schema.IS_CIDR, longest=43)],
            ...,
        ],
        schema.unique(
            "Ranges of IP addresses (CIDR). An IPv6 address that stands for an IPv4 one, as 64:ff9b::a00:1 does, is "
            "judged as that one.",
            most=32,
        ),
    ] = msgspec.field(default=(), name="ipRanges")
    email_addresses: Annotated[
        tuple[
            Annotated[
                str,
                schema.form(
                    "An e-mail address, or a pattern such as *@example.com.",
                    rf"^(\*|{schema.EMAIL_LOCAL_PART})@({_LABEL_OR_STAR}\.)*{_LABEL_OR_STAR}$",
                    "must be an e-mail address, in which * stands for the whole part before the @ or one label, "
                    "** for one or more labels",
                    longest=254,
                ),
            ],
            ...,
        ],
        schema.unique("E-mail addresses. * stands for the whole part before the @.", most=32),
    ] = ()
    common_names: Annotated[
        tuple[Annotated[str, schema.text("The common name, a pattern of DNS names, or * for any.", longest=253)], ...],
        schema.unique(
            "Common names: as they are, as patterns of DNS names, or * for any text. A text that is a DNS name, a URI, "
            "an IP address or an e-mail address must be spelled out, or this permit must allow it as such as well; one "
            "that begins with system: (Kubernetes' own users) must be spelled out.",
            most=32,
        ),
    ] = ()
    subjects: Annotated[
        SubjectPatterns,
        schema.field(
            "Other attributes of the subject: values, or * for any. Values that begin with system: (Kubernetes' own "
            "groups) must be spelled out."
        ),
    ] = SubjectPatterns()
    other_namespaces: Annotated[
        bool,
        schema.field(
            "True: the patterns of this permit also reach names of other namespaces, and short ones that mean another "
            "Service in each. Those of the Kubernetes API server must be spelled out as well."
        ),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A permit whose patterns are read."""

    selector: LabelSelector
    dns: tuple[Parts, ...] = ()
    wildcards: frozenset[str] = frozenset()
    short_names: bool = False
    uris: tuple[URI, ...] = ()
    ranges: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    emails: tuple[tuple[str, Parts], ...] = ()
    common_names: frozenset[str] = frozenset()
    common_dns: tuple[Parts, ...] = ()
    """Those of the common names that are patterns of DNS names."""
    subjects: SubjectPatterns = field(default_factory=SubjectPatterns)
    other_namespaces: bool = False


def compiled(specs: Iterable[PermitSpec]) -> tuple[tuple[Permit, ...], list[Fault]]:
    """Read permits, and list what is wrong with them. One that is faulty is not among those that are returned."""
    permits, faults = [], []
    for index, spec in enumerate(specs):
        reader = _Reader(f"spec.permits[{index}]")
        permit = reader.read(spec)
        faults += reader.faults
        if not reader.faults:
            permits.append(permit)
    return tuple(permits), faults


_T = TypeVar("_T")


class _Reader:
    """Reads one permit and collects what is wrong with it."""

    def __init__(self, field: str) -> None:
        self.faults: list[Fault] = []
        self._field = field

    def read(self, spec: PermitSpec) -> Permit:
        for fault in selectors.faults(spec.namespace_selector):
            self.faults.append(Fault(field=f"{self._field}.namespaceSelector", message=fault))
        return Permit(
            selector=spec.namespace_selector,
            dns=self._each("dnsNames", spec.dns_names, patterns.dns),
            wildcards=frozenset(self._each("wildcardDNSNames", spec.wildcard_dns_names, _wildcard)),
            short_names=spec.short_service_names,
            uris=self._each("uris", spec.uris, patterns.uri),
            ranges=self._each("ipRanges", spec.ip_ranges, names.ip_range),
            emails=self._each("emailAddresses", spec.email_addresses, patterns.email),
            common_names=frozenset(self._each("commonNames", spec.common_names, _common_name)),
            common_dns=self._each("commonNames", filter(_is_dns_pattern, spec.common_names), patterns.dns),
            subjects=self._subjects(spec.subjects),
            other_namespaces=spec.other_namespaces,
        )

    def _subjects(self, spec: SubjectPatterns) -> SubjectPatterns:
        return SubjectPatterns(
            organizations=self._each("subjects.organizations", spec.organizations, _value),
            organizational_units=self._each("subjects.organizationalUnits", spec.organizational_units, _value),
            countries=self._each("subjects.countries", spec.countries, _value),
            localities=self._each("subjects.localities", spec.localities, _value),
            provinces=self._each("subjects.provinces", spec.provinces, _value),
            serial_numbers=self._each("subjects.serialNumbers", spec.serial_numbers, _value),
        )

    def _each(self, name: str, texts: Iterable[str], read: Callable[[str], _T]) -> tuple[_T, ...]:
        found = []
        for index, text in enumerate(texts):
            try:
                found.append(read(text))
            except ValueError as error:
                self.faults.append(Fault(field=f"{self._field}.{name}[{index}]", message=str(error)))
        return tuple(found)


def _wildcard(text: str) -> str:
    name = names.canonical_dns_name(text)
    if not name.startswith("*.") or is_too_wide(name):
        raise ValueError(f"not a wildcard name with at least two labels after the *: {names.shown(text)}")
    return name


def _common_name(text: str) -> str:
    """Keep a common name as it is written; `*`, and stars in a pattern of DNS names, are no text to be judged."""
    return text if "*" in text else names.canonical_common_name(text)


def _value(text: str) -> str:
    """Bring a pattern of a subject's attribute into canonical form: a value, or `*` alone."""
    if text != patterns.ONE and "*" in text:
        raise ValueError(f"* stands for a whole value, never for a part of one: {names.shown(text)}")
    return names.canonical_text(text, longest=128)


def _is_dns_pattern(text: str) -> bool:
    return "*" in text and text != patterns.ONE


def is_too_wide(name: str) -> bool:
    """Tell whether a wildcard has fewer than two labels after the `*`. OpenSSL takes none such; others do."""
    return name.startswith("*") and name.count(".") < 2  # noqa: PLR2004 - the star's dot and one more
