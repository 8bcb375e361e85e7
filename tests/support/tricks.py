"""What somebody reads in answer to a trick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mutualtls.core.api.authority import Authority
from mutualtls.core.ca import offer as trusts
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired
from support.builders import an_identity, authority

WHERE = "to a permit of authority default whose namespaceSelector matches namespace shop"
ALL: dict[str, Any] = {"namespaceSelector": {}}


def said(
    of: Authority | None = None,
    *,
    name: str = "orders",
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> list[str]:
    """List what the user is told; nothing where the names are given. Only what `spec` says is asked for."""
    asked = {"services": [], "serviceAccountName": ""} | spec
    try:
        desired.wanted(an_identity(name, namespace, **asked), trusts.of(of or authority(), None), labels or {})
    except SpecError as error:
        return [str(fault) for fault in error.faults]
    return []
