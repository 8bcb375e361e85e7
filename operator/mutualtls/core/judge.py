"""Who may have which name. Denied unless allowed: without a permit no two namespaces can hold one name.

By right an identity holds names of its own namespace's Services, SPIFFE IDs of its service accounts, and as common
name a DNS name of the same leaf (`ownership`). All else is allowed by a permit of the authority: one must allow a name
whole, and it reaches names of other namespaces only when it says so.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from mutualtls.core import ownership, patterns, permits, selectors, uris
from mutualtls.core.errors import Fault
from mutualtls.core.names import Subject
from mutualtls.core.permits import Permit
from mutualtls.core.selectors import LabelSelector


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All by which an authority judges names."""

    authority: str
    trust_domain: str
    cluster_domain: str
    selector: LabelSelector | None = None
    """The namespaces that may use the authority; None is all."""
    permits: tuple[Permit, ...] = ()


class Claim(NamedTuple):
    """One name in canonical form that is asked for, and the field that asks for it."""

    field: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """All names that an identity asks for."""

    dns: Sequence[Claim] = ()
    ips: Sequence[Claim] = ()
    emails: Sequence[Claim] = ()
    uris: Sequence[Claim] = ()
    subject: Subject = field(default_factory=Subject)


def faults(claims: Claims, policy: Policy, *, namespace: str, labels: Mapping[str, str] | None) -> list[Fault]:
    """List the names that identities of a namespace may not hold, each with the reason and what would permit it.

    `labels` are those of the namespace; None where they are not known, and then only what is for all namespaces counts.
    """
    if policy.selector is not None and not selectors.matches(policy.selector, labels):
        message = (
            f"authority {policy.authority} does not serve namespace {namespace}: its spec.namespaceSelector, "
            f"{selectors.described(policy.selector)}, does not match the labels of the namespace"
        )
        return [Fault(field="spec.authority", message=message)]
    serving = tuple(permit for permit in policy.permits if selectors.matches(permit.selector, labels))
    return list(_Judge(policy, serving, namespace).faults(claims))


