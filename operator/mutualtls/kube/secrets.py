"""Follow the metadata of all Secrets of ours: list, then watch; list again when the watch is too old, and now and then.

Not through Kopf, which makes no deletions up after a re-list, resumes a cut initial list without its rest, and costs
thirty times as much an event (`docs/decisions/0003-secrets-are-followed-without-kopf.md`). Bodies are never listed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mutualtls.core import labels
from mutualtls.core.errors import ClusterError
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store, secret_key

logger = logging.getLogger(__name__)

SELECTOR = f"{labels.PART} in ({labels.PART_FILES},{labels.PART_CA},{labels.PART_PASSWORD})"
_GONE = 410
_RETRY_S = 1.0

Notify = Callable[[str], None]
"""Called with the key of a Secret that changed, or left the watch."""


class SecretWatch:
    """Keeps the store's Secrets as they are in the cluster, and tells of every change that is not our own."""

    def __init__(
        self,
        api: API,
        store: Store,
        *,
        clock: Callable[[], datetime],
        notify: Notify,
        hear: Callable[[], None],
        lose: Callable[[str], None],
        relist_s: int,
    ) -> None:
        """`hear` is called at every sign of life of the API server, `lose` with why there is none."""
        self._hear = hear
        self._lose = lose
        self._api = api
        self._store = store
        self._clock = clock
        self._notify = notify
        self._relist_s = relist_s
        self.is_listed = asyncio.Event()
        """Set once every Secret was seen: only then is an absent one absent."""

    async def run(self) -> None:
        """Follow until cancelled. Failures are logged, once while they last, and tried again."""
        version, failing = "", False
        while True:
            try:
                version = version or await self._list()
                await self._watch(version)
                version = ""
                failing = False
            except ClusterError as error:
                version = ""
                if error.code != _GONE:
                    self._lose(str(error))
                if not failing and error.code != _GONE:
                    logger.warning("secrets cannot be followed, trying again", extra={"error": str(error)})
                failing = True
                await asyncio.sleep(_RETRY_S)

    async def _list(self) -> str:
        """List all, page by page, and return the version to watch from."""
        listed: set[str] = set()
        version = ""
        async for page in self._api.pages(paths.SECRETS, selector=SELECTOR, metadata_only=True):
            version = page.resource_version
            for item in page.items:
                metadata = item["metadata"]
                listed.add(secret_key(metadata))
                self._note(metadata)
        for key in self._store.absent_secrets(listed):
            self._note_gone(key, version)
        self.is_listed.set()
        self._hear()
        return version

    async def _watch(self, version: str) -> None:
        """Watch for one interval between lists."""
        events = self._api.watch_metadata(
            paths.SECRETS, selector=SELECTOR, resource_version=version, timeout_s=self._relist_s
        )
        async for event in events:
            self._hear()
            metadata = event["object"]["metadata"]
            if event["type"] == "DELETED":
                self._note_gone(secret_key(metadata), metadata["resourceVersion"])
            elif event["type"] != "BOOKMARK":
                self._note(metadata)

    def _note(self, metadata: dict[str, Any]) -> None:
        key = secret_key(metadata)
        if self._store.note_secret(key, metadata, now=self._clock()):
            self._notify(key)

    def _note_gone(self, key: str, version: str) -> None:
        if self._store.note_secret_gone(key, version):
            self._notify(key)
