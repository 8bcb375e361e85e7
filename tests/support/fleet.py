"""A small fleet: an authority, its identities with their Secrets, and consumers that lag behind within the promise.

What is decided is decided by the real functions: the steps of the authority, what an identity's Secret needs, the times
that stand in it, the rebuilding of a ledger. Leaves are facts without certificates, as nothing here depends on names.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mutualtls.core import times
from mutualtls.core.api import authority as authorities
from mutualtls.core.api.algorithms import Usage
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_spec import Retire
from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.orders import Replace
from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.ca import generations, ledger, offer, readings, recovery, restored, rotation_state
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.ca.offer import Offer
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.ca.restored import Remembered
from mutualtls.core.ca.rollout import Carrier, Leaf, Rollout
from mutualtls.core.errors import AuthorityError
from mutualtls.core.leaf import facts, secret_metadata
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Action, Known, Observed
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.names.names import Names, names_hash
from mutualtls.core.pki import issue, keys
from mutualtls.core.pki.certificates import fingerprint, key_id
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation import gates, progress
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Step, View, Write
from support import builders
from support.builders import HOUR, MINUTE, NOW, Home, an_identity, observed

SPEC: Mapping[str, Any] = {
    "leaf": {"duration": "1h", "minDuration": "10m", "maxDuration": "1h"},
    "issuing": {"duration": "48h"},
    "root": {"selfSigned": {"duration": "1000h"}},
    "rotation": {"soak": "30m", "laggardTimeout": "15m"},
}
"""Short lives, so that a rotation takes hours."""


FAR = times.LATEST - timedelta(seconds=1)
"""The last time that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One version of a Secret, as consumers may have read it."""

    facts: Facts
    roots: frozenset[str]
    """Fingerprints of what is in its bundle."""
    root: str
    """Fingerprint of the root that its leaf is under."""
    replaced: datetime | None = None
    """When another version took its place."""


@dataclass(slots=True, kw_only=True)
class Member:
    """An identity, its Secret, and what its consumers may hold."""

    identity: Identity
    versions: list[Files] = field(default_factory=list)
    """Those that some consumer may still hold, and that which is there last."""
    is_there: bool = False
    is_blocked: bool = False
    """Whether writes of its Secret fail."""
    is_unread: bool = False
    """Whether its Secret is not known at the version that it has."""
    is_outside: bool = False
    """Whether the promise does not hold for it: it was excused, or somebody else writes its Secret."""

    was_hindered: bool = False
    """Whether something stood in the way when it was last reconciled."""
    forged: Facts | None = None
    """What its Secret says as long as its tenant forges it. Nothing is promised to who does."""

    @property
    def is_hindered(self) -> bool:
        """Whether something stands in the way of bringing its Secret up to date."""
        return self.is_blocked or self.is_unread or self.forged is not None or self.identity.spec.suspend

    @property
    def files(self) -> Files | None:
        """What is there now."""
        return self.versions[-1] if self.is_there else None

    @property
    def name(self) -> str:
        """As gates name it."""
        return f"secret {self.identity.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A first Secret on its way to the API server."""

    member: Member
    files: Files
    sent: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """All that a cluster held at one time."""

    home: Home
    of: Authority
    files: Mapping[str, Files | None]
    identities: Mapping[str, Identity]


