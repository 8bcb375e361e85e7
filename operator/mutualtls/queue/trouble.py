"""What the API server does not take: counted, told no more often than is of use, and noticed where it is statuses."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from mutualtls.core.api.refusals import Cause
from mutualtls.core.model.object_key import ObjectKey

_LEAST_BETWEEN = timedelta(minutes=5)
"""Of an object, between two statuses that tell of the same kind of trouble in other words."""
_MOST_IN_A_ROW = 5
"""So many statuses may be refused, and none be taken, before the operator does not serve any more."""
_LEAST_NAMESPACES = 2
"""Of so many namespaces at least: nobody who may only write into one keeps the operator from being ready."""


class Trouble:
    """The requests of one operator that were not taken. Keys are those of identities and authorities."""

    def __init__(self) -> None:
        self.refused: Counter[tuple[str, str, str]] = Counter()
        """How many writes were not taken, by resource, code and cause."""
        self._told: dict[ObjectKey, datetime] = {}
        self._in_a_row: Counter[str] = Counter()

    def count(self, resource: str, code: int, cause: Cause) -> None:
        """Count a write that was not taken."""
        self.refused[resource, str(code), cause] += 1

    def may_tell(self, key: ObjectKey, now: datetime) -> bool:
        """Tell whether it is long enough ago that trouble with an object was told."""
        last = self._told.get(key)
        return last is None or not last <= now < last + _LEAST_BETWEEN

    def tell(self, key: ObjectKey, now: datetime) -> None:
        """Take in that trouble with an object is being told."""
        self._told[key] = now

    def status_taken(self) -> None:
        """Take in that a status was written."""
        self._in_a_row.clear()

    def status_refused(self, namespace: str) -> None:
        """Take in that a status was refused; of an authority, for the namespace ""."""
        if namespace in self._in_a_row or len(self._in_a_row) < _LEAST_NAMESPACES:
            self._in_a_row[namespace] += 1

    def why_not_ready(self) -> str | None:
        """Tell whether the API server takes no status: nobody learns then what the operator has to say."""
        if len(self._in_a_row) < _LEAST_NAMESPACES or self._in_a_row.total() < _MOST_IN_A_ROW:
            return None
        return "the API server refuses the statuses that are written: the log says why"

    def forget(self, key: ObjectKey) -> None:
        """Forget an object that is gone."""
        self._told.pop(key, None)

    def sweep(self, now: datetime) -> None:
        """Throw out what counts no more."""
        self._told = {key: last for key, last in self._told.items() if not self.may_tell(key, now)}

    @property
    def held(self) -> int:
        """How many things are kept, but for the counts, of which there are as many as resources and codes."""
        return len(self._told)
