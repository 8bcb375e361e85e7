"""Copies of bundles: which there are to be, what is believed of one, and what is remembered of those that are gone."""

from __future__ import annotations

import copy as copies
from datetime import timedelta
from typing import Any

import pytest

from mutualtls.core import digests
from mutualtls.core.api import managed
from mutualtls.core.api.authority import Authority
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Published
from mutualtls.core.ca import source
from mutualtls.core.leaf import formats
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates
from mutualtls.store.copies import Copies
from mutualtls.store.store import Store
from support import strangers
from support.builders import MINUTE, NOW, SECOND, authority, entry_of_ours, signer

PEM = certificates.to_pem(signer().root.certificate)
KEY, CLUSTER_KEY = ObjectKey("shop", "bundle"), ObjectKey("", "mutualtls.dev:default:bundle")
KEYS = pytest.mark.parametrize("key", [KEY, CLUSTER_KEY])
THEIRS = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {"f:README": {}}}}


def asking(name: str = "bundle", *, clusters: bool = True, **labels_asked: str) -> Authority:
    """An authority whose bundle goes into the ConfigMap `bundle` of namespaces with these labels."""
    config_map = {"name": name, "namespaceSelector": {"matchLabels": labels_asked}}
    return authority(trust={"configMap": config_map, "clusterTrustBundle": clusters})


def written(key: ObjectKey = KEY, since: timedelta | None = None, version: int = 5) -> dict[str, Any]:
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
    pytest.param(asking(), [CLUSTER_KEY, ObjectKey("bank", "bundle"), KEY], id="every namespace"),
    pytest.param(asking(mesh="yes"), [CLUSTER_KEY, KEY], id="some namespaces"),
    pytest.param(asking(mesh="no", clusters=False), [], id="no namespace"),
    pytest.param(asking("other", mesh="yes", clusters=False), [ObjectKey("shop", "other")], id="another name"),
]


@pytest.mark.parametrize(("of", "expected"), WANTED)
def test_which_copies_there_are_to_be(of: Authority, expected: list[ObjectKey]) -> None:
    """A namespace that is being deleted takes none."""
    store = store_with(shop={"mesh": "yes"}, bank={}, ending={"mesh": "yes"})

    assert sorted(expected) == sorted(publish.wanted_copies(of, store.places))


def test_without_the_api_there_is_no_clustertrustbundle() -> None:
    """Older clusters do not have it."""
    store = store_with()
    store.serves_trust_bundles = False

    assert [] == publish.wanted_copies(asking(), store.places)


def test_a_copy_in_a_namespace_that_is_being_deleted_is_kept_current() -> None:
    """The deletion may last for ever."""
    store = store_with(ending={})
    store.copies.note(ObjectKey("ending", "bundle"), written(ObjectKey("ending", "bundle")), now=NOW)

    assert ObjectKey("ending", "bundle") in publish.wanted_copies(asking(), store.places)


# What is believed of one


@KEYS
def test_what_we_wrote_is_believed(key: ObjectKey) -> None:
    """Its annotation says what it holds."""
    found = publish.parse(written(key, HOUR_AGO), None, now=NOW)

    assert found.published is not None
    assert ("default", "hash") == (found.authority, found.published.bundle_hash)
    assert NOW - HOUR_AGO == found.published.since


HOUR_AGO = 60 * MINUTE


# What each place can hold

READABLE, UNREADABLE = strangers.ca("Good"), strangers.ca("Odd", key=strangers.ec_key(strangers.BRAINPOOL))
BUNDLE = certificates.to_pem(READABLE.certificate, UNREADABLE.certificate)


def test_a_clustertrustbundle_holds_what_go_can_read() -> None:
    """One root that it cannot hold keeps the others out of no place; it is named."""
    noted = publish.wanted(CLUSTER_KEY, "default", BUNDLE)
    body = publish.manifest(CLUSTER_KEY, asking(), BUNDLE, noted)

    assert certificates.to_pem(READABLE.certificate).decode() == body["spec"]["trustBundle"]
    assert BUNDLE.decode() == publish.manifest(KEY, asking(), BUNDLE, noted)["data"]["ca.crt"]
    assert (
        "CN=Odd has a key on the curve brainpoolP256r1, which Go does not know: use P-256, P-384 or P-521",
    ) == publish.left_out(BUNDLE)
    assert () == publish.left_out(PEM) == publish.left_out(b"")
    odd = certificates.to_pem(UNREADABLE.certificate)
    assert [True, True, False] == [
        publish.can_hold(key, odd) for key in (KEY, ObjectKey("bank", "bundle"), CLUSTER_KEY)
    ]


