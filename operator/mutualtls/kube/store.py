"""What is known of the cluster, fed by the watches and by our own writes.

An answer to a write enters at once; what the watches tell later of the same or an older version is ignored, so that our
own writes wake nobody. Key material never enters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from mutualtls.core import authority, facts, identity, labels, publish, secret, times
from mutualtls.core.authority import Authority, AuthorityStatus
from mutualtls.core.facts import Damage, Facts
from mutualtls.core.gates import Carrier, Leaf, Sight
from mutualtls.core.identity import Identity, IdentityStatus
from mutualtls.core.secret import SecretMetadata
from mutualtls.kube.copies import Copies
from mutualtls.kube.watch import Vanished


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace, as far as decisions depend on it."""

    name: str
    labels: Mapping[str, str]
    is_terminating: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRecord:
    """What is known of one Secret."""

    metadata: SecretMetadata
    files: Facts | Damage | None
    """None: its body was not read at this version."""
    verified: datetime
    """When the body was last read or written, or proved untouched."""


class Store:
    """Identities, authorities, namespaces and Secrets, by name; identities also by what they depend on."""

    def __init__(self, *, sweep: timedelta = timedelta(hours=24)) -> None:
        self._sweep = sweep
        self.identities: dict[str, Identity] = {}
        self.authorities: dict[str, Authority] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.secrets: dict[str, SecretRecord | Vanished] = {}
        self.copies = Copies()
        self.serves_trust_bundles = True
        """Whether the API server has ClusterTrustBundles."""
        self._by_authority: dict[str, set[str]] = defaultdict(set)
        self._by_namespace: dict[str, set[str]] = defaultdict(set)
        self._by_secret: dict[str, set[str]] = defaultdict(set)
        self._by_password: dict[str, set[str]] = defaultdict(set)
        self._by_identity: dict[str, tuple[str, ...]] = {}

    # Identities

    def is_known(self, kind: str, namespace: str, name: str, resource_version: str) -> bool:
        """Tell whether an object of a watched kind is known at a version or a later one."""
        known: Identity | Authority | None = None
        if kind == labels.IDENTITY_KIND:
            known = self.identities.get(f"{namespace}/{name}")
        elif kind == labels.AUTHORITY_KIND:
            known = self.authorities.get(name)
        return known is not None and _version(resource_version) <= _version(known.resource_version)

    def note_identity(self, body: dict[str, Any]) -> Identity | None:
        """Take in an identity. None: nothing changed that it is worked on for, as when it is known at this version."""
        new = identity.parse(body)
        old = self.identities.get(new.key)
        if old is not None and _version(new.resource_version) <= _version(old.resource_version):
            return None
        is_echo = old is not None and msgspec.structs.replace(old, resource_version=new.resource_version) == new
        self._forget_dependencies(old)
        self.identities[new.key] = new
        self._by_authority[new.spec.authority].add(new.key)
        self._by_namespace[new.namespace].add(new.key)
        self._by_secret[f"{new.namespace}/{new.secret_name}"].add(new.key)
        if (password := _password_key(new)) is not None:
            self._by_password[password].add(new.key)
        return None if is_echo else new

    def drop_identity(self, key: str, uid: str) -> None:
        """Forget an identity that is gone, unless another of its name has come since."""
        old = self.identities.get(key)
        if old is not None and old.uid == uid:
            self._forget_dependencies(old)
            del self.identities[key]

    def expect_status(self, known: Identity, status: IdentityStatus, *, instead_of: IdentityStatus) -> None:
        """Take in a status that is about to be written, so that its echo is no news even when it overtakes the answer.

        Where the write fails, it is taken back by the same way. Whatever the watch brought meanwhile counts more.
        """
        old = self.identities.get(known.key)
        if old is not None and old.uid == known.uid and old.status == instead_of:
            self.identities[known.key] = msgspec.structs.replace(old, status=status)

    def note_status(self, key: str, status: IdentityStatus, metadata: Mapping[str, Any]) -> None:
        """Take in the answer to our own write of a status.

        Where the answer shows that the object changed otherwise meanwhile, its version is left to the watch, which
        brings that change.
        """
        old = self.identities.get(key)
        if old is None or old.uid != metadata["uid"]:
            return
        seen = identity.parse_metadata(metadata)
        same = (old.generation, old.reissue, old.is_deleting) == seen
        version = max(metadata["resourceVersion"], old.resource_version, key=_version) if same else old.resource_version
        self.identities[key] = msgspec.structs.replace(old, status=status, resource_version=version)

    def identities_of_authority(self, name: str) -> tuple[str, ...]:
        """Keys of the identities that name an authority."""
        return tuple(self._by_authority.get(name, ()))

    def identities_of_namespace(self, name: str) -> tuple[str, ...]:
        """Keys of the identities in a namespace."""
        return tuple(self._by_namespace.get(name, ()))

    def identities_of_secret(self, namespace: str, name: str) -> tuple[str, ...]:
        """Keys of the identities whose files belong into a Secret: one, or several that contend for it."""
        return tuple(self._by_secret.get(f"{namespace}/{name}", ()))

    def identities_of_password(self, namespace: str, name: str) -> tuple[str, ...]:
        """Keys of the identities that name a Secret as the password of their stores."""
        return tuple(self._by_password.get(f"{namespace}/{name}", ()))

    def _forget_dependencies(self, old: Identity | None) -> None:
        if old is not None:
            self._by_authority[old.spec.authority].discard(old.key)
            self._by_namespace[old.namespace].discard(old.key)
            self._by_secret[f"{old.namespace}/{old.secret_name}"].discard(old.key)
            if (password := _password_key(old)) is not None:
                self._by_password[password].discard(old.key)

    # Authorities and namespaces

    def note_authority(self, body: dict[str, Any]) -> Authority | None:
        """Take in an authority. None: it is known at this version or a later one."""
        new = authority.parse(body)
        old = self.authorities.get(new.name)
        if old is not None and _version(new.resource_version) <= _version(old.resource_version):
            return None
        self.authorities[new.name] = new
        return new

    def note_authority_status(self, name: str, status: AuthorityStatus, metadata: Mapping[str, Any]) -> None:
        """Take in the answer to our own write of a status, as `note_status` does."""
        old = self.authorities.get(name)
        if old is None or old.uid != metadata["uid"]:
            return
        same = (old.generation, old.operator_namespace, old.orders, old.is_deleting) == authority.parse_metadata(
            metadata
        )
        version = max(metadata["resourceVersion"], old.resource_version, key=_version) if same else old.resource_version
        self.authorities[name] = msgspec.structs.replace(old, status=status, resource_version=version)

    def drop_authority(self, name: str, uid: str) -> None:
        """Forget an authority that is gone, unless another of its name has come since."""
        old = self.authorities.get(name)
        if old is not None and old.uid == uid:
            del self.authorities[name]

    def note_namespace(self, metadata: Mapping[str, Any]) -> bool:
        """Take in a namespace, and tell whether anything changed that decisions depend on."""
        new = Namespace(
            name=metadata["name"],
            labels=metadata.get("labels") or {},
            is_terminating="deletionTimestamp" in metadata,
        )
        changed = self.namespaces.get(new.name) != new
        self.namespaces[new.name] = new
        return changed

    def drop_namespace(self, name: str) -> None:
        """Forget a namespace that is gone."""
        self.namespaces.pop(name, None)
        self.copies.drop_namespace(name)

    # Secrets

    def note_secret(self, key: str, metadata: Mapping[str, Any], *, now: datetime) -> bool:
        """Take in a Secret's metadata from the watch, and tell whether it is news.

        Facts come from its annotation where nobody changed the Secret after us; otherwise it is to be read. When they
        were last verified is not known after a start: each Secret's turn comes once a sweep, whenever that was.
        """
        old = self.secrets.get(key)
        version = _version(metadata["resourceVersion"])
        if old is not None and version <= _known_version(old):
            return False
        noted = secret.facts_noted(metadata)
        if noted is not None:
            noted = facts.landed(noted, _facts_of(old), now=now)
        turn = times.last_turn(now, every=self._sweep, of=metadata["uid"])
        self._put(key, SecretRecord(metadata=secret.parse(metadata), files=noted, verified=turn))
        return True

    def note_secret_gone(self, key: str, version: str) -> bool:
        """Take in that a Secret left the watch, and tell whether it is news."""
        old = self.secrets.get(key)
        if old is None or _version(version) <= _known_version(old):
            return False
        self._put(key, Vanished(_version(version)))
        return True

    def put_secret(self, key: str, metadata: Mapping[str, Any], files: Facts | Damage | None, *, now: datetime) -> None:
        """Take in a Secret that we have just written or read, unless the watch has told of a later version."""
        old = self.secrets.get(key)
        if old is None or _version(metadata["resourceVersion"]) >= _known_version(old):
            self._put(key, SecretRecord(metadata=secret.parse(metadata), files=files, verified=now))

    def drop_secret(self, key: str) -> None:
        """Take in that a Secret is not there, from our own reading or deleting."""
        self._put(key, None)

    def secrets_of_identity(self, uid: str) -> tuple[str, ...]:
        """Keys of the Secrets that carry an identity's uid: one, or more after it asked for another name."""
        return self._by_identity.get(uid, ())

    def _put(self, key: str, record: SecretRecord | Vanished | None) -> None:
        """Hold a record, and which identity it belongs to."""
        before, after = _identity_uid(self.secrets.get(key)), _identity_uid(record)
        if before != after:
            if before is not None:
                self._by_identity[before] = tuple(other for other in self._by_identity[before] if other != key)
                if not self._by_identity[before]:
                    del self._by_identity[before]
            if after is not None:
                self._by_identity[after] = (*self._by_identity.get(after, ()), key)
        if record is None:
            self.secrets.pop(key, None)
        else:
            self.secrets[key] = record

    def leaves_of_authority(self, name: str) -> dict[str, tuple[datetime, str]]:
        """For each CA that signed leaves of an authority, by key id: the end of the last one, and its Secret's key."""
        found: dict[str, tuple[datetime, str]] = {}
        for key, record in self.secrets.items():
            if (
                isinstance(record, SecretRecord)
                and record.metadata.authority == name
                and isinstance(record.files, Facts)
            ):
                issuer, seen = record.files.issuer_key_id, (record.files.not_after, key)
                found[issuer] = max(found.get(issuer, seen), seen)
        return found

    def bundles_of_authority(self, name: str) -> dict[str, str]:
        """For each bundle that is in Secrets of an authority, by its hash: the key of one of these Secrets."""
        return {
            record.files.bundle_hash: key
            for key, record in self.secrets.items()
            if isinstance(record, SecretRecord)
            and record.metadata.authority == name
            and isinstance(record.files, Facts)
        }

    def sight_of_authority(self, name: str) -> Sight:
        """Show what rotations look at: bundle and leaf of every Secret of files of an authority, and its copies.

        A bundle that is in ca.crt and not in the trust store yet is not there yet.
        """
        carriers, leaves = self._copies_as_carriers(name), []
        for key, record in self.secrets.items():
            if not isinstance(record, SecretRecord) or record.metadata.authority != name:
                continue
            if record.metadata.identity_uid is None:
                continue
            what, files = f"secret {key}", record.files
            if isinstance(files, Facts):
                in_store = files.further.bundle_hash if files.further else ""
                is_whole = in_store in {"", files.bundle_hash}
                found = files.bundle_hash if is_whole else None
                carriers.append(Carrier(name=what, bundle_hash=found, since=files.bundle_since))
                issuer, end = files.issuer_key_id, files.not_after
                leaves.append(Leaf(secret=key, issuer_key_id=issuer, not_after=end, since=files.issuer_since))
            else:
                carriers.append(Carrier(name=what, bundle_hash=None))
                leaves.append(Leaf(secret=key, issuer_key_id=None))
        return Sight(carriers=tuple(carriers), leaves=tuple(leaves))

    # Copies of bundles

    def wanted_copy(self, authority: Authority, namespace: str) -> str | None:
        """Tell the key of the copy that a namespace is to have; of the ClusterTrustBundle for the namespace "".

        None: it is to have none. None is made in one that is being deleted, but one that is there is kept current.
        """
        asked = authority.spec.trust
        if not namespace:
            is_wanted = asked.cluster_trust_bundle and self.serves_trust_bundles
            return f"/{labels.trust_bundle_name(authority.name)}" if is_wanted else None
        known = self.namespaces.get(namespace)
        key = publish.wanted_in(asked, namespace, known.labels) if known else None
        if key is None or known is None or (known.is_terminating and self.copies.get(key) is None):
            return None
        return key

    def wanted_copies(self, authority: Authority) -> list[str]:
        """List the keys of all copies that there are to be of an authority's bundle."""
        namespaces = ("", *self.namespaces) if authority.spec.trust.config_map else ("",)
        wanted = (self.wanted_copy(authority, namespace) for namespace in namespaces)
        return [key for key in wanted if key is not None]

    def conflicting_copies(self, authority: Authority) -> list[str] | None:
        """List the keys of copies in whose place something of somebody else's is. None: that is not known yet."""
        found = {key: self.copies.get(key) for key in self.wanted_copies(authority)}
        if None in found.values():
            return None
        return [key for key, copy in found.items() if copy is not None and copy.authority != authority.name]

    def _copies_as_carriers(self, name: str) -> list[Carrier]:
        carriers = []
        authority = self.authorities.get(name)
        for key in self.wanted_copies(authority) if authority is not None else ():
            copy = self.copies.get(key)
            found = copy.published if copy is not None and copy.authority == name else None
            carriers.append(
                Carrier(
                    name=publish.told(key),
                    bundle_hash=found.bundle_hash if found else None,
                    since=found.since if found else None,
                )
            )
        return carriers

    def absent_secrets(self, listed: Iterable[str]) -> tuple[str, ...]:
        """Find the Secrets that are known but not in a complete list."""
        return tuple(self.secrets.keys() - set(listed))


def _facts_of(record: SecretRecord | Vanished | None) -> Facts | None:
    return record.files if isinstance(record, SecretRecord) and isinstance(record.files, Facts) else None


def _identity_uid(record: SecretRecord | Vanished | None) -> str | None:
    return record.metadata.identity_uid if isinstance(record, SecretRecord) else None


def _password_key(of: Identity) -> str | None:
    """`NAMESPACE/NAME` of the Secret that holds the password of an identity's stores."""
    stores = of.spec.formats.pkcs12
    return f"{of.namespace}/{stores.password_secret_ref.name}" if stores else None


def _version(resource_version: str) -> int:
    """Order versions of one kind (KEP-5504: they are integers that grow)."""
    return int(resource_version)


def _known_version(known: SecretRecord | Vanished) -> int:
    return known.version if isinstance(known, Vanished) else _version(known.metadata.resource_version)
