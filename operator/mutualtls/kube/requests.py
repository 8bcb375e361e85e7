"""Requests to the API server, counted as they are answered, and what each asks for in the words of access reviews."""

from __future__ import annotations

import time
from collections import Counter

from mutualtls.core.histogram import Histogram

NO_ANSWER = "<error>"
"""Stands for the code of a request that got no answer, as in the metrics of client-go."""
_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_VERBS = {"GET": "get", "WATCH": "watch", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Requests:
    """What was answered since the start."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """How many requests were answered, by verb, resource and code."""
        self.durations: dict[tuple[str, str], Histogram] = {}
        """How many seconds answers took to come, by verb and resource; of watches nothing is measured."""

    @staticmethod
    def begin() -> float:
        """Begin to measure how long a request takes."""
        return time.perf_counter()

    def note(self, method: str, path: str, code: int | None, *, began: float | None = None) -> None:
        """Count a request that was answered with a code, or got no answer (None); `began` as `begin` returned it."""
        what = asked(method, path)
        self.counts[*what, NO_ANSWER if code is None else str(code)] += 1
        if began is not None:
            measured = self.durations.get(what)
            if measured is None:
                measured = self.durations[what] = Histogram(_BOUNDS_S)
            measured.add(time.perf_counter() - began)

    def watches(self) -> Counter[str]:
        """Count how often a watch of each resource was asked for."""
        found: Counter[str] = Counter()
        for (verb, resource, _), number in self.counts.items():
            if verb == "watch":
                found[resource] += number
        return found


def asked(method: str, path: str) -> tuple[str, str]:
    """Name the verb and the resource, with its subresource, that a request is for."""
    found = attributes(method, path)
    subresource = found.get("subresource")
    return found["verb"], f"{found['resource']}/{subresource}" if subresource else found["resource"]


def attributes(method: str, path: str) -> dict[str, str]:
    """Say what a request asks for, as an access review does. Where that is no resource, it goes by its path."""
    parts = path.strip("/").split("/")
    verb = _VERBS[method]
    if parts[0] not in {"api", "apis"} or len(parts) < 3:  # noqa: PLR2004 - a prefix, a version and a resource
        return {"verb": verb, "group": "", "version": "", "resource": parts[0]}
    group = parts[1] if parts[0] == "apis" else ""
    rest = parts[3:] if group else parts[2:]
    found = {"group": group, "version": parts[2] if group else parts[1]}
    if len(rest) > 2 and rest[0] == "namespaces":  # noqa: PLR2004 - something in a namespace
        found["namespace"], rest = rest[1], rest[2:]
    found["resource"] = rest[0] if rest else parts[0]
    if rest[1:]:
        found["name"] = rest[1]
    if rest[2:]:
        found["subresource"] = rest[2]
    return {"verb": "list" if verb == "get" and "name" not in found else verb, **found}
