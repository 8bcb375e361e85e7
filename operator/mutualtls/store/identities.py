"""The identities that are known, also by what they depend on: authority, namespace, Secret, password."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mutualtls.core.api import identity
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.store.index import Index
from mutualtls.store.versioned import Resources


class Identities(Resources[ObjectKey, Identity]):
    """Identities by key. Each is in an index for everything that it depends on."""

    def __init__(self, *, held: Callable[[ObjectKey], None] = lambda _: None) -> None:
        """`held` is called with the key of the Secret of each identity that is taken in."""
        super().__init__()
        self._held = held
        self._by_authority: Index = Index()
        self._by_namespace: Index = Index()
        self._by_secret: Index = Index()
        """Of those alone whose Secret has another name than by default."""
        self._by_password: Index = Index()

    def note(self, body: dict[str, Any]) -> Identity | None:
        """Take in an identity. None: nothing changed that it is worked on for, as when it is known at this version."""
        new = identity.parse(body)
        if self.is_known(new.key, new.resource_version):
            return None
        old = self.get(new.key)
        is_echo = old is not None and msgspec.structs.replace(old, resource_version=new.resource_version) == new
        self.hold(new.key, new)
        return None if is_echo else new

    def expect_status(self, known: Identity, status: IdentityStatus, *, instead_of: IdentityStatus) -> None:
        """Take in a status that is about to be written, so that its echo is no news even when it overtakes the answer.

        Where the write fails, it is taken back by the same way. Whatever the watch brought meanwhile counts more.
        """
        old = self.get(known.key)
        if old is not None and old.uid == known.uid and old.status == instead_of:
            self.hold(known.key, msgspec.structs.replace(old, status=status))

    def of_authority(self, name: str) -> tuple[ObjectKey, ...]:
        """Keys of the identities that name an authority."""
        return self._by_authority.of(name)

    def soonest_end_first(self, keys: Iterable[ObjectKey]) -> list[ObjectKey]:
        """Sort keys by the end of the certificate that the status records; first those without one."""
        return sorted(keys, key=self._recorded_end)

    def _recorded_end(self, key: ObjectKey) -> str:
        known = self.get(key)
        return known.status.certificate.not_after if known and known.status.certificate else ""

    def of_namespace(self, name: str) -> tuple[ObjectKey, ...]:
        """Keys of the identities in a namespace."""
        return self._by_namespace.of(name)

    def count_in_namespace(self, name: str) -> int:
        """Count the identities in a namespace."""
        return self._by_namespace.count(name)

    def of_secret(self, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """Keys of the identities whose files belong into a Secret: one, or several that contend for it."""
        default = self._of_secret_by_default(key)
        named = self._by_secret.of(key)
        return named if default is None else (default, *named)

    def of_password(self, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """Keys of the identities that name a Secret as the password of their stores."""
        return self._by_password.of(key)

    def is_named(self, secret_key: ObjectKey) -> bool:
        """Whether any of them names a Secret, for its files or its password."""
        is_default = self._of_secret_by_default(secret_key) is not None
        return is_default or secret_key in self._by_secret or secret_key in self._by_password

    def hold(self, key: ObjectKey, new: Identity | None) -> None:
        """Hold an identity where it is to be found. A status may move it, too: one whose spec cannot be read."""
        old = self.get(key)
        super().hold(key, new)
        self._place(key, old, new)
        if new is not None:
            self._held(secret_key(new))

    def _place(self, key: ObjectKey, old: Identity | None, new: Identity | None) -> None:
        """Have the indexes say where an identity is to be found."""
        before, now = (self._places(one) if one is not None else [] for one in (old, new))
        if before == now:
            return
        for index, name in before:
            index.discard(name, key)
        for index, name in now:
            index.add(name, key)

    def _of_secret_by_default(self, secret: ObjectKey) -> ObjectKey | None:
        """Find the identity whose name, by default, is that of a Secret, and that asks for that Secret."""
        key = identity.key_by_default(secret)
        of = self.get(key) if key is not None else None
        return key if of is not None and secret_key(of) == secret else None

    def _places(self, of: Identity) -> list[tuple[Index, str | ObjectKey]]:
        """List in which index, and there under which name, an identity is to be found."""
        found: list[tuple[Index, str | ObjectKey]] = [
            (self._by_authority, of.authority),
            (self._by_namespace, of.namespace),
        ]
        secret, password = secret_key(of), password_key(of)
        if identity.key_by_default(secret) != of.key:
            found.append((self._by_secret, secret))
        if password is not None:
            found.append((self._by_password, password))
        return found


def secret_key(of: Identity) -> ObjectKey:
    """Key of the Secret that an identity asks for."""
    return ObjectKey(of.namespace, of.secret_name)


def password_key(of: Identity) -> ObjectKey | None:
    """Key of the Secret that holds the password of an identity's stores; None where it has none."""
    stores = of.spec.formats.pkcs12
    return ObjectKey(of.namespace, stores.password_secret_ref.name) if stores else None
