"""The writer of Secrets: files, bundle, metadata, and the end of those that an identity has no more.

What was written is noted at once, so that the echo of the watch is no news. When to write what is decided elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.authorities.offers import Offers
from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import RotationPolicy
from mutualtls.core.errors import ConflictError, NotFoundError, OutdatedError
from mutualtls.core.leaf import facts, formats, plan, render
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Action, Observed, Seen
from mutualtls.core.leaf.passwords import StorePassword
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model.labels import CA_CRT
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.keys import PrivateKey
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.queue import slow_keys
from mutualtls.reconcilers.gather import Observer, secret_key, secret_path
from mutualtls.reconcilers.passwords import Passwords
from mutualtls.reconcilers.tally import Tally
from mutualtls.settings import Events
from mutualtls.store.secrets import SecretRecord
from mutualtls.store.store import Store

logger = logging.getLogger(__name__)

_PLANNED = frozenset({Reason.RENEWAL_DUE, Reason.ISSUER_REPLACED})
"""Reasons for a new leaf that are no news."""


class SecretWriter:
    """Writes the Secrets of identities."""

    def __init__(
        self,
        api: API,
        store: Store,
        offers: Offers,
        announcer: Announcer,
        *,
        observer: Observer,
        passwords: Passwords,
        tally: Tally,
        events: Events,
        on_signed: Callable[[Observed], None],
    ) -> None:
        """`on_signed` is called once a certificate is signed, before it is written."""
        self._api = api
        self._store = store
        self._offers = offers
        self._announcer = announcer
        self._observer = observer
        self._passwords = passwords
        self._tally = tally
        self._events = events
        self._on_signed = on_signed
        self._made_keys: dict[ObjectKey, tuple[str, str]] = {}
        """By the key of an identity: its uid, and the hash of the public key that was made for it."""

    # Files

    async def issue(self, o: Observed, decision: Decision) -> None:
        """Make a leaf, and a key unless one is kept, and write them with the bundle in one write.

        A Secret that has to be replaced is deleted first.

        Raises:
            OutdatedError: something has changed while they were made.
            SpecError: the password of its stores cannot be used.
            AuthorityError: nothing can be signed now.
        """
        opened = await self._passwords.read(o.identity, now=o.now)
        kept = await self._kept_key(o)
        if decision.action is Action.REPLACE and not await self._delete(o):
            return
        made, files = await self._sign(o, kept, opened)
        self._on_signed(o)
        metadata = await self._write_files(o, made, files, withheld=_withheld(opened))
        self._note_written(o, metadata, made)
        self._made_keys[o.identity.key] = (o.identity.uid, made.public_key_hash)
        self._tally.issue(o.trust.name, decision.reason)
        _log_signature(o, made, decision)
        is_news = not plan.is_first(o) and decision.reason not in _PLANNED
        if is_news or self._events is Events.ALL:
            await self._announcer.normal(o.identity, decision.reason, plan.note_of_new_leaf(o, decision))

    async def _kept_key(self, o: Observed) -> PrivateKey | None:
        """Read the key that is to be kept: only the one that the status recorded with its leaf, and that fits."""
        recorded = o.identity.status.certificate
        if o.wanted.rotation_policy is not RotationPolicy.NEVER or recorded is None or isinstance(o.found, Absent):
            return None
        body = await self._api.get(secret_path(o))
        return facts.kept_key(body or {}, recorded=recorded, kind=o.wanted.key)

    async def _sign(
        self, o: Observed, kept: PrivateKey | None, opened: StorePassword | None
    ) -> tuple[Facts, render.Files]:
        asked = times.validity(o.now, o.wanted.duration, within=o.trust.signing.validity if o.trust.signing else None)
        ca = await self._offers.ca_for(o.trust.name, not_after=asked.not_after)
        key = kept or await slow_keys.make(o.wanted.key)
        if not self._observer.is_as_decided(o):
            raise OutdatedError
        leaf = issue.leaf(key.public_key(), ca, names=o.wanted.names, usages=o.wanted.usages, validity=asked)
        made = facts.of_leaf(leaf, intermediates=ca.chain, encoding=o.wanted.encoding, ca=o.trust.bundle)
        before = o.facts if o.has_facts else None
        made = facts.with_times(made, before, now=self._api.latest(), is_first=plan.is_first(o))
        made, further = _further(o, made, key, [leaf, *ca.chain], opened)
        chain = certificates.to_pem(leaf) + ca.chain_pem
        files = render.Files(key=keys.to_pem(key, o.wanted.encoding), chain=chain, ca=o.trust.bundle, further=further)
        return made, files

    async def _write_files(
        self, o: Observed, made: Facts, files: render.Files, *, withheld: tuple[bytes, ...]
    ) -> dict[str, Any]:
        found = self._observer.record(o)
        with self._store.secrets.expecting(secret_key(o), made):
            if found is None:
                body = render.secret(o.identity, o.wanted, made, files)
                return await self._api.create(paths.secrets(o.identity.namespace), body, withheld=withheld)
            patch = render.secret_patch(o.identity, o.wanted, made, files, found=found.metadata)
            return await self._api.patch(secret_path(o), patch, withheld=withheld)

    async def write_bundle(self, o: Seen) -> None:
        """Write ca.crt alone."""
        found = self._observer.record(o)
        if found is None:
            return
        since = self._api.latest()
        new = msgspec.structs.replace(o.facts, bundle_hash=o.trust.bundle_hash, bundle_since=since)
        patch = render.bundle_patch(new, o.trust.bundle, found=found.metadata)
        with self._store.secrets.expecting(secret_key(o), new):
            metadata = await self._api.patch(secret_path(o), patch)
        self._note_written(o, metadata, new, is_seen=o.is_seen)
        logger.info("wrote the bundle", extra={"identity": o.identity.key, "file": CA_CRT})

    async def write_formats(self, o: Seen) -> None:
        """Write the further files, from the key and the leaf that are in the Secret, and ca.crt.

        Raises:
            SpecError: the password of its stores cannot be used.
        """
        opened = await self._passwords.read(o.identity, now=o.now)
        body = await self._observer.read(o)
        found = self._observer.record(o)
        if body is None or found is None or not found.metadata.is_of(o.identity) or not isinstance(found.files, Facts):
            return
        key, chain = facts.key_and_chain(body)
        since = self._api.latest() if o.has_old_bundle else found.files.bundle_since
        new = msgspec.structs.replace(found.files, bundle_hash=o.trust.bundle_hash, bundle_since=since)
        new, further = _further(o, new, key, chain, opened)
        patch = render.formats_patch(o, new, further, found=found.metadata)
        metadata = await self._api.patch(secret_path(o), patch, withheld=_withheld(opened))
        self._note_written(o, metadata, new)
        logger.info("wrote additional files", extra={"identity": o.identity.key, "files": sorted(further)})

    async def write_metadata(self, o: Observed) -> None:
        """Put labels, annotations and owner of a Secret right, and leave its files alone."""
        found = self._observer.record(o)
        if found is None:
            return
        patch = render.metadata_patch(o.identity, o.wanted, o.facts, found=found.metadata)
        metadata = await self._api.patch(secret_path(o), patch)
        self._store.secrets.put(secret_key(o), metadata, o.facts, now=o.now, is_seen=o.is_seen)
        logger.info("mended the metadata of a secret", extra={"secret": secret_key(o)})

    def _note_written(self, o: Seen, metadata: dict[str, Any], made: Facts, *, is_seen: bool = True) -> None:
        """Take in what was written, as of when it is known to have landed."""
        landed = facts.landed(made, o.facts if o.has_facts else None, now=self._api.latest())
        self._store.secrets.put(secret_key(o), metadata, landed, now=o.now, is_seen=is_seen)

    # The end of Secrets

    async def remove(self, o: Seen, names: Iterable[str]) -> None:
        """Delete Secrets that are this identity's own, of the name that it asks for or of former ones."""
        for name in names:
            key = ObjectKey(o.identity.namespace, name)
            record = self._store.secrets.get(key)
            if record is None or not record.metadata.is_of(o.identity):
                continue
            known = record.metadata
            if known.held_by is not None:
                continue
            path = paths.secret(o.identity.namespace, name)
            try:
                left = await self._api.delete(path, uid=known.uid, resource_version=known.resource_version)
            except (ConflictError, NotFoundError):
                await self._observer.look_at(key, path)
                continue
            self._note_deleted(key, record, left)
            logger.info("deleted a secret that its identity has no more", extra={"secret": key})

    async def _delete(self, o: Observed) -> bool:
        """Delete a Secret whose type or immutability cannot be changed, and tell whether its place is free."""
        found = self._observer.record(o)
        if found is None:
            return True
        known = found.metadata
        left = await self._api.delete(secret_path(o), uid=known.uid, resource_version=known.resource_version)
        self._note_deleted(secret_key(o), found, left)
        logger.warning("deleted a secret that cannot be changed", extra={"secret": secret_key(o)})
        return left is None

    def _note_deleted(self, key: ObjectKey, found: SecretRecord, left: dict[str, Any] | None) -> None:
        """Take in that a Secret is gone, or stays for as long as finalizers keep it."""
        if left is None:
            self._store.secrets.drop(key)
        else:
            self._store.secrets.put(key, left, found.files, now=found.verified, is_seen=found.is_seen)

    # Keys that were made

    def made_key(self, identity: Identity) -> str | None:
        """Tell the hash of the public key that was just made for an identity; None once its status records it."""
        made = self._made_keys.get(identity.key)
        return made[1] if made is not None and made[0] == identity.uid else None

    def forget_key(self, key: ObjectKey) -> None:
        """Forget which key was made for an identity: its status records it, or it is gone."""
        self._made_keys.pop(key, None)

    @property
    def held(self) -> int:
        """How many things are kept."""
        return len(self._made_keys)


