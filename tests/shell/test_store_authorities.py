"""What is known of authorities and namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.model import labels
from mutualtls.store.store import Store
from support.builders import merged
from support.knowledge import answer, authority_body


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
    """Decisions depend on its labels, and on whether it ends."""
    store = Store()
    store.note_namespace({"name": "shop", "labels": {"a": "1"}})

    assert is_news is store.note_namespace(metadata)


def test_a_namespace_that_is_gone_is_forgotten() -> None:
    """This includes one that was never known."""
    store = Store()
    store.note_namespace({"name": "shop", "uid": "1"})
    store.drop_namespace("shop", "1")
    store.drop_namespace("bank", "2")

    assert {} == store.namespaces
