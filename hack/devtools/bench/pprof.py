"""Profiles of Go programs, read as stacks: https://github.com/google/pprof/blob/main/proto/profile.proto.

Of that form, only what a stack needs is read: samples, locations, functions, strings.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from devtools.bench.flame import Stacks

_SAMPLE, _LOCATION, _FUNCTION, _STRINGS = 2, 4, 5, 6
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MORE, _BITS = 0x80, 7

Field = tuple[int, int | bytes]
"""Number and value of a field of a message."""


@dataclass(slots=True)
class _Tables:
    strings: list[str] = field(default_factory=list)
    functions: dict[int, int] = field(default_factory=dict)
    """Index of its name, by id."""
    locations: dict[int, list[int]] = field(default_factory=dict)
    """Ids of functions, by id; what was inlined comes first."""
    samples: list[tuple[list[int], int]] = field(default_factory=list)
    """Locations from the innermost on, and how often they were seen."""


def read(profile: bytes) -> Stacks:
    """Read a CPU profile, compressed as a Go program serves it.

    Raises:
        ValueError: it is of another form.
    """
    tables = _tables(gzip.decompress(profile))
    stacks: Stacks = Counter()
    for locations, seen in tables.samples:
        inner_first = [function for location in locations for function in tables.locations[location]]
        stacks[tuple(tables.strings[tables.functions[one]] for one in reversed(inner_first))] += seen
    return stacks


def _tables(content: bytes) -> _Tables:
    tables = _Tables()
    for number, value in _fields(content):
        if number == _STRINGS:
            tables.strings.append(_bytes(value).decode())
        elif number == _SAMPLE:
            parts = list(_fields(_bytes(value)))
            locations = [one for name, part in parts if name == 1 for one in _numbers(part)]
            values = [one for name, part in parts if name == 2 for one in _numbers(part)]  # noqa: PLR2004 - `value`
            tables.samples.append((locations, values[0]))
        elif number == _LOCATION:
            parts = list(_fields(_bytes(value)))
            lines = [dict(_fields(_bytes(part))) for name, part in parts if name == 4]  # noqa: PLR2004 - `line`
            tables.locations[_number(dict(parts)[1])] = [_number(line[1]) for line in lines]
        elif number == _FUNCTION:
            function = dict(_fields(_bytes(value)))
            tables.functions[_number(function[1])] = _number(function[2])
    return tables


def _fields(message: bytes) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif kind == _BYTES:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        elif kind in {_FIXED_32, _FIXED_64}:
            at += 4 if kind == _FIXED_32 else 8
        else:
            raise ValueError(f"no profile: a field of kind {kind}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Read a number and tell where the next begins."""
    value = shift = 0
    while message[at] & _MORE:
        value |= (message[at] & ~_MORE) << shift
        at, shift = at + 1, shift + _BITS
    return value | message[at] << shift, at + 1


def _numbers(part: int | bytes) -> Iterator[int]:
    """Read repeated numbers, packed or one alone."""
    if isinstance(part, int):
        yield part
        return
    at = 0
    while at < len(part):
        value, at = _varint(part, at)
        yield value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("no profile: a number stands where a message should")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("no profile: a message stands where a number should")
    return value
