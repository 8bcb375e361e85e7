"""Texts that anybody may have written are bounded, and whatever is wrong with them is one kind of error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core import bounded, times
from mutualtls.core.api import managed
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Published
from mutualtls.core.ca import ledger
from mutualtls.core.errors import UnreadableError
from mutualtls.core.leaf import secret
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.secret import Owned
from mutualtls.core.model import labels
from support.builders import NOW, an_identity, observed, secret_of
from support.examples import examples
from support.secrets import FACTS

DEEP = '{"x":' + "[" * 50_000 + "]" * 50_000 + "}"


def facts(**more: Any) -> str:
    """The annotation of facts."""
    return msgspec.json.encode(FACTS | more).decode()


UNREADABLE = [
    pytest.param("", id="nothing"),
    pytest.param("nonsense", id="no JSON"),
    pytest.param("7", id="another type"),
    pytest.param(DEEP, id="too deep"),
    pytest.param("[" * 60_000, id="without an end"),
    pytest.param('"' + "x" * 60_000 + '"', id="too long"),
    pytest.param('{"x":"\ud800"}', id="half a character"),
    pytest.param('{"size":1' + "0" * 5000 + "}", id="a number without end"),
    pytest.param(facts(notAfter="2027-01-01T00:00:00"), id="an end without a zone"),
    pytest.param(facts(bundleSince="2026-01-01T00:00:00"), id="a time without a zone"),
    pytest.param(facts(notAfter="9999-12-31T23:59:59Z"), id="an end that no sum has room for"),
    pytest.param(facts(notBefore="0001-01-01T00:00:00Z"), id="a start before all time"),
    pytest.param(facts(notBefore="0001-01-01T00:00:00+23:59"), id="a start before all time, in a zone"),
    pytest.param(facts(notAfter="9999-12-31T23:59:59-23:59"), id="an end after all time, in a zone"),
]
DECODERS: list[tuple[str, Callable[[str], object]]] = [
    ("facts", lambda text: bounded.decode(text, Facts, longest=4096)),
    ("owned", lambda text: bounded.decode(text, Owned, longest=4096)),
    ("published", lambda text: bounded.decode(text, Published, longest=4096)),
    ("ledger", ledger.decode),
]


@pytest.mark.parametrize("text", UNREADABLE[:8])
@pytest.mark.parametrize("decode", [pytest.param(decode, id=name) for name, decode in DECODERS])
def test_what_cannot_be_read_is_one_kind_of_error(decode: Callable[[str], object], text: str) -> None:
    """Every decoder raises the same kind."""
    with pytest.raises(UnreadableError):
        decode(text)


@pytest.mark.parametrize("text", UNREADABLE)
def test_facts_that_cannot_be_read_are_none(text: str) -> None:
    """The files are read then."""
    body = secret_of(observed(an_identity()))
    body["metadata"]["annotations"][labels.FACTS] = text

    assert secret.facts_written(body["metadata"]) is None
    assert secret.facts_noted(body["metadata"]) is None


@pytest.mark.parametrize("text", [*UNREADABLE[:8], '{"authority":"a","bundleHash":"b","since":"2026-01-01T00:00:00"}'])
def test_a_copy_that_cannot_be_read_is_none(text: str) -> None:
    """It is somebody else's, or written anew."""
    metadata = {"uid": "1", "resourceVersion": "1", "annotations": {labels.PUBLISHED: text}}

    assert publish.parse(metadata, None, now=NOW).authority is None


@examples(100)
@given(st.text())
def test_decoders_raise_nothing_else(text: str) -> None:
    """They raise nothing else for any text."""
    for _, decode in DECODERS:
        with pytest.raises(UnreadableError):
            decode(text)


@examples(100)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(st.sampled_from(["f:data", "f:metadata", "f:annotations", "f:a"]), below)
        ),
    )
)
def test_any_managed_fields_prove_nothing_at_worst(fields: Any) -> None:
    """This holds even if somebody wrote them under our name."""
    metadata = secret_of(observed(an_identity()))["metadata"]
    metadata["managedFields"] = [{"manager": labels.FIELD_MANAGER, "fieldsV1": fields}]

    assert managed.others(metadata)
    assert isinstance(managed.is_made_immutable(metadata), bool)
    assert secret.parse(metadata).uid
    assert secret.facts_noted(metadata) is None


def test_what_is_kept_of_a_secret_is_bounded() -> None:
    """Names that nobody has are bounded, and so is what others say of themselves."""
    long = "x" * 250_000
    annotations = {labels.IDENTITY_UID: long, labels.IDENTITY_NAME: long, labels.OWNED: f'{{"data":["{long}"]}}'}
    metadata = secret_of(observed(an_identity()))["metadata"] | {"annotations": annotations}
    metadata["managedFields"] = [{"manager": "m" * 128} for _ in range(100)]
    metadata["labels"] = {}
    found = secret.parse(metadata)

    assert (None, None, Owned()) == (found.identity_uid, found.identity_name, found.owned)
    assert len(found.manager) < 300


@pytest.mark.parametrize(
    "moment", [datetime(1969, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC), NOW.replace(tzinfo=None)]
)
def test_times_have_a_zone_and_bounds(moment: datetime) -> None:
    """Sums with them are times, too."""
    with pytest.raises(UnreadableError, match="out of bounds"):
        times.check(moment)
    times.check(NOW, None)