_RESERVED = ("system:", "kubeadm:")
"""How Kubernetes' own users and groups begin; the CA may be, or become, the client CA of an API server."""


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the names that identities of one namespace ask for."""

    policy: Policy
    permits: tuple[Permit, ...]
    """Those that are for this namespace."""
    namespace: str

    def faults(self, claims: Claims) -> Iterator[Fault]:
        kinds = (
            (claims.dns, self._why_not_dns_name),
            (claims.ips, self._why_not_ip),
            (claims.emails, self._why_not_email),
            (claims.uris, self._why_not_uri),
        )
        for of_kind, why_not in kinds:
            for claim in of_kind:
                if message := why_not(claim.name):
                    yield Fault(field=claim.field, message=message)
        yield from self._subject_faults(claims.subject, {claim.name for claim in claims.dns})

    # DNS names

    def _why_not_dns_name(self, name: str) -> str | None:
        domain = self.policy.cluster_domain
        if ownership.is_own_dns_name(name, self.namespace, cluster_domain=domain):
            return None
        if permits.is_too_wide(name):
            return f"{name} is not permitted and cannot be: a wildcard needs at least two labels after the *"
        if any(self._allows_dns_name(permit, name) for permit in self.permits):
            return None
        kind = "wildcardDNSNames" if name.startswith("*") else "dnsNames"
        if ownership.is_short_name(name, self.namespace, cluster_domain=domain):
            why = "it means something else in other namespaces"
            return self._refusal(name, why, "shortServiceNames: true")
        add = f"{kind}: [{_quoted(name)}]"
        why = self._whose_dns_name(name)
        if not self._is_within_reach(name, is_spelled_out=True, reaches=False):
            add += " and otherNamespaces: true"
        return self._refusal(name, why, add)

    def _allows_dns_name(self, permit: Permit, name: str) -> bool:
        domain = self.policy.cluster_domain
        if permit.short_names and ownership.is_short_name(name, self.namespace, cluster_domain=domain):
            return True
        if name.startswith("*"):
            fitting = [True] if name in permit.wildcards else []
        else:
            labels = name.split(".")
            fitting = [patterns.is_spelled_out(one) for one in permit.dns if patterns.fits(one, labels)]
        return any(
            self._is_within_reach(name, is_spelled_out=is_spelled_out, reaches=permit.other_namespaces)
            for is_spelled_out in fitting
        )

    def _is_within_reach(self, name: str, *, is_spelled_out: bool, reaches: bool) -> bool:
        """Tell whether a permit that fits a DNS name reaches it, whatever namespaces it speaks for."""
        domain = self.policy.cluster_domain
        if ownership.is_of_api_server(name, cluster_domain=domain):
            return reaches and is_spelled_out
        if reaches:
            return True
        if ownership.is_public_domain(name):
            return is_spelled_out and not ownership.namespaces_of_host(name, cluster_domain=domain)
        return ownership.namespaces_of_dns_name(name, cluster_domain=domain) <= {self.namespace}

    def _whose_dns_name(self, name: str) -> str:
        domain = self.policy.cluster_domain
        if ownership.is_of_api_server(name, cluster_domain=domain):
            return f"it {'covers' if name.startswith('*') else 'is'} a name of the Kubernetes API server"
        if ownership.is_public_domain(name):
            return f"it is a domain of the internet and could be Service {name.replace('.', ' of namespace ')}"
        found = ownership.namespaces_of_dns_name(name, cluster_domain=domain)
        if name.startswith("*") and found == {self.namespace}:
            return (
                f"it covers every Service of namespace {self.namespace}, and a wildcard must stand below a Service, as "
                f"in *.SERVICE.{self.namespace}.svc"
            )
        return self._whose(found)

    def _whose(self, found: frozenset[str]) -> str:
        others = sorted(found - {self.namespace, ownership.EVERY})
        if ownership.EVERY in found:
            return "it speaks for every namespace"
        if others:
            return f"it is a name of namespace {', '.join(others)}"
        return f"it is not a name of a Service or service account of namespace {self.namespace}"

    # The other alternative names

    def _why_not_ip(self, name: str) -> str | None:
        address = ipaddress.ip_address(name)
        if any(address in block for permit in self.permits for block in permit.ranges):
            return None
        one = f"{name}/{address.max_prefixlen}"
        return self._refusal(name, "an IP address belongs to no namespace", f"ipRanges: [{_quoted(one)}]")

    def _why_not_email(self, name: str) -> str | None:
        domain = name.rpartition("@")[2]
        found = ownership.namespaces_of_host(domain, cluster_domain=self.policy.cluster_domain)
        return self._why_not(
            name,
            found,
            [permit for permit in self.permits if any(patterns.fits_email(one, name) for one in permit.emails)],
            why=self._whose(found) if found else "an e-mail address belongs to no namespace",
            add=f"emailAddresses: [{_quoted(name)}]",
        )

    def _why_not_uri(self, name: str) -> str | None:
        uri, policy = uris.parse(name), self.policy
        if ownership.is_own_uri(uri, self.namespace, trust_domain=policy.trust_domain):
            return None
        found = ownership.namespaces_of_uri(uri, trust_domain=policy.trust_domain, cluster_domain=policy.cluster_domain)
        why = self._whose(found)
        if not found and uri.scheme == uris.SPIFFE and ".".join(uri.host) != policy.trust_domain:
            why = f"its trust domain is not {policy.trust_domain}, that of authority {policy.authority}"
        return self._why_not(
            name,
            found,
            [permit for permit in self.permits if any(patterns.fits_uri(one, uri) for one in permit.uris)],
            why=why,
            add=f"uris: [{_quoted(name)}]",
        )

    def _why_not(
        self, name: str, found: frozenset[str], fitting: Sequence[Permit], *, why: str, add: str
    ) -> str | None:
        """Refuse a name that no fitting permit reaches, given the namespaces that it speaks for."""
        is_own = found <= {self.namespace}
        if any(is_own or permit.other_namespaces for permit in fitting):
            return None
        return self._refusal(name, why, add if is_own else f"{add} and otherNamespaces: true")

    # The subject

    def _subject_faults(self, subject: Subject, dns: set[str]) -> Iterator[Fault]:
        """Judge the subject, which is one name: one permit must allow all of it that is not held by right."""
        values = list(_attributes(subject))
        if subject.common_name in dns and not subject.common_name.startswith("*"):
            values = [value for value in values if value.attribute != _COMMON_NAME]
        if not values or any(all(self._allows(permit, value) for value in values) for permit in self.permits):
            return
        refused = [value for value in values if not any(self._allows(permit, value) for permit in self.permits)]
        for value in refused:
            why, add = self._what_would_permit(value)
            yield Fault(field=f"spec.subject.{value.field}", message=self._refusal(value.text, why, add))
        if not refused:
            add = " and ".join(self._what_would_permit(value)[1] for value in values)
            message = self._refusal("the subject", "it is one name, which one permit must allow whole", add)
            yield Fault(field="spec.subject", message=message)

    def _allows(self, permit: Permit, value: _Attribute) -> bool:
        if value.attribute != _COMMON_NAME:
            allowed = getattr(permit.subjects, value.attribute)
            return value.text in allowed or (patterns.ONE in allowed and not _must_be_spelled_out(value.text))
        host = _as_host(value.text)
        is_spelled_out = value.text in permit.common_names
        is_any = patterns.ONE in permit.common_names and not _must_be_spelled_out(value.text)
        is_fitting = host is not None and any(patterns.fits(one, host.split(".")) for one in permit.common_dns)
        if not (is_spelled_out or is_any or is_fitting):
            return False
        return host is None or self._is_within_reach(
            host, is_spelled_out=is_spelled_out, reaches=permit.other_namespaces
        )

    def _what_would_permit(self, value: _Attribute) -> tuple[str, str]:
        if _is_reserved(value.text):
            why = "it names a user or group of Kubernetes itself"
        elif "=" in _folded(value.text):
            why = "it reads as several attributes where a subject is written in one line"
        elif value.attribute == _COMMON_NAME and _as_host(value.text):
            why = "it looks like a DNS name, and the certificate does not carry that name"
        elif value.attribute == _COMMON_NAME and _is_ip(value.text):
            why = "it looks like an IP address"
        else:
            why = "it belongs to no namespace"
        if value.attribute != _COMMON_NAME:
            return why, f"subjects: {{{value.permit_field}: [{_quoted(value.text)}]}}"
        host = _as_host(value.text)
        reach = host is None or self._is_within_reach(host, is_spelled_out=True, reaches=False)
        return why, f"commonNames: [{_quoted(value.text)}]" + ("" if reach else " and otherNamespaces: true")

    def _refusal(self, name: str, why: str, add: str) -> str:
        return (
            f"{name} is not permitted: {why}; add {add} to a permit of authority {self.policy.authority} whose "
            f"namespaceSelector matches namespace {self.namespace}"
        )


def _quoted(text: str) -> str:
    """Write a name as YAML takes it."""
    return msgspec.json.encode(text).decode()


_COMMON_NAME = "common_name"
_FIELDS = {
    "organizations": "organizations",
    "organizational_units": "organizationalUnits",
    "countries": "countries",
    "localities": "localities",
    "provinces": "provinces",
}
"""Attributes of several values, and their names in both APIs."""


@dataclass(frozen=True, slots=True)
class _Attribute:
    """One value of the subject."""

    attribute: str
    """Name in `SubjectPatterns`, or `_COMMON_NAME`."""
    field: str
    """Where below `spec.subject` it stands."""
    permit_field: str
    """Where in a permit's `subjects` it would be allowed."""
    text: str


