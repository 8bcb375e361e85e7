"""Decisions: when to look again, and whose turn it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf import plan, render
from mutualtls.core.leaf.observed import Action, Known, Observed
from mutualtls.core.reasons import Reason
from support.builders import DAY, HOUR, NOW, SECOND, Signer, decide, settled, signer
from support.changes import (
    CERTIFICATE,
    NEW_BUNDLE,
    Change,
    after,
    due,
    expired,
    missing,
    ordered,
    renamed,
    replaced,
    suspended,
    trusting,
    unread,
)


def test_settled_files_are_looked_at_again_when_they_are_due() -> None:
    """The message says until when they are good."""
    o = settled()
    decision = decide(o)

    assert o.renewal_time == decision.next_check
    assert decision.message.startswith(
        "certificate is valid until 2026-01-03T03:04:05Z and will be renewed at 2026-01-02T"
    )


def test_settled_files_are_swept() -> None:
    """A day after they were seen, where that comes before the renewal."""
    o = settled(duration="168h")

    assert NOW + DAY == decide(o).next_check


@pytest.mark.parametrize("uid", [f"uid-{number}" for number in range(10)])
def test_jitter_is_within_a_tenth_of_renew_before(uid: str) -> None:
    """Every identity has its own, so that they are not all renewed at once."""
    o = settled()
    o = replace(o, identity=msgspec.structs.replace(o.identity, uid=uid))
    asked = o.facts.not_after - o.wanted.renew_before
    next_check = decide(o).next_check

    assert next_check is not None
    assert asked - o.wanted.renew_before / 10 - SECOND <= next_check <= asked


def test_jitter_differs_between_identities() -> None:
    """Without a difference there would be no jitter."""
    o = settled()
    looks = {
        decide(replace(o, identity=msgspec.structs.replace(o.identity, uid=f"uid-{number}"))).next_check
        for number in range(20)
    }

    assert 15 < len(looks)


def timeline(o: Observed) -> list[tuple[datetime, Action]]:
    """Follow an identity as the agenda does: look again when it was asked, reading what is to be read."""
    seen = []
    for _ in range(40):
        decision = decide(o)
        seen.append((o.now, decision.action))
        if decision.action is Action.READ and isinstance(o.found, Known):
            o = replace(o, found=replace(o.found, verified=o.now))
        elif decision.action is not Action.NOTHING or decision.next_check is None:
            return seen
        else:
            moment = decision.next_check
            o = replace(o, now=moment)
    return seen


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="a day"),
        pytest.param({"duration": "10m"}, id="ten minutes"),
        pytest.param({"duration": "168h"}, id="a week, with sweeps"),
        pytest.param({"duration": "168h", "renewBefore": "1s"}, id="a week, renewed at the last second"),
        pytest.param({"suspend": True}, id="suspended"),
    ],
)
def test_looking_again_always_finds_something_or_a_later_time(spec: dict[str, Any]) -> None:
    """An answer 'nothing, look again now' would turn in a circle."""
    seen = timeline(settled(**spec))
    idle = [moment for moment, action in seen if action is Action.NOTHING]

    assert len(seen) < 40
    assert sorted(set(idle)) == idle


def test_a_certificate_is_renewed_when_it_is_due_and_not_before() -> None:
    """The timeline is a week with sweeps."""
    o = settled(duration="168h")
    *_, (moment, action) = timeline(o)

    assert (o.renewal_time, Action.ISSUE) == (moment, action)


def ending(hours: float, **spec: Any) -> tuple[Signer, Observed]:
    """Have files of a CA that ends some hours from now."""
    by = signer(made=NOW - 2160 * HOUR + hours * HOUR)
    return by, settled(by, **spec)


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param(5, id="hours"),
        pytest.param(23, id="an hour before"),
        pytest.param(23.99, id="less than the backdating before"),
    ],
)
def test_a_leaf_that_its_ca_shortens_says_so(hours: float) -> None:
    """Such a leaf is good all the same."""
    by, o = ending(hours)
    decision = decide(o)

    assert by.issuing.validity.not_after == o.facts.not_after
    assert (Action.NOTHING, Reason.LIMITED_BY_CA, True) == (decision.action, decision.reason, decision.is_ready)
    assert "shorter than the spec asks for because its CA ends then" in decision.message


def test_a_leaf_that_is_not_shortened_does_not_say_so() -> None:
    """The leaf has its whole life, though it ends with its CA."""
    _, o = ending(24)

    assert Reason.ISSUED == decide(o).reason


def test_a_leaf_of_a_young_ca_is_not_shortened() -> None:
    """It is backdated less, and lives as long as was asked."""
    by = signer(made=NOW)
    o = settled(by, now=NOW + SECOND)

    assert Reason.ISSUED == decide(o).reason


def test_a_leaf_that_its_ca_shortens_is_looked_at_again_at_its_end() -> None:
    """A renewal would gain nothing before; a new CA wakes the identity earlier."""
    _, o = ending(5)

    assert [(NOW, Action.NOTHING), (o.facts.not_after, Action.ISSUE)] == timeline(o)


def waits_for(reason: Reason) -> Change:
    """Have a new leaf be due whose turn it is not."""
    return lambda o: replace(o, postponed=frozenset({reason}))


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        pytest.param((replaced,), Action.NOTHING, Reason.ISSUED, id="nothing else"),
        pytest.param((replaced, due), Action.ISSUE, Reason.RENEWAL_DUE, id="due"),
        pytest.param((replaced, expired), Action.ISSUE, Reason.EXPIRED, id="expired"),
        pytest.param((replaced, ordered), Action.ISSUE, Reason.REISSUE_ORDERED, id="ordered"),
        pytest.param((trusting(NEW_BUNDLE), replaced), Action.WRITE_BUNDLE, Reason.BUNDLE_OUTDATED, id="new bundle"),
    ],
)
def test_who_waits_for_a_turn_lacks_nothing_else(changes: tuple[Change, ...], action: Action, reason: Reason) -> None:
    """It gets above all the bundle, and a renewal before its certificate ends."""
    decision = decide(after(*changes, waits_for(Reason.ISSUER_REPLACED)))

    assert (action, reason, True) == (decision.action, decision.reason, decision.is_ready or reason is Reason.EXPIRED)


def test_who_waits_for_a_turn_is_looked_at_when_a_renewal_is_due() -> None:
    """The length of the line does not matter."""
    o = after(replaced, waits_for(Reason.ISSUER_REPLACED))

    assert o.renewal_time == decide(o).next_check


def asked_for(o: Observed) -> Observed:
    """Have the status tell of an earlier spec."""
    return replace(o, identity=msgspec.structs.replace(o.identity, generation=o.identity.generation + 1))


def looked_at(o: Observed) -> Observed:
    """Have the status tell of this very spec and certificate."""
    recorded = msgspec.structs.replace(CERTIFICATE, fingerprint=o.facts.fingerprint)
    status = IdentityStatus(observed_generation=o.identity.generation, certificate=recorded)
    return replace(o, identity=msgspec.structs.replace(o.identity, status=status))


def planted(o: Observed) -> Observed:
    """Have somebody put another's files there."""
    if not isinstance(o.found, Known):
        raise TypeError("nothing is known")
    return replace(o, found=replace(o.found, files=msgspec.structs.replace(o.facts, fingerprint="another's")))


