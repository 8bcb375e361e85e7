"""How an issuing CA is replaced at half its life, and how a crash on the way is mended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.offer import Offer
from mutualtls.core.pki.certificates import key_id
from mutualtls.core.rotation import phases
from mutualtls.core.rotation.steps import Bury, Make, Note, Sign, Write
from support.builders import DAY, HOUR, NOW, P384, SECOND, Home, authority, default_signer, grown, key, named
from support.cas import ISSUING, ISSUING_2, ROOT, ROOT_2
from support.replacement import (
    HALF,
    LEAF_ENDS,
    MARGIN,
    abandoned,
    busy,
    home_step,
    offered,
    ordering,
    signs_until,
    steps,
)

# An issuing CA at half its life


@pytest.mark.parametrize(
    ("at", "step"),
    [
        pytest.param(-SECOND, "sign", id="a second before"),
        pytest.param(timedelta(), "write root 1 Active, issuing 1 Active, issuing 2 Making", id="at half"),
        pytest.param(10 * DAY, "write root 1 Active, issuing 1 Active, issuing 2 Making", id="after"),
        pytest.param(1080 * HOUR, "write root 1 Active, issuing 1 Active, issuing 2 Making", id="at its end"),
    ],
)
def test_an_issuing_ca_is_replaced_at_half_its_life(at: timedelta, step: str) -> None:
    """Its life counts from when it was made, not from its backdated notBefore."""
    assert step == named(grown().next_step(authority(), now=HALF + at))


def test_an_issuing_ca_is_replaced_step_by_step() -> None:
    """It signs until the other one is recorded, and goes when its last leaf has ended and a little more."""
    home, of = busy(), authority()

    assert [
        "write root 1 Active, issuing 1 Active, issuing 2 Making",
        "make issuing 2",
        "write root 1 Active, issuing 1 Retiring, issuing 2 Active",
        "sign",
    ] == steps(home, of, now=HALF)
    gone = signs_until(home, ISSUING) + MARGIN
    assert LEAF_ENDS < gone
    assert ["sign"] == steps(home, of, now=gone - SECOND)
    assert [
        "write root 1 Active, issuing 1 Gone, issuing 2 Active",
        "bury issuing 1",
        "sign",
    ] == steps(home, of, now=gone)
    assert Tombstone() == home.secrets[ISSUING]


def test_the_new_issuing_ca_is_of_the_same_root() -> None:
    """Nobody's bundle changes."""
    home, of = busy(), authority()
    before = offered(home)
    step = home.walk(of, now=HALF)

    assert isinstance(step, Sign)
    assert home.secrets[ISSUING_2] is step.ca
    step.ca.certificate.verify_directly_issued_by(home.ca(ROOT).certificate)
    assert before.bundle == offered(home).bundle
    assert HALF + 2160 * HOUR == step.ca.validity.not_after


def test_leaves_of_the_old_issuing_ca_are_good_and_to_be_replaced() -> None:
    """They are valid until that CA goes."""
    home, of = busy(), authority()
    before = offered(home)
    home.walk(of, now=HALF)
    retiring = offered(home)
    home.walk(of, now=signs_until(home, ISSUING) + MARGIN)
    after = offered(home)
    old, new = (key_id(home_ca) for home_ca in certificates(home))
    root = home.recorded(ROOT).key_id

    assert {root: False, old: False} == replaced(before)
    assert {root: False, old: True, new: False} == replaced(retiring)
    assert {root: False, new: False} == replaced(after)


def certificates(home: Home) -> list[x509.Certificate]:
    """List the certificates of the issuing CAs, from the ledger."""
    known = home.read_ledger()
    found = known.of(Role.ISSUING) if known else ()
    return [x509.load_pem_x509_certificate(ca.certificate.encode()) for ca in found]


def replaced(by: Offer) -> dict[str, bool]:
    """For each CA in use, whether another signs in its place."""
    return {key_id: ca.is_replaced for key_id, ca in by.in_use.items()}


def test_an_issuing_ca_that_signed_nothing_goes_at_once() -> None:
    """Nothing of it lives."""
    home = grown()
    home.walk(authority(), now=HALF)

    assert {ROOT: State.ACTIVE, ISSUING: State.GONE, ISSUING_2: State.ACTIVE} == home.states()
    assert [ISSUING] == home.buried