def _further(
    o: Seen, made: Facts, key: PrivateKey, chain: list[x509.Certificate], opened: StorePassword | None
) -> tuple[Facts, dict[str, bytes]]:
    """Make the further files that are asked for, and record them beside the other facts."""
    spec, ca = o.identity.spec.formats, o.trust.bundle
    files = formats.write(spec, key, encoding=made.encoding, chain=chain, ca=ca, alias=o.identity.name, opened=opened)
    recorded = formats.recorded(spec, files, leaf=made.fingerprint, bundle_hash=o.trust.bundle_hash, opened=opened)
    return msgspec.structs.replace(made, further=recorded), files


def _withheld(opened: StorePassword | None) -> tuple[bytes, ...]:
    """List what is never repeated of what the API server says."""
    return (opened.password,) if opened is not None else ()


def _log_signature(o: Observed, made: Facts, decision: Decision) -> None:
    logger.info(
        "signed a certificate",
        extra={
            "identity": o.identity.key,
            "uid": o.identity.uid,
            "generation": o.identity.generation,
            "reason": decision.reason,
            "serial": made.serial_number,
            "names": o.wanted.names.alternative,
            "common_name": o.wanted.names.subject.common_name or None,
            "not_after": times.rfc3339(made.not_after),
            "ca": made.issuer_key_id,
        },
    )
