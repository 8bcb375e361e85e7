"""What the operator follows: what its own watches do, and what Kopf tells of and is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.model.scope import METADATA_NAME, SPEC_AUTHORITY
from mutualtls.kube import paths
from mutualtls.kube.watch import Followed
from mutualtls.store.store import Store
from mutualtls.watching.census import Counted
from mutualtls.watching.handlers import Handlers
from mutualtls.watching.wakes import Wakes


def watch_name(resource: str, authority: str) -> str:
    """Name a watch for people, by its resource and the authority whose objects alone it follows; "": no such one."""
    return f"{resource} of authority {authority}" if authority and resource != "namespaces" else resource


def by_watches(store: Store, wakes: Wakes, *, not_served: Callable[[], None]) -> dict[str, Followed]:
    """Say what is followed without Kopf, by names that begin with the resource: our Secrets, and copies of bundles.

    `not_served` is called where the API server has no ClusterTrustBundles.
    """
    copies, bundles = store.copies, store.scope.by_label(f"{labels.PART}={labels.PART_BUNDLE}")
    return _secrets(store, wakes) | {
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


def _secrets(store: Store, wakes: Wakes) -> dict[str, Followed]:
    """Say which Secrets are followed: those of identities and CAs, and with passwords, which are of no authority."""
    kept, scope = store.secrets, store.scope

    def followed(selector: str, absent: Callable[[Iterable[ObjectKey]], tuple[ObjectKey, ...]]) -> Followed:
        return Followed(
            path=paths.SECRETS,
            selector=selector,
            note=kept.note,
            version=kept.version,
            note_gone=kept.note_gone,
            absent=absent,
            changed=wakes.secret,
        )

    ours = f"{labels.PART_FILES},{labels.PART_CA}"
    if scope.is_whole:
        return {"secrets": followed(f"{labels.PART} in ({ours},{labels.PART_PASSWORD})", kept.absent)}
    return {
        "secrets": followed(scope.by_label(f"{labels.PART} in ({ours})"), kept.absent_files),
        "secrets with passwords": followed(f"{labels.PART}={labels.PART_PASSWORD}", kept.absent_passwords),
    }


def by_kopf(store: Store, handlers: Handlers) -> list[Counted]:
    """Say what Kopf tells of."""
    by_field = store.scope.by_field
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
            fields=tuple(by_field(METADATA_NAME).values()),
            path_of=lambda key: paths.authority(key.name),
            known=lambda: {ObjectKey("", name): one for name, one in store.authorities.versions().items()},
            note=handlers.note_authority,
        ),
        Counted(
            resource=labels.IDENTITY_PLURAL,
            path=paths.IDENTITIES,
            fields=tuple(by_field(SPEC_AUTHORITY).values()),
            path_of=lambda key: paths.identity(*key),
            known=store.identities.versions,
            note=handlers.note_identity,
        ),
    ]
