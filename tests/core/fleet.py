"""A small fleet: an authority, its identities with their Secrets, and consumers that lag behind within the promise.

What is decided is decided by the real functions: the steps of the authority, what an identity's Secret needs, the times
that stand in it, the rebuilding of a ledger. Leaves are facts without certificates, as nothing here depends on names.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509

from core import builders
from core.builders import MINUTE, NOW, Home, an_identity, observed
from mutualtls.core import desired, facts, generations, issue, phases, progress, recovery, times, trust
from mutualtls.core.authority import Authority, AuthorityStatus, CAStatus, Retire
from mutualtls.core.checks import Action, Known, Observed
from mutualtls.core.errors import AuthorityError
from mutualtls.core.facts import Facts
from mutualtls.core.gates import Carrier, Leaf, Sight, Workload
from mutualtls.core.generations import CAId, Tombstone
from mutualtls.core.identity import Identity, IdentityStatus
from mutualtls.core.issue import CA
from mutualtls.core.ledger import CAGeneration, Ledger, Role, State
from mutualtls.core.orders import Phase, Replace
from mutualtls.core.progress import Progress
from mutualtls.core.recovery import Evidence
from mutualtls.core.status import CertificateStatus
from mutualtls.core.steps import Bury, Hold, Make, Sign, Step, View, Write
from mutualtls.core.trust import Trust

SPEC: Mapping[str, Any] = {
    "leaf": {"duration": "1h", "minDuration": "10m", "maxDuration": "1h"},
    "issuing": {"duration": "48h"},
    "root": {"selfSigned": {"duration": "1000h"}},
    "rotation": {"soak": "30m", "laggardTimeout": "15m"},
}
"""Short lives, so that a rotation takes hours."""


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
    is_restarted: bool = False
    """Whether its consumer is a workload that is listed in `restart`: it reads its files when it is rolled, only."""
    is_stuck: bool = False
    """Whether that workload cannot be rolled."""
    loaded: Files | None = None
    """What its pods have read."""
    rolled: datetime | None = None
    """When the last of them did."""

    @property
    def is_hindered(self) -> bool:
        """Whether something stands in the way of bringing its Secret and its workload up to date."""
        is_rolling = self.is_restarted and self.loaded is not self.files
        return self.is_blocked or self.is_unread or self.is_stuck or is_rolling or self.identity.spec.suspend

    @property
    def files(self) -> Files | None:
        """What is there now."""
        return self.versions[-1] if self.is_there else None

    @property
    def name(self) -> str:
        """As gates name it."""
        return f"secret {self.identity.key}"

    @property
    def workload(self) -> Workload:
        """What is seen of its workload."""
        is_current = self.loaded is self.files
        return Workload(name=f"deployment {self.identity.key}", rolled=self.rolled if is_current else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A first Secret on its way to the API server."""

    member: Member
    files: Files
    sent: datetime


