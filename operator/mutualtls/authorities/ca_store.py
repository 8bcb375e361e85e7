"""CA Secrets in the operator's namespace: the only place that reads, makes and deletes CA keys.

When that is done is said in `core.rotation.lifecycle`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api import managed
from mutualtls.core.api.states import SIGNING, CAId, Role, State
from mutualtls.core.ca import generations, ledger
from mutualtls.core.ca.generations import Held, Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark
from mutualtls.core.ca.readings import CASecret
from mutualtls.core.ca.restored import Remembered
from mutualtls.core.errors import AlreadyExistsError, AuthorityError, HeldUpError, NotFoundError
from mutualtls.core.model import labels
from mutualtls.core.pki import keys
from mutualtls.core.pki.certificates import UNREADABLE
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.unread import Unread

logger = logging.getLogger(__name__)

_SECOND_LOOK_S = 1.0
"""Between the two direct reads after which a Secret is believed absent."""


class CAStore:
    """Reads, creates and deletes CA Secrets."""

    def __init__(self, api: API, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def marks(self, name: str) -> dict[CAId, Mark | None]:
        """List the CA Secrets of an authority that there are, and what their annotations say.

        Raises:
            AuthorityError: one cannot be read.
        """
        selector = f"{labels.PART}={labels.PART_CA},{labels.AUTHORITY}={name}"
        found: dict[CAId, Mark | None] = {}
        async for metadata in self._api.listing(paths.secrets(self._namespace), selector=selector):
            if isinstance(metadata, Unread):
                message = f"a CA Secret cannot be read, {metadata.why}: restore it from a backup"
                raise AuthorityError(Reason.CA_UNREADABLE, message)
            if parsed := labels.parse_ca_secret_name(metadata["name"]):
                found[CAId(Role(parsed[1]), parsed[2])] = _mark_in(metadata)
        return found

    async def secrets(self, name: str) -> tuple[CASecret, ...]:
        """Read what all CA Secrets of an authority say, but for the keys."""
        return tuple([await self._public(name, ca, mark) for ca, mark in (await self.marks(name)).items()])

    async def _public(self, name: str, ca: CAId, mark: Mark | None) -> CASecret:
        data = (await self._api.get(self._path(name, *ca)) or {}).get("data") or {}
        return CASecret(
            ca=ca,
            certificate=base64.b64decode(data.get("tls.crt", "")),
            roots=base64.b64decode(data.get("ca.crt", "")),
            has_key="tls.key" in data,
            mark=mark,
        )

    async def held(self, name: str, known: Ledger) -> tuple[Held, Mapping[CAId, Mark]]:
        """Read the Secret of each CA generation, and what its annotation says.

        Raises:
            AuthorityError: one holds no CA, or another than the ledger's.
        """
        held: dict[CAId, CA | Tombstone | None] = {}
        marks: dict[CAId, Mark] = {}
        for ca in known.generations:
            held[ca.id], mark = await self._held(name, ca)
            if mark is not None:
                marks[ca.id] = mark
        return held, marks

    async def _held(self, name: str, ca: CAGeneration) -> tuple[CA | Tombstone | None, Mark | None]:
        secret_name = labels.ca_secret_name(name, ca.role, ca.number)
        path = self._path(name, ca.role, ca.number)
        found = await self._api.get(path)
        if found is None and ca.state in SIGNING and not ca.is_keyless:
            await asyncio.sleep(_SECOND_LOOK_S)
            found = await self._api.get(path)
        if found is None:
            return None, None
        try:
            held = _ca_of(found.get("data") or {})
        except (KeyError, *UNREADABLE) as error:
            message = f"Secret {secret_name} holds no CA ({type(error).__name__}): restore it from a backup"
            raise AuthorityError(Reason.CA_UNREADABLE, message) from None
        if isinstance(held, CA):
            generations.check_held(ca, held)
        return held, _mark_in(found["metadata"])

    async def note(self, name: str, ca: CAGeneration, mark: Mark) -> None:
        """Have a step stand in the annotation of a CA's Secret.

        Raises:
            NotFoundError: it is gone meanwhile.
            ConflictError: it was changed meanwhile.
        """
        path = self._path(name, ca.role, ca.number)
        found = await self._api.get_metadata(path)
        if found is None:
            raise NotFoundError(f"{path} is gone")
        precondition = {"uid": found["uid"], "resourceVersion": found["resourceVersion"]}
        await self._api.patch(path, {"metadata": {**precondition, "annotations": _annotations(mark)}})

    async def keep(self, name: str, announced: CAGeneration, made: CA, mark: Mark) -> None:
        """Create the Secret of a made CA. Where there is one already, that one is taken at the next step."""
        try:
            await self._create(name, announced, generations.secret_data(made), annotations=_annotations(mark))
        except AlreadyExistsError:
            return
        logger.info(
            "made a CA",
            extra={
                "authority": name,
                "ca": f"{announced.role}/{announced.number}",
                "not_after": times.rfc3339(made.validity.not_after),
            },
        )

    async def bury(self, name: str, ca: CAGeneration) -> None:
        """Delete the Secret of a CA, if it is there. Where the CA is gone, one with the certificate alone follows.

        Raises:
            HeldUpError: it was deleted, and is kept by finalizers.
        """
        secret_name = labels.ca_secret_name(name, ca.role, ca.number)
        path = self._path(name, ca.role, ca.number)
        found = await self._api.get_metadata(path)
        if found is not None and managed.held_by(found) is None:
            found = await self._api.delete(path, uid=found["uid"], resource_version=found["resourceVersion"])
        if found is not None:
            raise HeldUpError(f"secret {self._namespace}/{secret_name}", managed.held_by(found) or "")
        if ca.state == State.GONE:
            await self._create(name, ca, {"tls.crt": ca.certificate.encode()})
        logger.info("deleted the key of a CA", extra={"authority": name, "ca": f"{ca.role}/{ca.number}"})

    async def put_back(self, name: str, remembered: Remembered) -> int:
        """Create the CA Secrets again that are missing, without a step, and tell how many."""
        missing = list(remembered.missing(await self.marks(name)))
        for (role, number), held in missing:
            ca = remembered.ledger.find(role, number)
            if ca is not None:
                data = generations.secret_data(held) if isinstance(held, CA) else {"tls.crt": ca.certificate.encode()}
                await self._create(name, ca, data)
        return len(missing)

    async def _create(
        self, name: str, ca: CAGeneration, data: Mapping[str, bytes], *, annotations: Mapping[str, str] | None = None
    ) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": {
                "name": labels.ca_secret_name(name, ca.role, ca.number),
                "labels": labels.of_part(name, labels.PART_CA),
                "annotations": dict(annotations or {}),
            },
            "data": {file: base64.b64encode(content).decode() for file, content in data.items()},
        }
        await self._api.create(paths.secrets(self._namespace), body)

    def _path(self, name: str, role: Role, number: int) -> str:
        return paths.secret(self._namespace, labels.ca_secret_name(name, role, number))


def _ca_of(data: Mapping[str, str]) -> CA | Tombstone:
    """Read a CA's certificate and key.

    Raises:
        ValueError: they are not PEM, or do not belong together.
        KeyError: there is no certificate.
    """
    try:
        certificate_pem = base64.b64decode(data["tls.crt"], validate=True)
        key_pem = base64.b64decode(data.get("tls.key", ""), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if not key_pem:
        return Tombstone()
    certificate, *intermediates = x509.load_pem_x509_certificates(certificate_pem)
    ca = CA(certificate=certificate, key=keys.from_pem(key_pem), intermediates=tuple(intermediates))
    if ca.certificate.public_key() != ca.key.public_key():
        raise ValueError("the key is not of the certificate")
    return ca


def _mark_in(metadata: Mapping[str, Any]) -> Mark | None:
    return ledger.read_mark((metadata.get("annotations") or {}).get(labels.STEP, ""))


def _annotations(mark: Mark) -> dict[str, str]:
    return {labels.STEP: msgspec.json.encode(mark).decode()}
