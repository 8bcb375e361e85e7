"""Workloads move over from another CA, step by step as `docs/trust.md` says: nobody notices."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes
from devtools.consumers.fleet import projected
from mutualtls.core import times
from mutualtls.core.api.algorithms import Encoding, Usage
from mutualtls.core.names.names import Names
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from support import outside, runs
from support.outside import OutsideCA
from support.runs import Run
from support.scenes import Scene

ROOTS = "old-roots"


def test_workloads_move_over_from_another_ca(scene: Scene, tmp_path: Path) -> None:
    """Trust moves first, one workload at a time; then certificates do; then the old root goes."""
    other = outside.make("cert-manager")
    with runs.running(scene, tmp_path, names=()) as run:
        here = run.world.namespace
        for name in runs.FEW:
            _issue_by_other(run, name, other)
            run.fleet.join(name, here, *projected(here, f"{name}-tls"))
        run.fleet.wait_for_round()

        pem = other.files()["ca.crt"].decode()
        run.authority.system("create", "configmap", f"{here}-{ROOTS}", f"--from-literal=ca.crt={pem}")
        run.change(trust=run.spec["trust"] | {"additionalRoots": [{"name": f"{here}-{ROOTS}"}]})
        wait_until(lambda: _trusted(run) == 2, "both roots are trusted")
        for name in runs.FEW:
            run.fleet.mount_instead(name, *projected(here, f"{name}-tls", trust=runs.BUNDLE))
            run.fleet.wait_for_round()

        for name in runs.FEW:
            run.apply(name)
            run.world.wait_ready(name)
            run.fleet.mount_instead(name, *projected(here, f"{name}-mtls"))
            run.fleet.wait_for_round()

        run.change(trust=run.spec["trust"] | {"additionalRoots": []})
        wait_until(lambda: _trusted(run) == 1, "the old root is trusted no more")
        run.judge()
        _old_certificates_are_refused(run, tmp_path)


def _issue_by_other(run: Run, name: str, other: OutsideCA) -> None:
    """Write a Secret as cert-manager does: key, leaf and the root of its CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = CA(certificate=other.certificate, key=other.key)
    leaf = issue.leaf(
        key.public_key(),
        ca,
        names=Names(dns=(f"{name}.{run.world.namespace}.svc",)),
        usages=(Usage.CLIENT_AUTH, Usage.SERVER_AUTH),
        validity=times.Validity(
            not_before=other.certificate.not_valid_before_utc, not_after=other.certificate.not_valid_after_utc
        ),
    )
    files = {
        "tls.key": keys.to_pem(key, Encoding.PKCS8),
        "tls.crt": certificates.to_pem(leaf),
        "ca.crt": other.files()["ca.crt"],
    }
    data = {file: base64.b64encode(content).decode() for file, content in files.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": f"{name}-tls"}}
    run.world.kubectl("create", "--filename=-", stdin=json.dumps(body | {"data": data}))


def _trusted(run: Run) -> int:
    """Count the roots in the ConfigMap."""
    body = run.world.get("configmap", runs.BUNDLE) or {"data": {"ca.crt": ""}}
    return str(body["data"]["ca.crt"]).count("BEGIN CERTIFICATE")


def _old_certificates_are_refused(run: Run, folder: Path) -> None:
    first, second = runs.FEW[:2]
    old = run.world.save_files(f"{first}-tls", folder / "old")
    new = run.world.save_files(f"{second}-mtls", folder / "new")
    with pytest.raises(ssl.SSLError, match="self-signed certificate in certificate chain"):
        handshakes.handshake(old, new, name=f"{first}.{run.world.namespace}.svc")
