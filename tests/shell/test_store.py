"""What is known of the cluster: our own writes first, then what the watches tell, and never backwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.leaf import secret
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube.watch import key_of
from mutualtls.store.secrets import SecretRecord
from mutualtls.store.store import Store
from support.builders import (
    HOUR,
    NOW,
    PKCS12,
    SECOND,
    UID,
    an_identity,
    identity_body,
    known,
    merged,
    observed,
    secret_of,
    settled,
)

KEY, SECRET = ObjectKey("shop", "orders"), ObjectKey("shop", "orders-mtls")
WRITTEN = IdentityStatus(observed_generation=1, secret_name="orders-mtls")  # noqa: S106 - the name of an object


# Identities


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


def test_a_new_identity_is_news() -> None:
    """It is known then."""
    store = Store()
    found = store.identities.note(identity_body())

    assert an_identity() == found
    assert {KEY: found} == store.identities


@pytest.mark.parametrize(
    ("version", "is_news"),
    [
        pytest.param(4, False, id="older"),
        pytest.param(5, False, id="the same"),
        pytest.param(6, True, id="later"),
        pytest.param(10, True, id="later, and before it by its letters"),
    ],
)
def test_what_is_known_is_no_news(version: int, *, is_news: bool) -> None:
    """Versions are compared as numbers."""
    store = with_identity(5)
    found = store.identities.note(identity_body(version=version, duration="1h"))

    assert is_news is (found is not None)
    assert ("1h" if is_news else None) == store.identities[KEY].spec.duration


def test_our_own_echo_is_no_news() -> None:
    """A status that we wrote comes back at the version that the answer told."""
    store = with_identity(5)
    store.identities.note_status(KEY, WRITTEN, answer(6))

    assert store.identities.note(body_with(WRITTEN, version=6)) is None
    assert (WRITTEN, "6") == (store.identities[KEY].status, store.identities[KEY].resource_version)


def test_an_echo_that_overtakes_the_answer_is_no_news() -> None:
    """The watch may be quicker than the answer to the write."""
    store = with_identity(5)
    identity = store.identities[KEY]
    store.identities.expect_status(identity, WRITTEN, instead_of=identity.status)

    assert store.identities.note(body_with(WRITTEN, version=6)) is None
    store.identities.note_status(KEY, WRITTEN, answer(6))
    assert (WRITTEN, "6") == (store.identities[KEY].status, store.identities[KEY].resource_version)


def test_a_status_that_could_not_be_written_is_taken_back() -> None:
    """It is then tried again."""
    store = with_identity(5)
    identity = store.identities[KEY]
    store.identities.expect_status(identity, WRITTEN, instead_of=identity.status)
    store.identities.expect_status(identity, identity.status, instead_of=WRITTEN)

    assert {KEY: identity} == store.identities


OTHERS = IdentityStatus(observed_generation=7)


@pytest.mark.parametrize(
    ("known", "status"),
    [
        pytest.param(identity_body(version=6) | {"status": {"observedGeneration": 7}}, OTHERS, id="another status"),
        pytest.param(None, None, id="it is gone"),
    ],
)
def test_what_the_watch_brought_meanwhile_counts_more(
    known: dict[str, Any] | None, status: IdentityStatus | None
) -> None:
    """Than a status that is about to be written, or is taken back."""
    store = with_identity(5)
    identity = store.identities[KEY]
    if known:
        store.identities.note(known)
    else:
        store.drop_identity(KEY, UID)
    store.identities.expect_status(identity, WRITTEN, instead_of=identity.status)
    store.identities.expect_status(identity, identity.status, instead_of=WRITTEN)

    assert ({KEY: status} if status else {}) == {key: found.status for key, found in store.identities.items()}


def test_a_status_is_not_that_of_a_successor() -> None:
    """Another of its name has come."""
    store = with_identity(5)
    before = store.identities[KEY]
    successor = merged(identity_body(version=9), {"metadata": {"uid": "another"}})
    store.identities.note(successor)
    store.identities.expect_status(before, WRITTEN, instead_of=before.status)

    assert IdentityStatus() == store.identities[KEY].status


def test_a_status_of_somebody_else_is_news() -> None:
    """It is to be written over."""
    store = with_identity(5)
    store.identities.note_status(KEY, WRITTEN, answer(6))

    assert store.identities.note(body_with(IdentityStatus(), version=7)) is not None


def test_a_change_of_what_does_not_matter_is_no_news() -> None:
    """Such as a label; but its version is known then."""
    store = with_identity(5)
    body = merged(identity_body(version=6), {"metadata": {"labels": {"team": "a"}}})

    assert store.identities.note(body) is None
    assert "6" == store.identities[KEY].resource_version


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        pytest.param({"generation": 2}, {"generation": 2, "duration": "1h"}, id="the spec"),
        pytest.param({"annotations": {labels.REISSUE: "abc"}}, {"annotations": {labels.REISSUE: "abc"}}, id="an order"),
    ],
)
def test_a_change_that_our_write_of_a_status_raced_is_not_lost(changed: dict[str, Any], more: dict[str, Any]) -> None:
    """The answer holds the change, but of the object we keep the status alone: the watch must bring the rest."""
    store = with_identity(5)
    store.identities.note_status(KEY, WRITTEN, answer(7) | changed)
    found = store.identities.note(body_with(WRITTEN, version=7, **more))

    assert found is not None
    assert found == store.identities[KEY]


def test_a_deletion_that_our_write_of_a_status_raced_is_not_lost() -> None:
    """A change of the spec is not lost, either."""
    store = with_identity(5)
    store.identities.note_status(KEY, WRITTEN, answer(7, deletionTimestamp="2026-01-02T03:04:05Z"))
    deleting = {"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}}
    found = store.identities.note(merged(body_with(WRITTEN, version=7), deleting))

    assert found is not None
    assert found.is_deleting


def test_a_change_that_the_watch_brought_before_the_answer_is_kept() -> None:
    """The answer is older then."""
    store = with_identity(5)
    store.identities.note(identity_body(version=7, generation=2, duration="1h"))
    store.identities.note_status(KEY, WRITTEN, answer(6))

    assert ("1h", "7") == (store.identities[KEY].spec.duration, store.identities[KEY].resource_version)


def test_an_answer_does_not_take_the_version_back() -> None:
    """Otherwise what is known would be news again."""
    store = with_identity(5)
    store.identities.note(merged(identity_body(version=9), {"metadata": {"labels": {"team": "a"}}}))
    store.identities.note_status(KEY, WRITTEN, answer(6))

    assert "9" == store.identities[KEY].resource_version


@pytest.mark.parametrize(
    "key", [pytest.param(KEY, id="another of its name"), pytest.param(ObjectKey("shop", "unknown"), id="unknown")]
)
def test_an_answer_about_another_object_is_ignored(key: ObjectKey) -> None:
    """It was deleted and made anew meanwhile, or was never known."""
    store = with_identity(5)
    before = dict(store.identities)
    store.identities.note_status(key, WRITTEN, answer(6, uid="older"))

    assert before == store.identities


def test_an_identity_that_is_gone_is_forgotten() -> None:
    """Everything that led to it is forgotten as well."""
    store = with_identity(authority="prod")
    store.drop_identity(KEY, UID)

    assert {} == store.identities
    assert () == store.identities.of_authority("prod")
    assert () == store.identities.of_namespace("shop")
    assert () == store.identities.of_secret(ObjectKey("shop", "orders-mtls"))


def test_a_late_deletion_does_not_touch_a_successor() -> None:
    """Another of the same name has come."""
    store = with_identity()
    store.drop_identity(KEY, "older")

    assert {KEY} == set(store.identities)


def test_identities_are_found_by_what_they_depend_on() -> None:
    """Authority, namespace, Secret."""
    store = with_identity(authority="prod")
    store.identities.note(identity_body("payments", "shop", secret={"name": "orders-mtls"}))
    store.identities.note(identity_body("orders", "bank", authority="prod"))

    assert {KEY, ObjectKey("bank", "orders")} == set(store.identities.of_authority("prod"))
    assert {ObjectKey("shop", "payments")} == set(store.identities.of_authority("default"))
    assert {KEY, ObjectKey("shop", "payments")} == set(store.identities.of_namespace("shop"))
    assert {KEY, ObjectKey("shop", "payments")} == set(store.identities.of_secret(ObjectKey("shop", "orders-mtls")))
    assert {ObjectKey("bank", "orders")} == set(store.identities.of_secret(ObjectKey("bank", "orders-mtls")))


def test_an_identity_that_moved_is_found_where_it_is() -> None:
    """It is no longer found where it was."""
    store = with_identity(5, authority="prod")
    store.identities.note(identity_body(version=6, authority="test", secret={"name": "tls"}))

    assert ((), (KEY,)) == (store.identities.of_authority("prod"), store.identities.of_authority("test"))
    assert ((), (KEY,)) == (
        store.identities.of_secret(ObjectKey("shop", "orders-mtls")),
        store.identities.of_secret(ObjectKey("shop", "tls")),
    )


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "version", "is_known"),
    [
        pytest.param(labels.IDENTITY_KIND, "shop", "orders", "5", True, id="this version"),
        pytest.param(labels.IDENTITY_KIND, "shop", "orders", "4", True, id="an older one"),
        pytest.param(labels.IDENTITY_KIND, "shop", "orders", "6", False, id="a later one"),
        pytest.param(labels.IDENTITY_KIND, "bank", "orders", "5", False, id="another namespace"),
        pytest.param(labels.AUTHORITY_KIND, "", "default", "3", True, id="an authority"),
        pytest.param(labels.AUTHORITY_KIND, "", "default", "4", False, id="a later one of an authority"),
        pytest.param("Namespace", "", "shop", "1", False, id="another kind"),
    ],
)
def test_which_versions_are_known(kind: str, namespace: str, name: str, version: str, *, is_known: bool) -> None:
    """Kopf is then spared their events."""
    store = with_identity(5)
    store.authorities.note(authority_body(version=3))

    assert is_known is store.is_known(kind, namespace, name, version)


# Authorities and namespaces


def authority_body(*, version: int = 1, served_by: str | None = None, **spec: Any) -> dict[str, Any]:
    """An authority as JSON of the API server."""
    metadata = {"name": "default", "uid": "uid-of-default", "generation": 1, "resourceVersion": str(version)}
    annotations = {labels.OPERATOR_NAMESPACE: served_by} if served_by else {}
    return {"metadata": metadata | {"annotations": annotations}, "spec": spec}


def test_an_older_event_of_an_authority_is_ignored() -> None:
    """It is the same for an identity."""
    store = Store()

    assert store.authorities.note(authority_body(version=5)) is not None
    assert store.authorities.note(authority_body(version=5)) is None
    assert store.authorities.note(authority_body(version=4, suspend=True)) is None
    assert store.authorities.note(authority_body(version=6, suspend=True)) is not None
    assert store.authorities["default"].spec.suspend


def test_our_own_write_of_an_authoritys_status_wakes_nobody() -> None:
    """Its echo is known."""
    store = Store()
    store.authorities.note(authority_body(version=5))
    status = AuthorityStatus(observed_generation=1)
    store.authorities.note_status("default", status, answer(6, uid="uid-of-default"))

    assert store.authorities.note(authority_body(version=6)) is None
    assert status == store.authorities["default"].status


def test_a_claim_that_our_write_of_an_authoritys_status_raced_is_not_lost() -> None:
    """The watch brings who serves it."""
    store = Store()
    store.authorities.note(authority_body(version=5))
    annotations = {labels.OPERATOR_NAMESPACE: "mutualtls-system"}
    store.authorities.note_status(
        "default", AuthorityStatus(), answer(7, uid="uid-of-default", annotations=annotations)
    )
    found = store.authorities.note(authority_body(version=7, served_by="mutualtls-system"))

    assert found is not None
    assert "mutualtls-system" == found.operator_namespace


def test_an_order_that_our_write_of_an_authoritys_status_raced_is_not_lost() -> None:
    """The watch brings it."""
    store = Store()
    store.authorities.note(authority_body(version=5))
    annotations = {labels.ABANDON: "AB:CD" * 16}
    store.authorities.note_status(
        "default", AuthorityStatus(), answer(7, uid="uid-of-default", annotations=annotations)
    )
    body = merged(authority_body(version=7), {"metadata": {"annotations": annotations}})
    found = store.authorities.note(body)

    assert found is not None
    assert frozenset({"abcd" * 16}) == found.orders.abandon


def test_an_answer_does_not_take_the_version_of_an_authority_back() -> None:
    """It is the same for an identity."""
    store = Store()
    store.authorities.note(authority_body(version=9))
    store.authorities.note_status("default", AuthorityStatus(), answer(6, uid="uid-of-default"))

    assert "9" == store.authorities["default"].resource_version


def test_an_authority_that_is_gone_is_forgotten_unless_another_has_come() -> None:
    """The uid tells."""
    store = Store()
    store.authorities.note(authority_body())
    store.drop_authority("default", "older")

    assert {"default"} == set(store.authorities)
    store.drop_authority("default", "uid-of-default")
    assert {} == store.authorities


@pytest.mark.parametrize(
    ("metadata", "is_news"),
    [
        pytest.param({"name": "shop", "labels": {"a": "1"}}, False, id="as it was"),
        pytest.param({"name": "shop", "labels": {"a": "1"}, "annotations": {"b": "2"}}, False, id="an annotation"),
        pytest.param({"name": "shop", "labels": {"a": "2"}}, True, id="a label"),
        pytest.param({"name": "shop", "labels": {"a": "1"}, "deletionTimestamp": "x"}, True, id="it ends"),
        pytest.param({"name": "bank"}, True, id="another"),
    ],
)
def test_a_namespace_is_news_when_decisions_depend_on_it(metadata: dict[str, Any], *, is_news: bool) -> None:
    """Labels, and whether it ends."""
    store = Store()
    store.note_namespace({"name": "shop", "labels": {"a": "1"}})

    assert is_news is store.note_namespace(metadata)


def test_a_namespace_that_is_gone_is_forgotten() -> None:
    """This includes one that was never known."""
    store = Store()
    store.note_namespace({"name": "shop"})
    store.drop_namespace("shop")
    store.drop_namespace("bank")

    assert {} == store.namespaces


# Secrets


def metadata(version: int, **more: Any) -> dict[str, Any]:
    """Metadata of a Secret of ours, at a version."""
    return {**secret_of(observed(an_identity()))["metadata"], "resourceVersion": str(version), **more}


def files() -> Facts:
    """Facts of good files."""
    return settled().facts


def facts_in(found: Facts | Damage | None) -> Facts:
    """What is known of files that are good."""
    if not isinstance(found, Facts):
        raise TypeError(f"no facts: {found}")
    return found


def record(store: Store) -> SecretRecord:
    """What is known of the Secret."""
    return store.secrets[SECRET]


def known_of(store: Store) -> tuple[SecretRecord | None, int]:
    """What is known of the Secret, be it gone, and at which version."""
    return store.secrets.get(SECRET), store.secrets.version(SECRET)


def written(version: int = 5) -> Store:
    """A store that has the answer to our own write of a Secret, for an identity that asks for it."""
    store = with_identity()
    store.secrets.put(SECRET, metadata(version), files(), now=NOW)
    return store


def test_a_new_secret_is_news_with_its_facts() -> None:
    """They come from its annotation, if nobody changed it after us."""
    store = Store()
    body = secret_of(observed(an_identity()))

    assert store.secrets.note(SECRET, body["metadata"], now=NOW)
    assert known(body).files == record(store).files
    assert secret.parse(body["metadata"]) == record(store).metadata


def test_a_secret_that_somebody_changed_is_to_be_read() -> None:
    """Its annotation is not believed."""
    store = written(5)
    entry = {"manager": "kubectl-edit", "fieldsV1": {"f:data": {"f:tls.crt": {}}}}

    assert store.secrets.note(SECRET, metadata(6, managedFields=[entry]), now=NOW + HOUR)
    assert record(store).files is None


@pytest.mark.parametrize("version", [pytest.param(4, id="older"), pytest.param(5, id="our own echo")])
def test_an_event_of_a_secret_that_is_known_is_ignored(version: int) -> None:
    """Our own write has told it, body and all."""
    store = written(5)
    before = record(store)

    assert not store.secrets.note(SECRET, metadata(version, managedFields=[]), now=NOW + HOUR)
    assert before == record(store)


def test_a_secret_that_left_the_watch_has_vanished() -> None:
    """It is to be read before it is believed deleted: its label may have been taken off."""
    store = written(5)

    assert store.secrets.note_gone(SECRET, "6")
    assert (None, 6) == known_of(store)


@pytest.mark.parametrize("version", ["4", "5"])
def test_an_old_deletion_is_ignored(version: str) -> None:
    """It is about the object that was there before ours."""
    store = written(5)

    assert not store.secrets.note_gone(SECRET, version)
    assert isinstance(store.secrets.get(SECRET), SecretRecord)


def test_a_deletion_is_told_once() -> None:
    """The deletion of an unknown Secret is not told at all."""
    store = written(5)

    assert store.secrets.note_gone(SECRET, "6")
    assert not store.secrets.note_gone(SECRET, "6")
    assert not store.secrets.note_gone(ObjectKey("shop", "unknown"), "6")


def test_an_event_from_before_it_vanished_does_not_bring_it_back() -> None:
    """A later one does."""
    store = written(5)
    store.secrets.note_gone(SECRET, "8")

    assert not store.secrets.note(SECRET, metadata(7), now=NOW)
    assert (None, 8) == known_of(store)
    assert store.secrets.note(SECRET, metadata(9), now=NOW)
    assert "9" == record(store).metadata.resource_version


def test_a_read_at_the_version_at_which_it_vanished_brings_it_back() -> None:
    """Its label was taken off at that version, and it is there."""
    store = written(5)
    store.secrets.note_gone(SECRET, "8")
    store.secrets.put(SECRET, metadata(8), files(), now=NOW)

    assert "8" == record(store).metadata.resource_version


def overtaken(store: Store) -> None:
    """Have the watch bring a change by somebody else."""
    store.secrets.note(SECRET, metadata(7, managedFields=[]), now=NOW)


def vanished(store: Store) -> None:
    """Have the watch bring a deletion."""
    store.secrets.note_gone(SECRET, "7")


@pytest.mark.parametrize(
    "event",
    [pytest.param(overtaken, id="somebody changed it"), pytest.param(vanished, id="somebody deleted it")],
)
def test_an_answer_that_was_overtaken_by_the_watch_is_ignored(event: Callable[[Store], None]) -> None:
    """We wrote version 6, somebody else version 7, and the watch was quicker than the answer to our write."""
    store = written(5)
    event(store)
    before = known_of(store)
    store.secrets.put(SECRET, metadata(6), files(), now=NOW)

    assert before == known_of(store)


def test_a_secret_that_is_not_there_is_forgotten() -> None:
    """Our own reading or deleting shows it, even if it was never known."""
    store = written(5)
    store.secrets.drop(SECRET)
    store.secrets.drop(ObjectKey("shop", "unknown"))

    assert {} == store.secrets


def test_secrets_that_are_not_listed_are_found() -> None:
    """A watch that was cut does not tell of deletions."""
    store = written(5)
    store.secrets.put(ObjectKey("shop", "other"), metadata(5), None, now=NOW)

    assert {ObjectKey("shop", "other")} == set(store.secrets.absent([SECRET, ObjectKey("bank", "orders-mtls")]))


def test_what_our_own_write_tells_is_all_that_is_known() -> None:
    """The time at which it was seen is kept."""
    store = Store()
    store.secrets.put(SECRET, metadata(5), files(), now=NOW + SECOND)

    assert (NOW + SECOND, "5") == (record(store).verified, record(store).metadata.resource_version)
    assert SECRET == key_of({"namespace": "shop", "name": "orders-mtls"})


def test_no_key_material_enters() -> None:
    """The store keeps only metadata and facts of a Secret."""
    o = observed(an_identity())
    body = secret_of(o)
    store = Store()
    store.secrets.note(SECRET, body["metadata"], now=NOW)
    store.secrets.put(SECRET, body["metadata"], known(body).files, now=NOW)

    assert body["data"]["tls.key"] not in repr(vars(store.secrets))
    assert "PRIVATE KEY" not in repr(vars(store.secrets))


# Secrets by authority


def leaf(issuer: str, ends: timedelta) -> Facts:
    """Facts of a leaf of a CA that ends some time from now."""
    return msgspec.structs.replace(files(), issuer_key_id=issuer, not_after=NOW + ends)


def test_files_of_an_authority_are_found() -> None:
    """They are found by their label, if their files are known."""
    store = written(5)
    store.secrets.put(ObjectKey("shop", "a"), metadata(5, labels={labels.AUTHORITY: "other"}), leaf("1", HOUR), now=NOW)
    store.secrets.put(ObjectKey("shop", "b"), metadata(5, labels={}), leaf("1", HOUR), now=NOW)
    store.secrets.put(ObjectKey("shop", "c"), metadata(5), None, now=NOW)
    store.secrets.put(ObjectKey("shop", "d"), metadata(5), Damage(reason=Reason.KEY_MISMATCH, message="why"), now=NOW)
    store.secrets.put(ObjectKey("shop", "e"), metadata(5), leaf("1", HOUR), now=NOW)
    store.secrets.note_gone(ObjectKey("shop", "e"), "6")

    assert [SECRET] == [key for key, _ in store.secrets.files_of_authority("default")]
    assert [ObjectKey("shop", "a")] == [key for key, _ in store.secrets.files_of_authority("other")]
    assert [] == store.secrets.files_of_authority("unknown")


# What rotations look at


def recorded(name: str, end: str) -> IdentityStatus:
    """A status of an identity that has its files in a Secret."""
    certificate = CertificateStatus(
        serial_number="1",
        fingerprint="",
        public_key_hash="",
        not_before="",
        not_after=end,
        renewal_time="",
        issuer_key_id="1",
    )
    return IdentityStatus(certificate=certificate, secret_name=name)


def seen(store: Store) -> list[ObjectKey]:
    """List the Secrets that gates wait for, and see that leaves and bundles are of the same ones."""
    rollout = store.rollout_of("default")
    assert {f"secret {leaf.secret}" for leaf in rollout.leaves} == {
        one.name for one in rollout.carriers if not one.name.startswith("clustertrustbundle")
    }
    return sorted(leaf.secret for leaf in rollout.leaves)


def test_what_is_waited_for_comes_from_identities() -> None:
    """A Secret counts that one asks for, or that its status names; not a copy of it, whatever labels it bears."""
    store = Store()
    store.secrets.put(SECRET, metadata(5), files(), now=NOW)
    store.secrets.put(ObjectKey("bank", "copy"), metadata(5), files(), now=NOW)
    store.secrets.put(ObjectKey("shop", "orders-backup"), metadata(5), files(), now=NOW)
    store.secrets.put(ObjectKey("shop", "former"), metadata(5), files(), now=NOW)
    assert [] == seen(store)
    store.identities.note(identity_body())
    assert [SECRET] == seen(store)
    store.identities.note(body_with(recorded("former", ""), version=2))

    assert [ObjectKey("shop", "former"), SECRET] == seen(store)
    store.drop_identity(KEY, UID)
    assert [] == seen(store)


def test_what_no_identity_has_is_named_as_skipped() -> None:
    """A mirror's copy, one beside it, and a Secret that its identity records no more. It is waited for nowhere."""
    store = Store()
    ca = ObjectKey("mutualtls-system", labels.ca_secret_name("default", "root", 1))
    there = (ObjectKey("bank", "orders-mtls"), ObjectKey("shop", "orders-backup"), ObjectKey("shop", "former"))
    for key in (*there, SECRET, ca):
        store.secrets.put(key, metadata(5), None, now=NOW)
    store.secrets.put(ObjectKey("bank", "other"), metadata(5, labels={labels.AUTHORITY: "other"}), files(), now=NOW)
    store.secrets.put(ObjectKey("shop", "gone"), metadata(5), files(), now=NOW)
    store.secrets.note_gone(ObjectKey("shop", "gone"), "6")
    copies = ("secret bank/orders-mtls", "secret shop/orders-backup")

    store.identities.note(body_with(recorded("former", "")))
    assert copies == store.rollout_of("default").skipped
    store.identities.note(body_with(recorded("orders-mtls", ""), version=9))
    assert (*copies, "secret shop/former") == store.rollout_of("default").skipped
    assert [SECRET] == seen(store)
    assert ("secret bank/other",) == store.rollout_of("other").skipped
    assert () == store.rollout_of("default", is_whole=False).skipped


