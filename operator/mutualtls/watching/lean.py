"""Kopf's settings, as lean as it goes: nothing is kept of any object, on it or in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kopf

from mutualtls.core.model import labels


class _NoDiff(kopf.DiffBaseStorage):
    """Keeps Kopf from copying and comparing every object at every event: with `on.event` alone nobody asks for it."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return {}

    def store(self, **_: Any) -> None:
        """Store nothing."""


class _NoProgress(kopf.ProgressStorage):
    """The same for the progress of handlers, which `on.event` does not have."""

    def fetch(self, **_: Any) -> None:
        """Know nothing."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Have nothing to purge."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def settings(fields: Mapping[str, str]) -> kopf.OperatorSettings:
    """Set Kopf as lean as it goes: watches and dispatch, nothing else (figures in its decision record).

    `fields` are selectors by fields, by the plural of a resource of ours; empty where nothing is selected.
    """
    lean = kopf.OperatorSettings()
    lean.posting.enabled = False
    lean.scanning.disabled = True
    lean.peering.standalone = True
    lean.persistence.diffbase_storage = _NoDiff()
    lean.persistence.progress_storage = _NoProgress()
    lean.queueing.idle_timeout = 0.05
    lean.watching.initial_streaming = True
    for plural, selector in fields.items():
        if selector:
            lean.watching.field_selectors[labels.GROUP, plural] = selector
    lean.networking.error_backoffs = (1, 1, 2, 3, 5)
    return lean
