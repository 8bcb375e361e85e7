"""Decisions: what is done, what the conditions say meanwhile, and when to look again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.builders import (
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
from mutualtls.core import identity, plan, trust
from mutualtls.core.authority import OnNotPermitted
from mutualtls.core.checks import Absent, Action, Contest, Foreign, Known, Observed, Seen, Unread
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.facts import Facts
from mutualtls.core.formats import Further
from mutualtls.core.identity import IdentityStatus
from mutualtls.core.plan import Decision
from mutualtls.core.reasons import Reason
from mutualtls.core.status import CertificateStatus
from mutualtls.core.trust import Trust

Change = Callable[[Observed], Observed]

SUSPENDED_AUTHORITY = replace(default_signer().trust, suspended=True)
NEW_BUNDLE = replace(default_signer().trust, bundle=b"new", bundle_hash="new")
UNABLE = trust.of(default_signer().authority, default_signer().ledger, why_not=(Reason.KEY_LOST, "the key is gone"))
PREPARING = trust.of(default_signer().authority, None)


def trusting(offered: Trust) -> Change:
    """Have another offer of the authority."""
    return lambda o: replace(o, trust=offered)


def missing(o: Observed) -> Observed:
    """Have no Secret."""
    return replace(o, found=Absent())


def due(o: Observed) -> Observed:
    """Look at the renewal time."""
    return replace(o, now=o.renewal_time, verify_before=o.now - DAY)


def expired(o: Observed) -> Observed:
    """Look when the certificate has expired."""
    return replace(o, now=o.facts.not_after, verify_before=o.now - DAY)


def ordered(o: Observed) -> Observed:
    """Order a re-issue."""
    return replace(o, identity=msgspec.structs.replace(o.identity, reissue=o.facts.serial_number))


def suspended(o: Observed) -> Observed:
    """Suspend the identity."""
    return replace(o, identity=an_identity(suspend=True))


def renamed(o: Observed) -> Observed:
    """Ask for other names than the certificate has."""
    return replace(o, wanted=replace(o.wanted, names=replace(o.wanted.names, dns=("a.orders.shop.svc",))))


def after(*changes: Change) -> Observed:
    """Change something about good files."""
    o = settled()
    for change in changes:
        o = change(o)
    return o


@pytest.mark.parametrize(
    ("changes", "action", "reason", "is_ready"),
    [
        pytest.param((), Action.NOTHING, Reason.ISSUED, True, id="settled"),
        pytest.param((missing,), Action.ISSUE, Reason.SECRET_MISSING, False, id="missing"),
        pytest.param((due,), Action.ISSUE, Reason.RENEWAL_DUE, True, id="due"),
        pytest.param((ordered,), Action.ISSUE, Reason.REISSUE_ORDERED, True, id="ordered"),
        pytest.param((expired,), Action.ISSUE, Reason.EXPIRED, False, id="expired"),
        pytest.param((renamed,), Action.ISSUE, Reason.NAMES_CHANGED, False, id="renamed"),
        pytest.param((trusting(NEW_BUNDLE),), Action.WRITE_BUNDLE, Reason.BUNDLE_OLD, True, id="new bundle"),
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
            (suspended, trusting(NEW_BUNDLE)), Action.WRITE_BUNDLE, Reason.BUNDLE_OLD, True, id="suspended, new bundle"
        ),
        pytest.param(
            (suspended, trusting(NEW_BUNDLE), due),
            Action.WRITE_BUNDLE,
            Reason.BUNDLE_OLD,
            True,
            id="suspended, new bundle, and due",
        ),
        pytest.param(
            (suspended, trusting(NEW_BUNDLE), renamed),
            Action.WRITE_BUNDLE,
            Reason.BUNDLE_OLD,
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
    """What is done, why, and whether the files serve their purpose meanwhile."""
    decision = decide(after(*changes))

    assert (action, reason, is_ready) == (decision.action, decision.reason, decision.is_ready)
    assert not decision.is_stalled


def test_why_nothing_is_signed_is_said_with_what_would_be() -> None:
    """The authority's reason and message, and the identity's."""
    decision = decide(after(trusting(UNABLE), missing))

    assert (
        "authority default cannot sign (KeyLost): the key is gone; secret orders-mtls does not exist"
        == decision.message
    )


def test_files_that_are_good_are_looked_at_again_at_their_end() -> None:
    """When nothing can be signed, as that is when they become bad."""
    o = after(suspended, due)

    assert o.facts.not_after == decide(o).look_again
    assert decide(after(suspended, missing)).look_again is None


def test_somebody_elses_secret_is_left_alone() -> None:
    """Only the user can help, and is told how; it is looked at again soon."""
    o = after(lambda o: replace(o, found=Foreign(holder="helm", seen=NOW)))
    decision = decide(o)

    assert (Action.NOTHING, Reason.SECRET_CONFLICT) == (decision.action, decision.reason)
    assert (False, True) == (decision.is_ready, decision.is_stalled)
    assert NOW + 30 * SECOND == decision.look_again
    assert "belongs to helm: delete it or set spec.secret.name" in decision.message


def test_somebody_elses_secret_is_looked_at_again_and_not_read() -> None:
    """Its body is none of our business."""
    o = after(lambda o: replace(o, found=Foreign(holder="helm", seen=NOW - 30 * SECOND)))

    assert Action.LOOK is decide(o).action


def test_an_unread_secret_is_read() -> None:
    """Before anything is decided about it."""
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


def refusal(seen: Seen, reason: Reason = Reason.NOT_PERMITTED) -> Decision:
    """Refuse what is asked for."""
    return plan.refused(seen, SpecError(reason, [Fault(field="spec.a", message="is wrong")]))


def deleting(o: Observed) -> Observed:
    """Have an authority that removes files which are not permitted any more."""
    return replace(o, trust=replace(o.trust, on_not_permitted=OnNotPermitted.DELETE))


def test_a_refusal_names_every_fault() -> None:
    """And waits for the user."""
    faults = [Fault(field="spec.a", message="is wrong"), Fault(field="spec.b", message="is wrong, too")]
    decision = plan.refused(settled(), SpecError(Reason.NOT_PERMITTED, faults))

    assert (Action.NOTHING, Reason.NOT_PERMITTED) == (decision.action, decision.reason)
    assert "spec.a: is wrong; spec.b: is wrong, too" == decision.message
    assert (False, True, None) == (decision.is_ready, decision.is_stalled, decision.look_again)


@pytest.mark.parametrize("reason", [Reason.NOT_PERMITTED, Reason.INVALID_SPEC])
def test_the_bundle_of_what_is_refused_is_kept_current(reason: Reason) -> None:
    """Its files are in use until they expire; what they say is read first."""
    unread = replace(settled(), found=Unread())

    assert Action.WRITE_BUNDLE is refusal(after(trusting(NEW_BUNDLE)), reason).action
    assert Action.READ is refusal(unread, reason).action
    assert Action.NOTHING is refusal(after(missing), reason).action
    assert Action.NOTHING is refusal(after(lambda o: replace(o, found=damaged(Reason.KEY_MISMATCH))), reason).action


def test_a_contested_bundle_is_left_alone_where_no_leaf_can_be_made() -> None:
    """Or the two writers would go on for ever."""
    contest = Contest(by="rival", times=3, over=NOW + MINUTE)
    decision = decide(replace(after(suspended, trusting(NEW_BUNDLE), due), contest=contest))

    assert (Action.NOTHING, Reason.SECRET_CONTESTED) == (decision.action, decision.reason)
    assert decision.look_again == NOW + MINUTE


def test_files_are_as_good_as_they_were_where_the_authoritys_spec_is_faulty() -> None:
    """One slip there is not the fault of those who use it."""
    end = settled().facts.not_after
    good, over = refusal(settled(), Reason.AUTHORITY_NOT_READY), replace(settled(), now=end)

    assert (Action.NOTHING, True, False, end) == (good.action, good.is_ready, good.is_stalled, good.look_again)
    assert not refusal(over, Reason.AUTHORITY_NOT_READY).is_ready
    assert not refusal(after(missing), Reason.AUTHORITY_NOT_READY).is_ready


def test_a_contested_bundle_of_what_is_refused_is_left_alone_for_a_while() -> None:
    """As that of any other."""
    contest = Contest(by="rival", times=3, over=NOW + MINUTE)
    decision = refusal(replace(after(trusting(NEW_BUNDLE)), contest=contest))

    assert (Action.NOTHING, NOW + MINUTE) == (decision.action, decision.look_again)


def test_files_are_removed_where_a_right_is_missing_and_the_authority_says_so() -> None:
    """Those of former names, too; and for no other fault."""
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
    assert (False, True, None) == (decision.is_ready, decision.is_stalled, decision.look_again)
    assert "authority prod does not exist" in decision.message


# When to look again


def test_settled_files_are_looked_at_again_when_they_are_due() -> None:
    """And the message says until when they are good."""
    o = settled()
    decision = decide(o)

    assert o.renewal_time == decision.look_again
    assert decision.message.startswith(
        "certificate is valid until 2026-01-03T03:04:05Z and will be renewed at 2026-01-02T"
    )


def test_settled_files_are_swept() -> None:
    """A day after they were seen, where that comes before the renewal."""
    o = settled(duration="168h")

    assert NOW + DAY == decide(o).look_again


@pytest.mark.parametrize("uid", [f"uid-{number}" for number in range(10)])
def test_jitter_is_within_a_tenth_of_renew_before(uid: str) -> None:
    """Every identity of its own, so that they are not all renewed at once."""
    o = settled()
    o = replace(o, identity=msgspec.structs.replace(o.identity, uid=uid))
    asked = o.facts.not_after - o.wanted.renew_before
    look_again = decide(o).look_again

    assert look_again is not None
    assert asked - o.wanted.renew_before / 10 - SECOND <= look_again <= asked


def test_jitter_differs_between_identities() -> None:
    """Or it would be none."""
    o = settled()
    looks = {
        decide(replace(o, identity=msgspec.structs.replace(o.identity, uid=f"uid-{number}"))).look_again
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
        elif decision.action is not Action.NOTHING or decision.look_again is None:
            return seen
        else:
            moment = decision.look_again
            o = replace(o, now=moment, verify_before=moment - DAY, look_before=moment - 30 * SECOND)
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
    """In the timeline of a week with sweeps."""
    o = settled(duration="168h")
    *_, (moment, action) = timeline(o)

    assert (o.renewal_time, Action.ISSUE) == (moment, action)


# A CA that ends soon


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
    """And is good all the same."""
    by, o = ending(hours)
    decision = decide(o)

    assert by.issuing.validity.not_after == o.facts.not_after
    assert (Action.NOTHING, Reason.LIMITED_BY_CA, True) == (decision.action, decision.reason, decision.is_ready)
    assert "shorter than asked for as its CA ends then" in decision.message


def test_a_leaf_that_is_not_shortened_does_not_say_so() -> None:
    """Though it ends with its CA."""
    _, o = ending(24)

    assert Reason.ISSUED == decide(o).reason


def test_a_leaf_of_a_young_ca_is_not_shortened() -> None:
    """It is backdated less, and lives as long as was asked."""
    by = signer(made=NOW)
    o = settled(by, now=NOW + SECOND)

    assert Reason.ISSUED == decide(o).reason


def test_a_leaf_that_its_ca_shortens_is_looked_at_again_at_its_end() -> None:
    """Where a renewal would gain nothing; a new CA wakes it before."""
    _, o = ending(5)

    assert [(NOW, Action.NOTHING), (o.facts.not_after, Action.ISSUE)] == timeline(o)


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
    """Whatever is asked for, of whatever CA."""
    made = by()

    assert [Action.ISSUE, Action.NOTHING] == finish(observed(an_identity(**spec), made), None, made)[0]


@pytest.mark.parametrize("spec", ASKED)
def test_a_changed_spec_needs_one_write(spec: dict[str, Any]) -> None:
    """From the defaults to anything, and the key and certificate fit it then."""
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
    """Healed at once, and with no more than it takes."""
    o = observed(an_identity())
    done, body = finish(o, merged(secret_of(o), harm), default_signer())
    leaves = {"tls.crt": decoded(body)["tls.crt"]}

    assert [action, Action.NOTHING] == done
    assert leaves["tls.crt"].startswith(b"-----BEGIN CERTIFICATE-----")


def test_another_authority_needs_one_write() -> None:
    """A new leaf, of the other CA, with its bundle."""
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


# Contests


CONTEST = Contest(by="helm", times=3, over=NOW + 5 * MINUTE)


def contested(o: Observed) -> Observed:
    """Have somebody overwrite the Secret time and again."""
    return replace(o, contest=CONTEST)


def harmed(reason: Reason) -> Change:
    """Have a Secret that was damaged."""
    return lambda o: replace(o, found=damaged(reason))


def drifted(o: Observed) -> Observed:
    """Want other labels."""
    return replace(o, wanted=replace(o.wanted, labels={"team": "b"}))


def replaced(o: Observed) -> Observed:
    """Have another CA sign in place of the one that signed the certificate."""
    in_use = {name: replace(ca, is_replaced=True) for name, ca in o.trust.in_use.items()}
    return replace(o, trust=replace(o.trust, in_use=in_use))


def unread(o: Observed) -> Observed:
    """Have a Secret that was not read yet."""
    return replace(o, found=Unread())


def foreign(o: Observed) -> Observed:
    """Have somebody else's Secret."""
    return replace(o, found=Foreign(holder="helm", seen=NOW))


