"""The cluster is put back to a backup under a running operator, which goes on with what it remembers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import msgspec
import pytest

from mutualtls.core.api.states import Phase, Role, State
from mutualtls.core.ca import rotation_state
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.pki.issue import CA
from support.builders import HOUR, MINUTE
from support.fleet import Backup, Fleet, fleet
from support.phases import entered


def _replaced(made: Fleet) -> Iterator[None]:
    """A root is replaced."""
    yield
    made.rotate()
    for phase in (Phase.PUBLISHING, Phase.SIGNING, Phase.STABLE):
        made.run_until(phase)
        yield


def _rolled_back(made: Fleet) -> Iterator[None]:
    """A root is rolled back that has signed."""
    yield
    made.rotate()
    made.run_until(Phase.SIGNING)
    made.delete(made.members["a"])
    made.settle()
    yield
    made.order(rotate_root=None, roll_back=made.root(2).fingerprint)
    for phase in (Phase.WITHDRAWING, Phase.STABLE):
        made.run_until(phase)
        yield


def _reissued(made: Fleet) -> Iterator[None]:
    """Issuing CAs are replaced, one after the other."""
    for number in (1, 2, 3):
        while made.ledger.next_number(Role.ISSUING) <= number:
            made.run(HOUR)
        yield


STORIES = {_replaced: 4, _rolled_back: 4, _reissued: 3}
"""Each with the number of moments at which a backup is made."""
CASES = [
    pytest.param(story, then, now, id=f"{(story.__doc__ or '').rstrip('.')}: {now} to {then}")
    for story, moments in STORIES.items()
    for then, now in itertools.combinations(range(moments), 2)
]


@pytest.mark.parametrize(("story", "then", "now"), CASES)
def test_nothing_is_lost_and_nobody_is_refused(story: Callable[[Fleet], Iterator[None]], then: int, now: int) -> None:
    """Numbers, keys and `signsUntil` are kept, and from a soak on all handshakes succeed, to the end of the story."""
    made = fleet("a", "b")
    backups: list[Backup] = []
    for number, _ in enumerate(story(made)):
        backups.append(made.backup())
        if number == now:
            break
    remembered, before = made.ledger, made.home.held()
    made.run(5 * MINUTE)
    made.put_back(backups[then])

    _keeps(made.ledger, remembered)
    _keeps(made.ledger, backups[then].home.read_ledger())
    assert {name for name, held in before.items() if isinstance(held, CA)} <= _with_key(made)
    _is_as_in(backups[then], made)
    made.settle()
    made.run(made.soak)
    made.order(rotate_root=None)
    entered(made, Phase.STABLE)
    assert 1 == sum(root.state is State.ACTIVE for root in made.ledger.of(Role.ROOT))


def _keeps(now: Ledger, before: Ledger | None) -> None:
    """See that a ledger knows all that another one did: no number is used twice, no leaf outlives what is told."""
    assert before is not None
    for ca in before.generations:
        found = now.find(ca.role, ca.number)
        assert found is not None
        assert ca.fingerprint == found.fingerprint or ca.state is State.MAKING
        if ca.signs_until is not None and found.state is not State.GONE:
            assert found.signs_until is not None
            assert ca.signs_until <= found.signs_until


def _with_key(made: Fleet) -> set[tuple[Role, int]]:
    return {name for name, held in made.home.secrets.items() if isinstance(held, CA)}


def _is_as_in(backup: Backup, made: Fleet) -> None:
    """See that the root signs that did in the backup: all bundles that were put back hold it."""
    then = backup.home.read_ledger()
    at = rotation_state.of(made.ledger)
    assert then is not None
    before = rotation_state.of(then)
    assert at is not None
    assert before is not None
    assert before.root.number == at.root.number


def test_a_root_that_was_rolled_back_does_not_come_again() -> None:
    """Its leaves are outlived, as before: nobody has ordered it a second time."""
    made = fleet("a", "b")
    story = _rolled_back(made)
    next(story)
    backup = made.backup()
    while made.phase is not Phase.WITHDRAWING:
        next(story)
    made.order(rotate_root=None, roll_back=None)
    made.put_back(backup)

    assert Phase.WITHDRAWING is made.phase
    assert [State.ACTIVE, State.RETIRING] == made.states()


def test_a_leaf_that_was_longer_than_the_spec_allows_now_is_outlived() -> None:
    """What is remembered counts, where it says more than the longest leaf of now."""
    made = fleet("a", "b")
    backup = made.backup()
    active = made.ledger.signer
    assert active is not None
    long_after = made.now + 5 * made.longest
    made.home.write_ledger(made.ledger.put(msgspec.structs.replace(active, signs_until=long_after)))
    made.put_back(backup)

    after = made.ledger.signer
    assert after is not None
    assert long_after == after.signs_until
