"""What of a raw spec does not fit the typed model: all of it at once, where msgspec stops at the first.

What fits is kept, so that the rest can be judged as well. Rules in CEL are the API server's and are not evaluated;
those over several fields are in `bounds` once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import inspect

from mutualtls.core import times
from mutualtls.core.errors import Fault
from mutualtls.core.model import schema
from mutualtls.core.names import names

_LONGEST_SHOWN = 60


@dataclass(slots=True, kw_only=True)
class Sifted:
    """A raw spec, sifted."""

    rest: Any = None
    """What fits. In place of what does not is its default, in a list something empty, so that indexes stay."""
    misfits: list[Fault] = field(default_factory=list)
    """What is of another type, is not one of the values that are allowed, or is missing: it cannot be read."""
    beyond: list[Fault] = field(default_factory=list)
    """What can be read and is beyond the schema's bounds: too long, too many, twice, of another form."""
    unknown: list[Fault] = field(default_factory=list)
    """Fields that there are not. The API server drops them, or refuses them when kubectl asks it to."""

    def with_further(self, judged: Iterable[Fault]) -> list[Fault]:
        """List all, with what was found wrong with the rest, but for what only follows from a misfit.

        Of two faults of one field the one counts that was judged: it says what is meant.
        """
        unrelated = self.unrelated(judged)
        named = {fault.field for fault in unrelated}
        return [*self.unknown, *self.misfits, *unrelated, *(fault for fault in self.beyond if fault.field not in named)]

    def unrelated(self, judged: Iterable[Fault]) -> list[Fault]:
        """List what was found wrong with the rest, but for what only follows from a misfit."""
        return further(self.misfits, judged)


def further(unread: Iterable[Fault], judged: Iterable[Fault]) -> list[Fault]:
    """List what was found wrong, but for what may only follow from what could not be read."""
    fields = [one.field for one in unread]
    return [fault for fault in judged if not any(_follows(fault.field, field) for field in fields)]


_DECIDING = {"spec.duration": "spec.renewBefore", "spec.privateKey.algorithm": "spec.privateKey"}
"""Fields by which others are judged."""


def _follows(field: str, misfit: str) -> bool:
    """Tell whether a fault of a field may only be there because another field could not be read."""
    return any(_is_within(field, one) or _is_within(one, field) for one in (misfit, _DECIDING.get(misfit, misfit)))


def _is_within(field: str, other: str) -> bool:
    return field == other or field.startswith((f"{other}.", f"{other}["))


def sift(raw: Any, kind: type[msgspec.Struct], *, at: str = "spec") -> Sifted:
    """Sift what a manifest or the API holds in place of an object of a kind. `at` is the path of its field.

    What is null counts as left out, as with the API server.
    """
    found, node = Sifted(), _Node.of(inspect.type_info(kind))
    try:
        found.rest = _Sieve(found).fitting({} if raw is None else raw, node, at)
    except _MisfitError:
        found.rest = _nothing(node)
    return found


class _MisfitError(Exception):
    """A value does not fit, which is noted already."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A type of the model, with what its schema says besides."""

    kind: inspect.Type
    keywords: Mapping[str, Any]

    @classmethod
    def of(cls, kind: inspect.Type) -> _Node:
        """Take off what is wrapped around a type: what is said of it, and that it may be left out."""
        match kind:
            case inspect.Metadata():
                inner = cls.of(kind.type)
                return cls(inner.kind, {**inner.keywords, **(kind.extra_json_schema or {}), **(kind.extra or {})})
            case inspect.UnionType():
                (real,) = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
                return cls.of(real)
            case _:
                return cls(kind, {})


