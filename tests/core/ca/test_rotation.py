"""How an authority gets its first CAs, and what it does with CAs that are gone or not its own."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import offer
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import certificates, issue
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold, Make, Sign, Write
from support.builders import DAY, P384, SECOND, Home, authority, grown, key, named, other_signer
from support.cas import ISSUING, ROOT

WALK = [
    "write root 1 Making",
    "make root 1",
    "write root 1 Active",
    "write root 1 Active, issuing 1 Making",
    "make issuing 1",
    "write root 1 Active, issuing 1 Active",
    "sign",
]


# The first CAs


def test_the_first_cas_are_made_step_by_step() -> None:
    """Each is announced, made, and recorded before it is used."""
    of, home = authority(), Home()
    seen = []
    for _ in WALK:
        step = home.next_step(of)
        seen.append(named(step))
        if isinstance(step, Write | Make):
            home.act(of, step)

    assert WALK == seen
    assert [ROOT, ISSUING] == home.made


def test_what_was_made_is_what_signs() -> None:
    """The ledger records the same CA."""
    of, home = authority(), Home()
    step, known = home.walk(of), home.read_ledger()

    assert isinstance(step, Sign)
    assert known is not None
    assert (home.secrets[ISSUING], None) == (step.ca, step.lost)
    for name in (ROOT, ISSUING):
        recorded, ca = known.find(*name), home.ca(name)
        assert recorded is not None
        assert certificates.fingerprint(ca.certificate) == recorded.fingerprint
        assert certificates.key_id(ca.certificate) == recorded.key_id
        assert certificates.to_pem(ca.certificate).decode() == recorded.certificate
        assert ca.validity.not_before == recorded.not_before
        assert ca.validity.not_after == recorded.not_after
    assert [None, 1] == [ca.issuer for ca in known.generations]
    home.ca(ISSUING).certificate.verify_directly_issued_by(home.ca(ROOT).certificate)


def test_nothing_is_offered_before_it_is_recorded() -> None:
    """Bundles hold the root from its record on, and leaves are signed when the issuing CA is recorded."""
    of, home = authority(), Home()
    offered = []
    for _ in WALK:
        now = offer.of(of, home.read_ledger())
        offered.append((bool(now.bundle), now.signing is not None))
        step = home.next_step(of)
        if isinstance(step, Write | Make):
            home.act(of, step)

    assert [(False, False)] * 3 + [(True, False)] * 3 + [(True, True)] == offered


CrashPoint = tuple[int, str]
POINTS = [
    pytest.param((number, when), id=f"{when} step {number}: {step}")
    for number, step in enumerate(WALK[:-1])
    for when in ("before", "half way through", "after")
]


def walk_with_crash(home: Home, of: Authority, crash: CrashPoint) -> None:
    """Take steps, and crash at one: before it, after it, or with the key made and lost again."""
    at, when = crash
    for number in range(at):
        step = home.next_step(of)
        if not isinstance(step, Write | Make):
            raise TypeError(f"step {number} is {step}")
        home.act(of, step)
    step = home.next_step(of)
    if when == "half way through" and isinstance(step, Make):
        home.make(of, step, key(P384, 99))
    elif when == "after" and isinstance(step, Write | Make):
        home.act(of, step)


@pytest.mark.parametrize("crash", POINTS)
def test_a_crash_at_any_point_is_mended_by_going_on(crash: CrashPoint) -> None:
    """All ends in the same state, with one key of each number."""
    of, home = authority(), Home()
    walk_with_crash(home, of, crash)
    step, known = home.walk(of), home.read_ledger()

    assert isinstance(step, Sign)
    assert known is not None
    assert [ROOT, ISSUING] == home.made
    assert [(*ROOT, State.ACTIVE), (*ISSUING, State.ACTIVE)] == [
        (ca.role, ca.number, ca.state) for ca in known.generations
    ]
    assert home.secrets[ISSUING] is step.ca


@pytest.mark.parametrize("number", [pytest.param(number, id=step) for number, step in enumerate(WALK[:-1])])
def test_a_deposed_leader_makes_no_second_key(number: int) -> None:
    """It wakes with a step in hand that another has taken meanwhile: its ledger is refused, its Secret is there."""
    of, home = authority(), Home()
    for _ in range(number):
        step = home.next_step(of)
        if isinstance(step, Write | Make):
            home.act(of, step)
    stale, version = home.next_step(of), home.ledger_version
    made = home.make(of, stale, key(P384, 98)) if isinstance(stale, Make) else None
    home.walk(of)
    before = dict(home.secrets)
    is_done = True
    if made is not None and isinstance(stale, Make):
        is_done = home.create(stale.announced.id, made)
    elif isinstance(stale, Write):
        is_done = home.write_ledger(stale.ledger, over=version)

    assert not is_done
    assert before == home.secrets
    assert isinstance(home.next_step(of), Sign)


def test_a_ca_secret_that_is_there_is_taken() -> None:
    """While a CA is being made, its Secret is adopted: no number is given twice."""
    of, home = authority(), Home()
    for _ in range(2):
        step = home.next_step(of)
        if isinstance(step, Write | Make):
            home.act(of, step)
    there = home.ca(ROOT)
    step = home.next_step(of)

    assert isinstance(step, Write)
    assert certificates.fingerprint(there.certificate) == step.ledger.generations[0].fingerprint


# What is gone


def test_a_root_key_that_is_gone_does_not_stop_signing() -> None:
    """The status says so, however."""
    home = grown()
    del home.secrets[ROOT]
    step = home.next_step(authority())

    assert isinstance(step, Sign)
    assert step.lost is not None
    assert "the key of root 1 is gone" in step.lost
    assert home.secrets[ISSUING] is step.ca


def test_an_issuing_key_that_is_gone_is_replaced_by_itself() -> None:
    """The new one has the next number: none takes its place."""
    home = grown()
    del home.secrets[ISSUING]

    assert "write root 1 Active, issuing 1 Lost, issuing 2 Making" == named(home.next_step(authority()))


@pytest.mark.parametrize("lost", [pytest.param(ROOT, id="root"), pytest.param(ISSUING, id="issuing CA")])
def test_a_key_that_is_restored_signs_again(lost: CAId) -> None:
    """The very same CA signs."""
    home = grown()
    before = home.secrets.pop(lost)
    home.next_step(authority())
    home.secrets[lost] = before
    step = home.next_step(authority())

    assert isinstance(step, Sign)
    assert (home.secrets[ISSUING], None) == (step.ca, step.lost)


def test_a_root_key_that_is_lost_before_its_issuing_ca_is_made_is_not_made_again() -> None:
    """Its number was recorded; what is announced below it cannot be signed."""
    of, home = authority(), Home()
    for _ in range(4):
        step = home.next_step(of)
        if isinstance(step, Write | Make):
            home.act(of, step)
    home.lose(ROOT)
    step = home.walk(of)

    assert isinstance(step, Hold)
    assert Reason.KEY_LOST == step.reason
    assert "the key of root 1 is gone" in step.message
    assert [ROOT] == home.made


def test_a_ledger_is_begun_with_a_root() -> None:
    """The root is announced, under the authority that it is for."""
    step = Home().next_step(authority())

    assert isinstance(step, Write)
    assert "uid-of-default" == step.ledger.authority_uid
    assert (CAGeneration(role=Role.ROOT, number=1, state=State.MAKING),) == step.ledger.generations


def test_a_ledger_without_a_ca_that_signs_gets_one_of_the_next_number() -> None:
    """The key of the former one is deleted first."""
    home = grown()
    known = home.read_ledger()
    if known is None:
        raise TypeError("no ledger")
    gone = [msgspec.structs.replace(ca, state=State.GONE) for ca in known.of(Role.ISSUING)]
    home.write_ledger(known.put(gone[0]))
    step = home.next_step(authority())

    assert "bury issuing 1" == named(step)
    assert isinstance(home.walk(authority()), Sign)
    assert Tombstone() == home.secrets[ISSUING]
    assert {ROOT: State.ACTIVE, ISSUING: State.GONE, CAId(Role.ISSUING, 2): State.ACTIVE} == home.states()


@pytest.mark.parametrize(
    ("at", "step"),
    [
        pytest.param(-SECOND, "sign", id="a second before"),
        pytest.param(timedelta(), "hold CAExpired", id="at its end"),
        pytest.param(DAY, "hold CAExpired", id="after"),
    ],
)
def test_an_issuing_ca_that_cannot_be_replaced_signs_until_its_end(at: timedelta, step: str) -> None:
    """It does not sign a second longer."""
    home = grown()
    del home.secrets[ROOT]

    assert step == named(home.next_step(authority(), now=home.ca(ISSUING).validity.not_after + at))


# What is another's


@pytest.mark.parametrize("name", [pytest.param(ROOT, id="root"), pytest.param(ISSUING, id="issuing CA")])
def test_a_secret_that_holds_another_ca_is_refused(name: CAId) -> None:
    """The steps that the ledger records did not make it."""
    home = grown()
    home.secrets[name] = other_signer().root
    with pytest.raises(AuthorityError, match=f"the Secret of {name[0]} 1 holds another CA") as error:
        home.next_step(authority())

    assert Reason.CA_UNREADABLE == error.value.reason


def test_another_certificate_of_the_same_key_is_refused() -> None:
    """Leaves name the key, but chains hold the certificate."""
    home = grown()
    ca = home.ca(ISSUING)
    again = issue.issuing(ca.key.public_key(), home.ca(ROOT), common_name="again", unique="u", validity=ca.validity)
    home.secrets[ISSUING] = CA(certificate=again, key=ca.key)
    with pytest.raises(AuthorityError):
        home.next_step(authority())
