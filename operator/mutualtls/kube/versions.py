"""Versions that go back: etcd was put back to a backup under a running operator.

Versions of a resource only grow, so that whatever is older than what is known is passed over. After a restore that is
all that comes. It shows in a consistent list, one that asks for no version, which a replica of the API server that lags
behind answers from etcd: the list has a lower version than was answered for its resource before, or holds an object at
a lower one than is known, though it is later than that.

The API server must have been started again, as Kubernetes' documentation asks for: it keeps what was in its caches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from mutualtls.core.errors import ClusterError

K = TypeVar("K", bound=Hashable)


class Versions:
    """The highest version that was answered for each resource, by its plural."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}
        self.on_return: Callable[[str, int, int], None] = _nothing
        """Called with a resource, a version that was known of it, and the lower one that there is now."""
        self.returns = 0
        """How often versions went back."""
        self.is_past = False
        """Whether they did, so that nothing is to be written by what was known before."""

    def begin_again(self) -> None:
        """Take whatever is answered next for the first that is."""
        self._highest.clear()
        self.is_past = False

    def note(self, resource: str, version: str) -> None:
        """Take in a version that was answered."""
        self._highest[resource] = max(self.known(resource), int(version or 0))

    def known(self, resource: str) -> int:
        """Tell the highest version that was answered for a resource."""
        return self._highest.get(resource, 0)

    def compare(self, resource: str, version: str, *, before: int) -> None:
        """Compare the version of a consistent list with the one that was known `before` it was asked for."""
        now = int(version or 0)
        if 0 < now < before:
            self._tell(resource, before, now)
        self.note(resource, version)

    def compare_each(self, resource: str, version: str, listed: Mapping[K, int], *, known: Callable[[K], int]) -> None:
        """Compare the versions of all objects in a consistent list with those that are known, by their keys.

        Those that are known at a later version than the list's were written meanwhile.
        """
        for key, now in listed.items():
            if now < known(key) <= int(version):
                self._tell(resource, known(key), now)
                return

    def compare_one(self, resource: str, version: str, known: str) -> None:
        """Compare the version of an object that was read with the one at which it was known.

        Raises:
            ClusterError: it is a lower one.
        """
        if int(version) < int(known):
            self._tell(resource, int(known), int(version))
            raise ClusterError(f"an object of {resource} went back from version {known} to {version}")

    def _tell(self, resource: str, before: int, now: int) -> None:
        self._highest.clear()
        self.returns += 1
        self.is_past = True
        self.on_return(resource, before, now)


def _nothing(*_: object) -> None:
    """Do nothing."""
