"""The reconciler: gather what is known of one identity, decide, act, until there is nothing to do; then its status.

Level-triggered: it is told a key, never what happened. Decisions are made in `core.plan`, what is written in
`core.render`; here are only the reads and writes between them.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.agenda import Agenda, Key, Kind, Priority
from mutualtls.authorities import Authorities, generate
from mutualtls.core import desired, facts, formats, issue, keys, plan, render, secret, status, times
from mutualtls.core.checks import Absent, Action, Foreign, Found, Known, Observed, Seen, Unread
from mutualtls.core.desired import Wanted
from mutualtls.core.errors import (
    AlreadyExistsError,
    AuthorityError,
    ClusterError,
    ConflictError,
    NotFoundError,
    SpecError,
)
from mutualtls.core.facts import CA_CRT, Facts
from mutualtls.core.formats import Opened
from mutualtls.core.identity import Identity, IdentityStatus, RotationPolicy
from mutualtls.core.plan import Decision
from mutualtls.core.reasons import Reason
from mutualtls.core.trust import Trust
from mutualtls.events import Announcer
from mutualtls.history import Mends, Places, Turns
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.passwords import Passwords
from mutualtls.kube.store import SecretRecord, Store
from mutualtls.publisher import Publisher
from mutualtls.settings import Settings

logger = logging.getLogger(__name__)

_MOST_STEPS = 8
"""More than any identity needs: read, replace, issue, move, settle."""

_WORKERS_A_PLACE = 4
"""At most one worker in so many waits for a key that takes long to make."""

_PLACE_RETRY = timedelta(seconds=10)
"""When who stands in line for that looks again at the latest."""

_LEAST_BETWEEN_TURNS = timedelta(seconds=0.05)

_PLANNED = frozenset({Reason.RENEWAL_DUE, Reason.ISSUER_REPLACED})
"""Reasons for a new leaf that are no news."""


class Reconciler:
    """Brings one key at a time to what is wanted of it."""

    def __init__(
        self,
        api: API,
        store: Store,
        authorities: Authorities,
        agenda: Agenda,
        announcer: Announcer,
        *,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._store = store
        self._authorities = authorities
        self._agenda = agenda
        self._announcer = announcer
        self._settings = settings
        self._clock = clock
        self._turns: dict[str, Turns] = defaultdict(Turns)
        self._mends = Mends(settings.contest_window)
        self._places = Places(max(1, settings.workers // _WORKERS_A_PLACE))
        self._passwords = Passwords(api, store)
        self._publisher = Publisher(
            api, store, Mends(settings.contest_window), clock=clock, conflict_retry=settings.conflict_retry
        )
        self._made_keys: dict[str, str] = {}

    async def work(self) -> None:
        """Take keys off the agenda and finish them, until it is closed. The table of errors is here."""
        while (key := await self._agenda.take()) is not None:
            try:
                look_again = await self._reconcile(key)
            except ClusterError as error:
                delay = self._agenda.failed(key)
                logger.warning("will be tried again", extra={"key": key.name, "in": str(delay), "error": str(error)})
            except AuthorityError as error:
                self._look_at_authority(key)
                delay = self._agenda.failed(key)
                logger.warning("authority cannot sign", extra={"key": key.name, "in": str(delay), "error": str(error)})
            except Exception:
                delay = self._agenda.failed(key)
                logger.exception("programming error, will be tried again", extra={"key": key.name, "in": str(delay)})
            else:
                self._agenda.done(key, look_again=look_again)

    async def _reconcile(self, key: Key) -> datetime | None:
        match key.kind:
            case Kind.IDENTITY:
                return await self._reconcile_identity(key.name)
            case Kind.BUNDLE:
                return await self._publish(*key.name.split("/"))
            case Kind.TURNS:
                return self._grant_turns(key.name)
            case Kind.AUTHORITY:
                try:
                    return await self._authorities.reconcile(key.name)
                finally:
                    # Also where its status could not be written: that comes again, this would not.
                    if self._authorities.is_news(key.name):
                        self._wake_all(key.name)

    def _wake_all(self, authority: str) -> None:
        """Have all looked at that depends on an authority."""
        for name in self._soonest_expiry_first(self._store.identities_of_authority(authority)):
            self.wake(name, priority=Priority.REISSUE)
        known, trust = self._store.authorities.get(authority), self._authorities.trust(authority)
        if known is not None and trust is not None and trust.bundle:
            for namespace in self._publisher.behind(known, trust.bundle_hash):
                self._agenda.put(Key(Kind.BUNDLE, f"{authority}/{namespace}"))

    async def _publish(self, name: str, namespace: str) -> datetime | None:
        """Bring the copies of an authority's bundle in a namespace up to date."""
        authority, trust = self._store.authorities.get(name), self._authorities.trust(name)
        if authority is None or authority.is_deleting or trust is None or not trust.bundle:
            return None
        look_again, is_conflict = await self._publisher.reconcile(authority, namespace, trust)
        if is_conflict != authority.status.has_conflict:
            self._agenda.put(Key(Kind.AUTHORITY, name), priority=Priority.FIRST)
        return look_again

    def _soonest_expiry_first(self, names: Iterable[str]) -> list[str]:
        """Order identities by the end of their leaves: who has none comes first."""

        def end(name: str) -> str:
            known = self._store.identities.get(name)
            return known.status.certificate.not_after if known and known.status.certificate else ""

        return sorted(names, key=end)

    def _look_at_authority(self, key: Key) -> None:
        """Have the authority of an identity looked at, which was thought to be able to sign."""
        identity = self._store.identities.get(key.name)
        if key.kind is Kind.IDENTITY and identity is not None:
            self._agenda.put(Key(Kind.AUTHORITY, identity.spec.authority), priority=Priority.FIRST)

    def wake(self, name: str, *, priority: Priority = Priority.CHANGE) -> None:
        """Ask that an identity be looked at. One that never had files comes first."""
        known = self._store.identities.get(name)
        if known is not None and known.status.certificate is None:
            priority = Priority.FIRST
        self._agenda.put(Key(Kind.IDENTITY, name), priority=priority)

    def wake_copy(self, key: str) -> None:
        """Ask that a copy of a bundle be looked at which changed, for whatever authority it may be."""
        self.wake_copies(key.partition("/")[0])

    def wake_copies(self, namespace: str) -> None:
        """Ask that all copies of bundles in a namespace be looked at; those without one for the namespace ""."""
        for name in self._store.authorities:
            self._agenda.put(Key(Kind.BUNDLE, f"{name}/{namespace}"))

    # One identity: gather, decide, act

    async def _reconcile_identity(self, name: str) -> datetime | None:
        for _ in range(_MOST_STEPS):
            identity = self._store.identities.get(name)
            if identity is None or identity.is_deleting or self._is_terminating(identity.namespace):
                return None
            if not await self._authority_is_known(identity.spec.authority):
                return None
            await self._know_namespace(identity.namespace)
            await self._passwords.learn(identity, now=self._clock())
            seen, decision = self._decide(identity)
            if seen is None and decision.reason is Reason.AUTHORITY_NOT_READY and _ready(identity.status) is not None:
                return None  # what there is to say of it is said by the operator that serves it
            if seen is None or decision.action is Action.NOTHING:
                return await self._settle(identity, seen, decision)
            if not _makes_slow_key(seen, decision):
                await self._act(seen, decision)
            elif not await self._act_in_place(seen, decision):
                return seen.now + _PLACE_RETRY
        raise RuntimeError(f"programming error: {name} is never settled, last for {decision.reason}")

    def _has_turn(self, o: Observed, decision: Decision) -> bool:
        """Tell whether an identity may have a new leaf now. One of many waits for its turn."""
        turns = self._turns[o.trust.name]
        if o.trust.pace is None or not plan.is_one_of_many(o, decision):
            turns.done(o.identity.key)
            return True
        has_turn = turns.has(o.identity.key, o.facts.not_after, o.now)
        if not has_turn:
            self._agenda.put(Key(Kind.TURNS, o.trust.name), at=o.now + _between_turns(o.trust.pace))
        return has_turn

    def _grant_turns(self, authority: str) -> datetime | None:
        """Have those of an authority's identities looked at whose turn it is to have a new leaf."""
        turns, trust, now = self._turns[authority], self._authorities.trust(authority), self._clock()
        if trust is None or trust.pace is None:
            return None  # whoever changed that has woken all
        for name in turns.grant(now, per_second=trust.pace):
            self.wake(name, priority=Priority.REISSUE)
        return None if turns.is_over else now + _between_turns(trust.pace)

    async def _act_in_place(self, seen: Seen, decision: Decision) -> bool:
        """Do what takes long if there is a place for it. Whoever is next in line is woken when it was done."""
        if not self._places.take(seen.identity.key, is_urgent=plan.is_first(seen)):
            return False
        try:
            await self._act(seen, decision)
        finally:
            if (following := self._places.leave()) is not None:
                self.wake(following)
        return True

    async def _authority_is_known(self, name: str) -> bool:
        """Tell whether it is known if there is such an authority. If not, whoever looks at it wakes its identities.

        The watches of the two kinds are not in step: what one has not brought yet is read before it is believed absent.
        """
        if self._authorities.trust(name) is not None:
            return True
        if name not in self._store.authorities:
            body = await self._api.get(paths.authority(name))
            if body is None:
                return True
            self._store.note_authority(body)
        self._agenda.put(Key(Kind.AUTHORITY, name), priority=Priority.FIRST)
        return False

    async def _know_namespace(self, name: str) -> None:
        """Read a namespace that the watch has not brought yet: by its labels an identity may have rights."""
        if name in self._store.namespaces:
            return
        metadata = await self._api.get_metadata(paths.namespace(name))
        if metadata is not None:
            self._store.note_namespace(metadata)

    def _decide(self, identity: Identity) -> tuple[Seen | None, Decision]:
        """Gather what is known and decide. Nothing is seen where there is no authority."""
        trust = self._authorities.trust(identity.spec.authority)
        if trust is None:
            return None, plan.without_authority(identity.spec.authority)
        if trust.why_not is not None and trust.why_not[0] is Reason.OTHER_OPERATOR:
            return None, plan.left_to_another(trust)
        namespace = self._store.namespaces.get(identity.namespace)
        seen = self._see(identity, trust)
        try:
            wanted = desired.wanted(identity, trust, namespace.labels if namespace else None, seen.password)
        except SpecError as error:
            return seen, plan.refused(seen, error)
        observed = self._observe(seen, wanted)
        decision = self._plan(observed)
        if not self._has_turn(observed, decision):
            decision = self._plan(replace(observed, postponed=decision.reason))
        return observed, decision

    def _plan(self, observed: Observed) -> Decision:
        return plan.decide(
            observed,
            conflict_retry=self._settings.conflict_retry,
            sweep=self._settings.sweep,
            move_grace=self._settings.move_grace,
        )

    def _see(self, identity: Identity, trust: Trust) -> Seen:
        now = self._clock()
        return Seen(
            identity=identity,
            trust=trust,
            found=self._found(identity),
            now=now,
            contest=self._mends.contest(identity.key, (identity.generation, trust.bundle_hash), now),
            password=self._passwords.known(identity),
            left_behind=self._left_behind(identity),
        )

    def _observe(self, seen: Seen, wanted: Wanted) -> Observed:
        return Observed(
            identity=seen.identity,
            trust=seen.trust,
            found=seen.found,
            now=seen.now,
            contest=seen.contest,
            password=seen.password,
            left_behind=seen.left_behind,
            wanted=wanted,
            verify_before=seen.now - self._settings.sweep,
            look_before=seen.now - self._settings.conflict_retry,
            remove_before=seen.now - self._settings.move_grace,
            made_key=self._made_keys.get(seen.identity.uid),
        )

    def _left_behind(self, identity: Identity) -> tuple[str, ...]:
        """Name the Secrets that carry this identity's uid beside the one that is asked for."""
        keys = self._store.secrets_of_identity(identity.uid)
        names = (key.partition("/")[2] for key in keys if key.startswith(f"{identity.namespace}/"))
        return tuple(name for name in names if name != identity.secret_name)

    def _found(self, identity: Identity) -> Found:
        record = self._store.secrets.get(f"{identity.namespace}/{identity.secret_name}")
        if record is None:
            return Absent()
        if not isinstance(record, SecretRecord):
            return Unread()
        if not _is_ours(identity, record):
            return Foreign(holder=_holder(record), seen=record.verified)
        if record.files is None:
            return Unread()
        return Known(
            files=record.files,
            metadata_hash=record.metadata.metadata_hash,
            verified=record.verified,
            created=record.metadata.created,
        )

    async def _act(self, seen: Seen, decision: Decision) -> None:
        """Do what was decided. A Secret that is not as it was thought to be is looked at, and decided about anew."""
        found = self._record(seen)
        try:
            await self._do(seen, decision)
        except (AlreadyExistsError, ConflictError, NotFoundError) as error:
            logger.debug("secret is not as it was known", extra={"identity": seen.identity.key, "error": str(error)})
            await self._look(seen)
        except SpecError as error:
            logger.debug("password cannot be used", extra={"identity": seen.identity.key, "error": str(error)})
        else:
            self._note_mend(seen, decision, found)

    async def _do(self, seen: Seen, decision: Decision) -> None:
        match decision.action:
            case Action.LOOK:
                await self._look(seen)
            case Action.READ:
                await self._read(seen)
            case Action.WRITE_BUNDLE:
                await self._write_bundle(seen)
            case Action.WRITE_FORMATS:
                await self._write_formats(seen)
            case Action.REMOVE:
                await self._remove(seen, (seen.identity.secret_name, *seen.left_behind))
            case Action.REMOVE_OLD:
                await self._remove(seen, seen.left_behind)
            case _ if isinstance(seen, Observed):
                await self._make(seen, decision)

    async def _make(self, o: Observed, decision: Decision) -> None:
        """Do what takes knowing what is asked for."""
        if decision.action is Action.WRITE_METADATA:
            await self._write_metadata(o)
            return
        opened = await self._passwords.read(o.identity, now=o.now)
        kept = await self._kept_key(o)
        if decision.action is Action.REPLACE:
            await self._delete(o)
        await self._issue(o, decision, kept, opened)

    def _note_mend(self, o: Seen, decision: Decision, found: SecretRecord | None) -> None:
        """Remember what somebody else's doing had made necessary, so that it is not done for ever.

        What could not be done does not count: an API server that is away for a while contests nothing.
        """
        is_change = decision.reason is Reason.FORMATS_CHANGED
        is_mend = decision.reason in plan.MENDED or (decision.action in plan.MENDS_FILES and not is_change)
        if is_mend and decision.action is not Action.READ and not plan.is_first(o):
            by = found.metadata.manager if found else "somebody who deletes it"
            self._mends.note(o.identity.key, (o.identity.generation, o.trust.bundle_hash), by, o.now)

    # Reading

    async def _read(self, o: Seen) -> dict[str, Any] | None:
        """Read a Secret's body, keep the facts, and return the body for who needs the key."""
        body = await self._api.get(_secret_path(o))
        if body is None:
            self._store.drop_secret(_secret_key(o))
        else:
            found = facts.read(body)
            if isinstance(found, Facts):
                found = facts.with_times(found, secret.facts_written(body["metadata"]), now=o.now)
            self._store.put_secret(_secret_key(o), body["metadata"], found, now=o.now)
        return body

    async def _look(self, o: Seen) -> None:
        """Look at the metadata of the identity's Secret."""
        await self._look_at(_secret_key(o), _secret_path(o))

    async def _look_at(self, key: str, path: str) -> None:
        """Look at a Secret's metadata alone: it may be somebody else's, whose body is none of our business."""
        metadata = await self._api.get_metadata(path)
        if metadata is None:
            self._store.drop_secret(key)
        else:
            self._store.put_secret(key, metadata, None, now=self._clock())

    def _record(self, o: Seen) -> SecretRecord | None:
        record = self._store.secrets.get(_secret_key(o))
        return record if isinstance(record, SecretRecord) else None

    # Writing

    async def _issue(
        self, o: Observed, decision: Decision, kept: keys.PrivateKey | None, opened: Opened | None
    ) -> None:
        """Make a leaf, and a key unless one is kept, and write them with the bundle in one write."""
        asked = times.validity(o.now, o.wanted.duration, within=o.trust.signing.validity if o.trust.signing else None)
        ca = await self._authorities.ca_for(o.trust.name, not_after=asked.not_after)
        key = kept or await generate(o.wanted.key)
        if self._authorities.trust(o.trust.name) != o.trust:
            return  # it has moved on meanwhile: the next look decides by the signer and the bundle of now
        leaf = issue.leaf(key.public_key(), ca, names=o.wanted.names, usages=o.wanted.usages, validity=asked)
        chain, ca_pem = issue.to_pem(leaf, *ca.chain), o.trust.bundle
        made = facts.of_leaf(leaf, intermediates=ca.chain, encoding=o.wanted.encoding, ca=ca_pem)
        before = o.facts if o.has_facts else None
        made = facts.with_times(made, before, now=self._api.latest(), is_first=plan.is_first(o))
        made, further = _further(o, made, key, [leaf, *ca.chain], opened)
        files = render.Files(key=keys.to_pem(key, o.wanted.encoding), chain=chain, ca=ca_pem, further=further)
        found = self._record(o)
        if found is None:
            body = render.secret(o.identity, o.wanted, made, files)
            metadata = await self._api.create(paths.secrets(o.identity.namespace), body)
        else:
            patch = render.secret_patch(o.identity, o.wanted, made, files, found=found.metadata)
            metadata = await self._api.patch(_secret_path(o), patch)
        self._note_written(o, metadata, made)
        self._made_keys[o.identity.uid] = made.public_key_hash
        self._log_signature(o, made, decision)
        if not plan.is_first(o) and decision.reason not in _PLANNED:
            await self._announcer.normal(o.identity, decision.reason, f"issued a new certificate: {decision.message}")

    async def _kept_key(self, o: Observed) -> keys.PrivateKey | None:
        """Read the key that is to be kept: only the one whose public half the status recorded, and that fits."""
        recorded = o.identity.status.certificate
        if o.wanted.rotation_policy is not RotationPolicy.NEVER or recorded is None or isinstance(o.found, Absent):
            return None
        body = await self._api.get(_secret_path(o))
        return facts.kept_key(body or {}, public_key_hash=recorded.public_key_hash, kind=o.wanted.key)

    async def _delete(self, o: Observed) -> None:
        """Delete a Secret whose type or immutability cannot be changed."""
        found = self._record(o)
        if found is None:
            return
        known = found.metadata
        await self._api.delete(_secret_path(o), uid=known.uid, resource_version=known.resource_version)
        self._store.drop_secret(_secret_key(o))
        logger.warning("deleted a secret that cannot be changed", extra={"secret": _secret_key(o)})

    async def _remove(self, o: Seen, names: Iterable[str]) -> None:
        """Delete Secrets that are this identity's own, of its name of now or of former ones."""
        for name in names:
            key = f"{o.identity.namespace}/{name}"
            record = self._store.secrets.get(key)
            if not isinstance(record, SecretRecord) or not _is_ours(o.identity, record):
                continue
            known = record.metadata
            path = paths.secret(o.identity.namespace, name)
            try:
                await self._api.delete(path, uid=known.uid, resource_version=known.resource_version)
            except (ConflictError, NotFoundError):
                await self._look_at(key, path)
                continue
            self._store.drop_secret(key)
            logger.info("deleted a secret that its identity has no more", extra={"secret": key})

    async def _write_bundle(self, o: Seen) -> None:
        """Write ca.crt alone."""
        found = self._record(o)
        if found is None:
            return
        since = self._api.latest()
        new = msgspec.structs.replace(o.facts, bundle_hash=o.trust.bundle_hash, bundle_since=since)
        metadata = await self._api.patch(
            _secret_path(o), render.bundle_patch(new, o.trust.bundle, found=found.metadata)
        )
        self._note_written(o, metadata, new)
        logger.info("wrote the bundle", extra={"identity": o.identity.key, "file": CA_CRT})

    async def _write_formats(self, o: Seen) -> None:
        """Write the further files anew, from the key and the leaf that are in the Secret, and ca.crt."""
        opened = await self._passwords.read(o.identity, now=o.now)
        body = await self._read(o)
        found = self._record(o)
        if body is None or found is None or not _is_ours(o.identity, found) or not isinstance(found.files, Facts):
            return
        key, chain = facts.key_and_chain(body)
        since = self._api.latest() if o.has_old_bundle else found.files.bundle_since
        new = msgspec.structs.replace(found.files, bundle_hash=o.trust.bundle_hash, bundle_since=since)
        new, further = _further(o, new, key, chain, opened)
        patch = render.formats_patch(o, new, further, found=found.metadata)
        metadata = await self._api.patch(_secret_path(o), patch)
        self._note_written(o, metadata, new)
        logger.info("wrote further files", extra={"identity": o.identity.key, "files": sorted(further)})

    def _note_written(self, o: Seen, metadata: dict[str, Any], made: Facts) -> None:
        """Take in what was written, as of when it is known to have landed."""
        landed = facts.landed(made, o.facts if o.has_facts else None, now=self._api.latest())
        self._store.put_secret(_secret_key(o), metadata, landed, now=o.now)

    async def _write_metadata(self, o: Observed) -> None:
        """Put labels, annotations and owner of a Secret right, and leave its files alone."""
        found = self._record(o)
        if found is None:
            return
        patch = render.metadata_patch(o.identity, o.wanted, o.facts, found=found.metadata)
        metadata = await self._api.patch(_secret_path(o), patch)
        self._store.put_secret(_secret_key(o), metadata, o.facts, now=o.now)
        logger.info("mended the metadata of a secret", extra={"secret": _secret_key(o)})

    # Status

    async def _settle(self, identity: Identity, seen: Seen | None, decision: Decision) -> datetime | None:
        """Write the status where it differs from what is there, and say when to look again."""
        if isinstance(seen, Observed):
            new = render.identity_status(seen, decision)
        else:
            new = render.status_without_wish(identity, seen, decision, now=times.rfc3339(self._clock()))
        if new != identity.status:
            await self._write_status(identity, new)
            await self._announce(identity, new, decision)
        self._made_keys.pop(identity.uid, None)
        return decision.look_again

    async def _write_status(self, identity: Identity, new: IdentityStatus) -> None:
        path = f"{paths.identity(identity.namespace, identity.name)}/status"
        self._store.expect_status(identity, new, instead_of=identity.status)
        try:
            metadata = await self._api.patch(path, render.status_patch(identity.uid, new))
        except ClusterError:
            self._store.expect_status(identity, identity.status, instead_of=new)
            if await self._is_gone(identity):
                return
            raise
        self._store.note_status(identity.key, new, metadata)

    async def _is_gone(self, identity: Identity) -> bool:
        """Tell whether an identity is gone, or another of its name is there, which is then noted."""
        body = await self._api.get(paths.identity(identity.namespace, identity.name))
        if body is not None and body["metadata"]["uid"] == identity.uid:
            return False
        self._store.drop_identity(identity.key, identity.uid)
        if body is not None and self._store.note_identity(body) is not None:
            self.wake(identity.key)
        return True

    async def _announce(self, identity: Identity, new: IdentityStatus, decision: Decision) -> None:
        """Tell of a refusal or a failure once, when it begins."""
        before = _ready(identity.status)
        after = _ready(new)
        if after is None or after.status == "True" or (before is not None and before.reason == after.reason):
            return
        logger.warning(
            "identity is not ready",
            extra={"identity": identity.key, "reason": decision.reason, "why": decision.message},
        )
        await self._announcer.warning(identity, decision.reason, decision.message)

    def _is_terminating(self, namespace: str) -> bool:
        known = self._store.namespaces.get(namespace)
        return known is not None and known.is_terminating

    def _log_signature(self, o: Observed, made: Facts, decision: Decision) -> None:
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


