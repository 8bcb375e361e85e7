"""Count what Kopf tells of now and then, against what it has told: identities, authorities and namespaces.

Kopf makes no deletions up after a re-list, resumes a cut initial list without its rest, and may go deaf. What the count
finds missing, outdated or left over is set right; what it finds missing twice in a row shows that the watch is deaf.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mutualtls.core.errors import ClusterError, UnreadableError
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube.api import API
from mutualtls.kube.unread import Unread
from mutualtls.kube.watch import key_of

logger = logging.getLogger(__name__)

_UNKNOWN = ("", 0)
_LAG_S = 5.0
"""For so long a watch may be behind a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A kind that is counted."""

    resource: str
    path: str
    path_of: Callable[[ObjectKey], str]
    """Gives the path of the object of a key."""
    known: Callable[[], Mapping[ObjectKey, tuple[str, int]]]
    """Lists uid and version of what is known, by key; 0 where no version is kept."""
    note: Callable[[str, dict[str, Any]], None]
    """Takes in what Kopf missed: the type of an event and its object, of one that is gone with name and uid alone."""
    fields: tuple[str, ...] = ("",)
    """Selectors by fields of what Kopf tells of, each of which is listed."""


class Census:
    """Compares what is known with a list of metadata, at an interval."""

    def __init__(self, api: API, counted: Sequence[Counted], *, interval_s: float) -> None:
        self._api = api
        self._counted = counted
        self._interval_s = interval_s
        self._missed: set[str] = set()
        self.missed = Counter({kind.resource: 0 for kind in counted})
        """How many objects their watch had not told of, by resource."""
        self._listed: set[str] = set()
        """Resources that Kopf has listed once."""
        self._is_listed_again = asyncio.Event()

    def list_ended(self, resource: str) -> None:
        """Count before long what Kopf has listed once more: of what went meanwhile it tells nothing."""
        if resource in self._listed:
            self._is_listed_again.set()
        self._listed.add(resource)

    async def run(self, deaf: Callable[[str], None]) -> None:
        """Count until cancelled. `deaf` is told when a watch has gone deaf."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_listed_again.wait(), self._interval_s)
                await asyncio.sleep(min(_LAG_S, self._interval_s))  # for lists that are begun time and again
            self._is_listed_again.clear()
            for kind in self._counted:
                try:
                    is_deaf = await self.count(kind)
                except (ClusterError, UnreadableError) as error:
                    what = {"resource": kind.resource, "error": str(error)}
                    logger.warning("objects cannot be counted, trying again", extra=what)
                    continue
                if is_deaf:
                    deaf(f"the watch of {kind.resource} is stalled: it has missed new objects")

    async def count(self, kind: Counted) -> bool:
        """Set right what differs, and tell whether objects were missed this time and the time before."""
        before = dict(kind.known())
        listed: dict[ObjectKey, tuple[str, int]] = {}
        is_complete = True
        for fields in kind.fields:
            found, is_whole = await self._list(kind, fields)
            listed |= found
            is_complete = is_complete and is_whole
        known = kind.known()
        for key in before.keys() - listed.keys() if is_complete else ():
            if known.get(key) == before[key]:  # else it may have moved, from a list that followed to one before
                kind.note("DELETED", {"metadata": _metadata(key, before[key][0])})
        missing = [key for key in await self._missing(kind, listed) if await self._is_taken_in(kind, key)]
        was_missed = kind.resource in self._missed
        (self._missed.add if missing else self._missed.discard)(kind.resource)
        return was_missed and bool(missing)

    async def _list(self, kind: Counted, fields: str) -> tuple[dict[ObjectKey, tuple[str, int]], bool]:
        """List uid and version of what there is, by key, and tell whether that is all."""
        listed: dict[ObjectKey, tuple[str, int]] = {}
        is_whole = True
        listing = self._api.listing(kind.path, fields=fields)
        async for metadata in listing:
            if isinstance(metadata, Unread):
                is_whole = False
            else:
                listed[key_of(metadata)] = metadata["uid"], int(metadata["resourceVersion"])
        known = kind.known()
        self._api.versions.compare_each(
            kind.resource,
            listing.resource_version,
            {key: version for key, (_, version) in listed.items()},
            known=lambda key: known.get(key, _UNKNOWN)[1],
        )
        return listed, is_whole

    async def _missing(self, kind: Counted, listed: Mapping[ObjectKey, tuple[str, int]]) -> set[ObjectKey]:
        """Find what is not known as it was listed, after time enough for the watch to tell of it."""
        behind = _behind(kind.known(), listed)
        if behind:
            await asyncio.sleep(min(_LAG_S, self._interval_s))
        return behind & _behind(kind.known(), listed)

    async def _is_taken_in(self, kind: Counted, key: ObjectKey) -> bool:
        """Read and take in an object that the watch did not tell of, and tell whether there is one."""
        try:
            body = await self._api.get(kind.path_of(key))
        except UnreadableError as error:
            self._api.unread.note(kind.resource, str(key).removeprefix("/"), str(error))
            return False
        if body is not None:
            self.missed[kind.resource] += 1
            kind.note("ADDED", body)
        return body is not None


def _behind(known: Mapping[ObjectKey, tuple[str, int]], listed: Mapping[ObjectKey, tuple[str, int]]) -> set[ObjectKey]:
    """List what is not known, or at an earlier version than was listed."""
    found = ((key, uid, version, known.get(key, _UNKNOWN)) for key, (uid, version) in listed.items())
    return {key for key, uid, version, (known_uid, at) in found if uid != known_uid or 0 < at < version}


def _metadata(key: ObjectKey, uid: str) -> dict[str, Any]:
    return {"name": key.name, "uid": uid} | ({"namespace": key.namespace} if key.namespace else {})
