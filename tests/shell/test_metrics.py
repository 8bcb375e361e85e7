"""What metrics tell of rotations, and of trouble."""

from __future__ import annotations

from typing import Any

import msgspec

from mutualtls.core.api import identity
from mutualtls.core.api.authority_status import AuthorityStatus, NextStatus
from mutualtls.core.api.refusals import Cause
from mutualtls.core.api.status import Condition
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Published
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.queue.trouble import Trouble
from mutualtls.store.store import Store
from support.builders import NOW, authority, identity_body, observed, secret_of
from support.measured import samples

OF_DEFAULT = "authority=default"


def with_authority(status: AuthorityStatus) -> Store:
    """A store that knows of the authority `default`."""
    store = Store()
    store.authorities.hold("default", msgspec.structs.replace(authority(), status=status))
    return store


def test_what_a_rotation_waits_for_and_what_it_does_not_is_counted() -> None:
    """Names are told of the first ten alone. What no identity has is counted also while nothing is replaced."""
    body = secret_of(observed(identity.parse(identity_body())))["metadata"]
    found = []
    for status in (AuthorityStatus(next=NextStatus(waits_for="all", behind=12, excused=2)), AuthorityStatus()):
        store = with_authority(status)
        store.identities.note(identity_body())
        for key in (("shop", "orders-mtls"), ("mirror", "orders-mtls"), ("shop", "orders-backup")):
            store.secrets.put(ObjectKey(*key), body, None, now=NOW)
        found_now = samples(store=store)
        names = ("rotation_laggards", "rotation_excused", "rotation_skipped")
        found.append([found_now[f"{name} {OF_DEFAULT}"] for name in names])

    assert [[12, 2, 2], [0, 0, 2]] == found


def test_what_is_refused_left_alone_and_left_behind_is_counted() -> None:
    """Metrics count by namespace or authority, so that an alert says whose trouble it is."""
    store, trouble = with_authority(AuthorityStatus()), Trouble()
    trouble.count("secrets", 403, Cause.POLICY)
    store.identities.note(identity_body() | {"status": {"conditions": [_not_writable()]}})
    store.identities.note(identity_body("billing"))
    store.copies.refused["default", "shop"] = "exceeded quota"
    key = ObjectKey("shop", "roots")
    copy = publish.manifest(key, authority("gone"), b"", Published(authority="gone", bundle_hash="h"))
    store.copies.put(key, copy["metadata"] | {"uid": "u", "resourceVersion": "5"}, now=NOW)
    told = samples(store=store, trouble=trouble, left_alone=lambda: {"another": "elsewhere"})

    expected = {
        "rejected_writes_total cause=policy code=403 resource=secrets": 1,
        "secrets_not_writable namespace=shop": 1,
        f"bundle_copies_not_writable {OF_DEFAULT}": 1,
        "authority_served_elsewhere authority=another served_by=elsewhere": 1,
        "bundle_copies_orphaned authority=gone": 1,
    }
    assert expected == {name: told.get(name) for name in expected}


def _not_writable() -> dict[str, Any]:
    condition = Condition(
        type="Ready",
        status="False",
        reason=Reason.SECRET_NOT_WRITABLE,
        message="denied",
        observed_generation=1,
        last_transition_time="2026-01-02T03:04:05Z",
    )
    found: dict[str, Any] = msgspec.to_builtins(condition)
    return found
