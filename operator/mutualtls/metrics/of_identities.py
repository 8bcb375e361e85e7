"""Metrics of identities and their certificates, in one pass over what is known, a slice at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.histogram import Histogram
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.metrics.page import Page
from mutualtls.store.secrets import SecretRecord
from mutualtls.store.store import Store

T = TypeVar("T")

_SLICE = 200
"""So many objects are looked at before others have their turn on the event loop: about a millisecond."""
_RATIOS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.33, 0.5, 0.67, 0.75, 0.9, 1.0)
_REASONS = frozenset(Reason)
_OTHER = "Other"
"""Stands for a reason that is none of ours: somebody else may have written the status."""
_PENDING = "Pending"
"""Stands for the reason of an identity that has no status yet."""


@dataclass(slots=True)
class _OfAuthority:
    """What adds up over the identities of an authority."""

    soonest: datetime | None = None
    ratios: Histogram = field(default_factory=lambda: Histogram(_RATIOS))
    least: float | None = None
    overdue: int = 0
    expired: int = 0
    behind: int = 0
    skipped: int = 0

    def add(self, files: Facts, now: datetime) -> None:
        """Take in a certificate."""
        end = files.not_after
        if self.soonest is None or end < self.soonest:
            self.soonest = end
        left = max(0.0, (end - now) / (end - files.not_before)) if end > files.not_before else 0.0
        self.least = left if self.least is None else min(self.least, left)
        self.ratios.add(left)
        self.expired += end <= now


class IdentitiesPass:
    """One pass over all identities and their Secrets."""

    def __init__(self, store: Store, page: Page, now: datetime, *, per_identity: bool, by_namespace: bool) -> None:
        self._store = store
        self._page = page
        self._now = now
        self._now_text = times.rfc3339(now)
        self._per_identity = per_identity
        self._by_namespace = by_namespace
        self._authorities = {name: _OfAuthority() for name in store.authorities}
        self._of_nobody = _OfAuthority()
        self._states: Counter[tuple[str, str, str]] = Counter()
        self._namespaces: Counter[tuple[str, str]] = Counter()
        self._not_writable: Counter[str] = Counter()
        self._had: dict[ObjectKey, str] = {}
        """Secrets that identities have, with the authority."""

    async def run(self) -> None:
        """Look at all of them, and write what was found on the page."""
        for some in _slices(tuple(self._store.identities.values())):
            for identity in some:
                self._look(identity)
            await asyncio.sleep(0)
        for secrets in _slices(tuple(self._store.secrets.items())):
            for key, record in secrets:
                self._look_at_secret(key, record)
            await asyncio.sleep(0)
        self._write()

    def _look(self, identity: Identity) -> None:
        name = identity.authority if identity.authority in self._authorities else ""
        of = self._authorities.get(name, self._of_nobody)
        condition = identity.status.ready
        ready = condition.status if condition is not None else "Unknown"
        reason = _PENDING if condition is None else condition.reason if condition.reason in _REASONS else _OTHER
        self._states[name, reason, ready] += 1
        if self._by_namespace:
            self._namespaces[identity.namespace, ready] += 1
        if reason == Reason.SECRET_NOT_WRITABLE:
            self._not_writable[identity.namespace] += 1
        recorded = identity.status.certificate
        if recorded is not None and "" < recorded.renewal_time <= self._now_text:
            of.overdue += 1
        files = self._look_at_files(identity, name, of)
        if self._per_identity:
            self._write_one(identity, name, files)

    def _look_at_files(self, identity: Identity, name: str, of: _OfAuthority) -> Facts | None:
        """Take in the Secret of an identity, and one that it had under another name. Return what the first says."""
        found: Facts | None = None
        said, wanted = identity.status.secret_name, identity.secret_name
        for secret in (wanted,) if said is None or said == wanted else (wanted, said):
            key = ObjectKey(identity.namespace, secret)
            record = self._store.secrets.get(key)
            if record is None or not record.metadata.is_of(identity):
                continue
            self._had[key] = name
            files = record.facts
            authority = self._store.authorities.get(name)
            if authority is not None:
                of.behind += files is None or not files.carries(authority.status.bundle or "")
            if secret == wanted and files is not None:
                found = files
                of.add(files, self._now)
        return found

    def _look_at_secret(self, key: ObjectKey, record: SecretRecord) -> None:
        name = record.metadata.authority
        of = self._authorities.get(name) if name is not None else None
        if of is not None and self._had.get(key) != name and labels.parse_ca_secret_name(key.name) is None:
            of.skipped += 1

    # What was found

    def _write(self) -> None:
        page = self._page
        for state, number in sorted(self._states.items()):
            page.put("identities", number, *state)
        for name, of in sorted((*self._authorities.items(), ("", self._of_nobody))):
            if not name and not any(state[0] == name for state in self._states):
                continue
            page.put_time("certificates_soonest_not_after_timestamp_seconds", _seconds(of.soonest), name)
            page.put_time("certificates_least_remaining_ratio", of.least, name)
            page.put("certificates_overdue", of.overdue, name)
            page.put("certificates_expired", of.expired, name)
            page.put_histogram("certificate_remaining_ratio", of.ratios, name)
            page.put("secrets_contested", self._count(name, Reason.SECRET_CONTESTED), name)
            page.put("secret_conflicts", self._count(name, Reason.SECRET_CONFLICT), name)
            if name:
                page.put("bundle_behind", of.behind, name, "secret")
                page.put("rotation_skipped", of.skipped, name)
        for namespace, number in sorted(self._not_writable.items()):
            page.put("secrets_not_writable", number, namespace)
        for of_namespace, number in sorted(self._namespaces.items()):
            page.put("identities_by_namespace", number, *of_namespace)

    def _count(self, authority: str, reason: Reason) -> int:
        return sum(number for (of, why, _), number in self._states.items() if (of, why) == (authority, reason))

    def _write_one(self, identity: Identity, authority: str, files: Facts | None) -> None:
        # None of these needs an escape: the API server takes names of letters, digits, dots and dashes alone.
        said, of = identity.status, f'authority="{authority}",name="{identity.name}",namespace="{identity.namespace}"'
        renewal = times.moment_in(said.certificate.renewal_time) if said.certificate is not None else None
        end = files.not_after if files is not None else None
        self._page.put_of_identity("identity_not_after_timestamp_seconds", _seconds(end), of)
        self._page.put_of_identity("identity_renewal_timestamp_seconds", _seconds(renewal), of)
        is_ready = said.ready is not None and said.ready.status == "True"
        self._page.put_of_identity("identity_ready", float(is_ready), of)


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _slices(of: tuple[T, ...]) -> Iterator[Iterable[T]]:
    return (of[begin : begin + _SLICE] for begin in range(0, len(of), _SLICE))
