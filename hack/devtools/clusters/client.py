"""Requests to the API server of a cluster as its user `admin`, over connections that stay open.

kubectl takes a process and a tenth of a second of a core for each of them, so a test that waits asks here. What a
person would see of kubectl is asked of kubectl itself, by `Cluster.kubectl`.
"""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Any

import urllib3
import yaml

from devtools.clusters.clusters import Cluster, ClusterError

Body = dict[str, Any]

_CORE, _OURS = "/api/v1", "/apis/mutualtls.dev/v1alpha1"
_RESOURCES = {
    "secret": (_CORE, "secrets"),
    "configmap": (_CORE, "configmaps"),
    "event": (_CORE, "events"),
    "namespace": (_CORE, "namespaces"),
    "lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "mtls": (_OURS, "mutualtlsidentities"),
    "mtlsca": (_OURS, "mutualtlsauthorities"),
    "clustertrustbundle": ("/apis/certificates.k8s.io/v1", "clustertrustbundles"),
}
"""Group and resource, by what kubectl calls it."""
_WITHOUT_NAMESPACE = frozenset({"namespace", "mtlsca", "clustertrustbundle"})
_JSON, _MERGE_PATCH = "application/json", "application/merge-patch+json"
_NOT_FOUND, _CONFLICT, _ERRORS = 404, 409, 400


class ConflictError(ClusterError):
    """An object is there already, or is not as it was."""


class Client:
    """The few verbs that tests need. Kinds are called as kubectl calls one of them: `secret`, `mtls`, `mtlsca`."""

    def __init__(self, cluster: Cluster) -> None:
        user = yaml.safe_load(cluster.kubeconfig().read_text())["users"][0]["user"]
        self._server = cluster.server
        self._pool = urllib3.PoolManager(
            ca_certs=str(cluster.folder / "ca.crt"),
            headers={"Authorization": f"Bearer {user['token']}"},
            retries=urllib3.Retry(3, allowed_methods=urllib3.Retry.DEFAULT_ALLOWED_METHODS | {"PATCH"}),
        )

    def get(self, kind: str, name: str, *, namespace: str = "") -> Body | None:
        """Read an object; None if it is not there."""
        return self._request("GET", _path(kind, namespace, name))

    def find(self, kind: str, *, namespace: str = "", selector: str = "") -> list[Body]:
        """List objects, of all namespaces where none is given."""
        listed = self._request("GET", _path(kind, namespace), fields={"labelSelector": selector} if selector else None)
        return list((listed or {}).get("items") or ())

    def create(self, kind: str, body: Body, *, namespace: str = "") -> None:
        """Create an object."""
        self._request("POST", _path(kind, namespace), body, content=_JSON)

    def apply(self, kind: str, body: Body, *, namespace: str = "") -> None:
        """Create an object, or give it the spec, the data, the labels and the annotations of which the body has any.

        Unlike server-side apply it takes away what was a default before. A field of None is left out.
        """
        given = {part: _without_none(body[part]) for part in ("spec", "data") if part in body}
        name = body["metadata"]["name"]
        while True:
            live = self.get(kind, name, namespace=namespace)
            if live is None:
                self.create(kind, body | given, namespace=namespace)
                return
            changed = live | given | {"metadata": live["metadata"] | body["metadata"]}
            with contextlib.suppress(ConflictError):  # somebody else wrote just now
                self._request("PUT", _path(kind, namespace, name), changed, content=_JSON)
                return

    def patch(self, kind: str, name: str, body: Body, *, namespace: str = "", manager: str = "tests") -> None:
        """Change an object by a merge patch, in the name of a field manager."""
        path = f"{_path(kind, namespace, name)}?fieldManager={manager}"
        if self._request("PATCH", path, body, content=_MERGE_PATCH) is None:
            raise ClusterError(f"not there: {kind} {namespace}/{name}")

    def delete(self, kind: str, name: str, *, namespace: str = "") -> None:
        """Delete an object, if it is there, and do not wait until it is gone."""
        self._request("DELETE", _path(kind, namespace, name))

    def _request(
        self, method: str, path: str, body: Body | None = None, *, content: str = "", fields: Body | None = None
    ) -> Body | None:
        """Make a request and return the answer; None where nothing of that name is there.

        Raises:
            ClusterError: the API server refused it or did not answer.
        """
        headers = {**self._pool.headers} | ({"Content-Type": content} if content else {})
        encoded = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(method, self._server + path, body=encoded, headers=headers, fields=fields)
        except urllib3.exceptions.HTTPError as error:
            raise ClusterError(f"{method} {path}: {error}") from error
        said: Body = json.loads(answer.data)
        if answer.status == _NOT_FOUND and said.get("reason") == "NotFound":
            return None
        if answer.status >= _ERRORS:
            kind = ConflictError if answer.status == _CONFLICT else ClusterError
            raise kind(f"{method} {path}: {answer.status} {said.get('message')}")
        return said


@functools.cache
def admin(cluster: Cluster) -> Client:
    """Return the client of a cluster, always the same one."""
    return Client(cluster)


def _without_none(fields: Body) -> Body:
    return {name: value for name, value in fields.items() if value is not None}


def _path(kind: str, namespace: str, name: str = "") -> str:
    group, resource = _RESOURCES[kind]
    where = f"/namespaces/{namespace}" if namespace and kind not in _WITHOUT_NAMESPACE else ""
    return "/".join(filter(None, [f"{group}{where}", resource, name]))
