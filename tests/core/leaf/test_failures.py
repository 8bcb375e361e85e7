"""When what was decided could not be done: what is done instead, what is told, and what counts as a repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf import failures, plan, render, secret
from mutualtls.core.leaf.observed import Absent, Action, Contest, Known, Observed, Unread
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.leaf.secret import SecretMetadata
from mutualtls.core.reasons import Reason
from support.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    an_identity,
    damaged,
    decide,
    default_signer,
    merged,
    observed,
    secret_of,
    settled,
)

NEW_BUNDLE = replace(default_signer().trust, bundle=b"new", bundle_hash="new")
CONTEST = Contest(by="helm", times=3, since=NOW, until=NOW + MINUTE)


# What is done instead


@pytest.mark.parametrize(
    ("changes", "action", "expected"),
    [
        pytest.param({"trust": NEW_BUNDLE}, Action.ISSUE, Action.WRITE_BUNDLE, id="a leaf"),
        pytest.param({"trust": NEW_BUNDLE}, Action.REPLACE, Action.WRITE_BUNDLE, id="a leaf, and its Secret"),
        pytest.param({"trust": NEW_BUNDLE}, Action.WRITE_BUNDLE, None, id="the bundle itself"),
        pytest.param({"trust": NEW_BUNDLE}, Action.WRITE_METADATA, None, id="labels"),
        pytest.param({"trust": NEW_BUNDLE, "contest": CONTEST}, Action.ISSUE, None, id="a contested Secret"),
        pytest.param({"trust": NEW_BUNDLE, "found": Absent()}, Action.ISSUE, None, id="no Secret"),
        pytest.param({}, Action.ISSUE, None, id="the bundle is current"),
    ],
)
def test_where_a_leaf_is_refused_its_bundle_is_kept_current(
    changes: dict[str, Any], action: Action, expected: Action | None
) -> None:
    """A policy that refuses a key may take a bundle."""
    o = replace(settled(), **changes)
    instead = failures.bundle_at_least(o, replace(decide(o), action=action))

    assert expected is (instead.action if instead else None)
    assert instead is None or Reason.BUNDLE_OUTDATED is instead.reason


# What is told


def recorded(o: Observed, decision: Decision | None = None) -> IdentityStatus:
    """The status of an identity."""
    return render.identity_status(o, decision or decide(o))


def renewal(o: Observed) -> Decision:
    """A renewal that is due."""
    return decide(replace(o, now=o.renewal_time))


def trouble(
    said: IdentityStatus,
    decision: Decision | None,
    *,
    is_lasting: bool,
    now: datetime = NOW,
    end: datetime | None = None,
) -> Decision | None:
    """Have something not be done."""
    return failures.trouble(said, decision, "denied", is_lasting=is_lasting, end=end, every=5 * MINUTE, now=now)


END = settled().facts.not_after


@pytest.mark.parametrize(
    ("is_lasting", "is_decided", "now", "expected"),
    [
        pytest.param(True, True, NOW, True, id="refused, before the files end"),
        pytest.param(False, True, NOW, None, id="not reached, before the files end"),
        pytest.param(True, False, NOW, None, id="refused before anything was decided"),
        pytest.param(True, True, END - SECOND, True, id="refused, a second before the files end"),
        pytest.param(True, True, END, False, id="refused, when the files end"),
        pytest.param(False, True, END, False, id="not reached, when the files end"),
        pytest.param(False, False, END, False, id="not even decided, when the files end"),
    ],
)
def test_trouble_is_told_that_lasts_or_that_the_files_did_not_outlive(
    now: datetime, *, is_lasting: bool, is_decided: bool, expected: bool | None
) -> None:
    """A row's `expected` says whether the files are good; it is None where nothing is told."""
    o = settled()
    found = trouble(recorded(o), renewal(o) if is_decided else None, is_lasting=is_lasting, now=now)

    assert expected is (found.is_ready if found else None)
    assert found is None or (Action.NOTHING, Reason.SECRET_NOT_WRITABLE) == (found.action, found.reason)
    assert found is None or found.is_stalled is is_lasting


def test_the_end_of_the_files_that_are_there_counts_before_the_recorded_one() -> None:
    """A later leaf may have been written whose status was not."""
    o = settled()
    said = recorded(o)

    assert trouble(said, renewal(o), is_lasting=False, now=END, end=END + HOUR) is None
    assert trouble(said, renewal(o), is_lasting=False, now=END) is not None


@pytest.mark.parametrize(
    ("is_lasting", "is_told"), [pytest.param(True, True, id="lasting"), pytest.param(False, False, id="passing")]
)
def test_of_an_identity_of_which_nothing_was_said_trouble_is_told_that_lasts(
    *, is_lasting: bool, is_told: bool
) -> None:
    """It is told also where nothing could be decided."""
    first = decide(observed(an_identity()))

    for decision in (first, None):
        found = trouble(IdentityStatus(), decision, is_lasting=is_lasting)
        assert is_told is (found is not None)
        assert found is None or not found.is_ready


def test_files_that_had_ended_already_are_not_told_again() -> None:
    """Nothing turns when the files of an identity end that is not ready."""
    o = replace(settled(), now=END)

    assert trouble(recorded(o), None, is_lasting=False, now=END) is None


