"""Settle an identity: its status, what waits or cannot be done, and the Events that tell of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from mutualtls.core import times
from mutualtls.core.api import refusals
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.errors import ClusterError, ConflictError, OutdatedError, UnreadableError
from mutualtls.core.leaf import failures, plan, render, waiting
from mutualtls.core.leaf.observed import Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.queue.agenda import Agenda, Key
from mutualtls.queue.pacing import Said
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.gather import end_of_files
from mutualtls.reconcilers.limits import WORTH_TELLING, Wait
from mutualtls.reconcilers.look import Look
from mutualtls.reconcilers.tally import REFUSALS, Tally
from mutualtls.settings import Settings
from mutualtls.store.store import Store
from mutualtls.store.versioned import MOST_TRIES

logger = logging.getLogger(__name__)

_TOLD_WHILE_READY = frozenset({Reason.RULE_TIGHTENED, Reason.INVALID_SPEC})
"""What people should see to though the files are good."""


class Statuses:
    """Writes the statuses of identities."""

    def __init__(
        self,
        api: API,
        store: Store,
        agenda: Agenda,
        announcer: Announcer,
        *,
        trouble: Trouble,
        settings: Settings,
        tally: Tally,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._store = store
        self._agenda = agenda
        self._announcer = announcer
        self._trouble = trouble
        self._tally = tally
        self._said = Said(settings.burst_window)
        self._last_retry = settings.last_retry
        self._clock = clock

    def changed(self, identity: Identity, seen: Seen | None, decision: Decision) -> IdentityStatus | None:
        """Work out the status that a decision leads to; None where it is there already."""
        new = self._status(identity, seen, decision)
        return None if render.is_as_told(new, identity.status) else new

    async def settle(self, identity: Identity, new: IdentityStatus, decision: Decision) -> None:
        """Write a status, and tell of a refusal or a failure once, when it begins."""
        await self._write(identity, new)
        self._count_refusal(identity, new)
        await self._announce(identity, new, decision)

    async def tell_wait(self, identity: Identity, seen: Seen | None, decision: Decision, wait: Wait) -> datetime | None:
        """Say that something waits, where that takes a while. Return when to check again."""
        now = self._clock()
        if wait.until is not None and now < wait.until <= now + WORTH_TELLING:
            return wait.until
        if waiting.is_worth_telling(identity, seen):
            logger.info("a change waits", extra={"identity": identity.key, "why": wait.why, "reason": decision.reason})
            throttled = plan.throttled(decision, wait.why, until=wait.until)
            await self._write(identity, self._status(identity, seen, throttled))
        return wait.until

    async def tell_trouble(self, look: Look, error: ClusterError | UnreadableError) -> None:
        """Settle what was decided though it could not be done: in the status, and once by an Event."""
        identity, now = self._store.identities.get(look.key), self._clock()
        if identity is None or identity.is_deleting or look.is_settling or not look.is_of(identity):
            return
        seen, decided = look.decided or (None, None)
        decision = failures.trouble(
            identity.status,
            decided,
            refusals.cut(str(error)) if isinstance(error, UnreadableError) else error.told,
            is_lasting=isinstance(error, UnreadableError) or error.is_lasting,
            end=end_of_files(self._store, identity.key, now),
            every=self._last_retry,
            now=now,
        )
        if decision is None:
            return
        new = self._status(identity, seen, decision)
        may_tell = self._trouble.may_tell(identity.key, now)
        if not plan.is_worth_telling(identity.status, new, is_paid=look.is_paid, may_tell=may_tell):
            return
        self._trouble.tell(identity.key, now)
        try:
            await self._write(identity, new)
        except OutdatedError:
            return
        except ClusterError as refusal:
            logger.warning("status was not written", extra={"identity": identity.key, "error": str(refusal)})
            return
        await self._announce_trouble(identity, decision)

    def forget(self, key: ObjectKey) -> None:
        """Forget an identity that is gone."""
        self._said.forget(key)
        self._trouble.forget(key)

    def sweep(self, now: datetime) -> None:
        """Throw out what may be said again."""
        self._said.sweep(now)
        self._trouble.sweep(now)

    @property
    def held(self) -> int:
        """How many things are kept."""
        return self._said.held + self._trouble.held

    def _status(self, identity: Identity, seen: Seen | None, decision: Decision) -> IdentityStatus:
        if isinstance(seen, Observed):
            return render.identity_status(seen, decision)
        return render.status_when_refused(identity, seen, decision, now=times.rfc3339(self._clock()))

    async def _write(self, identity: Identity, new: IdentityStatus) -> None:
        """Write a status over the one that it was worked out from.

        Raises:
            OutdatedError: the identity has changed, and is known as it is now.
            ClusterError: the API server refused it or could not be reached.
        """
        for _ in range(MOST_TRIES):
            version = self._store.identities.version_of(identity.key, identity)
            if await self._put(identity, version, new):
                return
            if self._store.identities.version_of(identity.key, identity) == version:
                break
        raise OutdatedError

    async def _put(self, identity: Identity, version: str, new: IdentityStatus) -> bool:
        """Write a status over a version. False: there is a later one, which is known now."""
        identities = self._store.identities
        path = f"{paths.identity(identity.namespace, identity.name)}/status"
        identities.expect_status(identity, new, instead_of=identity.status)
        try:
            metadata = await self._api.patch(path, render.status_patch(identity.uid, version, new))
        except ClusterError as error:
            identities.expect_status(identity, identity.status, instead_of=new)
            if await self._is_gone(identity):
                return True
            if isinstance(error, ConflictError) and identities.is_outdated(identity.key, version):
                return False
            if error.is_lasting:
                self._trouble.status_refused(identity.namespace)
            raise
        self._trouble.status_taken()
        identities.note_status(identity.key, new, metadata)
        return True

    def _count_refusal(self, identity: Identity, new: IdentityStatus) -> None:
        """Count a spec that is refused, once for each spec and reason."""
        before, after = identity.status.ready, new.ready
        if after is None or after.status == "True" or after.reason not in REFUSALS:
            return
        is_same_spec = identity.status.observed_generation == new.observed_generation
        if before is None or before.reason != after.reason or not is_same_spec:
            name = identity.authority if identity.authority in self._store.authorities else ""
            self._tally.refused[name, after.reason] += 1

    async def _is_gone(self, identity: Identity) -> bool:
        """Tell whether an identity is gone, another operator's, or another of its name. Note what there is."""
        body = await self._api.get(paths.identity(identity.namespace, identity.name))
        if body is not None and body["metadata"]["uid"] == identity.uid:
            self._store.note_identity(body)
            return identity.key not in self._store.identities
        self._store.drop_identity(identity.key, identity.uid)
        if body is not None and self._store.note_identity(body) is not None:
            self._agenda.put(Key.identity(identity.key))
        return True

    async def _announce(self, identity: Identity, new: IdentityStatus, decision: Decision) -> None:
        """Tell of a refusal or a failure once, when it begins; and of what ends with this release."""
        before, after = identity.status.ready, new.ready
        if after is None or (before is not None and before.reason == after.reason):
            return
        if after.status == "True":
            if after.reason in _TOLD_WHILE_READY:
                await self._announcer.warning(identity, decision.reason, decision.message)
            return
        left_out = self._said.left_out(identity.key, decision.reason, self._clock())
        if left_out is not None:
            extra = {"identity": identity.key, "reason": decision.reason, "why": decision.message}
            logger.warning("identity is not ready", extra=extra | ({"left_out": left_out} if left_out else {}))
        await self._announcer.warning(identity, decision.reason, decision.message)

    async def _announce_trouble(self, identity: Identity, decision: Decision) -> None:
        before = identity.status.ready
        if before is None or before.reason != decision.reason:
            extra = {"identity": identity.key, "reason": decision.reason, "why": decision.message}
            logger.warning("identity is in trouble", extra=extra)
            await self._announcer.warning(identity, decision.reason, decision.message)