def test_a_secret_of_somebody_else_in_the_place_is_not_waited_for() -> None:
    """It carries no mark of the identity."""
    store = with_identity()
    store.secrets.put(SECRET, metadata(5, annotations={}), files(), now=NOW)

    assert [] == seen(store)


@pytest.mark.parametrize(
    ("said", "end"),
    [
        pytest.param("2026-01-02T03:04:05Z", NOW, id="a time"),
        pytest.param("", None, id="nothing"),
        pytest.param("2026-01-02T03:04:05", None, id="a time without a zone"),
    ],
)
def test_the_end_of_a_leaf_is_what_its_identity_records(said: str, end: datetime | None) -> None:
    """Its own annotation may say anything."""
    store = written(5)
    store.identities.note(body_with(recorded("orders-mtls", said), version=9))

    assert [end] == [leaf.recorded_end for leaf in store.rollout_of("default").leaves]


def test_what_was_read_is_known_instead_of_what_an_annotation_claims() -> None:
    """It does not count as seen, because it was not compared with the CA that it names."""
    store = Store()
    body = secret_of(observed(an_identity()))
    real = facts_in(known(body).files)
    claim = msgspec.structs.replace(real, not_after=NOW + 900 * HOUR)
    body["metadata"]["annotations"][labels.FACTS] = msgspec.json.encode(claim).decode()
    store.secrets.note(SECRET, body["metadata"], now=NOW)
    assert claim.not_after == facts_in(record(store).files).not_after
    store.secrets.correct(SECRET, body)

    assert real.not_after == facts_in(record(store).files).not_after
    assert not record(store).is_seen
    store.secrets.correct(ObjectKey("shop", "none"), None)


