"""What Kopf tells us: identities, authorities and namespaces that changed. A handler notes it and wakes who must look.

No handler writes, waits, or keeps anything on the object: no finalizer, no annotation, no progress.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from mutualtls.agenda import Agenda, Key, Kind, Priority
from mutualtls.core import labels
from mutualtls.kube.store import Store

Wake = Callable[..., None]


class Handlers:
    """The handlers of one operator, to be registered with Kopf."""

    def __init__(self, store: Store, agenda: Agenda, *, wake: Wake, wake_copies: Callable[[str], None]) -> None:
        self._store = store
        self._agenda = agenda
        self._wake = wake
        self._wake_copies = wake_copies

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Register them."""
        kopf.on.event(labels.GROUP, labels.VERSION, labels.IDENTITY_PLURAL, registry=registry)(self.identity_seen)
        kopf.on.event(labels.GROUP, labels.VERSION, labels.AUTHORITY_PLURAL, registry=registry)(self.authority_seen)
        kopf.on.event("v1", "namespaces", registry=registry)(self.namespace_seen)

    async def identity_seen(self, event: kopf.RawEvent, **_: Any) -> None:
        """Note an identity."""
        body: dict[str, Any] = dict(event["object"])
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            self._store.drop_identity(f"{metadata['namespace']}/{metadata['name']}", metadata["uid"])
        elif (noted := self._store.note_identity(body)) is not None:
            self._wake(noted.key)

    async def authority_seen(self, event: kopf.RawEvent, **_: Any) -> None:
        """Note an authority, also that it is gone: its identities learn that from the next look at it."""
        body: dict[str, Any] = dict(event["object"])
        name = body["metadata"]["name"]
        if event["type"] == "DELETED":
            self._store.drop_authority(name, body["metadata"]["uid"])
        elif self._store.note_authority(body) is None:
            return
        self._agenda.put(Key(Kind.AUTHORITY, name), priority=Priority.FIRST)

    async def namespace_seen(self, event: kopf.RawEvent, **_: Any) -> None:
        """Note a namespace, and wake its identities and bundles where something changed that they depend on."""
        body: dict[str, Any] = dict(event["object"])
        name = body["metadata"]["name"]
        if event["type"] == "DELETED":
            self._store.drop_namespace(name)
        elif self._store.note_namespace(body["metadata"]):
            for key in self._store.identities_of_namespace(name):
                self._wake(key)
            self._wake_copies(name)


class _NoDiff(kopf.DiffBaseStorage):
    """Keeps Kopf from copying and comparing every object at every event: with `on.event` alone nobody asks for it."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return {}

    def store(self, **_: Any) -> None:
        """Store nothing."""


class _NoProgress(kopf.ProgressStorage):
    """The same for the progress of handlers, which `on.event` does not have."""

    def fetch(self, **_: Any) -> None:
        """Know nothing."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Have nothing to purge."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def settings() -> kopf.OperatorSettings:
    """Set Kopf as lean as it goes: watches and dispatch, nothing else (figures in its decision record)."""
    lean = kopf.OperatorSettings()
    lean.posting.enabled = False
    lean.scanning.disabled = True
    lean.peering.standalone = True
    lean.persistence.diffbase_storage = _NoDiff()
    lean.persistence.progress_storage = _NoProgress()
    lean.queueing.idle_timeout = 0.05
    lean.watching.initial_streaming = True
    lean.networking.error_backoffs = (1, 1, 2, 3, 5)
    return lean
