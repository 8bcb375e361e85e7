"""`metadata.managedFields`: what of an object is still as we wrote it; and what else keeps us from writing it.

An update takes a changed field away from the manager that had it. So what we still own, nobody has changed after us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mutualtls.core import fitting
from mutualtls.core.model import labels

UNKNOWN = "somebody unknown"
"""Who wrote to an object of which nothing tells."""
_LONGEST = 256
"""Of what is told of others, in characters. Names of managers may have 128 each."""


def ours(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Unite the sets of fields that are ours (FieldsV1): they may be split over several entries."""
    united: dict[str, Any] = {}
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == labels.FIELD_MANAGER:
            _unite(united, _fields(entry))
    return united


def _fields(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the set of fields of an entry, which whoever updates an object may have written as it pleased."""
    found = entry.get("fieldsV1")
    return found if isinstance(found, Mapping) else {}


def annotations_of(owned: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the annotations out of a set of fields."""
    found: Mapping[str, Any] = (owned.get("f:metadata") or {}).get("f:annotations") or {}
    return found


def _unite(into: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for name, below in fields.items():
        _unite(into.setdefault(name, {}), below if isinstance(below, dict) else {})


def is_made_immutable(metadata: Mapping[str, Any]) -> bool:
    """Tell whether somebody has set `immutable` on a Secret or ConfigMap."""
    return any("f:immutable" in _fields(entry) for entry in metadata.get("managedFields") or ())


def held_by(metadata: Mapping[str, Any]) -> str | None:
    """Name the finalizers that keep an object there, though it was deleted; None where it was not."""
    if not metadata.get("deletionTimestamp"):
        return None
    return fitting.shortened(", ".join(map(str, metadata.get("finalizers") or ())), _LONGEST)


def others(metadata: Mapping[str, Any]) -> str:
    """Name who but us wrote to an object, or what its labels say manages it: for telling people."""
    said = [(metadata.get("labels") or {}).get(labels.MANAGED_BY)]
    wrote = [entry.get("manager") for entry in metadata.get("managedFields") or ()]
    named, managers = ({who for who in found if who and who != labels.FIELD_MANAGER} for found in (said, wrote))
    text = ", ".join(sorted(named or managers)) or UNKNOWN
    return fitting.shortened(text, _LONGEST)
