"""Name constraints of CAs (RFC 5280 §4.2.1.10), and whether names keep within them.

They are in a CA's certificate, where verifiers honour them, and are checked before a leaf is signed, so that none is
made that somebody would refuse: those that the spec asks for, and those in the certificate of each CA above the leaf,
as an outside PKI has them. What a certificate has is read as OpenSSL and Go read it: where they differ, names keep
within both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from mutualtls.core.errors import Fault
from mutualtls.core.model import schema
from mutualtls.core.model.resource import Resource
from mutualtls.core.names import names, uris

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DOMAIN = rf"({schema.DNS_NAME_LABEL}\.)*{schema.DNS_NAME_LABEL}"


class SubtreesSpec(Resource, frozen=True, kw_only=True):
    """Names, by kind."""

    dns_domains: Annotated[
        tuple[
            Annotated[
                str,
                schema.form(
                    "A domain such as example.com.",
                    f"^{_DOMAIN}$",
                    "must be a DNS name without a leading or trailing dot or a *",
                    longest=253,
                ),
            ],
            ...,
        ],
        schema.unique("DNS domains. Each is the name itself and every name below it.", most=50),
    ] = ()
    ip_ranges: Annotated[
        tuple[Annotated[str, schema.text("A range such as 10.1.0.0/16.", schema.IS_CIDR, longest=43)], ...],
        schema.unique("Ranges of IP addresses (CIDR).", most=50),
    ] = ()
    uri_domains: Annotated[
        tuple[
            Annotated[
                str,
                schema.form(
                    "A host such as example.com, or .example.com.",
                    rf"^\.?{_DOMAIN}$",
                    "must be a host, or a dot and a domain",
                    longest=253,
                ),
            ],
            ...,
        ],
        schema.unique(
            "Hosts of URIs, which are the trust domains of SPIFFE IDs: example.com is that host alone, .example.com "
            "every host below it and not itself.",
            most=50,
        ),
    ] = ()


class NameConstraintsSpec(Resource, frozen=True, kw_only=True):
    """What the issuing CA can sign at all, written into its certificate."""

    permitted: Annotated[
        SubtreesSpec,
        schema.field(
            "The only names that can be signed, of each kind that is listed; kinds that are not listed are not "
            "constrained by it."
        ),
    ] = SubtreesSpec()
    excluded: Annotated[SubtreesSpec, schema.field("Names that cannot be signed, permitted or not.")] = SubtreesSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtrees:
    """Names by kind, in canonical form. The spec has none of e-mail addresses."""

    dns: tuple[str, ...] = ()
    ips: tuple[Network, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameConstraints:
    """Constraints as they are read from an authority's spec, or from a CA. The default constrains nothing."""

    permitted: Subtrees = Subtrees()
    excluded: Subtrees = Subtrees()
    by: str = ""
    """For people: the CA that has them in its certificate. Empty where they are the spec's."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is constrained."""
        return self.permitted == self.excluded == Subtrees()


# From a certificate


# From the spec


def compiled(spec: NameConstraintsSpec) -> tuple[NameConstraints, list[Fault]]:
    """Read constraints, and list what is wrong with them. What is faulty is left out."""
    faults: list[Fault] = []
    permitted = _subtrees(spec.permitted, "spec.nameConstraints.permitted", faults)
    excluded = _subtrees(spec.excluded, "spec.nameConstraints.excluded", faults)
    return NameConstraints(permitted=permitted, excluded=excluded), faults


_T = TypeVar("_T")


def _subtrees(spec: SubtreesSpec, field: str, faults: list[Fault]) -> Subtrees:
    def each(name: str, texts: Iterable[str], read: Callable[[str], _T]) -> tuple[_T, ...]:
        found = []
        for index, text in enumerate(texts):
            try:
                found.append(read(text))
            except ValueError as error:
                faults.append(Fault(field=f"{field}.{name}[{index}]", message=str(error)))
        return tuple(found)

    return Subtrees(
        dns=each("dnsDomains", spec.dns_domains, _domain),
        ips=each("ipRanges", spec.ip_ranges, names.ip_range),
        uris=each("uriDomains", spec.uri_domains, _host_or_domain),
    )


def _domain(text: str) -> str:
    if "*" in text:
        raise ValueError(f"not a DNS domain: {names.shown(text)}")
    return names.canonical_dns_name(text)


def _host_or_domain(text: str) -> str:
    dot, host = ("", text) if not text.startswith(".") else (".", text[1:])
    return dot + _domain(host)


# Checking


