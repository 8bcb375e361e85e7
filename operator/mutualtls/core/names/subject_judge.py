"""Which subjects identities of a namespace may have: above all a common name, which reads as many kinds of names."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mutualtls.core.errors import Fault
from mutualtls.core.names import names, patterns, uris
from mutualtls.core.names.address_judge import AddressJudge
from mutualtls.core.names.dns_judge import DNSJudge, labels_in
from mutualtls.core.names.names import Subject
from mutualtls.core.names.permits import Permit
from mutualtls.core.names.policy import Scope, quoted

_RESERVED = ("system:", "kubeadm:")
"""How Kubernetes' own users and groups begin; the CA may be, or become, the client CA of an API server."""


@dataclass(frozen=True, slots=True)
class SubjectJudge:
    """Judges subjects."""

    scope: Scope
    dns: DNSJudge
    addresses: AddressJudge

    def faults(self, subject: Subject, dns: set[str]) -> Iterator[Fault]:
        """Judge the subject, which is one name: one permit must allow all of it that is not held by right."""
        values = list(_attributes(subject))
        if subject.common_name in dns and not subject.common_name.startswith("*"):
            values = [value for value in values if value.attribute != _COMMON_NAME]
        if not values or any(all(self._allows(permit, value) for value in values) for permit in self.scope.permits):
            return
        refused = [value for value in values if not any(self._allows(permit, value) for permit in self.scope.permits)]
        for value in refused:
            why, add = self._what_would_permit(value)
            yield Fault(field=f"spec.subject.{value.field}", message=self.scope.refusal(value.text, why, add))
        if not refused:
            add = " and ".join(self._what_would_permit(value)[1] for value in values)
            message = self.scope.refusal("the subject", "it is one name, which one permit must allow whole", add)
            yield Fault(field="spec.subject", message=message)

    def _allows(self, permit: Permit, value: _Attribute) -> bool:
        if value.attribute == _COMMON_NAME:
            return self.allows_common_name(permit, value.text)
        allowed = getattr(permit.subjects, value.attribute)
        return value.text in allowed or (patterns.ONE in allowed and not must_be_spelled_out(value.text))

    def allows_common_name(self, permit: Permit, text: str) -> bool:
        """Tell whether a permit allows a common name: as it is written, or by patterns.

        `*` is any text but one that is a name of another kind, which the permit must allow as such as well.
        """
        look = _look(text)
        if text in permit.common_names:
            return self._is_spelled_within_reach(look, text, reaches=permit.other_namespaces)
        if look is _Look.DNS_NAME and self.dns.reaches_any(
            permit.common_dns, as_host(text) or "", reaches=permit.other_namespaces
        ):
            return True
        is_any = patterns.ONE in permit.common_names and not (_is_reserved(text) or _is_several(text))
        return is_any and self._allows_as(look, permit, text)

    def _allows_as(self, look: _Look | None, permit: Permit, text: str) -> bool:
        """Tell whether a permit allows a text as the kind of name that it is, in its one spelling."""
        try:
            match look:
                case None:
                    return True
                case _Look.IP_ADDRESS:
                    return names.canonical_ip(text) == text and self.addresses.allows_ip(permit, text)
                case _Look.EMAIL_ADDRESS:
                    return names.canonical_email(text) == text and self.addresses.allows_email(permit, text)
                case _Look.URI:
                    uri = uris.parse(text)
                    return str(uri) == text and (
                        self.addresses.is_own_uri(uri) or self.addresses.allows_uri(permit, uri)
                    )
                case _Look.DNS_NAME:
                    is_own = self.scope.cluster.is_own_dns_name(text, self.scope.namespace)
                    return names.canonical_dns_name(text) == text and (is_own or self.dns.allows(permit, text))
        except ValueError:
            return False

    def _is_spelled_within_reach(self, look: _Look | None, text: str, *, reaches: bool) -> bool:
        """Tell whether a permit reaches a common name that it spells out."""
        if look is _Look.DNS_NAME and (host := as_host(text)):
            return self.dns.is_within_reach(host, spelled_out=labels_in(host), reaches=reaches)
        return reaches or self._namespaces_of_text(look, _folded(text)) <= {self.scope.namespace}

    def _namespaces_of_text(self, look: _Look | None, folded: str) -> frozenset[str]:
        """List the namespaces that a common name speaks for that reads as a URI or an e-mail address."""
        if look is _Look.EMAIL_ADDRESS:
            return self.addresses.namespaces_of_email(folded)
        try:
            return self.addresses.namespaces_of_uri(uris.parse(folded)) if look is _Look.URI else frozenset()
        except ValueError:
            return frozenset()

    def _what_would_permit(self, value: _Attribute) -> tuple[str, str]:
        look = _look(value.text) if value.attribute == _COMMON_NAME else None
        if _is_reserved(value.text):
            why = "it names a user or group of Kubernetes itself"
        elif _is_several(value.text):
            why = "it reads as several attributes where a subject is written in one line"
        else:
            why = look.value if look else "it belongs to no namespace"
        if value.attribute != _COMMON_NAME:
            return why, f"subjects: {{{value.permit_field}: [{quoted(value.text)}]}}"
        reach = self._is_spelled_within_reach(look, value.text, reaches=False)
        return why, f"commonNames: [{quoted(value.text)}]" + ("" if reach else " and otherNamespaces: true")


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


def must_be_spelled_out(text: str) -> bool:
    """Tell whether `*` in a permit does not stand for this value of the subject.

    What holds a `=` could pass for another attribute where somebody compares a whole subject, written in one line.
    """
    return _is_reserved(text) or _is_ip(text) or _is_several(text)


def _is_several(text: str) -> bool:
    return "=" in _folded(text)


def _is_reserved(text: str) -> bool:
    return _folded(text).startswith(_RESERVED)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(_folded(text).strip("[]"))
    except ValueError:
        return False
    return True


class _Look(Enum):
    """What kind of name a common name reads as, where it is not just a text; and how that is told."""

    DNS_NAME = "it looks like a DNS name, and the certificate does not carry that name"
    IP_ADDRESS = "it looks like an IP address"
    URI = "it looks like a URI"
    EMAIL_ADDRESS = "it looks like an e-mail address"


def _look(text: str) -> _Look | None:
    folded = _folded(text)
    if _is_ip(text):
        return _Look.IP_ADDRESS
    if "://" in folded or folded.startswith((f"{uris.URN}:", f"{uris.SPIFFE}:")):
        return _Look.URI
    if "@" in folded:
        return _Look.EMAIL_ADDRESS
    return _Look.DNS_NAME if as_host(text) else None


def as_host(text: str) -> str | None:
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
