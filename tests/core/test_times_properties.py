"""Times and durations: what holds for whatever comes, tried with values that nobody thought of."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core import times
from mutualtls.core.times import Validity
from support.builders import DAY, NOW, SECOND
from support.examples import durations, examples, fractions, moments


@examples(200)
@given(st.integers(min_value=0, max_value=99_999 * 3600))
def test_durations_are_read_as_they_were_written(whole_seconds: int) -> None:
    """Nothing is lost on the way."""
    duration = timedelta(seconds=whole_seconds)

    assert duration == times.parse_duration(times.format_duration(duration))


@examples(100)
@given(moments, fractions)
def test_moments_are_read_as_they_were_written(moment: datetime, fraction: timedelta) -> None:
    """Fractions of a second are lost."""
    assert moment == times.from_rfc3339(times.rfc3339(moment + fraction))


@examples(200)
@given(moments, fractions, durations, st.integers(1, 10**7), st.integers(1, 10**7))
def test_no_validity_reaches_beyond_that_of_the_ca(
    now: datetime, fraction: timedelta, duration: timedelta, begun: int, left: int
) -> None:
    """Both ends keep within it, in whole seconds."""
    within = Validity(not_before=now - begun * SECOND, not_after=now + left * SECOND)
    life = times.validity(now + fraction, duration, within=within)

    assert within.not_before <= life.not_before <= now
    assert now < life.not_after <= within.not_after
    assert life.not_after <= now + duration
    assert 0 == life.not_before.microsecond == life.not_after.microsecond


@examples(150)
@given(moments, durations, st.data(), st.text(max_size=40))
def test_a_renewal_lies_within_life(now: datetime, duration: timedelta, data: st.DataObject, uid: str) -> None:
    """It comes when it gains enough to be made, after a tenth of life, and before its end, whatever is asked for."""
    renew_before = data.draw(st.integers(1, int(duration.total_seconds()) - 1)) * SECOND
    life = times.validity(now, duration)
    due = times.renewal_time(life, duration=duration, renew_before=renew_before, uid=uid)

    assert now + duration / 10 <= due < life.not_after
    assert due < max(life.not_after - renew_before, now + duration / 10) + SECOND
    assert times.gains_enough(life.not_after, times.validity(due, duration).not_after, duration=duration)


@examples(150)
@given(durations, st.integers(0, 168 * 3600), st.integers(1, 168 * 3600), st.text(max_size=40))
def test_a_leaf_is_not_renewed_before_it_is_valid(duration: timedelta, left: int, before: int, uid: str) -> None:
    """This holds also when its CA's end cuts it short."""
    ca = Validity(not_before=NOW - DAY, not_after=NOW + left * SECOND)
    life = times.validity(NOW, duration, within=ca)
    due = times.renewal_time(life, duration=duration, renew_before=before * SECOND, uid=uid)

    assert life.not_before <= due
