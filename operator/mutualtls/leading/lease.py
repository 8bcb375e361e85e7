"""The Lease as the API server holds it: who leads, since when, and how often that changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NAME = "mutualtls-operator"
"""Of the Lease, in each namespace. It is not a setting, so that an operator that is started by hand takes part."""

_RELEASED_FOR_S = 1
"""The duration that client-go writes into a Lease that it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a Lease says. Times are as they are written there: no other clock is compared with ours."""

    holder: str = ""
    """Empty: nobody holds it."""
    duration_s: int
    acquired: str
    renewed: str
    transitions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A Lease at one version."""

    record: Record
    body: Mapping[str, Any]
    """As it was read, with what others wrote into it."""

    @property
    def version(self) -> int:
        """Its version, which grows with every write."""
        return int(self.body["metadata"]["resourceVersion"])


def parse(body: Mapping[str, Any]) -> Lease:
    """Read a Lease. What cannot be read of it counts as absent: anybody may have written it."""
    spec = body.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}

    def text(name: str) -> str:
        value = spec.get(name)
        return value if isinstance(value, str) else ""

    def number(name: str) -> int:
        value = spec.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    record = Record(
        holder=text("holderIdentity"),
        duration_s=number("leaseDurationSeconds"),
        acquired=text("acquireTime"),
        renewed=text("renewTime"),
        transitions=number("leaseTransitions"),
    )
    return Lease(record=record, body=body)


def held(by: str, known: Record | None, *, duration_s: int, now: datetime) -> Record:
    """Say that somebody holds a Lease, be it taken from another or renewed."""
    moment = _written(now)
    if known is not None and known.holder == by:
        return Record(
            holder=by,
            duration_s=duration_s,
            acquired=known.acquired or moment,
            renewed=moment,
            transitions=known.transitions,
        )
    transitions = known.transitions + 1 if known is not None else 0
    return Record(holder=by, duration_s=duration_s, acquired=moment, renewed=moment, transitions=transitions)


def released(known: Record, *, now: datetime) -> Record:
    """Say that nobody holds a Lease any more."""
    moment = _written(now)
    return Record(duration_s=_RELEASED_FOR_S, acquired=moment, renewed=moment, transitions=known.transitions)


def manifest(namespace: str, record: Record) -> dict[str, Any]:
    """Write a Lease that is to be created."""
    head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return head | {"metadata": {"name": NAME, "namespace": namespace}, "spec": _spec(record)}


def replacement(of: Lease, record: Record) -> dict[str, Any]:
    """Write a Lease over the version that was read. What others wrote into it stays."""
    return {**of.body, "spec": {**(of.body.get("spec") or {}), **_spec(record)}}


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration_s,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
