"""Do what was decided about one identity, and see to what the API server says of it."""

from __future__ import annotations

import logging

from mutualtls.core.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ImmutableError,
    NotFoundError,
    SpecError,
)
from mutualtls.core.leaf import failures
from mutualtls.core.leaf.observed import Action, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.queue.repairs import Repairs
from mutualtls.reconcilers.gather import Observer
from mutualtls.reconcilers.secrets import SecretWriter
from mutualtls.reconcilers.tally import Tally
from mutualtls.store.secrets import SecretRecord

logger = logging.getLogger(__name__)


class Actions:
    """Takes the one step that was decided."""

    def __init__(self, observer: Observer, writer: SecretWriter, repairs: Repairs, tally: Tally) -> None:
        self._observer = observer
        self._writer = writer
        self._repairs = repairs
        self._tally = tally

    async def take(self, seen: Seen, decision: Decision) -> ClusterError | None:
        """Do what was decided. A Secret that is not as it was thought to be is looked at, to be decided about again.

        Returns what the API server said of such a Secret.

        Raises:
            ClusterError: the API server refused or could not be reached.
            AuthorityError: nothing can be signed now.
            OutdatedError: the decision rests on what is not so any more.
        """
        found = self._observer.record(seen)
        try:
            await self._do(seen, decision)
        except (AlreadyExistsError, ConflictError, NotFoundError) as error:
            logger.debug("secret is not as it was known", extra={"identity": seen.identity.key, "error": str(error)})
            await self._observer.look(seen)
            return error
        except ImmutableError as error:
            logger.debug("secret was made immutable", extra={"identity": seen.identity.key, "error": str(error)})
            body = await self._observer.read(seen)
            if body is not None and not body.get("immutable"):
                raise
        except ClusterError as error:
            await self._bundle_at_least(seen, decision, error)
            raise
        except SpecError as error:
            logger.debug("password cannot be used", extra={"identity": seen.identity.key, "error": str(error)})
        else:
            self._note_repair(seen, decision, found)
        return None

    async def _do(self, seen: Seen, decision: Decision) -> None:
        match decision.action:
            case Action.LOOK:
                await self._observer.look(seen)
            case Action.READ:
                await self._observer.read(seen)
            case Action.WRITE_BUNDLE:
                await self._writer.write_bundle(seen)
            case Action.WRITE_FORMATS:
                await self._writer.write_formats(seen)
            case Action.REMOVE:
                await self._writer.remove(seen, (seen.identity.secret_name, *seen.left_behind))
            case Action.REMOVE_OLD:
                await self._writer.remove(seen, seen.left_behind)
            case Action.WRITE_METADATA if isinstance(seen, Observed):
                await self._writer.write_metadata(seen)
            case Action.ISSUE | Action.REPLACE if isinstance(seen, Observed):
                await self._writer.issue(seen, decision)

    async def _bundle_at_least(self, seen: Seen, decision: Decision, error: ClusterError) -> None:
        """Write the bundle alone where a new leaf will go on being refused."""
        bundle = failures.bundle_at_least(seen, decision) if error.is_lasting else None
        if bundle is None:
            return
        try:
            await self.take(seen, bundle)
        except ClusterError as further:
            logger.debug("its bundle is refused, too", extra={"identity": seen.identity.key, "error": str(further)})

    def _note_repair(self, seen: Seen, decision: Decision, found: SecretRecord | None) -> None:
        """Remember what somebody else's doing had made necessary.

        What could not be done does not count: an API server that is away for a while contests nothing.
        """
        metadata = found.metadata if found is not None else None
        if failures.is_repair(seen, decision, metadata):
            if (reason := failures.mended(seen, decision)) is not None:
                self._tally.mended[reason] += 1
            by = failures.overwriter(metadata)
            self._repairs.note(seen.identity.uid, (seen.identity.generation, seen.trust.bundle_hash), by, seen.now)
