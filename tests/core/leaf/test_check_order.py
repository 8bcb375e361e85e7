"""The order of the checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from mutualtls.core.api.algorithms import Usage
from mutualtls.core.leaf import checks
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Observed, Unread, Violation
from mutualtls.core.names.names import Names
from mutualtls.core.reasons import Reason
from support.builders import DAY, HOUR, NOW, P256, RSA, SECOND, an_identity, default_signer, observed, settled
from support.observations import (
    Change,
    at,
    both,
    damaged,
    finding,
    foreign,
    moved,
    ordered,
    ordered_another,
    replaced,
    trusting,
    wanting,
)


def sweeping(every: timedelta) -> Change:
    """Have files be read again so often."""
    return lambda o: replace(o, intervals=replace(o.intervals, sweep=every))


def put_back(o: Observed) -> Observed:
    """Have the authority that settled files have."""
    return replace(o, trust=replace(o.trust, in_use=settled().trust.in_use))


def first(o: Observed) -> Violation | None:
    """Ask all checks in order."""
    return next((found for check in checks.CHECKS if (found := check(o)) is not None), None)


EVERYTHING_WRONG = both(
    wanting(key=RSA, names=Names(dns=("a",)), usages=(Usage.CLIENT_AUTH,), duration=HOUR, labels={}),
    moved,
    ordered(),
    at(lambda o: o.facts.not_after),
    sweeping(timedelta()),
    trusting(bundle_hash="new"),
    replaced,
)
MENDED = [
    (Reason.KEY_TYPE_CHANGED, wanting(key=P256)),
    (Reason.NAMES_CHANGED, lambda o: replace(o, wanted=replace(o.wanted, names=settled().wanted.names))),
    (Reason.USAGES_CHANGED, wanting(usages=(Usage.CLIENT_AUTH, Usage.SERVER_AUTH))),
    (Reason.DURATION_CHANGED, wanting(duration=DAY)),
    (Reason.REISSUE_ORDERED, ordered_another),
    (Reason.EXPIRED, at(lambda o: o.facts.not_after - SECOND)),
    (Reason.RENEWAL_DUE, at(lambda _: NOW)),
    (Reason.ISSUER_REPLACED, put_back),
    (Reason.BUNDLE_OUTDATED, trusting(bundle_hash=default_signer().trust.bundle_hash)),
    (Reason.METADATA_DRIFTED, lambda o: replace(o, wanted=replace(o.wanted, labels=settled().wanted.labels))),
    (Reason.SECRET_RENAMED, lambda o: replace(o, left_behind=())),
    (Reason.SECRET_UNREAD, sweeping(10 * DAY)),
]


def test_of_several_violations_the_first_counts() -> None:
    """With everything wrong, and one fault repaired after the other, each is named in its turn."""
    o = EVERYTHING_WRONG(settled())
    found = []
    for _, mend in MENDED:
        violation = first(o)
        found.append(violation.reason if violation else None)
        o = mend(o)

    assert [reason for reason, _ in MENDED] == found
    assert first(o) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(finding(foreign()), Reason.SECRET_CONFLICT, id="somebody else's"),
        pytest.param(finding(Unread()), Reason.SECRET_UNREAD, id="unread"),
        pytest.param(finding(Absent()), Reason.SECRET_RENAMED, id="missing, after another name"),
        pytest.param(damaged(Reason.KEY_MISMATCH), Reason.KEY_MISMATCH, id="damaged"),
        pytest.param(trusting(in_use={}), Reason.AUTHORITY_CHANGED, id="of no CA in use"),
    ],
)
def test_what_makes_facts_worthless_comes_before_all_that_ask_for_them(change: Change, reason: Reason) -> None:
    """The checks after it would fail, or judge what is somebody else's."""
    violation = first(change(EVERYTHING_WRONG(settled())))

    assert violation is not None
    assert reason == violation.reason


def test_asking_for_facts_that_are_not_there_is_a_programming_error() -> None:
    """Such an error fails loudly."""
    with pytest.raises(TypeError, match="programming error"):
        _ = observed(an_identity()).facts


def test_facts_are_those_of_the_certificate() -> None:
    """A settled observation is what its name says."""
    assert isinstance(settled().facts, Facts)
    assert NOW + DAY == settled().facts.not_after
