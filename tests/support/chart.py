"""The chart as the tests install it: Helm, and the operator's user as the chart's service account.

The operator runs as a process beside the cluster, as there is no node; it has the token of the service account.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import NAMESPACE, wait_until
from devtools.machine import programs

CHART = Path(__file__).parents[2] / "charts" / "mutualtls-operator"
RELEASE = "mutualtls"
NAME = "mutualtls-mutualtls-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}"
IMAGE = {"image": {"repository": "registry.example.com/operator"}}
"""The one value that has no default."""
VALUES = IMAGE | {"authority": {"spec": {"leaf": {"minDuration": "1m"}}}}
"""Those of the ring's common cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """Helm with a home of its own."""

    home: Path
    kubeconfig: Path | None = None
    namespace: str = NAMESPACE

    def run(self, *arguments: str, values: dict[str, Any] | None = None, check: bool = True) -> str:
        """Run it and return what it printed; what it complained, too, where it need not succeed."""
        command = [str(programs.helm()), *arguments]
        if self.kubeconfig is not None:
            command += ["--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace]
        if values is not None:
            command += ["--values", "-"]
        homes = {f"HELM_{kind}_HOME": str(self.home / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        given = yaml.safe_dump(values) if values is not None else None
        done = subprocess.run(command, input=given, env=os.environ | homes, capture_output=True, text=True, check=False)
        assert not (check and done.returncode), done.stderr
        return done.stdout if check else done.stdout + done.stderr

    def rendered(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        """Render the chart's templates."""
        text = self.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values)
        return [found for found in yaml.safe_load_all(text) if found]


def log_in(cluster: Cluster) -> None:
    """Give the operator's user the token of the service account, once the API server knows of its rights."""

    def is_bound() -> bool:
        may = ("auth", "can-i", "list", "secrets", "--all-namespaces", "--as", ACCOUNT)
        return cluster.kubectl(*may, check=False).strip().endswith("yes")

    wait_until(is_bound, "the cluster role is bound")
    user = ("--kubeconfig", str(cluster.kubeconfig("operator")), "set-credentials", "operator")
    cluster.kubectl("config", *user, f"--token={token(cluster)}")


def token(cluster: Cluster) -> str:
    """Make another token of the service account."""
    return cluster.kubectl("create", "token", NAME, "--namespace", NAMESPACE).strip()


def audited(cluster: Cluster) -> list[dict[str, Any]]:
    """List the audit log's entries about the service account."""
    entries = map(json.loads, cluster.audit_log.read_text().splitlines())
    return [entry for entry in entries if entry["user"]["username"] == ACCOUNT]


def denied(cluster: Cluster) -> list[str]:
    """List the kinds of requests that the service account made without a right to them.

    The API server is asked again about what it denied: one that has just started does not know of all roles yet.
    """
    refused = {_kind(entry): entry for entry in audited(cluster) if _decision(entry) == "forbid"}
    return sorted(kind for kind, entry in refused.items() if not _is_allowed(cluster, entry))


def _decision(entry: dict[str, Any]) -> str | None:
    decision: str | None = entry.get("annotations", {}).get("authorization.k8s.io/decision")
    return decision


def _is_allowed(cluster: Cluster, entry: dict[str, Any]) -> bool:
    user, of = entry["user"], entry.get("objectRef")
    if of is None:
        asked = {"nonResourceAttributes": {"verb": entry["verb"], "path": entry["requestURI"].partition("?")[0]}}
    else:
        names = {"group": "apiGroup"} | {name: name for name in ("resource", "subresource", "namespace", "name")}
        given = {name: of[called] for name, called in names.items() if called in of}
        asked = {"resourceAttributes": {"verb": entry["verb"]} | given}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user["username"], "groups": user["groups"]} | asked,
    }
    said = cluster.kubectl("create", "--filename", "-", "--output", "json", stdin=yaml.safe_dump(review))
    return bool(json.loads(said)["status"]["allowed"])


def _kind(entry: dict[str, Any]) -> str:
    of = entry.get("objectRef", {})
    names = (of.get("apiGroup"), of.get("resource"), of.get("subresource"))
    return f"{entry['verb']} {'/'.join(filter(None, names)) or entry['requestURI']}"


def upgrade(helm: Helm, values: dict[str, Any]) -> None:
    """Install the chart with other values."""
    helm.run("upgrade", RELEASE, str(CHART), values=values)
