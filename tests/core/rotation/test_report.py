"""What the status of an authority says."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from mutualtls.core import times
from mutualtls.core.api import status
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.orders import Compromise, NotObeyed
from mutualtls.core.api.states import Phase, Role
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import report
from mutualtls.core.rotation.gates import Gate
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import MINUTE, NOW, authority, default_signer

AT, LATER = times.rfc3339(NOW), times.rfc3339(NOW + MINUTE)
SIGNS = Sign(ca=default_signer().issuing)
NOTHING = report.Found(ledger=None, bundle_hash=None, faults=(), conflicts=[])
STABLE = Progress()
WAITS = Progress(
    phase=Phase.PUBLISHING,
    gate=Gate(
        is_open=False,
        waits_for="waits for the new bundle",
        laggards=tuple(f"secret shop/{n:02}" for n in range(12)),
        excused=("secret shop/x",),
        until=NOW + MINUTE,
    ),
    orders=(("mutualtls.dev/roll-back", "ab"),),
    not_obeyed=(NotObeyed(order="mutualtls.dev/approve", value="cd/Signing", message="no such root"),),
    skipped=tuple(f"secret mirror/{n:02}" for n in reversed(range(13))),
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
    pytest.param(told(), "Ready", ("True", "Active", "certificates are signed"), id="signs"),
    pytest.param(told(HELD), "Ready", ("False", "ClockSkew", "set it right"), id="is held"),
    pytest.param(
        told(of=authority(suspend=True)),
        "Ready",
        ("False", "Suspended", "nothing is signed while spec.suspend is true"),
        id="is suspended",
    ),
    pytest.param(told(), "KeyLost", ("False", "KeysPresent", "no CA key is known to be lost"), id="no key is lost"),
    pytest.param(told(LOST), "KeyLost", ("True", "KeyLost", "the key is gone"), id="all keys are lost"),
    pytest.param(
        told(Sign(ca=SIGNS.ca, lost="root 1")), "KeyLost", ("True", "KeyLost", "root 1"), id="a root's key is lost"
    ),
    pytest.param(told(), "Rotating", ("False", "Stable", "no root is being replaced"), id="no root is replaced"),
    pytest.param(
        told(progress=WAITS), "Rotating", ("True", "Publishing", "waits for the new bundle"), id="a root is replaced"
    ),
    pytest.param(
        told(progress=Progress(note="later")), "Rotating", ("False", "Stable", "later"), id="something is to be known"
    ),
    pytest.param(
        told(progress=OPEN), "Rotating", ("True", "Signing", "waits until spec.suspend is false"), id="it is suspended"
    ),
    pytest.param(
        told(progress=None),
        "Rotating",
        ("False", "Stable", "no root is being replaced"),
        id="it was never known how far it is",
    ),
    pytest.param(told(), "Drifted", ("False", "InSync", "every CA is as the spec asks"), id="as asked"),
    pytest.param(
        told(faults=("no root", "no key")), "Drifted", ("True", "SourceInvalid", "no root; no key"), id="faulty sources"
    ),
    pytest.param(
        told(faults=("no root",), warnings=("an old key",)),
        "Drifted",
        ("True", "SourceInvalid", "no root; an old key"),
        id="a faulty source and a warning",
    ),
    pytest.param(
        told(warnings=("an old key", "one left out")),
        "Drifted",
        ("True", "SourceWarning", "an old key; one left out"),
        id="warnings",
    ),
    pytest.param(told(), "Conflicting", ("False", "NoConflicts", "no copy of the bundle conflicts"), id="no conflict"),
    pytest.param(
        told(conflicts=None),
        "Conflicting",
        ("False", "NoConflicts", "no copy of the bundle conflicts"),
        id="it is not known whether",
    ),
]


@pytest.mark.parametrize(("of", "kind", "expected"), CONDITIONS)
def test_conditions(of: AuthorityStatus, kind: str, expected: tuple[str, str, str]) -> None:
    """Each condition is told by itself."""
    assert expected == condition(of, kind)


def test_a_conflict_is_told_by_name() -> None:
    """The condition stays as it was while the conflict is not known."""
    first = told(conflicts=[ObjectKey("shop", "b"), ObjectKey("shop", "a")])
    later = told(of=msgspec.structs.replace(authority(), status=first), now=LATER, conflicts=None)

    assert (
        "2 not written because another object has the name: configmap shop/a, configmap shop/b;"
        in (condition(first, "Conflicting")[2])
    )
    assert first == later
    assert first.has_conflict


def test_a_lost_key_stays_told_while_something_else_holds_it_up() -> None:
    """What holds it up says nothing about keys."""
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


EXCUSED = Gate(is_open=True, excused=("secret shop/b", "secret shop/a"))
SIGNING = Progress(phase=Phase.SIGNING, gate=Gate(is_open=False, waits_for="waits until every certificate is replaced"))


@pytest.mark.parametrize(
    ("progress", "before", "said"),
    [
        pytest.param(SIGNING, None, "waits until every certificate is replaced", id="nothing is known of before"),
        pytest.param(
            SIGNING,
            Progress(phase=Phase.PUBLISHING, gate=EXCUSED),
            "waits until every certificate is replaced; skipped secret shop/a, secret shop/b, which could not be "
            "brought up to date",
            id="some were excused",
        ),
        pytest.param(
            SIGNING,
            Progress(phase=Phase.PUBLISHING, gate=Gate(is_open=True, forced="root 1 ends")),
            "waits until every certificate is replaced; proceeded because root 1 ends",
            id="by a deadline",
        ),
        pytest.param(STABLE, BRIEF, "one root is trusted, and signs", id="it is over"),
        pytest.param(Progress(note="later"), BRIEF, "later", id="it is over, with a note"),
    ],
)
def test_what_is_said_of_a_phase_that_begins(progress: Progress, before: Progress | None, said: str) -> None:
    """The Events also name who was left behind, and what could not be waited for."""
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
        {"LaggardsExcused": "1 skipped, which could not be brought up to date: secret shop/x"},
        id="some are excused",
    ),
    pytest.param(told(progress=WAITS), told(progress=WAITS), {}, id="some are excused still"),
]


@pytest.mark.parametrize(("old", "new", "alarms"), ALARMS)
def test_what_people_should_see_to(old: AuthorityStatus, new: AuthorityStatus, alarms: dict[str, str]) -> None:
    """There is one Event, when it begins."""
    assert alarms == report.alarms(old, new)


def test_what_is_waited_for() -> None:
    """The first ten by name, and how many there are."""
    found = told(progress=WAITS)

    assert found.next is not None
    assert ("waits for the new bundle", 12, 1, ("secret shop/x",), LATER) == (
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


def test_what_no_identity_has_is_told_while_a_root_is_replaced() -> None:
    """The first ten by name, and how many there are. It is no alarm, as anybody may make as many."""
    found, stable = told(progress=WAITS), told(progress=dataclasses.replace(STABLE, skipped=WAITS.skipped))

    assert found.next is not None
    assert (13, tuple(f"secret mirror/{n:02}" for n in range(10))) == (found.next.skipped, found.next.skipped_names)
    assert stable.next is None
    assert {} == report.alarms(told(progress=dataclasses.replace(WAITS, skipped=())), found)


def test_the_cas_are_those_of_the_ledger() -> None:
    """The status also has how often the ledger was written."""
    known = msgspec.structs.replace(default_signer().ledger, revision=7)
    found = told(ledger=known, bundle_hash="hash")

    assert ["root", "issuing"] == [ca.role for ca in found.generations]
    assert ("hash", 7) == (found.bundle, found.revision)


def test_what_is_not_there_any_more_is_taken_away() -> None:
    """A null removes it, as in every merge patch."""
    body = report.status_patch("u", "1", told())

    assert {"uid": "u", "resourceVersion": "1"} == body["metadata"]
    assert (None, None) == (body["status"]["bundle"], body["status"]["next"])
    told_of_next = report.status_patch("u", "1", told(progress=BRIEF))["status"]["next"]
    fields = ("laggards", "behind", "excused", "excusedNames", "skipped", "skippedNames", "forced", "until")
    assert [None] * 8 == [told_of_next[field] for field in fields]


def test_a_long_message_is_cut() -> None:
    """Otherwise the API server would refuse the whole status."""
    found = condition(told(faults=("x" * 5000,)), "Drifted")[2]

    assert (status.LONGEST_MESSAGE, "x…") == (len(found), found[-2:])


# What only people can mend, and what is refused


REFUSAL = "secret a could not be created: Forbidden: quota"
STALLED = [
    pytest.param(told(), None, id="all is well"),
    pytest.param(told(HELD), None, id="a clock, which is set right by itself"),
    pytest.param(told(of=authority(suspend=True)), None, id="on purpose"),
    pytest.param(told(LOST), ("True", "KeyLost", "the key is gone"), id="lost keys"),
    pytest.param(
        told(Hold(Reason.SOURCE_INVALID, "none"), faults=("no key",)),
        ("True", "SourceInvalid", "none; no key"),
        id="a source that cannot be used",
    ),
    pytest.param(told(faults=("no key",)), ("True", "SourceInvalid", "no key"), id="while another CA signs"),
    pytest.param(told(refusal=REFUSAL), ("True", "StateNotWritable", REFUSAL), id="what is refused"),
    *(
        pytest.param(told(Hold(reason, "mend it")), ("True", reason, "mend it"), id=reason)
        for reason in (
            Reason.INVALID_SPEC,
            Reason.LEDGER_LOST,
            Reason.CA_UNREADABLE,
            Reason.CA_EXPIRED,
            Reason.STATE_NOT_WRITABLE,
        )
    ),
]


@pytest.mark.parametrize(("of", "expected"), STALLED)
def test_what_only_people_can_mend_is_told(of: AuthorityStatus, expected: tuple[str, str, str] | None) -> None:
    """Who waits for an authority sees a failure; where nothing is wrong there is no such condition."""
    found = of.condition("Stalled")

    assert expected == (found and (found.status, found.reason, found.message))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        pytest.param(
            told(Hold(Reason.SOURCE_INVALID, "there is none"), faults=("no key", "no root")),
            ("False", "SourceInvalid", "there is none; no key; no root"),
            id="nothing signs",
        ),
        pytest.param(
            told(refusal=REFUSAL), ("True", "Active", f"certificates are signed; {REFUSAL}"), id="a CA signs on"
        ),
    ],
)
def test_the_cause_that_counts_stands_in_ready(of: AuthorityStatus, expected: tuple[str, str, str]) -> None:
    """It is not hidden in another condition."""
    assert expected == condition(of, "Ready")


def test_copies_that_are_refused_are_told_where_people_look() -> None:
    """The condition says how many, where, and what the API server says of the first."""
    of = told(refused_copies={"b": "no b", "a": "no a", "": "no bundle"}, conflicts=[])
    expected = "3 not written, of namespaces a, b, of the whole cluster: no bundle"

    assert ("True", "BundleNotWritable", expected) == condition(of, "Conflicting")
    assert not of.has_conflict
    assert {"BundleNotWritable": expected} == report.alarms(told(), of)


LEFT = (
    "authority default is deleted; {} copies of its bundle stay for the workloads that mount them{}, and are not kept "
    "current"
)
HOW = "kubectl delete {} -A -l mutualtls.dev/part=bundle,mutualtls.dev/authority=default"


@pytest.mark.parametrize(
    ("copies", "compromised", "said", "how"),
    [
        pytest.param(["shop/roots", "/bundle"], None, LEFT.format(2, ""), "configmaps,clustertrustbundles", id="two"),
        pytest.param(
            ["shop/roots"],
            Role.ROOT,
            LEFT.format(1, ", which hold the compromised root 1"),
            "configmaps",
            id="with a compromised root",
        ),
        pytest.param(
            ["shop/roots"],
            Role.ISSUING,
            LEFT.format(1, ", which hold the compromised root 1"),
            "configmaps",
            id="with the root of a compromised issuing CA",
        ),
    ],
)
def test_copies_that_an_authority_leaves_are_told_with_what_deletes_them(
    copies: list[str], compromised: Role | None, said: str, how: str
) -> None:
    """People need it above all where a copy holds a root that others may have the key of."""
    known = default_signer().ledger
    bad = tuple(Compromise(fingerprint=ca.fingerprint) for ca in known.generations if ca.role is compromised)
    left = [ObjectKey(*copy.split("/")) for copy in copies]
    note = report.bundles_orphaned("default", left, msgspec.structs.replace(known, compromised=bad))

    assert note.startswith(said)
    assert note.endswith(HOW.format(how))


def test_orders_are_as_many_as_the_schema_allows() -> None:
    """How many more there are is said."""
    many = tuple(
        NotObeyed(order="mutualtls.dev/compromised", value=f"{n:064}", message="it names no CA") for n in range(40)
    )
    orders = told(progress=dataclasses.replace(STABLE, not_obeyed=many)).orders

    assert 32 == len(orders)
    assert "and 9 more are not obeyed" == orders[-1].message
    assert [one.value for one in many[:31]] == [one.value for one in orders[:-1]]


@pytest.mark.parametrize(
    ("old", "new", "may_tell", "is_told"),
    [
        pytest.param(told(), told(), True, False, id="nothing is new"),
        pytest.param(told(), told(HELD), False, True, id="something else is new"),
        pytest.param(told(), told(refusal="1 of 2"), False, True, id="trouble begins"),
        pytest.param(told(refusal="1 of 2"), told(refusal="2 of 3"), True, False, id="other numbers"),
        pytest.param(told(refusal="no label"), told(refusal="no team"), True, True, id="other words"),
        pytest.param(told(refusal="no label"), told(refusal="no team"), False, False, id="other words, too soon"),
        pytest.param(told(refusal="no label"), told(), False, True, id="it is over"),
        pytest.param(told(refusal="a"), told(progress=WAITS, refusal="b"), False, True, id="a rotation goes on"),
    ],
)
def test_trouble_is_told_seldom(old: AuthorityStatus, new: AuthorityStatus, *, may_tell: bool, is_told: bool) -> None:
    """This limits messages that differ only in words."""
    assert is_told is report.is_worth_telling(old, new, may_tell=may_tell)
