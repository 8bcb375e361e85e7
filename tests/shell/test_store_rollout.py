"""Which Secrets a rotation waits for, by what is known of identities and their Secrets."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.leaf.facts import Damage
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.store.store import Store
from support.builders import HOUR, NOW, UID, an_identity, identity_body, known, observed, secret_of
from support.knowledge import KEY, SECRET, body_with, facts_in, files, leaf, metadata, record, with_identity, written


def test_a_namespace_that_came_after_one_of_its_name_is_kept() -> None:
    """A count of objects may tell late that the one before is gone."""
    store = Store()
    store.note_namespace({"name": "shop", "uid": "2"})
    store.drop_namespace("shop", "1")

    assert "2" == store.namespaces["shop"].uid


# Secrets


# Secrets by authority


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
    """Two copies and a Secret that its identity records no more are waited for nowhere."""
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
