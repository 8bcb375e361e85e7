"""Limits to what is done at once: slots for slow keys, shares of changes, the pace of re-issues."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.ca.offer import Offer
from mutualtls.core.leaf import plan, waiting
from mutualtls.core.leaf.observed import Action, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.leaf.waiting import SlowWork
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue import pacing, slow_keys
from mutualtls.queue.agenda import Agenda, Key, Priority
from mutualtls.queue.pacing import ReissuePacers
from mutualtls.queue.shares import Shares
from mutualtls.queue.slow_keys import SlowKeySlots
from mutualtls.reconcilers.look import Look
from mutualtls.settings import Settings
from mutualtls.store.store import Store

WORTH_TELLING = timedelta(seconds=5)
"""A change that waits for longer is mentioned in the status, which takes a write."""


class Wait(NamedTuple):
    """Something is put off."""

    until: datetime | None
    """When to check again; None: when its turn has come."""
    why: str


class Limits:
    """What identities and their namespaces may have done at once."""

    def __init__(self, store: Store, agenda: Agenda, *, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._agenda = agenda
        self._clock = clock
        self._pacers = ReissuePacers()
        self.shares = Shares(burst=settings.burst, window=settings.burst_window)
        cores = slow_keys.cores()
        self.slots = {
            SlowWork.SMALL: SlowKeySlots(cores),
            SlowWork.LARGE: SlowKeySlots(settings.large_keys or max(1, cores - 1), one_a_namespace=True),
        }

    def put_off(self, seen: Seen, decision: Decision, look: Look) -> tuple[Seen, Decision, Wait | None]:
        """Put off what has to wait, and decide about all else: above all the bundle, and a renewal in time.

        Where there is nothing else, return what waits.
        """
        first: tuple[Decision, Wait] | None = None
        while (wait := self._why_wait(seen, decision, look)) is not None:
            first = first or (decision, wait)
            rest = waiting.postponed(seen, decision)
            if rest is None:
                return seen, *first
            seen, decision = rest, plan.decide(rest)
        return (seen, decision, None) if first is None or decision.action is not Action.NOTHING else (seen, *first)

    def _why_wait(self, seen: Seen, decision: Decision, look: Look) -> Wait | None:
        """Tell whether something has to wait: for a slot where what takes long is done, or for its share."""
        if decision.action is Action.NOTHING:
            return None
        work = waiting.slow_work(seen, decision)
        if work is not None and (wait := self._wait_for_slot(self.slots[work], seen, look)) is not None:
            return wait
        return self.draw(seen.identity, seen, decision, look)

    def _wait_for_slot(self, slots: SlowKeySlots, seen: Seen, look: Look) -> Wait | None:
        is_urgent = plan.is_first(seen) or waiting.urgent_from(seen.identity.status) <= seen.now
        if slots.acquire(look.key, seen.now, is_urgent=is_urgent):
            return None
        look.lines.append(slots)
        told_from = (slots.waits_since(look.key) or seen.now) + WORTH_TELLING
        why = "keys that take long are made a few at a time, and namespaces take turns"
        return Wait(told_from if seen.now < told_from else seen.end, why)

    def draw(self, identity: Identity, seen: Seen | None, decision: Decision, look: Look) -> Wait | None:
        """Draw a change on the share of an identity and its namespace, where it is one. Tell whether it has to wait."""
        if look.is_paid or not plan.is_asked_for(identity, seen, decision):
            return None
        in_namespace = self._store.identities.count_in_namespace(identity.namespace)
        moment = self.shares.draw(identity.key, in_namespace=in_namespace, now=self._clock())
        look.is_paid = moment is None
        if moment is None:
            return None
        return Wait(moment, f"more changes were requested than are made at once, next at {times.rfc3339(moment)}")

    def leave(self, look: Look) -> None:
        """End a look: release its slots, unless it still stands in line, and have the next ones looked at."""
        for slots in self.slots.values():
            for following in slots.release(look.key) if slots not in look.lines else ():
                self._agenda.put(Key.identity(following), priority=Priority.FIRST)

    # The pace of re-issues

    def may_start(self, o: Observed, decision: Decision) -> bool:
        """Tell whether an identity may be re-issued now. One of many waits until it is released, or urgent."""
        authority, key = o.trust.name, o.identity.key
        if o.trust.pace is None or not waiting.takes_turns(o, decision):
            self._pacers.done(authority, key)
            return True
        if self._pacers.may_start(authority, key, end=o.facts.not_after, now=o.now):
            return True
        next_release = o.now + pacing.between_releases(o.trust.pace)
        self._agenda.put(Key.pace(authority), priority=Priority.RENEWAL, at=next_release)
        if (urgent := waiting.kept_back_until(o)) is not None:
            self._agenda.put(Key.identity(key), priority=Priority.RENEWAL, at=urgent)
        return False

    def release(self, authority: str, trust: Offer | None) -> datetime | None:
        """Have those of an authority's identities looked at that may be re-issued now. Return when to do so again."""
        if trust is None or trust.pace is None:
            return None  # all were woken when that changed
        released, next_check = self._pacers.release(authority, self._clock(), per_second=trust.pace)
        for key in released:
            # With the releases in one line: what is more urgent holds up both, and nothing that was released piles up.
            self._agenda.put(Key.identity(key), priority=Priority.RENEWAL)
        return next_check

    def recall(self) -> None:
        """Have all wait for their turn again that were released and failed: what they failed by has passed for all."""
        self._pacers.recall()

    # What is remembered

    def forget(self, key: ObjectKey) -> None:
        """Forget an identity that is gone."""
        self.shares.forget(key)
        self._pacers.forget(key)

    def forget_authority(self, name: str) -> None:
        """Forget an authority that is gone."""
        self._pacers.forget_authority(name)

    @property
    def held(self) -> int:
        """How many things are kept."""
        return self.shares.held + self._pacers.held + sum(slots.held for slots in self.slots.values())
