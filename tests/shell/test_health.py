"""Health tells the truth: waiting, in trouble, silent, deaf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from mutualtls.process.health import Health
from support.builders import MINUTE, NOW, SECOND


@dataclass(slots=True)
class Clock:
    """A clock that is set by hand."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


def health(
    *, heard: timedelta | None = None, started: bool = True, trouble: str | None = None, deaf: str | None = None
) -> Health:
    """An operator that heard something so long ago."""
    last = {} if heard is None else {"secrets": NOW - heard}
    lost = {} if trouble is None else {"secrets": trouble}
    return Health(clock=Clock(), started=started, heard=last, lost=lost, deaf=deaf)


SILENT = "the watch of secrets is stalled: it has sent nothing for a long time, not even a bookmark"
WAITS = "the operator waits for the cluster"


@pytest.mark.parametrize(
    ("of", "healthy", "ready"),
    [
        pytest.param(health(heard=SECOND), None, None, id="well"),
        pytest.param(health(started=False), None, WAITS, id="waits for what it watches"),
        pytest.param(health(started=False, heard=SECOND), None, WAITS, id="heard, and not started"),
        pytest.param(health(), None, WAITS, id="started, and nothing was heard yet"),
        pytest.param(health(started=False, trouble="no CRD"), None, "no CRD", id="waits, and it is known why"),
        pytest.param(health(heard=SECOND, trouble="refused"), None, "refused", id="in trouble"),
        pytest.param(health(heard=3 * MINUTE), None, None, id="quiet"),
        pytest.param(health(heard=3 * MINUTE + SECOND), SILENT, SILENT, id="silent"),
        pytest.param(
            health(heard=9 * MINUTE, trouble="refused"), None, "refused", id="silent, as the API server is not there"
        ),
        pytest.param(health(heard=SECOND, deaf="a Secret"), "a Secret", "a Secret", id="deaf"),
        pytest.param(health(heard=9 * MINUTE, deaf="a Secret"), "a Secret", "a Secret", id="deaf and silent"),
        pytest.param(health(heard=SECOND, deaf="a Secret", trouble="x"), "a Secret", "x", id="deaf and in trouble"),
    ],
)
def test_what_health_says(of: Health, healthy: str | None, ready: str | None) -> None:
    """A restart helps against deafness alone; traffic waits for all."""
    assert (healthy, ready) == (of.why_not_healthy(), of.why_not_ready())


def test_hearing_ends_trouble_and_silence() -> None:
    """Every sign of life does so."""
    clock = Clock()
    of = Health(clock=clock, started=True, heard={"secrets": NOW - MINUTE}, lost={"secrets": "refused"})
    clock.now = NOW + 9 * MINUTE
    of.hear("secrets")

    assert (None, {}, clock.now) == (of.why_not_ready(), of.lost, of.heard["secrets"])


def test_silence_grows_with_time() -> None:
    """Nothing need happen for it."""
    clock = Clock()
    of = Health(clock=clock, started=True)
    of.hear("secrets")

    assert of.why_not_ready() is None
    clock.now += 3 * MINUTE + SECOND
    assert SILENT == of.why_not_ready()


def test_hearing_does_not_end_deafness() -> None:
    """What a watch did not tell it may never tell."""
    of = health(deaf="a Secret")
    of.hear("secrets")

    assert "a Secret" == of.why_not_healthy()


def test_one_watch_that_goes_on_does_not_hide_that_another_is_silent() -> None:
    """Each is asked for itself."""
    of = Health(clock=Clock(), started=True, heard={"secrets": NOW - 9 * MINUTE, "configmaps": NOW})

    assert of.why_not_healthy() == SILENT


def test_one_watch_that_goes_on_does_not_hide_that_another_cannot() -> None:
    """Traffic waits for both."""
    of = Health(clock=Clock(), started=True)
    of.hear("secrets")
    of.lose("configmaps", "forbidden")
    of.hear("secrets")

    assert of.why_not_ready() == "forbidden"


# Who leads


def test_a_standby_is_ready_and_says_for_whom() -> None:
    """It serves nobody, but would at once."""
    of = Health(clock=Clock(), started=True, heard={"secrets": NOW}, standby_of=lambda: "another_1")

    assert (None, "ok: standby, another_1 leads") == (of.why_not_ready(), of.standing())


