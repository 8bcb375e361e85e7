"""Whether the watch has reported all identities since the start. Until it has, they are counted."""

from __future__ import annotations

from mutualtls.core.model.scope import SPEC_AUTHORITY
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.store.store import Store


class KnownIdentities:
    """Compares the identities that are known with how many there are, of those that this operator serves."""

    def __init__(self, api: API, store: Store) -> None:
        self._api = api
        self._store = store
        self._fewest: int | None = None
        """How many identities there were at least since the start."""
        self._are_all = False

    async def are_all(self) -> bool:
        """Tell whether all identities are known, or were once.

        Raises:
            ClusterError: they could not be counted.
        """
        if self._are_all:
            return True
        if self._fewest is None or len(self._store.identities) < self._fewest:
            number = 0
            for fields in self._store.scope.by_field(SPEC_AUTHORITY).values():
                number += await self._api.count(paths.IDENTITIES, fields=fields)
            self._fewest = number if self._fewest is None else min(number, self._fewest)
        self._are_all = len(self._store.identities) >= self._fewest
        return self._are_all
