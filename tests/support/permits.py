"""What an identity is given and refused under permits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mutualtls.core.ca import offer as trusts
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired
from mutualtls.core.names.names import Names
from support.builders import an_identity, authority


def given(
    namespace: str = "shop",
    *permits: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    of: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Names:
    """Work out the names of `orders` under permits, which are for all namespaces where they do not say otherwise.

    `labels` are the namespace's, `of` is more of the authority's spec. Only what `spec` says is asked for.
    """
    serving = [{"namespaceSelector": {}} | dict(permit) for permit in permits]
    by = trusts.of(authority(permits=serving, **(of or {})), None)
    asked = {"services": [], "serviceAccountName": ""} | spec
    return desired.wanted(an_identity(namespace=namespace, **asked), by, labels or {}).names


def refusals(namespace: str = "shop", *permits: Mapping[str, Any], **more: Any) -> list[str]:
    """List the faults of what `given` refuses; none if it gives the names."""
    try:
        given(namespace, *permits, **more)
    except SpecError as error:
        return [str(fault) for fault in error.faults]
    return []
