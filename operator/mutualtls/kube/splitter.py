"""Split a stream of JSON into single objects, whatever they hold: without recursion, with one in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from mutualtls.core import bounded
from mutualtls.core.bounded import NEXT_BRACKET
from mutualtls.kube.unread import Unread

LONGEST = 4 * 1024 * 1024
"""Of one object without its `managedFields`, in bytes. What is longer is not read."""
LONGEST_AT_ONCE = 1024 * 1024
"""Of what is decoded as a whole, be it a page of a list."""
LONGEST_OWNERS = 4 * 1024
"""Of the ownerReferences of an object."""
TOO_MANY = b'"too many"'
"""Stands in their place where they are longer."""

_FILLER = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_STRING_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LONGEST_KEY = 32


class Form(Enum):
    """What a stream holds: how many brackets are open before a piece begins, and within the metadata of its object."""

    OBJECT = (0, 2)
    WATCH = (0, 3)
    LIST = (2, 4)


class Splitter:
    """Splits a stream into the JSON of single objects, or events, without `managedFields` and without too many owners.

    It does not recurse, holds one at a time, and no more than `LONGEST` of it: one that is longer, or too deep, is
    given up, and passed over to its end. No identity is, whatever a tenant may write.
    """

    def __init__(self, form: Form) -> None:
        self._outside, self._metadata_depth = form.value
        self._rest = b""
        self._before = b""
        self._is_in_string = False
        self._depth = 0
        self._deepest = self._metadata_depth + bounded.DEEPEST
        self._kept = bytearray()
        self._around = bytearray()
        self._cut_from = 0
        self._owners_from = 0
        self._is_in_metadata = False
        self._fault: str | None = None

    @property
    def is_between_pieces(self) -> bool:
        """Whether a piece has ended and nothing of the next has come."""
        return not self._depth and not self._kept.strip()

    @property
    def around(self) -> bytes:
        """What surrounds the pieces: a list without its items."""
        return bytes(self._around)

    def feed(self, chunk: bytes) -> Iterator[bytes | Unread]:
        """Take in what has come, and bring out each piece that has ended. Every byte is looked at once."""
        content, at = self._rest + chunk, 0
        self._rest = b""
        while at < len(content):
            if self._is_in_string:
                at = self._go_on_with_string(content, at)
            elif (found := NEXT_BRACKET.match(content, at)) is None:
                at = self._go_on_to_string(content, at)
            else:
                text, at = content[at : found.end()], found.end()
                if text[-1] in b"{[":
                    self._open(text)
                elif self._close(text):
                    yield self._piece()
                self._before = b""

    def _go_on_to_string(self, content: bytes, at: int) -> int:
        """Take in what has no bracket, up to a string that has not ended yet."""
        found = _FILLER.match(content, at)
        begun = found.end() if found else at
        self._is_in_string = begun < len(content)
        self._take(content[at : begun + 1])
        return begun + 1

    def _go_on_with_string(self, content: bytes, at: int) -> int:
        """Take in a string up to its end, or all but half an escape."""
        found = _STRING_END.match(content, at)
        self._is_in_string = found is None
        if found is not None:
            self._take(content[at : found.end()])
            return found.end()
        text = content[at:]
        slashes = len(text) - len(text.rstrip(b"\\"))
        self._rest = b"\\" * (slashes % 2)
        self._take(text.removesuffix(self._rest))
        return len(content)

    def _take(self, text: bytes) -> None:
        """Take in a text that has no bracket."""
        self._before = (self._before + text)[-_LONGEST_KEY:]
        if not self._cut_from:
            self._keep(text, self._depth)

    def _open(self, text: bytes) -> None:
        self._depth += 1
        if self._cut_from:
            return
        key = self._before + text
        is_part = self._is_in_metadata and self._depth == self._metadata_depth + 1
        if is_part and key.endswith(b'"managedFields":['):
            self._cut_from = self._depth
            text = text[:-1] + b"null"
        elif is_part and key.endswith(b'"ownerReferences":['):
            self._owners_from = len(self._kept) + len(text) - 1
        elif self._depth == self._metadata_depth:
            self._is_in_metadata = key.endswith(b'"metadata":{')
        elif self._depth > self._deepest:
            self._give_up(f"nested more than {bounded.DEEPEST} deep")
        self._keep(text, self._depth - 1)

    def _close(self, text: bytes) -> bool:
        """Take in a closing bracket, and tell whether a piece ends with it."""
        self._depth -= 1
        if self._cut_from:
            if self._depth < self._cut_from:
                self._cut_from = 0
            return False
        if self._depth == self._metadata_depth:
            self._owners_from = 0
        elif self._depth < self._metadata_depth:
            self._is_in_metadata = False
        self._keep(text, self._depth)
        return self._depth == self._outside and bool(self._kept or self._fault)

    def _keep(self, text: bytes, outside: int) -> None:
        """Keep a text whose bracket lies in so many others."""
        if outside < self._outside:
            if len(self._around) + len(text) <= LONGEST_AT_ONCE:
                self._around += text
        elif self._fault is not None:
            pass
        elif len(self._kept) + len(text) > LONGEST:
            self._give_up("too long")
        else:
            self._kept += text
            if self._owners_from and len(self._kept) - self._owners_from > LONGEST_OWNERS:
                self._kept[self._owners_from :] = TOO_MANY
                self._owners_from, self._cut_from = 0, self._metadata_depth + 1

    def _give_up(self, why: str) -> None:
        self._fault = self._fault or why

    def _piece(self) -> bytes | Unread:
        kept, fault = bytes(self._kept).lstrip(b", \n\t\r"), self._fault
        self._kept.clear()
        self._fault = None
        return kept if fault is None else Unread.of(kept, fault)
