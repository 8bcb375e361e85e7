"""When the facts that are noted in an annotation are believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mutualtls.core.leaf import secret
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model import labels
from support.builders import entry_of_ours, merged
from support.secrets import entry, facts_of, good


def test_noted_facts_are_believed_when_all_is_ours() -> None:
    """After a start, the operator need not read the Secret."""
    body = good()

    assert facts_of(body) == secret.facts_noted(body["metadata"])


def ours_without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    """Our entry of `managedFields`, less one field that somebody took away from us."""
    mine: dict[str, Any] = json.loads(json.dumps(entry_of_ours("type", "data", "metadata", body=body)))
    parent = mine["fieldsV1"]
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return mine


def noted(*entries: Callable[[dict[str, Any]], dict[str, Any]]) -> Facts | None:
    """Judge a good Secret by other `managedFields`."""
    body = good()
    return secret.facts_noted(body["metadata"] | {"managedFields": [made(body) for made in entries]})


def split(*sections: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An entry of ours for a part of the object."""
    return lambda body: entry_of_ours(*sections, body=body)


def without(*path: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Our entry, less one field."""
    return lambda body: ours_without(body, *path)


def foreign(fields: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Somebody else's entry."""
    return lambda _: entry(fields)


def bundle_alone(_: dict[str, Any]) -> dict[str, Any]:
    """Our entry for `ca.crt` alone, as a write of another kind makes it."""
    return entry({"f:data": {"f:ca.crt": {}}}, manager=labels.FIELD_MANAGER, operation="Apply")


ALL_OURS = split("type", "data", "metadata")


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((ALL_OURS,), id="ours whole"),
        pytest.param((split("type", "data"), split("metadata")), id="ours in two"),
        pytest.param((split("metadata"), split("type"), split("data")), id="ours in three"),
        pytest.param((without("f:data", "f:ca.crt"), bundle_alone), id="ours in two, data in both"),
        pytest.param((ALL_OURS, foreign({"f:metadata": {"f:labels": {"f:team": {}}}})), id="another's label"),
        pytest.param((ALL_OURS, foreign({"f:metadata": {"f:annotations": {"f:note": {}}}})), id="another's annotation"),
        pytest.param((ALL_OURS, foreign({"f:data": {"f:note": {}}})), id="another's key"),
        pytest.param((ALL_OURS, foreign({"f:data": {"f:tls.crt": {}}})), id="applied by another to the same value"),
        pytest.param((foreign({}), ALL_OURS), id="an empty entry"),
        pytest.param((without("f:metadata", "f:labels"), foreign({"f:metadata": {"f:labels": {}}})), id="labels taken"),
    ],
)
def test_noted_facts_are_believed(entries: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]) -> None:
    """What we still own is as we wrote it: an update takes a changed field away from the manager that had it."""
    assert noted(*entries) is not None


TAKEN: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{labels.FACTS}": {}}}}


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((), id="nobody's"),
        pytest.param((foreign({"f:data": {"f:tls.crt": {}}, "f:type": {}}),), id="another's whole"),
        pytest.param((without("f:data", "f:tls.crt"), foreign({"f:data": {"f:tls.crt": {}}})), id="tls.crt taken"),
        pytest.param((without("f:data", "f:tls.key"), foreign({"f:data": {"f:tls.key": {}}})), id="tls.key taken"),
        pytest.param((without("f:data", "f:ca.crt"),), id="ca.crt removed"),
        pytest.param((without("f:data"),), id="all data removed"),
        pytest.param((without("f:type"),), id="type"),
        pytest.param((without("f:metadata", "f:annotations", f"f:{labels.FACTS}"), foreign(TAKEN)), id="facts taken"),
        pytest.param((without("f:metadata", "f:annotations", f"f:{labels.OWNED}"),), id="what is owned, taken"),
        pytest.param((without("f:metadata", "f:annotations", f"f:{labels.IDENTITY_UID}"),), id="uid taken"),
        pytest.param((ALL_OURS, foreign({"f:immutable": {}})), id="made immutable by another"),
        pytest.param((split("data", "metadata"), foreign({"f:type": {}})), id="made anew by another"),
    ],
)
def test_noted_facts_are_not_believed(entries: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]) -> None:
    """If somebody changed after us what the facts are about, the operator reads the Secret."""
    assert noted(*entries) is None


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param({labels.FACTS: None}, id="no facts"),
        pytest.param({labels.FACTS: "{"}, id="no JSON"),
        pytest.param({labels.FACTS: "{}"}, id="facts of another form"),
        pytest.param({labels.OWNED: None}, id="nothing is said to be ours"),
        pytest.param({labels.OWNED: "[]"}, id="of another form"),
        pytest.param({labels.OWNED: json.dumps({"data": ["tls.crt"]})}, id="not all files are said to be ours"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_not_believed(annotations: dict[str, str | None]) -> None:
    """The body is read, and the annotation written anew."""
    body = merged(good(), {"metadata": {"annotations": annotations}})

    assert secret.facts_noted(body["metadata"]) is None
