"""The cluster as a test sees it: one namespace, kubectl, the files of Secrets, and what the operator wrote."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from devtools.clusters import client
from devtools.clusters.client import Client
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator, wait_until
from support import chart

WRITES = frozenset({"create", "update", "patch", "delete"})
_APART = frozenset({"leases", "selfsubjectaccessreviews"})
"""Resources whose writes are not counted: those of the Lease, and questions, which are kept nowhere."""
OPERATORS = frozenset({"operator", chart.ACCOUNT})
"""Users of the operator: with all rights, and with those of the chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The cluster as a test sees it, from one namespace."""

    ISSUANCE: ClassVar[Counter[tuple[str, str]]] = Counter(
        {("create", "secrets"): 1, ("patch", "mutualtlsidentities/status"): 1}
    )
    """Writes of one first issuance."""

    cluster: Cluster
    operator: Operator
    namespace: str

    @property
    def client(self) -> Client:
        """Requests without kubectl."""
        return client.admin(self.cluster)

    def kubectl(self, *arguments: str, **more: Any) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, **more)

    def apply(self, name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        """Apply an identity."""
        self.client.apply("mtls", self.body(name, annotations=annotations, **spec), namespace=self.namespace)

    def refused(self, name: str, **spec: Any) -> str:
        """Apply an identity that the API server must refuse, and return what kubectl prints."""
        before = self.kubectl("get", "mtls", "--output", "name")
        said = self.kubectl("apply", "--filename", "-", stdin=self.manifest(name, **spec), check=False)
        assert before == self.kubectl("get", "mtls", "--output", "name")
        return said

    def manifest(self, name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> str:
        """Write the manifest of an identity."""
        return yaml.safe_dump(self.body(name, annotations=annotations, **spec))

    def body(self, name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """Make the body of an identity."""
        metadata = {"name": name, "namespace": self.namespace, "annotations": annotations or {}}
        head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity"}
        return head | {"metadata": metadata, "spec": spec}

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Read an object; None if it is not there."""
        return self.client.get(kind, name, namespace=self.namespace)

    def secret(self, name: str) -> dict[str, Any]:
        """Read a Secret, which must be there."""
        body = self.get("secret", name)
        assert body is not None
        return body

    def patch(self, kind: str, name: str, body: dict[str, Any], *, manager: str = "tests") -> None:
        """Change an object by a merge patch, in the name of a field manager."""
        self.client.patch(kind, name, body, namespace=self.namespace, manager=manager)

    def delete(self, kind: str, *names: str) -> None:
        """Delete objects, those of them that are there."""
        for name in names:
            self.client.delete(kind, name, namespace=self.namespace)

    def delete_all(self, kind: str) -> None:
        """Delete all objects of a kind."""
        self.delete(kind, *(one["metadata"]["name"] for one in self.client.find(kind, namespace=self.namespace)))

    def condition(self, name: str, kind: str = "Ready") -> dict[str, Any]:
        """Read a condition of an identity, once it is about the spec of now; empty before."""
        body = self.get("mtls", name) or {"metadata": {"generation": 0}}
        for condition in body.get("status", {}).get("conditions", ()):
            if condition["type"] == kind and condition["observedGeneration"] == body["metadata"]["generation"]:
                return dict(condition)
        return {}

    def wait_ready(self, *names: str) -> None:
        """Wait until identities are ready for the spec they have now."""
        for name in names:
            wait_until(lambda: self.condition(name).get("status") == "True", f"{name} is ready")  # noqa: B023

    def wait_reason(self, name: str, reason: str) -> dict[str, Any]:
        """Wait until the Ready condition of an identity has a reason, and return the condition."""
        wait_until(lambda: self.condition(name).get("reason") == reason, f"{name} is {reason}")
        return self.condition(name)

    def status(self, name: str) -> dict[str, Any]:
        """Read the status of an identity."""
        body = self.get("mtls", name)
        assert body is not None
        return dict(body["status"])

    def serial(self, name: str) -> str:
        """Read the serial number that the status of an identity shows."""
        return str(self.status(name)["certificate"]["serialNumber"])

    def wait_reissued(self, name: str, old_serial: str) -> None:
        """Wait until an identity has another certificate and is ready."""
        wait_until(lambda: self.serial(name) != old_serial, f"{name} has another certificate than {old_serial}")
        self.wait_ready(name)

    def files(self, secret: str) -> dict[str, bytes]:
        """Read the data of a Secret."""
        body = self.get("secret", secret)
        assert body is not None
        return {name: base64.b64decode(content) for name, content in body["data"].items()}

    def freeze(self, secret: str) -> None:
        """Have a Secret that cannot be changed any more."""
        self.kubectl("patch", "secret", secret, "--type=merge", '--patch={"immutable":true}')

    def save_files(self, secret: str, folder: Path) -> Path:
        """Write the data of a Secret into a folder, as kubelet does, and return the folder."""
        folder.mkdir(exist_ok=True)
        for name, content in self.files(secret).items():
            (folder / name).write_bytes(content)
        return folder

    def events(self, name: str) -> list[tuple[str, str]]:
        """List type and reason of the Events about an identity."""
        listed = self.client.find("event", namespace=self.namespace)
        return [(event["type"], event["reason"]) for event in listed if event["involvedObject"]["name"] == name]

    def wait_events(self, name: str, *expected: tuple[str, str]) -> None:
        """Wait until as many Events as expected are there, which come after the status, and compare."""
        wait_until(lambda: len(self.events(name)) >= len(expected), f"{name} has {len(expected)} events")
        assert sorted(expected) == sorted(self.events(name))

    def counted_writes(self) -> Counter[tuple[str, str]]:
        """Count the operator's writes in this namespace by verb and resource, Events apart."""
        return Counter((verb, resource) for verb, resource, _ in self.writes() if resource != "events")

    def writes(self, *, everywhere: bool = False) -> list[tuple[str, str, str]]:
        """List verb, resource (with subresource) and name of all writes of the operator, here or `everywhere`.

        Those of its Lease are left out, and its questions about its rights.
        """
        return [
            (verb, resource, name)
            for verb, resource, namespace, name in self._requests("" if everywhere else self.namespace)
            if verb in WRITES and resource not in _APART and (everywhere or namespace == self.namespace)
        ]

    def reads(self, secret: str) -> int:
        """Count how often the operator read a Secret, be it the metadata alone."""
        return self._requests(self.namespace).count(("get", "secrets", self.namespace, secret))

    def _requests(self, text: str) -> list[tuple[str, str, str, str]]:
        """List verb, resource (with subresource), namespace and name of the operator's requests that hold a text."""
        found = []
        # To read all that every test did as JSON would take longer than most tests.
        for line in (line for line in self.cluster.audit_log.read_text().splitlines() if text in line):
            entry = json.loads(line)
            target = entry.get("objectRef", {})
            if entry["user"]["username"] in OPERATORS and "resource" in target:
                subresource = f"/{target['subresource']}" if "subresource" in target else ""
                where = (target.get("namespace", ""), target.get("name", ""))
                found.append((entry["verb"], target["resource"] + subresource, *where))
        return found
