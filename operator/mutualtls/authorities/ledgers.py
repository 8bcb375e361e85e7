"""Ledgers, and the last good specs beside them: the ConfigMaps of authorities in the operator's namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from mutualtls.core.api import kept_spec
from mutualtls.core.api.authority import Compiled
from mutualtls.core.ca import ledger
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.errors import AuthorityError, ClusterError
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API

_LEDGER_KEY = "ledger.json"
_REFUSED = frozenset({403, 422})
"""Codes of what will not do by trying again: a quota, a policy, a right that is missing."""


@dataclass(slots=True, kw_only=True)
class VersionedLedger:
    """A ledger as it was last read or written, and what a write of it must be based on."""

    ledger: Ledger | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Ledgers:
    """Reads and writes ledgers and kept specs."""

    def __init__(self, api: API, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def read(self, name: str, versioned: VersionedLedger) -> None:
        """Read the ledger afresh.

        Raises:
            AuthorityError: it cannot be read, or is that of an operator of a later version.
            ClusterError: it went back to a version before the one that was known, which stays as it is.
        """
        found = await self._api.get(self._path(labels.ledger_name(name)))
        known = versioned.metadata
        if found is not None and known and found["metadata"]["uid"] == known["uid"]:
            versions = (found["metadata"]["resourceVersion"], known["resourceVersion"])
            self._api.versions.compare_one("configmaps", *versions)
        if found is None:
            versioned.ledger, versioned.metadata = None, {}
            return
        try:
            versioned.ledger = ledger.decode((found.get("data") or {}).get(_LEDGER_KEY, ""))
        except ValueError as error:
            message = f"the ConfigMap {labels.ledger_name(name)} is {error}: restore it from a backup, or delete it"
            raise AuthorityError(Reason.LEDGER_LOST, message) from None
        versioned.metadata = found["metadata"]

    async def write(self, name: str, versioned: VersionedLedger, new: Ledger) -> None:
        """Write the ledger over the version that was read, or create it."""
        new = msgspec.structs.replace(new, revision=new.revision + 1)
        data = {_LEDGER_KEY: ledger.encode(new)}
        if versioned.metadata:
            versioned.metadata = await self._patch(labels.ledger_name(name), versioned.metadata, data)
        else:
            versioned.metadata = await self._create(labels.ledger_name(name), name, labels.PART_LEDGER, data)
        versioned.ledger = new

    async def keep_spec(self, name: str, good: Compiled) -> str | None:
        """Have a good spec stand beside the ledger, before it is acted on. It is written where another stands there.

        Return why none can be kept at all, which must not keep anybody from acting: no other will count in its place.
        """
        text = kept_spec.encode(good.spec)
        found = await self._api.get(self._path(labels.good_spec_name(name)))
        if found is None:
            try:
                await self._create(labels.good_spec_name(name), name, labels.PART_SPEC, {kept_spec.FILE: text})
            except ClusterError as error:
                if error.code not in _REFUSED:
                    raise
                return str(error)
            return None
        kept = (found.get("data") or {}).get(kept_spec.FILE)
        if kept != text and (kept is None or kept_spec.decode(kept) != good):
            await self._patch(labels.good_spec_name(name), found["metadata"], {kept_spec.FILE: text})
        return None

    async def kept_spec(self, name: str) -> Compiled | None:
        """Read the last good spec; None where there is none that can be read."""
        found = await self._api.get(self._path(labels.good_spec_name(name)))
        return kept_spec.decode((found.get("data") or {}).get(kept_spec.FILE, "")) if found is not None else None

    def _path(self, config_map: str) -> str:
        return paths.config_map(self._namespace, config_map)

    async def _create(self, config_map: str, authority: str, part: str, data: Mapping[str, str]) -> dict[str, Any]:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": config_map, "labels": labels.of_part(authority, part)},
            "data": data,
        }
        return await self._api.create(paths.config_maps(self._namespace), body)

    async def _patch(self, config_map: str, known: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
        precondition = {"uid": known["uid"], "resourceVersion": known["resourceVersion"]}
        return await self._api.patch(self._path(config_map), {"metadata": precondition, "data": data})
