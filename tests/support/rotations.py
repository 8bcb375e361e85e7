"""Everything that may happen to an authority and three identities, in any order, for days."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mutualtls.core.api.authority_spec import Approval, Retire
from mutualtls.core.api.orders import Approve, Compromise, Replace
from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.ca import ledger, rotation_state
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation import phases
from mutualtls.core.rotation.steps import Sign
from support.builders import DAY, HOUR, MINUTE, SECOND
from support.fleet import FAR, SPEC, Fleet, Late, Member, fleet

NAMES = ("a", "b", "c")
TENANT = "mallory"
"""Who writes what tenants may write, whatever it says."""
NEXT = {
    Phase.STABLE: {Phase.PUBLISHING},
    Phase.PUBLISHING: {Phase.SIGNING, Phase.WITHDRAWING},
    Phase.SIGNING: {Phase.RETIRING, Phase.WITHDRAWING},
    Phase.RETIRING: {Phase.STABLE},
    Phase.WITHDRAWING: {Phase.REMOVING, Phase.PUBLISHING},
    Phase.REMOVING: {Phase.STABLE},
}
"""The table of DESIGN section 5: which phases may follow."""
_ON_THE_WAY = (Phase.PUBLISHING, Phase.SIGNING, Phase.WITHDRAWING)
"""How far a root is being replaced where a walk begins, if not in Stable."""
NEXT_STATES = {
    State.MAKING: {State.PUBLISHED, State.ACTIVE, State.GONE},
    State.PUBLISHED: {State.ACTIVE, State.RETIRING, State.LOST, State.WITHDRAWN},
    State.ACTIVE: {State.RETIRING, State.LOST},
    State.RETIRING: {State.ACTIVE, State.PUBLISHED, State.WITHDRAWN, State.GONE, State.LOST},
    State.WITHDRAWN: {State.GONE},
    State.LOST: {State.GONE, State.WITHDRAWN},
    State.GONE: set(),
}
STEPS = st.sampled_from([SECOND, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE])
SPECS = st.fixed_dictionaries(
    {
        "soak": st.sampled_from(["30m", "5m"]),
        "retire": st.sampled_from(["AfterExpiry", "AfterReplacement"]),
        "approval": st.sampled_from(["Automatic", "Automatic", "Manual"]),
    }
)


class Rotations(RuleBasedStateMachine):
    """One authority, three identities, and everything that may happen to them."""

    fleet: Fleet

    @initialize(
        rotation=SPECS,
        is_tiered=st.sampled_from([True, True, False]),
        root=st.sampled_from(["1000h", "1000h", "48h"]),
        phase=st.sampled_from([Phase.STABLE, *_ON_THE_WAY]),
        hindered=st.sampled_from(["", "", "b", "c"]),
    )
    def begin(
        self,
        rotation: dict[str, Any],
        root: str,
        phase: Phase,
        hindered: str,
        *,
        is_tiered: bool,
    ) -> None:
        """Make the authority, let it sign for three, and go on to a phase, in which one cannot be updated."""
        issuing = {"enabled": is_tiered, "duration": "12h" if root == "48h" else "48h"}
        spec = {**SPEC, "root": {"selfSigned": {"duration": root}}, "issuing": issuing}
        self.fleet = fleet(*NAMES, spec=spec, **rotation)
        self.fleet.add(TENANT)
        self.fleet.settle()
        self._go_on_to(phase, hindered)
        self.backups: list[str] = []
        self.late: list[Late] = []
        self.kept: dict[CAId, CA] = {}

    def _go_on_to(self, last: Phase, hindered: str) -> None:
        """Begin to replace the root, have the new one sign, for one at once, and roll that back, up to a phase."""
        made = self.fleet
        for phase in itertools.takewhile(lambda _: made.phase is not last, _ON_THE_WAY):
            if phase is last and hindered:
                hinder(made.members[hindered], ishindered=True)
            if phase is Phase.PUBLISHING:
                made.rotate()
            elif phase is Phase.SIGNING:
                made.order(approve=Approve(fingerprint=made.root(2).fingerprint, phase=phase))
                made.run_until(phase)
                made.delete(made.members["a"])
            else:
                made.order(roll_back=made.root(2).fingerprint)
            made.settle()

    # Time passes

    @rule(step=STEPS)
    def pass_time(self, step: timedelta) -> None:
        """While the operator runs."""
        self._run(step)

    @rule(hours=st.sampled_from([1, 2, 3]))
    def pass_hours(self, hours: int) -> None:
        """While the operator runs."""
        self._run(hours * HOUR)

    def _run(self, length: timedelta) -> None:
        """Let time pass, and see that all is well at every moment of it."""
        end = self.fleet.now + length
        while self.fleet.now < end:
            self.fleet.run(min(5 * MINUTE, end - self.fleet.now), every=5 * MINUTE)
            self.all_is_well()

    @rule(step=STEPS)
    def be_down(self, step: timedelta) -> None:
        """While no operator runs."""
        self.fleet.offered = None
        self.fleet.now += step

    @rule(after=st.integers(0, 8), half=st.booleans())
    def crash(self, after: int, *, half: bool) -> None:
        """In the middle of a walk."""
        self.fleet.look(crash=after, half=half)

    @precondition(lambda self: self.fleet.offered is not None)
    @rule(name=st.sampled_from(NAMES))
    def reconcile_one(self, name: str) -> None:
        """And not the others."""
        self.fleet.reconcile(self.fleet.members[name])

    # What happens to identities

    @rule(name=st.sampled_from(NAMES), is_blocked=st.booleans())
    def block(self, name: str, *, is_blocked: bool) -> None:
        """Have writes of a Secret refused, or not any more."""
        self.fleet.members[name].is_blocked = is_blocked

    @rule(name=st.sampled_from(NAMES), is_suspended=st.booleans())
    def suspend(self, name: str, *, is_suspended: bool) -> None:
        """Suspend an identity, or not any more."""
        self._suspend(self.fleet.members[name], is_suspended=is_suspended)

    def _suspend(self, member: Member, *, is_suspended: bool) -> None:
        spec = msgspec.structs.replace(member.identity.spec, suspend=is_suspended)
        member.identity = msgspec.structs.replace(member.identity, spec=spec)

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name: str) -> None:
        """Have a Secret not be known at the version that it has; it is read at the next reconciling."""
        self.fleet.members[name].is_unread = True

    @rule(name=st.sampled_from(NAMES))
    def know(self, name: str) -> None:
        """Read a Secret."""
        self.fleet.members[name].is_unread = False

    @precondition(lambda self: self.fleet.offered is not None)
    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        """Delete a Secret. It is healed at once, if that can be."""
        member = self.fleet.members[name]
        if member.is_there:
            self.fleet.delete(member)
            self.fleet.reconcile(member)

    @precondition(lambda self: self.fleet.offered is not None and isinstance(self.fleet.step, Sign))
    @rule()
    def send_late(self) -> None:
        """Have a leader send the first Secret of an identity and be deposed; its successor finds it suspended."""
        name = f"late-{len(self.fleet.members)}"
        self.late.append(self.fleet.send(self.fleet.add(name, suspend=True)))

    @rule()
    def land_late(self) -> None:
        """Have such a request take effect, if it was not lost."""
        while self.late:
            self.fleet.land(self.late.pop())

    @rule(is_tiered=st.booleans())
    def change_tiers(self, *, is_tiered: bool) -> None:
        """Have an issuing CA from now on, or none."""
        self.fleet.change(issuing=msgspec.structs.replace(self.fleet.of.spec.issuing, enabled=is_tiered))

    @rule(retire=st.sampled_from(Retire), approval=st.sampled_from(Approval))
    def change_rotation(self, retire: Retire, approval: Approval) -> None:
        """Ask for rotations of another kind."""
        rotation = self.fleet.of.spec.rotation
        self.fleet.change(rotation=msgspec.structs.replace(rotation, retire=retire, approval=approval))

    # What a tenant does

    @rule(
        bundle=st.sampled_from(["another", None]),
        since=st.sampled_from([None, timedelta(), -DAY, FAR]),
        issuer=st.integers(0, 5),
        end=st.sampled_from([timedelta(), DAY, FAR]),
    )
    def forge(self, bundle: str | None, since: Any, issuer: int, end: Any) -> None:
        """Say of the tenant's own Secret that its bundle or its leaf is any that there is, since and until any time."""
        key_ids = [*self.fleet.cas, "ab"]
        said = {
            "bundle_since": since if since is None or since is FAR else self.fleet.now + since,
            "issuer_key_id": key_ids[issuer % len(key_ids)],
            "not_after": end if end is FAR else self.fleet.now + end,
        }
        offered = self.fleet.offered.bundle_hash if self.fleet.offered is not None else "another"
        self.fleet.forge(self.fleet.members[TENANT], bundle_hash=bundle or offered, **said)

    @rule()
    def forge_no_more(self) -> None:
        """Leave the Secret to the operator, which mends it."""
        self.fleet.members[TENANT].forged = None

    @rule()
    def plant(self) -> None:
        """Put CAs and leaves into Secrets of the tenant's own."""
        self.fleet.plant()

    # What is ordered

    @rule()
    def order_root(self) -> None:
        """As the status says."""
        if (root := self.fleet.ledger.active(Role.ROOT)) is not None:
            self.fleet.order(rotate_root=_replace(self.fleet.ledger, root))

    @rule()
    def order_issuing(self) -> None:
        """As the status says."""
        if (issuing := self.fleet.ledger.active(Role.ISSUING)) is not None:
            self.fleet.order(rotate_issuing=_replace(self.fleet.ledger, issuing))

    @rule(phase=st.sampled_from([Phase.SIGNING, Phase.RETIRING]))
    def approve(self, phase: Phase) -> None:
        """One of the two phases that may be approved."""
        if (at := rotation_state.of(self.fleet.ledger)) is not None:
            self.fleet.order(approve=Approve(fingerprint=at.incoming.fingerprint, phase=phase))

    @rule()
    def roll_back(self) -> None:
        """The incoming root; in Stable the one that signs."""
        if (at := rotation_state.of(self.fleet.ledger)) is not None:
            self.fleet.order(roll_back=at.incoming.fingerprint)

    @rule(which=st.integers(0, 5), by=st.sampled_from([None, None, HOUR, 3 * HOUR]))
    def compromise(self, which: int, by: timedelta | None) -> None:
        """Any CA, with a time or without."""
        known = [ca for ca in self.fleet.ledger.generations if ca.fingerprint]
        if known and len(self.fleet.of.orders.compromised) < 3:
            ca = known[-1 - which % len(known)]
            moment = self.fleet.now + by if by is not None else None
            told = Compromise(fingerprint=ca.fingerprint, by=moment)
            self.fleet.order(compromised=(*self.fleet.of.orders.compromised, told))

    @rule(which=st.integers(0, 2))
    def abandon(self, which: int) -> None:
        """Any root, whether lost or not."""
        roots = [ca for ca in self.fleet.ledger.of(Role.ROOT) if ca.fingerprint]
        if roots:
            order = frozenset({roots[-1 - which % len(roots)].fingerprint})
            self.fleet.order(abandon=self.fleet.of.orders.abandon | order)

    @rule()
    def take_orders_back(self) -> None:
        """All."""
        self.fleet.order(
            rotate_root=None, rotate_issuing=None, approve=None, roll_back=None, abandon=frozenset(), compromised=()
        )

    # What is lost

    @rule(which=st.integers(0, 5))
    def lose_key(self, which: int) -> None:
        """Delete a CA Secret, of which there is a backup, and of which something else tells."""
        told = {name for name, state in self.fleet.home.states().items() if state is not State.MAKING}
        there = [name for name, held in self.fleet.home.secrets.items() if isinstance(held, CA) and name in told]
        if there:
            name = there[-1 - which % len(there)]
            self.kept[name] = self.fleet.home.ca(name)
            self.fleet.home.lose(name)

    @rule()
    def restore_keys(self) -> None:
        """Put all CA Secrets back that were lost and are not in the way."""
        for name, ca in self.kept.items():
            self.fleet.home.secrets.setdefault(name, ca)
        self.kept.clear()

    @precondition(lambda self: not self.kept)
    @rule(status=st.booleans())
    def lose_ledger(self, *, status: bool) -> None:
        """And perhaps the status with it."""
        self.fleet.lose_ledger(status=status)

    @rule()
    def back_up_ledger(self) -> None:
        """To be restored later."""
        if self.fleet.home.ledger_text is not None:
            self.backups.append(self.fleet.home.ledger_text)

    @precondition(lambda self: self.backups and not self.kept)
    @rule(which=st.integers(0, 3), status=st.booleans())
    def restore_ledger(self, which: int, *, status: bool) -> None:
        """From any backup, while nothing is on its way that it could not explain."""
        self.late.clear()
        self.fleet.lose_ledger(status=status)
        self.fleet.home.ledger_text = self.backups[which % len(self.backups)]
        self.fleet.home.ledger_version += 1

    # What always holds

    @invariant()
    def all_is_well(self) -> None:
        """Whatever happens."""
        if hasattr(self, "fleet"):
            self.no_handshake_fails()
            self.what_signs_is_trusted()
            self.no_leaf_outlives_its_ca()
            self.states_move_along_the_table()
            self.no_key_is_made_twice()

    def no_handshake_fails(self) -> None:
        """Between consumers for whom the promise holds."""
        assert [] == list(self.fleet.failed_handshakes())

    def what_signs_is_trusted(self) -> None:
        """Its root is in the bundle that is written with its leaves."""
        if self.fleet.offered is None or not isinstance(self.fleet.step, Sign):
            return
        signer = self.fleet.ledger.signer
        assert signer is not None
        root = self.fleet.ledger.find(Role.ROOT, signer.issuer) if signer.issuer is not None else signer
        assert root is not None
        assert root.certificate.encode() in self.fleet.offered.bundle
        assert root.state is State.ACTIVE

    def no_leaf_outlives_its_ca(self) -> None:
        """Nor what the ledger says of it, as far as the operator knows it."""
        if self.fleet.offered is None:
            return
        known = {ca.key_id: ca for ca in self.fleet.ledger.generations if ca.key_id and ca.state is not State.GONE}
        for member in self.fleet.members.values():
            if member.files is None or member.is_unread or (ca := known.get(member.files.facts.issuer_key_id)) is None:
                continue
            assert ca.not_after is not None
            assert ca.not_after >= member.files.facts.not_after
            assert ledger.covers(ca, member.files.facts.not_after)

    def states_move_along_the_table(self) -> None:
        """And no number is given twice."""
        for before, after, is_rebuilt in self.fleet.walked:
            if before is None or is_rebuilt:
                continue
            _check_states(before, after)
            self.nothing_is_replaced_without_a_reason(before, after)
            at, then = rotation_state.of(before), rotation_state.of(after)
            if at is not None and then is not None and at.phase is not then.phase:
                assert then.phase in NEXT[at.phase], (at.phase, then.phase)
        self.fleet.walked.clear()

    def nothing_is_replaced_without_a_reason(self, before: Ledger, after: Ledger) -> None:
        """Each order is obeyed once, though it stays where it is."""
        root, number = before.active(Role.ROOT), before.next_number(Role.ROOT)
        if root is None or after.find(Role.ROOT, number) is None:
            return
        orders = self.fleet.of.orders
        is_due = self.fleet.now >= phases.automatic_start(self.fleet.of, before, root)
        is_compromised = {one.fingerprint for one in before.compromised} & {ca.fingerprint for ca in before.generations}
        is_ordered = Replace(fingerprint=root.fingerprint, number=number) == orders.rotate_root
        assert is_due or is_compromised or is_ordered or root.fingerprint in orders.abandon

    def no_key_is_made_twice(self) -> None:
        """For one generation."""
        assert len(set(self.fleet.home.made)) == len(self.fleet.home.made)

    # Where it ends

    def teardown(self) -> None:
        """When orders stop and everything can be reached, it comes to rest."""
        if not hasattr(self, "fleet"):
            return
        self.take_orders_back()
        self.restore_keys()
        for member in self.fleet.members.values():
            member.is_blocked, member.is_unread, member.forged = False, False, None
            self._suspend(member, is_suspended=False)
        end = self.fleet.now + 2 * DAY
        while self.fleet.now < end:
            self._run(30 * MINUTE)
            at = rotation_state.of(self.fleet.ledger)
            if at is None:
                break
            if self.fleet.phase is Phase.STABLE and not _rests(self.fleet.ledger):
                continue
            if self.fleet.phase is Phase.STABLE:
                break
            following = Phase.SIGNING if at.phase is Phase.PUBLISHING else Phase.RETIRING
            self.fleet.order(approve=Approve(fingerprint=at.incoming.fingerprint, phase=following))
        assert Phase.STABLE is self.fleet.phase, self.fleet.told
        assert _rests(self.fleet.ledger), self.fleet.home.states()
        assert isinstance(self.fleet.step, Sign), self.fleet.step
        root = self.fleet.ledger.active(Role.ROOT)
        assert root is not None
        assert root.fingerprint not in {one.fingerprint for one in self.fleet.ledger.compromised}
        for member in self.fleet.members.values():
            assert member.files is not None
            assert (frozenset({root.fingerprint}), root.fingerprint) == (member.files.roots, member.files.root)


def hinder(member: Member, *, ishindered: bool) -> None:
    """Have a Secret not be written, or again."""
    member.is_blocked = ishindered


def _replace(known: Ledger, ca: CAGeneration) -> Replace:
    return Replace(fingerprint=ca.fingerprint, number=known.next_number(ca.role))


def _rests(known: Ledger) -> bool:
    """Tell whether nothing is left but what signs."""
    return {State.GONE, State.ACTIVE} >= {ca.state for ca in known.generations}


def _check_states(before: Ledger, after: Ledger) -> None:
    for ca in before.generations:
        then = after.find(ca.role, ca.number)
        assert then is not None
        assert then.state is ca.state or then.state in NEXT_STATES[ca.state], (ca.role, ca.number, ca.state, then.state)
        if ca.fingerprint:
            assert ca.fingerprint == then.fingerprint
        if ca.signs_until is not None:
            assert then.signs_until is not None
            assert then.signs_until >= ca.signs_until
    for ca in after.generations:
        if before.find(ca.role, ca.number) is None:
            assert before.next_number(ca.role) == ca.number


Rotations.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
