"""Durations, validity, and when a leaf is renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mutualtls.core import times
from mutualtls.core.times import Validity
from support.builders import DAY, HOUR, MINUTE, NOW, SECOND

LIFE = Validity(not_before=NOW - times.BACKDATE, not_after=NOW + 24 * HOUR)
CA_LIFE = Validity(not_before=NOW - 2 * MINUTE, not_after=NOW + 10 * HOUR)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        pytest.param("24h", DAY, id="hours"),
        pytest.param("90m", 90 * MINUTE, id="minutes beyond an hour"),
        pytest.param("45s", 45 * SECOND, id="seconds"),
        pytest.param("1h30m", 90 * MINUTE, id="hours and minutes"),
        pytest.param("1h2m3s", HOUR + 2 * MINUTE + 3 * SECOND, id="all three"),
        pytest.param("1h3s", HOUR + 3 * SECOND, id="no minutes"),
        pytest.param("0s", timedelta(), id="zero"),
        pytest.param("87600h", 3650 * DAY, id="ten years"),
    ],
)
def test_durations_are_read(text: str, duration: timedelta) -> None:
    """A duration has hours, minutes and seconds, each at most once and in this order."""
    assert duration == times.parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("1d", id="days"),
        pytest.param("24", id="no unit"),
        pytest.param("1m1h", id="wrong order"),
        pytest.param("1.5h", id="fraction"),
        pytest.param("-1h", id="negative"),
        pytest.param("1h ", id="trailing blank"),
        pytest.param("1h\n", id="trailing newline"),
        pytest.param("100000h", id="six digits"),
        pytest.param("h", id="unit alone"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message has the text, so that its writer finds it."""
    with pytest.raises(ValueError, match="not a duration such as 24h or 1h30m: ") as error:
        times.parse_duration(text)

    assert str(error.value).endswith(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        pytest.param(DAY, "24h", id="hours alone"),
        pytest.param(90 * MINUTE, "1h30m", id="hours and minutes"),
        pytest.param(61 * SECOND, "1m1s", id="minutes and seconds"),
        pytest.param(timedelta(), "0s", id="zero is not empty"),
        pytest.param(timedelta(seconds=1, microseconds=900_000), "1s", id="fractions are cut"),
    ],
)
def test_durations_are_written(duration: timedelta, text: str) -> None:
    """They have the form that is read, without parts that are zero."""
    assert text == times.format_duration(duration)


def test_moments_are_written_in_utc_without_fractions() -> None:
    """The API server writes them this way; the zone of the input does not matter."""
    moment = datetime(2026, 1, 2, 4, 4, 5, 999_999, tzinfo=timezone(HOUR))

    assert times.rfc3339(moment) == "2026-01-02T03:04:05Z"
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == times.from_rfc3339(times.rfc3339(moment))


@pytest.mark.parametrize(
    ("duration", "within", "life"),
    [
        pytest.param(24 * HOUR, None, LIFE, id="alone"),
        pytest.param(HOUR, CA_LIFE, Validity(not_before=CA_LIFE.not_before, not_after=NOW + HOUR), id="CA is young"),
        pytest.param(24 * HOUR, CA_LIFE, CA_LIFE, id="CA is young and ends earlier"),
        pytest.param(
            10 * HOUR,
            Validity(not_before=NOW - DAY, not_after=NOW + 10 * HOUR),
            Validity(not_before=NOW - times.BACKDATE, not_after=NOW + 10 * HOUR),
            id="ends with its CA",
        ),
    ],
)
def test_validity(duration: timedelta, within: Validity | None, life: Validity) -> None:
    """A certificate is backdated by five minutes, counts from now, and never reaches beyond the CA on either side."""
    assert life == times.validity(NOW, duration, within=within)


def test_validity_is_of_whole_seconds() -> None:
    """Certificates hold nothing smaller, and what is compared with them must be the same."""
    life = times.validity(NOW + timedelta(microseconds=999_999), HOUR)

    assert Validity(not_before=NOW - times.BACKDATE, not_after=NOW + HOUR) == life


def renewal(renew_before: timedelta, *, life: Validity = LIFE, uid: str = "uid") -> datetime:
    """Work out when a leaf of 24 hours is renewed."""
    return times.renewal_time(life, duration=24 * HOUR, renew_before=renew_before, uid=uid)


