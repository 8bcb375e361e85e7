"""Who may take the Lease, and when a write may begin: with clocks that are handed in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core.errors import NotLeadingError
from mutualtls.kube.fence import Fence
from mutualtls.leading import lease
from mutualtls.leading.election import Election, Move
from mutualtls.leading.lease import Lease, Record

DURATION = 15
WALL = datetime(2026, 12, 1, tzinfo=UTC)
OTHER = Record(holder="other", duration_s=DURATION, acquired="a", renewed="a", transitions=3)


def a_lease(record: Record = OTHER, *, version: int = 7) -> Lease:
    """A Lease as the API server would answer it."""
    return lease.parse(lease.manifest("pki", record) | {"metadata": {"uid": "u", "resourceVersion": str(version)}})


def candidate(*seen: tuple[float, Lease | None]) -> Election:
    """A candidate that read this, at these times."""
    election = Election("me", duration_s=DURATION)
    for now, found in seen:
        election.saw(found, now=now)
    return election


def leader(*, sent: float = 0, version: int = 10) -> Election:
    """One that holds the Lease since then."""
    election = candidate((sent, None))
    record = lease.held("me", None, duration_s=DURATION, now=WALL)
    election.wrote(a_lease(record, version=version), sent=sent)
    return election


# A standby


def test_a_lease_that_nobody_wrote_is_created_at_once() -> None:
    """The first operator of a namespace need not wait."""
    assert Move.CREATE is candidate((0, None)).next_move(now=0)


def test_a_held_lease_is_free_a_full_duration_after_it_was_last_seen_to_change() -> None:
    """Whatever times it says: they are of another clock."""
    for renewed in ("1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "nonsense"):
        election = candidate((100, a_lease(replace(OTHER, renewed=renewed))))
        assert Move.WAIT is election.next_move(now=114.9)
        assert Move.REPLACE is election.next_move(now=115)


def test_a_renewal_begins_the_wait_again_and_another_write_does_not() -> None:
    """Only what the record says counts: an annotation of somebody else keeps nobody in office."""
    renewed = replace(OTHER, renewed="b")
    election = candidate((0, a_lease()), (10, a_lease(renewed)), (20, a_lease(renewed, version=99)))

    assert Move.WAIT is election.next_move(now=24.9)
    assert Move.REPLACE is election.next_move(now=25)


def test_a_released_lease_is_free_at_once() -> None:
    """The one who held it has ended in order."""
    released = lease.released(OTHER, now=WALL)

    assert Move.REPLACE is candidate((0, a_lease()), (1, a_lease(released))).next_move(now=1)


def test_a_lease_that_was_deleted_is_waited_for() -> None:
    """Its holder may not know yet."""
    election = candidate((0, a_lease()), (10, None), (12, None))

    assert Move.WAIT is election.next_move(now=24.9)
    assert Move.CREATE is election.next_move(now=25)


@pytest.mark.parametrize("duration_s", [60, 0, -5])
def test_the_longer_duration_counts(duration_s: int) -> None:
    """The holder may be set otherwise; somebody may have written nonsense."""
    election = candidate((0, a_lease(replace(OTHER, duration_s=duration_s))))

    assert max(duration_s, DURATION) == election.free_at


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(None, id="none"),
        pytest.param([1], id="a list"),
        pytest.param({"holderIdentity": 7, "leaseDurationSeconds": "x", "leaseTransitions": True}, id="other types"),
        pytest.param({"holderIdentity": None}, id="null"),
    ],
)
def test_a_lease_that_cannot_be_read_is_nobodys(spec: object) -> None:
    """It can be taken over, and what is not ours in it stays."""
    found = lease.parse({"metadata": {"resourceVersion": "1"}, "spec": spec})

    assert ("", 0, 0) == (found.record.holder, found.record.duration_s, found.record.transitions)


def test_taking_counts_as_a_transition_and_renewing_does_not() -> None:
    """As client-go counts."""
    taken = lease.held("me", OTHER, duration_s=DURATION, now=WALL)
    renewed = lease.held("me", taken, duration_s=DURATION, now=WALL.replace(hour=1))

    assert (4, 4) == (taken.transitions, renewed.transitions)
    assert taken.acquired == renewed.acquired
    assert ("2026-12-01T00:00:00.000000Z", "2026-12-01T01:00:00.000000Z") == (taken.renewed, renewed.renewed)


# The leader


def test_a_leader_renews_however_late_it_is_while_the_lease_says_its_name() -> None:
    """Nobody else can have led meanwhile."""
    election = leader()

    assert Move.REPLACE is election.next_move(now=1000)


@pytest.mark.parametrize("found", [OTHER, replace(OTHER, holder="")], ids=["another", "nobody"])
def test_a_leader_yields_to_whoever_wrote_later(found: Record) -> None:
    """Even where nobody holds it any more: somebody may have."""
    election = leader(version=10)
    election.saw(a_lease(found, version=11), now=1)

    assert Move.YIELD is election.next_move(now=1)


def test_a_leader_does_not_yield_to_a_backup() -> None:
    """The version of what etcd was put back to is below that of its own write."""
    election = leader(version=10)
    election.saw(a_lease(OTHER, version=4), now=1)

    assert Move.REPLACE is election.next_move(now=1)


def test_a_deleted_lease_is_created_again_only_while_it_would_last() -> None:
    """Afterwards, another may have created and lost it."""
    election = leader(sent=0)
    election.saw(None, now=14)

    assert Move.CREATE is election.next_move(now=14)
    assert Move.YIELD is election.next_move(now=15)


# The fence


@dataclass(slots=True)
class Clock:
    """A clock that is set by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_no_write_begins_with_less_of_the_lease_left_than_it_may_take() -> None:
    """Its timeout is what is left less a margin, and at most what is set; from the deadline on there is none."""
    clock = Clock()
    fence = Fence(longest_s=10, least_left_s=5, clock=clock)
    with pytest.raises(NotLeadingError):
        fence.seconds()
    fence.hold(clock.now + DURATION)
    told = []
    for clock.now in (1000.0, 1003.5, 1009.9, 1010.0):
        told.append((fence.seconds(), fence.is_open))

    assert [(10, True), (10, True), (4, True), (4, True)] == told
    clock.now = 1010.1
    assert not fence.is_open
    with pytest.raises(NotLeadingError, match="not renewed"):
        fence.seconds()


