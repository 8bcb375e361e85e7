"""Decisions: what is left alone for a while as others overwrite it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from mutualtls.core.leaf import plan
from mutualtls.core.leaf.formats import ExtraFiles
from mutualtls.core.leaf.observed import Action, Foreign, Known, Observed
from mutualtls.core.reasons import Reason
from support.builders import NOW, an_identity, damaged, decide, other_signer
from support.changes import (
    CONTEST,
    NEW_BUNDLE,
    Change,
    after,
    contested,
    drifted,
    due,
    expired,
    missing,
    ordered,
    renamed,
    replaced,
    trusting,
    unread,
)


def harmed(reason: Reason) -> Change:
    """Have a Secret that was damaged."""
    return lambda o: replace(o, found=damaged(reason))


def foreign(o: Observed) -> Observed:
    """Have somebody else's Secret."""
    return replace(o, found=Foreign(holder="helm", seen=NOW))


def further_harmed(o: Observed) -> Observed:
    """Have damaged a file that a format asks for."""
    if not isinstance(o.found, Known):
        raise TypeError("programming error: nothing is known")
    harmed = msgspec.structs.replace(o.facts, further=ExtraFiles(inputs_hash="", files={}))
    return replace(o, identity=an_identity(formats={"der": {}}), found=replace(o.found, files=harmed))


LEFT_ALONE = [
    pytest.param(missing, Reason.SECRET_MISSING, False, id="deleted"),
    pytest.param(harmed(Reason.SECRET_INCOMPLETE), Reason.SECRET_INCOMPLETE, False, id="a file is missing"),
    pytest.param(harmed(Reason.SECRET_UNREADABLE), Reason.SECRET_UNREADABLE, False, id="unreadable"),
    pytest.param(harmed(Reason.KEY_MISMATCH), Reason.KEY_MISMATCH, False, id="another key"),
    pytest.param(harmed(Reason.SECRET_TYPE_WRONG), Reason.SECRET_TYPE_WRONG, False, id="another type"),
    pytest.param(harmed(Reason.SECRET_IMMUTABLE), Reason.SECRET_IMMUTABLE, False, id="immutable"),
    pytest.param(trusting(NEW_BUNDLE), Reason.BUNDLE_OUTDATED, False, id="another bundle"),
    pytest.param(further_harmed, Reason.FORMATS_DAMAGED, False, id="a further file"),
    pytest.param(drifted, Reason.METADATA_DRIFTED, True, id="other labels"),
]


@pytest.mark.parametrize(("change", "reason", "is_ready"), LEFT_ALONE)
def test_a_contested_secret_is_left_alone_for_a_while(change: Change, reason: Reason, *, is_ready: bool) -> None:
    """It does not matter what is done to it; without a contest it is mended."""
    o = after(change)
    decision = decide(contested(o))

    assert reason == decide(o).reason
    assert Action.NOTHING is not decide(o).action
    assert (Action.NOTHING, Reason.SECRET_CONTESTED) == (decision.action, decision.reason)
    assert (is_ready, True, CONTEST.until) == (decision.is_ready, decision.is_stalled, decision.next_check)


def test_every_reason_for_mending_is_tested() -> None:
    """A new one needs a case above."""
    assert {case.values[1] for case in LEFT_ALONE} == plan.MENDED


@pytest.mark.parametrize(
    ("by", "deletions", "expected"),
    [
        pytest.param("helm", 0, "overwritten 3 times since 2026-01-02T02:59:05Z by helm", id="overwritten"),
        pytest.param("", 3, "deleted 3 times since 2026-01-02T02:59:05Z", id="deleted"),
        pytest.param(
            "helm",
            1,
            "overwritten 2 times since 2026-01-02T02:59:05Z by helm and deleted once since 2026-01-02T02:59:05Z",
            id="overwritten and deleted",
        ),
    ],
)
def test_a_contest_says_what_was_done_and_by_whom(by: str, deletions: int, expected: str) -> None:
    """A deletion overwrites nothing."""
    contest = replace(CONTEST, by=by, deletions=deletions)
    said = decide(replace(contested(after(missing)), contest=contest)).message

    assert said.startswith(f"secret orders-mtls was {expected}; left alone until 2026-01-02T03:09:05Z: have it leave")


def test_a_contest_says_what_to_do() -> None:
    """The message also says when it is tried again."""
    said = decide(contested(after(missing))).message

    assert "left alone until 2026-01-02T03:09:05Z: have it leave the secret alone, or set spec.secret.name" in said
    assert said.endswith("secret orders-mtls does not exist")


@pytest.mark.parametrize(
    ("change", "action", "reason"),
    [
        pytest.param(lambda o: o, Action.NOTHING, Reason.ISSUED, id="settled"),
        pytest.param(renamed, Action.ISSUE, Reason.NAMES_CHANGED, id="a new spec"),
        pytest.param(due, Action.ISSUE, Reason.RENEWAL_DUE, id="due"),
        pytest.param(expired, Action.ISSUE, Reason.EXPIRED, id="expired"),
        pytest.param(ordered, Action.ISSUE, Reason.REISSUE_ORDERED, id="ordered"),
        pytest.param(replaced, Action.ISSUE, Reason.ISSUER_REPLACED, id="its CA was replaced"),
        pytest.param(trusting(other_signer().trust), Action.ISSUE, Reason.AUTHORITY_CHANGED, id="another authority"),
        pytest.param(unread, Action.READ, Reason.SECRET_UNREAD, id="unread"),
        pytest.param(foreign, Action.NOTHING, Reason.SECRET_CONFLICT, id="somebody else's"),
    ],
)
def test_a_contest_holds_back_mending_alone(change: Change, action: Action, reason: Reason) -> None:
    """Reading goes on, and so does what the spec or time asks for."""
    decision = decide(contested(after(change)))

    assert (action, reason) == (decision.action, decision.reason)
