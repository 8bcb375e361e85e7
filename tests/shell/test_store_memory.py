"""What an identity and its Secret take in memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mutualtls.core.leaf import render, secret
from mutualtls.kube.watch import key_of
from mutualtls.store.store import Store
from support.builders import NOW, UID, an_identity, decide, known, observed, secret_of
from support.knowledge import body_with, facts_in

NUMBER = 500
MOST = 3700
"""Bytes of an identity that has its certificate, on 64 bits: 3,370 where this was written."""


def issued() -> tuple[bytes, bytes, tuple[str, ...]]:
    """An identity and the metadata of its Secret as JSON, and the texts in them that no other has."""
    o = observed(an_identity(serviceAccountName="orders"))
    body = secret_of(o)
    o = replace(o, found=known(body))
    files = facts_in(known(body).files)
    own = (UID, body["metadata"]["uid"], files.fingerprint, files.public_key_hash, files.serial_number)
    owned = secret.owned(o.identity, {o.identity.secret_name: secret.parse(body["metadata"])}, now=NOW)
    status = msgspec.structs.replace(render.identity_status(o, decide(o)), secrets=owned)
    return (
        msgspec.json.encode(body_with(status, serviceAccountName="orders")),
        msgspec.json.encode(body["metadata"]),
        own,
    )


def fleet(number: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Identities and the metadata of their Secrets, as the watches bring them."""
    of_identity, of_secret, own = issued()
    for one in range(number):
        texts = [of_identity.decode(), of_secret.decode()]
        for text in own:
            texts = [whole.replace(text, f"{one:0{len(text)}d}") for whole in texts]
        yield tuple(msgspec.json.decode(whole.replace("orders", f"orders{one}")) for whole in texts)


def note(store: Store, body: dict[str, Any], metadata: dict[str, Any], *, secrets_first: bool) -> None:
    """Have a store know an identity and its Secret."""
    if not secrets_first:
        store.identities.note(body)
    store.secrets.note(key_of(metadata), metadata, now=NOW)
    if secrets_first:
        store.identities.note(body)


@pytest.mark.parametrize("secrets_first", [pytest.param(False, id="identities first"), pytest.param(True, id="last")])
def test_an_identity_takes_little_memory(secrets_first: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whichever watch is the first to bring its objects."""
    for body, metadata in fleet(1):
        note(Store(), body, metadata, secrets_first=secrets_first)
    store = Store()
    gc.collect()
    tracemalloc.start()
    try:
        for body, metadata in fleet(NUMBER):
            note(store, body, metadata, secrets_first=secrets_first)
        del body, metadata
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert NUMBER == len(store.identities) == len(store.secrets)
    assert all(record.facts is not None for record in store.secrets.values())
    assert taken / NUMBER < MOST, f"{taken / NUMBER:.0f} bytes"


@pytest.mark.parametrize("secrets_first", [pytest.param(False, id="identities first"), pytest.param(True, id="last")])
def test_what_both_say_is_kept_once(secrets_first: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The texts are one object, not only equal."""
    store = Store()
    for body, metadata in fleet(1):
        note(store, body, metadata, secrets_first=secrets_first)
    (identity,), (record,) = store.identities.values(), store.secrets.values()
    recorded = identity.status.certificate

    assert recorded is not None
    assert record.facts is not None
    assert identity.uid is record.metadata.identity_uid
    assert identity.name is record.metadata.identity_name
    assert identity.status.secrets[0].uid is record.metadata.uid
    for name in ("serial_number", "fingerprint", "public_key_hash"):
        assert getattr(recorded, name) is getattr(record.facts, name)