def further_harmed(o: Observed) -> Observed:
    """Have damaged a file that a format asks for."""
    if not isinstance(o.found, Known):
        raise TypeError("programming error: nothing is known")
    harmed = msgspec.structs.replace(o.facts, further=Further(made_from="", files={}))
    return replace(o, identity=an_identity(formats={"der": {}}), found=replace(o.found, files=harmed))


LEFT_ALONE = [
    pytest.param(missing, Reason.SECRET_MISSING, False, id="deleted"),
    pytest.param(harmed(Reason.SECRET_INCOMPLETE), Reason.SECRET_INCOMPLETE, False, id="a file is missing"),
    pytest.param(harmed(Reason.SECRET_UNREADABLE), Reason.SECRET_UNREADABLE, False, id="unreadable"),
    pytest.param(harmed(Reason.KEY_MISMATCH), Reason.KEY_MISMATCH, False, id="another key"),
    pytest.param(harmed(Reason.SECRET_TYPE_WRONG), Reason.SECRET_TYPE_WRONG, False, id="another type"),
    pytest.param(harmed(Reason.SECRET_IMMUTABLE), Reason.SECRET_IMMUTABLE, False, id="immutable"),
    pytest.param(trusting(NEW_BUNDLE), Reason.BUNDLE_OLD, False, id="another bundle"),
    pytest.param(further_harmed, Reason.FORMATS_DAMAGED, False, id="a further file"),
    pytest.param(drifted, Reason.METADATA_DRIFTED, True, id="other labels"),
]


