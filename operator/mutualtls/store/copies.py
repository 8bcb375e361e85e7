"""The copies of bundles that are known, and what is in their place, fed by their watches and by our own writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Copy
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.store.versioned import VersionedCache


class Copies(VersionedCache[ObjectKey, Copy]):
    """Copies by key, and by namespace."""

    def __init__(self, *, is_wanted: Callable[[ObjectKey], bool] = lambda _: True) -> None:
        """`is_wanted` tells whether there is to be a copy under a key, be it that its namespace is selected or not."""
        super().__init__(remembers=is_wanted)
        self._by_namespace: dict[str, dict[ObjectKey, Copy]] = {}
        self.refused: dict[tuple[str, str], str] = {}
        """By authority and namespace: what the API server did not take of the copies there, and what it said."""

    def of(self, authority: str, namespace: str) -> dict[ObjectKey, Copy]:
        """Find the copies of an authority in a namespace: one, or more after it asked for another name."""
        found = self._by_namespace.get(namespace, {})
        return {key: copy for key, copy in found.items() if copy.authority == authority}

    def of_authority(self, authority: str) -> list[ObjectKey]:
        """List the keys of all copies of an authority."""
        return [key for namespace in self._by_namespace for key in self.of(authority, namespace)]

    def count_by_authority(self) -> Counter[str]:
        """Count the copies of each authority, be it there or not."""
        return Counter(copy.authority for copy in self.values() if copy.authority is not None)

    def note(self, key: ObjectKey, metadata: Mapping[str, Any], *, now: datetime) -> bool:
        """Take in an object's metadata from its watch, and tell whether it is news."""
        if self.is_known(key, metadata["resourceVersion"]):
            return False
        self.put(key, metadata, now=now)
        return True

    def put(self, key: ObjectKey, metadata: Mapping[str, Any], *, now: datetime) -> None:
        """Take in an object that we have just written or read, unless the watch has told of a later version."""
        if not self.is_overtaken(key, metadata["resourceVersion"]):
            self.hold(key, publish.parse(metadata, self.get(key), now=now))

    def put_absent(self, key: ObjectKey) -> None:
        """Take in that there is nothing, from our own reading or deleting."""
        if self.was_there(key):
            self.remember(key, self.version(key) + 1)

    def drop_namespace(self, name: str) -> None:
        """Forget what is or was in a namespace that is gone."""
        for key in [key for key in self.absent(()) if key.namespace == name]:
            self.hold(key, None)
        self.refused = {where: said for where, said in self.refused.items() if where[1] != name}

    def drop_authority(self, name: str) -> None:
        """Forget what was refused of an authority's copies."""
        self.refused = {where: said for where, said in self.refused.items() if where[0] != name}

    def refused_of(self, authority: str) -> dict[str, str]:
        """Tell, by namespace, what was refused of an authority's copies."""
        return {namespace: said for (of, namespace), said in self.refused.items() if of == authority}

    def absent_config_maps(self, listed: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Find the ConfigMaps that are known but not in a complete list of them."""
        return tuple(key for key in self.absent(listed) if key.namespace)

    def absent_trust_bundles(self, listed: Iterable[ObjectKey]) -> tuple[ObjectKey, ...]:
        """Find the ClusterTrustBundles that are known but not in a complete list of them."""
        return tuple(key for key in self.absent(listed) if not key.namespace)

    def hold(self, key: ObjectKey, new: Copy | None) -> None:
        """Hold a copy where it is to be found."""
        super().hold(key, new)
        if new is not None:
            self._by_namespace.setdefault(key.namespace, {})[key] = new
        elif key.namespace in self._by_namespace:
            self._by_namespace[key.namespace].pop(key, None)
            if not self._by_namespace[key.namespace]:
                del self._by_namespace[key.namespace]
