"""What is known of identities: our own writes first, then what the watches tell, and never backwards."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf import secret
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.store.store import Store
from support.builders import NOW, PKCS12, UID, an_identity, identity_body, merged, observed, secret_of
from support.knowledge import KEY, answer, authority_body, body_with, files, metadata, with_identity

WRITTEN = IdentityStatus(observed_generation=1, secret_name="orders-mtls")  # noqa: S106 - the name of an object


# Identities


def test_a_status_goes_over_the_latest_version_that_changes_nothing() -> None:
    """Others may write labels and annotations that mean nothing here as often as they like."""
    store = with_identity(version=5)
    known_then = store.identities[KEY]
    store.identities.note(identity_body(version=9))

    assert "9" == store.identities.version_of(KEY, known_then)
    assert store.identities.is_outdated(KEY, "5")
    assert not store.identities.is_outdated(KEY, "9")


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(identity_body(version=9, generation=2), id="another spec"),
        pytest.param(identity_body(version=9) | {"status": msgspec.to_builtins(WRITTEN)}, id="another status"),
    ],
)
def test_a_status_never_goes_over_what_it_was_not_worked_out_from(later: dict[str, Any]) -> None:
    """It would undo what another operator wrote, which took over meanwhile."""
    store = with_identity(version=5)
    known_then = store.identities[KEY]
    store.identities.note(later)

    assert "5" == store.identities.version_of(KEY, known_then)
    assert store.identities.is_outdated(KEY, "5")


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
    """It counts more than a status that is about to be written, or is taken back."""
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
    """A label is no news; but its version is known then."""
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
    """They are found by authority, namespace and Secret."""
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
    """Identities, their Secrets and passwords, and copies of bundles go, while their namespaces stay."""
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