@pytest.mark.parametrize(("change", "reason", "is_ready"), LEFT_ALONE)
def test_a_contested_secret_is_left_alone_for_a_while(change: Change, reason: Reason, *, is_ready: bool) -> None:
    """Whatever is done to it; without a contest it is mended."""
    o = after(change)
    decision = decide(contested(o))

    assert reason == decide(o).reason
    assert Action.NOTHING is not decide(o).action
    assert (Action.NOTHING, Reason.SECRET_CONTESTED) == (decision.action, decision.reason)
    assert (is_ready, True, CONTEST.over) == (decision.is_ready, decision.is_stalled, decision.look_again)


def test_every_reason_for_mending_is_tested() -> None:
    """A new one needs a case above."""
    assert {case.values[1] for case in LEFT_ALONE} == plan.MENDED


def test_a_contest_says_who_and_what_to_do() -> None:
    """And when it is tried again."""
    said = decide(contested(after(missing))).message

    assert "helm overwrote secret orders-mtls 3 times" in said
    assert "set spec.secret.name to another name; tried again at 2026-01-02T03:09:05Z" in said
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
        pytest.param(unread, Action.READ, Reason.SECRET_UNREADABLE, id="unread"),
        pytest.param(foreign, Action.NOTHING, Reason.SECRET_CONFLICT, id="somebody else's"),
    ],
)
def test_a_contest_holds_back_mending_alone(change: Change, action: Action, reason: Reason) -> None:
    """Reading goes on, and so does what the spec or time asks for."""
    decision = decide(contested(after(change)))

    assert (action, reason) == (decision.action, decision.reason)