@dataclass(slots=True, kw_only=True)
class Fleet:
    """An authority with all that depends on it, at one time."""

    of: Authority
    now: datetime = NOW
    home: Home = field(default_factory=Home)
    members: dict[str, Member] = field(default_factory=dict)
    offered: Offer | None = None
    """What the operator that runs offers; None while none does."""
    step: Sign | Hold | None = None
    """What the last look ended with."""
    told: Progress = field(default_factory=Progress)
    walked: list[tuple[Ledger | None, Ledger, bool]] = field(default_factory=list)
    """Each write of the ledger by a step: before, after, and whether it was rebuilt."""
    known: dict[CAId, str] = field(default_factory=dict)
    """Fingerprint of every CA that was ever recorded."""
    forced: bool = False
    """Whether a deadline opened a gate in this rotation, so that nothing is promised until it is over."""
    quiet_since: datetime = NOW
    """When the last rotation was over."""
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    """By fingerprint."""
    cas: dict[str, CA] = field(default_factory=dict)
    """All that ever had a Secret, by key id."""
    planted: list[x509.Certificate] = field(default_factory=list)
    """Certificates of CAs that a tenant has put into Secrets of its own."""
    planted_leaves: list[x509.Certificate] = field(default_factory=list)
    """Leaves that it has put there."""

    # What the operator sees

    def rollout(self) -> Rollout:
        """What gates look at."""
        carriers, leaves = [], []
        for member in self.members.values():
            if (files := member.files) is None:
                continue
            known = None if member.is_unread else member.forged or files.facts
            carriers.append(
                Carrier(
                    name=member.name,
                    bundle_hash=known.bundle_hash if known else None,
                    since=known.bundle_since if known else None,
                )
            )
            leaves.append(
                Leaf(
                    secret=ObjectKey(member.identity.namespace, member.identity.name),
                    issuer_key_id=known.issuer_key_id if known else None,
                    not_after=known.not_after if known else None,
                    since=known.issuer_since if known else None,
                    recorded_end=files.facts.not_after,
                )
            )
        return Rollout(carriers=tuple(carriers), leaves=tuple(leaves))

    def evidence(self, known: Ledger | None) -> Evidence:
        """What tells of CAs when the ledger does not, as `readings` judges it."""
        believed = [(name, self.certificates[self.known[name]]) for name in self.home.secrets if name in self.known]
        believed += [(name, held.certificate) for name, held in self.home.secrets.items() if isinstance(held, CA)]
        told = [(ca.id, self.certificates[ca.fingerprint]) for ca in self.of.status.generations]
        claimed = list(self.planted)
        if known is None:
            believed += told
        else:
            believed += [(ca.id, self.certificates[ca.fingerprint]) for ca in known.generations if ca.fingerprint]
            claimed += [certificate for _, certificate in told]
        read = [member.files for member in self.members.values() if member.files and not member.is_unread]
        for files in read:
            issuer = files.facts.issuer_key_id
            claimed += [one for one in self.certificates.values() if key_id(one) == issuer]
            claimed += [self.certificates[root] for root in files.roots]
        leaves = [sign(self.cas[files.facts.issuer_key_id], files.facts.not_after) for files in read]
        held = [ca for _, ca in sorted(self.home.secrets.items()) if isinstance(ca, CA)]
        marks = [] if known is None else [ledger.mark_of(known)]
        return Evidence(
            believed=tuple(believed),
            roots=tuple(ca.root for ca in held if ca.root is not None),
            claimed=tuple(claimed),
            with_key=frozenset(name for name, held in self.home.secrets.items() if isinstance(held, CA)),
            buried=frozenset(name for name, held in self.home.secrets.items() if isinstance(held, Tombstone)),
            marks=(*marks, *self.home.marks.values(), readings.marked(self.of.status)),
            leaves=(*leaves, *self.planted_leaves),
        )

    def view(self) -> View:
        """All that the next step is decided by, where the ledger explains what is there."""
        self._see()
        return self.home.view(self.of, now=self.now)

    @property
    def ledger(self) -> Ledger:
        """The ledger as it is written."""
        return self.home.read_ledger() or Ledger(authority_uid=self.of.uid)

    @property
    def phase(self) -> Phase:
        """How far the replacing of the root is."""
        at = rotation_state.of(self.ledger)
        return at.phase if at else Phase.STABLE

    # What the operator does

    def rebuilt(self) -> Ledger | None:
        """Rebuild the ledger, as the shell does where it does not explain what is there; None where it does."""
        known = self.home.read_ledger()
        marks = self.home.marks.values()
        is_known = known is not None and recovery.explains(known, self.home.secrets, self.of.status, marks=marks)
        if known is not None and is_known and not self._is_older(known):
            return None
        evidence = self.evidence(known)
        return None if evidence.is_empty else recovery.rebuilt(self.of, evidence, now=self.now)

    def _is_older(self, known: Ledger) -> bool:
        """Tell whether a leaf is really odd: it is read, as anybody may claim so of their own."""
        real = {
            ObjectKey(member.identity.namespace, member.identity.name)
            for member in self.members.values()
            if member.forged is None
        }
        odd = recovery.unexplained(known, self.home.rollout.leaves, most=20)
        return any(leaf.secret in real for _, leaf in odd)

    def look(self, *, crash: int | None = None, half: bool = False) -> None:
        """Take steps until there is nothing more to do; or crash before one of them, or half way through it."""
        if self.offered is None:
            self.home.started, self.home.held_until = self.now, None
        self.offered, self.step = None, None
        for number in range(60):
            self._see()
            step, is_rebuilt = self._next_step()
            if isinstance(step, Sign | Hold):
                self._offer(step)
                return
            if crash == number:
                if half:
                    self._half(step, is_rebuilt=is_rebuilt)
                return
            self._act(step, is_rebuilt=is_rebuilt)
        raise AssertionError("steps without end")

    def _see(self) -> None:
        """Gather what gates look at."""
        self.home.rollout = self.rollout()
        self.cas |= {key_id(ca.certificate): ca for ca in self.home.secrets.values() if isinstance(ca, CA)}

    def _next_step(self) -> tuple[Step, bool]:
        """Say the next step, and whether it is to write a rebuilt ledger."""
        try:
            if (ledger := self.rebuilt()) is not None:
                return Write(ledger), True
            return self.home.next_step(self.of, now=self.now), False
        except AuthorityError as error:
            return Hold(error.reason, str(error)), False

    def _offer(self, step: Sign | Hold) -> None:
        why_not = step if isinstance(step, Hold) else None
        known = self.home.read_ledger()
        self.step, self.offered = step, offer.of(self.of, known, why_not=why_not)
        if isinstance(step, Hold):
            self.home.held_until = self.now
        if known is None:
            return
        try:
            self.told = progress.of(self.view())
        except AuthorityError:
            return
        told = tuple(status_of(ca) for ca in known.generations if ca.fingerprint and ca.state != State.GONE)
        if told != self.of.status.generations:
            status = AuthorityStatus(generations=told, revision=known.revision)
            self.of = msgspec.structs.replace(self.of, status=status)
        if self.phase in _PROMISING:
            self._excuse(self.told.gate.excused)
        if self.phase is Phase.STABLE:
            self._settle_down()

    def _excuse(self, names: tuple[str, ...]) -> None:
        for member in self.members.values():
            if member.name in names:
                assert member.is_hindered or member.was_hindered or self.forced or isinstance(self.step, Hold), (
                    f"excused: {member.name}"
                )
                member.is_outside = True

    def _settle_down(self) -> None:
        """Let the promise hold again for who is up to date for a soak, and for all where a rotation is over."""
        if self.forced and self.now >= self.quiet_since + self.soak:
            self.forced = False
        for member in self.members.values():
            files = member.files
            if files is None or self.offered is None or member.is_blocked:
                continue
            is_good = files.facts.bundle_hash == self.offered.bundle_hash and files.root in files.roots
            member.is_outside &= not (is_good and self.held(member) == (files,))

    def _act(self, step: Write | Note | Make | Bury, *, is_rebuilt: bool) -> None:
        if isinstance(step, Write):
            self._note(self.home.read_ledger(), step.ledger, is_rebuilt=is_rebuilt)
        self.home.act(self.of, step, now=self.now)

    def _half(self, step: Write | Note | Make | Bury, *, is_rebuilt: bool) -> None:
        """Crash in the middle: the ledger is written, a key is lost again, a Secret is gone without a tombstone."""
        match step:
            case Write() | Note():
                self._act(step, is_rebuilt=is_rebuilt)
            case Make():
                self.home.make(self.of, step, builders.key(builders.P384, 95), now=self.now)
            case Bury():
                self.home.secrets.pop(step.ca.id, None)
                self.home.marks.pop(step.ca.id, None)

    def _note(self, before: Ledger | None, after: Ledger, *, is_rebuilt: bool) -> None:
        self.walked.append((before, after, is_rebuilt))
        for ca in after.generations:
            if ca.fingerprint:
                self.known[ca.id] = ca.fingerprint
                self.certificates[ca.fingerprint] = x509.load_pem_x509_certificate(ca.certificate.encode())
        at, then = (rotation_state.of(one) if one else None for one in (before, after))
        if at is None or then is None or is_rebuilt:
            return
        if at.phase is Phase.PUBLISHING and then.phase is Phase.SIGNING:
            self.forced |= self._is_forced(at)
        if (at.phase, then.phase) in _GATES:
            self._excuse(gates.gate(self.view()).excused)
        if at.phase is not Phase.STABLE and then.phase is Phase.STABLE:
            self.quiet_since = self.now

    def _is_forced(self, at: rotation_state.RotationState) -> bool:
        """Tell whether a gate was opened by a deadline: the root's end, a compromise, or as nothing can sign."""
        ends = at.root.not_after or self.now
        told = [one.by for one in self.ledger.compromised if one.by is not None]
        signing = [ca for ca in (at.root, self.ledger.active(Role.ISSUING)) if ca is not None]
        can_sign = any(isinstance(self.home.secrets.get(ca.id), CA) for ca in signing)
        return bool(told) or self.now >= ends - MINUTE or not can_sign

    # What identities do

    def add(self, name: str, **spec: Any) -> Member:
        """Create an identity."""
        member = self.members[name] = Member(identity=an_identity(name, **spec))
        return member

    def observe(self, member: Member) -> Observed:
        """Gather what a decision about an identity rests on."""
        if self.offered is None:
            raise TypeError("no operator runs")
        o = observed(member.identity, trust=self.offered, now=self.now)
        if member.files is None:
            return o
        hash_of = secret_metadata.metadata_hash(o.wanted.labels, o.wanted.annotations, o.wanted.owner_uid)
        found = Known(files=member.files.facts, metadata_hash=hash_of, verified=self.now, created=NOW)
        return replace(o, found=found)

    def reconcile(self, member: Member) -> None:
        """Do for an identity what is to be done."""
        member.was_hindered = member.is_hindered
        for _ in range(4):
            if self.offered is None or member.is_blocked or member.forged is not None:
                return
            o = self.observe(member)
            action = builders.decide(o).action
            if action is Action.NOTHING:
                return
            if action is Action.WRITE_BUNDLE:
                made = msgspec.structs.replace(o.facts, bundle_hash=o.trust.bundle_hash, bundle_since=self.now)
                self.write(member, made)
            else:
                assert action is Action.ISSUE, f"unexpected: {action}"
                self.write(member, self.issue(o, is_first=member.identity.status.certificate is None))
        raise AssertionError("an identity is never settled")

    def issue(self, o: Observed, *, is_first: bool = False) -> Facts:
        """Sign a leaf, after the ledger allows it."""
        if not isinstance(self.step, Sign) or o.trust.signing is None:
            raise TypeError("nothing signs")
        life = times.validity(self.now, o.wanted.duration, within=o.trust.signing.validity)
        by = self.home.recorded(self.home.sign(until=life.not_after, now=self.now))
        assert fingerprint(self.step.ca.certificate) == by.fingerprint
        made = msgspec.structs.replace(
            _template(),
            names_hash=names_hash(o.wanted.names),
            issuer_key_id=by.key_id,
            chain_hash=o.trust.signing.chain_hash,
            not_before=life.not_before,
            not_after=life.not_after,
            bundle_hash=o.trust.bundle_hash,
        )
        return facts.with_times(made, o.facts if o.has_facts else None, now=self.now, is_first=is_first)

    def write(self, member: Member, made: Facts) -> None:
        """Write a Secret."""
        is_same = member.files is not None and member.files.facts.issuer_key_id == made.issuer_key_id
        root = member.files.root if member.files and is_same else self.root_of(made.issuer_key_id)
        roots = _roots(self.offered.bundle) if self.offered else frozenset()
        before = member.files
        self._replace_version(member)
        member.versions.append(Files(facts=made, roots=roots, root=root))
        member.is_there, member.is_unread = True, False
        status = IdentityStatus(certificate=_certificate_status(made))
        member.identity = msgspec.structs.replace(member.identity, status=status)
        member.is_outside |= before is not None and self._is_too_late(before, member.versions[-1])

    def _is_too_late(self, before: Files, after: Files) -> bool:
        """Tell whether files that a phase waited for come when they were excused."""
        at = rotation_state.of(self.ledger)
        if at is None or at.other.since is None or self.now <= at.other.since + self.laggards:
            return False
        is_replacing = self.of.spec.rotation.retire is Retire.AFTER_REPLACEMENT or rotation_state.is_emergency(
            self.ledger
        )
        is_new = at.phase is not Phase.PUBLISHING and is_replacing and before.root != after.root
        return is_new or (at.phase is Phase.PUBLISHING and before.roots != after.roots)

    def send(self, member: Member) -> Late:
        """Send the first Secret of an identity, as a leader does that is deposed then."""
        o = self.observe(member)
        made = self.issue(o, is_first=True)
        files = Files(facts=made, roots=_roots(o.trust.bundle), root=self.root_of(made.issuer_key_id))
        return Late(member=member, files=files, sent=self.now)

    def land(self, late: Late) -> None:
        """Have a Secret that was sent be created, unless there is one or it took longer than the soak."""
        if not late.member.is_there and self.now <= late.sent + self.soak:
            late.member.versions.append(late.files)
            late.member.is_there = True

    def delete(self, member: Member) -> None:
        """Have somebody delete a Secret."""
        self._replace_version(member)
        member.is_there = False

    # What a tenant does

    def forge(self, member: Member, **said: Any) -> None:
        """Have a tenant put what it likes into the annotation of its own Secret, again and again."""
        if member.files is not None:
            member.forged = msgspec.structs.replace(member.files.facts, **said)
            member.is_outside = True

    def plant(self) -> None:
        """Have a tenant put certificates and leaves of all kinds into Secrets of its own.

        A root that says it is ours, others of the name and the key of ours, and leaves that bear the key ids of ours.
        """
        own = builders.other_signer().root.key
        life = times.Validity(not_before=self.now, not_after=FAR)
        unique = generations.unique_name(self.of, Role.ROOT, 9)
        cas = [CA(certificate=ca.certificate, key=own) for ca in self.cas.values()]
        self.planted = [issue.root(own, common_name="x", unique=unique, validity=life)]
        self.planted += [impostor(ca.certificate, own, self.now) for ca in cas]
        self.planted_leaves = [sign(ca, end) for ca in cas for end in (self.now + HOUR, FAR)]

    def _replace_version(self, member: Member) -> None:
        if member.is_there:
            member.versions[-1] = replace(member.versions[-1], replaced=self.now)
        member.versions = list(self.held(member))

    def settle(self) -> None:
        """Look at the authority and at every identity until all has come to rest at this time."""
        for _ in range(4):
            self.look()
            before = [member.files for member in self.members.values()]
            for member in self.members.values():
                self.reconcile(member)
            if before == [member.files for member in self.members.values()]:
                return

    def run(self, length: timedelta, *, every: timedelta = 10 * MINUTE) -> None:
        """Let time pass while the operator runs."""
        end = self.now + length
        while self.now < end:
            self.now = min(self.now + every, end)
            self.settle()

    def run_until(self, phase: Phase, *, within: timedelta = timedelta(hours=100)) -> None:
        """Let time pass until a phase is entered."""
        end = self.now + within
        while self.phase is not phase:
            assert self.now < end, f"phase {phase} is not reached, still {self.phase}: {self.told.gate}"
            self.run(10 * MINUTE)

    # What is ordered and what is lost

    def order(self, **orders: Any) -> None:
        """Put annotations on the authority, by the names of `Orders`; None takes one off."""
        self.of = msgspec.structs.replace(self.of, orders=msgspec.structs.replace(self.of.orders, **orders))

    def root(self, number: int) -> CAGeneration:
        """Read what the ledger says of a root."""
        return self.home.recorded(CAId(Role.ROOT, number))

    def rotate(self) -> None:
        """Order another root, as the status says."""
        root = self.root(max(ca.number for ca in self.ledger.of(Role.ROOT) if ca.state is State.ACTIVE))
        number = self.ledger.next_number(Role.ROOT)
        self.order(rotate_root=Replace(fingerprint=root.fingerprint, number=number))

    def suspend(self, name: str) -> None:
        """Suspend an identity."""
        member = self.members[name]
        spec = msgspec.structs.replace(member.identity.spec, suspend=True)
        member.identity = msgspec.structs.replace(member.identity, spec=spec)

    def states(self, role: Role = Role.ROOT) -> list[State]:
        """List the states of the generations of a role."""
        return [ca.state for ca in self.ledger.of(role)]

    def change(self, **spec: Any) -> None:
        """Change the spec of the authority."""
        compiled = authorities.compiled(msgspec.structs.replace(self.of.spec, **spec))
        self.of = msgspec.structs.replace(self.of, compiled=compiled)

    def lose_ledger(self, *, status: bool = False) -> None:
        """Delete the ledger, and perhaps the status, too."""
        self.home.ledger_text, self.offered = None, None
        if status:
            self.of = msgspec.structs.replace(self.of, status=AuthorityStatus())

    def backup(self) -> Backup:
        """Keep all that the cluster holds."""
        home = copy.copy(self.home)
        home.secrets, home.marks = dict(self.home.secrets), dict(self.home.marks)
        files = {name: member.files for name, member in self.members.items()}
        identities = {name: member.identity for name, member in self.members.items()}
        return Backup(home=home, of=self.of, files=files, identities=identities)

    def put_back(self, backup: Backup) -> None:
        """Put the cluster back to a backup under a running operator, which goes on with what it remembers."""
        remembered = Remembered(ledger=self.ledger, held=self.home.held())
        self.home = copy.copy(backup.home)
        self.home.secrets, self.home.marks = dict(backup.home.secrets), dict(backup.home.marks)
        self.of = msgspec.structs.replace(backup.of, orders=self.of.orders)
        for name, member in self.members.items():
            self._replace_version(member)
            member.is_there = backup.files.get(name) is not None
            if (files := backup.files.get(name)) is not None:
                member.versions.append(replace(files, replaced=None))
            member.identity = backup.identities.get(name, member.identity)
        self.home.secrets |= dict(remembered.missing(self.home.secrets))
        evidence = self.evidence(self.home.read_ledger())
        new = restored.resumed(self.of, evidence, remembered.ledger, now=self.now)
        self._note(self.home.read_ledger(), new, is_rebuilt=True)
        self.home.write_ledger(new)

    # What is promised

    @property
    def soak(self) -> timedelta:
        """How long consumers may take."""
        return times.parse_duration(self.of.spec.rotation.soak)

    @property
    def laggards(self) -> timedelta:
        """How long a rotation waits for what cannot be brought up to date."""
        return times.parse_duration(self.of.spec.rotation.laggard_timeout)

    @property
    def longest(self) -> timedelta:
        """The longest leaf."""
        return times.parse_duration(self.of.spec.leaf.max_duration)

    def held(self, member: Member) -> tuple[Files, ...]:
        """List the versions that a consumer may hold who re-reads within the soak and before its leaf ends."""
        held = (files for files in member.versions if files.replaced is None or self.now < files.replaced + self.soak)
        return tuple(held)

    def root_of(self, key_id: str) -> str:
        """Tell the root of a CA by the CA's key id."""
        known = self.ledger
        by = next(ca for ca in known.generations if ca.key_id == key_id)
        root = known.find(Role.ROOT, by.issuer) if by.issuer is not None else by
        if root is None:
            raise TypeError("a CA without its root")
        return root.fingerprint

    def failed_handshakes(self) -> Iterator[str]:
        """Name all who would not accept one another though the promise holds for both."""
        if self.forced:
            return
        sides = [
            (member.name, files)
            for member in self.members.values()
            if not member.is_outside
            for files in self.held(member)
            if files.facts.not_after > self.now
        ]
        for (verifier, mine), (shower, theirs) in itertools.product(sides, sides):
            if theirs.root not in mine.roots:
                yield f"{verifier} with the bundle of {mine.facts.bundle_since} refuses {shower}"


