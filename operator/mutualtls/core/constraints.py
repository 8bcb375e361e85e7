"""Name constraints of an issuing CA (RFC 5280 §4.2.1.10), and whether names keep within them.

They are in the CA's certificate, where verifiers honour them, and are checked before a leaf is signed, so that none is
made that nobody would accept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from cryptography import x509

from mutualtls.core import names, schema, uris
from mutualtls.core.errors import Fault
from mutualtls.core.identity import Resource

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
    """Names by kind, in canonical form."""

    dns: tuple[str, ...] = ()
    ips: tuple[Network, ...] = ()
    uris: tuple[str, ...] = ()

    def general_names(self) -> list[x509.GeneralName] | None:
        """Write them as the certificate holds them; None where there are none."""
        found = [
            *map(x509.DNSName, self.dns),
            *map(x509.IPAddress, self.ips),
            *map(x509.UniformResourceIdentifier, self.uris),
        ]
        return found or None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameConstraints:
    """Constraints as they are read from an authority's spec. The default constrains nothing."""

    permitted: Subtrees = Subtrees()
    excluded: Subtrees = Subtrees()

    def extension(self) -> x509.NameConstraints | None:
        """Write the extension of the issuing CA; None where nothing is constrained."""
        permitted, excluded = self.permitted.general_names(), self.excluded.general_names()
        if permitted is None and excluded is None:
            return None
        return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded)


def of_certificate(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """Read the extension of a CA's certificate; None where it has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


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
        return _outside(name, "dnsDomains", permitted)
    # A wildcard may stand for the excluded name itself. Verifiers differ in whether they see that.
    base = name.removeprefix("*.") if name.startswith("*.") else None
    broken = [domain for domain in excluded if _is_below(name, domain) or (base and _is_below(domain, base))]
    return _inside(name, "dnsDomains", broken)


def why_not_ip(name: str, constraints: NameConstraints) -> str | None:
    """Tell which constraint a canonical IP address breaks; None if none. An IPv6 address is in no range of IPv4."""
    address = ipaddress.ip_address(name)
    permitted = constraints.permitted.ips
    if permitted and not any(address in block for block in permitted):
        return _outside(name, "ipRanges", map(str, permitted))
    return _inside(name, "ipRanges", [str(block) for block in constraints.excluded.ips if address in block])


def why_not_uri(name: str, constraints: NameConstraints) -> str | None:
    """Tell which constraint a canonical URI breaks; None if none.

    One without a host breaks any (RFC 5280 §4.2.1.10: it must be rejected).
    """
    permitted, excluded = constraints.permitted.uris, constraints.excluded.uris
    host = ".".join(uris.parse(name).host)
    if not host and (permitted or excluded):
        return f"{name} has no host, and spec.nameConstraints of the authority has uriDomains"
    if permitted and not any(_is_host_of(host, domain) for domain in permitted):
        return _outside(name, "uriDomains", permitted)
    return _inside(name, "uriDomains", [domain for domain in excluded if _is_host_of(host, domain)])


def _is_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _is_host_of(host: str, domain: str) -> bool:
    return host.endswith(domain) if domain.startswith(".") else host == domain


def _outside(name: str, kind: str, permitted: Iterable[str]) -> str:
    return f"{name} is outside spec.nameConstraints.permitted.{kind} of the authority: {', '.join(permitted)}"


def _inside(name: str, kind: str, broken: list[str]) -> str | None:
    if not broken:
        return None
    return f"{name} is within spec.nameConstraints.excluded.{kind} of the authority: {', '.join(broken)}"