def _between_turns(per_second: int) -> timedelta:
    """Tell how often turns are granted: one by one at a slow pace, a few at a time at a fast one."""
    return max(timedelta(seconds=1) / per_second, _LEAST_BETWEEN_TURNS)


def _makes_slow_key(seen: Seen, decision: Decision) -> bool:
    return isinstance(seen, Observed) and decision.action in plan.MAKES_A_LEAF and seen.wanted.key.is_slow


def _further(
    o: Seen, made: Facts, key: keys.PrivateKey, chain: list[x509.Certificate], opened: Opened | None
) -> tuple[Facts, dict[str, bytes]]:
    """Make the further files that are asked for, and record them beside the other facts."""
    spec, ca = o.identity.spec.formats, o.trust.bundle
    files = formats.write(spec, key, encoding=made.encoding, chain=chain, ca=ca, alias=o.identity.name, opened=opened)
    recorded = formats.recorded(spec, files, leaf=made.fingerprint, bundle_hash=o.trust.bundle_hash, opened=opened)
    return msgspec.structs.replace(made, further=recorded), files


def _secret_key(o: Seen) -> str:
    return f"{o.identity.namespace}/{o.identity.secret_name}"


def _secret_path(o: Seen) -> str:
    return paths.secret(o.identity.namespace, o.identity.secret_name)


def _is_ours(identity: Identity, record: SecretRecord) -> bool:
    """Ours is what carries this identity's uid, or was a predecessor's of its name, of whom there is only one."""
    metadata = record.metadata
    return metadata.identity_uid == identity.uid or (
        metadata.identity_uid is not None and metadata.identity_name == identity.name
    )


def _holder(record: SecretRecord) -> str:
    """Say whose a Secret is."""
    if record.metadata.identity_uid is not None:
        return f"identity {record.metadata.identity_name}"
    return record.metadata.manager


def _ready(of: IdentityStatus) -> status.Condition | None:
    return next((condition for condition in of.conditions if condition.type == status.READY), None)
