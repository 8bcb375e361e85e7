"""Decisions: what is done, what the conditions say meanwhile, and when to look again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.leaf import plan, render
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Action, Foreign, Known, Observed, Unread
from mutualtls.core.reasons import Reason
from support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    UID,
    Signer,
    acted,
    an_identity,
    damaged,
    decide,
    decoded,
    default_signer,
    identity_body,
    known,
    merged,
    observed,
    other_signer,
    secret_of,
    settled,
    signer,
)
from support.changes import (
    CERTIFICATE,
    EVERY,
    NEW_BUNDLE,
    PREPARING,
    SUSPENDED_AUTHORITY,
    UNABLE,
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
)


@pytest.mark.parametrize(
    ("changes", "action", "reason", "is_ready"),
    [
        pytest.param((), Action.NOTHING, Reason.ISSUED, True, id="settled"),
        pytest.param((missing,), Action.ISSUE, Reason.SECRET_MISSING, False, id="missing"),
        pytest.param((due,), Action.ISSUE, Reason.RENEWAL_DUE, True, id="due"),
        pytest.param((ordered,), Action.ISSUE, Reason.REISSUE_ORDERED, True, id="ordered"),
        pytest.param((expired,), Action.ISSUE, Reason.EXPIRED, False, id="expired"),
        pytest.param((renamed,), Action.ISSUE, Reason.NAMES_CHANGED, False, id="renamed"),
        pytest.param((trusting(NEW_BUNDLE),), Action.WRITE_BUNDLE, Reason.BUNDLE_OUTDATED, True, id="new bundle"),
        pytest.param((trusting(NEW_BUNDLE), due), Action.ISSUE, Reason.RENEWAL_DUE, True, id="new bundle, and due"),
        # An authority that is suspended
        pytest.param((trusting(SUSPENDED_AUTHORITY),), Action.NOTHING, Reason.ISSUED, True, id="suspended authority"),
        pytest.param(
            (trusting(SUSPENDED_AUTHORITY), missing),
            Action.NOTHING,
            Reason.SUSPENDED,
            False,
            id="suspended authority, missing",
        ),
        pytest.param(
            (trusting(SUSPENDED_AUTHORITY), due), Action.NOTHING, Reason.SUSPENDED, True, id="suspended authority, due"
        ),
        pytest.param(
            (trusting(SUSPENDED_AUTHORITY), expired),
            Action.NOTHING,
            Reason.SUSPENDED,
            False,
            id="suspended authority, expired",
        ),
        pytest.param(
            (trusting(SUSPENDED_AUTHORITY), ordered),
            Action.NOTHING,
            Reason.SUSPENDED,
            True,
            id="suspended authority, though ordered",
        ),
        # An identity that is suspended
        pytest.param((suspended,), Action.NOTHING, Reason.ISSUED, True, id="suspended"),
        pytest.param((suspended, missing), Action.NOTHING, Reason.SUSPENDED, False, id="suspended, missing"),
        pytest.param((suspended, due), Action.NOTHING, Reason.SUSPENDED, True, id="suspended, due"),
        pytest.param((suspended, renamed), Action.NOTHING, Reason.SUSPENDED, False, id="suspended, renamed"),
        pytest.param((suspended, ordered), Action.ISSUE, Reason.REISSUE_ORDERED, True, id="suspended, but ordered"),
        pytest.param(
            (suspended, trusting(NEW_BUNDLE)),
            Action.WRITE_BUNDLE,
            Reason.BUNDLE_OUTDATED,
            True,
            id="suspended, new bundle",
        ),
        pytest.param(
            (suspended, trusting(NEW_BUNDLE), due),
            Action.WRITE_BUNDLE,
            Reason.BUNDLE_OUTDATED,
            True,
            id="suspended, new bundle, and due",
        ),
        pytest.param(
            (suspended, trusting(NEW_BUNDLE), renamed),
            Action.WRITE_BUNDLE,
            Reason.BUNDLE_OUTDATED,
            False,
            id="suspended, new bundle, and renamed",
        ),
        # An authority that cannot sign
        pytest.param((trusting(UNABLE),), Action.NOTHING, Reason.ISSUED, True, id="unable"),
        pytest.param((trusting(UNABLE), due), Action.NOTHING, Reason.AUTHORITY_NOT_READY, True, id="unable, due"),
        pytest.param(
            (trusting(UNABLE), missing), Action.NOTHING, Reason.AUTHORITY_NOT_READY, False, id="unable, missing"
        ),
        pytest.param(
            (trusting(UNABLE), ordered), Action.NOTHING, Reason.AUTHORITY_NOT_READY, True, id="unable, ordered"
        ),
        pytest.param(
            (trusting(PREPARING), missing), Action.NOTHING, Reason.AUTHORITY_NOT_READY, False, id="preparing, missing"
        ),
        pytest.param(
            (trusting(PREPARING),), Action.NOTHING, Reason.AUTHORITY_NOT_READY, False, id="preparing, files of another"
        ),
    ],
)
def test_decisions(changes: tuple[Change, ...], action: Action, reason: Reason, *, is_ready: bool) -> None:
    """A decision says what is done, why, and whether the files serve their purpose meanwhile."""
    decision = decide(after(*changes))

    assert (action, reason, is_ready) == (decision.action, decision.reason, decision.is_ready)
    assert not decision.is_stalled


def test_why_nothing_is_signed_is_said_with_what_would_be() -> None:
    """The message has the authority's reason and message, and the identity's."""
    decision = decide(after(trusting(UNABLE), missing))

    assert (
        "authority default cannot sign (KeyLost): the key is gone; secret orders-mtls does not exist"
        == decision.message
    )


def test_files_that_are_good_are_looked_at_again_at_their_end() -> None:
    """If nothing can be signed, their end is when they become invalid."""
    o = after(suspended, due)

    assert o.facts.not_after == decide(o).next_check
    assert decide(after(suspended, missing)).next_check is None


def test_somebody_elses_secret_is_left_alone() -> None:
    """Only the user can help, and learns how; the operator checks again soon."""
    o = after(lambda o: replace(o, found=Foreign(holder="helm", seen=NOW)))
    decision = decide(o)

    assert (Action.NOTHING, Reason.SECRET_CONFLICT) == (decision.action, decision.reason)
    assert (False, True) == (decision.is_ready, decision.is_stalled)
    assert NOW + 30 * SECOND == decision.next_check
    assert "belongs to helm: delete it or set spec.secret.name" in decision.message


def test_somebody_elses_secret_is_looked_at_again_and_not_read() -> None:
    """Its body is none of our business."""
    o = after(lambda o: replace(o, found=Foreign(holder="helm", seen=NOW - 30 * SECOND)))

    assert Action.LOOK is decide(o).action


def test_an_unread_secret_is_read() -> None:
    """It is read before anything is decided about it."""
    assert Action.READ is decide(after(lambda o: replace(o, found=Unread()))).action


@pytest.mark.parametrize("reason", [Reason.SECRET_TYPE_WRONG, Reason.SECRET_IMMUTABLE])
def test_what_cannot_be_changed_is_replaced(reason: Reason) -> None:
    """Type and immutability stay as they are for the life of a Secret."""
    decision = decide(after(lambda o: replace(o, found=damaged(reason))))

    assert (Action.REPLACE, reason, False) == (decision.action, decision.reason, decision.is_ready)


def test_what_cannot_be_changed_is_not_replaced_while_suspended() -> None:
    """There would be no files at all."""
    decision = decide(after(suspended, lambda o: replace(o, found=damaged(Reason.SECRET_IMMUTABLE))))

    assert (Action.NOTHING, Reason.SUSPENDED, False) == (decision.action, decision.reason, decision.is_ready)


# Decide, act, decide again


ASKED = [
    pytest.param({}, id="all defaults"),
    pytest.param({"privateKey": {"algorithm": "RSA", "encoding": "PKCS1"}}, id="RSA in PKCS1"),
    pytest.param({"privateKey": {"algorithm": "RSA"}}, id="RSA in PKCS8"),
    pytest.param({"privateKey": {"size": 384, "encoding": "SEC1"}}, id="P-384 in SEC1"),
    pytest.param({"privateKey": {"size": 521}}, id="P-521"),
    pytest.param({"privateKey": {"algorithm": "Ed25519"}}, id="Ed25519"),
    pytest.param({"usages": ["server auth", "client auth"]}, id="usages"),
    pytest.param({"usages": ["server auth"]}, id="one usage"),
    pytest.param({"services": []}, id="SPIFFE ID alone"),
    pytest.param({"serviceAccountName": "", "dnsNames": ["*.DB.shop.svc", "a.shop.svc", "A.shop.svc"]}, id="DNS names"),
    pytest.param({"duration": "10m", "renewBefore": "9m59s"}, id="short"),
    pytest.param({"duration": "168h", "renewBeforePercentage": 90}, id="long"),
    pytest.param({"secret": {"name": "tls", "labels": {"a": "b"}, "annotations": {"c": "d"}}}, id="metadata"),
    pytest.param({"secret": {"deletionPolicy": "Retain"}}, id="Retain"),
]
SIGNERS = [
    pytest.param(default_signer, id="CA of a day"),
    pytest.param(lambda: signer(made=NOW), id="CA of now"),
    pytest.param(lambda: signer(made=NOW - 2160 * HOUR + 5 * MINUTE), id="CA that ends soon"),
]


def finish(o: Observed, body: dict[str, Any] | None, by: Signer) -> tuple[list[Action], dict[str, Any]]:
    """Decide and act until there is nothing to do. Return what was done, and the Secret."""
    done: list[Action] = []
    for _ in range(4):
        o = replace(o, found=known(body) if body else Absent())
        decision = decide(o)
        done.append(decision.action)
        if decision.action is Action.NOTHING and body is not None:
            return done, body
        body = acted(o, body, decision, by)
    raise AssertionError(f"never settled: {done}")


@pytest.mark.parametrize("by", SIGNERS)
@pytest.mark.parametrize("spec", ASKED)
def test_issue_once_then_nothing(spec: dict[str, Any], by: Callable[[], Signer]) -> None:
    """This holds for every spec and every CA."""
    made = by()

    assert [Action.ISSUE, Action.NOTHING] == finish(observed(an_identity(**spec), made), None, made)[0]


@pytest.mark.parametrize("spec", ASKED)
def test_a_changed_spec_needs_one_write(spec: dict[str, Any]) -> None:
    """Key and certificate then fit any other spec that takes the place of the defaults."""
    by, before = default_signer(), secret_of(observed(an_identity()))
    same_name = {**spec, "secret": {**spec.get("secret", {}), "name": "orders-mtls"}}
    o = observed(an_identity(**same_name))
    done, body = finish(o, before, by)

    assert len(done) <= 2
    assert Action.NOTHING is done[-1]
    assert isinstance(known(body).files, Facts)


HARMS = [
    pytest.param({"data": {"tls.crt": "AAAA"}}, Action.ISSUE, id="tls.crt overwritten"),
    pytest.param({"data": {"tls.key": None}}, Action.ISSUE, id="tls.key removed"),
    pytest.param({"data": {"ca.crt": "AAAA"}}, Action.WRITE_BUNDLE, id="ca.crt overwritten"),
    pytest.param({"data": {"ca.crt": None}}, Action.ISSUE, id="ca.crt removed"),
    pytest.param({"immutable": True}, Action.REPLACE, id="made immutable"),
    pytest.param({"type": "Opaque"}, Action.REPLACE, id="made anew as another type"),
    pytest.param({"metadata": {"labels": {"mutualtls.dev/part": None}}}, Action.WRITE_METADATA, id="label removed"),
    pytest.param({"metadata": {"ownerReferences": None}}, Action.WRITE_METADATA, id="owner removed"),
    pytest.param(
        {"metadata": {"annotations": {"mutualtls.dev/owned": None}}}, Action.WRITE_METADATA, id="owned removed"
    ),
    pytest.param(
        {"metadata": {"annotations": {"mutualtls.dev/identity-name": "x"}}}, Action.WRITE_METADATA, id="renamed"
    ),
]


@pytest.mark.parametrize(("harm", "action"), HARMS)
def test_harm_needs_one_write(harm: dict[str, Any], action: Action) -> None:
    """It is healed at once, and with no more than it takes."""
    o = observed(an_identity())
    done, body = finish(o, merged(secret_of(o), harm), default_signer())
    leaves = {"tls.crt": decoded(body)["tls.crt"]}

    assert [action, Action.NOTHING] == done
    assert leaves["tls.crt"].startswith(b"-----BEGIN CERTIFICATE-----")


def test_another_authority_needs_one_write() -> None:
    """The write brings a new leaf of the other CA with its bundle."""
    before = secret_of(observed(an_identity()))
    done, body = finish(observed(an_identity(authority="other"), other_signer()), before, other_signer())

    assert [Action.ISSUE, Action.NOTHING] == done
    assert other_signer().trust.bundle == decoded(body)["ca.crt"]


def test_a_reissue_that_was_ordered_is_obeyed_once() -> None:
    """The order names the certificate that is gone then."""
    o = settled()
    before = secret_of(o)
    facts = known(before).files
    if not isinstance(facts, Facts):
        raise TypeError("damaged")
    o = replace(o, identity=msgspec.structs.replace(o.identity, reissue=facts.serial_number))

    assert [Action.ISSUE, Action.NOTHING] == finish(o, before, default_signer())[0]


# An issuing CA that was replaced


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        pytest.param((replaced,), Action.ISSUE, Reason.ISSUER_REPLACED, id="replaced"),
        pytest.param((suspended, replaced), Action.NOTHING, Reason.SUSPENDED, id="suspended"),
        pytest.param((trusting(UNABLE), replaced), Action.NOTHING, Reason.AUTHORITY_NOT_READY, id="unable"),
        pytest.param((due, replaced), Action.ISSUE, Reason.RENEWAL_DUE, id="due"),
        pytest.param(
            (trusting(NEW_BUNDLE), suspended, replaced), Action.WRITE_BUNDLE, Reason.BUNDLE_OUTDATED, id="new bundle"
        ),
    ],
)
def test_leaves_of_a_replaced_ca_are_replaced(changes: tuple[Change, ...], action: Action, reason: Reason) -> None:
    """They are good meanwhile."""
    decision = decide(after(*changes))

    assert (action, reason, True) == (decision.action, decision.reason, decision.is_ready)


# A Secret of another name than before


def left(*, age: timedelta) -> Observed:
    """Files that are good and so old, with the Secret of a former name still there."""
    o = settled()
    if not isinstance(o.found, Known):
        raise TypeError("nothing is known")
    return replace(o, found=replace(o.found, created=NOW - age), left_behind=("old",))


def test_an_old_secret_stays_for_a_while() -> None:
    """It stays until workloads that mount it have moved; then it is checked again."""
    decision = decide(left(age=4 * MINUTE))

    assert (Action.NOTHING, Reason.ISSUED, True) == (decision.action, decision.reason, decision.is_ready)
    assert NOW + 6 * MINUTE == decision.next_check


@pytest.mark.parametrize("age", [10 * MINUTE, DAY])
def test_an_old_secret_goes_then(age: timedelta) -> None:
    """The new one is good meanwhile."""
    decision = decide(left(age=age))

    assert (Action.REMOVE_OLD, Reason.SECRET_RENAMED, True) == (decision.action, decision.reason, decision.is_ready)


def test_without_an_old_secret_nothing_is_looked_at_for_it() -> None:
    """The next time is the renewal."""
    o = settled()

    assert o.renewal_time == decide(o).next_check


# First issuance


@pytest.mark.parametrize(
    ("had", "change", "is_first"),
    [
        pytest.param(None, missing, True, id="never had files"),
        pytest.param(CERTIFICATE, missing, False, id="had files, and they are gone"),
        pytest.param(None, lambda o: o, False, id="has files"),
    ],
)
def test_a_first_issuance_is_no_news(had: CertificateStatus | None, change: Change, *, is_first: bool) -> None:
    """Users hear of healing alone."""
    body = identity_body()
    if had:
        body["status"] = {"certificate": msgspec.to_builtins(had)}
    parsed = identity.parse(body)

    assert UID == parsed.uid
    assert is_first is plan.is_first(change(replace(settled(), identity=parsed)))


# What is told beside


def test_a_suspended_identity_says_so_at_once() -> None:
    """The condition says so long before a renewal is late."""
    decision = decide(suspended(settled()))

    assert decision.is_ready
    assert "is not renewed while spec.suspend is true" in decision.message
    assert "will be renewed" not in decision.message


def recorded(o: Observed, **status: Any) -> Observed:
    """Have the status record the leaf that is there."""
    said = msgspec.structs.replace(render.identity_status(o, decide(o)), **status)
    return replace(o, identity=msgspec.structs.replace(o.identity, status=said))


ANSWER = "the annotation mutualtls.dev/reissue is not obeyed: the serial number now is "


@pytest.mark.parametrize(
    ("reissued", "is_answered"),
    [pytest.param(None, True, id="a wrong one"), pytest.param("abc", False, id="one that was obeyed")],
)
def test_an_order_that_is_not_obeyed_is_answered(reissued: str | None, *, is_answered: bool) -> None:
    """The answer has the right serial number; an obeyed order may stay in Git."""
    o = recorded(settled(), reissued=reissued)
    decision = decide(replace(o, identity=msgspec.structs.replace(o.identity, reissue="abc")))

    assert is_answered is (ANSWER + o.facts.serial_number in decision.message)
    assert Action.NOTHING is decision.action


def test_an_answer_draws_on_the_share_of_who_asked() -> None:
    """It draws once, when it is given."""
    o = recorded(settled())
    asking = replace(o, identity=msgspec.structs.replace(o.identity, reissue="abc"))
    answered = recorded(asking)

    assert plan.is_asked_for(asking.identity, asking, decide(asking))
    assert not plan.is_asked_for(answered.identity, answered, decide(answered))
    assert not plan.is_asked_for(o.identity, o, decide(o))


def held_up(o: Observed, reason: Reason) -> Observed:
    """Know a Secret that has to go first, was deleted, and is kept by a finalizer."""
    return replace(o, found=replace(damaged(reason), held_by="example.com/keep"))


@pytest.mark.parametrize("reason", [Reason.SECRET_IMMUTABLE, Reason.SECRET_TYPE_WRONG])
def test_a_secret_that_finalizers_keep_is_waited_for(reason: Reason) -> None:
    """It is not deleted again and again, and who can help is told."""
    decision = decide(held_up(settled(), reason))

    assert (Action.NOTHING, Reason.SECRET_TERMINATING) == (decision.action, decision.reason)
    assert "kept by finalizers (example.com/keep)" in decision.message
    assert decision.is_stalled
    assert not decision.is_ready
    assert NOW + 30 * SECOND == decision.next_check


def test_a_secret_that_is_deleted_and_can_be_changed_is_changed() -> None:
    """Its files are renewed while finalizers keep it."""
    o = due(settled())
    assert isinstance(o.found, Known)

    assert Action.ISSUE is decide(replace(o, found=replace(o.found, held_by="example.com/keep"))).action


@pytest.mark.parametrize(
    ("change", "is_ready"),
    [
        pytest.param(due, True, id="a renewal"),
        pytest.param(expired, False, id="an expired certificate"),
        pytest.param(missing, False, id="a first issuance"),
    ],
)
def test_what_could_not_be_written_leaves_the_files_as_good_as_they_are(change: Change, *, is_ready: bool) -> None:
    """It says what the API server said, that it is tried again, and what waits."""
    before = decide(change(settled()))
    decision = plan.not_written(before, "secret a could not be changed: no", every=EVERY, is_lasting=True)

    expected = f"secret a could not be changed: no; retried at least every 5 minutes; what waits: {before.message}"
    assert (Action.NOTHING, Reason.SECRET_NOT_WRITABLE) == (decision.action, decision.reason)
    assert (expected, is_ready, True) == (decision.message, decision.is_ready, decision.is_stalled)


def test_a_change_that_could_not_be_written_is_not_one_of_many() -> None:
    """It was asked for by its own spec, though that was observed."""
    o = recorded(settled())
    told = plan.not_written(decide(due(o)), "no", every=EVERY, is_lasting=True)
    waiting = msgspec.structs.replace(o.identity, status=render.identity_status(o, told))
    changed = replace(decide(o), action=Action.ISSUE, reason=Reason.NAMES_CHANGED)

    assert plan.is_one_of_many(o, changed)
    assert not plan.is_one_of_many(replace(o, identity=waiting), changed)
