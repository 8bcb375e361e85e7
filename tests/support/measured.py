"""Metrics over parts of an operator, those that a test gives, and empty ones in place of all others."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from mutualtls.core import times
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.status import CertificateStatus, Condition, ConditionStatus
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube.clocks import Clocks
from mutualtls.kube.requests import Requests
from mutualtls.kube.unread import UnreadObjects
from mutualtls.kube.versions import Versions
from mutualtls.metrics.catalogue import PREFIX
from mutualtls.metrics.metrics import Metrics, Sources
from mutualtls.queue.agenda import Agenda
from mutualtls.queue.shares import Shares
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.tally import Tally
from mutualtls.settings import Settings
from mutualtls.store.store import Store
from support import builders
from support.builders import DAY, HOUR, NOW, SECOND

ALL = Settings(metrics_per_identity=True, metrics_by_namespace=True)
"""Settings under which every metric is exposed."""
SECRET = ObjectKey("shop", "orders-mtls")


def clock() -> Any:
    """Tell the time of all tests."""
    return NOW


def agenda() -> Agenda:
    """Make an agenda by that time."""
    return Agenda(clock=clock, first_retry=SECOND, last_retry=HOUR)


def shares() -> Shares:
    """Make shares of one change an hour."""
    return Shares(burst=1, window=HOUR)


def unread() -> UnreadObjects:
    """Count objects that cannot be read."""
    return UnreadObjects(clock=clock)


def metrics(settings: Settings | None = None, **given: Any) -> Metrics:
    """Make metrics of the parts that are given, by their names in `Sources`."""
    parts: dict[str, Any] = {
        "store": Store(),
        "agenda": agenda(),
        "tally": Tally(),
        "trouble": Trouble(),
        "shares": shares(),
        "slots": {},
        "requests": Requests(),
        "clocks": Clocks(clock),
        "unread": unread(),
        "versions": Versions(),
        "reconciles": Counter(),
        "rotations": Counter(),
        "missed": Counter(),
        "heard": {},
        "outlooks": dict,
        "left_alone": dict,
        "remembered": lambda: 0,
        "is_leader": lambda: False,
        "transitions": lambda: 0,
        "why_not_ready": lambda: None,
        "why_not_healthy": lambda: None,
        "server_version": lambda: "v1.37.1",
        "clock": clock,
    }
    return Metrics(Sources(**(parts | given)), settings or Settings())


def samples(settings: Settings | None = None, **given: Any) -> dict[str, float]:
    """List the values of metrics, each by its name without what all begin with, and its labels."""
    text = asyncio.run(metrics(settings, **given).text()).decode()
    families = text_string_to_metric_families(text)
    found = (sample for family in families for sample in family.samples if sample.name.startswith(PREFIX))
    return {_name(sample.name, sample.labels): sample.value for sample in found}


def _name(name: str, labels: dict[str, str]) -> str:
    return " ".join([name.removeprefix(PREFIX), *(f"{label}={value}" for label, value in sorted(labels.items()))])


class Parts:
    """An operator with one authority and one identity, whose parts a test changes."""

    def __init__(self) -> None:
        self.signer = builders.default_signer()
        self.store = Store()
        self.agenda = agenda()
        self.given: dict[str, Any] = {"store": self.store, "agenda": self.agenda}
        self.authority(bundle=self.signer.trust.bundle_hash)
        self.identity("True", Reason.ISSUED)
        self.secret()

    def authority(self, *conditions: Condition, **status: Any) -> None:
        """Have a status of the authority."""
        new = AuthorityStatus(conditions=conditions, **status)
        self.store.authorities.hold("default", msgspec.structs.replace(self.signer.authority, status=new))

    def identity(self, status: ConditionStatus, reason: str, *, renewal: timedelta = HOUR) -> None:
        """Have a status of the identity."""
        moment = times.rfc3339(NOW)
        certificate = CertificateStatus(
            serial_number="1",
            fingerprint="f",
            public_key_hash="h",
            not_before=moment,
            not_after=times.rfc3339(NOW + DAY),
            renewal_time=times.rfc3339(NOW + renewal),
            issuer_key_id="k",
        )
        told = {"conditions": [condition("Ready", status, reason)], "certificate": certificate}
        version = int(self.store.identities.version(ObjectKey("shop", "orders"))) + 1
        body = builders.identity_body(version=version) | {"status": msgspec.to_builtins(told)}
        self.store.identities.note(body)

    def secret(self, **changed: Any) -> None:
        """Have a Secret of the identity, with some facts of its certificate changed."""
        made, metadata = a_secret()
        self.store.secrets.drop(SECRET)
        self.store.secrets.put(SECRET, metadata, msgspec.structs.replace(made, **changed), now=NOW)

    def count(self, name: str, *what: Any) -> None:
        """Have one of the counters of an operator stand at one."""
        self.given[name] = Counter([what[0] if len(what) == 1 else what])

    def samples(self) -> dict[str, float]:
        """List what is exposed."""
        return samples(ALL, **self.given)


def condition(kind: str, status: ConditionStatus, reason: str) -> Condition:
    """Say a condition."""
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message="",
        observed_generation=1,
        last_transition_time=times.rfc3339(NOW),
    )


@functools.cache
def a_secret() -> tuple[Facts, dict[str, Any]]:
    """Make a certificate of the identity once; return its facts, and the metadata of its Secret."""
    o = builders.observed(builders.an_identity())
    return builders.issued(o)[0], builders.secret_of(o)["metadata"]
