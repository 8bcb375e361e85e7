"""URIs as certificates name somebody by them (RFC 5280 §4.2.1.6, RFC 3986), and SPIFFE IDs among them.

Strict: of every URI only one spelling is taken, so that no two readers see two different names in it.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass

from mutualtls.core.names import names

SPIFFE, URN = "spiffe", "urn"
_LONGEST = 2048
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.+)")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-F]{2})*")
"""RFC 3986 §3.3, but for `*`, which reads as a pattern. Hexadecimal digits are upper-case (§6.2.2.1)."""
_TRUST_DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_SPIFFE_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST_TRUST_DOMAIN = 255
_URN_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,30}[a-z0-9]")
_NEVER_ENCODED = frozenset("/\\%*.") | frozenset(map(chr, (*range(0x20), 0x7F)))
"""Characters that must not hide behind percent-encoding: some readers decode before they split, others after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class URI:
    """A URI in its parts. As a pattern, parts of host and path may be `*` or `**`."""

    scheme: str
    host: tuple[str, ...] = ()
    """Labels of the host or trust domain. Empty for a URN."""
    port: str = ""
    path: tuple[str, ...] = ()
    """Segments between slashes, between colons in a URN. An empty one at the end is a trailing slash."""

    def __str__(self) -> str:
        if self.scheme == URN:
            return ":".join((URN, *self.path))
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{'.'.join(self.host)}{port}{''.join(f'/{segment}' for segment in self.path)}"


def parse(text: str) -> URI:
    """Read an absolute URI: with a host, or a URN. `str` of the result is the canonical form.

    A host is made lower-case; all else must be in its canonical form already. Neither query, fragment nor user
    information can be part of a name.

    Raises:
        ValueError: it is another form of URI, or none. The message tells which rule it breaks.
    """
    scheme, colon, rest = text.partition(":")
    match = _SCHEME.fullmatch(scheme.lower() + colon + rest)
    is_plain = text.isascii() and text.isprintable() and " " not in text
    if len(text) > _LONGEST or match is None or not is_plain:
        raise ValueError(f"not an absolute URI such as https://host/path: {names.shown(text)}")
    for mark, what in (("?", "a query"), ("#", "a fragment"), ("\\", "a backslash"), ("*", "a *")):
        if mark in rest:
            raise ValueError(f"a URI that names somebody has no {what.removeprefix('a ')}: {text}")
    if match[1] == SPIFFE:
        return _parse_spiffe_id(text)
    if match[1] == URN:
        return _parse_urn(text, rest)
    return _parse_with_host(text, match[1], rest)


def _parse_spiffe_id(text: str) -> URI:
    """Read a SPIFFE ID (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md), which has no variants."""
    if not text.startswith("spiffe://"):
        raise ValueError(f"not a SPIFFE ID, which begins with spiffe:// in lower case: {text}")
    trust_domain, *path = text.removeprefix("spiffe://").split("/")
    if not _TRUST_DOMAIN.fullmatch(trust_domain) or len(trust_domain) > _LONGEST_TRUST_DOMAIN:
        raise ValueError(
            "not a SPIFFE ID, whose trust domain has lower-case letters, digits, dots, '-' and '_' only, no user and "
            f"no port: {text}"
        )
    if not path or not all(_SPIFFE_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in path):
        raise ValueError(
            "not a SPIFFE ID of a workload, whose path has segments of letters, digits, '.', '-' and '_', none of them "
            f"empty, . or ..: {text}"
        )
    return URI(scheme=SPIFFE, host=tuple(trust_domain.split(".")), path=tuple(path))


def _parse_urn(text: str, rest: str) -> URI:
    """Read a URN (RFC 8141) without its optional components. Its namespace is made lower-case."""
    space, *path = rest.split(":")
    if not _URN_NAMESPACE.fullmatch(space.lower()) or not path or "/" in rest or not all(path):
        raise ValueError(f"not a URN such as urn:NAMESPACE:NAME: {text}")
    _check_segments(path, text)
    return URI(scheme=URN, path=(space.lower(), *path))


def _parse_with_host(text: str, scheme: str, rest: str) -> URI:
    if not rest.startswith("//"):
        raise ValueError(f"a URI that names somebody has a host, as in https://host/path, or is a URN: {text}")
    authority, *path = rest.removeprefix("//").split("/")
    if "@" in authority:
        raise ValueError(f"a URI that names somebody has no user information: {text}")
    host, colon, port = authority.partition(":")
    if colon and not _PORT.fullmatch(port):
        raise ValueError(f"not a port in a URI: {text}")
    try:
        canonical = names.canonical_dns_name(host)
    except ValueError as error:
        raise ValueError(f"the host of a URI must be a DNS name, {error}: {text}") from None
    if not all(path[:-1]):
        raise ValueError(f"a path must not have empty segments: {text}")
    _check_segments(path, text)
    return URI(scheme=scheme, host=tuple(canonical.split(".")), port=port, path=tuple(path))


def _check_segments(path: list[str], text: str) -> None:
    for segment in path:
        # Some servers cut at the semicolon before they resolve dots: /..;/ is a parent to them.
        if segment.partition(";")[0] in {".", ".."}:
            raise ValueError(f"a path must not have segments . or ..: {text}")
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(f"a path has letters, digits, -._~!$&'()+,;=:@ and %XX in upper case only: {text}")
        _check_encoded(segment, text)


def _check_encoded(segment: str, text: str) -> None:
    """Refuse percent-encoding of what has no need of it, or what must not hide behind it."""
    for octet in re.findall("%([0-9A-F]{2})", segment):
        character = chr(int(octet, 16))
        if character in _NEVER_ENCODED or (character.isascii() and (character.isalnum() or character in "-_~")):
            raise ValueError(f"a path must not encode %{octet}: {text}")
    try:
        decoded = urllib.parse.unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"a path encodes UTF-8: {text}") from None
    if not names.is_visible(decoded):
        raise ValueError(f"a path must not encode control characters or invisible ones: {text}")


def canonical(text: str) -> str:
    """Bring a URI into the form that is written into the certificate.

    Raises:
        ValueError: as of `parse`.
    """
    return str(parse(text))
