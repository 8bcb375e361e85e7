"""The floors: what a controller cannot do better than, on any API and on ours.

The first answers each object of an open schema by two small writes. The second answers each identity by the very writes
of the operator, which it has once seen: those of one identity, with the names of another.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from devtools.bench import controllers, resources
from devtools.bench.controllers import Controller
from devtools.bench.floor import MODEL, PLACE, UID, Write, Writes
from devtools.clusters import operators, proxy
from devtools.clusters.clusters import Cluster

_NOTES_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "notes.bench.mutualtls.dev"},
    "spec": {
        "group": "bench.mutualtls.dev",
        "names": {"kind": "Note", "listKind": "NoteList", "plural": "notes", "singular": "note"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


@contextlib.contextmanager
def any_api(cluster: Cluster) -> Iterator[Controller]:
    """Serve notes: a Secret of one value and a status of one condition for each."""
    cluster.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(_NOTES_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/notes.bench.mutualtls.dev", "--timeout=60s")
    note = resources.NOTE
    operators.wait_until(
        lambda: "No resources found" in cluster.kubectl("get", note.plural, "--all-namespaces", check=False),
        "notes are served",
    )
    owner = {"apiVersion": note.api_version, "kind": note.kind, "name": MODEL, "uid": UID}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": MODEL, "namespace": PLACE, "ownerReferences": [owner]},
        "data": {"value": "dmFsdWU="},
    }
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    writes = [
        Write("POST", f"/api/v1/namespaces/{PLACE}/secrets", json.dumps(secret)),
        Write("PATCH", f"{note.path(PLACE)}/{MODEL}/status", json.dumps(status)),
    ]
    with _running(cluster, Writes(note.all_path, writes)) as floor:
        yield floor


@contextlib.contextmanager
def our_api(cluster: Cluster) -> Iterator[Controller]:
    """Serve identities, as if they were issued to: by the writes that the operator made for one of them."""
    writes = _writes_of_the_operator(cluster)
    with _running(cluster, Writes(resources.IDENTITY.all_path, writes)) as floor:
        yield floor


def _writes_of_the_operator(cluster: Cluster) -> list[Write]:
    """Let the operator issue to the model through a proxy, and take down what it writes."""
    operators.install(cluster)
    cluster.kubectl("create", "namespace", PLACE)
    folder = cluster.folder / "floor"
    folder.mkdir()
    with proxy.running(cluster, folder) as between, operators.running(cluster, kubeconfig=between.kubeconfig):
        cluster.kubectl("apply", "--filename", "-", stdin=resources.AUTHORITY)
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        between.count(MODEL)
        body = resources.IDENTITY.body(PLACE, MODEL)
        cluster.kubectl("create", "--filename", "-", stdin=body.decode())
        ready = ["--for=condition=Ready", f"mtls/{MODEL}", "--namespace", PLACE, "--timeout=60s"]
        cluster.kubectl("wait", *ready)
        made = list(between.writes)
        found = json.loads(cluster.kubectl("get", "mtls", MODEL, "--namespace", PLACE, "--output", "json"))
    cluster.kubectl("delete", "namespace", PLACE)
    uid = found["metadata"]["uid"]
    return [_as_model(one.method, one.path, body=one.body.decode(), uid=uid) for one in made]


def _as_model(method: str, path: str, *, body: str, uid: str) -> Write:
    """Write down a write for any object: with no condition on a version, which is that of the model alone."""
    text = body.replace(uid, UID)
    if method == "PATCH":
        patch = json.loads(text)
        patch.get("metadata", {}).pop("resourceVersion", None)
        text = json.dumps(patch, separators=(",", ":"), ensure_ascii=False)
    return Write(method, urlsplit(path).path, text)


def _running(cluster: Cluster, writes: Writes) -> contextlib.AbstractContextManager[Controller]:
    file = cluster.folder / "writes.json"
    file.write_bytes(msgspec.json.encode(writes))
    return controllers.running(cluster, "floor", sys.executable, "-m", "devtools.bench.floor", str(file))