def test_it_is_not_ready_while_it_neither_leads_nor_stands_by() -> None:
    """A restart would not help."""
    why = "the Lease is about to be taken"
    of = Health(clock=Clock(), started=True, heard={"secrets": NOW}, why_no_leader=lambda: why)

    assert (why, None) == (of.why_not_ready(), of.why_not_healthy())


def test_all_is_listed_once_the_last_list_has_come() -> None:
    """Lists that come before it has begun to follow all do not count as all."""
    of = Health(clock=Clock())
    of.follow("secrets")
    of.list_ended("secrets")
    of.follow("identities")
    of.started = True
    before = of.listed.is_set()
    of.list_ended("identities")

    assert (False, True) == (before, of.listed.is_set())


# Each way to be deaf


def following(*watches: str) -> tuple[Health, Clock]:
    """An operator that has just begun to follow."""
    clock = Clock()
    of = Health(clock=clock, started=True)
    for watch in watches:
        of.follow(watch)
    return of, clock


FIRST = "the first list of secrets has not come"


def test_it_is_not_ready_before_all_was_listed() -> None:
    """What was not seen may well be there. A bookmark of another watch is no list."""
    of, clock = following("secrets", "identities")
    of.list_ended("identities")
    of.hear("secrets")

    assert (FIRST, None) == (of.why_not_ready(), of.why_not_healthy())
    clock.now += 3 * MINUTE
    of.list_ended("identities")
    of.list_ended("secrets")
    assert of.why_not_ready() is None


def test_a_first_list_that_never_comes_is_deafness() -> None:
    """This holds if the API server answers: a restart may help."""
    of, clock = following("secrets", "identities")
    clock.now += 5 * MINUTE + SECOND
    of.list_ended("identities")
    of.hear("secrets")

    assert f"{FIRST}, though the API server answers" == of.why_not_healthy()


@pytest.mark.parametrize("trouble", ["lost", "waits_for", "lacks"])
def test_a_first_list_that_cannot_come_is_no_deafness(trouble: str) -> None:
    """It is known why, and a new start would not help."""
    of, clock = following("secrets")
    if trouble == "lost":
        of.lose("secrets", "refused")
    else:
        setattr(of, trouble, "refused")
    clock.now += 9 * MINUTE

    assert (None, "refused") == (of.why_not_healthy(), of.why_not_ready())


def test_the_time_in_which_the_api_server_was_away_is_nobodys_silence() -> None:
    """Others come back a little later than the first that does."""
    of, clock = following()
    of.hear("secrets")
    of.hear("identities")
    of.lose("secrets", "no answer")
    clock.now += 9 * MINUTE
    of.hear("secrets")

    assert of.why_not_healthy() is None
    clock.now += 3 * MINUTE + SECOND
    of.hear("secrets")
    assert (
        "the watch of identities is stalled: it has sent nothing for a long time, not even a bookmark"
        == of.why_not_healthy()
    )


def test_what_is_not_served_is_not_waited_for() -> None:
    """Its silence does not matter, either."""
    of, clock = following("secrets", "clustertrustbundles")
    of.hear("clustertrustbundles")
    of.lose("clustertrustbundles", "not found")
    of.unfollow("clustertrustbundles")
    clock.now += 9 * MINUTE
    of.list_ended("secrets")

    assert of.why_not_ready() is None


def test_a_lost_right_is_no_reason_to_start_again() -> None:
    """It is one not to be ready."""
    of, _ = following()
    of.hear("secrets")
    of.lacks = "the account may not patch secrets"

    assert ("the account may not patch secrets", None) == (of.why_not_ready(), of.why_not_healthy())


def test_a_task_that_fails_once_is_no_reason_to_start_again() -> None:
    """One that cannot be begun again is."""
    of, _ = following()
    of.hear("secrets")
    of.fail("census", "it fails")

    assert ("it fails", None) == (of.why_not_ready(), of.why_not_healthy())
    for _ in range(5):
        of.fail("census", "it fails")
    assert ("it fails", "it fails") == (of.why_not_ready(), of.why_not_healthy())
    of.recover("census")
    assert of.why_not_ready() is None
