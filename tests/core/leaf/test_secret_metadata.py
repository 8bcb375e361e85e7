"""The metadata of a Secret: whose it is, and which parts are ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from mutualtls.core.leaf import secret, secret_metadata
from mutualtls.core.leaf.secret import Owned
from mutualtls.core.model import labels
from support.builders import NOW, RSA, UID, an_identity, as_stored, merged, observed, secret_of
from support.secrets import entry, facts_of, good


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """An ownerReference, as far as it matters."""

    kind: str = labels.IDENTITY_KIND
    uid: str = UID
    version: str = labels.API_VERSION

    def written(self) -> dict[str, Any]:
        """Write it as the API does."""
        return {"apiVersion": self.version, "kind": self.kind, "name": "orders", "uid": self.uid}


def test_metadata_of_a_secret_of_ours() -> None:
    """The metadata say whose it is, and which parts are ours."""
    body = good(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}})
    found = secret.parse(body["metadata"])
    expected = Owned(
        labels=("app.kubernetes.io/managed-by", "mutualtls.dev/authority", "mutualtls.dev/part", "team"),
        annotations=("mutualtls.dev/identity-name", "mutualtls.dev/identity-uid", "note"),
        data=("ca.crt", "tls.crt", "tls.key"),
    )

    assert (UID, "orders") == (found.identity_uid, found.identity_name)
    assert ("default", NOW) == (found.authority, found.created)
    assert expected == found.owned
    assert () == found.other_owners


BARE = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-02T03:04:05Z"}


def test_metadata_of_anothers_secret() -> None:
    """Nothing of it is ours, and its managers say whose it is."""
    entries = [entry({}, manager="helm"), entry({}, manager="argo"), entry({}, manager="helm")]
    found = secret.parse({**BARE, "managedFields": entries})

    assert (None, None, Owned()) == (found.identity_uid, found.authority, found.owned)
    assert "argo, helm" == found.manager


@pytest.mark.parametrize(
    ("metadata", "manager"),
    [
        pytest.param({"labels": {labels.MANAGED_BY: "Helm"}, "managedFields": [entry({})]}, "Helm", id="by its label"),
        pytest.param({"managedFields": [entry({})]}, "kubectl-edit", id="by its managers"),
        pytest.param(
            {"labels": {labels.MANAGED_BY: labels.FIELD_MANAGER}, "managedFields": [entry({})]},
            "kubectl-edit",
            id="by its managers, as the label is ours",
        ),
        pytest.param(
            {"managedFields": [entry({}), entry({}, manager=labels.FIELD_MANAGER)]},
            "kubectl-edit",
            id="by its managers but us",
        ),
        pytest.param({"managedFields": [{"operation": "Update"}]}, "somebody unknown", id="by a manager without name"),
        pytest.param({}, "somebody unknown", id="by nothing"),
    ],
)
def test_whose_a_secret_is(metadata: dict[str, Any], manager: str) -> None:
    """Users can find out."""
    assert manager == secret.parse(BARE | metadata).manager


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"labels": {"theirs": "x"}}, True, id="another's label"),
        pytest.param({"annotations": {"theirs": "x"}}, True, id="another's annotation"),
        pytest.param({"annotations": {labels.FACTS: "{}"}}, True, id="facts are judged otherwise"),
        pytest.param({"ownerReferences": [Owner().written(), Owner(kind="Pod").written()]}, True, id="another owner"),
        pytest.param({"labels": {"team": "x"}}, False, id="our label changed"),
        pytest.param({"labels": {labels.PART: None}}, False, id="our label removed"),
        pytest.param({"annotations": {"note": None}}, False, id="our annotation removed"),
        pytest.param({"ownerReferences": []}, False, id="owner removed"),
        pytest.param({"ownerReferences": [Owner(uid="older").written()]}, False, id="owned by a predecessor"),
        pytest.param({"ownerReferences": [Owner(version="other.dev/v1").written()]}, False, id="another's kind"),
    ],
)
def test_the_hash_of_metadata_is_of_what_is_ours(change: dict[str, Any], *, same: bool) -> None:
    """Others may add what they like."""
    body = good(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}})
    before = secret.parse(body["metadata"])
    after = secret.parse(merged(body["metadata"], change))

    assert same is (before.metadata_hash == after.metadata_hash)


def test_the_hash_of_metadata_is_that_of_what_is_wanted() -> None:
    """Otherwise every Secret would be written again at once."""
    o = observed(an_identity(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}}))
    wanted = secret_metadata.metadata_hash(o.wanted.labels, o.wanted.annotations, o.wanted.owner_uid)

    assert wanted == secret.parse(secret_of(o)["metadata"]).metadata_hash


def test_owners_that_are_no_identities_are_kept() -> None:
    """A merge patch replaces the whole list."""
    pod = Owner(kind="Pod").written()
    body = merged(good(), {"metadata": {"ownerReferences": [pod, Owner(uid="older").written()]}})

    assert (pod,) == secret.parse(body["metadata"]).other_owners


def test_two_versions_of_one_object_differ_in_version_only() -> None:
    """The store tells them apart by it."""
    body = good()
    again = as_stored(body)

    assert facts_of(body) == facts_of(again)
    assert secret.parse(body["metadata"]).resource_version != secret.parse(again["metadata"]).resource_version
    assert timedelta() < facts_of(body).not_after - facts_of(body).not_before
    assert RSA != facts_of(body).key
