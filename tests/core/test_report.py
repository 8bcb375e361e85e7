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
OPEN = Progress(phase=Phase.SIGNING, gate=Gate(is_open=True))
BRIEF = Progress(phase=Phase.RETIRING, gate=Gate(is_open=False, waits_for="the old root to go"))


def told(
    step: Sign | Hold = SIGNS,
    progress: Progress | None = STABLE,
    of: Authority | None = None,
    now: str = AT,
    **found: Any,
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
    pytest.param(
        told(progress=Progress(note="later")), "Rotating", ("False", "Stable", "later"), id="something is to be known"
    ),
    pytest.param(
        told(progress=OPEN), "Rotating", ("True", "Signing", "waits for spec.suspend to be false"), id="it is suspended"
    ),
    pytest.param(told(progress=None), "Rotating", ("False", "Stable", ""), id="it was never known how far it is"),
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


@pytest.mark.parametrize("held", [HELD, Hold(Reason.CA_UNREADABLE, "restore it")])
def test_how_far_a_rotation_is_stays_told_while_it_is_not_known(held: Hold) -> None:
    """A wrong clock says nothing of it, and nobody is to believe that it is over."""
    before = told(progress=WAITS)
    after = told(held, None, of=msgspec.structs.replace(authority(), status=before), now=LATER)

    assert condition(before, "Rotating") == condition(after, "Rotating")
    assert (before.next, before.orders) == (after.next, after.orders)
    assert "False" == condition(after, "Ready")[0]


def test_who_is_left_to_another_operator_is_told_nothing_else() -> None:
    """That one may be there, and know better."""
    before = told(progress=WAITS, ledger=default_signer().ledger)
    held = Hold(Reason.OTHER_OPERATOR, "hand it over")
    after = report.left_alone(msgspec.structs.replace(authority(), status=before), held, now=LATER)

    assert ("False", "OtherOperator", "hand it over") == condition(after, "Ready")
    assert before.generations == after.generations
    assert condition(before, "Rotating") == condition(after, "Rotating")
    assert before.next == after.next


EXCUSED = Gate(is_open=True, excused=("secret shop/b", "secret shop/a"))
SIGNING = Progress(phase=Phase.SIGNING, gate=Gate(is_open=False, waits_for="every certificate to be replaced"))


@pytest.mark.parametrize(
    ("progress", "before", "said"),
    [
        pytest.param(SIGNING, None, "waits for every certificate to be replaced", id="nothing is known of before"),
        pytest.param(
            SIGNING,
            Progress(phase=Phase.PUBLISHING, gate=EXCUSED),
            "waits for every certificate to be replaced; without secret shop/a, secret shop/b, which could not be "
            "brought up to date",
            id="some were excused",
        ),
        pytest.param(
            SIGNING,
            Progress(phase=Phase.PUBLISHING, gate=Gate(is_open=True, forced="root 1 ends")),
            "waits for every certificate to be replaced; begun all the same, as root 1 ends",
            id="by a deadline",
        ),
        pytest.param(STABLE, BRIEF, "one root is trusted, and signs", id="it is over"),
        pytest.param(Progress(note="later"), BRIEF, "later", id="it is over, with a note"),
    ],
)
def test_what_is_said_of_a_phase_that_begins(progress: Progress, before: Progress | None, said: str) -> None:
    """And of who was left behind, and what could not be waited for."""
    assert said == report.phase_begun(progress, before)


def test_many_who_were_left_behind_are_counted() -> None:
    """An Event has its limits."""
    gate = Gate(is_open=True, excused=tuple(f"secret shop/{number:02}" for number in range(12)))

    assert "secret shop/09 and 2 more, which" in report.phase_begun(SIGNING, Progress(gate=gate))


ALARMS = [
    pytest.param(told(), told(), {}, id="all is well"),
    pytest.param(AuthorityStatus(), told(), {}, id="it begins well"),
    pytest.param(told(), told(HELD), {"ClockSkew": "set it right"}, id="is held"),
    pytest.param(told(HELD), told(HELD), {}, id="is held still"),
    pytest.param(told(HELD), told(Hold(Reason.CA_EXPIRED, "over")), {"CAExpired": "over"}, id="is held otherwise"),
    pytest.param(told(), told(LOST), {"KeyLost": "the key is gone"}, id="said once of two conditions"),
    pytest.param(told(), told(Sign(ca=SIGNS.ca, lost="root 1")), {"KeyLost": "root 1"}, id="a key is lost"),
    pytest.param(told(), told(of=authority(suspend=True)), {}, id="on purpose"),
    pytest.param(told(), told(faults=("no key",)), {"SourceInvalid": "no key"}, id="a faulty source"),
    pytest.param(
        told(progress=SIGNING),
        told(progress=WAITS),
        {"LaggardsExcused": "1 not waited for any more: secret shop/x"},
        id="some are excused",
    ),
    pytest.param(told(progress=WAITS), told(progress=WAITS), {}, id="some are excused still"),
]


@pytest.mark.parametrize(("old", "new", "alarms"), ALARMS)
def test_what_people_should_see_to(old: AuthorityStatus, new: AuthorityStatus, alarms: dict[str, str]) -> None:
    """Once, when it begins."""
    assert alarms == report.alarms(old, new)


def test_what_is_waited_for() -> None:
    """The first ten by name, and how many there are."""
    found = told(progress=WAITS)

    assert found.next is not None
    assert ("the new bundle", 12, 1, ("secret shop/x",), LATER) == (
        found.next.waits_for,
        found.next.behind,
        found.next.excused,
        found.next.excused_names,
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
    told_of_next = report.status_patch("u", told(progress=BRIEF))["status"]["next"]
    assert [None] * 6 == [
        told_of_next[field] for field in ("laggards", "behind", "excused", "excusedNames", "forced", "until")
    ]


def test_a_long_message_is_cut() -> None:
    """Or the API server would refuse the whole status."""
    found = condition(told(faults=("x" * 5000,)), "Drifted")[2]

    assert (status.LONGEST_MESSAGE, "x…") == (len(found), found[-2:])
