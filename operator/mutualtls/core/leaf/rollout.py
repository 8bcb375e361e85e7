"""How far the bundle and the leaves of an authority are rolled out, by what is known of Secrets and copies.

It stands here and not beside `core.ca.rollout`, which says what a roll-out is: it reads facts of leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Copy
from mutualtls.core.ca.rollout import Carrier, Leaf, Rollout
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model.object_key import ObjectKey


def rollout_of(
    authority: str,
    secrets: Iterable[tuple[ObjectKey, Facts | None, datetime | None]],
    copies: Mapping[ObjectKey, Copy | None],
    *,
    is_whole: bool,
    others: Iterable[ObjectKey] = (),
) -> Rollout:
    """Show what rotations look at.

    `secrets` are those of its identities: key, what is known of the files, and the end of the leaf that the identity's
    status records. `copies` are all that there are to be, by key. `is_whole`: whether all identities are known; before,
    nothing is said of `others`, the keys of Secrets with the authority's label that none of its identities has.
    """
    carriers = [_copy(key, copy, authority) for key, copy in copies.items()]
    leaves = []
    for key, files, recorded_end in secrets:
        carriers.append(_carrier(key, files))
        leaves.append(_leaf(key, files, recorded_end))
    skipped = tuple(f"secret {key}" for key in others) if is_whole else ()
    return Rollout(carriers=tuple(carriers), leaves=tuple(leaves), is_whole=is_whole, skipped=skipped)


def _carrier(key: ObjectKey, files: Facts | None) -> Carrier:
    """Show the bundle in a Secret. One that is in ca.crt and not in the trust store yet is not there yet."""
    name = f"secret {key}"
    if files is None:
        return Carrier(name=name, bundle_hash=None)
    found = files.bundle_hash if files.carries(files.bundle_hash) else None
    return Carrier(name=name, bundle_hash=found, since=files.bundle_since)


def _leaf(key: ObjectKey, files: Facts | None, recorded_end: datetime | None) -> Leaf:
    if files is None:
        return Leaf(secret=key, issuer_key_id=None, recorded_end=recorded_end)
    return Leaf(
        secret=key,
        issuer_key_id=files.issuer_key_id,
        not_after=files.not_after,
        since=files.issuer_since,
        recorded_end=recorded_end,
    )


def _copy(key: ObjectKey, copy: Copy | None, authority: str) -> Carrier:
    """Show the bundle in a copy. One that is not there, or somebody else's, has none."""
    found = copy.published if copy is not None and copy.authority == authority else None
    return Carrier(
        name=publish.label(key),
        bundle_hash=found.whole_bundle_hash if found else None,
        since=found.since if found else None,
    )