class _Sieve:
    """Goes through a value and notes what does not fit."""

    def __init__(self, found: Sifted) -> None:
        self._found = found

    def fitting(self, value: Any, node: _Node, at: str) -> Any:
        """Return what of a value fits.

        Raises:
            _MisfitError: nothing does.
        """
        match node.kind:
            case inspect.StructType():
                return self._object(self._typed(value, dict, "an object", at), node.kind, at)
            case inspect.DictType():
                return self._map(self._typed(value, dict, "an object", at), node, at)
            case inspect.VarTupleType():
                return self._list(self._typed(value, list, "a list", at), node, at)
            case _:
                return self._single(value, node, at)

    def _single(self, value: Any, node: _Node, at: str) -> Any:
        match node.kind:
            case inspect.EnumType():
                allowed = node.keywords.get("enum") or [str(member.value) for member in node.kind.cls]
                return self._one_of(value, allowed, at)
            case inspect.BoolType():
                return self._typed(value, bool, "true or false", at)
            case inspect.IntType():
                number = self._typed(value, int, "a whole number", at)
                self._note(at, _beyond_of_number(number, node.keywords))
                return number
            case inspect.StrType():
                return self._text(self._typed(value, str, "a string", at), node, at)
            case _:
                raise TypeError(f"programming error: {at} is of a type that is not sifted: {node.kind}")

    def _text(self, text: str, node: _Node, at: str) -> str:
        if (least := node.keywords.get(schema.LEAST_DURATION)) and not _is_duration(text, least):
            self._misfit(at, f"{schema.duration_form(least)}: {_shown(text)}")
            raise _MisfitError
        self._note(at, _beyond_of_text(text, node.keywords))
        return text

    def _object(self, value: dict[Any, Any], kind: inspect.StructType, at: str) -> dict[str, Any]:
        known = {one.encode_name: one for one in kind.fields}
        for name in value:
            if name not in known:
                self._found.unknown.append(
                    Fault(field=f"{at}.{names.shown(str(name))}", message="there is no such field")
                )
        fitting = {}
        for name, one in known.items():
            node, below = _Node.of(one.type), f"{at}.{name}"
            if value.get(name) is None:
                if not one.required:
                    continue
                self._misfit(below, "must be set")
                fitting[name] = _nothing(node)
                continue
            try:
                fitting[name] = self.fitting(value[name], node, below)
            except _MisfitError:
                if one.required:
                    fitting[name] = _nothing(node)
        return fitting

    def _map(self, value: dict[Any, Any], node: _Node, at: str) -> dict[str, Any]:
        self._note(at, _beyond_of_size(len(value), node.keywords, "Properties"))
        assert isinstance(node.kind, inspect.DictType)  # noqa: S101 - tells the type checker
        of_values, fitting = _Node.of(node.kind.value_type), {}
        for key, inner in value.items():
            below = f"{at}[{names.shown(str(key))}]"
            if not isinstance(key, str):
                self._misfit(below, f"a key must be a string, not {_shown(key)}")
                continue
            try:
                fitting[key] = self.fitting(inner, of_values, below)
            except _MisfitError:
                continue
        return fitting

    def _list(self, value: list[Any], node: _Node, at: str) -> list[Any]:
        self._note(at, _beyond_of_size(len(value), node.keywords, "Items"))
        assert isinstance(node.kind, inspect.VarTupleType)  # noqa: S101 - tells the type checker
        of_items, fitting = _Node.of(node.kind.item_type), []
        for index, item in enumerate(value):
            below = f"{at}[{index}]"
            if node.keywords.get("x-kubernetes-list-type") in {"set", "atomic"} and item in value[:index]:
                self._note(below, [f"is there twice: {_shown(item)}"])
            try:
                fitting.append(self.fitting(item, of_items, below))
            except _MisfitError:
                fitting.append(_nothing(of_items))
        return fitting

    def _one_of(self, value: Any, allowed: list[str], at: str) -> str:
        if value in allowed:
            return str(value)
        self._misfit(at, f"{_shown(value)} is not one of {', '.join(sorted(allowed, key=str.casefold))}")
        raise _MisfitError

    def _typed(self, value: Any, kind: type, what: str, at: str) -> Any:
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        self._misfit(at, f"must be {what}, not {_written(value)}")
        raise _MisfitError

    def _misfit(self, at: str, message: str) -> None:
        self._found.misfits.append(Fault(field=at, message=message))

    def _note(self, at: str, messages: Iterator[str] | list[str]) -> None:
        self._found.beyond += [Fault(field=at, message=message) for message in messages]


def _nothing(node: _Node) -> Any:
    """Make the least value of a type, to stand in place of one that does not fit."""
    match node.kind:
        case inspect.StructType():
            needed = (one for one in node.kind.fields if one.required)
            return {one.encode_name: _nothing(_Node.of(one.type)) for one in needed}
        case inspect.EnumType():
            return next(iter(node.kind.cls)).value
        case _:
            return _LEAST[type(node.kind)]()


_LEAST: Mapping[type[inspect.Type], Callable[[], Any]] = {
    inspect.DictType: dict,
    inspect.VarTupleType: list,
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.StrType: str,
}


def _beyond_of_text(text: str, keywords: Mapping[str, Any]) -> Iterator[str]:
    longest, pattern = keywords.get("maxLength"), keywords.get("pattern")
    if longest is not None and len(text) > longest:
        yield f"must have at most {longest} characters, not {len(text)}"
    if pattern is not None and not re.search(pattern, text):
        yield f"must have the form {pattern}: {_shown(text)}"


def _beyond_of_number(number: int, keywords: Mapping[str, Any]) -> Iterator[str]:
    least, most = keywords.get("minimum"), keywords.get("maximum")
    if (least is not None and number < least) or (most is not None and number > most):
        bounds = f"{least} to {most}" if most is not None else f"at least {least}"
        yield f"must be {bounds}: {number}"


def _beyond_of_size(size: int, keywords: Mapping[str, Any], what: str) -> Iterator[str]:
    least, most = keywords.get(f"min{what}", 0), keywords.get(f"max{what}")
    if size < least or (most is not None and size > most):
        bounds = f"{least} to {most}" if least else f"at most {most}"
        yield f"must have {bounds} entries, not {size}"


def _is_duration(text: str, least: str) -> bool:
    try:
        return times.parse_duration(text) >= times.parse_duration(least)
    except ValueError:
        return False


def _shown(value: Any) -> str:
    """Write a value into a message: a text as it is, all else as JSON."""
    return _cut(names.shown(value)) if isinstance(value, str) and value else _written(value)


def _written(value: Any) -> str:
    """Write a value as JSON, so that its type shows."""
    return _cut(names.shown(msgspec.json.encode(value, enc_hook=str).decode()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