def test_each_place_has_a_hash_of_what_it_can_take() -> None:
    """If the bundle holds more, it also has that one's hash, so that no rotation waits for the impossible."""
    whole, held = (digests.content_hash(one) for one in (BUNDLE, certificates.to_pem(READABLE.certificate)))
    of_cluster, of_namespace = (publish.wanted(key, "default", BUNDLE) for key in (CLUSTER_KEY, KEY))

    assert (held, whole, whole) == (of_cluster.bundle_hash, of_cluster.of, of_cluster.whole_bundle_hash)
    assert (whole, "", whole) == (of_namespace.bundle_hash, of_namespace.of, of_namespace.whole_bundle_hash)
    assert publish.wanted(KEY, "default", PEM) == publish.wanted(CLUSTER_KEY, "default", PEM)


def test_what_a_place_did_not_hold_before_is_written_again() -> None:
    """A release may learn that a place can hold more, or less."""
    before = publish.Published(authority="default", bundle_hash=digests.content_hash(BUNDLE))
    body = publish.manifest(CLUSTER_KEY, asking(), PEM, before)
    entry = entry_of_ours("spec", "metadata", body=body)
    copy = publish.parse(
        {**body["metadata"], "uid": "u", "resourceVersion": "5", "managedFields": [entry]}, None, now=NOW
    )

    assert before == copy.published
    assert not copy.holds(publish.wanted(CLUSTER_KEY, "default", BUNDLE))


@pytest.mark.parametrize("name", strangers.roots())
def test_which_roots_a_place_can_hold(name: str) -> None:
    """The API server and Java agree about the same roots (`test_trust`, `test_verifiers`)."""
    pem = certificates.to_pem(strangers.roots()[name].certificate)

    assert (name in strangers.NOT_READ_BY_GO) is bool(publish.left_out(pem))
    assert (name in strangers.NOT_READ_BY_JAVA) is bool(formats.left_out(pem))
    assert pem.decode() == source.roots(pem.decode())


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
def test_what_somebody_changed_after_us_is_not_believed(key: ObjectKey, touch: Any) -> None:
    """It is still ours, and written again."""
    metadata = copies.deepcopy(written(key))
    touch(metadata)
    found = publish.parse(metadata, None, now=NOW)

    assert ("default", None) == (found.authority, found.published)


def test_what_others_add_is_nothing_to_us() -> None:
    """They own it, not the bundle."""
    metadata = written()
    metadata["managedFields"].append(THEIRS)
    found = publish.parse(metadata, None, now=NOW)

    assert found.published is not None
    assert "kubectl" == found.others


@pytest.mark.parametrize("annotation", [None, "", "no JSON", '{"bundleHash": "hash"}'])
def test_what_is_not_ours_is_nobodys(annotation: str | None) -> None:
    """Its labels do not matter."""
    metadata = written() | {"annotations": {labels.PUBLISHED: annotation} if annotation is not None else None}

    assert publish.parse(metadata, None, now=NOW).authority is None


SINCE = [
    pytest.param(None, None, id="made with it"),
    pytest.param(10 * SECOND, NOW, id="written just now: when it was seen to have landed"),
    pytest.param(HOUR_AGO, NOW - HOUR_AGO, id="written long ago"),
]


@pytest.mark.parametrize(("since", "expected"), SINCE)
def test_a_write_counts_from_when_it_has_landed(since: timedelta | None, expected: Any) -> None:
    """The time does not change when something else does."""
    first = publish.parse(written(since=since), None, now=NOW)
    second = publish.parse(written(since=since, version=6), first, now=NOW + SECOND)

    assert first.published is not None
    assert first.published == second.published
    assert expected == first.published.since


# What is written


@KEYS
def test_the_same_is_written_whole_and_as_a_patch(key: ObjectKey) -> None:
    """The two differ in the precondition and in what cannot change."""
    noted = Published(authority="default", bundle_hash="hash")
    whole = publish.manifest(key, asking(), PEM, noted)
    patch = publish.patch(key, asking(), PEM, noted, found=publish.parse(written(key), None, now=NOW))

    assert {"uid": "u", "resourceVersion": "5"}.items() <= patch["metadata"].items()
    assert whole["metadata"]["labels"] == patch["metadata"]["labels"]
    assert PEM == publish.content(key, whole) == publish.content(key, patch)
    assert "ownerReferences" not in whole["metadata"], "it outlives its authority"
    assert "ownerReferences" not in patch["metadata"]


OWNER = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "name": "default", "uid": "x"}
OTHER_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "of-theirs", "uid": "y"}


def test_an_owner_of_before_is_taken_off_alone() -> None:
    """Deleting the authority must not delete the copy; owners that others set stay."""
    owned = written() | {"ownerReferences": [OWNER, OTHER_OWNER]}
    found = publish.parse(owned, None, now=NOW)
    noted = Published(authority="default", bundle_hash="hash")
    patch = publish.patch(KEY, asking(), PEM, noted, found=found)

    assert (True, False) == (found.holds(noted), found.is_as_asked(noted))
    assert [OTHER_OWNER] == patch["metadata"]["ownerReferences"]


GOES = [
    pytest.param({}, timedelta(hours=168 + 24), id="the longest leaf and the soak"),
    pytest.param({"removeAfter": "5m"}, 5 * MINUTE, id="as asked"),
]


