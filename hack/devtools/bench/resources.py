"""What is created by the thousand: identities, notes of the first floor, and cert-manager's Certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTHORITY = """
apiVersion: mutualtls.dev/v1alpha1
kind: MutualTLSAuthority
metadata: {name: default}
spec: {leaf: {minDuration: 1m}}
"""
"""The authority that signs for all identities, also for minutes."""

NAME, NAMESPACE = "$NAME", "$SPACE"
"""What stands for the name and the namespace of an object in its spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of object that a controller makes Ready."""

    api_version: str
    kind: str
    plural: str

    @property
    def all_path(self) -> str:
        """Path of all of them."""
        return f"/apis/{self.api_version}/{self.plural}"

    def path(self, namespace: str) -> str:
        """Path of those of a namespace."""
        return f"/apis/{self.api_version}/namespaces/{namespace}/{self.plural}"

    def body(self, namespace: str, name: str, spec: Mapping[str, Any] | None = None) -> bytes:
        """Write one, for a POST. In its spec, `NAME` and `NAMESPACE` stand for its own."""
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata}
        text = json.dumps(body | ({"spec": spec} if spec else {}))
        return text.replace(NAMESPACE, namespace).replace(NAME, name).encode()


IDENTITY = Resource(api_version="mutualtls.dev/v1alpha1", kind="MutualTLSIdentity", plural="mutualtlsidentities")
NOTE = Resource(api_version="bench.mutualtls.dev/v1", kind="Note", plural="notes")
CERTIFICATE = Resource(api_version="cert-manager.io/v1", kind="Certificate", plural="certificates")
