"""What is known of the copies of bundles, fed by their watches and by our own writes, as the store is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mutualtls.core import publish
from mutualtls.core.publish import Copy
from mutualtls.kube.watch import Vanished


class Copies:
    """Copies of bundles, and what is in their place, by namespace and key."""

    def __init__(self) -> None:
        self._by_namespace: dict[str, dict[str, Copy | Vanished]] = defaultdict(dict)

    def get(self, key: str) -> Copy | None:
        """Find what is known under a key."""
        found = self._find(key)
        return found if isinstance(found, Copy) else None

    def was_there(self, key: str) -> bool:
        """Whether there was something of this name, be it gone."""
        return self._find(key) is not None

    def of(self, authority: str, namespace: str) -> dict[str, Copy]:
        """Find the copies of an authority in a namespace: one, or more after it asked for another name."""
        found = self._by_namespace.get(namespace, {})
        return {key: copy for key, copy in found.items() if isinstance(copy, Copy) and copy.authority == authority}

    def of_authority(self, authority: str) -> list[str]:
        """List the keys of all copies of an authority."""
        return [key for namespace in self._by_namespace for key in self.of(authority, namespace)]

    def note(self, key: str, metadata: Mapping[str, Any], *, now: datetime) -> bool:
        """Take in an object's metadata from its watch, and tell whether it is news."""
        old = self._find(key)
        if old is not None and int(metadata["resourceVersion"]) <= _version(old):
            return False
        self.put(key, metadata, now=now)
        return True

    def note_gone(self, key: str, version: str) -> bool:
        """Take in that an object left its watch, and tell whether it is news."""
        old = self._find(key)
        if old is None or int(version) <= _version(old):
            return False
        self._by_namespace[key.partition("/")[0]][key] = Vanished(int(version))
        return True

    def put(self, key: str, metadata: Mapping[str, Any], *, now: datetime) -> None:
        """Take in an object that we have just written or read, unless the watch has told of a later version."""
        old = self._find(key)
        if old is None or int(metadata["resourceVersion"]) >= _version(old):
            before = old if isinstance(old, Copy) else None
            self._by_namespace[key.partition("/")[0]][key] = publish.parse(metadata, before, now=now)

    def put_absent(self, key: str) -> None:
        """Take in that there is nothing, from our own reading or deleting."""
        if (old := self._find(key)) is not None:
            self._by_namespace[key.partition("/")[0]][key] = Vanished(_version(old) + 1)

    def drop_namespace(self, name: str) -> None:
        """Forget what was in a namespace that is gone."""
        self._by_namespace.pop(name, None)

    def absent(self, listed: Iterable[str], *, with_namespace: bool) -> tuple[str, ...]:
        """Find what is known but not in a complete list, of what has a namespace or of what has none."""
        known = {key for found in self._by_namespace.values() for key in found if key.startswith("/") != with_namespace}
        return tuple(known - set(listed))

    def _find(self, key: str) -> Copy | Vanished | None:
        return self._by_namespace.get(key.partition("/")[0], {}).get(key)


def _version(known: Copy | Vanished) -> int:
    return known.version if isinstance(known, Vanished) else int(known.resource_version)
