"""Faults between operator and API server, each by what it does and which requests it does it to.

A fault is declared: by a dataclass, or by a text such as `refuse:status=503,verbs=list+watch,share=0.3`. Any number of
them are in effect at once; chance is drawn from a seed. `proxy` puts them into effect.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

READS = frozenset({"get", "list", "page", "watch"})
WRITES = frozenset({"create", "update", "patch", "delete"})
_WRITE = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class NoSuchFaultError(Exception):
    """A text declares no fault. The message says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, as faults are matched with it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    token: str = ""

    @property
    def verb(self) -> str:
        """What is asked for; `page` for a page of a list after the first."""
        if self.method != "GET":
            return _WRITE.get(self.method, "")
        if self.query.get("watch") == "true":
            return "watch"
        if "continue" in self.query:
            return "page"
        return "list" if "limit" in self.query else "get"

    @property
    def key(self) -> str:
        """Path and query, by which two requests for the same are known."""
        return f"{self.path}?{json.dumps(dict(self.query), sort_keys=True)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to requests that match. This one does nothing."""

    verbs: frozenset[str] = frozenset()
    """Empty: all."""
    contains: str = ""
    """Part of the path, such as `/secrets`."""
    share: float = 1.0
    """Of the requests that match, or of the events, how many; between 0 and 1."""
    times: int = 0
    """How often it happens; 0: until it is taken away."""
    after: str = ""
    """Part of the path of a write that must have passed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Fault):
    """Requests wait before they are passed on; each of them for another time."""

    at_least_s: float = 0.1
    at_most_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Fault):
    """Requests are answered with an error of the API server, and not passed on."""

    status: int = 503
    reason: str = ""
    """Kubernetes' word for it; the usual one of that status by default."""
    retry_after_s: int = 0
    """What the answer asks to wait for; 0: nothing."""
    token: str = ""
    """Only requests that show this one, as one that has expired."""

    @property
    def body(self) -> dict[str, object]:
        """What the API server would say."""
        reason = self.reason or _REASONS.get(self.status, "Unknown")
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
        return head | {"code": self.status, "message": "put in by the test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Fault):
    """The connection ends before a request is passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAfter(Fault):
    """The connection ends in place of the answer: what was asked for is done, and nobody is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleLists(Fault):
    """Each list is answered as it was first answered under this fault, as by a replica that has fallen behind."""

    verbs: frozenset[str] = frozenset({"list", "page"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OfWatches(Fault):
    """What happens to the events of a watch."""

    verbs: frozenset[str] = frozenset({"watch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(OfWatches):
    """A watch stays open and brings nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLine(OfWatches):
    """A watch is cut in the middle of an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchError(OfWatches):
    """A watch brings an error in place of an event, and ends."""

    status: int = 410

    @property
    def line(self) -> bytes:
        """The event that brings it."""
        return json.dumps({"type": "ERROR", "object": Refuse(status=self.status).body}).encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBookmarks(OfWatches):
    """No bookmark comes, but for the one that ends a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Double(OfWatches):
    """Events come twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lose(OfWatches):
    """Events are lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder(OfWatches):
    """An event comes after the next one of its watch."""


class Effect:
    """A fault in effect: chance, how often it happened, and what it has seen."""

    def __init__(self, fault: Fault, chance: random.Random) -> None:
        self.fault = fault
        self.happened = 0
        """How often."""
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        """Answers that are given time and again, by what was asked."""
        self._chance = chance
        self._is_armed = not fault.after

    def arm(self, path: str) -> None:
        """Take in that a write has passed."""
        self._is_armed = self._is_armed or self.fault.after in path

    def strikes(self, asked: Asked) -> bool:
        """Tell whether it happens to a request, or to an event of it, and count it."""
        is_meant = not self.fault.verbs or asked.verb in self.fault.verbs
        is_meant = is_meant and self.fault.contains in asked.path and self._is_armed
        if isinstance(self.fault, Refuse) and self.fault.token:
            is_meant = is_meant and asked.token == self.fault.token
        is_left = not self.fault.times or self.happened < self.fault.times
        if not (is_meant and is_left and self._chance.random() < self.fault.share):
            return False
        self.happened += 1
        return True

    def delay_s(self) -> float:
        """Draw how long a request waits."""
        return self._chance.uniform(self.fault.at_least_s, self.fault.at_most_s) if isinstance(self.fault, Delay) else 0


class Lines:
    """The events of one watch, as the faults in effect let them through."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._held: list[bytes] = []
        self.ends = False
        """Whether the watch is to be cut now."""

    @property
    def are_whole(self) -> bool:
        """Whether none is held back."""
        return not self._held

    def passed(self, line: bytes, effects: Iterable[Effect]) -> bytes:
        """Tell what is sent in place of an event: with its end of line, or none at all."""
        event = json.loads(line)
        is_bookmark = event["type"] == "BOOKMARK"
        is_end = is_bookmark and bool(event["object"]["metadata"].get("annotations"))
        sent, late = line, b"".join(self._held)
        self._held.clear()
        for effect in effects:
            kind = effect.fault
            if not isinstance(kind, OfWatches) or isinstance(kind, Silence):
                continue
            if is_end or is_bookmark is not isinstance(kind, NoBookmarks) or not effect.strikes(self.asked):
                continue
            sent = self._struck(kind, sent)
        return sent + late

    def _struck(self, kind: OfWatches, line: bytes) -> bytes:
        match kind:
            case Double():
                return line + line
            case Lose() | NoBookmarks():
                return b""
            case Reorder():
                self._held.append(line)
                return b""
            case HalfLine():
                self.ends = True
                return line[: len(line) // 2]
            case WatchError():
                self.ends = True
                return kind.line
            case _:
                return line


KINDS: dict[str, type[Fault]] = {
    "delay": Delay,
    "refuse": Refuse,
    "cut": Cut,
    "cut-after": CutAfter,
    "stale-lists": StaleLists,
    "silence": Silence,
    "half-line": HalfLine,
    "watch-error": WatchError,
    "no-bookmarks": NoBookmarks,
    "double": Double,
    "lose": Lose,
    "reorder": Reorder,
}
"""By what they are called by hand."""


def parse(text: str) -> Fault:
    """Read a fault such as `refuse:status=503,verbs=list+watch,share=0.3`.

    Raises:
        NoSuchFaultError: it is none.
    """
    name, _, given = text.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise NoSuchFaultError(f"no such fault: {name}; there are {', '.join(KINDS)}")
    kinds = {one.name: str(one.type) for one in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for pair in filter(None, given.split(",")):
        key, _, value = pair.partition("=")
        if key not in kinds:
            raise NoSuchFaultError(f"{name} has no {key}; it has {', '.join(kinds)}")
        values[key] = _value(kinds[key], value)
    return kind(**values)


def _value(kind: str, text: str) -> object:
    match kind:
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "str":
            return text
        case _:
            return frozenset(text.split("+"))


def told(effects: Iterable[Effect]) -> Counter[str]:
    """Count how often faults happened, by what they are called."""
    names = {kind: name for name, kind in KINDS.items()}
    return Counter({names[type(effect.fault)]: effect.happened for effect in effects})
