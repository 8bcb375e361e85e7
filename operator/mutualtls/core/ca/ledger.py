"""The ledger of an authority: every CA generation, its state and certificate, kept in one ConfigMap.

It is what an operator knows after a restart. One write to it, with its resourceVersion, is one step of the state
machine in `rotation`, made before the act that the step allows. Nothing in it is secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from mutualtls.core import bounded, times
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import TRUSTED, CAId, Role, State
from mutualtls.core.errors import UnreadableError

_LONGEST = 2 * 1024 * 1024
"""Of the text, in characters: more than a ConfigMap holds."""


class CAGeneration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One CA key pair and certificate. All but role, number and state is empty while it is being made."""

    role: Role
    number: int
    state: State
    issuer: int | None = None
    """Number of the root that signed it; None for a root."""
    fingerprint: str = ""
    """SHA-256 of the certificate's DER, lower-case hex."""
    key_id: str = ""
    """Subject key identifier, lower-case hex."""
    not_before: times.Moment | None = None
    not_after: times.Moment | None = None
    certificate: str = ""
    """PEM."""
    signs_until: times.Moment | None = None
    """No leaf of this CA ends later. Moved before a leaf is signed."""
    since: times.Moment | None = None
    """When it came into its state."""
    chain: str = ""
    """PEM of the intermediates between it and its root, where it is an outside one."""
    is_outside: bool = False
    """Whether it was copied from `root.secretRef`."""
    is_keyless: bool = False
    """Whether it is an outside root whose key is not to be in the cluster."""

    @property
    def id(self) -> CAId:
        """Its role and number."""
        return CAId(self.role, self.number)


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a phase has to bring about. Whatever lags is excused some time after the task was started."""

    number: int
    since: datetime | None = None
    """Of the root that comes or goes: one that comes again is another task."""
    is_replacing: bool = False
    """Whether leaves are replaced, too."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """All CA generations of one authority, in the order in which they were announced."""

    authority_uid: str
    """For people. Nothing here reads it, but the release before reads no ledger without it."""
    version: int = 1
    """Version of this format."""
    revision: int = 0
    """Grows with every write. The status tells it, too: one that is behind the status was restored from a backup."""
    generations: tuple[CAGeneration, ...] = ()
    is_automatic: bool = True
    """Whether a root is replaced when its time comes; not after a roll-back, until the next order."""
    compromised: tuple[Compromise, ...] = ()
    additional_roots: dict[str, str] = msgspec.field(default_factory=dict)
    """PEM of roots of others that are trusted as well, by `NAME/KEY` of the ConfigMap that it was copied from."""
    task: Task | None = None
    """What is being brought about. None in Stable."""
    task_started_at: datetime | None = msgspec.field(default=None, name="taskSince")
    """When that was started: a restart of the operator does not start it again."""

    def of(self, role: Role) -> tuple[CAGeneration, ...]:
        """List the generations of a role, oldest first."""
        return tuple(ca for ca in self.generations if ca.role == role)

    def under(self, root: CAGeneration) -> tuple[CAGeneration, ...]:
        """List the issuing CAs under a root, oldest first."""
        return tuple(ca for ca in self.of(Role.ISSUING) if ca.issuer == root.number)

    def active(self, role: Role) -> CAGeneration | None:
        """Find the generation of a role that signs."""
        return next((ca for ca in self.of(role) if ca.state == State.ACTIVE), None)

    @property
    def signer(self) -> CAGeneration | None:
        """The generation that signs leaves: the issuing CA, or without one the root."""
        return self.active(Role.ISSUING) or self.active(Role.ROOT)

    def find(self, role: Role, number: int) -> CAGeneration | None:
        """Find one generation."""
        return next((ca for ca in self.of(role) if ca.number == number), None)

    def next_number(self, role: Role) -> int:
        """Tell the number of the next generation. No number is ever used twice."""
        return max((ca.number for ca in self.of(role)), default=0) + 1

    def put(self, ca: CAGeneration) -> Ledger:
        """Return this ledger with `ca` in place of the generation of its role and number, or added at the end."""
        if self.find(ca.role, ca.number) is None:
            return msgspec.structs.replace(self, generations=(*self.generations, ca))
        generations = tuple(ca if old.id == ca.id else old for old in self.generations)
        return msgspec.structs.replace(self, generations=generations)


def trusted_roots(ledger: Ledger) -> tuple[str, ...]:
    """List the PEM of every root that must be trusted now.

    Roots of others stay in the bundle as long as the spec names them; not so a root of ours that was taken out: another
    cluster, which trusts our whole bundle, offers it to us again with its own.
    """
    own = (ca.certificate for ca in ledger.of(Role.ROOT) if ca.state in TRUSTED and ca.certificate)
    taken_out = [ca.certificate for ca in ledger.of(Role.ROOT) if ca.certificate and _is_taken_out(ledger, ca)]
    others = (_without(pem, taken_out) for pem in ledger.additional_roots.values())
    return (*own, *filter(None, others))


def with_additional_roots(ledger: Ledger, read: Mapping[str, str | None]) -> Ledger:
    """Return this ledger with the additional roots that were read, by `NAME/KEY`.

    Where those of a place could not be read (None), the ones of before stay. A place that is not read any more goes.
    """
    before = ledger.additional_roots
    after = {place: pem or before[place] for place, pem in read.items() if pem or place in before}
    return msgspec.structs.replace(ledger, additional_roots=after)


def compromises(ledger: Ledger, root: CAGeneration) -> list[Compromise]:
    """List what is noted of a root and of the issuing CAs under it: all are out of trust when the root is."""
    under = {ca.fingerprint for ca in ledger.under(root)}
    return [one for one in ledger.compromised if one.fingerprint in under | {root.fingerprint}]


def _is_taken_out(ledger: Ledger, root: CAGeneration) -> bool:
    """Tell whether a root must not be trusted, whoever offers it.

    One of an outside PKI may still be needed there when it signs nothing here any more. Where the spec names it, it is
    trusted, unless it is compromised, or an intermediate under it is.
    """
    if root.state in TRUSTED:
        return False
    return bool(compromises(ledger, root)) or not root.is_outside


def _without(pem: str, taken_out: Iterable[str]) -> str:
    """Leave certificates out of PEM. All that a ledger holds was written by `issue.to_pem`, so text is compared."""
    for one in taken_out:
        pem = pem.replace(one, "")
    return pem


class MarkedRoot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One root in a mark."""

    number: int
    fingerprint: str
    state: State
    has_signed: bool = False
    """Of one that is published: whether it signed before."""


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """How far the replacing of a root was, as it stands in the annotation of CA Secrets, should the ledger be lost.

    It is written after the ledger and before anything that the step allows. The newest one counts.
    """

    revision: int
    """Of the ledger that it was taken from."""
    roots: tuple[MarkedRoot, ...] = ()
    is_automatic: bool = True
    compromised: tuple[Compromise, ...] = ()

    def says_as(self, other: Mark) -> bool:
        """Whether it says the same, whenever."""
        return msgspec.structs.replace(self, revision=other.revision) == other


