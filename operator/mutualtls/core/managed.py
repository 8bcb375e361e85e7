"""`metadata.managedFields`: what of an object is still as we wrote it.

An update takes a changed field away from the manager that had it. So what we still own, nobody has changed after us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mutualtls.core import labels


def ours(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Unite the sets of fields that are ours (FieldsV1): they may be split over several entries."""
    united: dict[str, Any] = {}
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == labels.FIELD_MANAGER:
            _unite(united, entry.get("fieldsV1") or {})
    return united


def annotations_of(owned: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the annotations out of a set of fields."""
    found: Mapping[str, Any] = (owned.get("f:metadata") or {}).get("f:annotations") or {}
    return found


def _unite(into: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for name, below in fields.items():
        _unite(into.setdefault(name, {}), below)


def is_made_immutable(metadata: Mapping[str, Any]) -> bool:
    """Tell whether somebody has set `immutable` on a Secret or ConfigMap."""
    return any("f:immutable" in (entry.get("fieldsV1") or {}) for entry in metadata.get("managedFields") or ())


def others(metadata: Mapping[str, Any]) -> str:
    """Name who but us wrote to an object, or what its labels say manages it: for telling people."""
    said = [(metadata.get("labels") or {}).get(labels.MANAGED_BY)]
    wrote = [entry.get("manager") for entry in metadata.get("managedFields") or ()]
    named, managers = ({who for who in found if who and who != labels.FIELD_MANAGER} for found in (said, wrote))
    return ", ".join(sorted(named or managers)) or "somebody unknown"
