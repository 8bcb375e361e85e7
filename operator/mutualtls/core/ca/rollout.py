"""How far bundles and leaves are rolled out, as gates and the rebuilding of a ledger look at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mutualtls.core.model.object_key import ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """An object that carries the bundle to consumers: the Secret of an identity."""

    name: str
    """For people: `secret shop/orders-mtls`."""
    bundle_hash: str | None
    """Of the bundle in it; None where that is not known at the version that it has, or it is somebody else's."""
    since: datetime | None = None
    """When that bundle was written into it; None where it was made with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate in a managed Secret."""

    secret: ObjectKey
    issuer_key_id: str | None
    """None where the Secret was not read at the version that it has."""
    bundle_hash: str | None = None
    """Of the bundle beside it, where that is of interest."""
    not_after: datetime | None = None
    since: datetime | None = None
    """When a leaf of another CA was replaced by one of this; None where there was none before."""
    recorded_end: datetime | None = None
    """Its end as the status of its identity records it, which nobody else writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """All that gates look at, of one authority."""

    carriers: tuple[Carrier, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    is_whole: bool = True
    """Whether all identities are known. What is not known of yet is waited for."""
    skipped: tuple[str, ...] = ()
    """For people: Secrets with the authority's label that none of its identities has. No gate looks at them."""
