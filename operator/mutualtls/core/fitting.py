"""What is written is bounded by its own schema, so that the API server never refuses the whole for its length."""

from __future__ import annotations

import functools
import operator
import re
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

LONGEST_NOTE = 1024
"""Of the note of an Event, in bytes of UTF-8."""
_MORE = re.compile(r"and ([0-9]+) more")

S = TypeVar("S", bound=msgspec.Struct)
_Fit = Callable[[Any], Any]
"""Returns what it is given where nothing has to be cut."""


def fitted(value: S) -> S:
    """Cut the texts and lists of a struct that are longer than its schema allows them."""
    changed: dict[str, Any] = {}
    for name, fit in _fits(type(value)):
        before = getattr(value, name)
        if before is not None and (after := fit(before)) is not before:
            changed[name] = after
    return msgspec.structs.replace(value, **changed) if changed else value


def shortened(text: str, longest: int) -> str:
    """Cut a text to so many characters, and show that it was."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def note(text: str) -> str:
    """Cut the note of an Event by whole statements, which are told apart by `; `, and say how many more there are."""
    if len(text.encode()) <= LONGEST_NOTE:
        return text
    statements = text.split("; ")
    further = 0
    if (more := _MORE.fullmatch(statements[-1])) is not None:
        further = int(more[1])
        statements.pop()
    for kept in range(len(statements) - 1, 0, -1):
        said = f"{'; '.join(statements[:kept])}; and {len(statements) - kept + further} more: see the status"
        if len(said.encode()) <= LONGEST_NOTE:
            return said
    rest = len(statements) - 1 + further
    ending = f"…; and {rest} more: see the status" if rest else "…"
    return text.encode()[: LONGEST_NOTE - len(ending.encode())].decode(errors="ignore") + ending


@functools.cache
def _fits(kind: type[msgspec.Struct]) -> tuple[tuple[str, _Fit], ...]:
    """Tell for each field of a struct that has a bound, or a struct in it, how it is cut."""
    hints = get_type_hints(kind, include_extras=True)
    found = ((name, _fit(hints[name])) for name in kind.__struct_fields__)
    return tuple((name, fit) for name, fit in found if fit is not None)


def _fit(hint: Any) -> _Fit | None:
    """Tell how a value of a type is cut; None where it never is."""
    schema: dict[str, Any] = {}
    while get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        for one in notes:
            schema |= (one.extra_json_schema or {}) if isinstance(one, msgspec.Meta) else {}
    if get_origin(hint) in {Union, types.UnionType}:
        hint, *_ = [one for one in get_args(hint) if one is not type(None)]
    if hint is str and "maxLength" in schema:
        return functools.partial(_cut_text, longest=schema["maxLength"])
    if get_origin(hint) is tuple:
        return functools.partial(_cut_list, most=schema.get("maxItems"), fit=_fit(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return fitted
    return None


def _cut_text(text: str, *, longest: int) -> str:
    return shortened(text, longest)


def _cut_list(found: tuple[Any, ...], *, most: int | None, fit: _Fit | None) -> tuple[Any, ...]:
    kept = found[:most]
    if fit is None:
        return kept
    after = tuple(map(fit, kept))
    return kept if all(map(operator.is_, after, kept)) else after
