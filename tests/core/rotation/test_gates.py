"""What opens a gate: everything is done, or excused, and the soak has passed since the last of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mutualtls.core.ca.rollout import Carrier, Leaf, Rollout
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.rotation import gates
from mutualtls.core.rotation.gates import Deadline, Gate, Patience
from support.builders import HOUR, MINUTE, NOW, SECOND

SOAK, EXCUSE = 4 * HOUR, HOUR
PATIENCE = Patience(since=NOW, soak=SOAK, excuse=NOW + EXCUSE)
OLD, NEW = "of the old root", "of the new root"


def carriers(*hashes: str | None, since: datetime | None = None) -> Rollout:
    """Secrets with bundles."""
    made = (Carrier(name=f"secret shop/{number}", bundle_hash=one, since=since) for number, one in enumerate(hashes))
    return Rollout(carriers=tuple(made))


def leaves(*issuers: str | None, since: datetime | None = None, end: datetime | None = NOW + 9 * HOUR) -> Rollout:
    """Secrets with leaves."""
    made = (
        Leaf(secret=ObjectKey("shop", str(number)), issuer_key_id=issuer, not_after=end, since=since)
        for number, issuer in enumerate(issuers)
    )
    return Rollout(leaves=tuple(made))


# A new bundle


PUBLISHED = [
    pytest.param(Rollout(), SOAK, id="nothing carries it"),
    pytest.param(carriers(NEW), SOAK, id="it was made with it"),
    pytest.param(carriers(NEW, since=NOW - HOUR), SOAK, id="it was written before the phase began"),
    pytest.param(carriers(NEW, since=NOW + MINUTE), MINUTE + SOAK, id="it was written a minute after"),
    pytest.param(carriers(NEW, since=NOW + 3 * HOUR), EXCUSE + SOAK, id="it is written again and again"),
    pytest.param(carriers(NEW, OLD), SOAK, id="one is excused"),
]


@pytest.mark.parametrize(("rollout", "opens"), PUBLISHED)
def test_a_new_bundle_is_published(rollout: Rollout, opens: timedelta) -> None:
    """The soak counts from the last write that brought it, or from when the phase began."""
    before, then = (gates.published(rollout, NEW, PATIENCE, now=NOW + opens - less) for less in (SECOND, 0 * SECOND))

    assert (False, True) == (before.is_open, then.is_open)
    assert NOW + opens == before.until


@pytest.mark.parametrize(
    "rollout",
    [
        pytest.param(carriers(OLD), id="another bundle"),
        pytest.param(carriers(None), id="one that is not known"),
        pytest.param(carriers(OLD, since=NOW), id="another bundle that was just written"),
    ],
)
def test_what_lags_is_named_and_then_excused(rollout: Rollout) -> None:
    """Its name is told in either case."""
    before = gates.published(rollout, NEW, PATIENCE, now=NOW + EXCUSE - SECOND)
    then = gates.published(rollout, NEW, PATIENCE, now=NOW + EXCUSE)

    assert (("secret shop/0",), ()) == (before.laggards, before.excused)
    assert ((), ("secret shop/0",)) == (then.laggards, then.excused)
    assert (False, NOW + EXCUSE) == (before.is_open, before.until)
    assert (False, NOW + SOAK) == (then.is_open, then.until)


AT_ONCE = Deadline(at=NOW + MINUTE, why="root 1 ends")


def test_a_gate_opens_at_the_latest_at_its_deadline() -> None:
    """The gate then skips whatever is not done."""
    hasty = replace(PATIENCE, latest=AT_ONCE)

    assert not gates.published(carriers(OLD), NEW, hasty, now=NOW + MINUTE - SECOND).is_open
    assert Gate(is_open=True, excused=("secret shop/0",), forced="root 1 ends") == gates.published(
        carriers(OLD), NEW, hasty, now=NOW + MINUTE
    )


def test_a_deadline_for_laggards_leaves_the_soak() -> None:
    """They are excused as if their time had come."""
    hasty = replace(PATIENCE, deadline=AT_ONCE)
    before, then, opened = (
        gates.published(carriers(OLD), NEW, hasty, now=NOW + after) for after in (MINUTE - SECOND, MINUTE, SOAK)
    )

    assert (NOW + MINUTE, ("secret shop/0",)) == (before.until, before.laggards)
    assert (NOW + SOAK, ("secret shop/0",), "root 1 ends") == (then.until, then.excused, then.forced)
    assert (True, ()) == (opened.is_open, opened.laggards)


@pytest.mark.parametrize(
    ("rollout", "patience", "after"),
    [
        pytest.param(carriers(NEW), replace(PATIENCE, latest=AT_ONCE), SOAK, id="the soak has passed, too"),
        pytest.param(carriers(OLD), replace(PATIENCE, deadline=AT_ONCE), SOAK, id="excused by now, too"),
        pytest.param(carriers(NEW), replace(PATIENCE, deadline=AT_ONCE), MINUTE, id="nobody lags"),
        pytest.param(carriers(OLD), PATIENCE, SOAK, id="no deadline"),
    ],
)
def test_what_would_have_opened_anyway_is_not_forced(rollout: Rollout, patience: Patience, after: timedelta) -> None:
    """Nobody is told of a deadline that changed nothing."""
    assert "" == gates.published(rollout, NEW, patience, now=NOW + after).forced


# Leaves


REPLACED = [
    pytest.param(leaves("b"), SOAK, id="there never was another"),
    pytest.param(leaves("b", since=NOW + MINUTE), MINUTE + SOAK, id="it was replaced"),
    pytest.param(leaves("b", "a", since=NOW + MINUTE), MINUTE + SOAK, id="one is excused"),
    pytest.param(leaves("a", end=NOW + MINUTE), SOAK, id="the old one has ended"),
]


@pytest.mark.parametrize(("rollout", "opens"), REPLACED)
def test_leaves_are_replaced(rollout: Rollout, opens: timedelta) -> None:
    """The soak counts from the last of them."""
    before, then = (
        gates.replaced(rollout, {"a"}, PATIENCE, root="root 1", now=NOW + opens - less) for less in (SECOND, 0 * SECOND)
    )

    assert (False, True) == (before.is_open, then.is_open)


@pytest.mark.parametrize(
    ("rollout", "lags"),
    [
        pytest.param(leaves("a"), True, id="of the old CA"),
        pytest.param(leaves(None, end=None), True, id="not known"),
        pytest.param(leaves("b"), False, id="of the new CA"),
        pytest.param(leaves("a", end=NOW), False, id="ended"),
        pytest.param(leaves("a", end=NOW + SECOND), True, id="about to end"),
    ],
)
def test_which_leaves_lag(rollout: Rollout, *, lags: bool) -> None:
    """All leaves do that live, or may."""
    assert (("secret shop/0",) if lags else ()) == gates.replaced(
        rollout, {"a"}, PATIENCE, root="root 1", now=NOW
    ).laggards


# A root that goes, and time


@pytest.mark.parametrize(
    ("rollout", "after", "found"),
    [
        pytest.param(carriers(NEW), MINUTE, Gate(is_open=True), id="all done"),
        pytest.param(
            carriers(NEW, OLD),
            MINUTE,
            Gate(
                is_open=False,
                waits_for="waits until no bundle holds root 1 (1 of 2 left)",
                laggards=("secret shop/1",),
                until=NOW + EXCUSE,
            ),
            id="one lags",
        ),
        pytest.param(carriers(OLD), EXCUSE, Gate(is_open=True, excused=("secret shop/0",)), id="one is excused"),
    ],
)
def test_a_root_is_out_of_every_bundle(rollout: Rollout, after: timedelta, found: Gate) -> None:
    """No soak follows: trusting too much for a while fails no handshake."""
    assert found == gates.removed(rollout, NEW, PATIENCE, root="root 1", now=NOW + after)


@pytest.mark.parametrize(
    ("now", "gate"),
    [
        pytest.param(NOW - SECOND, Gate(is_open=False, waits_for="that", until=NOW), id="before"),
        pytest.param(NOW, Gate(is_open=True), id="then"),
    ],
)
def test_a_moment_passes(now: datetime, gate: Gate) -> None:
    """The moment is over as soon as its time is there."""
    assert gate == gates.passed(NOW, "that", now=now)