@dataclass(slots=True, kw_only=True)
class Fleet:
    """An authority with all that depends on it, at one time."""

    of: Authority
    now: datetime = NOW
    home: Home = field(default_factory=Home)
    members: dict[str, Member] = field(default_factory=dict)
    offered: Trust | None = None
    """What the operator that runs offers; None while none does."""
    step: Sign | Hold | None = None
    """What the last look ended with."""
    task: phases.Task | None = None
    """What the operator that runs is at."""
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

    # What the operator sees

    def sight(self) -> Sight:
        """What gates look at."""
        carriers, leaves = [], []
        for member in self.members.values():
            if (files := member.files) is None:
                continue
            known = None if member.is_unread else files.facts
            carriers.append(
                Carrier(
                    name=member.name,
                    bundle_hash=known.bundle_hash if known else None,
                    since=known.bundle_since if known else None,
                )
            )
            leaves.append(
                Leaf(
                    secret=member.identity.key,
                    issuer_key_id=known.issuer_key_id if known else None,
                    not_after=known.not_after if known else None,
                    since=known.issuer_since if known else None,
                )
            )
        workloads = (member.workload for member in self.members.values() if member.is_restarted and member.is_there)
        return Sight(carriers=tuple(carriers), leaves=tuple(leaves), workloads=tuple(workloads))

    def evidence(self, known: Ledger | None) -> Evidence:
        """What tells of CAs when the ledger does not, as `custody` gathers it."""
        believed = [(name, self.certificates[self.known[name]]) for name in self.home.secrets if name in self.known]
        believed += [(name, held.certificate) for name, held in self.home.secrets.items() if isinstance(held, CA)]
        told = [((ca.role, ca.number), self.certificates[ca.fingerprint]) for ca in self.of.status.generations]
        claimed: list[x509.Certificate] = []
        if known is None:
            believed += told
        else:
            believed += [
                ((ca.role, ca.number), self.certificates[ca.fingerprint]) for ca in known.generations if ca.fingerprint
            ]
            claimed += [certificate for _, certificate in told]
        read = [member.files for member in self.members.values() if member.files and not member.is_unread]
        leaves: dict[str, datetime] = {}
        for files in read:
            issuer, end = files.facts.issuer_key_id, files.facts.not_after
            leaves[issuer] = max(leaves.get(issuer, end), end)
            claimed += [one for one in self.certificates.values() if issue.key_id(one) == issuer]
            claimed += [self.certificates[root] for root in files.roots]
        held = [ca for _, ca in sorted(self.home.secrets.items()) if isinstance(ca, CA)]
        return Evidence(
            believed=tuple(believed),
            roots=tuple(ca.root for ca in held if ca.root is not None),
            claimed=tuple(claimed),
            with_key=frozenset(name for name, held in self.home.secrets.items() if isinstance(held, CA)),
            buried=frozenset(name for name, held in self.home.secrets.items() if isinstance(held, Tombstone)),
            leaves=leaves,
            bundles=tuple(tuple(self.certificates[root] for root in files.roots) for files in read),
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
        at = phases.standing(self.ledger)
        return at.phase if at else Phase.STABLE

    # What the operator does

    def rebuilt(self) -> Ledger | None:
        """Rebuild the ledger, as the shell does where it does not explain what is there; None where it does."""
        known = self.home.read_ledger()
        is_known = known is not None and recovery.explains(known, self.home.secrets, self.of.status)
        if known is not None and is_known and recovery.unexplained(known, self.home.sight.leaves) is None:
            return None
        evidence = self.evidence(known)
        return None if evidence.is_empty else recovery.rebuilt(self.of, evidence, now=self.now)

    def look(self, *, crash: int | None = None, half: bool = False) -> None:
        """Take steps until there is nothing more to do; or crash before one of them, or half way through it."""
        if self.offered is None:
            self.task = None
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
        """Gather what gates look at, and note when a task is begun."""
        self.home.sight = self.sight()
        if (task := phases.task(self.of, self.ledger)) != self.task:
            self.task, self.home.at_it_since = task, self.now

    def _next_step(self) -> tuple[Step, bool]:
        """Say the next step, and whether it is to write a rebuilt ledger."""
        try:
            if (ledger := self.rebuilt()) is not None:
                return Write(ledger), True
            return self.home.next_step(self.of, now=self.now), False
        except AuthorityError as error:
            return Hold(error.reason, str(error)), False

    def _offer(self, step: Sign | Hold) -> None:
        why_not = (step.reason, step.message) if isinstance(step, Hold) else None
        known = self.home.read_ledger()
        self.step, self.offered = step, trust.of(self.of, known, why_not=why_not)
        if isinstance(step, Hold):
            self.task = None
        if known is None:
            return
        try:
            self.told = progress.of(self.view())
        except AuthorityError:
            return
        told = tuple(_status(ca) for ca in known.generations if ca.fingerprint and ca.state != State.GONE)
        if told != self.of.status.generations:
            status = AuthorityStatus(generations=told, revision=known.revision)
            self.of = msgspec.structs.replace(self.of, status=status)
        if self.phase in _PROMISING:
            self._excuse(self.told.gate.excused)
        if self.phase is Phase.STABLE:
            self._settle_down()

    def _excuse(self, names: tuple[str, ...]) -> None:
        for member in self.members.values():
            if member.name in names or member.workload.name in names:
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

    def _act(self, step: Write | Make | Bury, *, is_rebuilt: bool) -> None:
        if isinstance(step, Write):
            self._note(self.home.read_ledger(), step.ledger, is_rebuilt=is_rebuilt)
        self.home.act(self.of, step, now=self.now)

    def _half(self, step: Write | Make | Bury, *, is_rebuilt: bool) -> None:
        """Crash in the middle: the ledger is written, a key is lost again, a Secret is gone without a tombstone."""
        match step:
            case Write():
                self._act(step, is_rebuilt=is_rebuilt)
            case Make():
                self.home.make(self.of, step, builders.key(builders.P384, 95), now=self.now)
            case Bury():
                self.home.secrets.pop((step.ca.role, step.ca.number), None)

    def _note(self, before: Ledger | None, after: Ledger, *, is_rebuilt: bool) -> None:
        self.walked.append((before, after, is_rebuilt))
        for ca in after.generations:
            if ca.fingerprint:
                self.known[ca.role, ca.number] = ca.fingerprint
                self.certificates[ca.fingerprint] = x509.load_pem_x509_certificate(ca.certificate.encode())
        at, then = (phases.standing(one) if one else None for one in (before, after))
        if at is None or then is None or is_rebuilt:
            return
        if at.phase is Phase.PUBLISHING and then.phase is Phase.SIGNING:
            self.forced |= self._is_forced(at)
        if (at.phase, then.phase) in _GATES:
            self._excuse(phases.gate(self.view()).excused)
        if at.phase is not Phase.STABLE and then.phase is Phase.STABLE:
            self.quiet_since = self.now

    def _is_forced(self, at: phases.Standing) -> bool:
        """Tell whether a gate was opened by a deadline: the root's end, a compromise, or as nothing can sign."""
        ends = at.root.not_after or self.now
        told = [one.by for one in self.ledger.compromised if one.by is not None]
        signing = [ca for ca in (at.root, self.ledger.active(Role.ISSUING)) if ca is not None]
        can_sign = any(isinstance(self.home.secrets.get((ca.role, ca.number)), CA) for ca in signing)
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
        hash_of = desired.metadata_hash(o.wanted.labels, o.wanted.annotations, o.wanted.owner_uid)
        found = Known(files=member.files.facts, metadata_hash=hash_of, verified=self.now, created=NOW)
        return replace(o, found=found)

    def reconcile(self, member: Member) -> None:
        """Do for an identity what is to be done."""
        member.was_hindered = member.is_hindered
        for _ in range(4):
            if self.offered is None or member.is_blocked:
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
        assert generations.fingerprint(self.step.ca.certificate) == by.fingerprint
        made = msgspec.structs.replace(
            _template(),
            names_hash=desired.names_hash(o.wanted.names),
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
        at = phases.standing(self.ledger)
        if at is None or at.other.since is None or self.now <= at.other.since + self.laggards:
            return False
        is_replacing = self.of.spec.rotation.retire is Retire.AFTER_REPLACEMENT or phases.is_hasty(self.ledger)
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

    def _replace_version(self, member: Member) -> None:
        if member.is_there:
            member.versions[-1] = replace(member.versions[-1], replaced=self.now)
        member.versions = list(self.held(member))

    def roll(self, member: Member) -> None:
        """Start the pods of a workload anew where its files have changed, if that can be."""
        if member.is_restarted and not member.is_stuck and member.is_there and member.loaded is not member.files:
            member.loaded, member.rolled = member.files, self.now

    def settle(self) -> None:
        """Look at the authority and at every identity until all has come to rest at this time."""
        for _ in range(4):
            self.look()
            before = [member.files for member in self.members.values()]
            for member in self.members.values():
                self.reconcile(member)
                self.roll(member)
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
        return self.home.recorded((Role.ROOT, number))

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
        self.of = msgspec.structs.replace(self.of, spec=msgspec.structs.replace(self.of.spec, **spec))

    def lose_ledger(self, *, status: bool = False) -> None:
        """Delete the ledger, and perhaps the status, too."""
        self.home.ledger_text, self.offered = None, None
        if status:
            self.of = msgspec.structs.replace(self.of, status=AuthorityStatus())

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
        """List the versions that a consumer may hold who re-reads within the soak and before its leaf ends.

        The pods of a workload hold what they started with.
        """
        if member.loaded is not None:
            return (member.loaded,)
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


@functools.cache
def _template() -> Facts:
    return builders.issued(observed(an_identity()))[0]


@functools.cache
def _roots(pem: bytes) -> frozenset[str]:
    return frozenset(map(generations.fingerprint, recovery.certificates_in(pem)))


def _status(ca: CAGeneration) -> CAStatus:
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
        not_after="",
        renewal_time="",
        issuer_key_id=made.issuer_key_id,
    )