_GATES = frozenset(
    {(Phase.PUBLISHING, Phase.SIGNING), (Phase.SIGNING, Phase.RETIRING), (Phase.WITHDRAWING, Phase.REMOVING)}
)
_PROMISING = frozenset({Phase.PUBLISHING, Phase.SIGNING, Phase.WITHDRAWING})
"""Phases that excuse those for whom nothing is promised from then on. Later ones only take away what is too much."""


def fleet(*names: str, spec: Mapping[str, Any] = SPEC, **rotation: Any) -> Fleet:
    """An authority that signs, and identities with their files."""
    whole = {**spec, "rotation": {**spec["rotation"], **rotation}}
    made = Fleet(of=builders.authority(**whole))
    for name in names:
        made.add(name)
    made.settle()
    return made


def impostor(of: x509.Certificate, by: keys.PrivateKey, now: datetime) -> x509.Certificate:
    """A certificate with the name and the key of a CA, and other dates, signed by whom you like."""
    builder = (
        x509.CertificateBuilder(of.issuer, of.subject, of.public_key(), 1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
    )
    for extension in of.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(by, hashes.SHA384())


def sign(ca: CA, end: datetime) -> x509.Certificate:
    """Make a leaf of a CA that ends then. All that is ever looked at of it is its signature."""
    life = times.Validity(not_before=end - timedelta(days=1), not_after=end)
    names = Names(dns=("a.shop.svc",))
    return issue.leaf(builders.key().public_key(), ca, names=names, usages=(Usage.CLIENT_AUTH,), validity=life)


@functools.cache
def _template() -> Facts:
    return builders.issued(observed(an_identity()))[0]


@functools.cache
def _roots(pem: bytes) -> frozenset[str]:
    return frozenset(map(fingerprint, readings.certificates_in(pem)))


def status_of(ca: CAGeneration) -> CAStatus:
    """Tell of a CA as the status of its authority does."""
    return CAStatus(
        role=ca.role,
        number=ca.number,
        state=ca.state,
        fingerprint=ca.fingerprint,
        key_id=ca.key_id,
        not_after="",
        certificate=ca.certificate,
    )


def _certificate_status(made: Facts) -> CertificateStatus:
    return CertificateStatus(
        serial_number=made.serial_number,
        fingerprint=made.fingerprint,
        public_key_hash=made.public_key_hash,
        not_before="",
        not_after=times.rfc3339(made.not_after),
        renewal_time="",
        issuer_key_id=made.issuer_key_id,
    )
