"""Which authorities an operator serves, and what it follows for them."""

from __future__ import annotations

import pytest

from mutualtls.core.model.scope import Scope

WHOLE = Scope()
NAMED = Scope(authorities=("a", "b"))
REST = Scope(others=("a", "b"))


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        pytest.param(WHOLE, {"a", "c", "", None}, id="all"),
        pytest.param(NAMED, {"a"}, id="those that are named"),
        pytest.param(REST, {"c", "", None}, id="the rest"),
    ],
)
def test_each_authority_is_in_one_scope(scope: Scope, held: set[str | None]) -> None:
    """What names no authority, or one that is not there, is answered by the rest."""
    assert held == {one for one in ("a", "c", "", None) if scope.holds(one)}


@pytest.mark.parametrize(
    ("scope", "fields", "labels"),
    [
        pytest.param(WHOLE, {"": ""}, "x=y", id="all"),
        pytest.param(
            NAMED, {"a": "f=a", "b": "f=b"}, "x=y,mutualtls.dev/authority in (a,b)", id="those that are named"
        ),
        pytest.param(REST, {"": "f!=a,f!=b"}, "x=y,mutualtls.dev/authority notin (a,b)", id="the rest"),
    ],
)
def test_the_api_server_selects(scope: Scope, fields: dict[str, str], labels: str) -> None:
    """Field selectors know no `in`, so that there is one for each authority that is named."""
    assert fields == scope.by_field("f")
    assert labels == scope.by_label("x=y")
