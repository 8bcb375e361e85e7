"""Count what Kopf tells of now and then, against what it has told: identities, authorities and namespaces.

Kopf makes no deletions up after a re-list, resumes a cut initial list without its rest, and may go deaf. What the count
finds missing or left over is set right; what it finds missing twice in a row shows that the watch is deaf.
"""

from __future__ import annotations

import asyncio
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
_AT_ONCE = 50
"""For so many objects that are missing, what is known is looked up once."""


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


class Census:
    """Compares what is known with a list of metadata, at an interval."""

    def __init__(self, api: API, counted: Sequence[Counted], *, interval_s: float) -> None:
        self._api = api
        self._counted = counted
        self._interval_s = interval_s
        self._missed: set[str] = set()
        self.missed = Counter({kind.resource: 0 for kind in counted})
        """How many objects their watch had not told of, by resource."""

    async def run(self, deaf: Callable[[str], None]) -> None:
        """Count until cancelled. `deaf` is told when a watch has gone deaf."""
        while True:
            await asyncio.sleep(self._interval_s)
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
        listing = self._api.listing(kind.path)
        async for metadata in listing:
            if isinstance(metadata, Unread):
                is_complete = False
            else:
                listed[key_of(metadata)] = metadata["uid"], int(metadata["resourceVersion"])
        known = kind.known()
        self._api.versions.compare_each(
            kind.resource,
            listing.resource_version,
            {key: version for key, (_, version) in listed.items()},
            known=lambda key: known.get(key, _UNKNOWN)[1],
        )
        for key in before.keys() - listed.keys() if is_complete else ():
            kind.note("DELETED", {"metadata": _metadata(key, before[key][0])})
        missing = {key for key, (uid, _) in listed.items() if known.get(key, _UNKNOWN)[0] != uid}
        for number, key in enumerate(sorted(missing)):
            try:
                body = await self._api.get(kind.path_of(key))
            except UnreadableError as error:
                self._api.unread.note(kind.resource, str(key).removeprefix("/"), str(error))
                continue
            if number % _AT_ONCE == 0:
                known = kind.known()  # the watch may have told of some meanwhile
            if body is not None:
                self.missed[kind.resource] += known.get(key, _UNKNOWN)[0] != body["metadata"]["uid"]
                kind.note("ADDED", body)
        was_missed = kind.resource in self._missed
        (self._missed.add if missing else self._missed.discard)(kind.resource)
        return was_missed and bool(missing)


def _metadata(key: ObjectKey, uid: str) -> dict[str, Any]:
    return {"name": key.name, "uid": uid} | ({"namespace": key.namespace} if key.namespace else {})
