"""What the reconciler remembers: how often it mended what, what it said, and whose turn is when."""

from __future__ import annotations

from datetime import datetime

import pytest

from mutualtls.core.leaf.observed import Contest
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.queue.pacing import ReissuePacer, ReissuePacers, Said
from mutualtls.queue.repairs import Repairs
from support.builders import MINUTE, NOW, SECOND

WINDOW = 10 * MINUTE


ORDERS = ObjectKey("shop", "orders")
VERSION = (1, "bundle")
"""Of what is wanted: generation of the identity, hash of the bundle."""


def mended(*moments: datetime) -> Repairs:
    """A memory of repairs of an object."""
    repairs = Repairs(WINDOW)
    for moment in moments:
        repairs.note(ORDERS, VERSION, "helm", moment)
    return repairs


def contest(repairs: Repairs, *, now: datetime, key: ObjectKey = ORDERS, version: object = VERSION) -> Contest | None:
    """Ask whether an object is contested."""
    return repairs.contest(key, version, now)


THREE = (NOW, NOW + MINUTE, NOW + 2 * MINUTE)


@pytest.mark.parametrize(
    ("moments", "is_contest"),
    [
        pytest.param((), False, id="never"),
        pytest.param(THREE[:1], False, id="once"),
        pytest.param(THREE[:2], False, id="twice"),
        pytest.param(THREE, True, id="three times"),
        pytest.param((NOW,) * 3, True, id="three times at once"),
        pytest.param((NOW - 8 * MINUTE, *THREE[1:]), False, id="three times, but not within the window"),
        pytest.param((NOW - 8 * MINUTE + SECOND, *THREE[1:]), True, id="three times, just within the window"),
    ],
)
def test_three_mends_within_the_window_are_a_contest(moments: tuple[datetime, ...], *, is_contest: bool) -> None:
    """The Secret is looked at two minutes from now."""
    assert is_contest is (contest(mended(*moments), now=THREE[2]) is not None)


def test_a_contest_says_who_how_often_and_until_when() -> None:
    """It is over when the first of the three has left the window."""
    repairs = mended(*THREE)

    assert Contest(by="helm", times=3, since=NOW, until=NOW + WINDOW) == contest(repairs, now=THREE[2])


def test_all_who_took_part_are_named() -> None:
    """Each is named once, in order."""
    repairs = Repairs(WINDOW)
    for who in ("kubectl", "argo", "kubectl"):
        repairs.note(ORDERS, VERSION, who, NOW)
    found = contest(repairs, now=NOW)

    assert found is not None
    assert "argo, kubectl" == found.by


@pytest.mark.parametrize(
    ("now", "is_contest"),
    [
        pytest.param(NOW + WINDOW - SECOND, True, id="a second before"),
        pytest.param(NOW + WINDOW, False, id="when it is over"),
        pytest.param(NOW + 10 * WINDOW, False, id="long after"),
    ],
)
def test_a_contest_is_over_when_its_window_is(now: datetime, *, is_contest: bool) -> None:
    """The operator then repairs the Secret again."""
    assert is_contest is (contest(mended(*THREE), now=now) is not None)


def test_a_contest_that_goes_on_is_one_again_after_one_mend() -> None:
    """One is enough as long as two earlier mends are within the window."""
    repairs = mended(*THREE)
    over = NOW + WINDOW
    repairs.note(ORDERS, VERSION, "helm", over)
    found = contest(repairs, now=over)

    assert found is not None
    assert THREE[1] + WINDOW == found.until


@pytest.mark.parametrize(
    "version",
    [pytest.param((2, "bundle"), id="a new spec"), pytest.param((1, "new"), id="a new bundle")],
)
def test_what_is_new_of_ours_ends_a_contest(version: object) -> None:
    """The user did something, or every Secret must get a new root."""
    repairs = mended(*THREE)

    assert contest(repairs, now=THREE[2], version=version) is None
    assert contest(repairs, now=THREE[2]) is not None


