"""Passwords of stores, in Secrets that users have labelled for it: which version there is, and why one cannot be used.

A body is read only when a store is written, and the password is handed out, never kept. What is kept is why one could
not be used, for the version of which that is true.
"""

from __future__ import annotations

from datetime import datetime

from mutualtls.core import formats
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.formats import Opened, Password
from mutualtls.core.identity import Identity, SecretKeyReference
from mutualtls.core.reasons import Reason
from mutualtls.core.secret import SecretMetadata
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.store import SecretRecord, Store


class Passwords:
    """The passwords that identities name."""

    def __init__(self, api: API, store: Store) -> None:
        self._api = api
        self._store = store
        self._faults: dict[tuple[str, str], tuple[str, str]] = {}

    def known(self, identity: Identity) -> Password | None:
        """Tell what is known of an identity's password; None where it asks for no stores."""
        reference = _reference(identity)
        if reference is None:
            return None
        metadata = self._metadata(identity, reference)
        if metadata is None:
            return Password(version="", fault=formats.why_no_password(reference.name))
        version, fault = self._faults.get(_id(identity, reference), ("", None))
        now = _version(metadata)
        return Password(version=now, fault=fault if version == now else None)

    async def learn(self, identity: Identity, *, now: datetime) -> None:
        """Look for a Secret that the watch has not brought yet, before it is believed absent."""
        reference = _reference(identity)
        if reference is None or self._metadata(identity, reference) is not None:
            return
        metadata = await self._api.get_metadata(paths.secret(identity.namespace, reference.name))
        if metadata is not None and formats.is_password(metadata):
            self._store.put_secret(f"{identity.namespace}/{reference.name}", metadata, None, now=now)

    async def read(self, identity: Identity, *, now: datetime) -> Opened | None:
        """Read an identity's password; None where it asks for no stores.

        Raises:
            SpecError: it cannot be used, which is known from then on.
        """
        reference = _reference(identity)
        if reference is None:
            return None
        key = f"{identity.namespace}/{reference.name}"
        body = await self._api.get(paths.secret(identity.namespace, reference.name))
        if body is None:
            self._store.drop_secret(key)
            raise _missing(formats.why_no_password(reference.name))
        self._store.put_secret(key, body["metadata"], None, now=now)
        version = f"{body['metadata']['uid']}/{body['metadata']['resourceVersion']}"
        try:
            password = formats.password_in(body, key=reference.key)
        except ValueError as error:
            self._faults[_id(identity, reference)] = (version, str(error))
            raise _missing(str(error)) from None
        self._faults.pop(_id(identity, reference), None)
        return Opened(version=version, password=password)

    def _metadata(self, identity: Identity, reference: SecretKeyReference) -> SecretMetadata | None:
        record = self._store.secrets.get(f"{identity.namespace}/{reference.name}")
        return record.metadata if isinstance(record, SecretRecord) and record.metadata.is_password else None


def _reference(identity: Identity) -> SecretKeyReference | None:
    stores = identity.spec.formats.pkcs12
    return stores.password_secret_ref if stores else None


def _id(identity: Identity, reference: SecretKeyReference) -> tuple[str, str]:
    return f"{identity.namespace}/{reference.name}", reference.key


def _version(metadata: SecretMetadata) -> str:
    return f"{metadata.uid}/{metadata.resource_version}"


def _missing(message: str) -> SpecError:
    return SpecError(Reason.PASSWORD_MISSING, [Fault(field=formats.PASSWORD_FIELD, message=message)])
