"""The yardstick of hack/bench: a controller that only writes the two objects, with no key, no certificate, no check.

It follows identities by a bare watch, and for each new one creates a Secret of the usual size and patches the status.
What a real operator needs beyond this is the cost of doing the job.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvloop

from devtools.machine.streams import lines
from mutualtls.kube import paths, session
from mutualtls.kube.api import API

_WORKERS = 16
_KEY, _CHAIN, _BUNDLE = (base64.b64encode(b"x" * size).decode() for size in (241, 1700, 700))
_FACTS = "x" * 640


async def main() -> None:
    """Run until it is ended."""
    connection = session.connect(connections=_WORKERS + 2)
    api = API(connection.session, connection.server, timeout_s=30, clock=lambda: datetime.now(UTC))
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    workers = [asyncio.create_task(_work(api, queue)) for _ in range(_WORKERS)]
    url = f"{connection.server}{paths.IDENTITIES}"
    async with connection.session.get(url, params={"watch": "true"}, timeout=None) as response:
        async for line in lines(response.content):
            event = msgspec.json.decode(line)
            if event["type"] == "ADDED":
                queue.put_nowait(event["object"]["metadata"])
    await asyncio.gather(*workers)


async def _work(api: API, queue: asyncio.Queue[dict[str, Any]]) -> None:
    while True:
        metadata = await queue.get()
        name, namespace = metadata["name"], metadata["namespace"]
        await api.create(paths.secrets(namespace), _secret(name, namespace, metadata["uid"]))
        await api.patch(f"{paths.identity(namespace, name)}/status", _status(name, metadata))


def _secret(name: str, namespace: str, uid: str) -> dict[str, Any]:
    owner = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity", "name": name, "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": f"{name}-mtls",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "bare"},
            "annotations": {"bare/facts": _FACTS},
            "ownerReferences": [owner],
        },
        "data": {"tls.key": _KEY, "tls.crt": _CHAIN, "ca.crt": _BUNDLE},
    }


def _status(name: str, metadata: dict[str, Any]) -> dict[str, Any]:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Issued",
        "message": "x" * 90,
        "observedGeneration": metadata["generation"],
        "lastTransitionTime": metadata["creationTimestamp"],
    }
    certificate = {
        "serialNumber": "x" * 40,
        "fingerprint": "x" * 64,
        "publicKeyHash": "x" * 64,
        "notBefore": metadata["creationTimestamp"],
        "notAfter": metadata["creationTimestamp"],
        "renewalTime": metadata["creationTimestamp"],
        "issuerKeyID": "x" * 40,
    }
    status = {
        "observedGeneration": metadata["generation"],
        "conditions": [ready],
        "certificate": certificate,
        "secretName": f"{name}-mtls",
        "bundle": "x" * 64,
    }
    return {"metadata": {"uid": metadata["uid"]}, "status": status}


if __name__ == "__main__":
    session.block_client_library()
    uvloop.run(main())
