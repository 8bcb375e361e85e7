"""A spec of an authority that cannot be read changes nothing: the last good one counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from mutualtls.core.api import identity, kept_spec
from mutualtls.core.bundles import publish
from mutualtls.core.leaf import desired, render
from mutualtls.core.leaf.observed import Absent, Action, Observed
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import NOW, authority, decide, default_signer, identity_body, observed, other_signer, settled
from support.faulty import DUE, EXPIRED, FAULTY, GOOD, Spec, body_of, offered, part, store_with, told

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


# Under a faulty authority

FAULT = replace(default_signer().trust, fault="spec.permits: must be a list")


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
