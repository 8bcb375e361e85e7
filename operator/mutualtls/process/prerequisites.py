"""What the cluster must have before the operator can begin."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from mutualtls.core.errors import ClusterError, UnreadableError
from mutualtls.core.model.scope import METADATA_NAME, SPEC_AUTHORITY
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.unread import Unread
from mutualtls.process.health import Health
from mutualtls.store.store import Store

logger = logging.getLogger(__name__)

_WAIT_S = 2.0


async def wait(api: API, store: Store, health: Health, *, namespace: str) -> None:
    """Wait, saying so, until all that is watched can be listed and our namespace is there."""
    said = ""
    while why_not := await _why_not(api, store, namespace):
        health.waits_for = f"waiting for: {why_not}"
        if why_not != said:
            logger.warning("waiting for the cluster", extra={"for": why_not})
            said = why_not
        await asyncio.sleep(_WAIT_S)
    health.waits_for = None


async def _why_not(api: API, store: Store, namespace: str) -> str | None:
    try:
        for path, field in ((paths.IDENTITIES, SPEC_AUTHORITY), (paths.AUTHORITIES, METADATA_NAME)):
            for fields in store.scope.by_field(field).values():
                await _check_listable(api, path, fields)
        async for metadata in api.listing(paths.NAMESPACES):
            if not isinstance(metadata, Unread):
                store.note_namespace(metadata)
        if await api.get_metadata(paths.namespace(namespace)) is None:
            return f"namespace {namespace}, which holds the CA: create it"
        await api.learn_version()
    except (ClusterError, UnreadableError) as error:
        return str(error)
    return None


async def _check_listable(api: API, path: str, fields: str) -> None:
    """Ask for a first page of what is selected.

    Raises:
        ClusterError: it was refused, or there was no answer; says what to do where the definition is too old.
    """
    try:
        await api.is_listable(path, fields=fields)
    except ClusterError as error:
        if error.code == HTTPStatus.BAD_REQUEST and fields:
            raise ClusterError(f"{error}: apply the CRDs of this release", code=error.code) from None
        raise
