"""What is looked at when something changes."""

from __future__ import annotations

from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.agenda import Agenda, Key, Priority
from mutualtls.store.store import Store


class Wakes:
    """Puts on the agenda what depends on something that changed; nothing before this operator leads."""

    def __init__(self, store: Store, agenda: Agenda, *, namespace: str) -> None:
        """`namespace` is that of the CAs."""
        self._store = store
        self._agenda = agenda
        self._namespace = namespace
        self._has_begun = False

    def begin(self) -> None:
        """Have everything looked at, and from now on whatever changes: this operator leads.

        Identities come soonest end first, as what was due while no operator led is made at once where it is urgent.
        """
        self._has_begun = True
        self.authorities()
        for key in self._store.identities.soonest_end_first(self._store.identities):
            self.identity(key)
        for namespace in ("", *self._store.namespaces):
            self._copies(namespace)

    def identity(self, key: ObjectKey) -> None:
        """Have an identity looked at, also one that is gone: what was kept of it is forgotten then."""
        self._put(Key.identity(key))

    def authority(self, name: str) -> None:
        """Have an authority looked at, also one that is gone: its identities learn that from the look."""
        self._put(Key.authority(name), Priority.FIRST)

    def authorities(self) -> None:
        """Have all authorities looked at."""
        for name in self._store.authorities:
            self.authority(name)

    def namespace(self, name: str) -> None:
        """Have all looked at that depends on the labels of a namespace."""
        for key in self._store.identities.of_namespace(name):
            self.identity(key)
        self._copies(name)

    def secret(self, key: ObjectKey) -> None:
        """Have all looked at that depends on a Secret: identities, for files or password, or the authority of a CA."""
        of_ca = labels.parse_ca_secret_name(key.name)
        if of_ca is not None and key.namespace == self._namespace and of_ca[0] in self._store.authorities:
            self.authority(of_ca[0])
        for identity in self._store.identities.of_secret(key):
            self.identity(identity)
        for identity in self._store.identities.of_password(key):
            self.identity(identity)

    def copy(self, key: ObjectKey) -> None:
        """Have a copy of a bundle looked at, for whatever authority it may be."""
        self._copies(key.namespace)

    def _copies(self, namespace: str) -> None:
        """Have all copies of bundles in a namespace looked at; those without one for the namespace ""."""
        for name in self._store.authorities:
            self._put(Key.bundle(name, namespace))

    def _put(self, key: Key, priority: Priority = Priority.CHANGE) -> None:
        if self._has_begun:
            self._agenda.put(key, priority=priority)
