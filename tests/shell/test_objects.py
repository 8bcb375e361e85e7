"""Objects as the API server sends them, taken apart: at once, and piece by piece, wherever the pieces are cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutualtls.core.bounded import UNREADABLE
from mutualtls.core.errors import UnreadableError
from mutualtls.kube import objects, streams
from mutualtls.kube.objects import Event, ListEnd
from mutualtls.kube.splitter import LONGEST, Form, Splitter
from mutualtls.kube.unread import Unread

MANAGED = [{"manager": "m", "operation": "Update", "fieldsV1": {"f:data": {"f:a": {}}}}]
DEEP = '{"f:a":' * 5000 + "{}" + "}" * 5000
LARGE = "x" * (2 * 1024 * 1024)


class Content:
    """The content of a response, in chunks."""

    def __init__(self, content: bytes, size: int) -> None:
        self._chunks = [content[at : at + size] for at in range(0, len(content), size)]

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate over what is left."""
        while self._chunks:
            yield self._chunks.pop(0)


def metadata(name: str, **more: Any) -> dict[str, Any]:
    """Metadata as the API server sends it."""
    return {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "7", **more}


def compact(body: Any) -> str:
    """Write JSON as the API server does."""
    return json.dumps(body, separators=(",", ":"))


def with_fields(body: dict[str, Any], fields: str) -> str:
    """Write an object whose managedFields are given as JSON. In `body` they are `"HERE"`."""
    return compact(body).replace('"HERE"', fields)


async def _all(found: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in found]


def events(content: str, *, size: int = 65536) -> list[Event | Unread]:
    """Read a watch."""
    return asyncio.run(_all(streams.events(Content(content.encode(), size))))


def listed(content: str, *, size: int = 65536) -> list[Any]:
    """Read a page of a list."""
    return asyncio.run(_all(streams.items(Content(content.encode(), size))))


def page(items: str) -> str:
    """Write a page of a list."""
    return f'{{"kind":"L","metadata":{{"resourceVersion":"9","continue":"more"}},"items":[{items}]}}\n'


def event(name: str, fields: str = "[]", **more: Any) -> str:
    """Write one event of a watch."""
    body = {"type": "ADDED", "object": {"kind": "K", "metadata": metadata(name, managedFields="HERE", **more)}}
    return with_fields(body, fields) + "\n"


def item(name: str, fields: str = "[]", **more: Any) -> str:
    """Write one item of a list."""
    return with_fields({"metadata": metadata(name, managedFields="HERE", **more)}, fields)


def test_an_object_is_read() -> None:
    """It has all fields that are needed, and no others."""
    body = {"kind": "K", "metadata": metadata("a", managedFields=MANAGED, selfLink="x"), "data": {"a": "b"}, "more": 1}

    assert {
        "apiVersion": "",
        "kind": "K",
        "metadata": metadata("a", managedFields=MANAGED),
        "data": {"a": "b"},
    } == objects.parse(compact(body).encode())


HOSTILE = [
    pytest.param(f'[{{"fieldsV1":{DEEP}}}]', id="too deep"),
    pytest.param(compact([{"fieldsV1": {f"f:{number}": {} for number in range(200_000)}}]), id="too many"),
    pytest.param(compact([{"manager": LARGE}]), id="too long"),
    pytest.param(compact([{"manager": LARGE * 3}]), id="longer than any object"),
    pytest.param(compact([{"fieldsV1": {'f:}]"\\': {"f:[{": {}}, '"managedFields":[': {}}}] * 999), id="odd names"),
]


@pytest.mark.parametrize("fields", HOSTILE)
@pytest.mark.parametrize("size", [1000, 65536, 10**9])
def test_managed_fields_that_cannot_be_read_are_left_out(fields: str, size: int) -> None:
    """The object is read, and so are its neighbours."""
    names = ["a", "b", "c"]
    watched = events("".join([event("a"), event("b", fields), event("c")]), size=size)
    found = listed(page(",".join([item("a"), item("b", fields), item("c")])), size=size)

    assert names == [one.metadata["name"] for one in watched if isinstance(one, Event)]
    assert isinstance(watched[1], Event)
    assert "managedFields" not in watched[1].metadata
    assert names == [one["name"] for one in found[:-1]]
    assert ListEnd("9", "more") == found[-1]
    assert "b" == objects.parse(item("b", fields).encode())["metadata"]["name"]


@pytest.mark.parametrize("size", [1000, 65536])
@pytest.mark.parametrize("long", ["<" * (LONGEST + 1), '\\"' * LONGEST, "\\\\" * LONGEST])
def test_an_object_that_is_too_long_is_passed_over(size: int, long: str) -> None:
    """It is named where its name comes first; its neighbours are read."""
    annotations = {"long": long.encode().decode("unicode_escape")}
    watched = events("".join([event("a"), event("b", annotations=annotations), event("c")]), size=size)
    found = listed(page(",".join([item("a"), item("b", annotations=annotations), item("c")])), size=size)

    assert [Event, Unread, Event] == list(map(type, watched))
    assert Unread("too long", "shop/b") == watched[1]
    assert ["a", Unread("too long", "shop/b"), "c", ListEnd("9", "more")] == [
        one["name"] if isinstance(one, dict) else one for one in found
    ]


