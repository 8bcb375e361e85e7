"""What is known of Secrets: our own writes first, then what the watches tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mutualtls.core.leaf import secret
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube.watch import key_of
from mutualtls.store.secrets import SecretRecord
from mutualtls.store.store import Store
from support.builders import HOUR, NOW, SECOND, an_identity, known, observed, secret_of
from support.knowledge import SECRET, facts_in, files, leaf, metadata, record, with_identity, written

MANY = 10_000


def known_of(store: Store) -> tuple[SecretRecord | None, int]:
    """What is known of the Secret, be it gone, and at which version."""
    return store.secrets.get(SECRET), store.secrets.version(SECRET)


def test_the_echo_of_files_that_are_being_written_is_no_news() -> None:
    """The watch may be quicker than the answer to the write; what it brings is known all the same."""
    store = with_identity()
    body = secret_of(observed(an_identity()))
    with store.secrets.expecting(SECRET, facts_in(known(body).files)):
        assert not store.secrets.note(SECRET, body["metadata"], now=NOW)

    assert known(body).files == record(store).files


def test_other_files_than_those_that_are_being_written_are_news() -> None:
    """Somebody else may write at the same time, or have written before."""
    store = with_identity()
    body = secret_of(observed(an_identity()))
    with store.secrets.expecting(SECRET, leaf("1", HOUR)):
        assert store.secrets.note(SECRET, body["metadata"], now=NOW)


def test_files_are_news_once_their_writing_has_ended() -> None:
    """A write without an answer may land late, when nobody looks again."""
    store = with_identity()
    body = secret_of(observed(an_identity()))
    with store.secrets.expecting(SECRET, facts_in(known(body).files)):
        pass

    assert store.secrets.note(SECRET, body["metadata"], now=NOW)


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


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="an empty spec"),
        pytest.param({"secret": {"labels": {"team": "shop"}, "annotations": {"note": "of ours"}}}, id="with metadata"),
    ],
)
def test_a_namespace_may_have_any_number_of_our_secrets(spec: dict[str, Any]) -> None:
    """What is kept of a namespace's Secrets is bounded by what others may have written there, not by their number."""
    store = with_identity()
    one = secret_of(observed(an_identity(**spec)))["metadata"]
    keys = [ObjectKey("shop", f"identity-{number}-mtls") for number in range(MANY)]
    for key in keys:
        store.secrets.note(key, one | {"name": key.name}, now=NOW)

    assert {secret.parse(one)} == {store.secrets[key].metadata for key in keys}
