"""The worker: takes keys off the agenda and has the reconciler of each kind finish them. It has the table of errors."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from mutualtls.authorities.offers import Offers
from mutualtls.authorities.reconciler import AuthorityReconciler
from mutualtls.core.errors import AuthorityError, ClusterError, UnreadableError
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.queue.agenda import SWEEP, Agenda, Key, Kind, Priority
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.bundles import BundleReconciler
from mutualtls.reconcilers.gather import end_of_files
from mutualtls.reconcilers.identities import IdentityReconciler
from mutualtls.reconcilers.limits import Limits
from mutualtls.reconcilers.tally import Tally
from mutualtls.settings import Settings
from mutualtls.store.store import Store

logger = logging.getLogger(__name__)

_LONGEST_BETWEEN_SWEEPS = timedelta(minutes=1)
"""How often what is remembered is looked through for what may be forgotten, at least."""


RESULTS = ("done", "retried", "failed", "bug")
"""How a look may end: nothing is left to do; it may work at the next try; it will not by itself; an error of ours."""


class Worker:
    """Finishes one key at a time. Any number of `work` may run beside each other."""

    def __init__(
        self,
        api: API,
        store: Store,
        offers: Offers,
        agenda: Agenda,
        announcer: Announcer,
        *,
        authorities: AuthorityReconciler,
        trouble: Trouble,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._authorities = authorities
        self._offers = offers
        self._agenda = agenda
        self._clock = clock
        self.reconciles = Counter({(kind.name.lower(), result): 0 for kind in Kind for result in RESULTS})
        """How looks ended, by the kind of what was looked at."""
        self._between_sweeps = min(_LONGEST_BETWEEN_SWEEPS, settings.burst_window)
        self._identities = IdentityReconciler(
            api, store, offers, agenda, announcer, trouble=trouble, settings=settings, clock=clock
        )
        self._bundles = BundleReconciler(api, store, offers, agenda, settings=settings, clock=clock)

    async def work(self) -> None:
        """Take keys off the agenda and finish them, until it is closed."""
        while (key := await self._agenda.take()) is not None:
            try:
                next_check = await self._reconcile(key)
            except (ClusterError, UnreadableError) as error:
                is_lasting = not isinstance(error, ClusterError) or error.is_lasting
                self._count(key, "failed" if is_lasting else "retried")
                logger.warning("will be tried again", extra=self._failed(key, error) | {"error": str(error)})
            except AuthorityError as error:
                self._count(key, "failed")
                self._check_authority(key)
                logger.warning("authority cannot sign", extra=self._failed(key, error) | {"error": str(error)})
            except Exception as error:
                self._count(key, "bug")
                logger.exception("programming error, will be tried again", extra=self._failed(key, error))
            else:
                self._count(key, "done")
                self._agenda.done(key, next_check=next_check)

    def _count(self, key: Key, result: str) -> None:
        self.reconciles[key.kind.name.lower(), result] += 1

    async def _reconcile(self, key: Key) -> datetime | None:
        match key.kind:
            case Kind.IDENTITY:
                self._sweep_later()
                return await self._identities.reconcile(key.object_key)
            case Kind.BUNDLE:
                self._sweep_later()
                return await self._bundles.reconcile(key.name, key.namespace)
            case Kind.PACE if not key.name:
                return self._bundles.release()
            case Kind.PACE:
                return self.limits.release(key.name, self._offers.trust(key.name))
            case Kind.SWEEP:
                return self._sweep()
            case Kind.AUTHORITY:
                return await self._reconcile_authority(key.name)

    async def _reconcile_authority(self, name: str) -> datetime | None:
        try:
            return await self._authorities.reconcile(name)
        finally:
            if name not in self._store.authorities:
                self.limits.forget_authority(name)

    def on_offer_changed(self, authority: str) -> None:
        """Have all looked at that depends on what an authority offers: first the identities whose leaves end first."""
        for key in self._store.identities.soonest_end_first(self._store.identities.of_authority(authority)):
            self._agenda.put(Key.identity(key), priority=Priority.REISSUE)
        for namespace in self._bundles.behind(authority):
            self._agenda.put(Key.bundle(authority, namespace))

    # After a failure

    def retry(self) -> None:
        """Have all tried now that failed, as what they failed by has passed: at the pace that is set for many."""
        self.limits.recall()
        self._agenda.retry()

    def _failed(self, key: Key, error: Exception) -> dict[str, str | float]:
        """Have a key tried again, at the latest when its files end. Return what the log says of it."""
        is_passing = isinstance(error, ClusterError) and not error.is_lasting
        longest = self._agenda.failures.longest_in_outage if is_passing else timedelta.max
        delay = self._agenda.failed(key, at_most=longest)
        end = end_of_files(self._store, key.object_key, self._clock()) if key.kind is Kind.IDENTITY else None
        if end is not None:
            self._agenda.put(key, at=end)
        return {"key": str(key), "in_s": delay.total_seconds()}

    def _check_authority(self, key: Key) -> None:
        """Have the authority of an identity looked at, which was thought to be able to sign."""
        identity = self._store.identities.get(key.object_key)
        if key.kind is Kind.IDENTITY and identity is not None:
            self._agenda.put(Key.authority(identity.authority), priority=Priority.FIRST)

    # What is remembered

    def _sweep_later(self) -> None:
        self._agenda.put(SWEEP, at=self._clock() + self._between_sweeps)

    def _sweep(self) -> datetime | None:
        """Forget what counts no more."""
        now = self._clock()
        is_left = [one.sweep(now) for one in (self._identities, self._bundles)]
        return now + self._between_sweeps if any(is_left) else None

    @property
    def limits(self) -> Limits:
        """What identities and their namespaces may have done at once."""
        return self._identities.limits

    @property
    def tally(self) -> Tally:
        """What was done for identities."""
        return self._identities.tally

    @property
    def held(self) -> int:
        """How many things are remembered, of whatever kind, and stand on the agenda."""
        return self._agenda.held + self._identities.held + self._bundles.held
