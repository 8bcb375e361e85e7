"""What is known of Secrets: their metadata, and what their files say. Key material never enters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from mutualtls.core import times
from mutualtls.core.leaf import facts, secret
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.leaf.secret import SecretMetadata
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.store.versioned import VersionedCache

_MOST_WEIGHT = 1024 * 1024
"""Of the Secrets of one namespace, by `secret.weight`. Those that we write weigh nothing, but for many labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRecord:
    """What is known of one Secret."""

    metadata: SecretMetadata
    files: Facts | Damage | None
    """None: its body was not read at this version."""
    verified: datetime
    """When the body was last read or written, or proved untouched."""
    is_seen: bool = False
    """Whether its files were written or read by this operator, and not only told by its annotation."""

    @property
    def resource_version(self) -> str:
        """Version at which it is known."""
        return self.metadata.resource_version

    @property
    def facts(self) -> Facts | None:
        """What its files say; None where they were not read, or are damaged."""
        return self.files if isinstance(self.files, Facts) else None


class Secrets(VersionedCache[ObjectKey, SecretRecord]):
    """Records of Secrets by key."""

    def __init__(
        self, *, sweep: timedelta, remembers: Callable[[ObjectKey], bool], held: Callable[[ObjectKey], None]
    ) -> None:
        """Each Secret's turn to be read comes once a `sweep`. `held` is called with the key of each that changed."""
        super().__init__(remembers=remembers)
        self._sweep = sweep
        self._held = held
        self._weights: Counter[str] = Counter()
        self._expected: dict[ObjectKey, Facts] = {}
        """Files whose writing is under way."""

    @contextmanager
    def expecting(self, key: ObjectKey, made: Facts) -> Iterator[None]:
        """Take in that files are being written, so that their echo is no news even when it overtakes the answer.

        Whoever writes looks again once there is an answer, or none.
        """
        self._expected[key] = made
        try:
            yield
        finally:
            self._expected.pop(key, None)

    def note(self, key: ObjectKey, metadata: Mapping[str, Any], *, now: datetime) -> bool:
        """Take in a Secret's metadata from the watch, and tell whether it is news.

        Facts come from its annotation where nobody changed the Secret after us; otherwise it is to be read. When they
        were last verified is not known after a start: each Secret's turn comes once a sweep, whenever that was.
        """
        if self.is_known(key, metadata["resourceVersion"]):
            return False
        noted = secret.facts_noted(metadata)
        is_echo = noted is not None and noted == self._expected.get(key)
        if noted is not None:
            noted = facts.landed(noted, self._facts_of(key), now=now)
        turn = times.last_sweep_slot(now, every=self._sweep, of=metadata["uid"])
        self.hold(key, SecretRecord(metadata=secret.parse(metadata), files=noted, verified=turn))
        return not is_echo

    def put(
        self,
        key: ObjectKey,
        metadata: Mapping[str, Any],
        files: Facts | Damage | None,
        *,
        now: datetime,
        is_seen: bool = True,
    ) -> None:
        """Take in a Secret that we have just written or read, unless the watch has told of a later version."""
        if not self.is_overtaken(key, metadata["resourceVersion"]):
            found = secret.parse(metadata)
            self.hold(key, SecretRecord(metadata=found, files=files, verified=now, is_seen=is_seen))

    def put_unreadable(self, key: ObjectKey, why: str, *, now: datetime) -> None:
        """Take in that what is in the place of a Secret cannot be read."""
        self.hold(key, SecretRecord(metadata=secret.unreadable(why), files=None, verified=now))

    def drop(self, key: ObjectKey) -> None:
        """Take in that a Secret is not there, from our own reading or deleting."""
        self.hold(key, None)

    def correct(self, key: ObjectKey, body: Mapping[str, Any] | None) -> None:
        """Take in what the body of a Secret says that was read, in place of what its annotation claims."""
        record = self.get(key)
        if body is None or record is None:
            return
        found, metadata = facts.read(body), body["metadata"]
        if metadata["uid"] == record.metadata.uid:
            if isinstance(found, Facts):
                found = facts.with_times(found, record.facts, now=record.verified)
            self.put(key, metadata, found, now=record.verified, is_seen=False)

    def absent_passwords(self, listed: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Find the Secrets with passwords that are known but not in a complete list of them."""
        return tuple(key for key in self.absent(listed) if self._is_password(key))

    def absent_files(self, listed: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Find the other Secrets that are known, be it gone, but not in a complete list of them."""
        return tuple(key for key in self.absent(listed) if not self._is_password(key))

    def _is_password(self, key: ObjectKey) -> bool:
        record = self.get(key)
        return record is not None and record.metadata.is_password

    def files_of_authority(self, name: str) -> list[tuple[ObjectKey, Facts]]:
        """List the Secrets that say that their files are of an authority, by a label that anybody may set."""
        return [
            (key, record.files)
            for key, record in self.items()
            if record.metadata.authority == name and isinstance(record.files, Facts)
        ]

    def hold(self, key: ObjectKey, new: SecretRecord | None) -> None:
        """Hold a record, of which no more is kept than the namespace has room for."""
        super().hold(key, self._weighed(key, new))
        self._held(key)

    def _weighed(self, key: ObjectKey, record: SecretRecord | None) -> SecretRecord | None:
        """Bound what somebody may have written into all Secrets of a namespace, of what is kept of them."""
        namespace, old = key.namespace, self.get(key)
        weight = secret.weight(record.metadata) if record is not None else 0
        before = secret.weight(old.metadata) if old is not None else 0
        if record is not None and self._weights[namespace] - before + weight > _MOST_WEIGHT:
            why = "the labels and annotations that it is said to have of ours, and those of others here, are too many"
            record, weight = replace(record, metadata=secret.unreadable(why), files=None), 0
        self._weights[namespace] += weight - before
        if not self._weights[namespace]:
            del self._weights[namespace]
        return record

    def _facts_of(self, key: ObjectKey) -> Facts | None:
        record = self.get(key)
        return record.facts if record is not None else None
