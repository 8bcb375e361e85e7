"""Count the identities now and then, against what the watch has told.

Kopf makes no deletions up after a re-list, resumes a cut initial list without its rest, and may go deaf. What the count
finds missing or left over is set right; what it finds missing twice in a row shows that the watch is deaf.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mutualtls.core.errors import ClusterError
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store
from mutualtls.kube.watch import key_of

logger = logging.getLogger(__name__)


class Census:
    """Compares the store's identities with a list of their metadata, at an interval."""

    def __init__(self, api: API, store: Store, *, wake: Callable[[str], None], interval_s: float) -> None:
        self._api = api
        self._store = store
        self._wake = wake
        self._interval_s = interval_s
        self._missed = False

    async def run(self, deaf: Callable[[str], None]) -> None:
        """Count until cancelled. `deaf` is told when the watch has gone deaf."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                is_deaf = await self.count()
            except ClusterError as error:
                logger.warning("identities cannot be counted, trying again", extra={"error": str(error)})
                continue
            if is_deaf:
                deaf("the watch of identities has told of nothing new for long, though there is")

    async def count(self) -> bool:
        """Set right what differs, and tell whether identities were missed this time and the time before."""
        listed: dict[str, str] = {}
        async for page in self._api.pages(paths.IDENTITIES, metadata_only=True):
            listed |= {key_of(item["metadata"]): item["metadata"]["uid"] for item in page.items}
        known = {key: identity.uid for key, identity in self._store.identities.items()}
        for key in known.keys() - listed.keys():
            self._store.drop_identity(key, known[key])
        missing = {key for key in listed.keys() - known.keys() if key not in self._store.identities}
        for key in missing:
            namespace, _, name = key.partition("/")
            body = await self._api.get(paths.identity(namespace, name))
            if body is not None:
                self._store.note_identity(body)
                self._wake(key)
        was_missed, self._missed = self._missed, bool(missing)
        return was_missed and self._missed