@pytest.mark.parametrize(("trust", "expected"), GOES)
def test_one_that_is_not_asked_for_goes_later(trust: dict[str, Any], expected: timedelta) -> None:
    """The time counts from the moment that its annotation records."""
    of = authority(trust=trust)
    told = Published(authority="default", bundle_hash="hash", surplus_since=NOW)
    body = publish.manifest(KEY, of, PEM, told)
    entry = entry_of_ours("data", "metadata", body=body)
    found = publish.parse(
        {**body["metadata"], "uid": "u", "resourceVersion": "6", "managedFields": [entry]},
        publish.parse(written(), None, now=NOW),
        now=NOW,
    )

    assert publish.parse(written(), None, now=NOW).goes(of) is None
    assert (NOW + expected, True, False) == (found.goes(of), found.holds(told), found.is_as_asked(told))


def test_what_has_no_bundle_has_none() -> None:
    """It does not matter what else it has."""
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
    """A workload that gets another in its place may still have the old files."""
    known = Copies()
    assert not known.was_there(KEY)
    known.put_absent(KEY)
    assert not known.was_there(KEY)
    known.put(KEY, written(), now=NOW)
    known.put_absent(KEY)

    assert (True, None) == (known.was_there(KEY), known.get(KEY))


def test_copies_are_found_by_authority() -> None:
    """Copies of one namespace are found, and all; not those of other authorities."""
    known = Copies()
    for key in (KEY, ObjectKey("shop", "former"), ObjectKey("bank", "bundle"), CLUSTER_KEY):
        known.put(key, written(key), now=NOW)
    known.put(ObjectKey("shop", "foreign"), written(ObjectKey("shop", "foreign")) | {"annotations": {}}, now=NOW)

    assert {KEY, ObjectKey("shop", "former")} == set(known.of("default", "shop"))
    assert {KEY, ObjectKey("shop", "former"), ObjectKey("bank", "bundle"), CLUSTER_KEY} == set(
        known.of_authority("default")
    )
    assert [] == known.of_authority("other")


def test_what_is_not_listed_is_found_by_kind() -> None:
    """ConfigMaps and ClusterTrustBundles are listed apart."""
    known = Copies()
    for key in (KEY, ObjectKey("bank", "bundle"), CLUSTER_KEY):
        known.put(key, written(key), now=NOW)

    assert (ObjectKey("bank", "bundle"),) == known.absent_config_maps([KEY])
    assert (CLUSTER_KEY,) == known.absent_trust_bundles([])


def test_a_namespace_that_is_gone_is_forgotten() -> None:
    """One of its name is another."""
    store = store_with(shop={})
    store.copies.put(KEY, written(), now=NOW)
    store.drop_namespace("shop", store.namespaces["shop"].uid)

    assert not store.copies.was_there(KEY)


# What rotations and conditions look at


def test_copies_are_looked_at_in_a_rotation() -> None:
    """One that is not there, or somebody else's, has no bundle."""
    store = store_with(shop={}, bank={}, farm={})
    store.authorities.hold("default", asking())
    store.copies.put(KEY, written(since=HOUR_AGO), now=NOW)
    store.copies.put(ObjectKey("bank", "bundle"), written(ObjectKey("bank", "bundle")) | {"annotations": {}}, now=NOW)
    carriers = {one.name: (one.bundle_hash, one.since) for one in store.rollout_of("default").carriers}

    assert {
        "configmap shop/bundle": ("hash", NOW - HOUR_AGO),
        "configmap bank/bundle": (None, None),
        "configmap farm/bundle": (None, None),
        "clustertrustbundle mutualtls.dev:default:bundle": (None, None),
    } == carriers


def test_a_conflict_is_told_when_all_is_known() -> None:
    """What was not looked at yet may be somebody else's, or not."""
    store, of = store_with(shop={}, bank={}), asking(clusters=False)
    store.copies.put(ObjectKey("bank", "bundle"), written(ObjectKey("bank", "bundle")) | {"annotations": {}}, now=NOW)
    assert publish.conflicts(of, store.places, refused=store.copies.refused_of(of.name)) is None
    store.copies.put(KEY, written(), now=NOW)

    assert [ObjectKey("bank", "bundle")] == publish.conflicts(
        of, store.places, refused=store.copies.refused_of(of.name)
    )


# managedFields


def test_fields_of_ours_may_be_in_several_entries() -> None:
    """There is an entry for each version of the API, and one for each subresource."""
    entries = [
        {"manager": labels.FIELD_MANAGER, "fieldsV1": {"f:data": {"f:a": {}}}},
        {"manager": "kubectl", "fieldsV1": {"f:data": {"f:b": {}}}},
        {"manager": labels.FIELD_MANAGER, "fieldsV1": {"f:data": {"f:c": {}}, "f:type": {}}},
    ]

    assert {"f:data": {"f:a": {}, "f:c": {}}, "f:type": {}} == managed.ours({"managedFields": entries})
