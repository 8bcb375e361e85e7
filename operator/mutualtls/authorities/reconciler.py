"""The reconciler of authorities: gather the view, take the next step until there is none, then write the status.

Level-triggered: it is given a name, never what happened. Steps are decided in `core.rotation`; here are only the reads
and writes between them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from mutualtls.authorities import outlook
from mutualtls.authorities.ca_store import CAStore
from mutualtls.authorities.claims import Claims
from mutualtls.authorities.inputs import Inputs
from mutualtls.authorities.known_identities import KnownIdentities
from mutualtls.authorities.ledgers import Ledgers, VersionedLedger
from mutualtls.authorities.lost_ledgers import LostLedgers
from mutualtls.authorities.offers import Offers
from mutualtls.authorities.outlook import Outlook
from mutualtls.authorities.state import AuthorityState
from mutualtls.authorities.statuses import Statuses
from mutualtls.authorities.views import Views
from mutualtls.core.api import refusals
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role
from mutualtls.core.ca import generations, ledger, offer
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.ca.restored import Remembered
from mutualtls.core.errors import AuthorityError, ClusterError, OutdatedError
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import holds, lifecycle, progress, schedule
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Step, View, Write
from mutualtls.core.rotation.walk import Walk
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.queue import slow_keys
from mutualtls.queue.trouble import Trouble
from mutualtls.store.store import Store

logger = logging.getLogger(__name__)

_MOST_STEPS = 40
"""More than any authority needs in one go."""


class AuthorityReconciler:
    """Makes, rotates and retires the CAs of authorities, one authority at a time."""

    def __init__(
        self,
        api: API,
        store: Store,
        offers: Offers,
        announcer: Announcer,
        *,
        trouble: Trouble,
        namespace: str,
        clock: Callable[[], datetime],
        check: timedelta,
        on_offer_changed: Callable[[str], None],
        remembered: Mapping[str, Remembered] = MappingProxyType({}),
    ) -> None:
        """`on_offer_changed` is called with the name of an authority after a look that changed what it offers.

        `remembered` is what another of this process still knew when the cluster was put back to a backup.
        """
        self._api = api
        self._store = store
        self._offers = offers
        self._trouble = trouble
        self._clock = clock
        self._check = check
        self._on_offer_changed = on_offer_changed
        self._ledgers = Ledgers(api, namespace=namespace)
        self._ca_store = CAStore(api, namespace=namespace)
        self._inputs = Inputs(api, namespace=namespace)
        self._claims = Claims(api, announcer, namespace=namespace)
        self._statuses = Statuses(api, store, announcer, trouble, namespace=namespace, clock=clock)
        identities = KnownIdentities(api, store)
        self._views = Views(api, store, self._ca_store, self._inputs, identities)
        self._lost = LostLedgers(api, store, self._ca_store, identities, self._statuses, remembered=remembered)

    def remembered(self) -> dict[str, Remembered]:
        """Tell what is known of CAs, by the uids of their authorities, should the cluster be put back to a backup."""
        known = {
            state.uid: Remembered(ledger=state.ledger, held=state.held)
            for _, state in self._offers.states()
            if state.ledger is not None
        }
        return known | self._lost.remembered

    @property
    def left_alone(self) -> dict[str, str]:
        """Authorities that an operator of another namespace serves, with that namespace."""
        return {name: state.left_to for name, state in self._offers.states() if state.left_to is not None}

    def outlooks(self) -> dict[str, Outlook]:
        """Show what is kept of each authority, by name."""
        return {name: outlook.of(state) for name, state in self._offers.states()}

    @property
    def rotations(self) -> Counter[tuple[str, str]]:
        """How rotations of roots ended, by authority and result."""
        return self._statuses.rotations

    async def reconcile(self, name: str) -> datetime | None:
        """Advance an authority as far as it goes now. Return when to check it again.

        Raises:
            ClusterError: the API server refused or could not be reached.
        """
        before = self._offers.trust(name)
        try:
            return await self._reconcile(name)
        except OutdatedError:
            return self._clock()
        finally:
            # Also where the status could not be written: the next look does that, and finds the offer as it is.
            if self._offers.trust(name) != before:
                self._on_offer_changed(name)

    async def _reconcile(self, name: str) -> datetime | None:
        authority = self._store.authorities.get(name)
        if authority is None or authority.is_deleting:
            await self._forget(name, authority)
            return None
        state = self._offers.state(authority)
        authority, step, walk = await self._advance(authority, state)
        if isinstance(step, Hold) and step.reason is Reason.OTHER_OPERATOR:
            await self._claims.leave_alone(authority, state)
        else:
            state.left_to = None
            await self._statuses.write(authority, state, step, walk)
        is_refused = bool(state.refusal or self._store.copies.refused_of(name))
        now = self._clock()
        refused_for = now - state.refused_since if state.refused_since is not None else None
        return schedule.next_check(
            authority,
            step,
            walk.last,
            now=now,
            interval=self._check,
            is_refused=is_refused,
            refused_for=refused_for,
        )

    async def _forget(self, name: str, authority: Authority | None) -> None:
        """Forget an authority that is gone, or on its way out."""
        state = self._offers.drop(name)
        self._trouble.forget(ObjectKey("", name))
        if authority is None and state is not None:
            await self._statuses.note_deleted(name, state)

    async def _advance(self, authority: Authority, state: AuthorityState) -> tuple[Authority, Sign | Hold, Walk]:
        """Take steps until there is nothing more to do, and note what the authority then offers.

        Return it with the spec that counts.
        """
        async with state.lock:
            walk = Walk()
            state.refusal = None
            try:
                authority, hold = await self._claims.claim(authority)
                step: Sign | Hold | None = hold
                if step is None:
                    authority = await self._with_good_spec(authority, state)
                    step, walk = await self._walk(authority, state)
            except AuthorityError as error:
                step = Hold(error.reason, str(error))
            except ClusterError as error:
                step = self._without(authority, state, error, state.ca)
            state.lasting_refusal = state.refusal
        self._note(authority, state, step)
        return authority, step, walk

    def _note(self, authority: Authority, state: AuthorityState, step: Sign | Hold) -> None:
        """Note what an authority offers after its last step."""
        state.refused_since = (state.refused_since or self._clock()) if state.refusal is not None else None
        state.is_held = isinstance(step, Hold) or authority.is_suspended or state.refusal is not None
        if isinstance(step, Hold) and step.reason is Reason.OTHER_OPERATOR:
            state.versioned = VersionedLedger()  # it is no more than what was, and the other operator's to change
        why_not = step if isinstance(step, Hold) else None
        state.ca = step.ca if isinstance(step, Sign) else None
        state.trust = offer.of(authority, state.ledger, why_not=why_not)
        self._offers.put(authority.name, state)

    async def _with_good_spec(self, authority: Authority, state: AuthorityState) -> Authority:
        """Fall back to the last good spec where the current one cannot be read; keep the spec that counts."""
        if authority.has_spec:
            why_not = await self._ledgers.keep_spec(authority.name, authority.compiled)
            if why_not is not None and why_not != state.unkept:
                logger.warning("a spec cannot be kept", extra={"authority": authority.name, "why": why_not})
            state.unkept = why_not
        elif (good := await self._ledgers.kept_spec(authority.name)) is not None:
            return self._store.authorities.note_good_spec(authority, good)
        return authority

    async def _walk(self, authority: Authority, state: AuthorityState) -> tuple[Sign | Hold, Walk]:
        """Gather the view, decide on the next step, take it, until there is none."""
        if (hold := await self._why_no_step(authority)) is not None:
            return hold, Walk()
        state.roots = await self._inputs.roots(authority)
        walk = Walk()
        for _ in range(_MOST_STEPS):
            found = await self._gather(authority, state)
            view = found if isinstance(found, View) else None
            if isinstance(found, View):
                step: Step = lifecycle.next_step(found)
                walk = walk.continued(progress.of(found))
            else:
                step = found
                walk = Walk() if isinstance(found, Write) else walk
            if isinstance(step, Hold | Sign):
                return step, walk
            if (hold := holds.while_suspended(authority, step)) is not None:
                return hold, walk
            try:
                await self._take(authority, state, step, view)
            except ClusterError as error:
                return self._without(authority, state, error, _signer_at_hand(state.ledger, view)), walk
        raise RuntimeError(f"programming error: authority {authority.name} takes steps without end")

    async def _gather(self, authority: Authority, state: AuthorityState) -> View | Write | Hold:
        """Gather the view; or say what comes first: a wrong clock is set right, a lost ledger replaced."""
        now = self._clock()
        await self._ledgers.read(authority.name, state.versioned)
        if why_not := await self._api.check_clock():
            return Hold(Reason.CLOCK_SKEW, why_not)  # by an answer that came after `now` was read
        if (replacement := await self._lost.replacement(authority, state.ledger, now=now)) is not None:
            return Write(replacement)
        await self._offers.cover_refused(authority.name, state, now=now)
        await self._copy_roots(authority.name, state)
        return await self._views.gather(authority, state, now=now)

    async def _why_no_step(self, authority: Authority) -> Hold | None:
        """Say why no step can be taken at all."""
        if not authority.has_spec:
            return Hold(Reason.INVALID_SPEC, authority.fault or "")
        if why_not := await self._api.check_clock():
            return Hold(Reason.CLOCK_SKEW, why_not)
        return None

    async def _copy_roots(self, name: str, state: AuthorityState) -> None:
        """Note in the ledger, once there is one, which roots are trusted as well."""
        if state.ledger is None:
            return
        new = ledger.with_additional_roots(state.ledger, state.roots.pem)
        if new != state.ledger:
            await self._ledgers.write(name, state.versioned, new)

    async def _take(
        self, authority: Authority, state: AuthorityState, step: Write | Note | Make | Bury, view: View | None
    ) -> None:
        """Take a step. Without a view it is to write the ledger that replaces a lost one."""
        match step:
            case Write():
                await self._ledgers.write(authority.name, state.versioned, step.ledger)
                if view is None:
                    self._lost.note_written(authority)
            case Note():
                await self._ca_store.note(authority.name, step.ca, step.mark)
            case Bury():
                await self._ca_store.bury(authority.name, step.ca)
            case Make() if view is not None:
                made = await _made(step.announced, view)
                mark = lifecycle.mark_of_made(view, step.announced, made)
                await self._ca_store.keep(authority.name, step.announced, made, mark)

    def _without(
        self, authority: Authority, state: AuthorityState, error: ClusterError, ca: CA | Tombstone | None
    ) -> Sign | Hold:
        """Go on without what the API server refuses.

        Raises:
            ClusterError: it may take it at the next try.
        """
        if not error.is_lasting:
            raise error
        now = self._clock()
        words = f"{error.told}; retried at least every {refusals.in_words(schedule.RETRY)}"
        may_change = self._trouble.may_tell(authority.key, now)
        state.refusal = refusals.in_lasting_words(state.lasting_refusal, words, may_change=may_change)
        is_covered = state.uncovered is None
        return holds.when_refused(authority, state.ledger, ca, refusal=state.refusal, is_covered=is_covered, now=now)


async def _made(announced: CAGeneration, view: View) -> CA:
    """Make the key and certificate of a CA, or take those of the source."""
    if announced.is_outside and view.source is not None:
        return view.source.signer
    key = await slow_keys.make(generations.key_type(view.authority, announced.role))
    root = view.held.get(CAId(Role.ROOT, announced.issuer)) if announced.issuer is not None else None
    signer = root if isinstance(root, CA) else None
    return generations.certify(view.authority, announced, key, signer, now=view.now)


def _signer_at_hand(known: Ledger | None, view: View | None) -> CA | Tombstone | None:
    """Find the CA that signs by the ledger among those whose keys were just read."""
    active = known.signer if known is not None else None
    return view.held.get(active.id) if active is not None and view is not None else None