def test_a_fence_that_was_closed_stays_so() -> None:
    """Until the Lease is held again."""
    clock = Clock()
    fence = Fence(longest_s=10, least_left_s=5, clock=clock)
    fence.hold(clock.now + DURATION)
    fence.close()

    assert not fence.is_open


def test_it_is_known_since_when_a_fence_is_open_again() -> None:
    """A renewal in time opens nothing, nor does the first: what was not written before was never tried."""
    clock = Clock()
    fence = Fence(longest_s=10, least_left_s=5, clock=clock)
    reopened = []
    for clock.now in (1000.0, 1009.0, 1020.0, 1027.0, 1028.0):
        if clock.now != 1028.0:
            fence.hold(clock.now + DURATION)
        reopened.append(fence.reopened_s)

    assert [None, None, 0.0, 7.0, 8.0] == reopened


# All together


@dataclass(slots=True)
class Server:
    """The API server with one Lease, and who held it, as somebody with the right time sees it."""

    lease: Lease | None = None
    version: int = 1
    ends: dict[str, float] = field(default_factory=dict)
    """When each holder lets no write begin any more."""

    def put(self, known: Lease | None, record: Record) -> Lease | None:
        """Write, if the Lease is as it is known. None: it is not."""
        if (known and known.version) != (self.lease and self.lease.version):
            return None
        self.version += 1
        self.lease = a_lease(record, version=self.version)
        return self.lease


@dataclass(slots=True)
class Candidate:
    """One candidate, with a clock of its own."""

    name: str
    offset: float
    election: Election = field(init=False)
    is_deposed: bool = False

    def __post_init__(self) -> None:
        self.election = Election(self.name, duration_s=DURATION)

    def step(self, server: Server, now: float, *, delay: float, is_lost: bool) -> float:
        """Read, decide, write; the write takes effect `delay` later, and its answer may be lost. Return the time."""
        election, mine = self.election, now + self.offset
        election.saw(server.lease, now=mine)
        move = election.next_move(now=mine)
        if move is Move.YIELD:
            self.is_deposed = True
            election.resigned()
        if move in {Move.WAIT, Move.YIELD}:
            return now
        record = lease.held(self.name, election.record, duration_s=DURATION, now=WALL + timedelta(seconds=now))
        others = [end for name, end in server.ends.items() if name != self.name]
        written = server.put(election.lease if move is Move.REPLACE else None, record)
        if written is not None:
            assert all(end <= now + delay for end in others), "two lead at once"
            if not is_lost:
                election.wrote(written, sent=mine)
                server.ends[self.name] = now + DURATION
        return now + delay


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # who
        st.sampled_from([0.1, 1.0, 5.0, 14.0, 16.0, 100.0]),  # how much later
        st.sampled_from([0.0, 0.5, 20.0]),  # how long the write is under way
        st.booleans(),  # whether the answer is lost
        st.sampled_from(["step"] * 8 + ["release"]),
    ),
    max_size=60,
)


@given(STEPS, st.lists(st.sampled_from([0.0, -1e6, 3600.0]), min_size=3, max_size=3))
def test_two_never_lead_at_once(steps: list[tuple[int, float, float, bool, str]], offsets: list[float]) -> None:
    """Whoever is suspended or cut off, whichever answers are lost, whatever clocks say.

    A Lease that is deleted has tests of its own: a process that begins meanwhile cannot know that there was one.
    """
    server, now = Server(), 1.0
    candidates = [Candidate(f"candidate-{number}", offset) for number, offset in enumerate(offsets)]
    for one in candidates:
        now = one.step(server, now, delay=0.0, is_lost=False)
    for who, later, delay, is_lost, what in steps:
        now += later
        one = candidates[who]
        if what == "release" and one.election.leads:
            if server.put(one.election.lease, lease.released(OTHER, now=WALL)) is not None:
                server.ends[one.name] = now
            one.is_deposed = True
        if one.is_deposed:  # as when kubelet starts it again
            candidates[who] = one = Candidate(f"{one.name}'", one.offset)
            one.election.saw(server.lease, now=now + one.offset)
        now = one.step(server, now, delay=delay, is_lost=is_lost)
