"""Profiles: read as py-spy and Go programs write them, drawn, and listed; and the writes that an API server counts."""

from __future__ import annotations

import gzip
from collections import Counter
from xml.etree import ElementTree

import pytest

from devtools.bench import flame, meters, pprof

STACKS = Counter({("main", "work", "sign"): 3, ("main", "work"): 1, ("main", "read <all>"): 4})


def _varint(number: int) -> bytes:
    low, more = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(more) if more else bytes([low])


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def test_stacks_are_read_as_a_sampler_folds_them() -> None:
    """One a line, outermost first, with the number of samples after the last space; the same stack may come twice."""
    lines = ["main;work;sign 1", "main;work 1", "", "main;read <all> 4", "main;work;sign 2\n"]

    assert flame.folded(lines) == STACKS


def test_a_profile_of_a_go_program_is_read_with_what_was_inlined() -> None:
    """The innermost location comes first, and in a location the function that was inlined into the other."""
    strings = ["", "main", "work", "sign"]
    locations = [(1, [1]), (300, [3, 2])]
    content = b"".join(
        [
            *(_message(6, text.encode()) for text in strings),
            *(_message(5, _number(1, one) + _number(2, one)) for one in (1, 2, 3)),
            *(
                _message(4, _number(1, one) + b"".join(_message(4, _number(1, function)) for function in functions))
                for one, functions in locations
            ),
            _message(2, _message(1, _varint(300) + _varint(1)) + _message(2, _varint(7) + _varint(70_000))),
            _message(2, _number(1, 1) + _number(2, 2) + _number(2, 20_000)),
        ]
    )

    assert pprof.read(gzip.compress(content)) == {("main", "work", "sign"): 7, ("main",): 2}


def test_no_profile_is_refused() -> None:
    """A field of a kind that is never written shows that it is none."""
    with pytest.raises(ValueError, match="no profile: a field of kind 7"):
        pprof.read(gzip.compress(b"\x0f"))


def test_a_flame_graph_names_every_function_with_its_share() -> None:
    """It is well-formed XML, whatever the names hold."""
    drawn = ElementTree.fromstring(flame.draw(STACKS, "a <title>"))  # noqa: S314 - drawn here
    titles = {one.text for one in drawn.iter("{http://www.w3.org/2000/svg}title")}

    assert titles == {"main: 100.0%", "work: 50.0%", "sign: 37.5%", "read <all>: 50.0%"}


def test_functions_are_listed_by_their_own_time_and_by_all_they_call() -> None:
    """A function that calls itself is counted once for a stack, and one that calls all the rest is not told."""
    listed = flame.listed(Counter({("main", "walk", "walk", "work"): 3, ("main",): 1}))

    assert listed.splitlines() == [
        "own time:", "  75.0%  work", "  25.0%  main", "", "with all they call:", "  75.0%  walk", "  75.0%  work",
    ]  # fmt: skip


def test_writes_are_counted_by_resource_and_verb() -> None:
    """Only those that succeeded, and none of what the control plane writes for itself."""
    line = 'apiserver_request_total{{code="{}",dry_run="{}",resource="{}",subresource="{}",verb="{}",version="v1"}} {}'
    text = "\n".join(
        [
            "# HELP apiserver_request_total Counter of requests",
            line.format(201, "", "secrets", "", "POST", 3),
            line.format(409, "", "secrets", "", "POST", 5),
            line.format(200, "All", "secrets", "", "POST", 5),
            line.format(200, "", "secrets", "", "LIST", 5),
            line.format(200, "", "leases", "", "PUT", 5),
            line.format(200, "", "mutualtlsidentities", "status", "PATCH", "1e+06"),
        ]
    )

    assert meters.writes(text) == {"secrets POST": 3, "mutualtlsidentities/status PATCH": 1_000_000}
