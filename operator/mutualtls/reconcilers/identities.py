"""Identities: gather what is known of one, decide, act, until there is nothing to do; then settle its status.

Level-triggered: it is given a key, never what happened. Decisions are made in `core.leaf.plan`, what is written in
`core.leaf.render`; the reads are in `gather`, the writes in `secrets` and `statuses`, what has to wait in `limits`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mutualtls.authorities.offers import Offers
from mutualtls.core.api.identity import Identity
from mutualtls.core.errors import ClusterError, OutdatedError, SpecError, UnreadableError
from mutualtls.core.leaf import desired, plan, waiting
from mutualtls.core.leaf.desired import Wanted
from mutualtls.core.leaf.observed import Action, Intervals, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.queue.agenda import Agenda, Key, Priority
from mutualtls.queue.repairs import Repairs
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.actions import Actions
from mutualtls.reconcilers.gather import Observer, end_of_files
from mutualtls.reconcilers.limits import Limits
from mutualtls.reconcilers.look import Look
from mutualtls.reconcilers.passwords import Passwords
from mutualtls.reconcilers.secrets import SecretWriter
from mutualtls.reconcilers.statuses import Statuses
from mutualtls.reconcilers.tally import Stage, Tally
from mutualtls.settings import Settings
from mutualtls.store.store import Store

_MOST_STEPS = 8
"""More than any identity needs: read, replace, issue, move, settle."""


class IdentityReconciler:
    """Brings one identity at a time to what it asks for."""

    def __init__(
        self,
        api: API,
        store: Store,
        offers: Offers,
        agenda: Agenda,
        announcer: Announcer,
        *,
        trouble: Trouble,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._offers = offers
        self._agenda = agenda
        self._clock = clock
        self._intervals = Intervals(
            conflict_retry=settings.conflict_retry, sweep=settings.sweep, move_grace=settings.move_grace
        )
        self._repairs = Repairs(settings.contest_window)
        self.tally = Tally()
        passwords = Passwords(api, store)
        self._observer = Observer(api, store, offers, passwords=passwords, repairs=self._repairs, clock=clock)
        self._writer = SecretWriter(
            api,
            store,
            offers,
            announcer,
            observer=self._observer,
            passwords=passwords,
            tally=self.tally,
            events=settings.events,
            on_signed=self._note_signed,
        )
        self._actions = Actions(self._observer, self._writer, self._repairs, self.tally)
        self._statuses = Statuses(
            api, store, agenda, announcer, trouble=trouble, settings=settings, tally=self.tally, clock=clock
        )
        self.limits = Limits(store, agenda, settings=settings, clock=clock)

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Bring an identity to what it asks for, as far as that goes now. Return when to check again.

        Raises:
            ClusterError: the API server refused or could not be reached.
            UnreadableError: what it said cannot be read.
            AuthorityError: its authority, which was thought to be able to sign, is not.
        """
        look = Look(key)
        try:
            next_check = await self._advance(look)
            return min(filter(None, (next_check, end_of_files(self._store, key, self._clock()))), default=None)
        except OutdatedError:
            return self._clock()
        except (ClusterError, UnreadableError) as error:
            await self._statuses.tell_trouble(look, error)
            raise
        finally:
            self.limits.leave(look)
            self._observer.forget_files(key)

    async def _advance(self, look: Look) -> datetime | None:
        """Act until nothing is left to be done. Conflicts without end are the API server's, to be tried again later."""
        conflict: ClusterError | None = None
        for _ in range(_MOST_STEPS):
            identity = self._living(look.key)
            if identity is None:
                return None
            if not look.is_of(identity):
                return self._clock()  # others have their turn before what came in meanwhile
            if not await self._gather(identity):
                return None
            seen, decision = self._decide(identity, look)
            if seen is None:
                is_left = decision.reason is Reason.AUTHORITY_NOT_READY  # to another operator, which has its say
                return None if is_left else await self._settle(identity, None, decision, look)
            seen, decision, wait = self.limits.put_off(seen, decision, look)
            look.is_settling = wait is not None or decision.action is Action.NOTHING
            if wait is not None:
                return await self._statuses.tell_wait(identity, seen, decision, wait)
            if decision.action is Action.NOTHING:
                return await self._settle(identity, seen, decision, look)
            conflict = await self._act(seen, decision, look) or conflict
        if conflict is not None:
            raise conflict
        raise RuntimeError(f"programming error: {look.key} is never settled, last for {decision.reason}")

    def _living(self, key: ObjectKey) -> Identity | None:
        """Find an identity that is not being deleted, nor its namespace. Forget what is kept of one that is gone."""
        identity = self._store.identities.get(key)
        if identity is None:
            self._forget(key)
            return None
        namespace = self._store.namespaces.get(identity.namespace)
        is_going = identity.is_deleting or (namespace is not None and namespace.is_terminating)
        return None if is_going else identity

    async def _gather(self, identity: Identity) -> bool:
        """Read what the watches have not brought yet. False: its authority is to be looked at first, which wakes it."""
        if identity.authority and not await self._observer.learn_authority(identity.authority):
            self._agenda.put(Key.authority(identity.authority), priority=Priority.FIRST)
            return False
        await self._observer.learn(identity)
        return True

    def _decide(self, identity: Identity, look: Look, *, unread: str | None = None) -> tuple[Seen | None, Decision]:
        """Decide by what is known. Nothing is seen where there is no authority.

        `unread` says why its spec cannot be read, where the identity is given with the last good one.
        """
        trust = self._offers.trust(identity.authority)
        if trust is None:
            return None, plan.unreadable(identity) if identity.faults else plan.without_authority(identity.authority)
        if trust.why_not is not None and trust.why_not.reason is Reason.OTHER_OPERATOR:
            return None, plan.left_to_another(trust)
        seen = self._observer.see(identity, trust, unread=unread)
        try:
            wanted = _wanted(seen, look)
        except SpecError as error:
            good = self._observer.good_spec(identity)
            if good is None:
                return seen, plan.refused(seen, error)
            return self._decide(identity.counting(good), look, unread=str(error))
        made_key = self._writer.made_key(identity)
        return self._decide_at_pace(seen.asking_for(wanted, intervals=self._intervals, made_key=made_key))

    def _decide_at_pace(self, o: Observed) -> tuple[Observed, Decision]:
        """Decide; and about all but a re-issue where that has to wait."""
        decision = plan.decide(o)
        if self.limits.may_start(o, decision):
            return o, decision
        o = waiting.meanwhile(o)
        return o, plan.decide(o)

    async def _act(self, seen: Seen, decision: Decision, look: Look) -> ClusterError | None:
        look.decided = seen, decision
        conflict = await self._actions.take(seen, decision)
        look.decided = None
        look.is_paid = look.is_paid or decision.action in plan.MAKES_A_LEAF
        return conflict

    async def _settle(self, identity: Identity, seen: Seen | None, decision: Decision, look: Look) -> datetime | None:
        """Write the status where it differs from what is there, and say when to check again."""
        look.is_settling = True
        new = self._statuses.changed(identity, seen, decision)
        if new is not None:
            if (wait := self.limits.draw(identity, seen, decision, look)) is not None:
                return await self._statuses.tell_wait(identity, seen, decision, wait)
            await self._statuses.settle(identity, new, decision)
        if self._writer.made_key(identity) is not None:
            self.tally.reach(Stage.WRITTEN, self._due(identity.key), self._clock())
        self._writer.forget_key(identity.key)
        return decision.next_check

    # What is counted

    def _note_signed(self, o: Observed) -> None:
        due = self._due(o.identity.key)
        self.tally.reach(Stage.QUEUED, due, o.now)
        self.tally.reach(Stage.SIGNED, due, self._clock())

    def _due(self, key: ObjectKey) -> datetime | None:
        """Tell since when an identity that is worked on was due."""
        return self._agenda.at_work.due_since(Key.identity(key))

    # What is remembered

    def _forget(self, key: ObjectKey) -> None:
        """Forget what is remembered of an identity that is gone."""
        for one in (self.limits, self._statuses):
            one.forget(key)
        self._writer.forget_key(key)

    def sweep(self, now: datetime) -> bool:
        """Forget what counts no more, and tell whether anything is left that will not count some day."""
        swept = (self.limits.shares, self._statuses, self._repairs)
        for one in swept:
            one.sweep(now)
        return any(one.held for one in swept)

    @property
    def held(self) -> int:
        """How many things are remembered, of whatever kind."""
        return self.limits.held + self._statuses.held + self._repairs.held + self._writer.held


def _wanted(seen: Seen, look: Look) -> Wanted:
    """Work out what an identity asks for, once in a look where nothing changes meanwhile.

    Raises:
        SpecError: as of `desired.wanted`.
    """
    proven = seen.proven_names
    of = (seen.identity, seen.trust, seen.namespace_labels, seen.password, proven)
    wanted = look.wanted(*of)
    if wanted is None:
        wanted = desired.wanted(seen.identity, seen.trust, seen.namespace_labels, seen.password, proven=proven)
        look.asked = of, wanted
    return wanted
