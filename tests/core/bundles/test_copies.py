"""Copies of bundles: what is decided about those of one namespace."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.authority import Authority
from mutualtls.core.bundles import plan, publish
from mutualtls.core.bundles.plan import Action, Decision, Observed
from mutualtls.core.bundles.publish import Copy, Published
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates
from support.builders import MINUTE, NOW, SECOND, authority, signer

PEM = certificates.to_pem(signer().root.certificate)
KEY, OLD = ObjectKey("shop", "bundle"), ObjectKey("shop", "former")
CLUSTER_KEY = ObjectKey("", "mutualtls.dev:default:bundle")


def asking() -> Authority:
    """An authority whose copies stay for five minutes when they are not asked for any more."""
    return authority(trust={"configMap": {"name": "bundle", "namespaceSelector": {}}, "removeAfter": "5m"})


def copy(key: ObjectKey = KEY, *, surplus_since: datetime | None = None, **changes: Any) -> Copy:
    """A copy that is as it is to be."""
    published = msgspec.structs.replace(publish.wanted(key, "default", PEM), surplus_since=surplus_since)
    good = Copy(
        uid="u",
        resource_version="1",
        authority="default",
        published=published,
        is_immutable=False,
        is_owned=False,
        other_owners=(),
        others="helm",
    )
    return replace(good, **changes)


def observed(*, wanted: ObjectKey | None = KEY, found: Copy | None = None, **changes: Any) -> Observed:
    """What is seen of a namespace."""
    copies = {wanted: found} if wanted is not None and found is not None and found.authority == "default" else {}
    o = Observed(
        authority=asking(),
        bundle=PEM,
        wanted=wanted,
        found=found,
        copies=copies,
        has_looked=False,
        now=NOW,
        conflict_retry=30 * SECOND,
    )
    return replace(o, **changes)


OTHER = Published(authority="default", bundle_hash="other")
FOREIGN = copy(authority=None, published=None)


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        pytest.param(observed(), Decision(action=Action.WRITE, key=KEY), id="missing"),
        pytest.param(observed(found=copy()), Decision(action=Action.NOTHING), id="good"),
        pytest.param(observed(wanted=None), Decision(action=Action.NOTHING), id="not asked for"),
        pytest.param(observed(found=copy(published=OTHER)), Decision(action=Action.WRITE, key=KEY), id="old"),
        pytest.param(observed(found=copy(published=None)), Decision(action=Action.WRITE, key=KEY), id="overwritten"),
        pytest.param(observed(found=copy(is_owned=True)), Decision(action=Action.WRITE, key=KEY), id="owned"),
        pytest.param(
            observed(found=copy(surplus_since=NOW)), Decision(action=Action.WRITE, key=KEY), id="asked for again"
        ),
        pytest.param(
            observed(found=copy(published=OTHER, is_immutable=True)),
            Decision(action=Action.REMOVE, key=KEY),
            id="old and immutable",
        ),
        pytest.param(observed(found=copy(is_immutable=True)), Decision(action=Action.NOTHING), id="good and immutable"),
        pytest.param(observed(found=FOREIGN), Decision(action=Action.LOOK, key=KEY), id="somebody else's"),
        pytest.param(
            observed(found=FOREIGN, has_looked=True),
            Decision(action=Action.NOTHING, next_check=NOW + 30 * SECOND, is_conflict=True),
            id="somebody else's, and looked at",
        ),
        pytest.param(
            observed(found=copy(authority="other"), has_looked=True),
            Decision(action=Action.NOTHING, next_check=NOW + 30 * SECOND, is_conflict=True),
            id="another authority's",
        ),
    ],
)
def test_a_copy_that_is_asked_for_is_brought_to_what_it_is_to_be(o: Observed, expected: Decision) -> None:
    """What is somebody else's is looked at once, and never touched."""
    assert expected == plan.decide(o)


def surplus(one: Copy, *, key: ObjectKey = OLD, **changes: Any) -> Observed:
    """A good copy, and one of another name that is not asked for."""
    return replace(observed(found=copy(), copies={KEY: copy(), key: one}), **changes)


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        pytest.param(
            surplus(copy(OLD)), Decision(action=Action.WRITE, key=OLD, surplus_since=NOW), id="not told so yet"
        ),
        pytest.param(
            surplus(copy(OLD, surplus_since=NOW - MINUTE)),
            Decision(action=Action.NOTHING, next_check=NOW + 4 * MINUTE),
            id="waits for its end",
        ),
        pytest.param(
            surplus(copy(OLD, surplus_since=NOW - 5 * MINUTE)), Decision(action=Action.REMOVE, key=OLD), id="it is time"
        ),
        pytest.param(
            surplus(copy(OLD, published=msgspec.structs.replace(OTHER, surplus_since=NOW - MINUTE))),
            Decision(action=Action.WRITE, key=OLD, surplus_since=NOW - MINUTE),
            id="waits, with an old bundle",
        ),
        pytest.param(
            surplus(copy(OLD, surplus_since=NOW - MINUTE, is_owned=True)),
            Decision(action=Action.WRITE, key=OLD, surplus_since=NOW - MINUTE),
            id="waits, owned",
        ),
        pytest.param(
            surplus(copy(OLD, is_immutable=True)), Decision(action=Action.REMOVE, key=OLD), id="cannot be told so"
        ),
        pytest.param(surplus(copy(OLD, held_by="keep")), Decision(action=Action.NOTHING), id="kept by finalizers"),
        pytest.param(
            surplus(copy(OLD, surplus_since=NOW - 5 * MINUTE), found=None),
            Decision(action=Action.WRITE, key=KEY),
            id="the one that is asked for comes first",
        ),
    ],
)
def test_a_copy_that_is_not_asked_for_is_kept_current_until_its_end(o: Observed, expected: Decision) -> None:
    """Consumers have time to move; when it ends is in the copy itself."""
    assert expected == plan.decide(o)


def test_what_a_place_cannot_hold_is_not_made_and_not_kept() -> None:
    """There can be no ClusterTrustBundle of nothing."""
    missing = observed(wanted=CLUSTER_KEY, bundle=b"")
    kept = observed(wanted=CLUSTER_KEY, bundle=b"", found=copy(CLUSTER_KEY), copies={CLUSTER_KEY: copy(CLUSTER_KEY)})

    assert Action.NOTHING is plan.decide(missing).action
    assert Decision(action=Action.REMOVE, key=CLUSTER_KEY) == plan.decide(kept)
