"""A namespace of the cluster, as far as decisions depend on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """What is known of a namespace."""

    name: str
    labels: Mapping[str, str]
    is_terminating: bool
    uid: str = ""


def parse(metadata: Mapping[str, Any]) -> Namespace:
    """Read a namespace from its metadata, as JSON of the API server."""
    return Namespace(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        is_terminating="deletionTimestamp" in metadata,
        uid=metadata.get("uid", ""),
    )