def test_a_contest_of_one_is_none_of_another() -> None:
    """Each object has its own."""
    assert contest(mended(*THREE), now=THREE[2], key=ObjectKey("shop", "payments")) is None


def test_who_changes_what_is_wanted_each_time_has_nine_mends() -> None:
    """A new spec ends a contest; one that is written for that, and the Secret overwritten each time, does not."""
    repairs = Repairs(WINDOW)
    for version in range(9):
        assert contest(repairs, now=NOW, version=version) is None
        repairs.note(ORDERS, version, "mallory", NOW)

    assert Contest(by="mallory", times=9, since=NOW, until=NOW + WINDOW) == contest(repairs, now=NOW, version="new")
    assert contest(repairs, now=NOW + WINDOW, version="new") is None


def test_deletions_are_counted_apart() -> None:
    """Nothing tells who deletes."""
    repairs = Repairs(WINDOW)
    for who in (None, "kubectl", None):
        repairs.note(ORDERS, VERSION, who, NOW)

    assert Contest(by="kubectl", times=3, since=NOW, until=NOW + WINDOW, deletions=2) == contest(repairs, now=NOW)


# Pace of re-issues


def waiting(*ends: int) -> ReissuePacer[str]:
    """A pacer for which identities wait whose leaves end after so many minutes, each called by them."""
    pacer: ReissuePacer[str] = ReissuePacer()
    for end in ends:
        assert not pacer.may_start(str(end), NOW + end * MINUTE, NOW)
    return pacer


def test_turns_come_at_a_pace() -> None:
    """There are so many a second, and only who waits has one."""
    pacer = waiting(*range(100))

    assert [0, 25, 25, 50, 0] == [
        len(pacer.release(NOW + seconds * SECOND, per_second=50)) for seconds in (0, 0.5, 1, 2, 3)
    ]
    assert pacer.is_over


def test_whose_leaf_ends_soonest_comes_first() -> None:
    """It does not matter who asked before, or who waits already."""
    pacer = waiting(3, 1, 2)
    first = pacer.release(NOW + SECOND, per_second=1)
    pacer.may_start("0", NOW, NOW + SECOND)

    assert ["1"] == first
    assert ["0", "2"] == pacer.release(NOW + 2 * SECOND, per_second=2)


def test_a_turn_is_had_until_it_is_done() -> None:
    """What fails can then be tried again; who comes again waits again."""
    pacer = waiting(1)
    pacer.release(NOW + SECOND, per_second=1)

    assert [True, True] == [pacer.may_start("1", NOW + MINUTE, NOW + SECOND) for _ in range(2)]
    pacer.done("1")
    assert not pacer.may_start("1", NOW + MINUTE, NOW + SECOND)


def test_a_turn_that_is_taken_back_has_to_be_waited_for_again() -> None:
    """What failed with many others in an outage is paced after it as well."""
    pacer = waiting(1, 2)
    pacer.release(NOW + SECOND, per_second=1)
    pacer.recall()

    assert not pacer.may_start("1", NOW + MINUTE, NOW + SECOND)
    assert ["1", "2"] == pacer.release(NOW + 3 * SECOND, per_second=2)


def test_who_needs_no_turn_any_more_takes_none() -> None:
    """It was renewed meanwhile, say."""
    pacer = waiting(1, 2)
    pacer.done("1")

    assert ["2"] == pacer.release(NOW + SECOND, per_second=1)
    assert pacer.is_over


def test_who_comes_again_for_another_leaf_stands_where_that_one_ends() -> None:
    """The end of the leaf before does not count."""
    pacer = waiting(1, 2)
    pacer.done("1")
    pacer.may_start("1", NOW + 3 * MINUTE, NOW)

    assert ["2", "1"] == pacer.release(NOW + SECOND, per_second=2)


