"""What each check does not find, though it is near to what it looks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mutualtls.core.leaf import checks
from mutualtls.core.leaf.checks import Check
from mutualtls.core.leaf.observed import Absent, Observed, Unread
from support.builders import DAY, HOUR, MINUTE, NOW, SECOND, settled
from support.observations import (
    Change,
    at,
    both,
    ca_that_ends,
    finding,
    foreign,
    holding,
    moved,
    ordered_another,
    planted,
    said_alone,
    wanting,
    with_known,
)


def made_with_its_ca(*, lag: Any) -> Change:
    """Have a CA that began `lag` before now, which is less than leaves are backdated."""

    def change(o: Observed) -> Observed:
        ca = o.trust.in_use[o.facts.issuer_key_id]
        young = replace(ca, validity=replace(ca.validity, not_before=NOW - lag))
        return replace(o, trust=replace(o.trust, signing=young, in_use={o.facts.issuer_key_id: young}))

    return change


@pytest.mark.parametrize("check", [pytest.param(check, id=check.__name__) for check in checks.CHECKS])
def test_a_check_finds_nothing_in_good_files(check: Check) -> None:
    """Otherwise nothing would ever settle."""
    assert check(settled()) is None


NOT_FOUND = [
    pytest.param(checks.leaf_is_not_recorded, said_alone(is_recorded=True), id="files that the status records"),
    pytest.param(checks.key_is_foreign, planted(made="this"), id="new key, not recorded yet"),
    pytest.param(checks.key_is_foreign, planted(policy="Always"), id="key that will not be kept"),
    pytest.param(
        checks.duration_differs,
        both(ca_that_ends(5 * HOUR), holding(not_after=NOW + 5 * HOUR)),
        id="shortened by the end of its CA",
    ),
    pytest.param(
        checks.duration_differs,
        both(ca_that_ends(5 * HOUR), holding(not_after=NOW + 5 * HOUR), wanting(duration=3 * DAY)),
        id="longer is asked, but the CA ends all the same",
    ),
    pytest.param(
        checks.duration_differs,
        both(made_with_its_ca(lag=MINUTE), holding(not_before=NOW - MINUTE)),
        id="as young as its CA",
    ),
    pytest.param(checks.reissue_is_ordered, ordered_another, id="an order for another certificate"),
    pytest.param(
        checks.certificate_has_expired, at(lambda o: o.facts.not_after - SECOND), id="a second before its end"
    ),
    pytest.param(
        checks.certificate_is_near_expiry,
        at(lambda o: o.renewal_time - SECOND),
        id="a second before its renewal time",
    ),
    pytest.param(
        checks.certificate_is_near_expiry,
        both(ca_that_ends(25 * HOUR), at(lambda o: o.facts.not_after - SECOND)),
        id="a renewal would gain an hour only",
    ),
    pytest.param(
        checks.body_was_not_seen_for_long,
        lambda o: with_known(o, verified=o.verify_before + SECOND),
        id="read less than a day ago",
    ),
    pytest.param(checks.files_are_damaged, finding(Absent()), id="an absent Secret is not damaged"),
    pytest.param(
        checks.old_secret_is_left,
        both(moved, lambda o: with_known(o, created=o.remove_before + SECOND)),
        id="the new Secret is too young",
    ),
    pytest.param(checks.old_secret_is_left, both(moved, finding(Absent())), id="there is no new Secret"),
    pytest.param(checks.old_secret_is_left, both(moved, finding(Unread())), id="the new Secret is unread"),
    pytest.param(checks.old_secret_is_left, both(moved, finding(foreign())), id="the new Secret is another's"),
]


@pytest.mark.parametrize(("check", "change"), NOT_FOUND)
def test_a_check_does_not_find(check: Check, change: Change) -> None:
    """A check finds nothing that is near to what it looks for, and good."""
    assert check(change(settled())) is None


def test_a_renewal_that_gains_a_tenth_is_made() -> None:
    """The CA ends soon, but not so soon."""
    o = both(ca_that_ends(DAY + DAY / 10), at(lambda o: o.renewal_time))(settled())

    assert checks.certificate_is_near_expiry(o) is not None
