"""Passwords of stores, in Secrets that users have labelled for it: which version there is, and why one cannot be used.

A body is read only when a store is written, and the password is handed out, never kept. What is kept is why one could
not be used, for the version of which that is true.
"""

from __future__ import annotations

from datetime import datetime

from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import SecretKeyReference
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf import passwords
from mutualtls.core.leaf.passwords import PasswordState, StorePassword
from mutualtls.core.leaf.secret import SecretMetadata
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.store.store import Store

_MOST_FAULTS = 1000
"""How many are kept. One that was forgotten is found again when stores are written."""


class Passwords:
    """The passwords that identities name."""

    def __init__(self, api: API, store: Store) -> None:
        self._api = api
        self._store = store
        self._faults: dict[tuple[ObjectKey, str], tuple[str, str]] = {}

    def known(self, identity: Identity) -> PasswordState | None:
        """Tell what is known of an identity's password; None where it asks for no stores."""
        reference = _reference(identity)
        if reference is None:
            return None
        metadata = self._metadata(identity, reference)
        if metadata is None:
            return PasswordState(version="", fault=passwords.why_no_password(reference.name))
        version, fault = self._faults.get(_id(identity, reference), ("", None))
        now = _version(metadata)
        return PasswordState(version=now, fault=fault if version == now else None)

    async def learn(self, identity: Identity, *, now: datetime) -> None:
        """Look for a Secret that the watch has not brought yet, before it is believed absent."""
        reference = _reference(identity)
        if reference is None or self._metadata(identity, reference) is not None:
            return
        metadata = await self._api.get_metadata(paths.secret(identity.namespace, reference.name))
        if metadata is not None and passwords.is_password(metadata):
            self._store.secrets.put(ObjectKey(identity.namespace, reference.name), metadata, None, now=now)

    async def read(self, identity: Identity, *, now: datetime) -> StorePassword | None:
        """Read an identity's password; None where it asks for no stores.

        Raises:
            SpecError: it cannot be used, which is known from then on.
        """
        reference = _reference(identity)
        if reference is None:
            return None
        key = ObjectKey(identity.namespace, reference.name)
        body = await self._api.get(paths.secret(identity.namespace, reference.name))
        if body is None:
            self._store.secrets.drop(key)
            raise _missing(passwords.why_no_password(reference.name))
        self._store.secrets.put(key, body["metadata"], None, now=now)
        version = f"{body['metadata']['uid']}/{body['metadata']['resourceVersion']}"
        try:
            password = passwords.password_in(body, key=reference.key)
        except ValueError as error:
            self._faults[_id(identity, reference)] = (version, str(error))
            if len(self._faults) > _MOST_FAULTS:
                del self._faults[next(iter(self._faults))]
            raise _missing(str(error)) from None
        self._faults.pop(_id(identity, reference), None)
        return StorePassword(version=version, password=password)

    def _metadata(self, identity: Identity, reference: SecretKeyReference) -> SecretMetadata | None:
        record = self._store.secrets.get(ObjectKey(identity.namespace, reference.name))
        return record.metadata if record is not None and record.metadata.is_password else None


def _reference(identity: Identity) -> SecretKeyReference | None:
    """Find the reference; none in a spec that cannot be read just there."""
    stores = identity.spec.formats.pkcs12
    return stores.password_secret_ref if stores and stores.password_secret_ref.name else None


def _id(identity: Identity, reference: SecretKeyReference) -> tuple[ObjectKey, str]:
    return ObjectKey(identity.namespace, reference.name), reference.key


def _version(metadata: SecretMetadata) -> str:
    return f"{metadata.uid}/{metadata.resource_version}"


def _missing(message: str) -> SpecError:
    return SpecError(Reason.PASSWORD_MISSING, [Fault(field=passwords.PASSWORD_FIELD, message=message)])
