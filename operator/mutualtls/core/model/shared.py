"""Texts that many objects have in common, once in memory."""

from __future__ import annotations

import functools

import msgspec

_LONGEST = 128
"""Of a text that is shared, in characters. So what is kept of texts that nobody has any more is bounded."""


def share(holder: msgspec.Struct, *names: str) -> None:
    """Have the texts in some fields of a struct, which may be frozen, be one object with equal ones of others."""
    for name in names:
        text = getattr(holder, name)
        if text is not None and len(text) <= _LONGEST:
            msgspec.structs.force_setattr(holder, name, first(text))


def take_over(holder: msgspec.Struct, **texts: str | None) -> None:
    """Have the texts in some fields of a struct, which may be frozen, be the objects given, where they are equal."""
    for name, text in texts.items():
        if text is not None and getattr(holder, name) == text:
            msgspec.structs.force_setattr(holder, name, text)


@functools.lru_cache(maxsize=1024)
def first(text: str) -> str:
    """Return the first text of late that was equal to one."""
    return text