@pytest.mark.parametrize(
    ("name", "authority"),
    [
        pytest.param(labels.ca_secret_name("default", "root", 1), "default", id="of a root"),
        pytest.param(labels.ca_secret_name("a-b", "issuing", 12), "a-b", id="of an issuing CA"),
        pytest.param("mutualtls-ca.default.root", None, id="too short"),
        pytest.param("mutualtls-ca.default.root.1.2", None, id="too long"),
        pytest.param("mutualtls-ledger.default", None, id="a ledger's"),
        pytest.param("orders-mtls", None, id="of files"),
    ],
)
def test_the_name_of_a_ca_secret_tells_its_authority(name: str, authority: str | None) -> None:
    """No other name does."""
    assert authority == next(iter(labels.parse_ca_secret_name(name) or [None]))


# Passwords


def test_identities_are_found_by_their_password() -> None:
    """They are found until they name another, or none."""
    store = with_identity(5, formats={"pkcs12": PKCS12})
    assert (KEY,) == store.identities.of_password(ObjectKey("shop", "stores"))
    assert store.identities.of_password(ObjectKey("other", "stores")) == ()

    store.identities.note(identity_body(version=6, formats={"pkcs12": {"passwordSecretRef": {"name": "next"}}}))
    assert store.identities.of_password(ObjectKey("shop", "stores")) == ()
    assert (KEY,) == store.identities.of_password(ObjectKey("shop", "next"))

    store.identities.note(identity_body(version=7))
    assert store.identities.of_password(ObjectKey("shop", "next")) == ()


