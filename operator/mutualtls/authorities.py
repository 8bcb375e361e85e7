"""Authorities: take the steps that `core.rotation` says, and keep the CAs that sign at hand.

The only place that holds CA keys, in memory, while the operator runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from mutualtls.core import (
    generations,
    keys,
    labels,
    ledger,
    phases,
    progress,
    recovery,
    report,
    rotation,
    source,
    status,
    times,
    trust,
)
from mutualtls.core.authority import CONFLICTING, ROTATING, Authority, AuthorityStatus
from mutualtls.core.errors import AlreadyExistsError, AuthorityError, ConflictError, NotFoundError
from mutualtls.core.gates import Sight
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType, PrivateKey
from mutualtls.core.ledger import CAGeneration, Ledger, Role
from mutualtls.core.orders import Phase
from mutualtls.core.phases import Task
from mutualtls.core.progress import Progress
from mutualtls.core.reasons import Reason
from mutualtls.core.source import Source, SourceError
from mutualtls.core.steps import Bury, Hold, Make, Sign, Step, View, Write
from mutualtls.core.trust import Trust
from mutualtls.custody import Book, Custody
from mutualtls.events import Announcer
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store

logger = logging.getLogger(__name__)

_MOST_STEPS = 40
"""More than any authority needs in one go."""

_HOLD_CHECK = timedelta(seconds=30)
"""How often an authority that cannot sign is looked at: a restored ledger is not watched; nor is a source."""
_GATE_CHECK = (timedelta(seconds=0.25), timedelta(seconds=15))
"""How often a gate is looked at: at least, and at most; between them twenty times in a soak."""


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What is held of one authority between two looks at it."""

    uid: str
    trust: Trust
    ca: CA | None = None
    source_fault: str | None = None
    """Why `root.secretRef` brings no CA that can be used."""
    roots_faults: tuple[str, ...] = ()
    """Why some of `trust.additionalRoots` bring no roots that can be used."""
    task: Task | None = None
    at_it_since: datetime | None = None
    """Since when this operator has been at that task, and could sign."""
    book: Book = field(default_factory=Book)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Authorities:
    """The authorities of this operator's namespace."""

    def __init__(
        self,
        api: API,
        store: Store,
        announcer: Announcer,
        *,
        namespace: str,
        clock: Callable[[], datetime],
        check: timedelta,
    ) -> None:
        self._api = api
        self._announcer = announcer
        self._store = store
        self._custody = Custody(api, namespace=namespace)
        self._namespace = namespace
        self._clock = clock
        self._check = check
        self._standing: dict[str, _Standing] = {}

    def trust(self, name: str) -> Trust | None:
        """What an authority offers; None where there is none of that name, or it was not looked at yet."""
        standing = self._standing.get(name)
        return standing.trust if standing else None

    async def ca_for(self, name: str, *, not_after: datetime) -> CA:
        """Hand out the CA that signs leaves, after its `signsUntil` in the ledger covers `not_after`.

        Raises:
            AuthorityError: nothing can be signed now.
            ClusterError: clocks could not be compared, or the ledger not be written.
        """
        standing = self._standing.get(name)
        if why_not := await self._api.check_clock():
            raise AuthorityError(Reason.CLOCK_SKEW, why_not)
        if standing is None:
            raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} cannot sign")
        async with standing.lock:
            book = standing.book
            active = book.ledger.signer if book.ledger else None
            if standing.ca is None or book.ledger is None or active is None:
                raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} cannot sign")
            if not ledger.covers(active, not_after):
                moved = ledger.extended(book.ledger, active, now=self._clock(), not_after=not_after)
                await self._extend(name, book, moved)
            return standing.ca

    async def _extend(self, name: str, book: Book, moved: Ledger) -> None:
        """Write a ledger that was moved on. One that somebody else changed meanwhile is read again first."""
        try:
            await self._custody.write(name, book, moved)
        except (ConflictError, NotFoundError, AlreadyExistsError) as error:
            message = f"the ledger of authority {name} was changed by somebody else and is read again"
            raise AuthorityError(Reason.AUTHORITY_NOT_READY, message) from error

    async def reconcile(self, name: str) -> tuple[datetime | None, bool]:
        """Bring an authority on as far as it goes now. Return when to look again, and whether identities must.

        Raises:
            ClusterError: the API server refused or could not be reached.
        """
        authority = self._store.authorities.get(name)
        before = self.trust(name)
        if authority is None or authority.is_deleting:
            self._standing.pop(name, None)
            return None, before is not None
        step, told = await self._advance(authority)
        await self._write_status(authority, step, told)
        return self._look_again(authority, step, told), self.trust(name) != before

    def _look_again(self, authority: Authority, step: Sign | Hold, told: Progress) -> datetime:
        now = self._clock()
        moments = [now + self._check]
        reads = authority.spec.root.secret_ref is not None or authority.spec.trust.additional_roots
        if isinstance(step, Hold) or reads:
            moments.append(now + _HOLD_CHECK)
        if isinstance(step, Sign) and step.look_again is not None:
            moments.append(step.look_again)
        if told.phase is not Phase.STABLE:
            shortest, longest = _GATE_CHECK
            soak = times.parse_duration(authority.spec.rotation.soak)
            moments.append(now + min(max(soak / 20, shortest), longest))
        return min(moments)

    async def _advance(self, authority: Authority) -> tuple[Sign | Hold, Progress]:
        """Take steps until there is nothing more to do, and note what the authority then offers."""
        standing = self._standing.get(authority.name)
        if standing is None or standing.uid != authority.uid:
            standing = _Standing(uid=authority.uid, trust=trust.of(authority, None))
        async with standing.lock:
            try:
                step, told = await self._walk(authority, standing)
            except AuthorityError as error:
                step, told = Hold(error.reason, str(error)), Progress()
        if isinstance(step, Hold) or authority.spec.suspend:
            standing.task = None  # what could not be done then is not excused for it
        why_not = (step.reason, step.message) if isinstance(step, Hold) else None
        standing.ca = step.ca if isinstance(step, Sign) else None
        standing.trust = trust.of(authority, standing.book.ledger, why_not=why_not)
        self._standing[authority.name] = standing
        return step, told

    async def _walk(self, authority: Authority, standing: _Standing) -> tuple[Sign | Hold, Progress]:
        if authority.fault:
            return Hold(Reason.INVALID_SPEC, authority.fault), Progress()
        if why_not := await self._api.check_clock():
            return Hold(Reason.CLOCK_SKEW, why_not), Progress()
        if other := await self._other_operator(authority):
            return other, Progress()
        roots = await self._additional_roots(authority, standing)
        for _ in range(_MOST_STEPS):
            await self._custody.read(authority.name, standing.book)
            sight = self._store.sight_of_authority(authority.name)
            view: View | Ledger | None = await self._rebuilt(authority, standing.book.ledger, sight)
            if view is None:
                await self._copy_roots(authority, standing.book, roots)
                view = await self._view(authority, standing, sight)
            step: Step = Write(view) if isinstance(view, Ledger) else rotation.next_step(view)
            told = Progress() if isinstance(view, Ledger) else progress.of(view)
            if isinstance(step, Hold | Sign):
                return step, told
            if authority.spec.suspend:
                message = "no CA is made, replaced or deleted while spec.suspend is true"
                return Hold(Reason.SUSPENDED, message), told
            await self._take(authority, standing.book, step, view)
        raise RuntimeError(f"programming error: authority {authority.name} takes steps without end")

    async def _additional_roots(self, authority: Authority, standing: _Standing) -> dict[str, str | None]:
        """Read the roots of `trust.additionalRoots`, by `NAME/KEY`. None, and said, where they cannot be used."""
        roots: dict[str, str | None] = {}
        faults = []
        for reference in authority.spec.trust.additional_roots:
            place = f"{reference.name}/{reference.key}"
            try:
                roots[place] = source.roots(await self._custody.roots(reference.name, reference.key))
            except SourceError as error:
                roots[place] = None
                faults.append(f"ConfigMap {reference.name} of namespace {self._namespace}: {error}")
        standing.roots_faults = tuple(faults)
        return roots

    async def _copy_roots(self, authority: Authority, book: Book, roots: Mapping[str, str | None]) -> None:
        """Note in the ledger, once there is one, which roots are trusted as well. What cannot be used stays."""
        if book.ledger is None:
            return
        before = book.ledger.additional_roots
        after = {place: pem or before[place] for place, pem in roots.items() if pem or place in before}
        if after != before:
            new = msgspec.structs.replace(book.ledger, additional_roots=after)
            await self._custody.write(authority.name, book, new)

    async def _other_operator(self, authority: Authority) -> Hold | None:
        """Claim an authority that nobody serves yet; leave one alone that another operator serves."""
        if authority.operator_namespace is None:
            patch = {
                "metadata": {
                    "uid": authority.uid,
                    "resourceVersion": authority.resource_version,
                    "annotations": {labels.OPERATOR_NAMESPACE: self._namespace},
                }
            }
            await self._api.patch(paths.authority(authority.name), patch)
        elif authority.operator_namespace != self._namespace:
            return Hold(
                Reason.OTHER_OPERATOR,
                f"the operator of namespace {authority.operator_namespace} serves it: remove the annotation "
                f"{labels.OPERATOR_NAMESPACE} to hand it over to {self._namespace}",
            )
        return None

    async def _rebuilt(self, authority: Authority, known: Ledger | None, sight: Sight) -> Ledger | None:
        """Rebuild the ledger where it does not explain what is there. None: it does, or nothing is there."""
        if known is not None and await self._explains(known, authority, sight):
            return None
        evidence = await self._custody.evidence(authority, known, self._store)
        if evidence.is_empty:
            return None
        logger.warning("the ledger was lost and is rebuilt", extra={"authority": authority.name})
        return recovery.rebuilt(authority, evidence, now=self._clock())

    async def _view(self, authority: Authority, standing: _Standing, sight: Sight) -> View:
        """Gather what the next step is decided by."""
        known, now = standing.book.ledger or Ledger(authority_uid=authority.uid), self._clock()
        return View(
            authority=authority,
            ledger=known,
            held=await self._custody.held(authority.name, known),
            now=now,
            sight=sight,
            at_it_since=_at_it_since(standing, phases.task(authority, known), now),
            source=await self._source(authority, standing, now),
        )

    async def _explains(self, known: Ledger, authority: Authority, sight: Sight) -> bool:
        """Tell whether a ledger is that of now: it knows of every CA, and of every leaf that there is."""
        if not recovery.explains(known, await self._custody.found(authority.name), authority.status):
            return False
        odd = recovery.unexplained(known, sight.leaves)
        return odd is None or not await self._custody.has_signed(odd[0], odd[1].secret, later_than=odd[0].signs_until)

    async def _source(self, authority: Authority, standing: _Standing, now: datetime) -> Source | None:
        """Read the CA of an outside PKI. What cannot be used is said, and changes nothing."""
        standing.source_fault = None
        if (reference := authority.spec.root.secret_ref) is None:
            return None
        try:
            data = await self._custody.source(reference.name)
            return source.parse(data, is_tiered=authority.spec.issuing.enabled, now=now)
        except SourceError as error:
            standing.source_fault = f"Secret {reference.name} of namespace {self._namespace}: {error}"
            return None

    async def _take(self, authority: Authority, book: Book, step: Write | Make | Bury, view: View | Ledger) -> None:
        match step:
            case Write():
                await self._custody.write(authority.name, book, step.ledger)
            case Bury():
                await self._custody.bury(authority.name, step.gone)
            case Make() if isinstance(view, View):
                await self._custody.keep(authority.name, step.announced, await self._made(step.announced, view))

    async def _made(self, announced: CAGeneration, view: View) -> CA:
        """Make the key and certificate of a CA, or take those of the source."""
        if announced.is_outside and view.source is not None:
            return view.source.signer
        key = await generate(generations.key_type(view.authority, announced.role))
        root = view.held.get((Role.ROOT, announced.issuer)) if announced.issuer is not None else None
        signer = root if isinstance(root, CA) else None
        return generations.certify(view.authority, announced, key, signer, now=self._clock())

    async def _write_status(self, authority: Authority, step: Sign | Hold, told: Progress) -> None:
        """Write the status where it differs from what is there."""
        standing = self._standing[authority.name]
        found = report.Found(
            ledger=standing.book.ledger,
            bundle_hash=standing.trust.bundle_hash if standing.trust.bundle else None,
            faults=tuple(filter(None, (standing.source_fault, *standing.roots_faults))),
            conflicts=self._store.conflicting_copies(authority),
        )
        new = report.status_of(authority, step, told, found, now=times.rfc3339(self._clock()))
        if msgspec.structs.replace(new, revision=authority.status.revision) == authority.status:
            return
        path = f"{paths.authority(authority.name)}/status"
        metadata = await self._api.patch(path, report.status_patch(authority.uid, new))
        self._store.note_authority_status(authority.name, new, metadata)
        await self._tell(authority, step, new)

    async def _tell(self, authority: Authority, step: Sign | Hold, new: AuthorityStatus) -> None:
        """Log what changed, and post an Event for each phase that begins."""
        before, after = authority.status.condition(ROTATING), new.condition(ROTATING)
        if after is not None and after.reason != (before.reason if before else Phase.STABLE):
            logger.warning(
                "the replacing of a root goes on",
                extra={"authority": authority.name, "phase": after.reason, "why": after.message},
            )
            note = after.message or "one root is trusted, and signs"
            await self._announcer.about_authority(authority, after.reason, note)
        conflict = new.condition(CONFLICTING)
        if conflict is not None and new.has_conflict and not authority.status.has_conflict:
            logger.warning("a bundle cannot be written", extra={"authority": authority.name, "why": conflict.message})
            await self._announcer.warn_of_authority(authority, conflict.reason, conflict.message)
        ready = (authority.status.condition(status.READY), new.condition(status.READY))
        if ready[0] is None or ready[1] is None or ready[0].reason != ready[1].reason or isinstance(step, Hold):
            _log_change(authority, step)


def _at_it_since(standing: _Standing, task: Task | None, now: datetime) -> datetime | None:
    """Tell since when this operator has been at a task, and remember it."""
    if task != standing.task:
        standing.task, standing.at_it_since = task, now
    return standing.at_it_since


async def generate(kind: KeyType) -> PrivateKey:
    """Make a key, in a thread where it takes long. EC keys are made inline: a second busy thread would slow signing."""
    if kind.is_slow:
        return await asyncio.to_thread(keys.generate, kind)
    return keys.generate(kind)


def _log_change(authority: Authority, step: Sign | Hold) -> None:
    if isinstance(step, Hold):
        logger.warning(
            "authority cannot sign",
            extra={"authority": authority.name, "reason": step.reason, "why": step.message},
        )
    elif step.lost:
        logger.warning("a CA key is lost", extra={"authority": authority.name, "why": step.lost})
    else:
        logger.info("authority signs", extra={"authority": authority.name})
