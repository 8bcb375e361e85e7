"""What is known of the cluster, and what follows from one kind for another.

Fed by the watches and by our own writes (`store.versioned`). What is decided by it stands in the core.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mutualtls.core.api import identity
from mutualtls.core.api.identity import Identity
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Places
from mutualtls.core.ca.rollout import Rollout
from mutualtls.core.leaf import rollout, secret
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model import labels, namespace
from mutualtls.core.model.namespace import Namespace
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.model.scope import EVERYTHING, Scope
from mutualtls.store.authorities import Authorities
from mutualtls.store.copies import Copies
from mutualtls.store.identities import Identities, password_key, secret_key
from mutualtls.store.secrets import Secrets


class Store:
    """Identities, authorities, namespaces, Secrets and copies of bundles, of the authorities of a scope."""

    def __init__(self, *, sweep: timedelta = timedelta(hours=24), scope: Scope = EVERYTHING) -> None:
        self.scope = scope
        self.identities = Identities(held=self._share_texts)
        self.authorities = Authorities()
        self.namespaces: dict[str, Namespace] = {}
        self.secrets = Secrets(sweep=sweep, remembers=self.identities.is_named, held=self._share_texts)
        self.copies = Copies(is_wanted=lambda key: publish.is_name_of_a_copy(key, self.authorities.values()))
        self.serves_trust_bundles = True
        """Whether the API server has ClusterTrustBundles."""

    def is_known(self, kind: str, namespace: str, name: str, resource_version: str) -> bool:
        """Tell whether an object of a watched kind is known at a version or a later one."""
        if kind == labels.IDENTITY_KIND:
            return self.identities.is_known(ObjectKey(namespace, name), resource_version)
        return kind == labels.AUTHORITY_KIND and self.authorities.is_known(name, resource_version)

    def _share_texts(self, key: ObjectKey) -> None:
        """Keep once in memory what both a Secret and an identity that asks for it say."""
        record = self.secrets.get(key)
        if record is None:
            return
        for name in self.identities.of_secret(key):
            secret.share_texts(self.identities[name], record.metadata, record.facts)

    def note_identity(self, body: dict[str, Any]) -> Identity | None:
        """Take in an identity. None: nothing changed that it is worked on for, or it is another operator's by now."""
        if self.scope.holds(identity.authority_in(body)):
            return self.identities.note(body)
        metadata = body["metadata"]
        self.drop_identity(ObjectKey(metadata["namespace"], metadata["name"]), metadata["uid"])
        return None

    def drop_identity(self, key: ObjectKey, uid: str, version: str | None = None) -> None:
        """Forget an identity that is gone, unless another of its name has come since, or it is known at that version.

        It may be another operator's now. Its Secret is never deleted here.
        """
        old = self.identities.get(key)
        if old is not None and self.identities.drop(key, uid, version):
            for name in (secret_key(old), password_key(old)):
                if name is not None and not self.identities.is_named(name):
                    self.secrets.forget(name)

    def drop_authority(self, name: str, uid: str) -> None:
        """Forget an authority that is gone, unless another of its name has come since."""
        if self.authorities.drop(name, uid):
            self.copies.drop_authority(name)

    def note_namespace(self, metadata: Mapping[str, Any]) -> bool:
        """Take in a namespace, and tell whether anything changed that decisions depend on."""
        new = namespace.parse(metadata)
        changed = self.namespaces.get(new.name) != new
        self.namespaces[new.name] = new
        return changed

    def drop_namespace(self, name: str, uid: str) -> None:
        """Forget a namespace that is gone, unless another of its name has come since."""
        known = self.namespaces.get(name)
        if known is not None and known.uid != uid:
            return
        self.namespaces.pop(name, None)
        self.copies.drop_namespace(name)

    @property
    def places(self) -> Places:
        """What says where copies of bundles are to be."""
        return Places(namespaces=self.namespaces, copies=self.copies, serves_trust_bundles=self.serves_trust_bundles)

    def rollout_of(self, name: str, *, is_whole: bool = True) -> Rollout:
        """Show what rotations look at of an authority. `is_whole`: whether all identities are known."""
        authority, places = self.authorities.get(name), self.places
        wanted = publish.wanted_copies(authority, places) if authority is not None else ()
        copies = {key: self.copies.get(key) for key in wanted}
        secrets = list(self._secrets_of_identities(name))
        others = self._secrets_of_nobody(name, {key for key, *_ in secrets}) if is_whole else ()
        return rollout.rollout_of(name, secrets, copies, is_whole=is_whole, others=others)

    def _secrets_of_nobody(self, name: str, had: Collection[ObjectKey]) -> Iterator[ObjectKey]:
        """List the Secrets with the label of an authority, its CAs apart, that are not among those of identities."""
        for key, record in self.secrets.items():
            is_of_ca = labels.parse_ca_secret_name(key.name) is not None
            if record.metadata.authority == name and key not in had and not is_of_ca:
                yield key

    def _secrets_of_identities(self, name: str) -> Iterator[tuple[ObjectKey, Facts | None, datetime | None]]:
        """List the Secrets that identities of an authority have, or had before they asked for another name."""
        for identity_key in sorted(self.identities.of_authority(name), key=str):
            of = self.identities[identity_key]
            recorded = of.status.certificate
            for secret_name in dict.fromkeys((of.secret_name, of.status.secret_name or of.secret_name)):
                key = ObjectKey(of.namespace, secret_name)
                record = self.secrets.get(key)
                if record is not None and record.metadata.is_of(of):
                    yield key, record.facts, recorded.end if recorded is not None else None
