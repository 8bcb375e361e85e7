"""Copies of bundles: which there are to be, what is believed of one, and what is remembered of those that are gone."""

from __future__ import annotations

import copy as copies
from datetime import timedelta
from typing import Any

import pytest

from core.builders import MINUTE, NOW, SECOND, authority, entry_of_ours
from mutualtls.core import labels, managed, publish
from mutualtls.core.authority import Authority
from mutualtls.core.publish import Published
from mutualtls.kube.copies import Copies
from mutualtls.kube.store import Store

PEM = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY, CLUSTER_KEY = "shop/bundle", "/mutualtls.dev:default:bundle"
KEYS = pytest.mark.parametrize("key", [KEY, CLUSTER_KEY])
THEIRS = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {"f:README": {}}}}


def asking(name: str = "bundle", *, clusters: bool = True, **labels_asked: str) -> Authority:
    """An authority whose bundle goes into the ConfigMap `bundle` of namespaces with these labels."""
    config_map = {"name": name, "namespaceSelector": {"matchLabels": labels_asked}}
    return authority(trust={"configMap": config_map, "clusterTrustBundle": clusters})


def written(key: str = KEY, since: timedelta | None = None, version: int = 5) -> dict[str, Any]:
    """Metadata of a copy as the API server has it after we wrote it; `since`: how long ago."""
    noted = Published(authority="default", bundle_hash="hash", since=None if since is None else NOW - since)
    body = publish.manifest(key, asking(), PEM, noted)
    entry = entry_of_ours(*(part for part in ("data", "spec", "metadata") if part in body), body=body)
    return {**body["metadata"], "uid": "u", "resourceVersion": str(version), "managedFields": [entry]}


# What there is to be


def store_with(**namespaces: dict[str, str]) -> Store:
    """A store that knows namespaces with labels; one that is called `ending` is being deleted."""
    store = Store()
    for name, found in namespaces.items():
        ends = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if name == "ending" else {}
        store.note_namespace({"name": name, "labels": found} | ends)
    return store


WANTED = [
    pytest.param(authority(), [CLUSTER_KEY], id="by default"),
    pytest.param(authority(trust={"clusterTrustBundle": False}), [], id="none"),
    pytest.param(asking(), [CLUSTER_KEY, "bank/bundle", KEY], id="every namespace"),
    pytest.param(asking(mesh="yes"), [CLUSTER_KEY, KEY], id="some namespaces"),
    pytest.param(asking(mesh="no", clusters=False), [], id="no namespace"),
    pytest.param(asking("other", mesh="yes", clusters=False), ["shop/other"], id="another name"),
]


@pytest.mark.parametrize(("of", "expected"), WANTED)
def test_which_copies_there_are_to_be(of: Authority, expected: list[str]) -> None:
    """None in a namespace that is being deleted, where none can be made."""
    store = store_with(shop={"mesh": "yes"}, bank={}, ending={"mesh": "yes"})

    assert sorted(expected) == sorted(store.wanted_copies(of))


def test_without_the_api_there_is_no_clustertrustbundle() -> None:
    """Older clusters do not have it."""
    store = store_with()
    store.serves_trust_bundles = False

    assert [] == store.wanted_copies(asking())


def test_a_copy_in_a_namespace_that_is_being_deleted_is_kept_current() -> None:
    """That may last for ever."""
    store = store_with(ending={})
    store.copies.note("ending/bundle", written("ending/bundle"), now=NOW)

    assert "ending/bundle" in store.wanted_copies(asking())


# What is believed of one


@KEYS
def test_what_we_wrote_is_believed(key: str) -> None:
    """By its annotation."""
    found = publish.parse(written(key, HOUR_AGO), None, now=NOW)

    assert ("default", True) == (found.authority, found.has("hash"))
    assert found.published is not None
    assert NOW - HOUR_AGO == found.published.since


HOUR_AGO = 60 * MINUTE


def _without(part: str, name: str) -> Any:
    """Take a field away from what we own."""

    def take(metadata: dict[str, Any]) -> None:
        fields = metadata["managedFields"][0]["fieldsV1"]
        for step in part.split("."):
            fields = fields[step]
        del fields[name]

    return take


def _unlabelled(metadata: dict[str, Any]) -> None:
    del metadata["labels"][labels.AUTHORITY]


TOUCHED = [
    pytest.param(KEY, _without("f:data", "f:ca.crt"), id="the bundle"),
    pytest.param(CLUSTER_KEY, _without("f:spec", "f:trustBundle"), id="the bundle of the cluster"),
    pytest.param(KEY, _without("f:metadata.f:annotations", f"f:{labels.PUBLISHED}"), id="the annotation"),
    pytest.param(KEY, _unlabelled, id="the label"),
]


@pytest.mark.parametrize(("key", "touch"), TOUCHED)
def test_what_somebody_changed_after_us_is_not_believed(key: str, touch: Any) -> None:
    """It is still ours, and written again."""
    metadata = copies.deepcopy(written(key))
    touch(metadata)
    found = publish.parse(metadata, None, now=NOW)

    assert ("default", False) == (found.authority, found.has("hash"))


def test_what_others_add_is_nothing_to_us() -> None:
    """They own it, not the bundle."""
    metadata = written()
    metadata["managedFields"].append(THEIRS)
    found = publish.parse(metadata, None, now=NOW)

    assert (True, "kubectl") == (found.has("hash"), found.others)


@pytest.mark.parametrize("annotation", [None, "", "no JSON", '{"bundleHash": "hash"}'])
def test_what_is_not_ours_is_nobodys(annotation: str | None) -> None:
    """Whatever its labels say."""
    metadata = written() | {"annotations": {labels.PUBLISHED: annotation} if annotation is not None else None}

    assert publish.parse(metadata, None, now=NOW).authority is None


