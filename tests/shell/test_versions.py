"""When versions are said to have gone back."""

from __future__ import annotations

import pytest

from mutualtls.core.errors import ClusterError
from mutualtls.kube.versions import Versions


class Told:
    """What was told."""

    def __init__(self, *noted: str) -> None:
        self.returns: list[tuple[str, int, int]] = []
        self.versions = Versions()
        self.versions.on_return = lambda *told: self.returns.append(told)
        for version in noted:
            self.versions.note("secrets", version)


def test_a_list_below_a_version_that_was_answered_before_tells() -> None:
    """It tells once, as from then on that version counts."""
    told = Told("12", "9")
    told.versions.compare("secrets", "11", before=told.versions.known("secrets"))
    told.versions.compare("secrets", "11", before=told.versions.known("secrets"))

    assert [("secrets", 12, 11)] == told.returns
    assert 1 == told.versions.returns
    assert 11 == told.versions.known("secrets")


def test_what_was_answered_while_the_list_was_under_way_tells_nothing() -> None:
    """A watch, or a write of our own, may well be ahead of it."""
    told = Told("10")
    before = told.versions.known("secrets")
    told.versions.note("secrets", "12")
    told.versions.compare("secrets", "11", before=before)

    assert [] == told.returns


def test_resources_are_compared_each_with_itself() -> None:
    """They may be in an etcd each."""
    told = Told("12")
    told.versions.compare("namespaces", "3", before=told.versions.known("namespaces"))

    assert [] == told.returns


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(5, [], id="as it is known"),
        pytest.param(4, [], id="changed since"),
        pytest.param(0, [], id="new"),
        pytest.param(21, [], id="written after the list was asked for"),
        pytest.param(7, [("secrets", 7, 5)], id="older than it is known, in a list that is later"),
    ],
)
def test_an_object_that_is_older_than_it_is_known_tells(known: int, expected: list[tuple[str, int, int]]) -> None:
    """It tells even if the list itself is past what was known."""
    told = Told()
    told.versions.compare_each(
        "secrets", "20", {"shop/a": 3, "shop/b": 5}, known={"shop/a": 3, "shop/b": known}.__getitem__
    )

    assert expected == told.returns


def test_an_object_that_is_read_at_a_lower_version_tells() -> None:
    """What is known of it is not to be replaced by it."""
    told = Told()
    told.versions.compare_one("configmaps", "7", "7")
    told.versions.compare_one("configmaps", "8", "7")
    with pytest.raises(ClusterError, match="went back from version 8 to 7"):
        told.versions.compare_one("configmaps", "7", "8")

    assert [("configmaps", 8, 7)] == told.returns
