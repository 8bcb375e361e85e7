"""The base of everything typed, and how a status is read, whatever somebody wrote there."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """Base of everything typed: camelCase in JSON, defaults left out.

    Nothing in it refers back to it, so that Python's garbage collector need not look at it (`gc`): nor at the structs
    below that there are many of.
    """


_T = TypeVar("_T", bound=Resource)


def convert_status(body: dict[str, Any], kind: type[_T]) -> _T:
    """Read a status. One that does not fit is no status: it is written anew."""
    try:
        return msgspec.convert(body.get("status") or {}, kind)
    except msgspec.ValidationError:
        return kind()
