"""How the operator is set: every interval and limit, each by an environment variable of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from mutualtls.core import times
from mutualtls.core.model.scope import Scope
from mutualtls.core.names import names

PREFIX = "MUTUALTLS_"


class Events(StrEnum):
    """For which certificates there is an Event."""

    CHANGES = "changes"
    """Those that are made for another reason than that they are the first, or planned."""
    ALL = "all"
    """Each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is set by `MUTUALTLS_` and its name in capitals; durations are written as in `24h` or `1h30m`."""

    namespace: str = "mutualtls-system"
    """Namespace of the CA Secrets and the ledgers."""
    health_port: int = 0
    """Port of /healthz and /readyz; 0: none."""
    workers: int = 16
    """How many identities are worked on at once."""
    burst: int = 60
    """How many changes of an identity are made at once; of a namespace twice as many as it has identities, or these."""
    burst_window: timedelta = timedelta(minutes=10)
    """Time in which as many may be made again."""
    large_keys: int = 0
    """How many RSA keys of more than 2048 bits are made at once; 0: one less than there are cores, at least one."""
    conflict_retry: timedelta = timedelta(seconds=30)
    """How often a Secret that is somebody else's is looked at again."""
    first_retry: timedelta = timedelta(seconds=1)
    """Delay after a first failure; it doubles with every further one."""
    last_retry: timedelta = timedelta(minutes=5)
    """Longest delay after a failure."""
    authority_check: timedelta = timedelta(minutes=10)
    """How often an authority's ledger and CA Secrets are looked at when nothing happens."""
    relist: timedelta = timedelta(minutes=10)
    """How often what is watched is listed again, against events that were missed."""
    contest_window: timedelta = timedelta(minutes=10)
    """A Secret that was mended three times within this is left alone until it has passed since the first of them."""
    move_grace: timedelta = timedelta(minutes=10)
    """How long the old Secret stays after a new one of another name was made."""
    sweep: timedelta = timedelta(hours=24)
    """How often the files of every Secret are read, whatever its metadata says."""
    request_timeout: timedelta = timedelta(seconds=30)
    """How long one request to the API server may take."""
    drain_timeout: timedelta = timedelta(seconds=5)
    """How long work under way may take to end at shutdown."""
    events: Events = Events.CHANGES
    """For which certificates there is an Event."""
    metrics_per_identity: bool = False
    """Whether /metrics has series for each identity."""
    metrics_by_namespace: bool = False
    """Whether /metrics counts the identities of each namespace."""
    lease_duration: timedelta = timedelta(seconds=15)
    """How long a standby waits, after the Lease was last renewed, until it takes it."""
    renew_deadline: timedelta = timedelta(seconds=10)
    """How long after it last renewed its Lease the leader begins no more writes."""
    retry_period: timedelta = timedelta(seconds=2)
    """How often the leader renews its Lease; a standby reads it twice as often."""
    authorities: tuple[str, ...] = ()
    """Names of the authorities that this operator serves, by comma; none: all."""
    other_authorities: tuple[str, ...] = ()
    """Names of the authorities that other operators serve, by comma: this one serves the rest."""

    @property
    def scope(self) -> Scope:
        """Which authorities this operator serves."""
        return Scope(authorities=self.authorities, others=self.other_authorities)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises:
        ValueError: a value is not of its setting's form; names the variable.
    """
    given: dict[str, Any] = {}
    for field in fields(Settings):
        name = PREFIX + field.name.upper()
        if name in environment:
            given[field.name] = _parse(name, environment[name], type(field.default))
    chosen = Settings(**given)
    for field_name, (least, said) in _LEAST.items():
        if getattr(chosen, field_name) < least:
            name = PREFIX + field_name.upper()
            raise ValueError(f"{name}: must be at least {said}: {environment[name]}")
    _check_lease(chosen)
    if chosen.authorities and chosen.other_authorities:
        raise ValueError(f"{PREFIX}AUTHORITIES: cannot be set together with {PREFIX}OTHER_AUTHORITIES")
    return chosen


def _check_lease(chosen: Settings) -> None:
    """Check the times of the Lease beside each other.

    Raises:
        ValueError: a renewal, or a write that was begun in time, could come too late.
    """
    if chosen.lease_duration - chosen.renew_deadline < _LEAST_FOR_WRITES:
        raise ValueError(f"{PREFIX}LEASE_DURATION: must be at least 2s longer than {PREFIX}RENEW_DEADLINE")
    if chosen.renew_deadline <= chosen.retry_period:
        raise ValueError(f"{PREFIX}RENEW_DEADLINE: must be longer than {PREFIX}RETRY_PERIOD")


_LEAST_FOR_WRITES = timedelta(seconds=2)
"""What is left of the Lease, at least, when a write begins."""


_LEAST: dict[str, tuple[int | timedelta, str]] = {
    "workers": (1, "one"),
    "burst": (1, "one"),
    "burst_window": (timedelta(seconds=1), "1s"),
    "large_keys": (0, "0"),
    "retry_period": (timedelta(seconds=1), "1s"),
}


_BOOLEANS = {"true": True, "false": False}


def _parse(name: str, text: str, kind: type) -> object:
    if kind is int and not text.removeprefix("-").isdecimal():
        raise ValueError(f"{name}: must be a whole number: {text}")
    if issubclass(kind, StrEnum) and text not in list(kind):
        raise ValueError(f"{name}: must be {' or '.join(kind)}: {text}")
    if kind is tuple:
        return _names(name, text)
    if kind is bool:
        if text not in _BOOLEANS:
            raise ValueError(f"{name}: must be true or false: {text}")
        return _BOOLEANS[text]
    try:
        return times.parse_duration(text) if kind is timedelta else kind(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _names(name: str, text: str) -> tuple[str, ...]:
    """Read names of authorities, by comma."""
    found = dict.fromkeys(part.strip() for part in text.split(",") if part.strip())
    for one in found:
        if not names.is_label(one):
            raise ValueError(f"{name}: must be names of authorities, separated by commas: {one}")
    return tuple(found)