def why_not_dns_name(name: str, constraints: NameConstraints) -> str | None:
    """Tell which constraint a canonical DNS name breaks; None if none."""
    permitted, excluded = constraints.permitted.dns, constraints.excluded.dns
    if permitted and not any(_is_below(name, domain) for domain in permitted):
        return _outside(name, "dnsDomains", permitted, constraints)
    # A wildcard may stand for the excluded name itself. Verifiers differ in whether they see that.
    base = name.removeprefix("*.") if name.startswith("*.") else None
    broken = [domain for domain in excluded if _is_below(name, domain) or (base and _is_below(domain, base))]
    return _inside(name, "dnsDomains", broken, constraints)


def why_not_ip(name: str, constraints: NameConstraints) -> str | None:
    """Tell which constraint a canonical IP address breaks; None if none. An IPv6 address is in no range of IPv4."""
    address = ipaddress.ip_address(name)
    permitted = constraints.permitted.ips
    if permitted and not any(address in block for block in permitted):
        return _outside(name, "ipRanges", map(str, permitted), constraints)
    broken = [str(block) for block in constraints.excluded.ips if address in block]
    return _inside(name, "ipRanges", broken, constraints)


def why_not_uri(name: str, constraints: NameConstraints) -> str | None:
    """Tell which constraint a canonical URI breaks; None if none.

    One without a host breaks any (RFC 5280 §4.2.1.10: it must be rejected); in a certificate any of another kind as
    well, as Go rejects it.
    """
    permitted, excluded = constraints.permitted.uris, constraints.excluded.uris
    host = ".".join(uris.parse(name).host)
    if not host and constraints.by:
        return f"{name} has no host, and Go refuses such a URI below {constraints.by}, which constrains names"
    if not host and (permitted or excluded):
        return f"{name} has no host, and spec.nameConstraints of the authority has uriDomains"
    if permitted and not any(_is_host_of(host, domain) for domain in permitted):
        return _outside(name, "uriDomains", permitted, constraints)
    return _inside(name, "uriDomains", [one for one in excluded if _is_excluded(host, one, constraints)], constraints)


def why_not_email(name: str, constraints: NameConstraints) -> str | None:
    """Tell which constraint a canonical e-mail address breaks; None if none."""
    permitted, excluded = constraints.permitted.emails, constraints.excluded.emails
    if permitted and not any(_is_mailbox_of(name, mailbox) for mailbox in permitted):
        return _outside(name, "emailAddresses", permitted, constraints)
    broken = [one for one in excluded if _is_mailbox_of(name, one)]
    host = name.rpartition("@")[2]
    broken = broken or [one for one in excluded if "@" not in one and _is_excluded(host, one.lower(), constraints)]
    return _inside(name, "emailAddresses", broken, constraints)


def _is_below(name: str, domain: str) -> bool:
    """Tell whether a name is a domain or below it; of `.example.com`, as CAs of others have it, it must be below."""
    is_same = name == domain or not domain
    return is_same or name.endswith(domain if domain.startswith(".") else f".{domain}")


def _is_host_of(host: str, domain: str) -> bool:
    return host.endswith(domain) if domain.startswith(".") else host == domain


def _is_excluded(host: str, domain: str, constraints: NameConstraints) -> bool:
    """Tell whether an excluded host is meant. To Go it is every host below it as well, in a certificate."""
    return _is_host_of(host, domain) or (constraints.by != "" and _is_below(host, domain))


def _is_mailbox_of(name: str, mailbox: str) -> bool:
    local, at, host = mailbox.rpartition("@")
    if at:
        return name == f"{local}@{host.lower()}"
    return _is_host_of(name.rpartition("@")[2], host.lower())


def _outside(name: str, kind: str, permitted: Iterable[str], constraints: NameConstraints) -> str:
    return f"{name} is outside {_field(constraints, 'permitted', kind)}: {_some(permitted)}"


def _inside(name: str, kind: str, broken: list[str], constraints: NameConstraints) -> str | None:
    if not broken:
        return None
    return f"{name} is within {_field(constraints, 'excluded', kind)}: {_some(broken)}"


_IN_A_CA = {
    "dnsDomains": "DNS names",
    "ipRanges": "IP addresses",
    "uriDomains": "URIs",
    "emailAddresses": "e-mail addresses",
}
_MOST_NAMED = 10
"""Of the domains in a CA of others, in a message."""


def _field(constraints: NameConstraints, which: str, kind: str) -> str:
    """Say for people where a constraint stands."""
    if not constraints.by:
        return f"spec.nameConstraints.{which}.{kind} of the authority"
    verb = "permits" if which == "permitted" else "excludes"
    return f"the {_IN_A_CA[kind]} that {constraints.by} {verb} below itself (nameConstraints of its certificate)"


def _some(texts: Iterable[str]) -> str:
    found = [names.shown(text) or '""' for text in texts]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more
