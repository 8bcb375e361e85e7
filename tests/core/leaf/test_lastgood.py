"""A spec that cannot be read changes nothing: the last good one counts, of an authority and of an identity."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mutualtls.core.api import authority as authorities
from mutualtls.core.api import authority_spec, identity, identity_spec, kept_spec
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.bundles import publish
from mutualtls.core.ca import offer
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired, facts, lastgood, plan, render
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Action, Intervals, Observed, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import report
from mutualtls.core.rotation.steps import Hold, Sign
from mutualtls.store.store import Store
from support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PKCS12,
    READABLE,
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
    settled,
    signer,
)

Spec = dict[str, Any]

LETTERS = {"namespaceSelector": {}, "dnsNames": ["*.example.com"]}
PUBLISHED = {"configMap": {"name": "roots", "namespaceSelector": {}}, "clusterTrustBundle": False}
GOOD: Spec = {"trust": PUBLISHED, "permits": [LETTERS], "onNotPermitted": "Delete"}
"""An authority that gives names by a permit, and its bundle to every namespace."""

FAULTY = [
    pytest.param({"permits": [{"namespaceSelector": {}, "dnsNames": ["xn--a.example.com"]}]}, id="no name in a permit"),
    pytest.param({"permits": [{"namespaceSelector": {}, "ipRanges": ["10.0.0.0/33"]}]}, id="no range in a permit"),
    pytest.param({"permits": [{"dnsNames": ["a.example.com"]}]}, id="a permit without a selector"),
    pytest.param({"permits": [{"namespaceSelector": {"matchLabels": {"-": ""}}}]}, id="no label in a selector"),
    pytest.param({"permits": "all"}, id="no list"),
    pytest.param({"trust": {"configMap": {"name": "roots"}}}, id="a bundle for nobody"),
    pytest.param({"trust": {"configMap": {"namespaceSelector": {"matchLabels": {"a": "_"}}}}}, id="nameless bundle"),
    pytest.param({"trust": None, "clusterDomain": "Cluster.Local"}, id="domain in capitals, and no trust any more"),
    pytest.param({"trustDomain": "a_b/c"}, id="no trust domain"),
    pytest.param({"leaf": {"duration": "1d"}}, id="no duration"),
    pytest.param({"rotation": {"retire": "Now"}}, id="no such word"),
    pytest.param({"nameConstraints": {"permitted": {"dnsDomains": ["*.a"]}}}, id="no domain"),
    pytest.param({"issuing": {"enabled": "no"}}, id="no boolean"),
]
"""Edits that make the spec of an authority one that cannot be read."""


def body_of(name: str = "default", *, version: int = 1, **spec: Any) -> dict[str, Any]:
    """An authority as JSON of the API server."""
    metadata = {"name": name, "uid": f"uid-of-{name}", "generation": version, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {key: value for key, value in spec.items() if value is not None}}


def store_with(*bodies: Mapping[str, Any]) -> Store:
    """A store that was told of authorities, in this order, and of two namespaces."""
    store = Store()
    for name in ("shop", "bank"):
        store.note_namespace({"name": name, "labels": {}})
    for body in bodies:
        store.authorities.note(dict(body))
    return store


# Of an authority


def test_what_is_kept_is_read_as_it_was_written() -> None:
    """Its permits are read again."""
    good = authority(**GOOD).compiled

    assert good == kept_spec.decode(kept_spec.encode(good.spec))
    assert good.permits


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="cut short"),
        pytest.param("[]", id="no object"),
        pytest.param('{"permits": [{}]}', id="a faulty one"),
        pytest.param('{"leaf": {"duration": "long"}}', id="no duration"),
        pytest.param(f'{{"x": "{"x" * kept_spec.LONGEST}"}}', id="too long"),
    ],
)
def test_what_somebody_else_wrote_there_does_not_count(text: str) -> None:
    """It is as if there were none."""
    assert kept_spec.decode(text) is None


def test_what_is_too_long_to_be_kept_is_not() -> None:
    """An older one must not count in its place."""
    texts = tuple(f"{number:0128}" for number in range(kept_spec.LONGEST // 100))
    subjects = msgspec.structs.replace(permits_of(GOOD)[0].subjects, organizations=texts)
    spec = authority(**GOOD).spec
    long = msgspec.structs.replace(spec, permits=(msgspec.structs.replace(spec.permits[0], subjects=subjects),))

    assert "" == kept_spec.encode(long)


def permits_of(spec: Spec) -> tuple[Any, ...]:
    """The permits of a spec, typed."""
    return authority(**spec).spec.permits


@pytest.mark.parametrize("edit", FAULTY)
def test_a_faulty_edit_of_an_authority_changes_nothing(edit: Spec) -> None:
    """What it publishes and offers stays the same; all faults are named."""
    good = body_of(**GOOD)
    before = store_with(good)
    after = store_with(good, body_of(version=2, **(GOOD | edit)))
    was, is_now = before.authorities["default"], after.authorities["default"]

    assert is_now.fault
    assert (
        publish.wanted_copies(was, before.places)
        == publish.wanted_copies(is_now, after.places)
        == [ObjectKey("shop", "roots"), ObjectKey("bank", "roots")]
    )
    assert offered(was) == replace(offered(is_now), fault=None)


@pytest.mark.parametrize("edit", FAULTY)
def test_a_faulty_authority_is_the_same_after_a_restart(edit: Spec) -> None:
    """Nothing is known until what is kept was read, and nothing is wanted gone; then all is as before."""
    faulty = body_of(version=2, **(GOOD | edit))
    store, before = store_with(faulty), store_with(body_of(**GOOD))
    unknown = store.authorities["default"]

    assert not unknown.has_spec
    assert [] == publish.wanted_copies(unknown, store.places)
    assert publish.conflicts(unknown, store.places, refused=store.copies.refused_of(unknown.name)) is None
    assert b"" == offered(unknown).bundle

    kept = kept_spec.decode(kept_spec.encode(authority(**GOOD).spec))
    assert kept is not None
    store.authorities.note_good_spec(unknown, kept)
    found = store.authorities["default"]

    assert offered(before.authorities["default"]) == replace(offered(found), fault=None)
    assert publish.wanted_copies(before.authorities["default"], before.places) == publish.wanted_copies(
        found, store.places
    )


def offered(of: Authority) -> Offer:
    """What an authority offers that has the CAs of the default one."""
    return offer.of(of, default_signer().ledger)


def test_the_last_good_spec_counts_through_several_faulty_ones() -> None:
    """The next good spec counts as soon as it is there."""
    edits = map(part, FAULTY[:3])
    store = store_with(body_of(**GOOD), *(body_of(version=2 + n, **(GOOD | edit)) for n, edit in enumerate(edits)))

    assert GOOD["onNotPermitted"] == store.authorities["default"].spec.on_not_permitted

    store.authorities.note(body_of(version=9))

    assert authority().compiled == store.authorities["default"].compiled
    assert store.authorities["default"].fault is None


def test_what_is_kept_of_another_object_in_memory_does_not_count() -> None:
    """One of the same name that was made anew is looked up where specs are kept."""
    again = body_of(version=2, **(GOOD | {"permits": "all"}))
    again["metadata"]["uid"] = "another"

    assert not store_with(body_of(**GOOD), again).authorities["default"].has_spec


def test_an_order_to_suspend_counts_where_it_can_be_read() -> None:
    """It is the last thing that should wait for the rest."""
    faulty = {"permits": "all", "suspend": True}
    store = store_with(body_of(**GOOD), body_of(version=2, **(GOOD | faulty)))

    assert offered(store.authorities["default"]).suspended

    store.authorities.note(body_of(version=3, **(GOOD | {"permits": "all"})))

    assert not offered(store.authorities["default"]).suspended


def test_a_suspended_authority_stays_so_until_its_spec_can_be_read() -> None:
    """The last good spec says so."""
    store = store_with(body_of(**GOOD, suspend=True), body_of(version=2, **(GOOD | {"permits": "all"})))

    assert offered(store.authorities["default"]).suspended


@pytest.mark.parametrize(
    ("step", "said"),
    [
        pytest.param(None, "the last spec that could be read counts, and what is new waits", id="signs"),
        pytest.param(Hold(Reason.KEY_LOST, "the key is gone"), "what is new waits; the key is gone", id="holds"),
    ],
)
def test_the_condition_of_a_faulty_authority_names_all_faults(step: Hold | None, said: str) -> None:
    """It also says what counts until then."""
    edit = {"leaf": {"duration": "1d"}, "permits": [{"namespaceSelector": {}, "dnsNames": ["xn--a", "a*"]}]}
    of = store_with(body_of(**GOOD), body_of(version=2, **(GOOD | edit))).authorities["default"]
    ready = told(of, step or signing())

    assert ("False", "InvalidSpec") == (ready.status, ready.reason)
    for name in ("spec.leaf.duration: ", "spec.permits[0].dnsNames[0]: ", "spec.permits[0].dnsNames[1]: "):
        assert name in ready.message
    assert said in ready.message


def test_the_condition_of_an_authority_without_a_good_spec_says_that_nothing_goes() -> None:
    """It names each fault once."""
    of = store_with(body_of(permits="all")).authorities["default"]
    ready = told(of, Hold(Reason.INVALID_SPEC, of.fault or ""))

    assert "there is no earlier spec that counts: nothing is signed, and nothing is removed" in ready.message
    assert 1 == ready.message.count("spec.permits")


def signing() -> Sign:
    """A step that signs."""
    return Sign(ca=default_signer().issuing)


def told(of: Authority, step: Sign | Hold) -> Any:
    """What the condition Ready of an authority says."""
    found = report.Found(ledger=default_signer().ledger, bundle_hash=None, faults=(), conflicts=None)
    new: AuthorityStatus = report.status_of(of, step, None, found, now="2026-01-02T03:04:05Z")
    return new.condition("Ready")


# Under a faulty authority

FAULT = replace(default_signer().trust, fault="spec.permits: must be a list")
DUE, EXPIRED = 20 * HOUR, 25 * HOUR


def recorded(o: Observed) -> Observed:
    """Have the status tell of what is there."""
    return replace(o, identity=msgspec.structs.replace(o.identity, status=render.identity_status(o, decide(o))))


def asking(o: Observed, *, generation: int, **spec: Any) -> Observed:
    """Ask for something else."""
    new = identity.parse(identity_body(generation=generation, **spec))
    new = msgspec.structs.replace(new, status=o.identity.status)
    return replace(o, identity=new, wanted=desired.wanted(new, o.trust))


def of_another(o: Observed) -> Observed:
    """Have the status tell of a certificate of another authority."""
    status = msgspec.structs.replace(o.identity.status, authority="other")
    return replace(o, identity=msgspec.structs.replace(o.identity, status=status))


def waiting(o: Observed) -> Observed:
    """Have the status tell that something waits for the authority."""
    decision = Decision(action=Action.NOTHING, reason=Reason.AUTHORITY_NOT_READY, message="", is_ready=True)
    return replace(o, identity=msgspec.structs.replace(o.identity, status=render.identity_status(o, decision)))


GOES_ON = [
    pytest.param(lambda o: o, Action.NOTHING, Reason.ISSUED, id="nothing due"),
    pytest.param(lambda o: replace(o, now=NOW + DUE), Action.ISSUE, Reason.RENEWAL_DUE, id="renewal"),
    pytest.param(lambda o: replace(o, now=NOW + EXPIRED), Action.ISSUE, Reason.EXPIRED, id="expired"),
    pytest.param(lambda o: replace(o, found=Absent()), Action.ISSUE, Reason.SECRET_MISSING, id="deleted"),
    pytest.param(
        lambda o: replace(o, trust=replace(o.trust, bundle=b"new", bundle_hash="new")),
        Action.WRITE_BUNDLE,
        Reason.BUNDLE_OUTDATED,
        id="another bundle",
    ),
    pytest.param(
        lambda o: asking(o, generation=2, duration="2h"), Action.ISSUE, Reason.DURATION_CHANGED, id="another duration"
    ),
    pytest.param(
        lambda o: replace(o, trust=replace(o.trust, in_use=other_signer().trust.in_use)),
        Action.ISSUE,
        Reason.AUTHORITY_CHANGED,
        id="its CA was taken out",
    ),
]
WAITS = [
    pytest.param(lambda _: observed(identity.parse(identity_body())), id="a first certificate"),
    pytest.param(lambda o: asking(o, generation=2, services=["orders", "new"]), id="a new name"),
    pytest.param(lambda o: asking(o, generation=2, serviceAccountName=""), id="a name less"),
    pytest.param(lambda o: replace(of_another(o), now=NOW + DUE), id="the first of this authority"),
    pytest.param(
        lambda o: replace(asking(o, generation=2, services=["new"]), found=Absent()), id="a new name, and deleted"
    ),
    pytest.param(lambda o: replace(waiting(o), found=Absent()), id="a new name that waits, and deleted"),
]


@pytest.mark.parametrize(("change", "action", "reason"), GOES_ON)
def test_what_was_there_goes_on_under_a_faulty_authority(change: Any, action: Action, reason: Reason) -> None:
    """The last good spec counts."""
    o = change(recorded(settled()))
    decision = decide(replace(o, trust=replace(o.trust, fault=FAULT.fault)))

    assert (action, reason) == (decision.action, decision.reason)


@pytest.mark.parametrize("change", WAITS)
def test_what_is_new_waits_under_a_faulty_authority(change: Any) -> None:
    """The condition says what it waits for."""
    o = change(recorded(settled()))
    decision = decide(replace(o, trust=replace(o.trust, fault=FAULT.fault)))

    assert (Action.NOTHING, Reason.AUTHORITY_NOT_READY) == (decision.action, decision.reason)
    assert (
        "new certificates wait until the spec of authority default can be read: spec.permits: must" in decision.message
    )
    assert Action.ISSUE is decide(o).action


# Of an identity

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
UNREADABLE = [
    pytest.param({"dnsNames": ["xn--a.shop.svc"]}, "spec.dnsNames[0]", id="no DNS name"),
    pytest.param({"authority": 5}, "spec.authority", id="no name of an authority"),
    pytest.param({"authority": "other", "usages": ["sign code"]}, "spec.usages[0]", id="no usage, another authority"),
    pytest.param({"duration": "1d", "services": ["b"]}, "spec.duration", id="no duration, another name"),
    pytest.param({"secret": {"name": "b", "labels": {"a": 1}}}, "spec.secret.labels[a]", id="no label, another Secret"),
    pytest.param({"privateKey": {"algorithm": "DSA"}}, "spec.privateKey.algorithm", id="no algorithm"),
    pytest.param({"formats": []}, "spec.formats", id="no formats"),
    pytest.param({"ipAddresses": ["10.0.0"], "subject": {"commonName": "a\nb"}}, "spec.ipAddresses[0]", id="values"),
    pytest.param({"services": ["a.b"], "serviceAccountName": "A"}, "spec.services[0]", id="no service"),
]


def decided(
    of: Identity, by: Offer, secret: Mapping[str, Any] | None, *, now: datetime = NOW, unread: str | None = None
) -> tuple[Seen, Decision]:
    """Decide as the shell does that has read the body of the Secret."""
    read = facts.read(secret) if secret is not None else None
    seen = Seen(
        identity=of,
        trust=by,
        found=known(secret, verified=now) if secret is not None else Absent(),
        now=now,
        password=READABLE if of.spec.formats.pkcs12 else None,
        leaf_read=read if isinstance(read, Facts) else None,
        unread=unread,
    )
    try:
        wanted = desired.wanted(of, by, {}, seen.password)
    except SpecError as error:
        good = lastgood.of_leaf(of, secret, read, by) if of.faults and secret and isinstance(read, Facts) else None
        if good is None:
            return seen, plan.refused(seen, error)
        return decided(of.counting(good), by, secret, now=now, unread=str(error))
    o = seen.asking_for(wanted, intervals=Intervals(conflict_retry=DAY, sweep=DAY, move_grace=DAY))
    return o, decide(o)


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


def edited(status: IdentityStatus, **spec: Any) -> Identity:
    """The identity with another spec, while its status is that of before."""
    return msgspec.structs.replace(identity.parse(identity_body(generation=2, **spec)), status=status)


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
    """Once: its names stand nowhere else."""
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


# Whatever comes


def part(of: Any) -> Spec:
    """The edit of a row of a table."""
    return dict(of.values[0])


garbage = st.sampled_from([5, "", "xn--a", "a_b", [], {}, ["a*b.example.com"], {"a": 1}, True, "1d", [{}], [5]])
of_authorities = st.sampled_from(sorted(authority_spec.AuthoritySpec.__struct_encode_fields__))
of_identities = st.sampled_from(sorted(identity_spec.IdentitySpec.__struct_encode_fields__))
faulty_parts: st.SearchStrategy[Spec] = st.sampled_from(list(map(part, FAULTY)))
unreadable_parts: st.SearchStrategy[Spec] = st.sampled_from(list(map(part, UNREADABLE)))
good_authorities = st.fixed_dictionaries(
    {
        "trust": st.fixed_dictionaries(
            {"clusterTrustBundle": st.booleans()},
            optional={
                "configMap": st.fixed_dictionaries(
                    {
                        "name": st.sampled_from(["roots", "others"]),
                        "namespaceSelector": st.sampled_from([{}, {"matchLabels": {"team": "a"}}]),
                    }
                )
            },
        ),
        "permits": st.just([LETTERS]),
        "onNotPermitted": st.sampled_from(["Keep", "Delete"]),
    }
)
good_identities = st.fixed_dictionaries(
    {"authority": st.sampled_from(["default", "other"])},
    optional={
        "services": st.lists(st.sampled_from(["orders", "db"]), unique=True),
        "dnsNames": st.lists(st.sampled_from(["a.example.com", "*.db.shop.svc", "b.orders.shop.svc"]), unique=True),
        "usages": st.just(["client auth"]),
        "duration": st.sampled_from(["1h", "24h", "100h"]),
        "renewBefore": st.sampled_from(["10m", "30m"]),
        "privateKey": st.sampled_from([{"size": 384}, {"encoding": "SEC1"}, {"rotationPolicy": "Never"}]),
        "secret": st.sampled_from([{"name": "b"}, {"labels": {"a": "b"}}, {"deletionPolicy": "Retain"}]),
        "formats": st.sampled_from([{"der": {}}, {"combinedPEM": {}}]),
    },
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(good_authorities, good_identities, st.data())
def test_no_edit_that_cannot_be_read_changes_an_object_or_a_root(good: Spec, asked: Spec, data: st.DataObject) -> None:
    """The edit may be of an authority, an identity or both, among other edits, also after a restart."""
    signers = {"default": default_signer(), "other": other_signer()}
    asked, name = {"services": ["orders"]} | asked, str(asked["authority"])
    bodies = {name: body_of(name, **good) for name in signers}
    store = store_with(*bodies.values())
    before = {name: offer.of(store.authorities[name], by.ledger) for name, by in signers.items()}
    status, secret = issued_by(signers[name], before[name], asked)

    edit: Spec = data.draw(faulty_parts | st.dictionaries(of_authorities, garbage, max_size=3), label="authority")
    edit_of_identity: Spec = data.draw(
        unreadable_parts | st.dictionaries(of_identities, garbage, max_size=3), label="identity"
    )
    faulty = {name: body_of(name, version=2, **(good | edit)) for name in signers}
    of = edited(status, **(asked | edit_of_identity))
    assume(authorities.parse(faulty["default"]).fault or edit == {})
    assume(of.faults or edit_of_identity == {})
    restarted = store_with(*faulty.values())
    for name in signers:
        store.authorities.note(faulty[name])
        kept = kept_spec.decode(kept_spec.encode(authorities.parse(bodies[name]).spec))
        assert kept is not None
        restarted.authorities.note_good_spec(restarted.authorities[name], kept)

    for told in (store, restarted):
        for name, by in signers.items():
            found = told.authorities[name]
            after = offer.of(found, by.ledger)
            assert before[name].bundle == after.bundle
            assert copies_of(bodies[name]) == sorted(publish.wanted_copies(found, told.places))
        after = offer.of(told.authorities[of.authority], signers[of.authority].ledger)
        assert Action.NOTHING is decided(of, after, secret)[1].action
        assert (status.authority, status.secret_name) == (of.authority, of.secret_name)


def issued_by(by: Signer, offered: Offer, asked: Spec) -> tuple[IdentityStatus, dict[str, Any]]:
    """The status and the Secret of an identity that was issued by what an authority offered."""
    o = observed(identity.parse(identity_body(**asked)), trust=offered)
    body = secret_of(o, by)
    o = replace(o, found=known(body))
    return render.identity_status(o, decide(o)), body


def copies_of(body: Mapping[str, Any]) -> list[ObjectKey]:
    """The copies that there are of the bundle of a good authority."""
    store = store_with(body)
    return sorted(publish.wanted_copies(store.authorities[body["metadata"]["name"]], store.places))
