"""What is known of the cluster: our own writes first, then what the watches tell, and never backwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from core.builders import (
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
from mutualtls.core import labels, secret
from mutualtls.core.authority import AuthorityStatus
from mutualtls.core.facts import Damage, Facts
from mutualtls.core.identity import IdentityStatus
from mutualtls.core.reasons import Reason
from mutualtls.kube.store import SecretRecord, Store
from mutualtls.kube.watch import Vanished, key_of

KEY, SECRET = "shop/orders", "shop/orders-mtls"
WRITTEN = IdentityStatus(observed_generation=1, secret_name="orders-mtls")  # noqa: S106 - the name of an object


# Identities


def answer(version: int, *, generation: int = 1, uid: str = UID, **more: Any) -> dict[str, Any]:
    """Metadata as the answer to a write of ours holds it."""
    return {"uid": uid, "generation": generation, "resourceVersion": str(version), **more}


def with_identity(version: int = 5, **more: Any) -> Store:
    """A store that knows `shop/orders`."""
    store = Store()
    store.note_identity(identity_body(version=version, **more))
    return store


def body_with(status: IdentityStatus, **more: Any) -> dict[str, Any]:
    """An identity with a status, as the watch brings it."""
    return identity_body(**more) | {"status": msgspec.to_builtins(status)}


def test_a_new_identity_is_news() -> None:
    """And is known then."""
    store = Store()
    found = store.note_identity(identity_body())

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
    found = store.note_identity(identity_body(version=version, duration="1h"))

    assert is_news is (found is not None)
    assert ("1h" if is_news else None) == store.identities[KEY].spec.duration


def test_our_own_echo_is_no_news() -> None:
    """A status that we wrote comes back at the version that the answer told."""
    store = with_identity(5)
    store.note_status(KEY, WRITTEN, answer(6))

    assert store.note_identity(body_with(WRITTEN, version=6)) is None
    assert (WRITTEN, "6") == (store.identities[KEY].status, store.identities[KEY].resource_version)


def test_an_echo_that_overtakes_the_answer_is_no_news() -> None:
    """The watch may be quicker than the answer to the write."""
    store = with_identity(5)
    identity = store.identities[KEY]
    store.expect_status(identity, WRITTEN, instead_of=identity.status)

    assert store.note_identity(body_with(WRITTEN, version=6)) is None
    store.note_status(KEY, WRITTEN, answer(6))
    assert (WRITTEN, "6") == (store.identities[KEY].status, store.identities[KEY].resource_version)


def test_a_status_that_could_not_be_written_is_taken_back() -> None:
    """So that it is tried again."""
    store = with_identity(5)
    identity = store.identities[KEY]
    store.expect_status(identity, WRITTEN, instead_of=identity.status)
    store.expect_status(identity, identity.status, instead_of=WRITTEN)

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
        store.note_identity(known)
    else:
        store.drop_identity(KEY, UID)
    store.expect_status(identity, WRITTEN, instead_of=identity.status)
    store.expect_status(identity, identity.status, instead_of=WRITTEN)

    assert ({KEY: status} if status else {}) == {key: found.status for key, found in store.identities.items()}


def test_a_status_is_not_that_of_a_successor() -> None:
    """Another of its name has come."""
    store = with_identity(5)
    before = store.identities[KEY]
    successor = merged(identity_body(version=9), {"metadata": {"uid": "another"}})
    store.note_identity(successor)
    store.expect_status(before, WRITTEN, instead_of=before.status)

    assert IdentityStatus() == store.identities[KEY].status


def test_a_status_of_somebody_else_is_news() -> None:
    """It is to be written over."""
    store = with_identity(5)
    store.note_status(KEY, WRITTEN, answer(6))

    assert store.note_identity(body_with(IdentityStatus(), version=7)) is not None


def test_a_change_of_what_does_not_matter_is_no_news() -> None:
    """Such as a label; but its version is known then."""
    store = with_identity(5)
    body = merged(identity_body(version=6), {"metadata": {"labels": {"team": "a"}}})

    assert store.note_identity(body) is None
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
    store.note_status(KEY, WRITTEN, answer(7) | changed)
    found = store.note_identity(body_with(WRITTEN, version=7, **more))

    assert found is not None
    assert found == store.identities[KEY]


def test_a_deletion_that_our_write_of_a_status_raced_is_not_lost() -> None:
    """As a change of the spec is not."""
    store = with_identity(5)
    store.note_status(KEY, WRITTEN, answer(7, deletionTimestamp="2026-01-02T03:04:05Z"))
    deleting = {"metadata": {"deletionTimestamp": "2026-01-02T03:04:05Z"}}
    found = store.note_identity(merged(body_with(WRITTEN, version=7), deleting))

    assert found is not None
    assert found.is_deleting


def test_a_change_that_the_watch_brought_before_the_answer_is_kept() -> None:
    """The answer is older then."""
    store = with_identity(5)
    store.note_identity(identity_body(version=7, generation=2, duration="1h"))
    store.note_status(KEY, WRITTEN, answer(6))

    assert ("1h", "7") == (store.identities[KEY].spec.duration, store.identities[KEY].resource_version)


def test_an_answer_does_not_take_the_version_back() -> None:
    """Or what is known would be news again."""
    store = with_identity(5)
    store.note_identity(merged(identity_body(version=9), {"metadata": {"labels": {"team": "a"}}}))
    store.note_status(KEY, WRITTEN, answer(6))

    assert "9" == store.identities[KEY].resource_version


@pytest.mark.parametrize(
    "name", [pytest.param(KEY, id="another of its name"), pytest.param("shop/unknown", id="unknown")]
)
def test_an_answer_about_another_object_is_ignored(name: str) -> None:
    """It was deleted and made anew meanwhile, or was never known."""
    store = with_identity(5)
    before = dict(store.identities)
    store.note_status(name, WRITTEN, answer(6, uid="older"))

    assert before == store.identities


def test_an_identity_that_is_gone_is_forgotten() -> None:
    """With all that led to it."""
    store = with_identity(authority="prod")
    store.drop_identity(KEY, UID)

    assert {} == store.identities
    assert () == store.identities_of_authority("prod")
    assert () == store.identities_of_namespace("shop")
    assert () == store.identities_of_secret("shop", "orders-mtls")


def test_a_late_deletion_does_not_touch_a_successor() -> None:
    """Another of the same name has come."""
    store = with_identity()
    store.drop_identity(KEY, "older")

    assert {KEY} == set(store.identities)


def test_identities_are_found_by_what_they_depend_on() -> None:
    """Authority, namespace, Secret."""
    store = with_identity(authority="prod")
    store.note_identity(identity_body("payments", "shop", secret={"name": "orders-mtls"}))
    store.note_identity(identity_body("orders", "bank", authority="prod"))

    assert {KEY, "bank/orders"} == set(store.identities_of_authority("prod"))
    assert {"shop/payments"} == set(store.identities_of_authority("default"))
    assert {KEY, "shop/payments"} == set(store.identities_of_namespace("shop"))
    assert {KEY, "shop/payments"} == set(store.identities_of_secret("shop", "orders-mtls"))
    assert {"bank/orders"} == set(store.identities_of_secret("bank", "orders-mtls"))


def test_an_identity_that_moved_is_found_where_it_is() -> None:
    """And no more where it was."""
    store = with_identity(5, authority="prod")
    store.note_identity(identity_body(version=6, authority="test", secret={"name": "tls"}))

    assert ((), (KEY,)) == (store.identities_of_authority("prod"), store.identities_of_authority("test"))
    assert ((), (KEY,)) == (
        store.identities_of_secret("shop", "orders-mtls"),
        store.identities_of_secret("shop", "tls"),
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
    """So that Kopf is spared their events."""
    store = with_identity(5)
    store.note_authority(authority_body(version=3))

    assert is_known is store.is_known(kind, namespace, name, version)


# Authorities and namespaces


def authority_body(*, version: int = 1, served_by: str | None = None, **spec: Any) -> dict[str, Any]:
    """An authority as JSON of the API server."""
    metadata = {"name": "default", "uid": "uid-of-default", "generation": 1, "resourceVersion": str(version)}
    annotations = {labels.OPERATOR_NAMESPACE: served_by} if served_by else {}
    return {"metadata": metadata | {"annotations": annotations}, "spec": spec}


def test_an_older_event_of_an_authority_is_ignored() -> None:
    """As of an identity."""
    store = Store()

    assert store.note_authority(authority_body(version=5)) is not None
    assert store.note_authority(authority_body(version=5)) is None
    assert store.note_authority(authority_body(version=4, suspend=True)) is None
    assert store.note_authority(authority_body(version=6, suspend=True)) is not None
    assert store.authorities["default"].spec.suspend


def test_our_own_write_of_an_authoritys_status_wakes_nobody() -> None:
    """Its echo is known."""
    store = Store()
    store.note_authority(authority_body(version=5))
    status = AuthorityStatus(observed_generation=1)
    store.note_authority_status("default", status, answer(6, uid="uid-of-default"))

    assert store.note_authority(authority_body(version=6)) is None
    assert status == store.authorities["default"].status


def test_a_claim_that_our_write_of_an_authoritys_status_raced_is_not_lost() -> None:
    """The watch brings who serves it."""
    store = Store()
    store.note_authority(authority_body(version=5))
    annotations = {labels.OPERATOR_NAMESPACE: "mutualtls-system"}
    store.note_authority_status("default", AuthorityStatus(), answer(7, uid="uid-of-default", annotations=annotations))
    found = store.note_authority(authority_body(version=7, served_by="mutualtls-system"))

    assert found is not None
    assert "mutualtls-system" == found.operator_namespace


def test_an_order_that_our_write_of_an_authoritys_status_raced_is_not_lost() -> None:
    """The watch brings it."""
    store = Store()
    store.note_authority(authority_body(version=5))
    annotations = {labels.ABANDON: "AB:CD" * 16}
    store.note_authority_status("default", AuthorityStatus(), answer(7, uid="uid-of-default", annotations=annotations))
    body = merged(authority_body(version=7), {"metadata": {"annotations": annotations}})
    found = store.note_authority(body)

    assert found is not None
    assert frozenset({"abcd" * 16}) == found.orders.abandon


def test_an_answer_does_not_take_the_version_of_an_authority_back() -> None:
    """As of an identity."""
    store = Store()
    store.note_authority(authority_body(version=9))
    store.note_authority_status("default", AuthorityStatus(), answer(6, uid="uid-of-default"))

    assert "9" == store.authorities["default"].resource_version


def test_an_authority_that_is_gone_is_forgotten_unless_another_has_come() -> None:
    """By its uid."""
    store = Store()
    store.note_authority(authority_body())
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
    """Also one that was never known."""
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


def record(store: Store) -> SecretRecord:
    """What is known of the Secret."""
    found = store.secrets[SECRET]
    if not isinstance(found, SecretRecord):
        raise TypeError(f"no record: {found}")
    return found


def written(version: int = 5) -> Store:
    """A store that has the answer to our own write of a Secret."""
    store = Store()
    store.put_secret(SECRET, metadata(version), files(), now=NOW)
    return store


def test_a_new_secret_is_news_with_its_facts() -> None:
    """From its annotation, where nobody has changed it after us."""
    store = Store()
    body = secret_of(observed(an_identity()))

    assert store.note_secret(SECRET, body["metadata"], now=NOW)
    assert known(body).files == record(store).files
    assert secret.parse(body["metadata"]) == record(store).metadata


def test_a_secret_that_somebody_changed_is_to_be_read() -> None:
    """Its annotation is not believed."""
    store = written(5)
    entry = {"manager": "kubectl-edit", "fieldsV1": {"f:data": {"f:tls.crt": {}}}}

    assert store.note_secret(SECRET, metadata(6, managedFields=[entry]), now=NOW + HOUR)
    assert record(store).files is None


@pytest.mark.parametrize("version", [pytest.param(4, id="older"), pytest.param(5, id="our own echo")])
def test_an_event_of_a_secret_that_is_known_is_ignored(version: int) -> None:
    """Our own write has told it, body and all."""
    store = written(5)
    before = record(store)

    assert not store.note_secret(SECRET, metadata(version, managedFields=[]), now=NOW + HOUR)
    assert before == record(store)


def test_a_secret_that_left_the_watch_has_vanished() -> None:
    """It is to be read before it is believed deleted: its label may have been taken off."""
    store = written(5)

    assert store.note_secret_gone(SECRET, "6")
    assert Vanished(6) == store.secrets[SECRET]


@pytest.mark.parametrize("version", ["4", "5"])
def test_an_old_deletion_is_ignored(version: str) -> None:
    """Of the object that was there before ours."""
    store = written(5)

    assert not store.note_secret_gone(SECRET, version)
    assert isinstance(store.secrets[SECRET], SecretRecord)


def test_a_deletion_is_told_once() -> None:
    """And of an unknown Secret never."""
    store = written(5)

    assert store.note_secret_gone(SECRET, "6")
    assert not store.note_secret_gone(SECRET, "6")
    assert not store.note_secret_gone("shop/unknown", "6")


def test_an_event_from_before_it_vanished_does_not_bring_it_back() -> None:
    """A later one does."""
    store = written(5)
    store.note_secret_gone(SECRET, "8")

    assert not store.note_secret(SECRET, metadata(7), now=NOW)
    assert Vanished(8) == store.secrets[SECRET]
    assert store.note_secret(SECRET, metadata(9), now=NOW)
    assert "9" == record(store).metadata.resource_version


def test_a_read_at_the_version_at_which_it_vanished_brings_it_back() -> None:
    """Its label was taken off at that version, and it is there."""
    store = written(5)
    store.note_secret_gone(SECRET, "8")
    store.put_secret(SECRET, metadata(8), files(), now=NOW)

    assert "8" == record(store).metadata.resource_version


def overtaken(store: Store) -> None:
    """Have the watch bring a change by somebody else."""
    store.note_secret(SECRET, metadata(7, managedFields=[]), now=NOW)


def vanished(store: Store) -> None:
    """Have the watch bring a deletion."""
    store.note_secret_gone(SECRET, "7")


@pytest.mark.parametrize(
    "event",
    [pytest.param(overtaken, id="somebody changed it"), pytest.param(vanished, id="somebody deleted it")],
)
def test_an_answer_that_was_overtaken_by_the_watch_is_ignored(event: Callable[[Store], None]) -> None:
    """We wrote version 6, somebody else version 7, and the watch was quicker than the answer to our write."""
    store = written(5)
    event(store)
    before = store.secrets[SECRET]
    store.put_secret(SECRET, metadata(6), files(), now=NOW)

    assert before == store.secrets[SECRET]


def test_a_secret_that_is_not_there_is_forgotten() -> None:
    """By our own reading or deleting; also one that was never known."""
    store = written(5)
    store.drop_secret(SECRET)
    store.drop_secret("shop/unknown")

    assert {} == store.secrets


def test_secrets_that_are_not_listed_are_found() -> None:
    """A watch that was cut does not tell of deletions."""
    store = written(5)
    store.put_secret("shop/other", metadata(5), None, now=NOW)

    assert {"shop/other"} == set(store.absent_secrets([SECRET, "bank/orders-mtls"]))


def test_what_our_own_write_tells_is_all_that_is_known() -> None:
    """With the time at which it was seen."""
    store = Store()
    store.put_secret(SECRET, metadata(5), files(), now=NOW + SECOND)

    assert (NOW + SECOND, "5") == (record(store).verified, record(store).metadata.resource_version)
    assert SECRET == key_of({"namespace": "shop", "name": "orders-mtls"})


def test_no_key_material_enters() -> None:
    """Of a whole Secret only metadata and facts are kept."""
    o = observed(an_identity())
    body = secret_of(o)
    store = Store()
    store.note_secret(SECRET, body["metadata"], now=NOW)
    store.put_secret(SECRET, body["metadata"], known(body).files, now=NOW)

    assert body["data"]["tls.key"] not in repr(store.secrets)
    assert "PRIVATE KEY" not in repr(store.secrets)


# Secrets by identity and by authority


OLD = "shop/old"


def test_secrets_are_found_by_identity() -> None:
    """Also those of former names."""
    store = written(5)
    store.note_secret(OLD, metadata(4), now=NOW)

    assert {SECRET, OLD} == set(store.secrets_of_identity(UID))
    assert () == store.secrets_of_identity("another")


def adopted(store: Store) -> None:
    """Have a Secret taken over by another identity."""
    annotations = {**metadata(1)["annotations"], labels.IDENTITY_UID: "another"}
    store.note_secret(OLD, metadata(8, annotations=annotations), now=NOW)


def disowned(store: Store) -> None:
    """Have a Secret that says no more whose it is."""
    store.note_secret(OLD, metadata(8, annotations={}), now=NOW)


@pytest.mark.parametrize(
    ("event", "another"),
    [
        pytest.param(lambda store: store.drop_secret(OLD), (), id="is not there"),
        pytest.param(lambda store: store.note_secret_gone(OLD, "9"), (), id="vanished"),
        pytest.param(disowned, (), id="is nobody's"),
        pytest.param(adopted, (OLD,), id="is another's"),
    ],
)
def test_a_secret_that_is_no_more_an_identitys_is_not_found(
    event: Callable[[Store], None], another: tuple[str, ...]
) -> None:
    """The others stay."""
    store = written(5)
    store.put_secret(OLD, metadata(4), files(), now=NOW)
    event(store)

    assert (SECRET,) == store.secrets_of_identity(UID)
    assert another == store.secrets_of_identity("another")


def test_a_secret_is_found_once_however_often_it_is_written() -> None:
    """And again when it has come back."""
    store = written(5)
    store.put_secret(SECRET, metadata(6), files(), now=NOW)
    store.drop_secret(SECRET)

    assert () == store.secrets_of_identity(UID)
    store.put_secret(SECRET, metadata(7), files(), now=NOW)
    store.note_secret(SECRET, metadata(8), now=NOW)
    assert (SECRET,) == store.secrets_of_identity(UID)


def leaf(issuer: str, ends: timedelta) -> Facts:
    """Facts of a leaf of a CA that ends some time from now."""
    return msgspec.structs.replace(files(), issuer_key_id=issuer, not_after=NOW + ends)


def test_the_last_leaf_of_each_ca_is_found() -> None:
    """With the Secret that holds it."""
    store = Store()
    for name, issuer, ends in (("a", "1", HOUR), ("b", "1", 3 * HOUR), ("c", "1", 2 * HOUR), ("d", "2", HOUR)):
        store.put_secret(f"shop/{name}", metadata(5), leaf(issuer, ends), now=NOW)

    assert {"1": (NOW + 3 * HOUR, "shop/b"), "2": (NOW + HOUR, "shop/d")} == store.leaves_of_authority("default")


def test_only_leaves_of_the_authority_are_found() -> None:
    """By its label; and of Secrets whose files are known."""
    store = written(5)
    store.put_secret("shop/a", metadata(5, labels={labels.AUTHORITY: "other"}), leaf("1", HOUR), now=NOW)
    store.put_secret("shop/b", metadata(5, labels={}), leaf("1", HOUR), now=NOW)
    store.put_secret("shop/c", metadata(5), None, now=NOW)
    store.put_secret("shop/d", metadata(5), Damage(reason=Reason.KEY_MISMATCH, message="why"), now=NOW)
    store.put_secret("shop/e", metadata(5), leaf("1", HOUR), now=NOW)
    store.note_secret_gone("shop/e", "6")

    assert {files().issuer_key_id} == set(store.leaves_of_authority("default"))
    assert {"1"} == set(store.leaves_of_authority("other"))
    assert {} == store.leaves_of_authority("unknown")


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
    """And no other name does."""
    assert authority == next(iter(labels.parse_ca_secret_name(name) or [None]))


# Passwords


def test_identities_are_found_by_their_password() -> None:
    """Until they name another, or none."""
    store = with_identity(5, formats={"pkcs12": PKCS12})
    assert (KEY,) == store.identities_of_password("shop", "stores")
    assert store.identities_of_password("other", "stores") == ()

    store.note_identity(identity_body(version=6, formats={"pkcs12": {"passwordSecretRef": {"name": "next"}}}))
    assert store.identities_of_password("shop", "stores") == ()
    assert (KEY,) == store.identities_of_password("shop", "next")

    store.note_identity(identity_body(version=7))
    assert store.identities_of_password("shop", "next") == ()


@pytest.mark.parametrize(
    ("marked", "is_password"),
    [
        pytest.param({labels.PART: "password"}, True, id="labelled"),
        pytest.param({labels.PART: "files"}, False, id="files"),
        pytest.param({}, False, id="not labelled"),
    ],
)
def test_a_password_is_told_by_its_label(marked: dict[str, str], *, is_password: bool) -> None:
    """By nothing else."""
    body = secret_of(observed(an_identity()))

    assert is_password is secret.parse(body["metadata"] | {"labels": marked}).is_password
