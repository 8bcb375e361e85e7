"""Patterns of names, as permits hold them.

A pattern is split where its kind of name is: a DNS name at dots, a path at slashes. `*` stands for one part, `**` for
one or more, never for a piece of one: so `**.example.com` is every name below example.com, and not example.com itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from mutualtls.core.names import names, uris
from mutualtls.core.names.uris import URI

ONE, MANY = "*", "**"
_STARS = frozenset({ONE, MANY})
_ANY_PART = "x"
"""Stands in for stars while the rest is brought into canonical form."""

Parts = tuple[str, ...]
"""Labels of a DNS name, or segments of a path; in a pattern some may be `*` or `**`."""


def fits(pattern: Parts, parts: Sequence[str]) -> bool:
    """Tell whether a pattern stands for these parts. Takes time in proportion to both, whatever they are."""
    used_up = {0}
    for part in parts:
        used_up = {after for used in used_up for after in _after(pattern, used, part)}
    return len(pattern) in used_up


def _after(pattern: Parts, used: int, part: str) -> tuple[int, ...]:
    """Tell how much of the pattern may be used up after one more part."""
    if used == len(pattern) or not part:
        return (used + 1,) if pattern[used : used + 1] == (part,) else ()
    if pattern[used] == MANY:
        return used, used + 1
    return (used + 1,) if pattern[used] in {ONE, part} else ()


def spelled_out(pattern: Parts) -> int:
    """Count the parts at its end that a pattern spells out: all of them where it stands for one name only."""
    ends = (count for count, part in enumerate(reversed(pattern)) if part in _STARS)
    return next(ends, len(pattern))


def dns(text: str) -> Parts:
    """Read a pattern of DNS names, such as `*.example.com`.

    Raises:
        ValueError: it is none, or a star stands for a piece of a label.
    """
    labels = text.split(".")
    canonical = names.canonical_dns_name(".".join(map(_plain, labels)))
    return _with_stars(labels, canonical.split("."))


def uri(text: str) -> URI:
    """Read a pattern of URIs, such as `spiffe://example.org/ns/*/sa/**`. Scheme and port are literal.

    Raises:
        ValueError: it is none, or a star stands for a piece of a part.
    """
    scheme, _, rest = text.partition(":")
    if not rest.startswith("//"):
        segments = rest.split(":")
        found = uris.parse(":".join((scheme, *map(_plain, segments))))
        return URI(scheme=found.scheme, path=_with_stars(segments, found.path))
    authority, *segments = rest.removeprefix("//").split("/")
    host, colon, port = authority.partition(":")
    labels = host.split(".")
    plain = f"{scheme}://{'.'.join(map(_plain, labels))}{colon}{port}"
    found = uris.parse("/".join((plain, *map(_plain, segments))))
    return URI(
        scheme=found.scheme,
        host=_with_stars(labels, found.host),
        port=found.port,
        path=_with_stars(segments, found.path),
    )


def fits_uri(pattern: URI, found: URI) -> bool:
    """Tell whether a pattern stands for a URI."""
    is_same = (pattern.scheme, pattern.port) == (found.scheme, found.port)
    return is_same and fits(pattern.host, found.host) and fits(pattern.path, found.path)


def email(text: str) -> tuple[str, Parts]:
    """Read a pattern of e-mail addresses, such as `*@example.com`, as local part and labels of the domain.

    Raises:
        ValueError: it is none, or a star stands for a piece of the local part.
    """
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    plain = _ANY_PART if local == ONE else local
    canonical = names.canonical_email(f"{plain}{at}{'.'.join(map(_plain, labels))}")
    return local, _with_stars(labels, canonical.rpartition("@")[2].split("."))


def fits_email(pattern: tuple[str, Parts], address: str) -> bool:
    """Tell whether a pattern stands for a canonical e-mail address."""
    local, _, domain = address.rpartition("@")
    return pattern[0] in {ONE, local} and fits(pattern[1], domain.split("."))


def _plain(part: str) -> str:
    return _ANY_PART if part in _STARS else part


def _with_stars(written: Sequence[str], canonical: Sequence[str]) -> Parts:
    """Put the stars of a pattern back among its parts in canonical form."""
    return tuple(was if was in _STARS else now for was, now in zip(written, canonical, strict=True))