# Repairs

Change = Callable[[Observed], Observed]


def metadata(**changes: Any) -> SecretMetadata:
    """The metadata of the Secret as it was found."""
    return secret.parse(merged(secret_of(settled()), {"metadata": changes})["metadata"])


def had_files(o: Observed) -> Observed:
    """Have the status record a certificate."""
    return replace(o, identity=msgspec.structs.replace(o.identity, status=recorded(settled())))


def missing(o: Observed) -> Observed:
    """Have no Secret."""
    return replace(o, found=Absent())


def harmed(o: Observed) -> Observed:
    """Have files that do not fit together."""
    return replace(o, found=damaged(Reason.KEY_MISMATCH))


def relabelled(o: Observed) -> Observed:
    """Have other labels than asked for."""
    assert isinstance(o.found, Known)
    return replace(o, found=replace(o.found, metadata_hash="other"))


def due(o: Observed) -> Observed:
    """Look at the renewal time."""
    return replace(o, now=o.renewal_time)


def with_new_bundle(o: Observed) -> Observed:
    """Have another bundle be trusted."""
    return replace(o, trust=NEW_BUNDLE)


HELM = {"managedFields": [{"manager": "helm", "operation": "Update", "fieldsV1": {"f:data": {}}}]}
PREDECESSOR = {"annotations": {"mutualtls.dev/identity-uid": "of-before"}}


@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        pytest.param(lambda o: missing(had_files(o)), None, True, id="deleted"),
        pytest.param(harmed, metadata(**HELM), True, id="damaged"),
        pytest.param(relabelled, metadata(**HELM), True, id="other labels"),
        pytest.param(with_new_bundle, metadata(**HELM), True, id="another bundle"),
        pytest.param(missing, None, False, id="never had files"),
        pytest.param(due, metadata(**HELM), False, id="renewed"),
        pytest.param(harmed, metadata(**HELM, **PREDECESSOR), False, id="of an identity of the same name before"),
        pytest.param(lambda o: replace(o, found=Unread()), metadata(**HELM), False, id="read"),
    ],
)
def test_what_others_made_necessary_is_a_repair(
    change: Change, found: SecretMetadata | None, *, expected: bool
) -> None:
    """It is not done for ever."""
    o = change(settled())

    assert expected is failures.is_repair(o, decide(o), found)


@pytest.mark.parametrize(
    ("reason", "changes", "expected"),
    [
        pytest.param(Reason.SECRET_MISSING, {}, Reason.SECRET_MISSING, id="deleted"),
        pytest.param(Reason.BUNDLE_OUTDATED, {}, Reason.BUNDLE_OUTDATED, id="another bundle was put there"),
        pytest.param(Reason.NOT_PERMITTED, {}, Reason.BUNDLE_OUTDATED, id="the same beside a spec that is refused"),
        pytest.param(Reason.BUNDLE_OUTDATED, {"bundle": "old"}, None, id="the authority has another bundle"),
        pytest.param(Reason.METADATA_DRIFTED, {"observed_generation": 0}, None, id="the spec is another"),
    ],
)
def test_a_repair_counts_as_mended_where_somebody_else_has_made_it_necessary(
    reason: Reason, changes: dict[str, Any], expected: Reason | None
) -> None:
    """Neither a rotation nor an edit of the spec is anybody's tampering."""
    o = settled()
    said = msgspec.structs.replace(recorded(o), **changes)
    o = replace(o, identity=msgspec.structs.replace(o.identity, status=said))

    assert expected is failures.mended(o, replace(decide(o), action=Action.WRITE_BUNDLE, reason=reason))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(metadata(**HELM), "helm", id="who wrote it is known"),
        pytest.param(metadata(), "something that leaves no name (such as an admission policy)", id="nobody wrote it"),
        pytest.param(None, None, id="it was deleted"),
    ],
)
def test_the_overwriter_is_named(found: SecretMetadata | None, expected: str | None) -> None:
    """Where nobody but us wrote, the message says that our write was changed on its way."""
    assert expected == failures.overwriter(found)


@pytest.mark.parametrize(
    ("reason", "is_repair"),
    [
        pytest.param(Reason.FORMATS_DAMAGED, True, id="damaged"),
        pytest.param(Reason.FORMATS_CHANGED, False, id="other formats are asked for"),
        pytest.param(Reason.NOT_PERMITTED, True, id="a bundle that is kept current though the spec is refused"),
    ],
)
def test_further_files_are_a_repair_unless_others_are_asked_for(reason: Reason, *, is_repair: bool) -> None:
    """The bundle in a store is written with them."""
    o = settled()
    decision = replace(decide(o), action=Action.WRITE_FORMATS, reason=reason)

    assert is_repair is (failures.is_repair(o, decision, metadata()))


def test_every_reason_for_mending_counts() -> None:
    """It does not matter what is done about it."""
    o = settled()
    found = {reason for reason in Reason if _counts(o, reason)}

    assert plan.MENDED == found


def _counts(o: Observed, reason: Reason) -> bool:
    decision = replace(decide(o), action=Action.ISSUE, reason=reason)
    return failures.is_repair(o, decision, metadata())
