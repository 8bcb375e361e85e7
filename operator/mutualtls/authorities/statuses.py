"""Statuses and Events of authorities. What they say is worked out in `core.rotation.report`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime

from mutualtls.authorities.state import AuthorityState
from mutualtls.core import times
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.bundles import publish
from mutualtls.core.errors import ClusterError, ConflictError, OutdatedError
from mutualtls.core.leaf import formats
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import report
from mutualtls.core.rotation.steps import Hold, Sign
from mutualtls.core.rotation.walk import Walk
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.queue.trouble import Trouble
from mutualtls.store.store import Store
from mutualtls.store.versioned import MOST_TRIES

logger = logging.getLogger(__name__)


class Statuses:
    """Writes statuses, and posts an Event for each phase and for what people should see to."""

    def __init__(
        self,
        api: API,
        store: Store,
        announcer: Announcer,
        trouble: Trouble,
        *,
        namespace: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._store = store
        self._announcer = announcer
        self._trouble = trouble
        self._namespace = namespace
        self._clock = clock
        self.rotations: Counter[tuple[str, str]] = Counter()
        """How rotations of roots ended, by authority and result."""

    async def write(self, authority: Authority, state: AuthorityState, step: Sign | Hold, walk: Walk) -> None:
        """Write the status where it differs from what is there.

        Raises:
            OutdatedError: the authority has changed, and is known as it is now.
            ClusterError: the API server refused it or could not be reached.
        """
        now = self._clock()
        found = self._found(authority, state)
        new = report.status_of(authority, step, walk.last, found, now=times.rfc3339(now))
        may_tell = self._trouble.may_tell(authority.key, now)
        if not report.is_worth_telling(authority.status, new, may_tell=may_tell):
            return
        await self._put(authority, new)
        self._trouble.tell(authority.key, now)
        await self._post_events(authority, walk, new)

    async def warn(self, authority: Authority, reason: str, message: str) -> None:
        """Log, and say by an Event, what people should see to."""
        extra = {"authority": authority.name, "reason": reason, "why": message}
        logger.warning("authority needs attention", extra=extra)
        await self._announcer.about_authority(authority, reason, message, is_warning=True)

    async def note_deleted(self, name: str, state: AuthorityState) -> None:
        """Log, and say by an Event, that copies of its bundle are left of an authority that is gone."""
        if left := self._store.copies.of_authority(name):
            note = report.bundles_orphaned(name, left, state.ledger)
            logger.warning("copies of a bundle are orphaned", extra={"authority": name, "why": note})
            await self._announcer.about_deleted_authority(name, state.uid, Reason.BUNDLES_ORPHANED, note)

    def _found(self, authority: Authority, state: AuthorityState) -> report.Found:
        """Gather what the status says beside how far the CAs are."""
        source_faults = self._of_source(authority, filter(None, [state.source.fault]))
        return report.Found(
            ledger=state.ledger,
            bundle_hash=state.trust.bundle_hash if state.trust.bundle else None,
            faults=(*source_faults, *state.roots.faults),
            warnings=(*self._of_source(authority, state.source.warnings), *self._left_out(authority, state)),
            conflicts=publish.conflicts(
                authority, self._store.places, refused=self._store.copies.refused_of(authority.name)
            ),
            refusal=state.refusal,
            refused_copies=self._store.copies.refused_of(authority.name),
        )

    def _of_source(self, authority: Authority, notes: Iterable[str]) -> list[str]:
        """Name the Secret that notes are about."""
        reference = authority.spec.root.secret_ref
        return [f"Secret {reference.name} of namespace {self._namespace}: {one}" for one in notes] if reference else []

    def _left_out(self, authority: Authority, state: AuthorityState) -> list[str]:
        """Name the roots that not every place can hold: of ClusterTrustBundles, where there is to be one."""
        pem = state.trust.bundle
        is_wanted = publish.wanted_copy(authority, "", self._store.places) is not None
        return [
            *(f"left out of the ClusterTrustBundle: {one}" for one in (publish.left_out(pem) if is_wanted else ())),
            *(f"left out of trust stores (PKCS#12): {one}" for one in formats.left_out(pem)),
        ]

    async def _put(self, authority: Authority, new: AuthorityStatus) -> None:
        authorities = self._store.authorities
        path = f"{paths.authority(authority.name)}/status"
        for _ in range(MOST_TRIES):
            version = authorities.version_of(authority.name, authority)
            try:
                metadata = await self._api.patch(path, report.status_patch(authority.uid, version, new))
            except ClusterError as error:
                if isinstance(error, ConflictError) and await self._is_outdated(authority, version):
                    if authorities.version_of(authority.name, authority) == version:
                        break
                    continue
                if error.is_lasting:
                    self._trouble.status_refused("")
                raise
            self._trouble.status_taken()
            authorities.note_status(authority.name, new, metadata)
            return
        raise OutdatedError

    async def _is_outdated(self, authority: Authority, version: str) -> bool:
        """Tell whether there is a later version of an authority. Note it, should the watch not have brought it yet."""
        body = await self._api.get(paths.authority(authority.name))
        if body is not None:
            self._store.authorities.note(body)
        return self._store.authorities.is_outdated(authority.name, version)

    async def _post_events(self, authority: Authority, walk: Walk, new: AuthorityStatus) -> None:
        """Log, and say by an Event, which phases were entered, and what people should see to."""
        self.rotations.update((authority.name, result) for result in walk.results(authority.status))
        for before, progress in walk.entered(authority.status):
            note = report.phase_begun(progress, before)
            is_smooth = before is None or not (before.gate.forced or before.gate.excused)
            extra = {"authority": authority.name, "phase": progress.phase, "why": note}
            level = logging.INFO if is_smooth else logging.WARNING
            logger.log(level, "root rotation entered phase %s", progress.phase, extra=extra)
            await self._announcer.about_authority(authority, progress.phase, note, is_warning=not is_smooth)
        for reason, message in report.alarms(authority.status, new).items():
            await self.warn(authority, reason, message)
        if report.is_able(new) and not report.is_able(authority.status):
            logger.info("authority signs", extra={"authority": authority.name})
