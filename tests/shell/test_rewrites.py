"""What is at rest and changes its form, or its words, at an upgrade is rewritten once, at a pace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.bundles import publish
from mutualtls.core.leaf import render
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths
from mutualtls.queue.agenda import Agenda, Key
from mutualtls.store.store import Store
from support import builders
from support.builders import NOW, as_stored, entry_of_ours, signer
from support.memory import Begin, Memory, worked

MANY = 120
PACE = 50
"""Per second."""
BY = signer(trust={"configMap": {"name": "bundle", "namespaceSelector": {}}, "clusterTrustBundle": False})
OFFERED = {"default": BY.trust}
OWNER = {"kind": labels.AUTHORITY_KIND, "apiVersion": f"{labels.GROUP}/{labels.VERSION}", "name": "default", "uid": "u"}

Change = Callable[[IdentityStatus], IdentityStatus]


@functools.cache
def secret_of(name: str) -> dict[str, Any]:
    """The Secret of an identity."""
    return builders.secret_of(builders.observed(builders.an_identity(name), BY), BY)


@functools.cache
def status_of(name: str) -> IdentityStatus:
    """What this release says of an identity that has good files."""
    o = builders.observed(builders.an_identity(name), BY)
    o = replace(o, found=builders.known(secret_of(name)))
    return render.identity_status(o, builders.decide(o))


def reworded(told: IdentityStatus) -> IdentityStatus:
    """Say the same in other words."""
    conditions = tuple(msgspec.structs.replace(one, message=f"once: {one.message}") for one in told.conditions)
    return msgspec.structs.replace(told, conditions=conditions)


def identities(change: Change) -> Begin:
    """Have many identities be known, whose statuses another release wrote."""

    def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
        store.note_namespace({"name": "shop", "labels": {}})
        for number in range(MANY):
            name = f"orders-{number}"
            body = builders.identity_body(name) | {"status": msgspec.to_builtins(change(status_of(name)))}
            memory.objects[paths.identity("shop", name)] = body
            store.secrets.note(ObjectKey("shop", f"{name}-mtls"), secret_of(name)["metadata"], now=NOW)
            store.identities.note(body)
            agenda.put(Key.identity(ObjectKey("shop", name)))

    return begin


def copies(memory: Memory, store: Store, agenda: Agenda) -> None:
    """Have many copies be known that the release before wrote: each has the authority as its owner."""
    store.authorities.hold("default", BY.authority)
    for number in range(MANY):
        key = ObjectKey(f"shop-{number}", "bundle")
        held = publish.wanted(key, "default", BY.trust.bundle)
        body = as_stored(publish.manifest(key, BY.authority, BY.trust.bundle, held))
        body["metadata"] |= {
            "ownerReferences": [OWNER],
            "managedFields": [entry_of_ours("data", "metadata", body=body)],
        }
        memory.objects[paths.copy(key)] = body
        store.note_namespace({"name": f"shop-{number}", "labels": {}})
        store.copies.note(key, body["metadata"], now=NOW)
        agenda.put(Key.bundle("default", f"shop-{number}"))


FORMS = [
    pytest.param(copies, id="copies with an owner"),
]


@pytest.mark.parametrize("begin", FORMS)
def test_what_changes_its_form_is_written_once_at_a_pace(begin: Begin) -> None:
    """An upgrade writes each object once, and no more than fifty per second."""
    memory = worked(begin, OFFERED, now=NOW)

    assert MANY == len(memory.written) == len(set(memory.written))
    assert all(number <= PACE for number in memory.per_second()), memory.per_second()


def test_a_state_that_changed_is_told_at_once() -> None:
    """The pace is for what says the same; a status about another spec is written at once."""

    def of_before(told: IdentityStatus) -> IdentityStatus:
        return msgspec.structs.replace(reworded(told), observed_generation=0)

    assert [MANY] == worked(identities(of_before), OFFERED, now=NOW).per_second()


def test_nothing_is_written_where_nothing_changed() -> None:
    """What the release before left out of a status is no reason alone."""

    def of_before(told: IdentityStatus) -> IdentityStatus:
        return msgspec.structs.replace(told, authority=None, secrets=())

    assert [] == worked(identities(of_before), OFFERED, now=NOW).written
