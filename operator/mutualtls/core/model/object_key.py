"""The key of an object within its kind."""

from __future__ import annotations

from typing import NamedTuple


class ObjectKey(NamedTuple):
    """Namespace and name. In order it is by namespace first; in logs and messages it is `NAMESPACE/NAME`."""

    namespace: str
    """Empty for what has none."""
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