# An issuing CA that was replaced


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        pytest.param((replaced,), Action.ISSUE, Reason.ISSUER_REPLACED, id="replaced"),
        pytest.param((suspended, replaced), Action.NOTHING, Reason.SUSPENDED, id="suspended"),
        pytest.param((trusting(UNABLE), replaced), Action.NOTHING, Reason.AUTHORITY_NOT_READY, id="unable"),
        pytest.param((due, replaced), Action.ISSUE, Reason.RENEWAL_DUE, id="due"),
        pytest.param(
            (trusting(NEW_BUNDLE), suspended, replaced), Action.WRITE_BUNDLE, Reason.BUNDLE_OLD, id="new bundle"
        ),
    ],
)
def test_leaves_of_a_replaced_ca_are_replaced(changes: tuple[Change, ...], action: Action, reason: Reason) -> None:
    """They are good meanwhile."""
    decision = decide(after(*changes))

    assert (action, reason, True) == (decision.action, decision.reason, decision.is_ready)


# Turns


def waits_for(reason: Reason) -> Change:
    """Have a new leaf be due whose turn it is not."""
    return lambda o: replace(o, postponed=reason)


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        pytest.param((replaced,), Action.NOTHING, Reason.ISSUED, id="nothing else"),
        pytest.param((replaced, due), Action.ISSUE, Reason.RENEWAL_DUE, id="due"),
        pytest.param((replaced, expired), Action.ISSUE, Reason.EXPIRED, id="expired"),
        pytest.param((replaced, ordered), Action.ISSUE, Reason.REISSUE_ORDERED, id="ordered"),
        pytest.param((trusting(NEW_BUNDLE), replaced), Action.WRITE_BUNDLE, Reason.BUNDLE_OLD, id="new bundle"),
    ],
)
def test_who_waits_for_a_turn_lacks_nothing_else(changes: tuple[Change, ...], action: Action, reason: Reason) -> None:
    """Above all not the bundle, nor a renewal before its certificate ends."""
    decision = decide(after(*changes, waits_for(Reason.ISSUER_REPLACED)))

    assert (action, reason, True) == (decision.action, decision.reason, decision.is_ready or reason is Reason.EXPIRED)


