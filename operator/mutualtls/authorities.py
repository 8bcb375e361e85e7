"""Authorities: take the steps that `core.rotation` says, and keep the CAs that sign at hand.

The only place that holds CA keys, in memory, while the operator runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
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
    times,
    trust,
)
from mutualtls.core.authority import ROTATING, Authority, AuthorityStatus
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


_Story = tuple[Progress, ...]
"""How far the replacing of a root was in a walk: in each phase that it met, at its last look. Empty: not known."""


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
    left_to: str | None = None
    """Namespace of the operator that serves it, where that is another one and was said."""
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
        self._told: dict[str, Trust] = {}

    def trust(self, name: str) -> Trust | None:
        """What an authority offers; None where there is none of that name, or it was not looked at yet."""
        standing = self._standing.get(name)
        return standing.trust if standing else None

    def is_news(self, name: str) -> bool:
        """Tell, once, whether what an authority offers has changed since this was last asked."""
        offered = self.trust(name)
        before = self._told.pop(name, None)
        if offered is not None:
            self._told[name] = offered
        return offered != before

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
            if generations.fingerprint(standing.ca.certificate) != active.fingerprint:
                # The ledger has moved on, and what was to follow failed: `signsUntil` would be that of another CA.
                raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} has yet to look who signs now")
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

    async def reconcile(self, name: str) -> datetime | None:
        """Bring an authority on as far as it goes now. Return when to look again.

        Raises:
            ClusterError: the API server refused or could not be reached.
        """
        authority = self._store.authorities.get(name)
        if authority is None or authority.is_deleting:
            self._standing.pop(name, None)
            return None
        step, story = await self._advance(authority)
        await self._write_status(authority, step, story)
        return self._look_again(authority, step, _last(story))

    def _look_again(self, authority: Authority, step: Sign | Hold, told: Progress | None) -> datetime:
        now = self._clock()
        moments = [now + self._check]
        reads = authority.spec.root.secret_ref is not None or authority.spec.trust.additional_roots
        if isinstance(step, Hold) or reads:
            moments.append(now + _HOLD_CHECK)
        if isinstance(step, Sign) and step.look_again is not None:
            moments.append(step.look_again)
        if told is not None and told.phase is not Phase.STABLE:
            shortest, longest = _GATE_CHECK
            soak = times.parse_duration(authority.spec.rotation.soak)
            moments.append(now + min(max(soak / 20, shortest), longest))
        return min(moments)

    async def _advance(self, authority: Authority) -> tuple[Sign | Hold, _Story]:
        """Take steps until there is nothing more to do, and note what the authority then offers."""
        standing = self._standing.get(authority.name)
        if standing is None or standing.uid != authority.uid:
            standing = _Standing(uid=authority.uid, trust=trust.of(authority, None))
        async with standing.lock:
            try:
                step, story = await self._walk(authority, standing)
            except AuthorityError as error:
                step, story = Hold(error.reason, str(error)), ()
        if isinstance(step, Hold) or authority.spec.suspend:
            standing.task = None  # what could not be done then is not excused for it
        if isinstance(step, Hold) and step.reason is Reason.OTHER_OPERATOR:
            standing.book = Book()  # it is no more than what was, and the other operator's to change
        why_not = (step.reason, step.message) if isinstance(step, Hold) else None
        standing.ca = step.ca if isinstance(step, Sign) else None
        standing.trust = trust.of(authority, standing.book.ledger, why_not=why_not)
        self._standing[authority.name] = standing
        return step, story

    async def _walk(self, authority: Authority, standing: _Standing) -> tuple[Sign | Hold, _Story]:
        if authority.fault:
            return Hold(Reason.INVALID_SPEC, authority.fault), ()
        if why_not := await self._api.check_clock():
            return Hold(Reason.CLOCK_SKEW, why_not), ()
        if other := await self._other_operator(authority):
            return other, ()
        roots = await self._additional_roots(authority, standing)
        story: _Story = ()
        for _ in range(_MOST_STEPS):
            now = self._clock()
            await self._custody.read(authority.name, standing.book)
            if why_not := await self._api.check_clock():
                return Hold(Reason.CLOCK_SKEW, why_not), story  # by an answer that came after `now` was read
            sight = self._store.sight_of_authority(authority.name)
            view: View | Ledger | None = await self._rebuilt(authority, standing.book.ledger, sight, now)
            if view is None:
                await self._copy_roots(authority, standing.book, roots)
                view = await self._view(authority, standing, sight, now)
            step: Step = Write(view) if isinstance(view, Ledger) else rotation.next_step(view)
            story = () if isinstance(view, Ledger) else _continued(story, progress.of(view))
            if isinstance(step, Hold | Sign):
                return step, story
            if authority.spec.suspend:
                message = "no CA is made, replaced or deleted while spec.suspend is true"
                return Hold(Reason.SUSPENDED, message), story
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

    async def _rebuilt(self, authority: Authority, known: Ledger | None, sight: Sight, now: datetime) -> Ledger | None:
        """Rebuild the ledger where it does not explain what is there. None: it does, or nothing is there."""
        if known is not None and await self._explains(known, authority, sight):
            return None
        evidence = await self._custody.evidence(authority, known, self._store)
        if evidence.is_empty:
            return None
        logger.warning("the ledger was lost and is rebuilt", extra={"authority": authority.name})
        return recovery.rebuilt(authority, evidence, now=now)

    async def _view(self, authority: Authority, standing: _Standing, sight: Sight, now: datetime) -> View:
        """Gather what the next step is decided by."""
        known = standing.book.ledger or Ledger(authority_uid=authority.uid)
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
            is_tiered = authority.spec.issuing.enabled
            return source.parse(data, is_tiered=is_tiered, now=now, known=standing.book.ledger)
        except SourceError as error:
            standing.source_fault = f"Secret {reference.name} of namespace {self._namespace}: {error}"
            return None

    async def _take(self, authority: Authority, book: Book, step: Write | Make | Bury, view: View | Ledger) -> None:
        match step:
            case Write():
                await self._custody.write(authority.name, book, step.ledger)
            case Bury():
                await self._custody.bury(authority.name, step.ca)
            case Make() if isinstance(view, View):
                await self._custody.keep(authority.name, step.announced, await self._made(step.announced, view))

    async def _made(self, announced: CAGeneration, view: View) -> CA:
        """Make the key and certificate of a CA, or take those of the source."""
        if announced.is_outside and view.source is not None:
            return view.source.signer
        key = await generate(generations.key_type(view.authority, announced.role))
        root = view.held.get((Role.ROOT, announced.issuer)) if announced.issuer is not None else None
        signer = root if isinstance(root, CA) else None
        return generations.certify(view.authority, announced, key, signer, now=view.now)

    async def _write_status(self, authority: Authority, step: Sign | Hold, story: _Story) -> None:
        """Write the status where it differs from what is there."""
        standing = self._standing[authority.name]
        if isinstance(step, Hold) and step.reason is Reason.OTHER_OPERATOR:
            await self._leave_alone(authority, step, standing)
            return
        standing.left_to = None
        found = report.Found(
            ledger=standing.book.ledger,
            bundle_hash=standing.trust.bundle_hash if standing.trust.bundle else None,
            faults=tuple(filter(None, (standing.source_fault, *standing.roots_faults))),
            conflicts=self._store.conflicting_copies(authority),
        )
        new = report.status_of(authority, step, _last(story), found, now=times.rfc3339(self._clock()))
        if msgspec.structs.replace(new, revision=authority.status.revision) == authority.status:
            return
        await self._put_status(authority, new)
        await self._tell(authority, story, new)

    async def _leave_alone(self, authority: Authority, step: Hold, standing: _Standing) -> None:
        """Say once that another operator serves an authority: that one may be there, and say otherwise."""
        if standing.left_to != authority.operator_namespace:
            await self._put_status(authority, report.left_alone(authority, step, now=times.rfc3339(self._clock())))
            standing.left_to = authority.operator_namespace
            await self._warn(authority, step.reason, step.message)

    async def _put_status(self, authority: Authority, new: AuthorityStatus) -> None:
        path = f"{paths.authority(authority.name)}/status"
        metadata = await self._api.patch(path, report.status_patch(authority.uid, new))
        self._store.note_authority_status(authority.name, new, metadata)

    async def _tell(self, authority: Authority, story: _Story, new: AuthorityStatus) -> None:
        """Log, and tell by an Event, which phases have begun, and what people should see to."""
        for before, told in _begun(story, authority.status):
            note = report.phase_begun(told, before)
            is_smooth = before is None or not (before.gate.forced or before.gate.excused)
            extra = {"authority": authority.name, "phase": told.phase, "why": note}
            logger.warning("the replacing of a root goes on", extra=extra)
            await self._announcer.about_authority(authority, told.phase, note, is_warning=not is_smooth)
        for reason, message in report.alarms(authority.status, new).items():
            await self._warn(authority, reason, message)
        if report.is_able(new) and not report.is_able(authority.status):
            logger.info("authority signs", extra={"authority": authority.name})

    async def _warn(self, authority: Authority, reason: str, message: str) -> None:
        extra = {"authority": authority.name, "reason": reason, "why": message}
        logger.warning("authority needs attention", extra=extra)
        await self._announcer.about_authority(authority, reason, message, is_warning=True)


def _continued(story: _Story, told: Progress) -> _Story:
    """Add a look to a story, in place of one before it in the same phase."""
    is_same = bool(story) and story[-1].phase is told.phase
    return (*(story[:-1] if is_same else story), told)


def _last(story: _Story) -> Progress | None:
    return story[-1] if story else None


def _begun(story: _Story, old: AuthorityStatus) -> Iterator[tuple[Progress | None, Progress]]:
    """List the phases that the status does not tell of yet, each after the one before it, where that is known."""
    said = old.condition(ROTATING)
    phase, before = said.reason if said else Phase.STABLE, None
    for told in story:
        if told.phase != phase:
            yield before, told
        phase, before = told.phase, told


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
