"""A spec of an identity that cannot be read changes nothing: the recorded leaf tells the last good one."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.ca import offer
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import facts, lastgood, plan, render
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Action, Observed, Seen
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.store.store import Store
from support.builders import (
    HOUR,
    MINUTE,
    NOW,
    PKCS12,
    Signer,
    acted,
    authority,
    decide,
    default_signer,
    identity_body,
    known,
    observed,
    other_signer,
    secret_of,
    signer,
)
from support.faulty import DUE, GOOD, UNREADABLE, Spec, decided, edited

WANTED: Spec = {
    "authority": "default",
    "services": ["orders", "db"],
    "dnsNames": ["*.db.shop.svc"],
    "usages": ["server auth"],
    "duration": "12h",
    "renewBefore": "2h",
    "privateKey": {"algorithm": "ECDSA", "size": 384, "encoding": "SEC1"},
    "secret": {"name": "of-orders", "labels": {"team": "a"}, "annotations": {"note": "b"}, "deletionPolicy": "Retain"},
    "formats": {"der": {}, "combinedPEM": {}},
}


@functools.cache
def letters() -> Signer:
    """An authority with a permit."""
    return signer(**GOOD)


def issued_for(by: Signer | None = None, **spec: Any) -> tuple[IdentityStatus, dict[str, Any]]:
    """The status and the Secret of an identity that was issued."""
    o = observed(identity.parse(identity_body(**spec)), by)
    body = secret_of(o, by)
    o = replace(o, found=known(body))
    return render.identity_status(o, decide(o)), body


def test_the_status_records_authority_and_secret() -> None:
    """They lead to the files of an identity that cannot be read."""
    status, _ = issued_for(**WANTED)

    assert ("default", "of-orders") == (status.authority, status.secret_name)


@pytest.mark.parametrize(("edit", "told_of"), UNREADABLE)
def test_a_spec_of_an_identity_that_cannot_be_read_changes_nothing(edit: Spec, told_of: str) -> None:
    """Authority and Secret stay, nothing is written, and the condition names the fault beside good files."""
    status, body = issued_for(**WANTED)
    of = edited(status, **(WANTED | edit))
    seen, decision = decided(of, default_signer().trust, body)

    assert told_of in {fault.field for fault in of.faults}
    assert ("default", "of-orders") == (of.authority, of.secret_name)
    assert (Action.NOTHING, Reason.INVALID_SPEC) == (decision.action, decision.reason)
    assert (True, True) == (decision.is_ready, decision.is_stalled)
    assert f"{told_of}: " in decision.message
    assert isinstance(seen, Observed)
    after = render.identity_status(seen, decision)
    assert (status.certificate, status.authority, status.secret_name, status.bundle) == (
        after.certificate,
        after.authority,
        after.secret_name,
        after.bundle,
    )


@pytest.mark.parametrize(("edit", "told_of"), UNREADABLE)
def test_the_recorded_leaf_is_renewed_while_the_spec_cannot_be_read(edit: Spec, told_of: str) -> None:
    """Names, usages, key and life stay, and nothing else of the Secret changes."""
    status, body = issued_for(**WANTED)
    of, late = edited(status, **(WANTED | edit)), NOW + 11 * HOUR
    seen, decision = decided(of, default_signer().trust, body, now=late)
    assert isinstance(seen, Observed), told_of
    new = acted(seen, body, decision)

    assert (Action.ISSUE, Reason.RENEWAL_DUE) == (decision.action, decision.reason)
    before, after = facts.read(body), facts.read(new)
    assert isinstance(before, Facts)
    assert isinstance(after, Facts)
    assert before.not_after < after.not_after
    same = ("names_hash", "usages", "algorithm", "size", "encoding", "bundle_hash")
    assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    assert before.not_after - before.not_before == after.not_after - after.not_before
    assert set(body["data"]) == set(new["data"])
    assert known(body).metadata_hash == known(new).metadata_hash
    assert body["metadata"]["labels"] == new["metadata"]["labels"]


def test_names_that_are_not_permitted_any_more_are_refused_also_then() -> None:
    """An edit that cannot be read keeps no right; where the authority says so, the files go."""
    status, body = issued_for(letters(), dnsNames=["a.example.com"])
    of = edited(status, dnsNames=["xn--a.example.com"])
    taken = offer.of(authority(onNotPermitted="Delete"), letters().ledger)
    kept = offer.of(authority(), letters().ledger)

    assert Action.NOTHING is decided(of, letters().trust, body)[1].action
    assert Action.REMOVE is decided(of, taken, body)[1].action
    decision = decided(of, kept, body, now=NOW + DUE)[1]
    assert (Action.NOTHING, Reason.INVALID_SPEC, False) == (decision.action, decision.reason, decision.is_ready)
    assert "spec.dnsNames[0]: a.example.com is not permitted" in decision.message


def test_the_bundle_goes_on_while_a_spec_cannot_be_read() -> None:
    """The bundle is that of the authority that the status records."""
    status, body = issued_for()
    of = edited(status, authority=5)
    newer = replace(default_signer().trust, bundle=b"new", bundle_hash="new")

    assert Action.WRITE_BUNDLE is decided(of, newer, body)[1].action


def test_the_leaf_is_read_before_anything_is_decided_by_it() -> None:
    """It is read once, as its names stand nowhere else."""
    status, body = issued_for()
    of = edited(status, dnsNames=["xn--a"])
    error = SpecError(Reason.INVALID_SPEC, of.faults)
    seen = Seen(identity=of, trust=default_signer().trust, found=known(body), now=NOW)
    read = facts.read(body)
    assert isinstance(read, Facts)

    assert Action.READ is plan.refused(seen, error).action
    assert Action.NOTHING is plan.refused(replace(seen, leaf_read=read), error).action


NO_LAST_GOOD = [
    pytest.param({}, None, id="nothing is recorded"),
    pytest.param({"certificate": None}, None, id="no certificate"),
    pytest.param({"authority": None}, "", id="no authority, as the release before"),
]


@pytest.mark.parametrize(("change", "named"), NO_LAST_GOOD)
def test_where_there_is_no_last_good_spec_nothing_is_done(change: Spec, named: str | None) -> None:
    """Files of another authority may be there, or leaves that somebody else put there."""
    status, body = issued_for(authority="default")
    status = msgspec.structs.replace(status, **change) if change else IdentityStatus()
    of = edited(status, authority=5)
    newer = replace(other_signer().trust, bundle=b"new", bundle_hash="new")

    assert (named if named is not None else "default") == of.authority
    decision = decided(of, newer, body)[1] if of.authority else plan.unreadable(of)
    assert (Action.NOTHING, Reason.INVALID_SPEC, True) == (decision.action, decision.reason, decision.is_stalled)


def test_another_leaf_than_the_recorded_one_does_not_count() -> None:
    """Otherwise anyone who can write Secrets could choose the names."""
    status, _ = issued_for()
    _, planted = issued_for(dnsNames=["admin.shop.svc"])
    of = edited(status, dnsNames=["xn--a"])
    seen, decision = decided(of, default_signer().trust, planted, now=NOW + DUE)

    assert not isinstance(seen, Observed)
    assert Action.NOTHING is decision.action


def test_a_later_leaf_counts_whose_status_was_not_written_any_more() -> None:
    """The operator may have been killed between the two writes of a renewal: it goes on from there."""
    status, body = issued_for()
    of = edited(status, dnsNames=["xn--a"])
    seen, decision = decided(of, default_signer().trust, body, now=NOW + DUE)
    assert isinstance(seen, Observed)
    renewed = acted(seen, body, decision)
    seen, decision = decided(of, default_signer().trust, renewed, now=NOW + DUE)

    assert Action.NOTHING is decision.action
    assert isinstance(seen, Observed)
    after = render.identity_status(seen, decision).certificate
    assert after is not None
    assert status.certificate is not None
    assert status.certificate.fingerprint != after.fingerprint == seen.facts.fingerprint

    foreign = offer.of(other_signer().authority, other_signer().ledger)
    assert not isinstance(decided(of, foreign, renewed, now=NOW + DUE)[0], Observed)


def test_stores_whose_password_is_not_named_any_more_are_left_alone() -> None:
    """Nothing could be written into them, and without them it would not be the same."""
    status, body = issued_for(formats={"pkcs12": PKCS12})
    is_named = edited(status, formats={"pkcs12": PKCS12}, dnsNames=["xn--a"])
    is_not = edited(status, formats={"pkcs12": {"profile": "None"}, "der": 1})

    assert Action.ISSUE is decided(is_named, default_signer().trust, body, now=NOW + DUE)[1].action
    assert Action.NOTHING is decided(is_named, default_signer().trust, body)[1].action
    assert Action.NOTHING is decided(is_not, default_signer().trust, body, now=NOW + DUE)[1].action


def test_a_leaf_that_was_cut_short_by_its_ca_gets_the_life_of_others() -> None:
    """Its own is shorter than may be asked for."""
    status, body = issued_for()
    of, read = edited(status, dnsNames=["xn--a"]), facts.read(body)
    assert isinstance(read, Facts)
    short = msgspec.structs.replace(read, not_after=read.not_before + 6 * MINUTE)
    good, whole = (lastgood.of_leaf(of, body, one, default_signer().trust) for one in (short, read))

    assert good is not None
    assert whole is not None
    assert (None, "24h") == (good.duration, whole.duration)


def test_an_identity_that_cannot_be_read_is_found_by_what_its_status_records() -> None:
    """It is found again after the status has changed."""
    status, _ = issued_for(**WANTED)
    store = Store()
    body = identity_body(version=5, **(WANTED | {"authority": 5, "secret": 5}))
    store.identities.note(body | {"status": msgspec.to_builtins(status)})

    assert (ObjectKey("shop", "orders"),) == store.identities.of_authority("default")
    assert (ObjectKey("shop", "orders"),) == store.identities.of_secret(ObjectKey("shop", "of-orders"))

    new = msgspec.structs.replace(status, authority="other")
    store.identities.note_status(ObjectKey("shop", "orders"), new, body["metadata"])
    store.identities.note(identity_body(version=6, authority="third") | {"status": msgspec.to_builtins(new)})

    assert (ObjectKey("shop", "orders"),) == store.identities.of_authority("third")
    assert () == store.identities.of_authority("default") + store.identities.of_authority("other")
