"""The namespace of the examples: their identities, the variants that must be refused, and the files of them all."""

from __future__ import annotations

import base64
import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from devtools.clusters import client
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import wait_until
from devtools.consumers import mounts
from interop import program
from interop.program import EXAMPLES

_NAMESPACE = "shop"
_VARIANTS: dict[str, dict[str, Any]] = {
    "stranger": {"authority": "stranger"},
    "expired": {"duration": "1m"},
    "client": {"usages": ["client auth"]},
    "server": {"usages": ["server auth"]},
    "somebody": {
        "services": ["somebody"],
        "serviceAccountName": "somebody",
        "subject": {"commonName": f"somebody.{_NAMESPACE}.svc"},
    },
}
"""What else each identity of an example is issued as: by another CA, for a minute, for one use, with another name."""

_IDENTITY, _AUTHORITY = "MutualTLSIdentity", "MutualTLSAuthority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The namespace, as the programs see it: folders."""

    cluster: Cluster
    folder: Path

    def open(self) -> None:
        """Issue what the examples ask for, and the variants. Their folders stay as they are: some will have expired."""
        self._kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(_manifests()))
        self._kubectl("wait", "--for=condition=Ready", "mtls", "--all", "--timeout=60s")
        names = self._kubectl("get", "mtls", "--output=name").split()
        for name in names:
            self.mount(name.rpartition("/")[2])

    def mount(self, identity: str) -> Path:
        """Bring the folder of an identity to what its Secret says, as kubelet does, and return it."""
        data = self._get("secret", f"{identity}-mtls")["data"]
        files = {name: base64.b64decode(content) for name, content in data.items()}
        return self._update(identity, files)

    def variant(self, identity: str, variant: str) -> Path:
        """Folder of a variant, but with the bundle of the identity: so that it is the other side that refuses."""
        theirs, ours = self.folder / f"{identity}-{variant}", self.folder / identity
        if variant == "expired":
            end = x509.load_pem_x509_certificate((theirs / "tls.crt").read_bytes()).not_valid_after_utc.timestamp()
            wait_until(lambda: time.time() > end, f"{identity}-{variant} has expired", deadline_s=90)
        files = {path.name: path.read_bytes() for path in theirs.glob("[!.]*")}
        trust = {name: (ours / name).read_bytes() for name in ("ca.crt", "truststore.p12") if (ours / name).exists()}
        return self._update(f"{identity}-{variant}-trusting", files | trust)

    def _update(self, name: str, files: dict[str, bytes]) -> Path:
        """Write files with a key that the database's user may read, and nobody else."""
        return mounts.update(self.folder / name, files, mode=0o640, group=program.database_group())

    def reissue(self, identity: str) -> None:
        """Order a new key and certificate, and return when the Secret has them."""
        old = self._serial_number(identity)
        reissue = {"metadata": {"annotations": {"mutualtls.dev/reissue": old}}}
        client.admin(self.cluster).patch("mtls", identity, reissue, namespace=_NAMESPACE)
        wait_until(lambda: self._serial_number(identity) != old, f"{identity} has a new certificate")

    def _serial_number(self, identity: str) -> str:
        return str(self._get("mtls", identity)["status"]["certificate"]["serialNumber"])

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        found = client.admin(self.cluster).get(kind, name, namespace=_NAMESPACE)
        assert found is not None
        return found

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", _NAMESPACE, *arguments, stdin=stdin)


def _manifests() -> list[dict[str, Any]]:
    """All examples of programs, with certificates of a minute allowed, and the variants of their identities."""
    found = [one for path in sorted(EXAMPLES.glob("*/identities.yaml")) for one in yaml.safe_load_all(path.read_text())]
    identities = [body for body in found if body["kind"] == _IDENTITY]
    named = [body for body in found if body["kind"] == _AUTHORITY]
    permits = [permit for body in named for permit in body["spec"].get("permits", [])]
    authorities = [*named, _authority("default"), _authority("stranger", permits=permits)]
    for body in authorities:
        body["spec"].setdefault("leaf", {})["minDuration"] = "1m"
    others = [body for body in found if body not in identities and body not in named]
    return [*others, *authorities, *identities, *(_variant(one, name) for one in identities for name in _VARIANTS)]


def _authority(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "mutualtls.dev/v1alpha1", "kind": _AUTHORITY, "metadata": metadata, "spec": spec}


def _variant(identity: dict[str, Any], variant: str) -> dict[str, Any]:
    """Make an identity that differs in one thing alone."""
    body = copy.deepcopy(identity)
    name = body["metadata"]["name"]
    body["metadata"]["name"] = f"{name}-{variant}"
    body["spec"] = {"services": [name], "serviceAccountName": name} | body.get("spec", {}) | _VARIANTS[variant]
    return body
