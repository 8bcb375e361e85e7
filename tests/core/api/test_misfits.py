"""What of a raw spec does not fit the typed model: all of it, by its path; and what is left can be judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from mutualtls.core.api import bounds, misfits
from mutualtls.core.api.authority_spec import AuthoritySpec
from mutualtls.core.api.bounds import Rule
from mutualtls.core.api.identity_spec import IdentitySpec
from support.broken import BROKEN, Broken

KINDS = (IdentitySpec, AuthoritySpec)
KEY = "a-key"
"""Of a map."""
CRDS = Path(__file__).parents[3] / "crds"


def told(raw: Any, kind: type[msgspec.Struct] = IdentitySpec) -> list[str]:
    """List all that is wrong with a raw spec."""
    return [str(fault) for fault in misfits.sift(raw, kind).with_further([])]


def fields_of(kind: inspect.Type, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """List the path of every field of a type, and of an item of every list and map."""
    match kind:
        case inspect.Metadata():
            yield from fields_of(kind.type, path)
        case inspect.UnionType():
            for one in kind.types:
                yield from fields_of(one, path)
        case inspect.StructType():
            for field in kind.fields:
                yield (*path, field.encode_name)
                yield from fields_of(field.type, (*path, field.encode_name))
        case inspect.VarTupleType():
            yield (*path, 0)
            yield from fields_of(kind.item_type, (*path, 0))
        case inspect.DictType():
            yield (*path, KEY)


def at(path: tuple[str | int, ...], value: Any) -> Any:
    """Make a spec with one value, deep in it."""
    for step in reversed(path):
        value = [value] if step == 0 else {step: value}
    return value


def written(path: tuple[str | int, ...]) -> str:
    """Write a path as faults do."""
    return "spec" + "".join("[0]" if step == 0 else f"[{KEY}]" if step == KEY else f".{step}" for step in path)


FIELDS: dict[type[msgspec.Struct], list[tuple[str | int, ...]]] = {
    kind: list(fields_of(inspect.type_info(kind))) for kind in KINDS
}
PATHS = [pytest.param(kind, path, id=written(path)) for kind in KINDS for path in FIELDS[kind]]


@pytest.mark.parametrize(("kind", "path"), PATHS)
def test_every_field_is_told_that_is_of_another_type(kind: type[msgspec.Struct], path: tuple[str | int, ...]) -> None:
    """It is named by its path, and the rest can be read."""
    sifted = misfits.sift(at(path, 0.5), kind)

    assert written(path) in {fault.field for fault in sifted.misfits}
    msgspec.convert(sifted.rest, kind)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(
            {"privateKey": {"size": True}}, "spec.privateKey.size: must be a whole number, not true", id="bool"
        ),
        pytest.param({"suspend": 1}, "spec.suspend: must be true or false, not 1", id="number"),
        pytest.param({"dnsNames": {"a": 1}}, 'spec.dnsNames: must be a list, not {"a":1}', id="object"),
        pytest.param({"authority": "a" * 64}, "spec.authority: must have at most 63 characters, not 64", id="too long"),
        pytest.param({"services": ["a"] * 2}, "spec.services[1]: is there twice: a", id="twice"),
        pytest.param(
            {"services": [f"a{number}" for number in range(51)]},
            "spec.services: must have at most 50 entries, not 51",
            id="too many",
        ),
        pytest.param({"usages": []}, "spec.usages: must have 1 to 2 entries, not 0", id="too few"),
        pytest.param({"duration": ""}, f"spec.duration: {'must be hours, minutes and seconds'}", id="empty duration"),
        pytest.param({"duration": "30s"}, "spec.duration: must be hours, minutes and seconds", id="too short"),
        pytest.param({"secret": {"name": "A"}}, "spec.secret.name: must have the form ", id="form"),
        pytest.param({"secret": {"labels": {5: "a"}}}, "spec.secret.labels[5]: a key must be a string", id="key"),
        pytest.param({"dnsNames": ["\u202ea", 1]}, "spec.dnsNames[1]: must be a string, not 1", id="index"),
        pytest.param({"a\nb": 1}, r"spec.a\nb: there is no such field", id="line break"),
        pytest.param({"usages": ["x" * 100]}, f"spec.usages[0]: {'x' * 59}… is not one of", id="long value"),
    ],
)
def test_what_is_said(raw: dict[str, Any], said: str) -> None:
    """The value as it was written, and what is allowed."""
    (found,) = told(raw)

    assert found.startswith(said)


def test_a_field_that_can_be_left_out_may_be_null() -> None:
    """The API server drops such a null as well; a required field may not be null."""
    assert not told({"services": None, "duration": None, "privateKey": None})
    assert not told(None)
    assert ["spec.permits[0].namespaceSelector: must be set"] == told(
        {"permits": [{"namespaceSelector": None}]}, AuthoritySpec
    )


some_json = st.recursive(
    st.booleans() | st.integers(-5, 9000) | st.sampled_from(["", "a", "24h", "RSA", "server auth", "In"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(KINDS), st.data())
def test_it_agrees_with_msgspec(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    """Msgspec raises exactly where a misfit is named, and always reads what is left."""
    paths = [path for path in FIELDS[kind] if 0 not in path]
    chosen = data.draw(st.lists(st.sampled_from(paths), max_size=3, unique_by=lambda path: path[0]))
    raw: dict[str, Any] = {}
    for path in chosen:
        raw |= at(path, data.draw(some_json))
    sifted = misfits.sift(raw, kind)
    forms = [fault for fault in sifted.misfits if "hours, minutes" in fault.message]
    try:
        read = msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        assert sifted.misfits
    else:
        assert sifted.misfits == forms or any("is not one of ECDSA, RSA" in fault.message for fault in sifted.misfits)
        assert forms or sifted.misfits or read == msgspec.convert(sifted.rest, kind)
    msgspec.convert(sifted.rest, kind)


# Rules over several fields


RULES: list[Rule[Any]] = [*bounds.OF_AUTHORITIES, *bounds.OF_IDENTITIES]


@pytest.mark.parametrize("broken", [pytest.param(one, id=f"{one.field}: {one.beginning}") for one in BROKEN])
def test_rules_over_several_fields(broken: Broken) -> None:
    """Each is told alone where it alone is broken; a spec that is empty breaks none."""
    rules: Any = bounds.OF_AUTHORITIES if broken.kind is AuthoritySpec else bounds.OF_IDENTITIES
    (found,) = bounds.broken(msgspec.convert(broken.spec, broken.kind), rules)

    assert broken.field == found.field
    assert found.message.startswith(broken.beginning)
    assert not list(bounds.broken(broken.kind(), rules))


def test_every_rule_is_tried() -> None:
    """Each rule has a case here, and uses the words of the schema."""
    messages = {message for file in CRDS.iterdir() for message in _messages(yaml.safe_load(file.read_text()))}

    assert {rule.message for rule in RULES} <= messages
    assert len(RULES) == len(BROKEN) == len({(rule.field, rule.message) for rule in RULES})


def _messages(node: Any) -> Iterator[str]:
    """Find the messages of all rules in a schema."""
    if isinstance(node, list):
        for one in node:
            yield from _messages(one)
    elif isinstance(node, dict):
        yield from (rule["message"] for rule in node.get("x-kubernetes-validations", ()) if "message" in rule)
        for one in node.values():
            yield from _messages(one)


def test_faults_stand_in_the_order_of_the_model() -> None:
    """The order of fields in the manifest does not matter."""
    assert told({"authority": 1, "duration": 1, "suspend": 1}) == told({"suspend": 1, "duration": 1, "authority": 1})