@pytest.mark.parametrize(
    ("changes", "is_one_of_many"),
    [
        pytest.param((looked_at, replaced), True, id="its CA was replaced"),
        pytest.param((looked_at, asked_for, replaced), True, id="its CA was replaced, and its spec is new"),
        pytest.param((looked_at, renamed), True, id="other names, by the authority"),
        pytest.param((looked_at, asked_for, renamed), False, id="other names, by its own spec"),
        pytest.param((looked_at, planted, renamed), False, id="other names, by somebody's hand"),
        pytest.param((looked_at, due), False, id="due"),
        pytest.param((looked_at, missing), False, id="missing"),
        pytest.param((looked_at,), False, id="settled"),
        pytest.param((looked_at, suspended, replaced), False, id="suspended"),
    ],
)
def test_what_is_made_anew_in_turn(changes: tuple[Change, ...], *, is_one_of_many: bool) -> None:
    """Thousands may be where the authority has changed, and no user's own change waits for them."""
    o = after(*changes)

    assert is_one_of_many is plan.is_one_of_many(o, decide(o))


def throttled(o: Observed) -> Observed:
    """Have the status say that something waits."""
    waits = plan.throttled(decide(o), "more was asked for", until=None)
    return replace(o, identity=msgspec.structs.replace(o.identity, status=render.identity_status(o, waits)))


