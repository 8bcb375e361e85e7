"""What has to wait: what takes long, what is decided meanwhile, what the status says, and what goes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from mutualtls.core import times
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf import plan, render, waiting
from mutualtls.core.leaf.observed import Action, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.leaf.waiting import SlowWork
from mutualtls.core.reasons import Reason
from support.builders import HOUR, NOW, an_identity, decide, observed, settled
from support.changes import replaced, suspended

RSA = {"algorithm": "RSA"}
STORES = {"pkcs12": {"passwordSecretRef": {"name": "password"}}}


@pytest.mark.parametrize(
    ("spec", "action", "expected"),
    [
        pytest.param({}, Action.ISSUE, None, id="a small EC key"),
        pytest.param({"privateKey": RSA}, Action.ISSUE, SlowWork.SMALL, id="an RSA key"),
        pytest.param({"privateKey": RSA | {"size": 3072}}, Action.ISSUE, SlowWork.LARGE, id="a large RSA key"),
        pytest.param(
            {"privateKey": RSA | {"size": 3072}}, Action.REPLACE, SlowWork.LARGE, id="replaced with its Secret"
        ),
        pytest.param({"privateKey": RSA}, Action.WRITE_BUNDLE, None, id="a bundle alone"),
        pytest.param({"privateKey": RSA}, Action.NOTHING, None, id="nothing"),
        pytest.param({"formats": STORES}, Action.ISSUE, SlowWork.SMALL, id="a leaf with stores"),
        pytest.param({"formats": STORES}, Action.WRITE_FORMATS, SlowWork.SMALL, id="stores alone"),
        pytest.param({"formats": STORES}, Action.WRITE_METADATA, None, id="labels beside stores"),
        pytest.param({"formats": {"der": {}}}, Action.WRITE_FORMATS, None, id="files that need no password"),
        pytest.param(
            {"formats": STORES, "privateKey": RSA | {"size": 4096}}, Action.ISSUE, SlowWork.LARGE, id="a key and stores"
        ),
    ],
)
def test_rsa_keys_and_stores_take_long(spec: dict[str, Any], action: Action, expected: SlowWork | None) -> None:
    """Only so many are made at once."""
    o = observed(an_identity(**spec))

    assert expected is waiting.slow_work(o, replace(decide(o), action=action))


def test_all_else_is_decided_while_something_waits() -> None:
    """What waits is left out, and is not left out twice."""
    o = settled()
    due = replace(o, now=o.renewal_time)
    decision = decide(due)
    rest = waiting.postponed(due, decision)

    assert rest is not None
    assert (Action.ISSUE, Reason.RENEWAL_DUE) == (decision.action, decision.reason)
    assert Action.NOTHING is decide(rest).action
    assert waiting.postponed(rest, decision) is None


def test_without_files_there_is_nothing_else_to_decide() -> None:
    """The first issuance is all that there is, and a refusal has nothing but its action."""
    o = settled()
    first = observed(an_identity())
    refused = Seen(identity=o.identity, trust=o.trust, found=o.found, now=o.now)

    assert waiting.postponed(first, decide(first)) is None
    assert waiting.postponed(refused, decide(o)) is None


def told(o: Observed, decision: Decision, **changes: Any) -> Observed:
    """Have the status say what was decided."""
    status = msgspec.structs.replace(render.identity_status(o, decision), **changes)
    return replace(o, identity=msgspec.structs.replace(o.identity, status=status))


THROTTLED = plan.throttled(decide(settled()), "too many", until=None)
REFUSED = replace(THROTTLED, reason=Reason.SECRET_NOT_WRITABLE)


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        pytest.param(settled(), True, id="nothing was said yet"),
        pytest.param(told(settled(), decide(settled())), True, id="all was well"),
        pytest.param(told(settled(), THROTTLED), False, id="said already"),
        pytest.param(told(settled(), THROTTLED, observed_generation=0), False, id="said already, of another spec"),
        pytest.param(told(settled(), REFUSED), False, id="another trouble is said"),
        pytest.param(told(settled(), REFUSED, observed_generation=0), True, id="another trouble, of another spec"),
        pytest.param(
            replace(told(settled(), THROTTLED), now=settled().facts.not_after), True, id="the files have ended"
        ),
        pytest.param(
            replace(told(settled(), replace(THROTTLED, is_ready=False)), now=settled().facts.not_after),
            False,
            id="the files have ended, as was said",
        ),
    ],
)
def test_that_something_waits_is_said_once(o: Observed, *, expected: bool) -> None:
    """Changes of the spec repeat nothing; the end of the files does, as `Ready` would go on being true."""
    assert expected is waiting.is_worth_telling(o.identity, o)


def test_that_something_waits_is_said_of_what_cannot_be_seen() -> None:
    """An authority that is not there, say."""
    assert waiting.is_worth_telling(an_identity(), None)
    assert not waiting.is_worth_telling(told(settled(), THROTTLED).identity, None)


def certified(renewal: datetime | str, end: datetime | str) -> IdentityStatus:
    """A status that records a certificate with these times."""
    o = settled()
    status = render.identity_status(o, decide(o))
    assert status.certificate is not None
    written = [moment if isinstance(moment, str) else times.rfc3339(moment) for moment in (renewal, end)]
    certificate = msgspec.structs.replace(status.certificate, renewal_time=written[0], not_after=written[1])
    return msgspec.structs.replace(status, certificate=certificate)


LONG_AGO = times.from_rfc3339("0001-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(IdentityStatus(), LONG_AGO, id="no files"),
        pytest.param(certified(NOW, NOW + 3 * HOUR), NOW + 2 * HOUR, id="a renewal that is late"),
        pytest.param(certified("soon", NOW), LONG_AGO, id="somebody else's status"),
    ],
)
def test_an_identity_goes_first_without_files_or_when_they_end_before_long(
    status: IdentityStatus, expected: datetime
) -> None:
    """It does from two thirds of the time between the due renewal and the end on."""
    assert expected == waiting.urgent_from(status)


def overdue(**by: float) -> Observed:
    """An identity whose renewal is late, by so many minutes or hours, and whose status tells when it was due."""
    o = told(settled(), decide(settled()))
    return replace(o, now=o.renewal_time + timedelta(**by))


def renewing_earlier(o: Observed) -> Observed:
    """Have somebody have asked for another time of renewal."""
    return replace(o, wanted=replace(o.wanted, renew_before=o.wanted.renew_before + 5 * HOUR))


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        pytest.param(overdue(), False, id="in time"),
        pytest.param(overdue(seconds=59), False, id="a little late"),
        pytest.param(overdue(minutes=1), True, id="late"),
        pytest.param(overdue(hours=5), True, id="hours late"),
        pytest.param(overdue(hours=6), False, id="urgent"),
        pytest.param(overdue(hours=10), False, id="ended"),
        pytest.param(renewing_earlier(overdue(hours=-1)), False, id="asked for"),
        pytest.param(replace(overdue(hours=1), identity=an_identity()), False, id="not recorded"),
        pytest.param(told(overdue(hours=1), REFUSED), False, id="refused"),
        pytest.param(suspended(overdue(hours=1)), False, id="suspended"),
        pytest.param(replaced(overdue(hours=-10)), True, id="its CA was replaced"),
    ],
)
def test_a_renewal_takes_turns_where_it_is_late_and_not_urgent(o: Observed, *, expected: bool) -> None:
    """Many are late together; in time they come one by one."""
    assert expected is waiting.takes_turns(o, decide(o))


def test_a_late_renewal_that_waits_is_made_when_it_is_urgent() -> None:
    """Meanwhile nothing makes a leaf, though its CA was replaced as well."""
    o = replaced(overdue(hours=1))
    until = waiting.kept_back_until(o)

    assert until is not None
    assert times.pressing(o.renewal_time, o.facts.not_after) == until
    assert Action.NOTHING is decide(waiting.meanwhile(o)).action
    assert Reason.RENEWAL_DUE is decide(waiting.meanwhile(replace(o, now=until))).reason
