"""Keys of objects by the name of something that they depend on."""

from __future__ import annotations

from mutualtls.core.model.object_key import ObjectKey

Name = str | ObjectKey


class Index:
    """Keys by name. One that is alone under its name is kept without a set, which takes 216 bytes."""

    def __init__(self) -> None:
        self._keys: dict[Name, ObjectKey | set[ObjectKey]] = {}

    def add(self, name: Name, key: ObjectKey) -> None:
        """Put a key under a name, whether or not it is there."""
        there = self._keys.setdefault(name, key)
        if isinstance(there, set):
            there.add(key)
        elif there != key:
            self._keys[name] = {there, key}

    def discard(self, name: Name, key: ObjectKey) -> None:
        """Take a key from under a name, whether or not it is there."""
        there = self._keys.get(name)
        if isinstance(there, set):
            there.discard(key)
        if there in (key, set()):
            del self._keys[name]

    def of(self, name: Name) -> tuple[ObjectKey, ...]:
        """List the keys under a name."""
        there = self._keys.get(name, ())
        return tuple(there) if isinstance(there, set) else (there,) if there else ()

    def count(self, name: Name) -> int:
        """Count the keys under a name."""
        there = self._keys.get(name, ())
        return len(there) if isinstance(there, set) else int(there != ())

    def __contains__(self, name: Name) -> bool:
        return name in self._keys
