"""A tenant as an attacker: a service account with `edit` in one namespace, and a token of its own. Nothing else.

It speaks to the API server itself, as kubectl would not send what it sends.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator, wait_until
from devtools.machine import ports
from support import chart
from support.chart import Helm
from support.probes import Probed
from support.world import World

SERVED_S = 60.0
"""How long a new identity of another may take, on a machine that does other things as well."""
IDENTITIES = "/apis/mutualtls.dev/v1alpha1/namespaces/{}/mutualtlsidentities"
SECRETS = "/api/v1/namespaces/{}/secrets"
CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
_ATTEMPTS = 5
OURS = "mutualtls-operator"
"""The field manager under which the operator writes. Anybody may take that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The tenant of one namespace."""

    cluster: Cluster
    namespace: str
    token: str

    def send(self, method: str, path: str, body: Any, *, manager: str = "mallory") -> tuple[int, str]:
        """Send a request under its own token, and return code and answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(  # noqa: S310 - https
            f"{self.cluster.server}{path.format(self.namespace)}?fieldManager={manager}",
            data=content,
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind},
        )
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.cluster.folder / "ca.crt"))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
        try:
            with direct.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def put(self, path: str, body: dict[str, Any], *, fields: str | None = None, manager: str = "mallory") -> None:
        """Write an object, with the `managedFields` of one entry, as JSON, of the manager that the request goes by."""
        code, answer = self._write(path, body, fields, manager)
        assert code == 200, answer

    def wrote(self, path: str, body: dict[str, Any], *, fields: str | None, manager: str) -> bool:
        """Do the same, and tell whether the API server took it."""
        return self._write(path, body, fields, manager)[0] == 200

    def _write(self, path: str, body: dict[str, Any], fields: str | None, manager: str) -> tuple[int, str]:
        """Create it, and write it once more: an update takes `managedFields` from its writer, a creation does not."""
        name = body["metadata"]["name"]
        code, answer = self.send("POST", path, _encoded(body, fields, manager), manager=manager)
        if code == 409:
            code, answer = self.send("GET", f"{path}/{name}", None)
        if code not in {200, 201}:
            return code, answer
        for _ in range(_ATTEMPTS):
            version = re.findall(r'"resourceVersion":"([0-9]+)"', answer)[-1]  # too deep for Python's decoder
            now = {**body, "metadata": body["metadata"] | {"resourceVersion": version}}
            where = f"{path}/{name}"
            code, answer = self.send("PUT", where, _encoded(now, fields, manager), manager=manager)
            if code != 409:  # the operator has written its status meanwhile
                break
            found, answer = self.send("GET", where, None)
            if found != 200:  # the garbage collector was faster: its owner is not there
                break
        return code, answer


def _encoded(body: dict[str, Any], fields: str | None, manager: str) -> bytes:
    return json.dumps(body).encode() if fields is None else with_fields(body, fields, manager)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Probed):
    """A cluster with the chart, an operator with its rights, one tenant who attacks and one who only wants files."""

    cluster: Cluster
    operator: Operator
    mallory: Tenant

    @property
    def victim(self) -> World:
        """The other tenant's namespace."""
        return World(cluster=self.cluster, operator=self.operator, namespace="victim")

    def is_served(self, *, within_s: float = SERVED_S) -> None:
        """A new identity of the other tenant gets its files, soon."""
        name = f"new-{secrets.token_hex(3)}"
        self.victim.apply(name)
        told = f"{name} is ready"
        wait_until(lambda: self.victim.condition(name).get("status") == "True", told, deadline_s=within_s)

    def begin_again(self) -> None:
        """Kill the operator, start it, and wait until it says that it serves."""
        self.operator.kill()
        self.operator.start()
        self.wait_code("/readyz", 200)


@contextlib.contextmanager
def field(home: Path, **settings: str) -> Iterator[Field]:
    """Run a cluster and an operator with the rights of the chart, and let a tenant in. `home` is Helm's."""
    (port,) = ports.free(1)
    given = {"health_port": str(port), "first_retry": "1s", "last_retry": "2s"} | settings
    with clusters.running("tenant", audit=True) as cluster:
        helm = Helm(home=home, kubeconfig=cluster.kubeconfig())
        helm.run("install", chart.RELEASE, str(chart.CHART), "--create-namespace", values=chart.VALUES)
        chart.log_in(cluster)
        cluster.kubectl("create", "namespace", "victim")
        with operators.running(cluster, kubeconfig=None, **given) as operator:
            cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
            mallory = enters(cluster, "mallory")
            found = Field(cluster=cluster, operator=operator, port=port, mallory=mallory)
            found.wait_code("/readyz", 200)
            yield found


def enters(cluster: Cluster, namespace: str) -> Tenant:
    """Give a tenant a namespace, with the rights of Kubernetes' own role `edit` there."""
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("--namespace", namespace, "create", "serviceaccount", "mallory")
    account = f"{namespace}:mallory"
    cluster.kubectl(
        *("--namespace", namespace, "create", "rolebinding", "mallory"),
        *("--clusterrole=edit", f"--serviceaccount={account}"),
    )
    who = ("--as", f"system:serviceaccount:{account}", "--namespace", namespace)

    def may_edit() -> bool:
        said = cluster.kubectl("auth", "can-i", "create", "mutualtlsidentities.mutualtls.dev", *who, check=False)
        return said.strip().endswith("yes")

    wait_until(may_edit, "the tenant may edit identities")
    token = cluster.kubectl("--namespace", namespace, "create", "token", "mallory").strip()
    return Tenant(cluster=cluster, namespace=namespace, token=token)


def nested(depth: int, *, key: str = "f:a") -> str:
    """Write an object in an object, so deep, as JSON: no encoder of Python's goes there."""
    return f'{{"{key}":' * depth + "{}" + "}" * depth


def with_fields(body: dict[str, Any], fields: str, manager: str) -> bytes:
    """Write an object with `managedFields` as they are given, as JSON."""
    version = body["apiVersion"]
    entry = (
        f'{{"manager":"{manager}","operation":"Update","apiVersion":"{version}","time":"2026-01-01T00:00:00Z",'
        f'"fieldsType":"FieldsV1","fieldsV1":{fields}}}'
    )
    metadata = json.dumps(body["metadata"])[:-1] + f',"managedFields":[{entry}]}}'
    others = json.dumps({name: value for name, value in body.items() if name != "metadata"})[:-1]
    return f'{others},"metadata":{metadata}}}'.encode()
