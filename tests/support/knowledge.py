"""A store that knows an identity and its Secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.store.secrets import SecretRecord
from mutualtls.store.store import Store
from support.builders import NOW, UID, an_identity, identity_body, observed, secret_of, settled

KEY, SECRET = ObjectKey("shop", "orders"), ObjectKey("shop", "orders-mtls")


def answer(version: int, *, generation: int = 1, uid: str = UID, **more: Any) -> dict[str, Any]:
    """Metadata as the answer to a write of ours holds it."""
    return {"uid": uid, "generation": generation, "resourceVersion": str(version), **more}


def with_identity(version: int = 5, **more: Any) -> Store:
    """A store that knows `shop/orders`."""
    store = Store()
    store.identities.note(identity_body(version=version, **more))
    return store


def body_with(status: IdentityStatus, **more: Any) -> dict[str, Any]:
    """An identity with a status, as the watch brings it."""
    return identity_body(**more) | {"status": msgspec.to_builtins(status)}


def authority_body(*, version: int = 1, served_by: str | None = None, **spec: Any) -> dict[str, Any]:
    """An authority as JSON of the API server."""
    metadata = {"name": "default", "uid": "uid-of-default", "generation": 1, "resourceVersion": str(version)}
    annotations = {labels.OPERATOR_NAMESPACE: served_by} if served_by else {}
    return {"metadata": metadata | {"annotations": annotations}, "spec": spec}


def metadata(version: int, **more: Any) -> dict[str, Any]:
    """Metadata of a Secret of ours, at a version."""
    return {**secret_of(observed(an_identity()))["metadata"], "resourceVersion": str(version), **more}


def files() -> Facts:
    """Facts of good files."""
    return settled().facts


def record(store: Store) -> SecretRecord:
    """What is known of the Secret."""
    return store.secrets[SECRET]


def written(version: int = 5) -> Store:
    """A store that has the answer to our own write of a Secret, for an identity that asks for it."""
    store = with_identity()
    store.secrets.put(SECRET, metadata(version), files(), now=NOW)
    return store


def facts_in(found: Facts | Damage | None) -> Facts:
    """What is known of files that are good."""
    if not isinstance(found, Facts):
        raise TypeError(f"no facts: {found}")
    return found


def leaf(issuer: str, ends: timedelta) -> Facts:
    """Facts of a leaf of a CA that ends some time from now."""
    return msgspec.structs.replace(files(), issuer_key_id=issuer, not_after=NOW + ends)
