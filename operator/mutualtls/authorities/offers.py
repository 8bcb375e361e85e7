"""What authorities offer to identities: the roots to trust, and the CA that signs.

The ledger covers a leaf before the CA for it is handed out. What an authority offers is noted by its reconciler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from mutualtls.authorities.ledgers import Ledgers
from mutualtls.authorities.state import AuthorityState
from mutualtls.core.api.authority import Authority
from mutualtls.core.ca import ledger, offer
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import AlreadyExistsError, AuthorityError, ClusterError, ConflictError, NotFoundError
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.kube.api import API


class Offers:
    """The offers of the authorities that this operator serves, by name."""

    def __init__(self, api: API, *, namespace: str, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._ledgers = Ledgers(api, namespace=namespace)
        self._clock = clock
        self._states: dict[str, AuthorityState] = {}

    def trust(self, name: str) -> Offer | None:
        """Tell what an authority offers; None where there is none of that name, or it was not looked at yet."""
        state = self._states.get(name)
        return state.trust if state else None

    async def ca_for(self, name: str, *, not_after: datetime) -> CA:
        """Hand out the CA that signs leaves, after its `signsUntil` in the ledger covers `not_after`.

        Raises:
            AuthorityError: nothing can be signed now.
            ClusterError: clocks could not be compared, or the ledger not be written.
        """
        state = self._states.get(name)
        if why_not := await self._api.check_clock():
            raise AuthorityError(Reason.CLOCK_SKEW, why_not)
        if state is None:
            raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} cannot sign")
        async with state.lock:
            active = state.ledger.signer if state.ledger else None
            if state.ca is None or state.ledger is None or active is None:
                raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} cannot sign")
            if state.ca.fingerprint != active.fingerprint:
                # The ledger has moved on, and what was to follow failed: `signsUntil` would be that of another CA.
                raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} has yet to look who signs now")
            if not ledger.covers(active, not_after):
                extended = ledger.extended(state.ledger, active, now=self._clock(), not_after=not_after)
                await self._extend(name, state, extended, not_after)
            return state.ca

    async def _extend(self, name: str, state: AuthorityState, extended: Ledger, not_after: datetime) -> None:
        """Write an extended ledger. One that somebody else changed meanwhile is read again first."""
        try:
            await self._ledgers.write(name, state.versioned, extended)
        except (ConflictError, NotFoundError, AlreadyExistsError) as error:
            message = f"the ledger of authority {name} was changed by somebody else and is read again"
            raise AuthorityError(Reason.AUTHORITY_NOT_READY, message) from error
        except ClusterError as error:
            if not error.is_lasting:
                raise
            state.uncovered = not_after  # the next look at the authority tries it again, for all identities at once
            raise AuthorityError(Reason.STATE_NOT_WRITABLE, error.told) from error

    async def cover_refused(self, name: str, state: AuthorityState, *, now: datetime) -> None:
        """Have the ledger cover the leaves that it could not be made to cover before. The state's lock is held.

        Raises:
            ClusterError: it cannot be made to cover them now, either.
        """
        if state.ledger is None or state.uncovered is None:
            return
        active = state.ledger.signer
        if active is not None and not ledger.covers(active, state.uncovered):
            extended = ledger.extended(state.ledger, active, now=now, not_after=state.uncovered)
            await self._ledgers.write(name, state.versioned, extended)
        state.uncovered = None

    # For the reconciler of authorities, which alone changes a state

    def state(self, authority: Authority) -> AuthorityState:
        """Find what is kept of an authority. One that was deleted and created again is another, of which nothing is."""
        state = self._states.get(authority.name)
        if state is None or state.uid != authority.uid:
            return AuthorityState(uid=authority.uid, trust=offer.of(authority, None))
        return state

    def states(self) -> Iterator[tuple[str, AuthorityState]]:
        """List what is kept of each authority, by name."""
        yield from self._states.items()

    def put(self, name: str, state: AuthorityState) -> None:
        """Keep the state of an authority, and with it what it offers."""
        self._states[name] = state

    def drop(self, name: str) -> AuthorityState | None:
        """Forget an authority that is gone, and return what was kept of it."""
        return self._states.pop(name, None)