def test_who_waits_for_a_turn_is_looked_at_when_a_renewal_is_due() -> None:
    """However long the line is."""
    o = after(replaced, waits_for(Reason.ISSUER_REPLACED))

    assert o.renewal_time == decide(o).look_again


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
    """Where the authority has changed, thousands may be: nobody who asks for something of his own waits for them."""
    o = after(*changes)

    assert is_one_of_many is plan.is_one_of_many(o, decide(o))


# A Secret of another name than before


def left(*, age: timedelta) -> Observed:
    """Files that are good and so old, with the Secret of a former name still there."""
    o = settled()
    if not isinstance(o.found, Known):
        raise TypeError("nothing is known")
    return replace(o, found=replace(o.found, created=NOW - age), left_behind=("old",))


def test_an_old_secret_stays_for_a_while() -> None:
    """Until those who mount it have moved; and then it is looked at again."""
    decision = decide(left(age=4 * MINUTE))

    assert (Action.NOTHING, Reason.ISSUED, True) == (decision.action, decision.reason, decision.is_ready)
    assert NOW + 6 * MINUTE == decision.look_again


@pytest.mark.parametrize("age", [10 * MINUTE, DAY])
def test_an_old_secret_goes_then(age: timedelta) -> None:
    """The new one is good meanwhile."""
    decision = decide(left(age=age))

    assert (Action.REMOVE_OLD, Reason.SECRET_MOVED, True) == (decision.action, decision.reason, decision.is_ready)


def test_without_an_old_secret_nothing_is_looked_at_for_it() -> None:
    """The next time is the renewal."""
    o = settled()

    assert o.renewal_time == decide(o).look_again


# First issuance


CERTIFICATE = CertificateStatus(
    serial_number="1",
    fingerprint="f",
    public_key_hash="p",
    not_before="2026-01-01T00:00:00Z",
    not_after="2026-01-02T00:00:00Z",
    renewal_time="2026-01-01T16:00:00Z",
    issuer_key_id="i",
)


@pytest.mark.parametrize(
    ("had", "change", "is_first"),
    [
        pytest.param(None, missing, True, id="never had files"),
        pytest.param(CERTIFICATE, missing, False, id="had files, and they are gone"),
        pytest.param(None, lambda o: o, False, id="has files"),
    ],
)
def test_a_first_issuance_is_no_news(had: CertificateStatus | None, change: Change, *, is_first: bool) -> None:
    """Healing is."""
    body = identity_body()
    if had:
        body["status"] = {"certificate": msgspec.to_builtins(had)}
    parsed = identity.parse(body)

    assert UID == parsed.uid
    assert is_first is plan.is_first(change(replace(settled(), identity=parsed)))
