"""Gather what is known of one identity: its namespace, its password, its Secret, and its last good spec.

What the watches have not brought yet is read. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from mutualtls.authorities.offers import Offers
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import IdentitySpec
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import UnreadableError
from mutualtls.core.leaf import facts, lastgood, secret, waiting
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Foreign, Found, Known, Observed, Seen, Unread
from mutualtls.core.leaf.secret import SecretMetadata
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.queue.agenda import Key, Kind
from mutualtls.queue.repairs import Repairs
from mutualtls.reconcilers.passwords import Passwords
from mutualtls.store.secrets import SecretRecord
from mutualtls.store.store import Store


class Observer:
    """Sees identities as they are."""

    def __init__(
        self,
        api: API,
        store: Store,
        offers: Offers,
        *,
        passwords: Passwords,
        repairs: Repairs,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._store = store
        self._offers = offers
        self._passwords = passwords
        self._repairs = repairs
        self._clock = clock
        self._leaves_read: dict[ObjectKey, Facts] = {}
        self._good_specs: dict[ObjectKey, IdentitySpec] = {}
        """Specs by the leaf that was read, of identities whose own cannot be."""

    def see(self, identity: Identity, trust: Offer, *, unread: str | None = None) -> Seen:
        """Put together what is known of an identity.

        `unread` says why its spec cannot be read, where it is given with the last good one.
        """
        now, namespace = self._clock(), self._store.namespaces.get(identity.namespace)
        there = self._metadata_by_name(identity)
        secrets = secret.owned(identity, there, now=now)
        return Seen(
            identity=identity,
            trust=trust,
            found=self._found(identity),
            now=now,
            contest=self._repairs.contest(identity.uid, (identity.generation, trust.bundle_hash), now),
            password=self._passwords.known(identity),
            namespace_labels=namespace.labels if namespace else None,
            left_behind=secret.left_behind(identity, secrets, there),
            secrets=secrets,
            leaf_read=self._leaves_read.get(identity.key),
            unread=unread,
        )

    def good_spec(self, identity: Identity) -> IdentitySpec | None:
        """Find the last good spec of an identity whose own cannot be read; None until its files were read."""
        return self._good_specs.get(identity.key) if identity.faults else None

    def forget_files(self, key: ObjectKey) -> None:
        """Forget what was read of an identity's files: the next look at it reads them again where it needs to."""
        self._leaves_read.pop(key, None)
        self._good_specs.pop(key, None)

    def is_as_decided(self, o: Observed) -> bool:
        """Tell whether all is still so that a decision rests on: a key may have taken long, or the ledger.

        What has become of the Secret meanwhile shows when it is written.
        """
        identity = self._store.identities.get(o.identity.key)
        namespace = self._store.namespaces.get(o.identity.namespace)
        if identity is None or (namespace is not None and namespace.is_terminating):
            return False
        if o.unread is not None and identity.faults:
            identity = identity.counting(o.identity.spec)
        same = msgspec.structs.replace(identity, resource_version=o.identity.resource_version, status=o.identity.status)
        is_same = same == o.identity and (namespace.labels if namespace else None) == o.namespace_labels
        return is_same and self._offers.trust(o.trust.name) == o.trust

    # What the watches have not brought yet

    async def learn_authority(self, name: str) -> bool:
        """Tell whether it is known if there is such an authority. If not, it is to be looked at first.

        The watches of the two kinds are not in step: what one has not brought yet is read before it is believed absent.
        """
        if self._offers.trust(name) is not None:
            return True
        if name not in self._store.authorities:
            body = await self._api.get(paths.authority(name))
            if body is None:
                return True
            self._store.authorities.note(body)
        return False

    async def learn(self, identity: Identity) -> None:
        """Read the namespace of an identity, by whose labels it may have rights, and look for its password."""
        if identity.namespace not in self._store.namespaces:
            metadata = await self._api.get_metadata(paths.namespace(identity.namespace))
            if metadata is not None:
                self._store.note_namespace(metadata)
        await self._passwords.learn(identity, now=self._clock())

    async def read(self, o: Seen) -> dict[str, Any] | None:
        """Read the body of the identity's Secret, keep the facts, and return it for those who need the key.

        None: there is no Secret, or the identity is not ours any more.
        """
        body = await self._api.get(secret_path(o))
        if body is None:
            self._store.secrets.drop(secret_key(o))
        else:
            self._store.secrets.put(secret_key(o), body["metadata"], self._read(o, body), now=o.now)
            if not self._store.scope.holds(secret.authority_in(body["metadata"])):
                await self._confirm(o.identity)
        return body if o.identity.key in self._store.identities else None

    async def _confirm(self, identity: Identity) -> None:
        """Make sure that an identity is still ours whose Secret says that another operator wrote it.

        The watches of the two kinds are not in step: it may be that the identity went there, or came from there.
        """
        body = await self._api.get(paths.identity(*identity.key))
        if body is None:
            self._store.drop_identity(identity.key, identity.uid)
        else:
            self._store.note_identity(body)

    def _read(self, o: Seen, body: Mapping[str, Any]) -> Facts | facts.Damage:
        found = facts.read(body, issuers={key_id: one.certificate for key_id, one in o.trust.in_use.items()})
        if not isinstance(found, Facts):
            return found
        found = facts.with_times(found, secret.facts_written(body["metadata"]), now=o.now)
        self._leaves_read[o.identity.key] = found
        if o.identity.faults and (good := lastgood.of_leaf(o.identity, body, found, o.trust)) is not None:
            self._good_specs[o.identity.key] = good
        return found

    async def look(self, o: Seen) -> None:
        """Look at the metadata of the identity's Secret."""
        await self.look_at(secret_key(o), secret_path(o))

    async def look_at(self, key: ObjectKey, path: str) -> None:
        """Look at a Secret's metadata alone: it may be somebody else's, whose body is none of our business."""
        try:
            metadata = await self._api.get_metadata(path)
        except UnreadableError as error:
            self._store.secrets.put_unreadable(key, str(error), now=self._clock())
            return
        if metadata is None:
            self._store.secrets.drop(key)
        else:
            self._store.secrets.put(key, metadata, None, now=self._clock())

    # What the store holds

    def record(self, o: Seen) -> SecretRecord | None:
        """Tell what is known of the identity's Secret, be it somebody else's."""
        return self._store.secrets.get(secret_key(o))

    def _metadata_by_name(self, identity: Identity) -> dict[str, SecretMetadata]:
        """Find the metadata of the Secrets that may be an identity's."""
        names = secret.names_of(identity)
        found = {name: self._store.secrets.get(ObjectKey(identity.namespace, name)) for name in names}
        return {name: record.metadata for name, record in found.items() if record is not None}

    def _found(self, identity: Identity) -> Found:
        key = ObjectKey(identity.namespace, identity.secret_name)
        record = self._store.secrets.get(key)
        if record is None:
            return Unread() if self._store.secrets.was_there(key) else Absent()
        if not record.metadata.is_of(identity):
            return Foreign(holder=record.metadata.holder, seen=record.verified)
        if record.files is None:
            return Unread()
        return Known(
            files=record.files,
            metadata_hash=record.metadata.metadata_hash,
            verified=record.verified,
            created=record.metadata.created,
            is_seen=record.is_seen,
            held_by=record.metadata.held_by,
        )


def secret_key(o: Seen) -> ObjectKey:
    """Tell the key of the identity's Secret."""
    return ObjectKey(o.identity.namespace, o.identity.secret_name)


def secret_path(o: Seen) -> str:
    """Write the path of the identity's Secret."""
    return paths.secret(o.identity.namespace, o.identity.secret_name)


def end_of_files(store: Store, key: ObjectKey, now: datetime) -> datetime | None:
    """Tell when the files of an identity end, while they have not."""
    identity = store.identities.get(key)
    record = store.secrets.get(ObjectKey(identity.namespace, identity.secret_name)) if identity else None
    files = record.facts if record is not None else None
    return files.not_after if files is not None and now < files.not_after else None


def urgent_from(store: Store, key: Key) -> datetime | None:
    """Tell from when on a key goes with the first; None: never."""
    identity = store.identities.get(key.object_key) if key.kind is Kind.IDENTITY else None
    return waiting.urgent_from(identity.status) if identity is not None else None