def _attributes(subject: Subject) -> Iterator[_Attribute]:
    if subject.common_name:
        yield _Attribute(_COMMON_NAME, "commonName", "", subject.common_name)
    for attribute, name in _FIELDS.items():
        for index, text in enumerate(getattr(subject, attribute)):
            yield _Attribute(attribute, f"{name}[{index}]", name, text)
    if subject.serial_number:
        yield _Attribute("serial_numbers", "serialNumber", "serialNumbers", subject.serial_number)


def _must_be_spelled_out(text: str) -> bool:
    """Tell whether `*` in a permit does not stand for this value of the subject.

    What holds a `=` could pass for another attribute where somebody compares a whole subject, written in one line.
    """
    return _is_reserved(text) or _is_ip(text) or "=" in _folded(text)


def _is_reserved(text: str) -> bool:
    return _folded(text).startswith(_RESERVED)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(_folded(text).strip("[]"))
    except ValueError:
        return False
    return True


def _as_host(text: str) -> str | None:
    """Read a common name as a lenient verifier would that looks for a host name there; None where none would.

    A single label is none: `postgres` is a user. Nor is what has characters of other kinds of names.
    """
    host = _folded(text).translate(_DOTS).strip(".")
    is_host = "." in host and not any(character in " /:@=,;+" for character in host)
    return host if is_host and not _is_ip(host) else None


_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")
"""What RFC 3490 §3.1 takes for dots."""


def _folded(text: str) -> str:
    """Bring a text into the form in which the most lenient readers compare (NFKC, without case)."""
    return unicodedata.normalize("NFKC", text).casefold()
