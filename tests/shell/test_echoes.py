"""What Kopf gets to see of its watches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from mutualtls.kube.requests import Requests
from mutualtls.kube.unread import UnreadObjects
from mutualtls.kube.versions import Versions
from mutualtls.watching import echoes
from mutualtls.watching.echoes import Filter, Note
from support.builders import NOW

DEEP = '{"a":' * 5000 + "{}" + "}" * 5000
_LIST_ENDS = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
LISTED = json.dumps({"type": "BOOKMARK", "object": {"metadata": _LIST_ENDS}})


class Content:
    """The content of a response."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Iterate line by line."""
        for line in self._lines:
            yield line.encode() + b"\n"


class Kopf:
    """What came through, and what health was told."""

    def __init__(self, notes: Mapping[str, Note] | None = None) -> None:
        self.heard: list[str] = []
        self.listed: list[str] = []
        self.lost: list[str] = []
        self.unread = UnreadObjects(clock=lambda: NOW)
        self.through = Filter(
            is_known=lambda kind, namespace, name, version: (
                (kind, namespace, name, version) == ("K", "shop", "known", "7")
            ),
            hear=self.heard.append,
            list_ended=self.listed.append,
            lose=lambda resource, _: self.lost.append(resource),
            refused=lambda path, code, _: f"{path} {code}",
            unread=self.unread,
            versions=Versions(),
            requests=Requests(),
            notes=notes or {},
        )

    def sees(self, *lines: str, is_list: bool = False) -> list[dict[str, Any]]:
        """Read a watch."""

        async def read() -> list[bytes]:
            return [line async for line in self.through.passed("things", Content(*lines), is_list=is_list)]

        return [json.loads(line) for line in asyncio.run(read())]


def event(name: str, spec: str = "{}", *, type_: str = "ADDED") -> str:
    """Write an event."""
    metadata = {"name": name, "namespace": "shop", "resourceVersion": "7", "uid": "1"}
    body = {"type": type_, "object": {"kind": "K", "metadata": metadata, "spec": "HERE"}}
    return json.dumps(body).replace('"HERE"', spec)


def names(events: list[dict[str, Any]]) -> list[str]:
    """Name what came through."""
    return [one["object"]["metadata"]["name"] for one in events]


def test_echoes_are_dropped() -> None:
    """Deletions are never dropped."""
    kopf = Kopf()

    assert ["a", "known"] == names(kopf.sees(event("a"), event("known"), event("known", type_="DELETED")))


def test_what_cannot_be_read_is_passed_over() -> None:
    """It is counted and named; its neighbours come through."""
    kopf = Kopf()
    nested = "[" * 500 + "]" * 500

    assert ["a", "d"] == names(kopf.sees(event("a"), event("b", DEEP), event("c", nested), "nonsense", event("d")))
    assert 3 == kopf.unread.counts["things"]


@pytest.mark.parametrize(("code", "lost"), [(410, []), (500, ["things"])])
def test_an_error_has_the_list_begun_again(code: int, lost: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Kopf would end for one that says anything else than that a version is too old."""
    monkeypatch.setattr(echoes, "_RETRY_S", 0)
    kopf = Kopf()
    error = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "why", "metadata": {}}})
    (found,) = kopf.sees(error, event("a"))

    assert 410 == found["object"]["code"]
    assert lost == kopf.lost


def test_what_is_noted_here_does_not_come_through() -> None:
    """Kopf sees of such a kind where its list ends, and errors, but no object."""
    noted: list[tuple[str, str]] = []
    kopf = Kopf({"things": lambda type_, body: noted.append((type_, body["metadata"]["name"]))})
    seen = kopf.sees(event("a"), event("known"), event("known", type_="DELETED"), LISTED, is_list=True)

    assert [("ADDED", "a"), ("DELETED", "known")] == noted
    assert ["BOOKMARK"] == [one["type"] for one in seen]
    assert (["things"] * 4, ["things"]) == (kopf.heard, kopf.listed)


def test_a_watch_is_not_resumed_from_before_a_deletion() -> None:
    """It would bring back what is gone, and a Secret would be made for it."""
    kopf = Kopf({"things": lambda *_: None})
    gone = json.loads(event("a", type_="DELETED"))
    (seen,) = kopf.sees(event("a"), json.dumps(gone))

    assert ("BOOKMARK", gone["object"]["metadata"]["resourceVersion"]) == (
        seen["type"],
        seen["object"]["metadata"]["resourceVersion"],
    )


def test_what_is_noted_here_has_no_annotations_of_others() -> None:
    """They may be large, and nobody reads them."""
    noted: list[dict[str, Any]] = []
    kopf = Kopf({"things": lambda _, body: noted.append(body["metadata"]["annotations"])})
    annotated = json.loads(event("a"))
    annotated["object"]["metadata"]["annotations"] = {"a": "b", "mutualtls.dev/reissue": "1"}
    kopf.sees(json.dumps(annotated))

    assert [{"mutualtls.dev/reissue": "1"}] == noted


def test_an_object_that_cannot_be_noted_is_passed_over() -> None:
    """Whatever it holds, those after it are noted."""
    noted: list[str] = []

    def note(_: str, body: dict[str, Any]) -> None:
        noted.append(body["spec"]["name"])

    kopf = Kopf({"things": note})
    kopf.sees(event("a"), event("b", '{"name": "b"}'))

    assert ["b"] == noted
    assert 1 == kopf.unread.counts["things"]


def test_health_hears_of_each_event_and_of_the_end_of_the_list() -> None:
    """It also hears of bookmarks, and of what cannot be read."""
    kopf = Kopf()
    kopf.sees(event("a"), "nonsense", is_list=True)

    assert (["things"] * 2, []) == (kopf.heard, kopf.listed)
    kopf.sees(event("a"), LISTED, is_list=True)
    assert ["things"] == kopf.listed


def test_a_list_that_was_cut_is_begun_again() -> None:
    """Kopf would resume it without its rest."""
    kopf = Kopf()
    kopf.sees(event("a"), is_list=True)

    assert [410] == [one["object"]["code"] for one in kopf.sees(event("b"))]
    kopf.sees(event("a"), LISTED, is_list=True)
    assert ["b"] == names(kopf.sees(event("b")))


def test_each_name_is_logged_once_and_so_many_in_a_minute(caplog: Any) -> None:
    """Ever-new names are counted together."""
    unread = UnreadObjects(clock=lambda: NOW)
    for number in range(100):
        for _ in range(3):
            unread.note("things", f"shop/{number}", "too deep")

    assert 300 == unread.counts["things"]
    assert [f"things shop/{number}" for number in range(10)] == [record.object for record in caplog.records]
