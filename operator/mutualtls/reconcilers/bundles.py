"""Copies of bundles: observe those of a namespace, or the ClusterTrustBundle, decide, act, until all is done.

Decisions are made in `core.bundles.plan`, what is written in `core.bundles.publish`; here are the reads and writes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

import msgspec

from mutualtls.authorities.offers import Offers
from mutualtls.core.api import refusals
from mutualtls.core.api.authority import Authority
from mutualtls.core.bundles import plan, publish
from mutualtls.core.bundles.plan import Action, Decision, Observed
from mutualtls.core.bundles.publish import Copy
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    HeldUpError,
    ImmutableError,
    NotFoundError,
)
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.queue import pacing
from mutualtls.queue.agenda import Agenda, Key, Priority
from mutualtls.queue.pacing import ReissuePacer
from mutualtls.queue.repairs import Repairs
from mutualtls.settings import Settings
from mutualtls.store.store import Store

logger = logging.getLogger(__name__)

_REWRITES_PER_SECOND = 50
"""How many copies are written per second that hold the same in another form, as after an upgrade."""

_MOST_STEPS = 8
"""More than any namespace needs: look, create, remove one of another name."""


class BundleReconciler:
    """Brings the copies of a bundle in one namespace at a time to what they are to be."""

    def __init__(
        self,
        api: API,
        store: Store,
        offers: Offers,
        agenda: Agenda,
        *,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._store = store
        self._offers = offers
        self._agenda = agenda
        self._clock = clock
        self._conflict_retry = settings.conflict_retry
        self._repairs = Repairs(settings.contest_window)
        self._rewrites: ReissuePacer[Key] = ReissuePacer()
        """Copies, by their keys on the agenda, that wait to be written only since their form changed."""

    def behind(self, name: str) -> list[str]:
        """List the namespaces where copies are not what they are to be, "" for the ClusterTrustBundle."""
        authority, trust = self._store.authorities.get(name), self._offers.trust(name)
        if authority is None or trust is None or not trust.bundle:
            return []
        copies = self._store.copies
        wanted = {
            key for key in publish.wanted_copies(authority, self._store.places) if publish.can_hold(key, trust.bundle)
        }
        late = {key for key in wanted if not plan.is_done(key, copies.get(key), authority, trust.bundle)}
        surplus = set(copies.of_authority(name)) - wanted
        return sorted({key.namespace for key in late | surplus})

    async def reconcile(self, name: str, namespace: str) -> datetime | None:
        """Bring the copies of an authority's bundle in a namespace up to date. Return when to check again.

        Raises:
            ClusterError: the API server refused or could not be reached, or one that has to be replaced is kept by
                finalizers.
        """
        authority, trust = self._store.authorities.get(name), self._offers.trust(name)
        key = Key.bundle(name, namespace)
        if authority is None or authority.is_deleting or trust is None or not trust.bundle:
            self._rewrites.done(key)
            return None
        if authority.spec.trust != trust.copies:
            return None  # all are woken when that spec is kept, before it is acted on
        if self._is_reformed(authority, namespace, trust) and not self._may_rewrite(key):
            return None
        try:
            decision = await self._advance(authority, namespace, trust)
        except ClusterError as error:
            self._note_refused(name, namespace, error)
            raise
        self._rewrites.done(key)
        was_refused = self._store.copies.refused.pop((name, namespace), None) is not None
        if was_refused or decision.is_conflict != authority.status.has_conflict:
            self._agenda.put(Key.authority(name), priority=Priority.FIRST)
        return decision.next_check

    def _is_reformed(self, authority: Authority, namespace: str, trust: Offer) -> bool:
        """Tell whether a copy holds what it is to hold, and is only written since its form changed."""
        wanted = publish.wanted_copy(authority, namespace, self._store.places)
        copy = self._store.copies.get(wanted) if wanted is not None else None
        if wanted is None or copy is None:
            return False
        return copy.is_owned and copy.holds(publish.wanted(wanted, authority.name, trust.bundle))

    def _may_rewrite(self, key: Key) -> bool:
        """Tell whether a copy may be written now in another form, as after an upgrade. Else it waits for its turn."""
        now = self._clock()
        is_released = self._rewrites.may_start(key, now, now)
        if not is_released:
            self._agenda.put(Key.pace(""), at=now + pacing.between_releases(_REWRITES_PER_SECOND))
        return is_released

    def release(self) -> datetime | None:
        """Have the copies looked at that may be written now in another form. Return when to do so again."""
        now = self._clock()
        for key in self._rewrites.release(now, per_second=_REWRITES_PER_SECOND):
            self._agenda.put(key, priority=Priority.REISSUE)
        return None if self._rewrites.is_over else now + pacing.between_releases(_REWRITES_PER_SECOND)

    async def _advance(self, authority: Authority, namespace: str, trust: Offer) -> Decision:
        """Act until there is nothing more to do, and return that last decision."""
        has_looked = False
        conflict: ClusterError | None = None
        for _ in range(_MOST_STEPS):
            o = self._observe(authority, namespace, trust, has_looked=has_looked)
            decision = plan.decide(o)
            if decision.action is Action.NOTHING:
                return decision
            if decision.action is Action.LOOK:
                has_looked = True
                await self._look(decision.key)
                continue
            if (until := self._contested(authority, decision.key, trust)) is not None:
                return Decision(action=Action.NOTHING, next_check=until)
            conflict = await self._act(o, trust, decision) or conflict
        if conflict is not None:
            raise conflict
        raise RuntimeError(f"programming error: copies of {authority.name} in {namespace} are never settled")

    def _observe(self, authority: Authority, namespace: str, trust: Offer, *, has_looked: bool) -> Observed:
        wanted = publish.wanted_copy(authority, namespace, self._store.places)
        return Observed(
            authority=authority,
            bundle=trust.bundle,
            wanted=wanted,
            found=self._store.copies.get(wanted) if wanted is not None else None,
            copies=self._store.copies.of(authority.name, namespace),
            has_looked=has_looked,
            now=self._clock(),
            conflict_retry=self._conflict_retry,
        )

    def _contested(self, authority: Authority, key: ObjectKey, trust: Offer) -> datetime | None:
        """Tell until when a copy is left alone, as somebody keeps overwriting it."""
        contest = self._repairs.contest(_repaired(authority, key), trust.bundle_hash, self._clock())
        if contest is None:
            return None
        extra = {
            "copy": publish.label(key),
            "by": contest.by or "a client that deletes it",
            "until": str(contest.until),
        }
        logger.warning("bundle is overwritten repeatedly and left alone for a while", extra=extra)
        return contest.until

    async def _act(self, o: Observed, trust: Offer, decision: Decision) -> ClusterError | None:
        """Do what was decided. Return what the API server said of a copy that is not as it was thought to be."""
        found = self._store.copies.get(decision.key)
        if decision.action is Action.REMOVE:
            return await self._remove(decision.key)
        conflict = await self._write(decision.key, o.authority, trust, found, surplus_since=decision.surplus_since)
        is_new_surplus = found is not None and (found.published is None or found.published.surplus_since is None)
        if decision.surplus_since is not None and is_new_surplus:
            extra = {"copy": publish.label(decision.key), "goes": str(o.now + o.authority.durations.remove_after)}
            logger.info("bundle is no longer wanted and will be deleted", extra=extra)
        return conflict

    async def _write(
        self, key: ObjectKey, authority: Authority, trust: Offer, found: Copy | None, *, surplus_since: datetime | None
    ) -> ClusterError | None:
        """Create or change a copy. One that was made immutable meanwhile is deleted, to be made again."""
        was_there = self._store.copies.was_there(key)
        since = self._api.latest() if was_there else None
        published = publish.wanted(key, authority.name, trust.bundle)
        if found is not None and found.published is not None and found.holds(published):
            since = found.published.since
        published = msgspec.structs.replace(published, since=since, surplus_since=surplus_since)
        try:
            if found is None:
                body = publish.manifest(key, authority, trust.bundle, published)
                metadata = await self._api.create(_parent(key), body)
            else:
                body = publish.patch(key, authority, trust.bundle, published, found=found)
                metadata = await self._api.patch(paths.copy(key), body)
        except ImmutableError:
            return await self._remove(key)
        except (AlreadyExistsError, ConflictError, NotFoundError) as error:
            await self._look(key)
            return error
        self._store.copies.put(key, metadata, now=self._api.latest())
        if was_there and (found is None or found.published is None):
            by = found.others if found else None
            self._repairs.note(_repaired(authority, key), trust.bundle_hash, by, self._clock())
        logger.info("wrote a bundle", extra={"authority": authority.name, "copy": publish.label(key)})
        return None

    async def _remove(self, key: ObjectKey) -> ClusterError | None:
        found = self._store.copies.get(key)
        if found is None:
            return None
        if found.held_by is not None:
            raise HeldUpError(publish.label(key), found.held_by)
        try:
            left = await self._api.delete(paths.copy(key), uid=found.uid, resource_version=found.resource_version)
        except (ConflictError, NotFoundError) as error:
            await self._look(key)
            return error
        if left is not None:
            self._store.copies.put(key, left, now=self._api.latest())
            return None
        self._store.copies.put_absent(key)
        logger.info("deleted a bundle", extra={"authority": found.authority, "copy": publish.label(key)})
        return None

    async def _look(self, key: ObjectKey) -> None:
        """Look at the metadata of what is in a copy's place."""
        metadata = await self._api.get_metadata(paths.copy(key))
        if metadata is None:
            self._store.copies.put_absent(key)
        else:
            self._store.copies.put(key, metadata, now=self._clock())

    def _note_refused(self, name: str, namespace: str, error: ClusterError) -> None:
        """Have the authority tell which of its copies the API server does not take, where that is news."""
        refused, key = self._store.copies.refused, (name, namespace)
        if error.is_lasting and refusals.masked(error.told) != refusals.masked(refused.get(key, "")):
            refused[key] = error.told
            self._agenda.put(Key.authority(name), priority=Priority.FIRST)

    def sweep(self, now: datetime) -> bool:
        """Forget what counts no more, and tell whether anything is left that will not count some day."""
        self._repairs.sweep(now)
        return bool(self._repairs.held)

    @property
    def held(self) -> int:
        """How many things are remembered."""
        return self._repairs.held + len(self._store.copies.refused) + self._rewrites.held


def _repaired(authority: Authority, key: ObjectKey) -> tuple[str, ObjectKey]:
    """Name a copy for counting its repairs: an authority that is made again begins again."""
    return authority.uid, key


def _parent(key: ObjectKey) -> str:
    return paths.copy(key).rpartition("/")[0]
