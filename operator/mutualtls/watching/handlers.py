"""Note identities, authorities and namespaces that changed, by the watches of Kopf, and wake what depends on them.

No handler writes, waits, or keeps anything on the object: no finalizer, no annotation, no progress.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from mutualtls.core.model import labels
from mutualtls.kube.watch import key_of
from mutualtls.store.store import Store
from mutualtls.watching.wakes import Wakes


class Handlers:
    """The handlers of one operator, to be registered with Kopf."""

    def __init__(self, store: Store, wakes: Wakes) -> None:
        self._store = store
        self._wakes = wakes

    def register(self, registry: kopf.OperatorRegistry, *, is_first: bool) -> None:
        """Register them with a Kopf: it watches what has a handler, namespaces only the first of several.

        Identities are noted by `echoes` before it sees them.
        """
        ours = (labels.GROUP, labels.VERSION)
        kopf.on.event(*ours, labels.IDENTITY_PLURAL, registry=registry)(_handler(self.note_identity))
        kopf.on.event(*ours, labels.AUTHORITY_PLURAL, registry=registry)(_handler(self.note_authority))
        if is_first:
            kopf.on.event("v1", "namespaces", registry=registry)(_handler(self.note_namespace))

    def note_identity(self, event_type: str, body: dict[str, Any]) -> None:
        """Note an identity, also that it is gone or another operator's: the next look forgets what was kept of it."""
        metadata = body["metadata"]
        key = key_of(metadata)
        if event_type == "DELETED":
            self._store.drop_identity(key, metadata["uid"], metadata.get("resourceVersion"))
        elif self._store.note_identity(body) is None and key in self._store.identities:
            return
        self._wakes.identity(key)

    def note_authority(self, event_type: str, body: dict[str, Any]) -> None:
        """Note an authority, also that it is gone: its identities learn that from the next look at it."""
        name = body["metadata"]["name"]
        if event_type == "DELETED":
            self._store.drop_authority(name, body["metadata"]["uid"])
        elif self._store.authorities.note(body) is None:
            return
        self._wakes.authority(name)

    def note_namespace(self, event_type: str, body: dict[str, Any]) -> None:
        """Note a namespace, and wake its identities and bundles where something changed that they depend on."""
        name = body["metadata"]["name"]
        if event_type == "DELETED":
            self._store.drop_namespace(name, body["metadata"]["uid"])
        elif self._store.note_namespace(body["metadata"]):
            self._wakes.namespace(name)


def _handler(note: Callable[[str, dict[str, Any]], None]) -> Callable[..., Awaitable[None]]:
    """Make a handler of Kopf's of what notes an object and the type of its event."""

    async def seen(event: kopf.RawEvent, **_: Any) -> None:
        note(str(event["type"]), dict(event["object"]))

    return seen