def mark_of(ledger: Ledger) -> Mark:
    """Take from a ledger what cannot be told from the CAs themselves. What is being made is told by its Secret."""
    return Mark(
        revision=ledger.revision,
        roots=tuple(
            MarkedRoot(
                number=root.number,
                fingerprint=root.fingerprint,
                state=root.state,
                has_signed=root.state == State.PUBLISHED and root.signs_until is not None,
            )
            for root in ledger.of(Role.ROOT)
            if root.fingerprint
        ),
        is_automatic=ledger.is_automatic,
        compromised=ledger.compromised,
    )


def read_mark(text: str) -> Mark | None:
    """Read the annotation of a CA Secret; None where there is none that can be read."""
    try:
        return bounded.decode(text, Mark, longest=_LONGEST)
    except UnreadableError:
        return None


def covers(ca: CAGeneration, not_after: datetime) -> bool:
    """Tell whether a leaf that ends at `not_after` may be signed under the ledger as it is."""
    return ca.signs_until is not None and not_after <= ca.signs_until


def extended(ledger: Ledger, ca: CAGeneration, *, now: datetime, not_after: datetime) -> Ledger:
    """Return the ledger that allows leaves of `ca` up to `not_after` and a little more.

    The tenth of the life (10 s at least) that is added lets one write serve many leaves.
    """
    slack = max((not_after - now) / 10, timedelta(seconds=10))
    until = times.whole(min(not_after + slack, ca.not_after or not_after))
    moved = ledger.put(msgspec.structs.replace(ca, signs_until=until))
    root = moved.find(Role.ROOT, ca.issuer) if ca.issuer is not None else None
    if root is None or covers(root, until):
        return moved
    return moved.put(msgspec.structs.replace(root, signs_until=until))


def encode(ledger: Ledger) -> str:
    """Write the ledger as the JSON text that its ConfigMap holds."""
    return msgspec.json.format(msgspec.json.encode(ledger), indent=1).decode()


def decode(text: str) -> Ledger:
    """Read what `encode` wrote.

    Raises:
        UnreadableError: the text is no ledger, or one of a later version.
    """
    try:
        ledger = bounded.decode(text, Ledger, longest=_LONGEST)
    except UnreadableError as error:
        raise UnreadableError(f"not a ledger: {error}") from None
    if ledger.version != 1:
        raise UnreadableError(f"written by a later version of the operator: ledger version {ledger.version}")
    return ledger
