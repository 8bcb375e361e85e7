"""Authorities: take the steps that `core.rotation` says, and keep the CAs that sign at hand.

The only place that holds CA keys, in memory, while the operator runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from mutualtls.core import keys, labels, ledger, recovery, rotation, status, times, trust
from mutualtls.core.authority import Authority, AuthorityStatus, CAStatus
from mutualtls.core.errors import AlreadyExistsError, AuthorityError, ConflictError, NotFoundError
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType, PrivateKey
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import Bury, Held, Hold, Make, Sign, Step, Write
from mutualtls.core.trust import Trust
from mutualtls.custody import Book, Custody
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store

logger = logging.getLogger(__name__)

_MOST_STEPS = 40
"""More than any authority needs in one go."""

_HOLD_CHECK = timedelta(seconds=30)
"""How often an authority that cannot sign is looked at: a restored ledger is not watched."""

KEY_LOST = "KeyLost"
"""Condition type: a CA key that was made is gone."""


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What is held of one authority between two looks at it."""

    uid: str
    trust: Trust
    ca: CA | None = None
    book: Book = field(default_factory=Book)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Authorities:
    """The authorities of this operator's namespace."""

    def __init__(
        self, api: API, store: Store, *, namespace: str, clock: Callable[[], datetime], check: timedelta
    ) -> None:
        self._api = api
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
            active = book.ledger.active(Role.ISSUING) if book.ledger else None
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
        step = await self._advance(authority)
        await self._write_status(authority, step)
        due = step.look_again if isinstance(step, Sign) else self._clock() + _HOLD_CHECK
        look_again = self._clock() + self._check
        return min(look_again, due) if due else look_again, self.trust(name) != before

    async def _advance(self, authority: Authority) -> Sign | Hold:
        """Take steps until there is nothing more to do, and note what the authority then offers."""
        standing = self._standing.get(authority.name)
        if standing is None or standing.uid != authority.uid:
            standing = _Standing(uid=authority.uid, trust=trust.of(authority, None))
        async with standing.lock:
            try:
                step = await self._walk(authority, standing.book)
            except AuthorityError as error:
                step = Hold(error.reason, str(error))
        why_not = (step.reason, step.message) if isinstance(step, Hold) else None
        standing.ca = step.issuing if isinstance(step, Sign) else None
        standing.trust = trust.of(authority, standing.book.ledger, why_not=why_not)
        self._standing[authority.name] = standing
        return step

    async def _walk(self, authority: Authority, book: Book) -> Sign | Hold:
        if authority.fault:
            return Hold(Reason.INVALID_SPEC, authority.fault)
        if why_not := await self._api.check_clock():
            return Hold(Reason.CLOCK_SKEW, why_not)
        if other := await self._other_operator(authority):
            return other
        for _ in range(_MOST_STEPS):
            await self._custody.read(authority.name, book)
            step, held = await self._next_step(authority, book)
            if isinstance(step, Hold | Sign):
                return step
            if authority.spec.suspend:
                return Hold(Reason.SUSPENDED, "no CA is made, replaced or deleted while spec.suspend is true")
            await self._take(authority, book, step, held)
        raise RuntimeError(f"programming error: authority {authority.name} takes steps without end")

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

    async def _next_step(self, authority: Authority, book: Book) -> tuple[Step, Held]:
        """Say the next step. A ledger that is not there, or does not explain what is, is rebuilt first."""
        known = book.ledger
        if known is None or not recovery.explains(known, await self._custody.found(authority.name), authority.status):
            evidence = await self._custody.evidence(authority, known, self._store)
            if evidence.is_empty:
                return Write(rotation.announced_first(authority)), {}
            logger.warning("the ledger was lost and is rebuilt", extra={"authority": authority.name})
            return Write(recovery.rebuilt(authority, evidence, now=self._clock())), {}
        held = await self._custody.held(authority.name, known)
        return rotation.next_step(authority, known, held, now=self._clock()), held

    async def _take(self, authority: Authority, book: Book, step: Write | Make | Bury, held: Held) -> None:
        match step:
            case Write():
                await self._custody.write(authority.name, book, step.ledger)
            case Bury():
                await self._custody.bury(authority.name, step.gone)
            case Make():
                announced = step.announced
                key = await generate(rotation.key_type(authority, announced.role))
                root = held.get((Role.ROOT, announced.issuer)) if announced.issuer is not None else None
                signer = root if isinstance(root, CA) else None
                made = rotation.certify(authority, announced, key, signer, now=self._clock())
                await self._custody.keep(authority.name, announced, made)

    async def _write_status(self, authority: Authority, step: Sign | Hold) -> None:
        """Write the status where it differs from what is there."""
        standing = self._standing[authority.name]
        new = AuthorityStatus(
            observed_generation=authority.generation,
            conditions=_conditions(authority, step, now=times.rfc3339(self._clock())),
            generations=_ca_statuses(standing.book.ledger),
            bundle=standing.trust.bundle_hash if standing.trust.bundle else None,
        )
        if new == authority.status:
            return
        patch = {"metadata": {"uid": authority.uid}, "status": {"bundle": None} | msgspec.to_builtins(new)}
        metadata = await self._api.patch(f"{paths.authority(authority.name)}/status", patch)
        self._store.note_authority_status(authority.name, new, metadata)
        _log_change(authority, step)


async def generate(kind: KeyType) -> PrivateKey:
    """Make a key, in a thread where it takes long. EC keys are made inline: a second busy thread would slow signing."""
    if kind.is_slow:
        return await asyncio.to_thread(keys.generate, kind)
    return keys.generate(kind)


def _conditions(authority: Authority, step: Sign | Hold, *, now: str) -> tuple[status.Condition, ...]:
    if isinstance(step, Hold):
        ready = (status.READY, False, step.reason, step.message)
        lost = step.message if step.reason == Reason.KEY_LOST else _told_lost(authority)
    elif authority.spec.suspend:
        ready = (status.READY, False, Reason.SUSPENDED, "nothing is signed while spec.suspend is true")
        lost = step.lost
    else:
        ready = (status.READY, True, Reason.SIGNING, "certificates are signed")
        lost = step.lost
    reason = Reason.KEY_LOST if lost else Reason.STABLE
    missing = (KEY_LOST, lost is not None, reason, lost or "")
    return status.settled((ready, missing), authority.status.conditions, generation=authority.generation, now=now)


def _told_lost(authority: Authority) -> str | None:
    """Repeat what was last found of lost keys: what holds an authority up now says nothing of them."""
    told = (one for one in authority.status.conditions if one.type == KEY_LOST and one.status == "True")
    return next((one.message for one in told), None)


def _ca_statuses(known: Ledger | None) -> tuple[CAStatus, ...]:
    """Copy the ledger for the status, without the CAs that are gone."""
    return tuple(_ca_status(ca) for ca in known.generations if ca.not_after and ca.state != State.GONE) if known else ()


def _ca_status(ca: CAGeneration) -> CAStatus:
    return CAStatus(
        role=ca.role,
        number=ca.number,
        state=ca.state,
        fingerprint=ca.fingerprint,
        key_id=ca.key_id,
        not_after=times.rfc3339(ca.not_after) if ca.not_after else "",
        certificate=ca.certificate,
    )


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
