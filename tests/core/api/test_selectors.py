"""Label selectors: what they select, as Kubernetes does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutualtls.core.model import selectors
from mutualtls.core.model.selectors import LabelSelector

SHOP = {"kubernetes.io/metadata.name": "shop", "team": "a", "empty": ""}


def selector(*expressions: tuple[str, str, list[str]], **labels: str) -> LabelSelector:
    """Write a selector."""
    body = {
        "matchLabels": labels,
        "matchExpressions": [
            {"key": key, "operator": operator, "values": values} for key, operator, values in expressions
        ],
    }
    return msgspec.convert(body, LabelSelector)


@pytest.mark.parametrize(
    ("of", "selected"),
    [
        pytest.param(selector(), True, id="empty selects all"),
        pytest.param(selector(team="a"), True, id="label"),
        pytest.param(selector(team="b"), False, id="another value"),
        pytest.param(selector(tier="a"), False, id="label that is not there"),
        pytest.param(selector(empty=""), True, id="empty value"),
        pytest.param(selector(tier=""), False, id="empty value of a label that is not there"),
        pytest.param(selector(team="a", tier="x"), False, id="all must hold"),
        pytest.param(selector(("team", "In", ["b", "a"])), True, id="In"),
        pytest.param(selector(("team", "In", ["b"])), False, id="not In"),
        pytest.param(selector(("tier", "In", ["b"])), False, id="In without the label"),
        pytest.param(selector(("team", "NotIn", ["a"])), False, id="not NotIn"),
        pytest.param(selector(("team", "NotIn", ["b"])), True, id="NotIn"),
        pytest.param(selector(("tier", "NotIn", ["b"])), True, id="NotIn without the label"),
        pytest.param(selector(("team", "Exists", [])), True, id="Exists"),
        pytest.param(selector(("empty", "Exists", [])), True, id="Exists with an empty value"),
        pytest.param(selector(("tier", "Exists", [])), False, id="not Exists"),
        pytest.param(selector(("tier", "DoesNotExist", [])), True, id="DoesNotExist"),
        pytest.param(selector(("team", "DoesNotExist", [])), False, id="not DoesNotExist"),
        pytest.param(selector(("team", "Exists", []), ("team", "NotIn", ["a"])), False, id="all expressions must hold"),
        pytest.param(selector(("kubernetes.io/metadata.name", "In", ["shop"])), True, id="key with a prefix"),
    ],
)
def test_what_is_selected(of: LabelSelector, *, selected: bool) -> None:
    """Selectors select as in a Deployment or a NetworkPolicy."""
    assert selected is selectors.matches(of, SHOP)
    assert not list(selectors.faults(of))


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(selector(("team", "In", [])), "need some: team In", id="In without values"),
        pytest.param(selector(("team", "NotIn", [])), "need some: team NotIn", id="NotIn without values"),
        pytest.param(selector(("team", "Exists", ["a"])), "need some: team Exists", id="Exists with values"),
        pytest.param(selector(("tier", "DoesNotExist", ["a"])), "tier DoesNotExist", id="DoesNotExist with values"),
        pytest.param(selector(("a b", "DoesNotExist", [])), "not a label: a b", id="key with a blank"),
        pytest.param(selector(("/a", "DoesNotExist", [])), "not a label: /a", id="empty prefix"),
        pytest.param(selector(("a/b/c", "DoesNotExist", [])), "not a label: a/b/c", id="two slashes"),
        pytest.param(selector(("tier", "NotIn", ["b c"])), "not a label: tier: b c", id="value with a blank"),
        pytest.param(selector(team="a b"), "not a label: team: a b", id="label with a blank"),
    ],
)
def test_a_faulty_selector_selects_nothing(of: LabelSelector, said: str) -> None:
    """It also says why. What the API server would refuse must not be read as selecting everything."""
    assert not selectors.matches(of, SHOP)
    assert not selectors.matches(of, {})
    assert said in "; ".join(selectors.faults(of))


@pytest.mark.parametrize(
    ("of", "selected"),
    [
        pytest.param(selector(), True, id="empty"),
        pytest.param(selector(team="a"), False, id="label"),
        pytest.param(selector(("team", "NotIn", ["b"])), False, id="NotIn"),
        pytest.param(selector(("team", "DoesNotExist", [])), False, id="DoesNotExist"),
    ],
)
def test_labels_that_are_not_known_are_selected_by_the_empty_selector_only(
    of: LabelSelector, *, selected: bool
) -> None:
    """A namespace that was not seen yet gains no right by what it seems to lack."""
    assert selected is selectors.matches(of, None)


def test_a_selector_is_described_as_kubectl_takes_it() -> None:
    """A user can try it with `kubectl get namespaces -l`."""
    of = selector(("a", "In", ["x", "y"]), ("b", "NotIn", ["z"]), ("c", "Exists", []), ("d", "DoesNotExist", []), t="1")

    assert "t=1,a in (x,y),b notin (z),c,!d" == selectors.described(of)
    assert "{}" == selectors.described(selector())


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]), max_size=3)
EXPRESSIONS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.lists(st.sampled_from(["", "x", "y"]), max_size=2),
    ),
    max_size=2,
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(LABELS, EXPRESSIONS, LABELS)
def test_an_operator_is_the_opposite_of_its_opposite(
    match: dict[str, str], expressions: list[tuple[str, str, list[str]]], labels: dict[str, str]
) -> None:
    """In and NotIn, Exists and DoesNotExist are opposites; one more condition never selects more."""
    opposites = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}
    of = selector(*expressions, **match)
    for key, operator, values in expressions:
        one, other = selector((key, operator, values)), selector((key, opposites[operator], values))
        if not any(selectors.faults(one)):
            assert selectors.matches(one, labels) is not selectors.matches(other, labels)
        assert not selectors.matches(of, labels) or selectors.matches(one, labels)
    assert not selectors.matches(of, labels) or match.items() <= labels.items()


def test_what_is_no_selector_is_a_fault_of_the_spec() -> None:
    """An operator of another name."""
    body: dict[str, Any] = {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}
    with pytest.raises(msgspec.ValidationError, match="Gt"):
        msgspec.convert(body, LabelSelector)