@pytest.mark.parametrize(
    "renew_before",
    [pytest.param(8 * HOUR, id="a third"), pytest.param(MINUTE, id="a minute"), pytest.param(19 * HOUR, id="long")],
)
def test_renewal_is_earlier_than_asked_by_a_tenth_at_most(renew_before: timedelta) -> None:
    """Many uids spread over that tenth, so that identities that were made together are not renewed together."""
    latest = LIFE.not_after - renew_before
    spread = {renewal(renew_before, uid=f"uid-{number}") for number in range(200)}

    assert latest - renew_before / 10 - SECOND <= min(spread)
    assert max(spread) <= latest
    assert renew_before / 20 < max(spread) - min(spread)


def test_renewal_of_one_uid_is_always_the_same() -> None:
    """A restart must not move it."""
    assert renewal(8 * HOUR) == renewal(8 * HOUR)
    assert renewal(8 * HOUR) != renewal(8 * HOUR, uid="another")


def test_renewal_is_at_a_whole_second() -> None:
    """The status holds nothing smaller."""
    assert {0} == {renewal(8 * HOUR, uid=f"uid-{number}").microsecond for number in range(20)}


def test_a_long_renew_before_does_not_renew_for_ever() -> None:
    """A tenth of the duration passes at least."""
    assert renewal(24 * HOUR - SECOND) == NOW + 24 * HOUR / 10


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(HOUR, id="an hour"),
        pytest.param(5 * MINUTE, id="five minutes"),
        pytest.param(SECOND, id="a second"),
    ],
)
def test_a_leaf_that_its_ca_cut_short_is_not_renewed_before_it_is_valid(left: timedelta) -> None:
    """It does not matter how long before its end it is to be renewed."""
    life = Validity(not_before=NOW - times.BACKDATE, not_after=NOW + left)

    assert life.not_before == renewal(8 * HOUR, life=life)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\u0661h", id="Arabic"),
        pytest.param("\uff11h", id="full width"),
        pytest.param("\u09e7m", id="Bengali"),
    ],
)
def test_durations_are_in_ascii_digits(text: str) -> None:
    """The pattern in the schema says the same."""
    with pytest.raises(ValueError, match="not a duration"):
        times.parse_duration(text)


@pytest.mark.parametrize(
    ("gain", "is_enough"),
    [
        pytest.param(DAY / 10, True, id="a tenth"),
        pytest.param(DAY / 10 - SECOND, False, id="less than a tenth"),
        pytest.param(-DAY, False, id="it would end earlier"),
    ],
)
def test_a_renewal_must_gain_a_tenth_of_the_duration(gain: timedelta, *, is_enough: bool) -> None:
    """Otherwise the last hours of a CA would see one renewal after the other."""
    assert is_enough is times.gains_enough(NOW, NOW + gain, duration=DAY)


def test_turns_come_once_a_period_at_a_moment_of_their_own() -> None:
    """The moment does not depend on when one asks, so that a restart moves none."""
    turns = {times.last_sweep_slot(NOW + minute * MINUTE, every=DAY, of="a") for minute in range(0, 24 * 60, 10)}
    others = {times.last_sweep_slot(NOW, every=DAY, of=f"uid-{number}") for number in range(100)}

    assert len(turns) == 2
    assert max(turns) - min(turns) == DAY
    assert all(NOW - DAY < turn <= NOW for turn in others)
    assert len(others) == 100


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(None, None, id="nobody can have read another"),
        pytest.param(NOW - timedelta(seconds=29), NOW, id="under way until now"),
        pytest.param(NOW - timedelta(seconds=30), NOW - timedelta(seconds=30), id="seen late, as after a start"),
        pytest.param(NOW + timedelta(hours=1), NOW + timedelta(hours=1), id="our clock was set back"),
    ],
)
def test_since_when_a_write_counts(since: datetime | None, expected: datetime | None) -> None:
    """It never counts from before it was made."""
    assert expected == times.landed(since, NOW)


def test_a_renewal_presses_two_thirds_into_its_time() -> None:
    """Its time is that between the moment at which it was due and the end."""
    assert NOW + 2 * HOUR == times.pressing(NOW, NOW + 3 * HOUR)
