"""JSON texts that anybody may have written: bounded in length and depth before they are decoded.

Whatever is wrong with one is an `UnreadableError`, so that whoever reads it has one thing to catch.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from mutualtls.core.errors import UnreadableError

DEEPEST = 32
"""How deep objects and arrays may lie in each other. Nothing that we read lies deeper than a dozen."""

UNREADABLE = "unreadable"
"""Key in an object's metadata, beside what the API has there: why not all of it could be read."""

_FEW = 400
"""So few brackets cannot lie deeper in each other than any decoder goes, so that they need not be looked at."""

NEXT_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([\[\]{}])', re.DOTALL)
"""Matches up to the next bracket that is in no string."""

_DECODE_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""All that msgspec raises over a text that it cannot read, conversions of its own and of ours included."""

T = TypeVar("T")


def decode(text: str | bytes, kind: type[T], *, longest: int) -> T:
    """Decode a JSON text of at most `longest` characters.

    Raises:
        UnreadableError: it is longer, lies too deep in itself, or is not of this kind.
    """
    if len(text) > longest:
        raise UnreadableError(f"longer than {longest} characters")
    try:
        content = text.encode() if isinstance(text, str) else text
        check_depth(content)
        return msgspec.json.decode(content, type=kind)
    except _DECODE_ERRORS as error:
        raise UnreadableError(str(error) or type(error).__name__) from None


def check_depth(content: bytes) -> None:
    """Measure how deep brackets lie in each other, without recursion.

    Raises:
        UnreadableError: too deep to be decoded.
    """
    if content.count(b"{") + content.count(b"[") <= _FEW:
        return
    depth = 0
    for found in NEXT_BRACKET.finditer(content):
        depth += 1 if found[1] in b"{[" else -1
        if depth > DEEPEST:
            raise UnreadableError(f"nested more than {DEEPEST} deep")
