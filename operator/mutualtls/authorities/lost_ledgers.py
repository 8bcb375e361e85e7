"""Ledgers that are gone, or older than what is there: how a lost one is noticed, and what is read to replace it.

`core.ca.recovery` rebuilds it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

import msgspec

from mutualtls.authorities.ca_store import CAStore
from mutualtls.authorities.evidence import EvidenceReader, public_files
from mutualtls.authorities.known_identities import KnownIdentities
from mutualtls.authorities.statuses import Statuses
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.ca import readings, recovery, restored
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.readings import Evidence, Readings
from mutualtls.core.ca.restored import Remembered
from mutualtls.core.ca.rollout import Leaf
from mutualtls.core.errors import AuthorityError
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.store.store import Store

logger = logging.getLogger(__name__)


class LostLedgers:
    """Makes the ledgers that take the place of lost ones."""

    def __init__(
        self,
        api: API,
        store: Store,
        ca_store: CAStore,
        identities: KnownIdentities,
        statuses: Statuses,
        *,
        remembered: Mapping[str, Remembered],
    ) -> None:
        """`remembered` is what is still known of CAs, by the uids of authorities, from before a backup was restored."""
        self._api = api
        self._store = store
        self._ca_store = ca_store
        self._identities = identities
        self._statuses = statuses
        self._reader = EvidenceReader(api)
        self.remembered = dict(remembered)

    async def replacement(self, authority: Authority, known: Ledger | None, *, now: datetime) -> Ledger | None:
        """Make the ledger that replaces `known`. None: `known` counts, or there never was a CA.

        Raises:
            AuthorityError: what is there does not tell what to do.
            ClusterError: the API server refused or could not be reached.
        """
        if (resumed := await self._resumed(authority, known, now)) is not None:
            return resumed
        return await self._rebuilt(authority, known, now)

    def note_written(self, authority: Authority) -> None:
        """Forget what was remembered of an authority, as the ledger that was made of it is written."""
        self.remembered.pop(authority.uid, None)

    async def _resumed(self, authority: Authority, known: Ledger | None, now: datetime) -> Ledger | None:
        """Put back what is remembered of an authority and was lost with the backup. None: nothing was."""
        remembered = self.remembered.get(authority.uid)
        if remembered is None or known == remembered.ledger:
            self.remembered.pop(authority.uid, None)
            return None
        number = await self._ca_store.put_back(authority.name, remembered)
        # The status may have been written since: an API server that starts over a backup denies all for a moment.
        of_backup = msgspec.structs.replace(authority, status=AuthorityStatus())
        evidence = await self._evidence(of_backup, known)
        backup = f"revision {known.revision}" if known is not None else "none"
        message = (
            "the cluster was put back to a backup: what the operator still knew of the CAs was put back, "
            f"{number} CA Secrets and the ledger (revision {remembered.ledger.revision}; the backup had {backup})"
        )
        await self._statuses.warn(authority, Reason.CLUSTER_RESTORED, message)
        return restored.resumed(authority, evidence, remembered.ledger, now=now)

    async def _rebuilt(self, authority: Authority, known: Ledger | None, now: datetime) -> Ledger | None:
        """Rebuild the ledger where it does not explain what is there. None: it does, or nothing is there."""
        if known is not None and await self._explains(known, authority):
            return None
        await self._api.is_listable(paths.SECRETS)  # it may be that versions went back: nothing is written then
        if authority.operator_namespace is not None and not await self._identities.are_all():
            message = "its ledger is gone or an old one, and not all identities are known yet"
            raise AuthorityError(Reason.PREPARING, message)
        evidence = await self._evidence(authority, known)
        if evidence.is_empty:
            return None
        logger.warning("the ledger was lost and is rebuilt", extra={"authority": authority.name})
        return recovery.rebuilt(authority, evidence, now=now)

    async def _explains(self, known: Ledger, authority: Authority) -> bool:
        """Tell whether a ledger is the current one: it explains every CA, and every leaf, that there is."""
        found = await self._ca_store.marks(authority.name)
        marks = [mark for mark in found.values() if mark is not None]
        if not recovery.explains(known, found, authority.status, marks=marks):
            return False
        return not await self._is_older(known, authority.name)

    async def _is_older(self, known: Ledger, name: str) -> bool:
        """Tell whether a leaf lives that the ledger says cannot be. What only claims so is corrected in the store."""
        odd = recovery.unexplained(known, self._claimed_leaves(name), most=readings.MOST_OF_A_NAMESPACE)
        for ca, leaf in odd:
            body = await self._reader.secret(leaf.secret)
            if recovery.is_leaf_of(public_files(body).certificate, ca, later_than=ca.signs_until):
                return True
            self._store.secrets.correct(leaf.secret, body or None)
        return False

    async def _evidence(self, authority: Authority, known: Ledger | None) -> Evidence:
        """Read what tells that an authority has had CAs. `known` is a ledger that does not explain all of it."""
        name, store = authority.name, self._store
        ca_secrets = await self._ca_store.secrets(name)
        chosen = readings.to_be_read(self._claimed_leaves(name)) if readings.is_owned(authority, known) else ()
        read = Readings(
            ca_secrets=ca_secrets,
            files=await self._reader.files(chosen),
            trust_bundle=await self._reader.trust_bundle(name) if store.serves_trust_bundles else b"",
            recorded_ends=self._recorded_ends(name),
        )
        return readings.evidence(authority, known, read)

    def _claimed_leaves(self, name: str) -> list[Leaf]:
        """List the leaves in Secrets that say, by a label that anybody may set, that they are of an authority."""
        return [
            Leaf(
                secret=key,
                issuer_key_id=files.issuer_key_id,
                bundle_hash=files.bundle_hash,
                not_after=files.not_after,
            )
            for key, files in self._store.secrets.files_of_authority(name)
        ]

    def _recorded_ends(self, name: str) -> tuple[tuple[str, datetime], ...]:
        """List the ends of leaves that the statuses of identities record, each with the key id of its CA."""
        identities = (self._store.identities[key] for key in self._store.identities.of_authority(name))
        recorded = (one.status.certificate for one in identities)
        return tuple((one.issuer_key_id, one.end) for one in recorded if one is not None and one.end is not None)
