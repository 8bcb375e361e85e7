"""cert-manager as a contender: its controller as a process, with its limits lifted, without its webhook.

It is no part of this project. From a checkout of its sources at a tag, `go build -o cert-manager .` in `cmd/controller`
builds its controller, whose module has a main package that no `go install` reaches; the definitions of its resources
are in `deploy/crds`.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devtools.bench import controllers, resources
from devtools.bench.contenders import Contender
from devtools.bench.controllers import Controller
from devtools.clusters import operators
from devtools.clusters.clusters import Cluster

_NAMESPACE = "cert-manager"
_LIFTED = 10_000
"""Requests a second that it may make. It makes 20 unless it is told otherwise."""
_WORKERS = 16
"""As many as ours has; 5 unless it is told otherwise."""
_SHORTEST_S = 3600
"""The shortest life that it accepts."""

SPEC: dict[str, Any] = {
    "secretName": f"{resources.NAME}-tls",
    "issuerRef": {"kind": "ClusterIssuer", "name": "bench"},
    "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
    "usages": ["server auth", "client auth"],
    "duration": "24h",
    "dnsNames": [
        f"{resources.NAME}.{resources.NAMESPACE}.svc",
        f"{resources.NAME}.{resources.NAMESPACE}.svc.cluster.local",
    ],
    "uris": [f"spiffe://cluster.local/ns/{resources.NAMESPACE}/sa/{resources.NAME}"],
}
"""What an identity asks for by default."""


def contender(binary: Path, definitions: Path) -> Contender:
    """Make a contender of a controller and a folder or file of its resources' definitions."""

    @contextlib.contextmanager
    def running(cluster: Cluster) -> Iterator[Controller]:
        _install(cluster, definitions)
        arguments = [
            f"--kubeconfig={cluster.kubeconfig('operator')}",
            f"--cluster-resource-namespace={_NAMESPACE}",
            "--leader-elect=false",
            f"--kube-api-qps={_LIFTED}",
            f"--kube-api-burst={_LIFTED}",
            f"--concurrent-workers={_WORKERS}",
            "--metrics-listen-address=127.0.0.1:0",
            "--internal-healthz-listen-address=127.0.0.1:0",
        ]
        with controllers.running(cluster, "cert-manager", str(binary), *arguments) as program:
            cluster.kubectl("wait", "--for=condition=Ready", "clusterissuer/bench", "--timeout=60s")
            yield program

    return Contender(
        name="cert-manager", resource=resources.CERTIFICATE, running=running, spec=SPEC, due_after=_due_after
    )


def _due_after(seconds: float) -> dict[str, Any]:
    return {**SPEC, "duration": f"{_SHORTEST_S}s", "renewBefore": f"{round(_SHORTEST_S - seconds)}s"}


def _install(cluster: Cluster, definitions: Path) -> None:
    """Create what it needs: its definitions, its namespace, and a CA that issues to all namespaces."""
    cluster.kubectl("apply", "--server-side", "--filename", str(definitions))
    cluster.kubectl("create", "namespace", _NAMESPACE)
    operators.wait_until(
        lambda: "No resources found" in cluster.kubectl("get", "clusterissuers,certificates", "-A", check=False),
        "cert-manager's resources are served",
    )
    key, certificate = _ca()
    data = {"tls.key": base64.b64encode(key).decode(), "tls.crt": base64.b64encode(certificate).decode()}
    metadata = {"name": "bench", "namespace": _NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
    spec = {"ca": {"secretName": "bench"}}
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "bench"}, "spec": spec}
    for body in (secret, issuer):
        cluster.kubectl("create", "--filename", "-", stdin=json.dumps(body))


def _ca() -> tuple[bytes, bytes]:
    """Make a CA, as PEM: its key and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(
            subject_name=name,
            issuer_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=365),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    written = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return written, certificate.public_bytes(pem)
