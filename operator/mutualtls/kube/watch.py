"""Follow the metadata of objects of ours: list, then watch; list again when the watch is too old, and now and then.

Not through Kopf, which makes no deletions up after a re-list, resumes a cut initial list without its rest, and costs
thirty times as much an event (`docs/decisions/0003-secrets-are-followed-without-kopf.md`). Bodies are never listed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mutualtls.core.errors import ClusterError, NotFoundError, UnreadableError
from mutualtls.core.model import shared
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube.api import API
from mutualtls.kube.unread import Unread

logger = logging.getLogger(__name__)

_GONE = 410
_RETRY_S = 1.0


def key_of(metadata: Mapping[str, Any]) -> ObjectKey:
    """Tell the key of an object."""
    return ObjectKey(shared.first(metadata.get("namespace", "")), metadata["name"])


class Note(Protocol):
    """Takes in the metadata of an object, and tells whether it is news."""

    def __call__(self, key: ObjectKey, metadata: Mapping[str, Any], *, now: datetime) -> bool:
        """Take it in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What is followed, and where it is kept."""

    path: str
    selector: str
    note: Note
    note_gone: Callable[[ObjectKey, str], bool]
    """Takes in that an object left the watch, by key and version, and tells whether it is news."""
    version: Callable[[ObjectKey], int]
    """Tells at which version an object is known, or was last, by its key; 0 where it never was."""
    absent: Callable[[Iterable[ObjectKey]], tuple[ObjectKey, ...]]
    """Finds what is known but not among the keys of a complete list."""
    changed: Callable[[ObjectKey], None]
    """Called with the key of an object that changed, or left the watch."""
    not_served: Callable[[], None] | None = None
    """Called, and nothing is followed, where the API server has no such kind; None: that is an error like others."""


class MetadataWatch:
    """Keeps what is followed as it is in the cluster, and tells of every change that is not our own."""

    def __init__(
        self,
        api: API,
        followed: Followed,
        *,
        clock: Callable[[], datetime],
        hear: Callable[[], None],
        list_ended: Callable[[], None],
        lose: Callable[[str], None],
        relist_s: int,
    ) -> None:
        """`hear` is called at every sign of life of the API server, `lose` with why there is none."""
        self._api = api
        self._followed = followed
        self._clock = clock
        self._hear = hear
        self._list_ended = list_ended
        self._lose = lose
        self._relist_s = relist_s
        self.is_listed = asyncio.Event()
        """Set once every object was seen: only then is an absent one absent."""

    async def run(self) -> None:
        """Follow until cancelled. Failures are logged, once while they last, and tried again."""
        version, failing = "", False
        while True:
            try:
                version = version or await self._list()
                await self._watch(version)
                version = ""
                failing = False
            except (ClusterError, UnreadableError) as error:
                version = ""
                code = error.code if isinstance(error, ClusterError) else 0
                if isinstance(error, NotFoundError) and self._followed.not_served is not None:
                    self._followed.not_served()
                    self.is_listed.set()
                    return
                if code != _GONE:
                    self._lose(str(error))
                if not failing and code != _GONE:
                    what = {"path": self._followed.path, "error": str(error)}
                    logger.warning("objects cannot be followed, trying again", extra=what)
                failing = True
                await asyncio.sleep(_RETRY_S)

    async def _list(self) -> str:
        """List all, page by page, and return the version to watch from."""
        listed: dict[ObjectKey, int] = {}
        is_complete = True
        listing = self._api.listing(self._followed.path, selector=self._followed.selector)
        async for metadata in listing:
            if isinstance(metadata, Unread):
                is_complete = False
                continue
            listed[key_of(metadata)] = int(metadata["resourceVersion"])
            self._note(metadata)
        resource, version = self._followed.path.rpartition("/")[2], listing.resource_version
        self._api.versions.compare_each(resource, version, listed, known=self._followed.version)
        for key in self._followed.absent(listed) if is_complete else ():
            self._note_gone(key, version)
        self.is_listed.set()
        self._list_ended()
        return version

    async def _watch(self, version: str) -> None:
        """Watch for one interval between lists."""
        events = self._api.watch_metadata(
            self._followed.path,
            selector=self._followed.selector,
            resource_version=version,
            timeout_s=self._relist_s,
        )
        async for event in events:
            self._hear()
            if isinstance(event, Unread):
                continue
            if event.type == "DELETED":
                self._note_gone(key_of(event.metadata), event.metadata["resourceVersion"])
            elif event.type != "BOOKMARK":
                self._note(event.metadata)

    def _note(self, metadata: dict[str, Any]) -> None:
        """Take in an object. Whatever it may hold, the next one is taken in as well."""
        key = key_of(metadata)
        try:
            is_news = self._followed.note(key, metadata, now=self._clock())
        except Exception as error:
            if self._api.unread.note(self._followed.path.rpartition("/")[2], str(key), type(error).__name__):
                logger.exception("programming error: an object is skipped", extra={"key": key})
            return
        if is_news:
            self._followed.changed(key)

    def _note_gone(self, key: ObjectKey, version: str) -> None:
        if self._followed.note_gone(key, version):
            self._followed.changed(key)
