"""Evidence of CAs outside the operator's namespace: the Secrets of identities, and the ClusterTrustBundle.

It is read here, and judged in `core.ca.readings`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from mutualtls.core.bundles import publish
from mutualtls.core.ca.readings import PublicFiles
from mutualtls.core.errors import UnreadableError
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths
from mutualtls.kube.api import API


class EvidenceReader:
    """Reads objects that others than the operator may write."""

    def __init__(self, api: API) -> None:
        self._api = api

    async def files(self, secrets: Iterable[ObjectKey]) -> tuple[PublicFiles, ...]:
        """Read the public files of Secrets."""
        return tuple([public_files(await self.secret(key)) for key in secrets])

    async def secret(self, key: ObjectKey) -> dict[str, Any]:
        """Read a Secret that a tenant may write; nothing where it is not there, or cannot be read."""
        path = paths.secret(*key)
        try:
            return await self._api.get(path) or {}
        except UnreadableError as error:
            self._api.unread.note("secrets", path, str(error))
            return {}

    async def trust_bundle(self, name: str) -> bytes:
        """Read the ClusterTrustBundle of an authority."""
        key = publish.trust_bundle_key(name)
        return publish.content(key, await self._api.get(paths.copy(key)) or {})


def public_files(secret: dict[str, Any]) -> PublicFiles:
    """Take the public files from the body of a Secret."""
    data = secret.get("data") or {}
    return PublicFiles(
        certificate=base64.b64decode(data.get("tls.crt", "")), bundle=base64.b64decode(data.get("ca.crt", ""))
    )
