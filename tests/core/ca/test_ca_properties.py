"""CAs: made once, and outliving their leaves, tried with histories that nobody thought of."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from mutualtls.core import times
from mutualtls.core.api import states
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import ledger
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation.steps import Make, Sign, Write
from mutualtls.core.times import Validity
from support.builders import (
    DAY,
    NOW,
    P256,
    SECOND,
    Home,
    an_identity,
    authority,
    default_signer,
    grown,
    issued,
    key,
    observed,
)
from support.examples import durations, examples, fractions


def ledger_of(root_ends: datetime, ca_ends: datetime, root_until: datetime | None, ca_until: datetime | None) -> Ledger:
    """A ledger of two CAs."""
    root = CAGeneration(role=Role.ROOT, number=1, state=State.ACTIVE, not_after=root_ends, signs_until=root_until)
    issuing = CAGeneration(
        role=Role.ISSUING, number=1, state=State.ACTIVE, issuer=1, not_after=ca_ends, signs_until=ca_until
    )
    return Ledger(authority_uid="u", generations=(root, issuing))


@examples(300)
@given(
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    durations,
    fractions,
    st.tuples(*[st.none() | st.integers(-(10**5), 10**6)] * 2),
)
def test_no_leaf_outlives_its_ca_nor_what_the_ledger_allows(
    left: int, more: int, duration: timedelta, fraction: timedelta, before_until: tuple[int | None, int | None]
) -> None:
    """This holds for any ledger after one write at most; what the ledger allowed it still allows."""
    ca_ends, root_ends = NOW + left * SECOND, NOW + (left + more) * SECOND
    limits = [
        None if until is None else min(NOW + until * SECOND, end)
        for until, end in zip(before_until, (root_ends, ca_ends), strict=True)
    ]
    before = ledger_of(root_ends, ca_ends, limits[0], limits[1])
    within = Validity(not_before=NOW - DAY, not_after=ca_ends)
    end = times.validity(NOW + fraction, duration, within=within).not_after
    active = before.generations[1]
    after = before if ledger.covers(active, end) else ledger.extended(before, active, now=NOW + fraction, not_after=end)
    root, issuing = after.generations

    assert end <= ca_ends
    assert ledger.covers(issuing, end)
    assert issuing.signs_until is not None
    assert issuing.signs_until <= ca_ends
    assert 0 == issuing.signs_until.microsecond
    if after is not before:
        assert ledger.covers(root, issuing.signs_until)
        assert root.signs_until is not None
        assert root.signs_until <= root_ends
    for was, now_is in zip(before.generations, after.generations, strict=True):
        assert was.signs_until is None or ledger.covers(now_is, was.signs_until)


@examples(30)
@given(st.integers(1, 2160 * 3600), st.integers(600, 168 * 3600))
def test_no_certificate_outlives_its_ca(age: int, duration: int) -> None:
    """A certificate that is signed at any time of the CA's life ends within it."""
    by = default_signer()
    now = by.issuing.validity.not_before + age * SECOND
    assume(now < by.issuing.validity.not_after - SECOND)
    o = observed(an_identity(duration=times.format_duration(duration * SECOND)), now=now)
    made, _ = issued(o)

    assert by.issuing.validity.not_before <= made.not_before
    assert made.not_after <= by.issuing.validity.not_after <= by.root.validity.not_after


@examples(60)
@given(st.lists(st.sampled_from(["step", "crash with a key", "crash"]), max_size=20))
def test_cas_are_made_once_whatever_happens(history: list[str]) -> None:
    """Steps and crashes in any order end in the same two CAs."""
    of, home = authority(), Home()
    for event in history:
        step = home.next_step(of)
        if event == "step" and isinstance(step, Write | Make):
            home.act(of, step)
        elif event == "crash with a key" and isinstance(step, Make):
            home.make(of, step, key(P256, 99))
    home.walk(of)
    found = home.read_ledger()

    assert found is not None
    assert [CAId(Role.ROOT, 1), CAId(Role.ISSUING, 1)] == home.made
    assert [State.ACTIVE, State.ACTIVE] == [ca.state for ca in found.generations]
    assert found == ledger.decode(ledger.encode(found))


EVENTS = st.sampled_from(["lose the root", "lose the issuing CA", "restore", "abandon", "step", "sign", "sign", "wait"])


@examples(150)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 2000)), max_size=25))
def test_whatever_is_lost_no_leaf_loses_its_root(history: list[tuple[str, int]]) -> None:
    """What signs is under a root of the bundle, so are living leaves, and each number is made once."""
    of, home, now = authority(), grown(), NOW
    leaves: list[tuple[CAId, datetime]] = []
    lost: dict[CAId, CA] = {}
    for event, hours in history:
        known = home.read_ledger()
        root, issuing = (known.active(role) for role in (Role.ROOT, Role.ISSUING)) if known else (None, None)
        doomed = {"lose the root": root, "lose the issuing CA": issuing}.get(event)
        if doomed is not None and isinstance(home.secrets.get(doomed.id), CA):
            lost[doomed.id] = home.ca(doomed.id)
            home.lose(doomed.id)
        elif event == "restore":
            home.secrets |= {name: ca for name, ca in lost.items() if name not in home.secrets}
        elif event == "abandon" and root is not None:
            of = authority(abandon=root.fingerprint)
        elif event == "step":
            step = home.next_step(of, now=now)
            if isinstance(step, Write):
                home.act(of, step, now=now)
            continue
        elif event == "wait":
            now += timedelta(hours=hours)
        step = home.walk(of, now=now)
        if isinstance(step, Sign) and event == "sign":
            end = min(now + DAY, step.ca.validity.not_after)
            leaves.append((home.sign(until=end, now=now), end))
        trusted = home.read_ledger()
        assert trusted is not None
        roots = {ca.number for ca in trusted.of(Role.ROOT) if ca.state in states.TRUSTED}
        signing = trusted.active(Role.ISSUING)
        assert not isinstance(step, Sign) or (signing is not None and signing.issuer in roots)
        assert {home.recorded(name).issuer for name, end in leaves if end > now} <= roots
        assert len(home.made) == len(set(home.made))
