"""Authorities: read ledger and CA Secrets, take the steps that `core.rotation` says, keep the CAs that sign at hand.

The only place that holds CA keys, in memory, while the operator runs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.core import keys, labels, ledger, rotation, status, times, trust
from mutualtls.core.authority import Authority, AuthorityStatus, CAStatus
from mutualtls.core.errors import AlreadyExistsError, AuthorityError
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType, PrivateKey
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import CAId, Hold, Make, Sign, Step, Write
from mutualtls.core.trust import Trust
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store

logger = logging.getLogger(__name__)

_LEDGER_KEY = "ledger.json"
_MOST_STEPS = 20

KEY_LOST = "KeyLost"
"""Condition type: a CA key that was made is gone."""


@dataclass(slots=True)
class _Standing:
    """What is held of one authority between two looks at it."""

    uid: str
    trust: Trust
    ca: CA | None
    ledger: Ledger | None
    ledger_metadata: Mapping[str, Any]
    lock: asyncio.Lock


class Authorities:
    """The authorities of this operator's namespace."""

    def __init__(
        self, api: API, store: Store, *, namespace: str, clock: Callable[[], datetime], check: timedelta
    ) -> None:
        self._api = api
        self._store = store
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
            ClusterError: the ledger could not be written.
        """
        standing = self._standing.get(name)
        if standing is None or standing.ca is None or standing.ledger is None:
            raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} cannot sign")
        async with standing.lock:
            active = standing.ledger.active(Role.ISSUING)
            if active is None:
                raise AuthorityError(Reason.AUTHORITY_NOT_READY, f"authority {name} has no CA that signs")
            if not ledger.covers(active, not_after):
                moved = ledger.extended(standing.ledger, active, now=self._clock(), not_after=not_after)
                await self._write_ledger(name, standing, moved)
            return standing.ca

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
        return self._clock() + self._check, self.trust(name) != before

    async def _advance(self, authority: Authority) -> Sign | Hold:
        """Take steps until there is nothing more to do, and note what the authority then offers."""
        standing = self._standing.get(authority.name)
        if standing is None or standing.uid != authority.uid:
            standing = _Standing(
                uid=authority.uid,
                trust=trust.of(authority, None),
                ca=None,
                ledger=None,
                ledger_metadata={},
                lock=asyncio.Lock(),
            )
        async with standing.lock:
            try:
                step = await self._walk(authority, standing)
            except AuthorityError as error:
                step = Hold(error.reason, str(error))
        why_not = (step.reason, step.message) if isinstance(step, Hold) else None
        standing.ca = step.issuing if isinstance(step, Sign) else None
        standing.trust = trust.of(authority, standing.ledger, why_not=why_not)
        self._standing[authority.name] = standing
        return step

    async def _walk(self, authority: Authority, standing: _Standing) -> Sign | Hold:
        if authority.fault:
            return Hold(Reason.INVALID_SPEC, authority.fault)
        if why_not := await self._why_not_ours(authority):
            return why_not
        for _ in range(_MOST_STEPS):
            await self._read_ledger(authority.name, standing)
            step, held = await self._next_step(authority, standing)
            match step:
                case Write():
                    await self._write_ledger(authority.name, standing, step.ledger)
                case Make():
                    await self._make(authority, step.announced, held)
                case Hold() | Sign():
                    return step
        raise RuntimeError(f"programming error: authority {authority.name} takes steps without end")

    async def _why_not_ours(self, authority: Authority) -> Hold | None:
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

    async def _next_step(self, authority: Authority, standing: _Standing) -> tuple[Step, Mapping[CAId, CA | None]]:
        if standing.ledger is None:
            if authority.spec.suspend:
                return Hold(Reason.SUSPENDED, "no CA is made while spec.suspend is true"), {}
            return rotation.first_ledger(authority, await self._evidence(authority)), {}
        held = {
            (ca.role, ca.number): await self._read_ca(authority.name, ca)
            for ca in standing.ledger.generations
            if ca.state != State.GONE
        }
        step = rotation.next_step(standing.ledger, held, now=self._clock())
        if authority.spec.suspend and isinstance(step, Write | Make):
            return Hold(Reason.SUSPENDED, "no CA is made while spec.suspend is true"), held
        return step, held

    async def _evidence(self, authority: Authority) -> str | None:
        """Look for signs that this authority has had a CA: its Secrets, its status, its leaves."""
        selector = f"{labels.PART}={labels.PART_CA},{labels.AUTHORITY}={authority.name}"
        pages = self._api.pages(paths.secrets(self._namespace), selector=selector, metadata_only=True)
        async for page in pages:
            if page.items:
                return f"a CA Secret, {page.items[0]['metadata']['name']}"
        if authority.status.generations:
            return "a CA in the status of the authority"
        return None

    # Ledger

    async def _read_ledger(self, name: str, standing: _Standing) -> None:
        """Read the ledger afresh.

        Raises:
            AuthorityError: it cannot be read, or is that of an operator of a later version.
        """
        found = await self._api.get(paths.config_map(self._namespace, labels.ledger_name(name)))
        if found is None:
            standing.ledger, standing.ledger_metadata = None, {}
            return
        try:
            standing.ledger = ledger.decode((found.get("data") or {}).get(_LEDGER_KEY, ""))
        except ValueError as error:
            raise AuthorityError(Reason.LEDGER_LOST, f"the ledger is {error}: restore it from a backup") from None
        standing.ledger_metadata = found["metadata"]

    async def _write_ledger(self, name: str, standing: _Standing, new: Ledger) -> None:
        """Write the ledger over the version that was read, or create it."""
        data = {_LEDGER_KEY: ledger.encode(new)}
        known = standing.ledger_metadata
        if known:
            precondition = {"uid": known["uid"], "resourceVersion": known["resourceVersion"]}
            path = paths.config_map(self._namespace, labels.ledger_name(name))
            standing.ledger_metadata = await self._api.patch(path, {"metadata": precondition, "data": data})
        else:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": labels.ledger_name(name), "labels": _labels(name, labels.PART_LEDGER)},
                "data": data,
            }
            standing.ledger_metadata = await self._api.create(paths.config_maps(self._namespace), body)
        standing.ledger = new

    # CA Secrets

    async def _read_ca(self, name: str, ca: CAGeneration) -> CA | None:
        """Read the Secret of a CA generation; None if it is not there.

        Raises:
            AuthorityError: it holds no CA, or another than the ledger's.
        """
        secret_name = labels.ca_secret_name(name, ca.role, ca.number)
        found = await self._api.get(paths.secret(self._namespace, secret_name))
        if found is None:
            return None
        try:
            held = _ca_of(found.get("data") or {})
        except (ValueError, KeyError) as error:
            message = f"Secret {secret_name} holds no CA ({type(error).__name__}): restore it from a backup"
            raise AuthorityError(Reason.CA_UNREADABLE, message) from None
        rotation.check_held(ca, held)
        return held

    async def _make(self, authority: Authority, announced: CAGeneration, held: Mapping[CAId, CA | None]) -> None:
        """Make a CA and create its Secret. Where there is one already, it is taken at the next step."""
        key = await generate(rotation.key_type(authority, announced.role))
        root = held.get((Role.ROOT, announced.issuer)) if announced.issuer is not None else None
        made = rotation.certify(authority, announced, key, root, now=self._clock())
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "immutable": True,
            "metadata": {
                "name": labels.ca_secret_name(authority.name, announced.role, announced.number),
                "labels": _labels(authority.name, labels.PART_CA),
            },
            "data": {name: base64.b64encode(content).decode() for name, content in rotation.secret_data(made).items()},
        }
        try:
            await self._api.create(paths.secrets(self._namespace), body)
        except AlreadyExistsError:
            return
        logger.info(
            "made a CA",
            extra={
                "authority": authority.name,
                "ca": f"{announced.role}/{announced.number}",
                "not_after": times.rfc3339(made.validity.not_after),
            },
        )

    # Status

    async def _write_status(self, authority: Authority, step: Sign | Hold) -> None:
        """Write the status where it differs from what is there."""
        offered = self._standing[authority.name].trust
        conditions = _conditions(authority, step, now=times.rfc3339(self._clock()))
        held = self._standing[authority.name].ledger
        new = AuthorityStatus(
            observed_generation=authority.generation,
            conditions=conditions,
            generations=tuple(_ca_status(ca) for ca in held.generations if ca.certificate) if held else (),
            bundle=offered.bundle_hash if offered.bundle else None,
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


def _ca_of(data: Mapping[str, str]) -> CA:
    """Read a CA's certificate and key.

    Raises:
        ValueError: they are not PEM, or do not belong together.
        KeyError: one of them is not there.
    """
    try:
        certificate_pem, key_pem = (base64.b64decode(data[name], validate=True) for name in ("tls.crt", "tls.key"))
    except binascii.Error:
        raise ValueError("not base64") from None
    ca = CA(certificate=x509.load_pem_x509_certificate(certificate_pem), key=keys.from_pem(key_pem))
    if ca.certificate.public_key() != ca.key.public_key():
        raise ValueError("the key is not of the certificate")
    return ca


def _labels(authority: str, part: str) -> dict[str, str]:
    return {labels.PART: part, labels.AUTHORITY: authority, labels.MANAGED_BY: labels.FIELD_MANAGER}


def _conditions(authority: Authority, step: Sign | Hold, *, now: str) -> tuple[status.Condition, ...]:
    if isinstance(step, Hold):
        ready = (status.READY, False, step.reason, step.message)
        is_lost, lost = step.reason == Reason.KEY_LOST, step.message
    elif authority.spec.suspend:
        ready = (status.READY, False, Reason.SUSPENDED, "nothing is signed while spec.suspend is true")
        is_lost, lost = step.lost is not None, step.lost or ""
    else:
        ready = (status.READY, True, Reason.SIGNING, "certificates are signed")
        is_lost, lost = step.lost is not None, step.lost or ""
    missing = (KEY_LOST, is_lost, Reason.KEY_LOST if is_lost else Reason.STABLE, lost if is_lost else "")
    return status.settled((ready, missing), authority.status.conditions, generation=authority.generation, now=now)


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
