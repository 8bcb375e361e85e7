"""Keys by the name of something that they depend on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core.model.object_key import ObjectKey
from mutualtls.store.index import Index

KEYS = st.sampled_from([ObjectKey("shop", name) for name in ("a", "b", "c")])
NAMES = st.sampled_from(["default", "edge", ""])


@given(st.lists(st.tuples(st.booleans(), NAMES, KEYS)))
def test_an_index_holds_what_was_put_there_and_not_taken_away(steps: list[tuple[bool, str, ObjectKey]]) -> None:
    """However many keys a name has, and however often, in whatever order."""
    index, expected = Index(), set[tuple[str, ObjectKey]]()
    for is_put, name, key in steps:
        (index.add if is_put else index.discard)(name, key)
        (expected.add if is_put else expected.discard)((name, key))

    for name in ("default", "edge", ""):
        keys = {key for of, key in expected if of == name}
        assert keys == set(index.of(name))
        assert len(keys) == len(index.of(name)) == index.count(name)
        assert bool(keys) == (name in index)
