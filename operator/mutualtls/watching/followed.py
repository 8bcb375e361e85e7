"""What the operator follows: what its own watches do, and what Kopf tells of and is counted."""

from __future__ import annotations

from collections.abc import Callable

from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths
from mutualtls.kube.watch import Followed
from mutualtls.store.store import Store
from mutualtls.watching.census import Counted
from mutualtls.watching.handlers import Handlers
from mutualtls.watching.wakes import Wakes


def by_watches(store: Store, wakes: Wakes, *, not_served: Callable[[], None]) -> dict[str, Followed]:
    """Say what is followed without Kopf: our own Secrets, and the copies of bundles.

    `not_served` is called where the API server has no ClusterTrustBundles.
    """
    copies, bundles = store.copies, f"{labels.PART}={labels.PART_BUNDLE}"
    return {
        "secrets": Followed(
            path=paths.SECRETS,
            selector=f"{labels.PART} in ({labels.PART_FILES},{labels.PART_CA},{labels.PART_PASSWORD})",
            note=store.secrets.note,
            version=store.secrets.version,
            note_gone=store.secrets.note_gone,
            absent=store.secrets.absent,
            changed=wakes.secret,
        ),
        "configmaps": Followed(
            path=paths.CONFIG_MAPS,
            selector=bundles,
            note=copies.note,
            version=copies.version,
            note_gone=copies.note_gone,
            absent=copies.absent_config_maps,
            changed=wakes.copy,
        ),
        "clustertrustbundles": Followed(
            path=paths.TRUST_BUNDLES,
            selector=bundles,
            note=copies.note,
            version=copies.version,
            note_gone=copies.note_gone,
            absent=copies.absent_trust_bundles,
            changed=wakes.copy,
            not_served=not_served,
        ),
    }


def by_kopf(store: Store, handlers: Handlers) -> list[Counted]:
    """Say what Kopf tells of."""
    return [
        Counted(
            resource="namespaces",
            path=paths.NAMESPACES,
            path_of=lambda key: paths.namespace(key.name),
            known=lambda: {ObjectKey("", name): (one.uid, 0) for name, one in store.namespaces.items()},
            note=handlers.note_namespace,
        ),
        Counted(
            resource=labels.AUTHORITY_PLURAL,
            path=paths.AUTHORITIES,
            path_of=lambda key: paths.authority(key.name),
            known=lambda: {ObjectKey("", name): one for name, one in store.authorities.versions().items()},
            note=handlers.note_authority,
        ),
        Counted(
            resource=labels.IDENTITY_PLURAL,
            path=paths.IDENTITIES,
            path_of=lambda key: paths.identity(*key),
            known=store.identities.versions,
            note=handlers.note_identity,
        ),
    ]