@pytest.mark.parametrize("idle", [pytest.param(False, id="somebody waits"), pytest.param(True, id="nobody waits")])
def test_turns_are_not_saved_up(*, idle: bool) -> None:
    """A minute later no more than a second's are given at once."""
    pacer = waiting() if idle else waiting(0)
    later = NOW + MINUTE
    for number in range(1, 5):
        pacer.may_start(str(number), NOW + number * MINUTE, later if idle else NOW)

    assert (0 if idle else 2) == len(pacer.release(later, per_second=2))
    assert 2 == len(pacer.release(later + SECOND, per_second=2))


def test_each_authority_has_a_pace_of_its_own() -> None:
    """Its identities are released at it, until none of them waits, is gone, or the authority is."""
    pacers = ReissuePacers()
    for authority, name in (("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")):
        assert not pacers.may_start(authority, ObjectKey("n", name), end=NOW + MINUTE, now=NOW)
    first = pacers.release("a", NOW + SECOND, per_second=1)
    pacers.forget(ObjectKey("n", "2"))

    assert ([ObjectKey("n", "1")], NOW + 2 * SECOND) == first
    assert ([], None) == pacers.release("a", NOW + 2 * SECOND, per_second=1)
    assert ([ObjectKey("n", "3"), ObjectKey("n", "4")], None) == pacers.release("b", NOW + SECOND, per_second=2)
    assert pacers.may_start("b", ObjectKey("n", "3"), end=NOW + MINUTE, now=NOW)
    pacers.done("b", ObjectKey("n", "3"))
    assert not pacers.may_start("b", ObjectKey("n", "3"), end=NOW + MINUTE, now=NOW)
    for name in ("a", "b"):
        pacers.forget_authority(name)
    assert 0 == pacers.held


# What was said


def test_the_same_is_said_once_in_a_while() -> None:
    """The next time it also says how often it was left out."""
    said = Said(WINDOW)
    moments = (NOW, NOW + SECOND, NOW + 2 * SECOND, NOW + WINDOW, NOW + WINDOW + SECOND)

    assert [0, None, None, 2, None] == [said.left_out(ORDERS, "NotPermitted", moment) for moment in moments]


def test_another_reason_or_identity_is_said_at_once() -> None:
    """What was said of others does not matter."""
    said = Said(WINDOW)
    said.left_out(ORDERS, "NotPermitted", NOW)

    assert 0 == said.left_out(ORDERS, "InvalidSpec", NOW)
    assert 0 == said.left_out(ObjectKey("shop", "payments"), "NotPermitted", NOW)


# What is kept


def test_what_comes_and_goes_leaves_nothing() -> None:
    """Nothing is left of what is said to be gone, or was here long ago."""
    repairs, said, pacer = Repairs(WINDOW), Said(WINDOW), waiting(0)
    for number in range(9000):
        key = ObjectKey("shop", str(number))
        repairs.note(key, VERSION, "helm", NOW)
        said.left_out(key, "NotPermitted", NOW)
        pacer.may_start(str(key), NOW + number * SECOND, NOW)
        said.forget(key)
        pacer.done(str(key))
    repairs.note(ORDERS, VERSION, "helm", NOW)
    said.left_out(ORDERS, "NotPermitted", NOW)
    kept = said.held
    for one in (repairs, said):
        one.sweep(NOW + WINDOW)

    assert (1, 0, 0) == (kept, repairs.held, said.held)
    assert pacer.held < 100


def test_a_sweep_leaves_what_still_counts() -> None:
    """A contest goes on, and what was said is not said again."""
    repairs, said = mended(*THREE), Said(WINDOW)
    said.left_out(ORDERS, "NotPermitted", NOW)
    for one in (repairs, said):
        one.sweep(NOW + WINDOW - SECOND)

    assert contest(repairs, now=THREE[2]) is not None
    assert said.left_out(ORDERS, "NotPermitted", NOW + WINDOW - SECOND) is None