def new(o: Observed) -> Observed:
    """Have it never have had files."""
    return replace(missing(o), identity=msgspec.structs.replace(o.identity, status=IdentityStatus()))


def planted_expired(o: Observed) -> Observed:
    """Have somebody put files of before there, which have ended."""
    return planted(expired(o))


@pytest.mark.parametrize(
    ("changes", "draws"),
    [
        pytest.param((new,), True, id="a first issuance"),
        pytest.param((looked_at, asked_for, renamed), True, id="other names"),
        pytest.param((looked_at, asked_for), True, id="a spec that changes nothing but the status"),
        pytest.param((looked_at, ordered), True, id="a re-issue that was ordered"),
        pytest.param((looked_at, throttled, renamed), True, id="what waits already"),
        pytest.param((looked_at, asked_for, missing), True, id="another spec, and the Secret deleted"),
        pytest.param((looked_at, planted, renamed), True, id="good files of before, put there"),
        pytest.param((looked_at, planted_expired), True, id="files that have ended, put there"),
        pytest.param((looked_at,), False, id="settled"),
        pytest.param((looked_at, due), False, id="due"),
        pytest.param((looked_at, asked_for, due), False, id="due, under a spec that changed otherwise"),
        pytest.param((looked_at, expired), False, id="expired"),
        pytest.param((looked_at, throttled, expired), False, id="expired while something waits"),
        pytest.param((looked_at, missing), False, id="lost"),
        pytest.param((looked_at, unread), False, id="to be read"),
        pytest.param((looked_at, asked_for, unread), False, id="to be read, under another spec"),
        pytest.param((looked_at, trusting(NEW_BUNDLE)), False, id="a new bundle"),
        pytest.param((looked_at, asked_for, trusting(NEW_BUNDLE)), False, id="a new bundle, under another spec"),
        pytest.param((looked_at, renamed), False, id="other names, by the authority"),
        pytest.param((looked_at, replaced), False, id="its CA was replaced"),
        pytest.param((looked_at, asked_for, replaced), False, id="its CA was replaced, and its spec is new"),
    ],
)
def test_what_somebody_asked_for_draws_on_a_share(changes: tuple[Change, ...], *, draws: bool) -> None:
    """Nothing draws that the clock, an authority, or the loss of files has made necessary."""
    o = after(*changes)

    assert draws is plan.is_asked_for(o.identity, o, decide(o))


def test_a_password_that_changes_draws_on_a_share() -> None:
    """A password that is taken away does, too, as a status is written and an Event is made."""
    o = looked_at(settled())
    stores = replace(decide(o), action=Action.WRITE_FORMATS, reason=Reason.FORMATS_CHANGED)
    gone = replace(decide(o), reason=Reason.PASSWORD_MISSING)

    assert [True, True] == [plan.is_asked_for(o.identity, o, decision) for decision in (stores, gone)]


def test_an_authority_that_is_not_there_draws_where_the_spec_has_named_it_now() -> None:
    """Nothing is drawn where the authority itself went."""
    o, decision = looked_at(settled()), plan.without_authority("gone")

    assert not plan.is_asked_for(o.identity, None, decision)
    assert plan.is_asked_for(asked_for(o).identity, None, decision)


@pytest.mark.parametrize("change", [renamed, due], ids=["other names", "due"])
def test_what_waits_says_so_and_is_as_ready_as_it_was(change: Change) -> None:
    """The message names what waits."""
    decision = decide(after(change))
    waiting = plan.throttled(decision, "more was asked for", until=NOW)

    assert (Action.NOTHING, Reason.THROTTLED, NOW) == (waiting.action, waiting.reason, waiting.next_check)
    assert (decision.is_ready, False) == (waiting.is_ready, waiting.is_stalled)
    assert f"more was asked for; what waits: {decision.message}" == waiting.message
