"""The extension name constraints (RFC 5280 §4.2.1.10) of a CA: written, and read as OpenSSL and Go read it."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

from cryptography import x509

from mutualtls.core.names import names
from mutualtls.core.names.constraints import (
    NameConstraints,
    Network,
    Subtrees,
    why_not_dns_name,
    why_not_email,
    why_not_ip,
    why_not_uri,
)


def extension(constraints: NameConstraints) -> x509.NameConstraints | None:
    """Write the extension of the issuing CA; None where nothing is constrained."""
    permitted, excluded = general_names(constraints.permitted), general_names(constraints.excluded)
    if permitted is None and excluded is None:
        return None
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=excluded)


def general_names(subtrees: Subtrees) -> list[x509.GeneralName] | None:
    """Write names as the certificate holds them; None where there are none."""
    found = [
        *map(x509.DNSName, subtrees.dns),
        *map(x509.IPAddress, subtrees.ips),
        *map(x509.UniformResourceIdentifier, subtrees.uris),
    ]
    return found or None


def of_certificate(certificate: x509.Certificate) -> x509.NameConstraints | None:
    """Read the extension of a CA's certificate; None where it has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


_KINDS = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)


def read(certificate: x509.Certificate, *, by: str) -> NameConstraints:
    """Read the constraints in a CA. `by` is its name, for people. Kinds that not everybody knows are left out."""
    found = of_certificate(certificate)
    if found is None:
        return NameConstraints()
    permitted, excluded = _written(found.permitted_subtrees), _written(found.excluded_subtrees)
    return NameConstraints(permitted=permitted, excluded=excluded, by=by)


def _written(subtrees: Iterable[x509.GeneralName] | None) -> Subtrees:
    found = tuple(subtrees or ())
    return Subtrees(
        dns=tuple(one.value.lower() for one in found if isinstance(one, x509.DNSName)),
        ips=tuple(one.value for one in found if isinstance(one, x509.IPAddress) and isinstance(one.value, Network)),
        uris=tuple(one.value.lower() for one in found if isinstance(one, x509.UniformResourceIdentifier)),
        emails=tuple(one.value for one in found if isinstance(one, x509.RFC822Name)),
    )


def kinds_unknown(found: x509.NameConstraints) -> list[str]:
    """List the kinds of names in an extension that Go does not know. It refuses whatever is below such a CA."""
    return sorted({type(one).__name__ for one in _all(found) if not isinstance(one, _KINDS)})


def permits_empty(found: x509.NameConstraints) -> bool:
    """Tell whether an empty domain is permitted, which is to permit all."""
    return any(isinstance(one, _KINDS) and one.value == "" for one in found.permitted_subtrees or ())


def unread_by_go(found: x509.NameConstraints) -> list[str]:
    """List the domains in an extension for which Go cannot even read the certificate."""
    texts = [one.value for one in _all(found) if isinstance(one, _KINDS) and isinstance(one.value, str)]
    return [text for text in texts if not _is_domain_of_go(text.rpartition("@")[2])]


def is_read_by_go(uri: str) -> bool:
    """Tell whether Go reads a URI by which a certificate names somebody."""
    try:
        host = urllib.parse.urlsplit(uri).netloc
    except ValueError:
        return False
    return not any(character <= " " or character == "\x7f" for character in uri) and _is_domain_of_go(host)


def _is_domain_of_go(text: str) -> bool:
    return _DOMAIN_OF_GO.fullmatch(text) is not None


_DOMAIN_OF_GO = re.compile(r"(\.?[!-\-/-~]{1,63}(\.[!-\-/-~]{1,63})*)?")


def _all(found: x509.NameConstraints) -> list[x509.GeneralName]:
    return [*(found.permitted_subtrees or ()), *(found.excluded_subtrees or ())]


def why_not_ca(ca: x509.Certificate, constraints: NameConstraints) -> str | None:
    """Tell which constraint of a CA above it a CA breaks by its own names, which few have; None if none."""
    for name, why_not in _names_of(ca):
        try:
            broken = why_not(name, constraints)
        except ValueError:
            broken = f"{names.shown(name)} cannot be judged by what {constraints.by} constrains"
        if broken and not constraints.is_empty:
            return broken
    return None


def _names_of(ca: x509.Certificate) -> Iterator[tuple[str, Callable[[str, NameConstraints], str | None]]]:
    try:
        alternative = ca.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        alternative = x509.SubjectAlternativeName([])
    for one in alternative:
        match one:
            case x509.DNSName():
                yield one.value.lower(), why_not_dns_name
            case x509.IPAddress():
                yield str(one.value), why_not_ip
            case x509.UniformResourceIdentifier():
                yield one.value, why_not_uri
            case x509.RFC822Name():
                yield one.value, why_not_email
    for attribute in ca.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS):
        yield str(attribute.value), why_not_email