SINCE = [
    pytest.param(None, None, id="made with it"),
    pytest.param(10 * SECOND, NOW, id="written just now: when it was seen to have landed"),
    pytest.param(HOUR_AGO, NOW - HOUR_AGO, id="written long ago"),
]


@pytest.mark.parametrize(("since", "expected"), SINCE)
def test_a_write_counts_from_when_it_has_landed(since: timedelta | None, expected: Any) -> None:
    """And goes on counting from then, whatever else changes."""
    first = publish.parse(written(since=since), None, now=NOW)
    second = publish.parse(written(since=since, version=6), first, now=NOW + SECOND)

    assert first.published is not None
    assert first.published == second.published
    assert expected == first.published.since


# What is written


@KEYS
def test_the_same_is_written_whole_and_as_a_patch(key: str) -> None:
    """But for the precondition, and what cannot change."""
    noted = Published(authority="default", bundle_hash="hash")
    whole = publish.manifest(key, asking(), PEM, noted)
    patch = publish.patch(key, asking(), PEM, noted, found=publish.parse(written(key), None, now=NOW))

    assert {"uid": "u", "resourceVersion": "5"}.items() <= patch["metadata"].items()
    assert whole["metadata"]["labels"] == patch["metadata"]["labels"]
    assert PEM == publish.content(key, whole) == publish.content(key, patch)
    assert [("MutualTLSAuthority", "uid-of-default")] == [
        (owner["kind"], owner["uid"]) for owner in whole["metadata"]["ownerReferences"]
    ]


def test_what_has_no_bundle_has_none() -> None:
    """Whatever else it has."""
    assert b"" == publish.content(KEY, {"data": {"README": "x"}}) == publish.content(CLUSTER_KEY, {})


# What is remembered


def test_an_older_event_is_ignored() -> None:
    """Our own answer was faster."""
    known = Copies()
    known.put(KEY, written(version=6), now=NOW)

    assert not known.note(KEY, written(version=5), now=NOW)
    assert not known.note_gone(KEY, "5")
    assert known.note(KEY, written(version=7), now=NOW)
    assert known.note_gone(KEY, "8")


def test_one_that_is_gone_was_there() -> None:
    """Who is given another in its place may still have its files."""
    known = Copies()
    assert not known.was_there(KEY)
    known.put_absent(KEY)
    assert not known.was_there(KEY)
    known.put(KEY, written(), now=NOW)
    known.put_absent(KEY)

    assert (True, None) == (known.was_there(KEY), known.get(KEY))


def test_copies_are_found_by_authority() -> None:
    """In one namespace, and all of them; not those of others."""
    known = Copies()
    for key in (KEY, "shop/former", "bank/bundle", CLUSTER_KEY):
        known.put(key, written(key), now=NOW)
    known.put("shop/foreign", written("shop/foreign") | {"annotations": {}}, now=NOW)

    assert {KEY, "shop/former"} == set(known.of("default", "shop"))
    assert {KEY, "shop/former", "bank/bundle", CLUSTER_KEY} == set(known.of_authority("default"))
    assert [] == known.of_authority("other")


def test_what_is_not_listed_is_found_by_kind() -> None:
    """ConfigMaps and ClusterTrustBundles are listed apart."""
    known = Copies()
    for key in (KEY, "bank/bundle", CLUSTER_KEY):
        known.put(key, written(key), now=NOW)

    assert ("bank/bundle",) == known.absent([KEY], with_namespace=True)
    assert (CLUSTER_KEY,) == known.absent([], with_namespace=False)


def test_a_namespace_that_is_gone_is_forgotten() -> None:
    """One of its name is another."""
    store = store_with(shop={})
    store.copies.put(KEY, written(), now=NOW)
    store.drop_namespace("shop")

    assert not store.copies.was_there(KEY)


# What rotations and conditions look at


def test_copies_are_looked_at_in_a_rotation() -> None:
    """One that is not there, or somebody else's, has no bundle."""
    store = store_with(shop={}, bank={}, farm={})
    store.authorities["default"] = asking()
    store.copies.put(KEY, written(since=HOUR_AGO), now=NOW)
    store.copies.put("bank/bundle", written("bank/bundle") | {"annotations": {}}, now=NOW)
    carriers = {one.name: (one.bundle_hash, one.since) for one in store.sight_of_authority("default").carriers}

    assert {
        "configmap shop/bundle": ("hash", NOW - HOUR_AGO),
        "configmap bank/bundle": (None, None),
        "configmap farm/bundle": (None, None),
        "clustertrustbundle mutualtls.dev:default:bundle": (None, None),
    } == carriers


def test_a_conflict_is_told_when_all_is_known() -> None:
    """What was not looked at yet may be somebody else's, or not."""
    store, of = store_with(shop={}, bank={}), asking(clusters=False)
    store.copies.put("bank/bundle", written("bank/bundle") | {"annotations": {}}, now=NOW)
    assert store.conflicting_copies(of) is None
    store.copies.put(KEY, written(), now=NOW)

    assert ["bank/bundle"] == store.conflicting_copies(of)


# managedFields


def test_fields_of_ours_may_be_in_several_entries() -> None:
    """One for each version of the API, and one for each subresource."""
    entries = [
        {"manager": labels.FIELD_MANAGER, "fieldsV1": {"f:data": {"f:a": {}}}},
        {"manager": "kubectl", "fieldsV1": {"f:data": {"f:b": {}}}},
        {"manager": labels.FIELD_MANAGER, "fieldsV1": {"f:data": {"f:c": {}}, "f:type": {}}},
    ]

    assert {"f:data": {"f:a": {}, "f:c": {}}, "f:type": {}} == managed.ours({"managedFields": entries})
