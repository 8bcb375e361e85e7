"""Decisions: what is done where what is asked for is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mutualtls.core.api.authority_spec import OnNotPermitted
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf import plan
from mutualtls.core.leaf.observed import Action, Contest, Observed, Seen, Unread
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.reasons import Reason
from support.builders import MINUTE, NOW, damaged, decide, settled
from support.changes import EVERY, NEW_BUNDLE, after, due, missing, suspended, trusting


def refusal(seen: Seen, reason: Reason = Reason.NOT_PERMITTED) -> Decision:
    """Refuse what is asked for."""
    return plan.refused(seen, SpecError(reason, [Fault(field="spec.a", message="is wrong")]))


def deleting(o: Observed) -> Observed:
    """Have an authority that removes files which are not permitted any more."""
    return replace(o, trust=replace(o.trust, on_not_permitted=OnNotPermitted.DELETE))


def test_a_refusal_names_every_fault() -> None:
    """The identity then waits for the user."""
    faults = [Fault(field="spec.a", message="is wrong"), Fault(field="spec.b", message="is wrong, too")]
    decision = plan.refused(settled(), SpecError(Reason.NOT_PERMITTED, faults))

    assert (Action.NOTHING, Reason.NOT_PERMITTED) == (decision.action, decision.reason)
    assert "spec.a: is wrong; spec.b: is wrong, too" == decision.message
    assert (False, True, None) == (decision.is_ready, decision.is_stalled, decision.next_check)


@pytest.mark.parametrize("reason", [Reason.NOT_PERMITTED, Reason.INVALID_SPEC])
def test_the_bundle_of_what_is_refused_is_kept_current(reason: Reason) -> None:
    """Its files are in use until they expire; what they say is read first."""
    unread = replace(settled(), found=Unread())

    assert Action.WRITE_BUNDLE is refusal(after(trusting(NEW_BUNDLE)), reason).action
    assert Action.READ is refusal(unread, reason).action
    assert Action.NOTHING is refusal(after(missing), reason).action
    assert Action.NOTHING is refusal(after(lambda o: replace(o, found=damaged(Reason.KEY_MISMATCH))), reason).action


def test_a_contested_bundle_is_left_alone_where_no_leaf_can_be_made() -> None:
    """Otherwise the two writers would go on for ever."""
    contest = Contest(by="rival", times=3, since=NOW, until=NOW + MINUTE)
    decision = decide(replace(after(suspended, trusting(NEW_BUNDLE), due), contest=contest))

    assert (Action.NOTHING, Reason.SECRET_CONTESTED) == (decision.action, decision.reason)
    assert decision.next_check == NOW + MINUTE


def test_files_are_as_good_as_they_were_where_the_authoritys_spec_is_faulty() -> None:
    """One slip there is not the fault of those who use it."""
    end = settled().facts.not_after
    good, over = refusal(settled(), Reason.AUTHORITY_NOT_READY), replace(settled(), now=end)

    assert (Action.NOTHING, True, False, end) == (good.action, good.is_ready, good.is_stalled, good.next_check)
    assert not refusal(over, Reason.AUTHORITY_NOT_READY).is_ready
    assert not refusal(after(missing), Reason.AUTHORITY_NOT_READY).is_ready


def test_a_contested_bundle_of_what_is_refused_is_left_alone_for_a_while() -> None:
    """It is treated as the bundle of any other identity."""
    contest = Contest(by="rival", times=3, since=NOW, until=NOW + MINUTE)
    decision = refusal(replace(after(trusting(NEW_BUNDLE)), contest=contest))

    assert (Action.NOTHING, NOW + MINUTE) == (decision.action, decision.next_check)


def test_files_are_removed_where_a_right_is_missing_and_the_authority_says_so() -> None:
    """Files of former names go, too; no other fault removes any."""
    left = replace(after(missing, deleting), left_behind=("before",))

    assert Action.REMOVE is refusal(after(deleting)).action
    assert Action.REMOVE is refusal(left).action
    assert Action.NOTHING is refusal(after(missing, deleting)).action
    assert Action.NOTHING is refusal(after(deleting), Reason.INVALID_SPEC).action
    assert Action.NOTHING is refusal(settled()).action


def test_an_authority_that_does_not_exist_is_the_users_to_make() -> None:
    """Whoever makes it wakes the identity."""
    decision = plan.without_authority("prod")

    assert (Action.NOTHING, Reason.AUTHORITY_NOT_FOUND) == (decision.action, decision.reason)
    assert (False, True, None) == (decision.is_ready, decision.is_stalled, decision.next_check)
    assert "authority prod does not exist" in decision.message


def test_a_refused_spec_goes_on_to_be_what_counts() -> None:
    """It counts also where its bundle could not be written."""
    error = SpecError(Reason.NOT_PERMITTED, [Fault(field="spec.dnsNames", message="not yours")])
    before = plan.refused(settled(), error)
    decision = plan.not_written(before, "could not be changed: no", every=EVERY, is_lasting=True)

    assert (Reason.NOT_PERMITTED, "spec.dnsNames: not yours; could not be changed: no") == (
        decision.reason,
        decision.message,
    )
