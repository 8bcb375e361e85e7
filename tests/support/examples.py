"""Values for tests of what holds for whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from support.builders import NOW, SECOND

Test = TypeVar("Test", bound=Callable[..., None])


def examples(most: int) -> Callable[[Test], Test]:
    """Try so many examples, the same in every run, however long one takes."""
    return settings(max_examples=most, deadline=None, derandomize=True, database=None)


moments = st.integers(min_value=0, max_value=10**9).map(lambda s: NOW + s * SECOND)


fractions = st.integers(min_value=0, max_value=999_999).map(lambda us: timedelta(microseconds=us))


durations = st.integers(min_value=60, max_value=168 * 3600).map(lambda s: s * SECOND)
