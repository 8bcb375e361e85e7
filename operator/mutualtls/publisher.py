"""Copies of bundles: bring those of one namespace, or the ClusterTrustBundle, to what they are to be.

What they are to be is said in `core.publish`; here are the reads and writes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from mutualtls.core import publish
from mutualtls.core.authority import Authority
from mutualtls.core.errors import AlreadyExistsError, ConflictError, NotFoundError
from mutualtls.core.publish import Copy, Published
from mutualtls.core.trust import Trust
from mutualtls.history import Mends
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store

logger = logging.getLogger(__name__)

_MOST_STEPS = 8
"""More than any namespace needs: look, create, remove one of another name."""


class Publisher:
    """Writes the copies of bundles."""

    def __init__(
        self, api: API, store: Store, mends: Mends, *, clock: Callable[[], datetime], conflict_retry: timedelta
    ) -> None:
        self._api = api
        self._store = store
        self._mends = mends
        self._clock = clock
        self._conflict_retry = conflict_retry

    def behind(self, authority: Authority, bundle_hash: str) -> list[str]:
        """List the namespaces where copies are not what they are to be, "" for the ClusterTrustBundle."""
        wanted = set(self._store.wanted_copies(authority))
        late = {key for key in wanted if not self._is_done(key, authority, bundle_hash)}
        surplus = set(self._store.copies.of_authority(authority.name)) - wanted
        return sorted({_namespace(key) for key in late | surplus})

    def _is_done(self, key: str, authority: Authority, bundle_hash: str) -> bool:
        copy = self._store.copies.get(key)
        return copy is not None and copy.authority == authority.name and copy.has(bundle_hash)

    async def reconcile(self, authority: Authority, namespace: str, trust: Trust) -> tuple[datetime | None, bool]:
        """Bring the copies of a namespace up to date. Return when to look again, and whether a place is taken.

        Raises:
            ClusterError: the API server refused or could not be reached.
        """
        has_looked = False
        for _ in range(_MOST_STEPS):
            wanted = self._store.wanted_copy(authority, namespace)
            found = self._store.copies.get(wanted) if wanted is not None else None
            if wanted is not None and found is not None and found.authority != authority.name:
                if has_looked:
                    return self._clock() + self._conflict_retry, True
                has_looked = True
                await self._look(wanted)
            elif wanted is not None and not (found is not None and found.has(trust.bundle_hash)):
                if (contest := self._mends.contest(wanted, trust.bundle_hash, self._clock())) is not None:
                    told = {"copy": publish.told(wanted), "by": contest.by, "until": str(contest.over)}
                    logger.warning("a bundle is overwritten again and again, and left alone for a while", extra=told)
                    return contest.over, False
                await self._write(wanted, authority, trust, found)
            elif surplus := self._surplus(authority, namespace, wanted):
                await self._remove(surplus)
            else:
                return None, False
        raise RuntimeError(f"programming error: copies of {authority.name} in {namespace} are never settled")

    def _surplus(self, authority: Authority, namespace: str, wanted: str | None) -> str | None:
        """Find a copy that is not wanted any more."""
        found = self._store.copies.of(authority.name, namespace)
        return next((key for key in found if key != wanted), None)

    async def _write(self, key: str, authority: Authority, trust: Trust, found: Copy | None) -> None:
        """Create or change a copy. One that was made immutable is made anew."""
        if found is not None and found.is_immutable:
            await self._remove(key)
            return
        was_there = self._store.copies.was_there(key)
        since = self._api.latest() if was_there else None
        published = Published(authority=authority.name, bundle_hash=trust.bundle_hash, since=since)
        try:
            if found is None:
                body = publish.manifest(key, authority, trust.bundle, published)
                metadata = await self._api.create(_parent(key), body)
            else:
                body = publish.patch(key, authority, trust.bundle, published, found=found)
                metadata = await self._api.patch(paths.copy(key), body)
        except (AlreadyExistsError, ConflictError, NotFoundError):
            await self._look(key)
            return
        self._store.copies.put(key, metadata, now=self._api.latest())
        if was_there and (found is None or found.published is None):
            by = found.others if found else "somebody who deletes it"
            self._mends.note(key, trust.bundle_hash, by, self._clock())
        logger.info("wrote a bundle", extra={"authority": authority.name, "copy": publish.told(key)})

    async def _remove(self, key: str) -> None:
        found = self._store.copies.get(key)
        if found is None:
            return
        try:
            await self._api.delete(paths.copy(key), uid=found.uid, resource_version=found.resource_version)
        except (ConflictError, NotFoundError):
            await self._look(key)
            return
        self._store.copies.put_absent(key)
        logger.info("deleted a bundle", extra={"authority": found.authority, "copy": publish.told(key)})

    async def _look(self, key: str) -> None:
        """Look at the metadata of what is in a copy's place."""
        metadata = await self._api.get_metadata(paths.copy(key))
        if metadata is None:
            self._store.copies.put_absent(key)
        else:
            self._store.copies.put(key, metadata, now=self._clock())


def _namespace(key: str) -> str:
    return key.partition("/")[0]


def _parent(key: str) -> str:
    return paths.copy(key).rpartition("/")[0]