def test_an_object_that_is_too_deep_is_passed_over() -> None:
    """This is so unless its managedFields are the reason."""
    deep = {"type": "ADDED", "object": {"metadata": metadata("b"), "spec": "HERE"}}
    watched = events(event("a") + with_fields(deep, DEEP) + "\n" + event("c"))

    assert ["a", Unread("nested more than 32 deep", "shop/b"), "c"] == [
        one.metadata["name"] if isinstance(one, Event) else one for one in watched
    ]
    with pytest.raises(UnreadableError, match="deep"):
        objects.parse(f'{{"spec":{DEEP}}}'.encode())


def test_after_a_long_event_others_are_read_at_once_again() -> None:
    """A splitter is for as long as it is needed."""
    managed = compact([{"manager": LARGE}])

    assert ["a", "b", "c"] == [
        one.metadata["name"] for one in events(event("a") + event("b", managed) + event("c")) if isinstance(one, Event)
    ]


def test_owners_without_end_are_told() -> None:
    """They cannot be left out: they would be lost when the object is written."""
    owners = [{"uid": str(number), "name": "x"} for number in range(500)]
    found = objects.parse(item("a", ownerReferences=owners).encode())["metadata"]

    assert "ownerReferences" not in found
    assert "ownerReferences are longer than" in found[UNREADABLE]


OWNERS = compact([{"uid": str(number), "name": "x" * 250} for number in range(20_000)])


@pytest.mark.parametrize("size", [1000, 65536])
def test_an_object_with_owners_without_end_is_read(size: int) -> None:
    """It is read although they are longer than an object may be. A few owners are kept."""
    few = [{"uid": "1"}]
    watched = events(event("a", ownerReferences=[]).replace("[]}}}", f"{OWNERS}}}}}}}") + event("c"), size=size)
    deep = event("b", f'[{{"fieldsV1":{DEEP}}}]', ownerReferences=few)
    (kept,) = events(deep, size=size)

    assert len(OWNERS) > LONGEST
    assert ["a", "c"] == [one.metadata["name"] for one in watched if isinstance(one, Event)]
    assert isinstance(watched[0], Event)
    assert "its ownerReferences are too many" == watched[0].metadata[UNREADABLE]
    assert isinstance(kept, Event)
    assert few == kept.metadata["ownerReferences"]


def test_an_empty_list_is_empty() -> None:
    """The API server writes null."""
    assert [ListEnd("9", "")] == listed('{"metadata":{"resourceVersion":"9"},"items":null}')


@pytest.mark.parametrize("content", ["", "{", "[]", "nonsense", '{"items":[]}', '{"metadata":{},"items":[7]}', "\xff"])
def test_what_is_no_list_is_unreadable(content: str) -> None:
    """It raises no other error, whatever it is."""
    try:
        found = listed(content)
    except UnreadableError:
        return
    assert [Unread] == [type(one) for one in found[:-1]]


@pytest.mark.parametrize(
    "line",
    ["7", "{}", "nonsense", '{"type":"ADDED","object":{"metadata":{"labels":7}}}', '{"type":7}', "{", '{"object":{}}'],
)
def test_a_line_that_is_no_event_is_passed_over(line: str) -> None:
    """The watch goes on."""
    found = events(event("a") + line + "\n" + event("c"))

    assert [Event, Unread, Event] == list(map(type, found))


def test_kopf_sees_no_more_than_handlers_need() -> None:
    """It sees no managedFields, no owners, and of the annotations ours alone."""
    annotations = {"mutualtls.dev/reissue": "1", "other": "x", "mutualtls.dev/long": "x" * 20_000}
    line = event("a", compact(MANAGED), annotations=annotations, ownerReferences=[{"uid": "1"}])
    (seen,) = asyncio.run(_all(streams.events_without_proof(Content(line.encode(), 65536))))
    assert isinstance(seen, Event)
    shown = json.loads(objects.pruned(seen, "mutualtls.dev/"))

    assert metadata("a", annotations={"mutualtls.dev/reissue": "1"}) == shown["object"]["metadata"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(json_values, min_size=1, max_size=4), st.integers(1, 40))
def test_a_splitter_finds_what_was_put_together(values: list[Any], size: int) -> None:
    """It does not matter where the stream is cut."""
    pieces = [
        compact({"type": "ADDED", "object": {"metadata": {"name": "a", "managedFields": [value]}, "x": value}})
        for value in values
    ]
    content = "\n".join(pieces).encode() + b"\n"
    splitter = Splitter(Form.WATCH)
    found = [piece for at in range(0, len(content), size) for piece in splitter.feed(content[at : at + size])]

    assert [
        {"type": "ADDED", "object": {"metadata": {"name": "a", "managedFields": None}, "x": value}} for value in values
    ] == [json.loads(piece) for piece in found if isinstance(piece, bytes)]
    assert splitter.is_between_pieces
