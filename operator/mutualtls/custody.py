"""The CA Secrets and the ledgers in the operator's namespace: read, create, bury. `core.rotation` says when."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.core import generations, keys, labels, ledger, publish, recovery, times
from mutualtls.core.authority import Authority
from mutualtls.core.errors import UNREADABLE, AlreadyExistsError, AuthorityError
from mutualtls.core.generations import CAId, Held, Tombstone
from mutualtls.core.issue import CA
from mutualtls.core.ledger import SIGNING, CAGeneration, Ledger, Role, State
from mutualtls.core.reasons import Reason
from mutualtls.core.recovery import Evidence
from mutualtls.core.source import SourceError
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import Store

logger = logging.getLogger(__name__)

_LEDGER_KEY = "ledger.json"
_SECOND_LOOK_S = 1.0
"""Between the two direct reads after which a Secret is believed absent."""


@dataclass(slots=True, kw_only=True)
class Book:
    """A ledger as it was last read or written, and what a write of it must be based on."""

    ledger: Ledger | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Custody:
    """Reads and writes what the operator's namespace holds of authorities."""

    def __init__(self, api: API, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    # Ledgers

    async def read(self, name: str, book: Book) -> None:
        """Read the ledger afresh.

        Raises:
            AuthorityError: it cannot be read, or is that of an operator of a later version.
        """
        found = await self._api.get(paths.config_map(self._namespace, labels.ledger_name(name)))
        if found is None:
            book.ledger, book.metadata = None, {}
            return
        try:
            book.ledger = ledger.decode((found.get("data") or {}).get(_LEDGER_KEY, ""))
        except ValueError as error:
            message = f"the ConfigMap {labels.ledger_name(name)} is {error}: restore it from a backup, or delete it"
            raise AuthorityError(Reason.LEDGER_LOST, message) from None
        book.metadata = found["metadata"]

    async def write(self, name: str, book: Book, new: Ledger) -> None:
        """Write the ledger over the version that was read, or create it."""
        new = msgspec.structs.replace(new, revision=new.revision + 1)
        data = {_LEDGER_KEY: ledger.encode(new)}
        if book.metadata:
            precondition = {"uid": book.metadata["uid"], "resourceVersion": book.metadata["resourceVersion"]}
            path = paths.config_map(self._namespace, labels.ledger_name(name))
            book.metadata = await self._api.patch(path, {"metadata": precondition, "data": data})
        else:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": labels.ledger_name(name), "labels": _labels(name, labels.PART_LEDGER)},
                "data": data,
            }
            book.metadata = await self._api.create(paths.config_maps(self._namespace), body)
        book.ledger = new

    # CA Secrets

    async def held(self, name: str, known: Ledger) -> Held:
        """Read the Secret of each CA generation.

        Raises:
            AuthorityError: one holds no CA, or another than the ledger's.
        """
        return {(ca.role, ca.number): await self._held(name, ca) for ca in known.generations}

    async def _held(self, name: str, ca: CAGeneration) -> CA | Tombstone | None:
        secret_name = labels.ca_secret_name(name, ca.role, ca.number)
        path = paths.secret(self._namespace, secret_name)
        found = await self._api.get(path)
        if found is None and ca.state in SIGNING and not ca.is_keyless:
            await asyncio.sleep(_SECOND_LOOK_S)
            found = await self._api.get(path)
        if found is None:
            return None
        try:
            held = _ca_of(found.get("data") or {})
        except (KeyError, *UNREADABLE) as error:
            message = f"Secret {secret_name} holds no CA ({type(error).__name__}): restore it from a backup"
            raise AuthorityError(Reason.CA_UNREADABLE, message) from None
        if isinstance(held, CA):
            generations.check_held(ca, held)
        return held

    async def keep(self, name: str, announced: CAGeneration, made: CA) -> None:
        """Create the Secret of a made CA. Where there is one already, that one is taken at the next step."""
        try:
            await self._create(name, announced, generations.secret_data(made))
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
        """Delete the Secret of a CA, if it is there. Where the CA is gone, one with the certificate alone follows."""
        path = paths.secret(self._namespace, labels.ca_secret_name(name, ca.role, ca.number))
        found = await self._api.get_metadata(path)
        if found is not None:
            await self._api.delete(path, uid=found["uid"], resource_version=found["resourceVersion"])
        if ca.state == State.GONE:
            await self._create(name, ca, {"tls.crt": ca.certificate.encode()})
        logger.info("deleted the key of a CA", extra={"authority": name, "ca": f"{ca.role}/{ca.number}"})

    async def _create(self, name: str, ca: CAGeneration, data: Mapping[str, bytes]) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": {
                "name": labels.ca_secret_name(name, ca.role, ca.number),
                "labels": _labels(name, labels.PART_CA),
            },
            "data": {file: base64.b64encode(content).decode() for file, content in data.items()},
        }
        await self._api.create(paths.secrets(self._namespace), body)

    async def source(self, name: str) -> dict[str, bytes]:
        """Read the Secret that `root.secretRef` names.

        Raises:
            SourceError: it is not there, or cannot be read.
        """
        found = await self._api.get(paths.secret(self._namespace, name))
        if found is None:
            raise SourceError("it does not exist: create it, with tls.crt, tls.key and ca.crt")
        return {file: base64.b64decode(content) for file, content in (found.get("data") or {}).items()}

    async def roots(self, name: str, key: str) -> str:
        """Read a key of a ConfigMap that `trust.additionalRoots` names.

        Raises:
            SourceError: it is not there.
        """
        found = await self._api.get(paths.config_map(self._namespace, name))
        if found is None:
            raise SourceError("it does not exist: create it, or take it out of spec.trust.additionalRoots")
        text: str | None = (found.get("data") or {}).get(key)
        if text is None:
            raise SourceError(f"it has no key {key}")
        return text

    # Evidence

    async def found(self, name: str) -> dict[CAId, str]:
        """List the CA Secrets of an authority that there are: id and name."""
        selector = f"{labels.PART}={labels.PART_CA},{labels.AUTHORITY}={name}"
        names: dict[CAId, str] = {}
        pages = self._api.pages(paths.secrets(self._namespace), selector=selector, metadata_only=True)
        async for page in pages:
            for item in page.items:
                secret_name = item["metadata"]["name"]
                if parsed := labels.parse_ca_secret_name(secret_name):
                    names[Role(parsed[1]), parsed[2]] = secret_name
        return names

    async def evidence(self, authority: Authority, known: Ledger | None, store: Store) -> Evidence:
        """Gather what tells that an authority has had CAs. `known` is a ledger that does not explain all of it."""
        believed: list[tuple[CAId, x509.Certificate]] = []
        above: list[x509.Certificate] = []
        roots: list[x509.Certificate] = []
        with_key: set[CAId] = set()
        buried: set[CAId] = set()
        for found, secret_name in sorted((await self.found(authority.name)).items()):
            body = await self._api.get(paths.secret(self._namespace, secret_name))
            data = (body or {}).get("data") or {}
            certificates = recovery.certificates_in(base64.b64decode(data.get("tls.crt", "")))
            believed += [(found, certificate) for certificate in certificates[:1]]
            above += certificates[1:]
            roots += recovery.certificates_in(base64.b64decode(data.get("ca.crt", "")))
            (with_key if "tls.key" in data else buried).add(found)
        told = [
            ((ca.role, ca.number), certificate)
            for ca in authority.status.generations
            for certificate in recovery.certificates_in(ca.certificate.encode())
        ]
        claimed: list[x509.Certificate] = []
        if known is None:
            believed += told  # it is all there is
        else:
            for ca in known.generations:
                certificates = recovery.certificates_in(ca.certificate.encode())
                believed += [((ca.role, ca.number), certificate) for certificate in certificates]
                above += recovery.certificates_in(ca.chain.encode())
            claimed += [certificate for _, certificate in told]
        leaves = store.leaves_of_authority(authority.name)
        for _, secret_key in leaves.values():
            data = await self._data_of(secret_key)
            claimed += recovery.certificates_in(data.get("tls.crt", b"") + data.get("ca.crt", b""))
        bundles = [
            (await self._data_of(secret_key))["ca.crt"]
            for secret_key in store.bundles_of_authority(authority.name).values()
        ]
        bundles += [await self._bundle_in(key) for key in store.copies.of_authority(authority.name)]
        return Evidence(
            believed=tuple(believed),
            above=tuple(above),
            roots=tuple(roots),
            claimed=tuple(claimed),
            with_key=frozenset(with_key),
            buried=frozenset(buried),
            leaves={key_id: not_after for key_id, (not_after, _) in leaves.items()},
            bundles=tuple(recovery.certificates_in(pem) for pem in bundles),
            compromised=known.compromised if known else (),
            additional_roots=known.additional_roots if known else {},
        )

    async def has_signed(self, ca: CAGeneration, secret_key: str, *, later_than: datetime | None) -> bool:
        """Tell whether the leaf in a managed Secret is really of a CA, and ends later than a moment."""
        data = await self._data_of(secret_key)
        return recovery.is_leaf_of(data["tls.crt"], ca, later_than=later_than)

    async def _bundle_in(self, copy_key: str) -> bytes:
        """Read a copy of a bundle."""
        return publish.content(copy_key, await self._api.get(paths.copy(copy_key)) or {})

    async def _data_of(self, secret_key: str) -> dict[str, bytes]:
        """Read the public files of a managed Secret."""
        namespace, _, name = secret_key.partition("/")
        data = (await self._api.get(paths.secret(namespace, name)) or {}).get("data") or {}
        return {file: base64.b64decode(data.get(file, "")) for file in ("tls.crt", "ca.crt")}


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
    certificate, *further = x509.load_pem_x509_certificates(certificate_pem)
    ca = CA(certificate=certificate, key=keys.from_pem(key_pem), further=tuple(further))
    if ca.certificate.public_key() != ca.key.public_key():
        raise ValueError("the key is not of the certificate")
    return ca


def _labels(authority: str, part: str) -> dict[str, str]:
    return {labels.PART: part, labels.AUTHORITY: authority, labels.MANAGED_BY: labels.FIELD_MANAGER}