@pytest.mark.parametrize(
    ("marked", "is_password"),
    [
        pytest.param({labels.PART: "password"}, True, id="labelled"),
        pytest.param({labels.PART: "files"}, False, id="files"),
        pytest.param({}, False, id="not labelled"),
    ],
)
def test_a_password_is_told_by_its_label(marked: dict[str, str], *, is_password: bool) -> None:
    """Nothing else counts."""
    body = secret_of(observed(an_identity()))

    assert is_password is secret.parse(body["metadata"] | {"labels": marked}).is_password


# What comes and goes


def test_nothing_is_kept_of_what_comes_and_goes() -> None:
    """Identities, their Secrets and passwords, and copies of bundles, in namespaces that stay."""
    store = Store()
    for number in range(200):
        name, key = f"come-{number}", ObjectKey("shop", f"come-{number}")
        stores = {"pkcs12": {"passwordSecretRef": {"name": f"password-{number}"}}}
        store.identities.note(identity_body(name, "shop", formats=stores))
        for secret_name in (f"{name}-mtls", f"password-{number}", f"other-{number}"):
            store.secrets.put(ObjectKey("shop", secret_name), metadata(6), files(), now=NOW)
            store.secrets.note_gone(ObjectKey("shop", secret_name), "7")
        store.copies.put(ObjectKey("shop", name), metadata(6), now=NOW)
        store.copies.note_gone(ObjectKey("shop", name), "7")
        store.drop_identity(key, store.identities[key].uid)

    parts = (store, store.identities, store.authorities, store.secrets, store.copies)
    held = (value for part in parts for value in vars(part).values() if isinstance(value, dict))
    assert [] == [kept for kept in held if kept]


def test_what_somebody_writes_into_all_secrets_of_a_namespace_is_bounded() -> None:
    """What is beyond is nobody's whom we know; another namespace is as it was."""
    store = Store()
    names = [f"{number:04}{'x' * 50}" for number in range(500)]
    owned = {labels.OWNED: msgspec.json.encode({"labels": names}).decode()}
    for number in range(100):
        store.secrets.put(ObjectKey("shop", str(number)), metadata(6, annotations=owned), None, now=NOW)
    store.secrets.put(ObjectKey("bank", "1"), metadata(6, annotations=owned), None, now=NOW)

    def kept(namespace: str, name: object) -> int:
        return len(store.secrets[ObjectKey(namespace, str(name))].metadata.owned.labels)

    assert sum(kept("shop", number) for number in range(100)) * 54 <= 1024 * 1024
    assert (500, 0, 500) == (kept("shop", 0), kept("shop", 99), kept("bank", 1))
    for number in range(100):
        store.secrets.drop(ObjectKey("shop", str(number)))
    store.secrets.put(ObjectKey("shop", "99"), metadata(9, annotations=owned), None, now=NOW)
    assert 500 == kept("shop", 99)
