"""The view of an authority: all that its next step is decided by."""

from __future__ import annotations

from datetime import datetime

from mutualtls.authorities.ca_store import CAStore
from mutualtls.authorities.inputs import Inputs, SourceReading
from mutualtls.authorities.known_identities import KnownIdentities
from mutualtls.authorities.state import AuthorityState
from mutualtls.core.api.authority import Authority
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.rotation.steps import View
from mutualtls.kube.api import API
from mutualtls.store.store import Store


class Views:
    """Gathers views, from CA Secrets, from what specs refer to, and from what is known of identities."""

    def __init__(self, api: API, store: Store, ca_store: CAStore, inputs: Inputs, identities: KnownIdentities) -> None:
        self._api = api
        self._store = store
        self._ca_store = ca_store
        self._inputs = inputs
        self._identities = identities

    async def gather(self, authority: Authority, state: AuthorityState, *, now: datetime) -> View:
        """Gather the view of an authority whose ledger was just read. What was read is noted in the state.

        Raises:
            AuthorityError: a CA Secret holds no CA, or another than the ledger's.
            ClusterError: the API server refused or could not be reached.
        """
        known = state.ledger or Ledger(authority_uid=authority.uid)
        state.held, marks = await self._ca_store.held(authority.name, known)
        is_whole = known.task is None or await self._identities.are_all()
        state.started = state.started or now
        if state.is_held:  # ended only now: while it was held, the clock may have been wrong
            state.resumed, state.is_held = now, False
        rollout = self._store.rollout_of(authority.name, is_whole=is_whole)
        state.source = SourceReading()  # should it not be read
        state.source = await self._inputs.source(authority, state.ledger, now=now)
        return View(
            authority=authority,
            ledger=known,
            held=state.held,
            marks=marks,
            now=now,
            rollout=rollout,
            started=state.started,
            held_until=max(filter(None, (state.resumed, self._api.resumed(now))), default=None),
            source=state.source.source,
            source_fault=state.source.fault,
        )
