"""PKCS#12 stores as the tests ask for them, put their password there, and open them."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from support.world import World

PASSWORD = "correct horse"
PART = "password"
PKCS12 = {"passwordSecretRef": {"name": "stores"}}


def put_password(
    world: World, password: bytes | str = PASSWORD, *, name: str = PKCS12["passwordSecretRef"]["name"], part: str = PART
) -> None:
    """Put a password into a Secret, with its label unless `part` is empty."""
    content = password if isinstance(password, bytes) else password.encode()
    metadata = {"name": name, "labels": {"mutualtls.dev/part": part} if part else {}}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    data = {"password": base64.b64encode(content).decode()}
    world.client.apply("secret", body | {"data": data}, namespace=world.namespace)


def opened(files: Mapping[str, bytes], password: str = PASSWORD) -> bool:
    """Whether a password opens both stores, and the key store holds key and chain of the PEM files."""
    try:
        store = pkcs12.load_pkcs12(files["keystore.p12"], password.encode())
        trusted = pkcs12.load_pkcs12(files["truststore.p12"], password.encode())
    except ValueError:
        return False
    assert store.key is not None
    assert store.cert is not None
    key = serialization.load_pem_private_key(files["tls.key"], None)
    chain = [store.cert.certificate, *(other.certificate for other in store.additional_certs)]
    roots = {root.certificate for root in trusted.additional_certs}
    return (
        key.public_key() == store.key.public_key()
        and chain == x509.load_pem_x509_certificates(files["tls.crt"])
        and roots == set(x509.load_pem_x509_certificates(files["ca.crt"]))
    )
