"""Requests to the API server with nothing between: neither load nor floors run any code of the operator's."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from devtools.machine import streams

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Have an answer hold the metadata of an object alone, as the operator asks for it."""
JSON, MERGE_PATCH = "application/json", "application/merge-patch+json"

_ERRORS = 400


class RefusedError(Exception):
    """The API server refused a request. The message holds its answer."""


class Client:
    """The user of a kubeconfig at its API server."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def get(self, path: str) -> bytes:
        """Read what is under a path."""
        return await self._send("GET", path)

    async def create(self, path: str, body: bytes) -> bytes:
        """Send a POST, and return the metadata of the object."""
        return await self._send("POST", path, body, headers={"Content-Type": JSON, "Accept": METADATA})

    async def patch(self, path: str, body: bytes) -> bytes:
        """Send a merge patch, and return the metadata of the object."""
        return await self._send("PATCH", path, body, headers={"Content-Type": MERGE_PATCH, "Accept": METADATA})

    async def watch(self, path: str) -> AsyncIterator[bytes]:
        """Stream what there is, and then what changes, an event a line, until the API server ends the watch."""
        with contextlib.suppress(aiohttp.ClientPayloadError):
            async with self._session.get(
                f"{self._server}{path}", params={"watch": "true"}, timeout=aiohttp.ClientTimeout(total=None)
            ) as answer:
                answer.raise_for_status()
                async for line in streams.lines(answer.content):
                    yield line

    async def _send(
        self, method: str, path: str, body: bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> bytes:
        async with self._session.request(method, f"{self._server}{path}", data=body, headers=headers) as answer:
            content = await answer.read()
            if answer.status >= _ERRORS:
                raise RefusedError(f"{method} {path}: {answer.status} {content.decode(errors='replace')}")
            return content


@contextlib.asynccontextmanager
async def connected(kubeconfig: Path, *, connections: int, timeout_s: float = 60) -> AsyncIterator[Client]:
    """Speak to the API server of a kubeconfig with one user and a token, over so many connections at most."""
    cluster, user = _read(kubeconfig)
    trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=trust, keepalive_timeout=60),
        headers={"Authorization": f"Bearer {user['token']}"},
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    ) as session:
        yield Client(session, cluster["server"])


def _read(kubeconfig: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    config = yaml.safe_load(kubeconfig.read_text())
    return config["clusters"][0]["cluster"], config["users"][0]["user"]