def automatic_start(home: Home, of: Authority) -> datetime:
    """Tell when the root is replaced by itself."""
    known = home.read_ledger()
    assert known is not None
    return phases.automatic_start(of, known, home.recorded(ROOT))


def test_an_issuing_ca_is_not_replaced_without_the_key_of_its_root() -> None:
    """It signs on, and what is lost is said."""
    home = busy()
    home.lose(ROOT)
    step = home.next_step(authority(), now=HALF)

    assert isinstance(step, Sign)
    assert step.lost is not None
    assert "the key of root 1 is gone" in step.lost
    assert automatic_start(home, authority()) == step.next_check


def test_an_issuing_ca_is_not_replaced_where_nothing_is_gained() -> None:
    """It ends with its root, as would any other. The root is replaced when its own time comes."""
    of = authority(root={"selfSigned": {"duration": "2160h"}})
    home = grown(of)
    step = home.next_step(of, now=HALF)

    assert isinstance(step, Sign)
    assert (None, automatic_start(home, of)) == (step.lost, step.next_check)
    assert "write root 1 Active, issuing 1 Active, root 2 Making" == named(home.next_step(of, now=NOW + 1440 * HOUR))


@pytest.mark.parametrize(
    ("now", "next_check"),
    [
        pytest.param(NOW, lambda _: HALF, id="at half of its life"),
        pytest.param(HALF, lambda home: signs_until(home, ISSUING) + MARGIN, id="when the one before goes"),
        pytest.param(HALF + 2 * DAY, lambda _: HALF + 2 * DAY + 1080 * HOUR, id="at half of the next one's life"),
    ],
)
def test_when_to_look_again(now: datetime, next_check: Callable[[Home], datetime]) -> None:
    """The next look is when the next step is due by time alone."""
    home, of = busy(), authority()
    step = home.walk(of, now=now)

    assert isinstance(step, Sign)
    assert next_check(home) == step.next_check
    assert isinstance(home.next_step(of, now=step.next_check - SECOND), Sign)
    assert isinstance(home.next_step(of, now=step.next_check), Write)


# Crashes


def half_way(home: Home, of: Authority, step: Write | Note | Make | Bury) -> None:
    """Crash in the middle of a step: a key is made and lost again, or a Secret is deleted without a tombstone."""
    if isinstance(step, Make):
        home.make(of, step, key(P384, 97), now=HALF)
    elif isinstance(step, Bury):
        home.secrets.pop(step.ca.id, None)


def end_of(home: Home, of: Authority, *, crash: int, when: str) -> tuple[dict[CAId, State], list[CAId], list[CAId]]:
    """Take steps at half of life and when the last leaf has ended, with a crash at one of them."""
    number = 0
    for now in (HALF, LEAF_ENDS + 30 * DAY):
        while isinstance(step := home.next_step(of, now=now), Write | Note | Make | Bury):
            if number == crash and when == "half way through":
                half_way(home, of, step)
                step = home_step(home, of, now=now)
            home.act(of, step, now=now)
            if number == crash and when == "twice" and isinstance(step, Make):
                assert not home.create(step.announced.id, default_signer().issuing)
            number += 1
    assert number > crash
    return home.states(), home.made, home.buried


@pytest.mark.parametrize("when", ["half way through", "twice"])
@pytest.mark.parametrize("crash", range(5))
def test_a_crash_while_an_issuing_ca_is_replaced_is_mended_by_going_on(crash: int, when: str) -> None:
    """All ends in the same states, and each key is made and buried once."""
    expected = end_of(busy(), authority(), crash=0, when="never")

    assert expected == end_of(busy(), authority(), crash=crash, when=when)
    assert {ROOT: State.ACTIVE, ISSUING: State.GONE, ISSUING_2: State.ACTIVE} == expected[0]


@pytest.mark.parametrize("when", ["half way through", "twice"])
@pytest.mark.parametrize("crash", range(10))
def test_a_crash_while_a_root_is_given_up_is_mended_by_going_on(crash: int, when: str) -> None:
    """All ends in the same states, and each key is made once."""
    of = ordering(abandoned_once := abandoned())
    expected = end_of(abandoned_once, of, crash=0, when="never")
    home = abandoned()

    assert expected == end_of(home, ordering(home), crash=crash, when=when)
    assert {ROOT: State.GONE, ISSUING: State.GONE, ROOT_2: State.ACTIVE, ISSUING_2: State.ACTIVE} == expected[0]
