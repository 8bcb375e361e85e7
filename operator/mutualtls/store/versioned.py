"""Objects at the latest version that is known: by our own writes first, then by what watches tell, never backwards.

An answer to a write enters at once. What the watches tell later of the same or an older version is ignored, so that our
own writes wake nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus


class Versioned(Protocol):
    """An object at one version."""

    @property
    def resource_version(self) -> str:
        """Its version: an integer that grows within a kind (KEP-5504)."""
        ...


K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Versioned)
R = TypeVar("R", Identity, Authority)


class VersionedCache(Mapping[K, T]):
    """The objects that are there, by key, and the version at which others went."""

    def __init__(self, *, remembers: Callable[[K], bool]) -> None:
        """`remembers` tells whether it is to be remembered of a key that there was an object, once that is gone."""
        self._there: dict[K, T] = {}
        self._gone: dict[K, int] = {}
        self._remembers = remembers

    def __getitem__(self, key: K) -> T:
        return self._there[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._there)

    def __len__(self) -> int:
        return len(self._there)

    def version(self, key: K) -> int:
        """Tell at which version an object is known, or went; 0 where it never was."""
        there = self._there.get(key)
        return int(there.resource_version) if there is not None else self._gone.get(key, 0)

    def was_there(self, key: K) -> bool:
        """Whether there is an object, or is remembered to have been one."""
        return key in self._there or key in self._gone

    def is_known(self, key: K, version: str) -> bool:
        """Whether an object is known at a version, or a later one: a watch that tells of it brings nothing new."""
        return self.was_there(key) and int(version) <= self.version(key)

    def is_overtaken(self, key: K, version: str) -> bool:
        """Whether an object is known at a later version than the one that we have just written or read."""
        return self.was_there(key) and int(version) < self.version(key)

    def absent(self, listed: Iterable[K]) -> tuple[K, ...]:
        """Find what is known, be it gone, but not in a complete list."""
        return tuple((self._there.keys() | self._gone.keys()) - set(listed))

    def hold(self, key: K, new: T | None) -> None:
        """Hold what there is under a key; None: there is nothing, and nothing is remembered."""
        self._gone.pop(key, None)
        if new is None:
            self._there.pop(key, None)
        else:
            self._there[key] = new

    def note_gone(self, key: K, version: str) -> bool:
        """Take in that an object left its watch, and tell whether that is news.

        It was deleted, or its label was taken off. So it is to be read before it is believed gone.
        """
        if not self.was_there(key) or self.is_known(key, version):
            return False
        self.remember(key, int(version))
        return True

    def remember(self, key: K, version: int) -> None:
        """Hold nothing under a key, and remember, where that matters, at which version an object went."""
        self.hold(key, None)
        if self._remembers(key):
            self._gone[key] = version

    def forget(self, key: K) -> None:
        """Forget that an object is gone."""
        self._gone.pop(key, None)


MOST_TRIES = 3
"""How often a status is written over later versions of an object that is otherwise as it was known."""


class Resources(VersionedCache[K, R]):
    """Objects of a kind of ours, whose status we write."""

    def __init__(self) -> None:
        super().__init__(remembers=lambda _: False)

    def versions(self) -> dict[K, tuple[str, int]]:
        """List the uid and the version of each, by key."""
        return {key: (one.uid, int(one.resource_version)) for key, one in self.items()}

    def version_of(self, key: K, known: R) -> str:
        """Tell the latest version at which an object is as it was known, status included, but for its version.

        What others write into its metadata, as often as they like, keeps nobody from writing its status.
        """
        now = self.get(key)
        if (
            now is None
            or now is known
            or msgspec.structs.replace(now, resource_version=known.resource_version) != known
        ):
            return known.resource_version
        return max(now.resource_version, known.resource_version, key=int)

    def is_outdated(self, key: K, version: str) -> bool:
        """Tell whether an object is known at another version by now."""
        now = self.get(key)
        return now is not None and now.resource_version != version

    def note_status(self, key: K, status: IdentityStatus | AuthorityStatus, metadata: Mapping[str, Any]) -> None:
        """Take in the answer to our own write of a status.

        Where the answer shows that the object changed otherwise meanwhile, its version is left to the watch, which
        brings that change.
        """
        old = self.get(key)
        if old is None or old.uid != metadata["uid"]:
            return
        version = old.resource_version
        if old.is_as_in(metadata):
            version = max(metadata["resourceVersion"], version, key=int)
        self.hold(key, msgspec.structs.replace(old, status=status, resource_version=version))

    def drop(self, key: K, uid: str, version: str | None = None) -> bool:
        """Forget an object that is gone, and tell whether it was this one: another of its name may have come since.

        One that is known at the `version` at which it left a watch, or a later one, went to another watch of ours.
        """
        old = self.get(key)
        if old is None or old.uid != uid or (version is not None and self.is_known(key, version)):
            return False
        self.hold(key, None)
        return True
