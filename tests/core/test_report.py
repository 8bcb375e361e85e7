"""What the status of an authority says."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from core.builders import MINUTE, NOW, authority, default_signer
from mutualtls.core import report, status, times
from mutualtls.core.authority import Authority, AuthorityStatus
from mutualtls.core.gates import Gate
from mutualtls.core.orders import NotObeyed, Phase
from mutualtls.core.progress import Progress
from mutualtls.core.reasons import Reason
from mutualtls.core.steps import Hold, Sign

AT, LATER = times.rfc3339(NOW), times.rfc3339(NOW + MINUTE)
SIGNS = Sign(ca=default_signer().issuing)
NOTHING = report.Found(ledger=None, bundle_hash=None, faults=(), conflicts=[])
STABLE = Progress()
WAITS = Progress(
    phase=Phase.PUBLISHING,
    gate=Gate(
        is_open=False,
        waits_for="the new bundle",
        laggards=tuple(f"secret shop/{n:02}" for n in range(12)),
        excused=("secret shop/x",),
        until=NOW + MINUTE,
    ),
    orders=(("mutualtls.dev/roll-back", "ab"),),
    not_obeyed=(NotObeyed(order="mutualtls.dev/approve", value="cd/Signing", message="no such root"),),
)
BRIEF = Progress(phase=Phase.RETIRING, gate=Gate(is_open=False, waits_for="the old root to go"))


def told(
    step: Sign | Hold = SIGNS, progress: Progress = STABLE, of: Authority | None = None, now: str = AT, **found: Any
) -> AuthorityStatus:
    """The status of an authority, of which something was found."""
    return report.status_of(of or authority(), step, progress, dataclasses.replace(NOTHING, **found), now=now)


def condition(of: AuthorityStatus, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition."""
    found = of.condition(kind)
    assert found is not None
    return found.status, found.reason, found.message


HELD = Hold(Reason.CLOCK_SKEW, "set it right")
LOST = Hold(Reason.KEY_LOST, "the key is gone")
CONDITIONS = [
    pytest.param(told(), "Ready", ("True", "Signing", "certificates are signed"), id="signs"),
    pytest.param(told(HELD), "Ready", ("False", "ClockSkew", "set it right"), id="is held"),
    pytest.param(
        told(of=authority(suspend=True)),
        "Ready",
        ("False", "Suspended", "nothing is signed while spec.suspend is true"),
        id="is suspended",
    ),
    pytest.param(told(), "KeyLost", ("False", "Stable", ""), id="no key is lost"),
    pytest.param(told(LOST), "KeyLost", ("True", "KeyLost", "the key is gone"), id="all keys are lost"),
    pytest.param(
        told(Sign(ca=SIGNS.ca, lost="root 1")), "KeyLost", ("True", "KeyLost", "root 1"), id="a root's key is lost"
    ),
    pytest.param(told(), "Rotating", ("False", "Stable", ""), id="no root is replaced"),
    pytest.param(
        told(progress=WAITS), "Rotating", ("True", "Publishing", "waits for the new bundle"), id="a root is replaced"
    ),
    pytest.param(told(), "Drifted", ("False", "AsAsked", ""), id="as asked"),
    pytest.param(
        told(faults=("no root", "no key")), "Drifted", ("True", "SourceInvalid", "no root; no key"), id="faulty sources"
    ),
    pytest.param(told(), "Conflicting", ("False", "AsAsked", ""), id="no conflict"),
    pytest.param(told(conflicts=None), "Conflicting", ("False", "AsAsked", ""), id="it is not known whether"),
]


@pytest.mark.parametrize(("of", "kind", "expected"), CONDITIONS)
def test_conditions(of: AuthorityStatus, kind: str, expected: tuple[str, str, str]) -> None:
    """Each by itself."""
    assert expected == condition(of, kind)


def test_a_conflict_is_told_by_name() -> None:
    """And stays as it was while it is not known."""
    first = told(conflicts=["shop/b", "shop/a"])
    later = told(of=msgspec.structs.replace(authority(), status=first), now=LATER, conflicts=None)

    assert (
        "2 not written, as somebody else's is there: configmap shop/a, configmap shop/b;"
        in (condition(first, "Conflicting")[2])
    )
    assert first == later
    assert first.has_conflict


def test_a_lost_key_stays_told_while_something_else_holds_it_up() -> None:
    """Which says nothing of keys."""
    before = msgspec.structs.replace(authority(), status=told(LOST))

    assert ("True", "KeyLost", "the key is gone") == condition(told(HELD, of=before), "KeyLost")


def test_what_is_waited_for() -> None:
    """The first ten by name, and how many there are."""
    found = told(progress=WAITS)

    assert found.next is not None
    assert ("the new bundle", 12, 1, LATER) == (
        found.next.waits_for,
        found.next.behind,
        found.next.excused,
        found.next.until,
    )
    assert tuple(f"secret shop/{n:02}" for n in range(10)) == found.next.laggards
    assert [("mutualtls.dev/roll-back", "ab", ""), ("mutualtls.dev/approve", "cd/Signing", "no such root")] == [
        (one.order, one.value, one.message) for one in found.orders
    ]


def test_the_cas_are_those_of_the_ledger() -> None:
    """With how often it was written."""
    known = msgspec.structs.replace(default_signer().ledger, revision=7)
    found = told(ledger=known, bundle_hash="hash")

    assert ["root", "issuing"] == [ca.role for ca in found.generations]
    assert ("hash", 7) == (found.bundle, found.revision)


def test_what_is_not_there_any_more_is_taken_away() -> None:
    """By null, as a merge patch does it."""
    body = report.status_patch("u", told())

    assert {"uid": "u"} == body["metadata"]
    assert (None, None) == (body["status"]["bundle"], body["status"]["next"])
    assert None is report.status_patch("u", told(progress=BRIEF))["status"]["next"]["until"]


def test_a_long_message_is_cut() -> None:
    """Or the API server would refuse the whole status."""
    found = condition(told(faults=("x" * 5000,)), "Drifted")[2]

    assert (status.LONGEST_MESSAGE, "x…") == (len(found), found[-2:])
