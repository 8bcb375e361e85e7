"""What a tenant may write moves no rotation on, takes no root out and holds nobody up for long: a test for each row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mutualtls.core.api.authority_spec import Retire
from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Published
from mutualtls.core.ca import evidence, ledger, recovery
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.ca.rollout import Rollout
from mutualtls.core.leaf import facts
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.rotation import gates
from mutualtls.core.rotation.steps import Sign
from mutualtls.store.store import Store
from support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    UID,
    an_identity,
    as_stored,
    authority,
    identity_body,
    observed,
    secret_of,
)
from support.fleet import FAR, SPEC, Fleet, Member, fleet
from support.phases import run_well

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
SOAK, LAGGARDS = 30 * MINUTE, 15 * MINUTE
TENANT = "mallory"


def rotating(phase: Phase = Phase.PUBLISHING, *, older: list[str] | None = None, **rotation: Any) -> Fleet:
    """A fleet with a tenant, whose root is being replaced. `older` gets the ledger of when that began."""
    made = fleet("a", "b", TENANT, **rotation)
    made.rotate()
    made.run_until(Phase.PUBLISHING)
    if older is not None and made.home.ledger_text is not None:
        older.append(made.home.ledger_text)
    if phase is Phase.REMOVING:
        made.run_until(Phase.SIGNING)
        made.order(roll_back=made.root(2).fingerprint)
    elif phase is Phase.RETIRING:
        made.run_until(Phase.SIGNING)
    made.members["b"].is_blocked = phase in {Phase.RETIRING, Phase.REMOVING}
    made.run_until(phase)
    made.members["b"].is_blocked = False
    return made


def tenant(of: Fleet) -> Member:
    """Who writes what tenants may write."""
    return of.members[TENANT]


def lasts(made: Fleet) -> dict[Phase, timedelta]:
    """Let a rotation go to its end without a failed handshake, and tell how long each phase took."""
    found: dict[Phase, timedelta] = {}
    while made.phase is not Phase.STABLE:
        assert sum(found.values(), timedelta()) < DAY, made.told.gate
        found[made.phase] = found.get(made.phase, timedelta()) + 5 * MINUTE
        run_well(made, 5 * MINUTE)
    return found


# The table


def test_the_documentation_shows_the_table() -> None:
    """The table in the documentation equals the one in the code."""
    section = PAGE.read_text().split("\n## What follows from what\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[1:]

    assert [f"{one.what} | {one.writer} | {one.moves} | {one.holds}" for one in evidence.PIECES] == rows


def test_each_piece_has_a_test() -> None:
    """One that is added needs one."""
    assert [one.what for one in evidence.PIECES] == list(ROWS)


# What operators write


def test_the_ledger_says_all() -> None:
    """Nothing else counts beside it."""
    made = rotating()
    made.plant()
    before = made.ledger

    assert made.rebuilt() is None
    assert before == made.ledger


def test_a_ca_secret_tells_of_a_ca() -> None:
    """A tombstone tells of a number that is used."""
    held = fleet("a").home
    assert not Evidence(with_key=frozenset({CAId(Role.ROOT, 1)})).is_empty
    found = recovery.rebuilt(
        authority(),
        Evidence(
            believed=((CAId(Role.ROOT, 1), held.ca(CAId(Role.ROOT, 1)).certificate),),
            with_key=frozenset({CAId(Role.ROOT, 1)}),
            buried=frozenset({CAId(Role.ROOT, 2)}),
        ),
        now=NOW,
    )
    assert [State.ACTIVE, State.GONE] == [ca.state for ca in found.of(Role.ROOT)]


PHASES = (Phase.PUBLISHING, Phase.SIGNING, Phase.RETIRING, Phase.WITHDRAWING, Phase.REMOVING)


def in_phase(phase: Phase, *, older: list[str] | None = None) -> Fleet:
    """A fleet in any phase."""
    if phase is not Phase.WITHDRAWING:
        return rotating(phase, older=older)
    made = rotating(Phase.SIGNING, older=older)
    made.delete(made.members["a"])
    made.settle()
    made.order(roll_back=made.root(2).fingerprint)
    made.settle()
    return made


@pytest.mark.parametrize("is_planted", [False, True])
@pytest.mark.parametrize("phase", PHASES)
def test_a_step_in_the_annotations_says_how_far_it_was(phase: Phase, *, is_planted: bool) -> None:
    """Ledger and status are lost, and the tenant writes what it may."""
    made = in_phase(phase)
    states = made.states()
    if is_planted:
        made.plant()
        made.forge(tenant(made), bundle_hash="another", issuer_key_id=made.root(2).key_id, not_after=FAR)
    made.lose_ledger(status=True)
    made.look()

    assert (phase, states) == (made.phase, made.states())
    run_well(made, 5 * HOUR)
    assert Phase.STABLE is made.phase


@pytest.mark.parametrize("phase", PHASES[1:])
def test_an_older_ledger_is_known_by_the_steps(phase: Phase) -> None:
    """It is recognized even if it lists every CA, and the newer status is lost."""
    older: list[str] = []
    made = in_phase(phase, older=older)
    expected = made.states()
    made.lose_ledger(status=True)
    (made.home.ledger_text,) = older
    made.look()

    assert expected == made.states()


@pytest.mark.parametrize("phase", PHASES)
def test_the_status_says_how_far_it_was_where_no_step_does(phase: Phase) -> None:
    """This is so after a restore of CA Secrets without their annotations."""
    made = in_phase(phase)
    states = made.states()
    made.home.marks.clear()
    made.lose_ledger()
    made.look()

    assert states == made.states()


@pytest.mark.parametrize(("status", "is_marked"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("phase", PHASES)
def test_no_handshake_fails_whatever_is_lost(phase: Phase, *, status: bool, is_marked: bool) -> None:
    """If nothing says how far it was, both roots are in every bundle."""
    made = in_phase(phase)
    made.plant()
    if not is_marked:
        made.home.marks.clear()
    made.lose_ledger(status=status)
    made.look()
    assert made.offered is not None
    if status and not is_marked and phase is not Phase.REMOVING:
        assert 2 == made.offered.bundle.count(b"BEGIN CERTIFICATE")
    if status and not is_marked and phase is Phase.REMOVING:
        return  # nothing but bundles of tenants tells that some consumer trusts the older root alone
    run_well(made, 5 * HOUR)

    assert Phase.STABLE is made.phase
    assert isinstance(made.step, Sign)


def test_the_trust_bundle_keeps_roots_in() -> None:
    """It keeps a root whose Secret and status are gone, but no root of another authority."""
    made = in_phase(Phase.SIGNING)
    roots = [made.certificates[made.root(number).fingerprint] for number in (1, 2)]
    made.home.lose(CAId(Role.ROOT, 1), CAId(Role.ISSUING, 1))
    made.lose_ledger(status=True)
    without = recovery.rebuilt(made.of, replace(made.evidence(None), claimed=(), leaves=()), now=made.now)
    whole = replace(made.evidence(None), claimed=(), leaves=(), published=tuple(roots))
    found = recovery.rebuilt(made.of, whole, now=made.now)
    others = msgspec.structs.replace(made.of, uid="uid-of-another")
    alone = Evidence(published=tuple(roots))

    assert [2] == [ca.number for ca in without.of(Role.ROOT)]
    assert [State.RETIRING, State.ACTIVE] != [ca.state for ca in without.of(Role.ROOT)]
    assert {1, 2} == {ca.number for ca in found.of(Role.ROOT)}
    assert all(ca.state is not State.GONE for ca in found.of(Role.ROOT))
    assert () == recovery.rebuilt(others, replace(alone, is_owned=False), now=made.now).generations


def test_what_an_identity_records_bounds_the_soak_where_nothing_can_be_signed() -> None:
    """What its Secret says does not count, because a tenant may have made it up."""
    made = fleet("a", TENANT, soak="4h")
    made.run(50 * MINUTE)
    made.home.lose(CAId(Role.ROOT, 1), CAId(Role.ISSUING, 1))
    made.order(abandon=frozenset({made.root(1).fingerprint}))
    made.forge(tenant(made), not_after=made.now + 2 * MINUTE)
    first = min(member.versions[-1].facts.not_after for member in made.members.values())
    made.run(first - made.now - MINUTE, every=MINUTE)
    before = made.phase
    made.run(MINUTE, every=5 * SECOND)

    assert (Phase.PUBLISHING, Phase.SIGNING) == (before, made.phase)


# What tenants write


def test_what_an_identity_asks_for_is_waited_for_no_longer_than_laggards_are() -> None:
    """One that is suspended, and whose Secret cannot be changed, keeps nobody longer."""
    expected = lasts(rotating())
    made = rotating()
    tenant(made).is_blocked = True
    found = lasts(made)

    assert is_held_for_laggards(found, expected)


def is_held_for_laggards(found: dict[Phase, timedelta], expected: dict[Phase, timedelta]) -> bool:
    """Tell whether no phase is longer than expected by more than the time of laggards, and Publishing not shorter.

    How long Signing takes is a matter of when the old root last signed.
    """
    most = expected | {Phase.SIGNING: max(expected.get(Phase.SIGNING, timedelta()), HOUR + 10 * MINUTE)}
    is_whole = found.get(Phase.PUBLISHING, timedelta()) >= expected.get(Phase.PUBLISHING, timedelta())
    return is_whole and all(found[phase] <= most.get(phase, timedelta()) + LAGGARDS for phase in found)


def test_not_before_all_identities_are_known() -> None:
    """An operator that has just started has not heard of all."""
    made = rotating()
    made.run(DAY)
    made = rotating()
    view = replace(made.view(), now=made.now + DAY, rollout=Rollout(is_whole=False))

    assert not gates.gate(view).is_open
    assert gates.gate(replace(view, rollout=Rollout())).is_open


FORGERIES: list[tuple[str, Callable[[Fleet], dict[str, Any]]]] = [
    ("another bundle", lambda _: {"bundle_hash": "another"}),
    ("the new bundle", lambda made: {"bundle_hash": made.offered.bundle_hash if made.offered else ""}),
    ("a bundle since ever", lambda made: {"bundle_since": made.now - 9000 * DAY}),
    ("a bundle that comes at the end of time", lambda _: {"bundle_since": FAR}),
    ("another bundle at the end of time", lambda _: {"bundle_hash": "another", "bundle_since": FAR}),
    ("a leaf of the new root", lambda made: {"issuer_key_id": made.root(2).key_id}),
    ("a leaf of nobody's", lambda _: {"issuer_key_id": "ab"}),
    ("a leaf that has ended", lambda made: {"not_after": made.now - DAY}),
    ("a leaf that never ends", lambda _: {"not_after": FAR}),
    ("a leaf that comes at the end of time", lambda _: {"issuer_since": FAR}),
]


@pytest.mark.parametrize("forgery", [pytest.param(one, id=name) for name, one in FORGERIES])
@pytest.mark.parametrize("retire", ["AfterExpiry", "AfterReplacement"])
@pytest.mark.parametrize("phase", [Phase.PUBLISHING, Phase.SIGNING])
def test_what_a_secret_says_moves_nobody_else(
    phase: Phase, retire: str, forgery: Callable[[Fleet], dict[str, Any]]
) -> None:
    """No phase is shorter for it, and none longer than by the time of laggards."""
    expected = lasts(rotating(phase, retire=retire))
    made = rotating(phase, retire=retire)
    made.forge(tenant(made), **forgery(made))
    found = lasts(made)

    assert is_held_for_laggards(found, expected)


@pytest.mark.parametrize("since", [FAR, NOW + 1000 * DAY])
def test_a_time_to_come_holds_the_soak_for_the_time_of_laggards(since: Any) -> None:
    """It does not hold it for ever."""
    made = rotating()
    begun = made.now
    made.forge(tenant(made), bundle_since=since)
    made.run_until(Phase.SIGNING)

    assert begun + SOAK <= made.now <= begun + LAGGARDS + SOAK + 10 * MINUTE


@pytest.mark.parametrize("every", [5 * MINUTE, 10 * MINUTE])
def test_restarts_do_not_begin_the_time_of_laggards_again(every: timedelta) -> None:
    """Since when stands in the ledger: repeated crashes hold nothing as long as they go on."""
    made = rotating(soak="5m")
    tenant(made).is_blocked = True
    begun = made.now
    while made.phase is Phase.PUBLISHING:
        assert made.now < begun + HOUR, made.told.gate
        made.run(every)
        made.offered = None
        made.now += 15 * SECOND
        made.settle()

    assert made.now <= begun + LAGGARDS + 2 * every


def test_who_was_away_for_long_excuses_nobody_at_once() -> None:
    """It tries first."""
    made = fleet("a", "b")
    member = made.members["a"]
    member.is_blocked = True
    made.rotate()
    made.settle()
    made.offered = None
    made.now += 40 * MINUTE
    member.is_blocked = False
    made.settle()
    back = made.now

    assert Phase.PUBLISHING is made.phase
    made.run_until(Phase.SIGNING)
    assert back + SOAK <= made.now
    assert () == made.told.gate.excused


@pytest.mark.parametrize("phase", PHASES)
def test_a_leaf_that_a_ca_did_not_sign_changes_nothing(phase: Phase) -> None:
    """It does not hide a leaf that the CA did sign, either."""
    made = in_phase(phase)
    made.lose_ledger(status=True)
    without = recovery.rebuilt(made.of, made.evidence(None), now=made.now)
    made.plant()

    assert without == recovery.rebuilt(made.of, made.evidence(None), now=made.now)


def test_a_real_odd_leaf_is_found_behind_forged_ones() -> None:
    """All that are odd are looked at, some of each namespace at a time."""
    made = fleet("a", TENANT)
    known = made.ledger
    issuing = known.of(Role.ISSUING)[0]
    forged = [
        replace(
            made.rollout().leaves[0], secret=ObjectKey(TENANT, str(number)), issuer_key_id=issuing.key_id, not_after=FAR
        )
        for number in range(100)
    ]
    real = replace(forged[0], secret=ObjectKey("shop", "real"))
    found = recovery.unexplained(known, [*forged, real, *forged], most=20)

    assert ObjectKey("shop", "real") in {leaf.secret for _, leaf in found}
    assert 21 == len(found)


def test_a_root_that_a_tenant_plants_is_not_trusted() -> None:
    """This holds whatever is lost."""
    made = in_phase(Phase.SIGNING)
    made.plant()
    made.lose_ledger(status=True)
    made.look()

    assert made.offered is not None
    assert {made.root(1).fingerprint, made.root(2).fingerprint} == {
        ca.fingerprint for ca in made.ledger.of(Role.ROOT) if ca.state is not State.GONE
    }
    assert 2 == made.offered.bundle.count(b"BEGIN CERTIFICATE")


@pytest.mark.parametrize(
    "authority_of",
    [pytest.param("default", id="its authority"), pytest.param("other", id="another authority")],
)
def test_a_copy_is_waited_for_where_the_spec_asks_for_it(authority_of: str) -> None:
    """One that a tenant has labelled itself is not."""
    store = Store()
    store.note_namespace({"name": "shop", "labels": {"copies": "yes"}})
    store.note_namespace({"name": TENANT})
    asked = {"configMap": {"name": "bundle", "namespaceSelector": {"matchLabels": {"copies": "yes"}}}}
    store.authorities.hold("default", authority(trust=asked))
    body = publish.manifest(
        ObjectKey("shop", "bundle"), authority(authority_of), b"", Published(authority=authority_of, bundle_hash="h")
    )
    for key in (ObjectKey(TENANT, "bundle"), ObjectKey(TENANT, "forged")):
        store.copies.put(key, as_stored(body)["metadata"], now=NOW)

    carriers = [one.name for one in store.rollout_of("default").carriers]
    assert ["configmap shop/bundle"] == [one for one in carriers if one.startswith("configmap")]


def test_labels_make_nobody_wait() -> None:
    """A copy that a mirror made, with all its marks, makes nobody wait, either."""
    store = Store()
    store.identities.note(identity_body())
    body = secret_of(observed(an_identity()))
    for key in (ObjectKey(TENANT, "orders-mtls"), ObjectKey("shop", "orders-copy")):
        store.secrets.note(key, body["metadata"], now=NOW)

    assert () == store.rollout_of("default").leaves
    assert UID == body["metadata"]["annotations"][labels.IDENTITY_UID]
    assert isinstance(facts.read(body), Facts)


def test_the_task_is_noted_in_the_write_that_begins_it() -> None:
    """A phase therefore costs no additional write."""
    made = fleet("a")
    before = made.home.ledger_version
    made.rotate()
    made.settle()
    noted = made.ledger

    assert 4 == made.home.ledger_version - before  # announced and recorded, the root and its issuing CA
    assert noted.task is not None
    assert (2, made.root(2).since, made.now) == (noted.task.number, noted.task.since, noted.task_started_at)


def test_a_task_that_a_spec_changes_begins_then() -> None:
    """An object is not excused for the time before its replacement was asked for."""
    made = rotating()
    made.suspend("a")
    made.run_until(Phase.SIGNING)
    made.run(5 * MINUTE)
    rotation = made.of.spec.rotation
    made.change(rotation=msgspec.structs.replace(rotation, retire=Retire.AFTER_REPLACEMENT))
    made.settle()

    assert made.now == made.ledger.task_started_at
    assert made.told.gate.laggards


def test_the_release_before_reads_what_is_written() -> None:
    """It ignores what it does not know, and what it wrote is read without that."""
    text = rotating().home.ledger_text
    assert text is not None
    written = json.loads(text)
    before = {name: one for name, one in written.items() if name not in {"task", "taskSince"}}
    found = ledger.decode(json.dumps(before))
    mark = msgspec.json.encode(ledger.mark_of(found)).decode()

    assert {"task", "taskSince"} == written.keys() - before.keys()
    assert (None, None) == (found.task, found.task_started_at)
    assert found == ledger.decode(json.dumps(before | {"later": {"any": 1}}))
    assert ledger.mark_of(found) == ledger.read_mark(json.dumps(json.loads(mark) | {"later": 1}))
    assert [None] * 3 == [ledger.read_mark(text) for text in ("", "{", '{"revision": "x"}')]


ROWS: dict[str, tuple[Callable[..., None], ...]] = dict(
    zip(
        (one.what for one in evidence.PIECES),
        (
            (test_the_ledger_says_all,),
            (test_a_ca_secret_tells_of_a_ca,),
            (test_a_step_in_the_annotations_says_how_far_it_was, test_an_older_ledger_is_known_by_the_steps),
            (test_the_status_says_how_far_it_was_where_no_step_does,),
            (test_the_trust_bundle_keeps_roots_in,),
            (test_what_an_identity_records_bounds_the_soak_where_nothing_can_be_signed,),
            (test_what_an_identity_asks_for_is_waited_for_no_longer_than_laggards_are,),
            (test_what_a_secret_says_moves_nobody_else, test_restarts_do_not_begin_the_time_of_laggards_again),
            (test_a_time_to_come_holds_the_soak_for_the_time_of_laggards,),
            (test_a_leaf_that_a_ca_did_not_sign_changes_nothing, test_a_real_odd_leaf_is_found_behind_forged_ones),
            (test_a_root_that_a_tenant_plants_is_not_trusted,),
            (test_a_copy_is_waited_for_where_the_spec_asks_for_it,),
            (test_labels_make_nobody_wait,),
        ),
        strict=True,
    )
)
"""The tests of each piece."""
assert SPEC["rotation"] == {"soak": "30m", "laggardTimeout": "15m"}
