"""Issuance: from an identity to files that verify, in two writes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes
from support import verify
from support.world import World


def test_an_empty_spec_gives_working_files(world: World, tmp_path: Path) -> None:
    """The Service and the service account of the identity's own name, both usages, in the Secret NAME-mtls."""
    world.apply("orders")
    world.wait_ready("orders")
    files = world.save_files("orders-mtls", tmp_path / "files")
    leaf = x509.load_pem_x509_certificate((files / "tls.crt").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    service = f"orders.{world.namespace}.svc"

    assert [service, f"{service}.cluster.local"] == names.get_values_for_type(x509.DNSName)
    assert [f"spiffe://cluster.local/ns/{world.namespace}/sa/orders"] == names.get_values_for_type(
        x509.UniformResourceIdentifier
    )
    assert {"ca.crt", "tls.crt", "tls.key"} == set(world.files("orders-mtls"))
    for use in ("server", "client"):
        verify.chain(files, name=service, use=use)


def test_an_empty_spec_stores_one_default(world: World) -> None:
    """Each field that is stored costs at every write of the status, and so does each that `managedFields` lists."""
    world.apply("orders")
    world.wait_ready("orders")
    found = world.get("mtls", "orders")
    assert found is not None
    (written,) = (entry for entry in found["metadata"]["managedFields"] if entry.get("subresource") == "status")

    assert found["spec"] == {"authority": "default"}
    assert written["fieldsV1"] == {"f:status": {}}


def test_a_server_side_apply_takes_a_usage_away(world: World) -> None:
    """The list is one value: what was stored before is not merged into it."""
    world.kubectl("apply", "--server-side", "-f", "-", stdin=world.manifest("orders"))
    world.kubectl("apply", "--server-side", "-f", "-", stdin=world.manifest("orders", usages=["server auth"]))

    found = world.get("mtls", "orders")
    assert found is not None
    assert ["server auth"] == found["spec"]["usages"]


def test_the_status_equals_the_certificate(world: World) -> None:
    """What kubectl shows is what is in the Secret."""
    world.apply("orders")
    world.wait_ready("orders")
    leaf = x509.load_pem_x509_certificate(world.files("orders-mtls")["tls.crt"])
    status = world.status("orders")
    table = world.kubectl("get", "mtls", "orders").splitlines()

    assert f"{leaf.serial_number:x}" == status["certificate"]["serialNumber"]
    assert leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ") == status["certificate"]["notAfter"]
    assert status["secretName"] == "orders-mtls"
    assert table[0].split() == ["NAME", "READY", "REASON", "SECRET", "EXPIRES", "AGE"]
    assert table[1].split()[:4] == ["orders", "True", "Issued", "orders-mtls"]


KEYS = [
    pytest.param({}, "BEGIN PRIVATE KEY", id="defaults"),
    pytest.param({"algorithm": "ECDSA", "size": 384, "encoding": "SEC1"}, "BEGIN EC PRIVATE KEY", id="P-384 as SEC1"),
    pytest.param({"algorithm": "ECDSA", "size": 521}, "BEGIN PRIVATE KEY", id="P-521"),
    pytest.param({"algorithm": "RSA", "encoding": "PKCS1"}, "BEGIN RSA PRIVATE KEY", id="RSA 2048 as PKCS1"),
    pytest.param({"algorithm": "RSA", "size": 3072}, "BEGIN PRIVATE KEY", id="RSA 3072"),
    pytest.param({"algorithm": "Ed25519"}, "BEGIN PRIVATE KEY", id="Ed25519"),
]


@pytest.mark.parametrize(("key", "header"), KEYS)
def test_every_key_type_verifies_and_shakes_hands(
    world: World, tmp_path: Path, key: dict[str, Any], header: str
) -> None:
    """Each algorithm, size and encoding is accepted by OpenSSL, Go and Python at its strictest."""
    world.apply("peer", privateKey=key)
    world.wait_ready("peer")
    files = world.save_files("peer-mtls", tmp_path / "files")
    name = f"peer.{world.namespace}.svc"

    assert header in (files / "tls.key").read_text().splitlines()[0]
    for use in ("server", "client"):
        verify.chain(files, name=name, use=use)
    assert (name, name) == handshakes.handshake(files, files, name=name)


def test_openssl_shakes_hands_both_ways_and_refuses_who_has_no_certificate(world: World, tmp_path: Path) -> None:
    """A server with -Verify takes a client with the files of another identity, and none without files."""
    for name in ("server", "client"):
        world.apply(name)
    world.wait_ready("server", "client")
    server, client = (world.save_files(f"{name}-mtls", tmp_path / name) for name in ("server", "client"))
    serve = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-Verify", "2", "-verify_return_error", "-x509_strict"]
    pem = ["-cert", "tls.crt", "-cert_chain", "tls.crt", "-key", "tls.key", "-CAfile", "ca.crt"]
    log = (tmp_path / "server.log").open("w+")
    serving = subprocess.Popen([*serve, *pem], cwd=server, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        wait_until(lambda: "ACCEPT" in (tmp_path / "server.log").read_text(), "s_server accepts")
        address = (tmp_path / "server.log").read_text().split("ACCEPT ")[1].split()[0]
        name = f"server.{world.namespace}.svc"
        connect = ["openssl", "s_client", "-connect", address, "-servername", name, "-verify_hostname", name]
        strict = ["-verify_return_error", "-x509_strict", "-CAfile", "ca.crt", "-tls1_2"]
        with_files, without = (
            subprocess.run([*connect, *strict, *own], cwd=client, input=b"Q\n", capture_output=True, check=False)
            for own in (pem[:-2], [])
        )
    finally:
        serving.kill()
        serving.communicate()
        log.close()

    assert with_files.returncode == 0, with_files.stderr.decode()
    assert b"Verify return code: 0 (ok)" in with_files.stdout
    assert without.returncode != 0


def test_an_issuance_takes_two_writes(world: World) -> None:
    """The API server's audit log has one of the Secret and then one of the status."""
    names = [f"identity-{number}" for number in range(10)]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(world.manifest(name) for name in names))
    world.wait_ready(*names)
    expected = {("create", "secrets"): 10, ("patch", "mutualtlsidentities/status"): 10}

    assert expected == world.counted_writes()
    assert world.events("identity-0") == []


def test_no_key_reaches_a_log_an_event_or_a_status(world: World) -> None:
    """This holds for its PEM and its base64."""
    world.apply("orders")
    world.wait_ready("orders")
    key = world.files("orders-mtls")["tls.key"]
    world.delete("secret", "orders-mtls")
    wait_until(lambda: world.events("orders"), "the healing is told")
    seen = world.operator.log.read_text() + world.kubectl("get", "mtls,events", "--output", "yaml")
    body = key.splitlines()[1].decode()
    der = serialization.load_pem_private_key(key, password=None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    assert "serialNumber" in seen
    assert body not in seen
    assert der.hex() not in seen
    assert "PRIVATE KEY" not in seen
