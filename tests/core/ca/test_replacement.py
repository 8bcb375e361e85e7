"""How CAs are replaced, given up and buried: an issuing CA at half its life, a lost one, a root that is abandoned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations, offer
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.offer import Offer
from mutualtls.core.ca.rollout import Leaf, Rollout
from mutualtls.core.errors import AuthorityError
from mutualtls.core.names.names import Names
from mutualtls.core.pki import issue
from mutualtls.core.pki.certificates import fingerprint, key_id
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import phases
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Write
from support.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ORDERS,
    P384,
    SECOND,
    Home,
    authority,
    default_signer,
    grown,
    key,
    named,
    other_signer,
)

ROOT, ROOT_2 = CAId(Role.ROOT, 1), CAId(Role.ROOT, 2)
ISSUING, ISSUING_2, ISSUING_3 = CAId(Role.ISSUING, 1), CAId(Role.ISSUING, 2), CAId(Role.ISSUING, 3)

HALF = NOW + 1080 * HOUR
"""Half of the life of an issuing CA that was made at NOW."""
LEAF_ENDS = HALF + DAY
MARGIN = 30 * SECOND


def signs_until(home: Home, name: CAId) -> datetime:
    """Read until when leaves of a CA may live."""
    found = home.recorded(name).signs_until
    if found is None:
        raise TypeError(f"no leaf of {name} was allowed")
    return found


def steps(home: Home, of: Authority, *, now: datetime) -> list[str]:
    """Take steps until there is nothing more to do, and name them."""
    seen = []
    for _ in range(20):
        step = home.next_step(of, now=now)
        seen.append(named(step))
        if not isinstance(step, Write | Note | Make | Bury):
            return seen
        home.act(of, step, now=now)
    raise AssertionError(f"steps without end: {seen}")


def offered(home: Home, of: Authority | None = None) -> Offer:
    """Say what an authority offers."""
    return offer.of(of or authority(), home.read_ledger())


def busy(of: Authority | None = None) -> Home:
    """An authority that signed a leaf shortly before half of its issuing CA's life."""
    home = grown(of)
    home.sign(until=LEAF_ENDS, now=HALF - MINUTE)
    return home


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
    """Counted from when it was made, not from its backdated notBefore."""
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
    """When the next step is due by time alone."""
    home, of = busy(), authority()
    step = home.walk(of, now=now)

    assert isinstance(step, Sign)
    assert next_check(home) == step.next_check
    assert isinstance(home.next_step(of, now=step.next_check - SECOND), Sign)
    assert isinstance(home.next_step(of, now=step.next_check), Write)


# Burials


def test_the_dead_are_buried_before_another_number_is_taken() -> None:
    """Otherwise a number whose Secret is missing could be given twice."""
    home, of = busy(), authority()
    home.walk(of, now=HALF)
    known = home.read_ledger()
    if known is None:
        raise TypeError("no ledger")
    home.write_ledger(known.put(msgspec.structs.replace(home.recorded(ISSUING), state=State.GONE)))
    seen = steps(home, of, now=HALF + 1080 * HOUR)

    assert "bury issuing 1" == seen[0]
    assert "make issuing 3" in seen


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(lambda home: home.secrets[ISSUING], id="before its Secret was deleted"),
        pytest.param(lambda _: None, id="when its Secret was deleted, and no tombstone was there yet"),
    ],
)
def test_a_burial_that_was_cut_short_is_done_again(left: Callable[[Home], CA | None]) -> None:
    """It is repeated until there is a tombstone."""
    home, of = busy(), authority()
    home.walk(of, now=HALF)
    before = left(home)
    gone = signs_until(home, ISSUING) + MARGIN
    home.walk(of, now=gone)
    home.lose(ISSUING)
    if before is not None:
        home.secrets[ISSUING] = before

    assert "bury issuing 1" == named(home.next_step(of, now=gone))
    assert isinstance(home.walk(of, now=gone), Sign)
    assert Tombstone() == home.secrets[ISSUING]


def test_a_key_that_is_restored_after_its_ca_is_gone_is_deleted_again() -> None:
    """Its number stays taken."""
    home, of = busy(), authority()
    home.walk(of, now=HALF)
    backup = home.ca(ISSUING)
    gone = signs_until(home, ISSUING) + MARGIN
    home.walk(of, now=gone)
    home.secrets[ISSUING] = backup

    assert ["bury issuing 1", "sign"] == steps(home, of, now=gone)


# A key that is lost


def test_a_lost_issuing_key_is_replaced_under_the_next_number() -> None:
    """Its leaves stay good until they end."""
    home, of = grown(), authority()
    home.sign(until=NOW + DAY, now=NOW)
    home.lose(ISSUING)

    assert [
        "write root 1 Active, issuing 1 Lost, issuing 2 Making",
        "make issuing 2",
        "write root 1 Active, issuing 1 Lost, issuing 2 Active",
        "sign",
    ] == steps(home, of, now=NOW + HOUR)
    assert {home.recorded(name).key_id for name in (ROOT, ISSUING, ISSUING_2)} == set(offered(home).in_use)
    assert [ROOT, ISSUING, ISSUING_2] == home.made
    home.walk(of, now=signs_until(home, ISSUING) + MARGIN)
    assert {ROOT: State.ACTIVE, ISSUING: State.GONE, ISSUING_2: State.ACTIVE} == home.states()
    assert Tombstone() == home.secrets[ISSUING]


def test_a_tombstone_where_a_key_ought_to_be_is_a_lost_key() -> None:
    """A ledger from a backup may be older than the burial."""
    home = grown()
    home.secrets[ISSUING] = Tombstone()

    assert "write root 1 Active, issuing 1 Lost, issuing 2 Making" == named(home.next_step(authority()))


def test_both_keys_lost_holds_and_names_the_order() -> None:
    """Word for word, to be copied."""
    home = grown()
    home.lose(ROOT, ISSUING)
    step = home.next_step(authority())

    assert isinstance(step, Hold)
    assert Reason.KEY_LOST == step.reason
    assert f"mutualtls.dev/abandon: {home.recorded(ROOT).fingerprint}" in step.message
    assert "the key of issuing CA 1 is gone, too" in step.message
    assert "restore its Secret from a backup" in step.message


def test_a_key_that_is_lost_while_retiring_is_not_missed() -> None:
    """It would have signed no more."""
    home, of = busy(), authority()
    home.walk(of, now=HALF)
    home.lose(ISSUING)
    step = home.next_step(of, now=HALF)

    assert isinstance(step, Sign)
    assert step.lost is None


def test_a_root_key_that_is_lost_while_an_issuing_ca_is_being_made_does_not_stop_signing() -> None:
    """The issuing CA that it is to replace has its key, and signs on, loudly (DESIGN 5)."""
    home, of = busy(), authority()
    home.act(of, home_step(home, of, now=HALF), now=HALF)
    home.lose(ROOT)
    step = home.walk(of, now=HALF)

    assert isinstance(step, Sign)
    assert step.lost is not None


def home_step(home: Home, of: Authority, *, now: datetime) -> Write | Note | Make | Bury:
    """Say the next step, which is one to be taken."""
    step = home.next_step(of, now=now)
    if not isinstance(step, Write | Note | Make | Bury):
        raise TypeError(f"nothing to do: {step}")
    return step


# A root that is given up


def ordering(home: Home, name: CAId = ROOT) -> Authority:
    """Order to abandon a root."""
    return authority(abandon=home.recorded(name).fingerprint)


def abandoned() -> Home:
    """An authority whose keys are lost, and a leaf of it."""
    home = busy()
    home.lose(ROOT, ISSUING)
    key_id = home.recorded(ISSUING).key_id
    leaf = Leaf(secret=ORDERS, issuer_key_id=key_id, not_after=LEAF_ENDS, recorded_end=LEAF_ENDS)
    home.rollout = Rollout(leaves=(leaf,))
    return home


def test_an_abandoned_root_is_replaced_step_by_step() -> None:
    """It goes through the phases, and nothing signs until the new root does."""
    home = abandoned()
    now = HALF - MINUTE

    assert [
        "write root 1 Active, issuing 1 Active, root 2 Making",
        "make root 2",
        "write root 1 Active, issuing 1 Active, root 2 Published",
        "write root 1 Active, issuing 1 Active, root 2 Published, issuing 2 Making",
        "make issuing 2",
        "write root 1 Active, issuing 1 Active, root 2 Published, issuing 2 Published",
        "hold KeyLost",
    ] == steps(home, ordering(home), now=now)
    home.ca(ISSUING_2).certificate.verify_directly_issued_by(home.ca(ROOT_2).certificate)


def test_what_replaces_an_abandoned_root_is_published_before_it_signs() -> None:
    """It is published for the soak, because the existing leaf lives longer."""
    home = abandoned()
    of = ordering(home)
    home.walk(of, now=HALF - MINUTE)

    assert [
        "write root 1 Retiring, issuing 1 Retiring, root 2 Active, issuing 2 Active",
        "note in root 2",
        "sign",
    ] == steps(home, of, now=HALF - MINUTE + DAY)


def test_an_abandoned_root_stays_in_the_bundle_until_its_last_leaf_has_ended() -> None:
    """Then it leaves the bundle, with its issuing CA."""
    home = abandoned()
    of = ordering(home)
    home.walk(of, now=HALF - MINUTE)
    home.walk(of, now=HALF - MINUTE + DAY)
    gone = signs_until(home, ROOT) + MARGIN
    home.walk(of, now=gone - SECOND)
    pem = home.recorded(ROOT).certificate.encode()
    both = offered(home, of)

    assert LEAF_ENDS < gone
    assert pem in both.bundle
    assert {home.recorded(name).key_id for name in (ROOT, ISSUING, ROOT_2, ISSUING_2)} == set(both.in_use)
    home.walk(of, now=gone)
    assert {ROOT: State.GONE, ISSUING: State.GONE, ROOT_2: State.ACTIVE, ISSUING_2: State.ACTIVE} == home.states()
    assert pem not in offered(home, of).bundle
    assert {ROOT, ISSUING} == set(home.buried)


def test_what_an_abandoned_root_means_is_said() -> None:
    """The message stays until another root signs in its place."""
    home = abandoned()
    of = ordering(home)
    step = home.walk(of, now=HALF - MINUTE)
    after = home.walk(of, now=HALF - MINUTE + DAY)

    assert isinstance(step, Hold)
    assert isinstance(after, Sign)
    assert "the key of root 1 is gone and was given up: another root takes its place" in step.message
    assert after.lost is None


@pytest.mark.parametrize(
    ("lost", "order"),
    [
        pytest.param([], lambda home: home.recorded(ROOT).fingerprint, id="a root whose key is there"),
        pytest.param([ROOT], lambda _: None, id="no order"),
        pytest.param([ROOT], lambda home: home.recorded(ISSUING).fingerprint, id="the issuing CA"),
        pytest.param([ROOT], lambda _: fingerprint(other_signer().root.certificate), id="another's root"),
        pytest.param([ROOT], lambda home: home.recorded(ROOT).fingerprint[:16], id="a part of the fingerprint"),
        pytest.param([ROOT], lambda home: home.recorded(ROOT).key_id, id="a key id"),
    ],
)
def test_an_order_that_is_not_of_the_lost_root_is_ignored(
    lost: list[CAId], order: Callable[[Home], str | None]
) -> None:
    """It is obeyed only while it is so."""
    home = busy()
    home.lose(*lost)

    assert ["sign"] == steps(home, authority(abandon=order(home)), now=HALF - MINUTE)


def test_an_order_is_obeyed_once() -> None:
    """The root that comes after has another fingerprint."""
    home = busy()
    of = ordering(home)
    home.lose(ROOT, ISSUING)
    home.walk(of, now=HALF - MINUTE)
    home.lose(ROOT_2)

    assert ["note in issuing 2", "sign"] == steps(home, of, now=HALF)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda text: ":".join(text[at : at + 2] for at in range(0, 64, 2)).upper(), id="with colons"),
    ],
)
def test_a_fingerprint_may_be_written_otherwise(write: Callable[[str], str]) -> None:
    """The form that OpenSSL prints is accepted."""
    home = busy()
    home.lose(ROOT, ISSUING)
    of = authority(abandon=write(home.recorded(ROOT).fingerprint))

    assert "write root 1 Active, issuing 1 Active, root 2 Making" == named(home.next_step(of))


def test_a_root_without_living_leaves_stays_while_its_issuing_ca_signs() -> None:
    """What signs is always trusted: the bundle holds the root of the CA that signs."""
    home = grown()
    of = ordering(home)
    home.lose(ROOT)
    step = home.walk(of, now=NOW + HOUR)

    assert isinstance(step, Sign)
    assert is_trusted(home, of, step.ca)


def is_trusted(home: Home, of: Authority, ca: CA) -> bool:
    """Tell whether the root of an issuing CA is in the bundle."""
    roots = x509.load_pem_x509_certificates(offered(home, of).bundle)
    return any(root.subject == ca.certificate.issuer for root in roots)


def test_an_order_is_obeyed_while_an_issuing_ca_is_being_made() -> None:
    """The lost root cannot sign it, so the order is the only way on."""
    home, of = Home(), authority()
    for _ in range(4):
        home.act(of, home_step(home, of, now=NOW))
    home.lose(ROOT)
    step = home.walk(ordering(home))

    assert isinstance(step, Sign)


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
    """The same states, and each key made and buried once."""
    expected = end_of(busy(), authority(), crash=0, when="never")

    assert expected == end_of(busy(), authority(), crash=crash, when=when)
    assert {ROOT: State.ACTIVE, ISSUING: State.GONE, ISSUING_2: State.ACTIVE} == expected[0]


@pytest.mark.parametrize("when", ["half way through", "twice"])
@pytest.mark.parametrize("crash", range(10))
def test_a_crash_while_a_root_is_given_up_is_mended_by_going_on(crash: int, when: str) -> None:
    """The same states, and each key made once."""
    of = ordering(abandoned_once := abandoned())
    expected = end_of(abandoned_once, of, crash=0, when="never")
    home = abandoned()

    assert expected == end_of(home, ordering(home), crash=crash, when=when)
    assert {ROOT: State.GONE, ISSUING: State.GONE, ROOT_2: State.ACTIVE, ISSUING_2: State.ACTIVE} == expected[0]


# What is another's


def announced(role: Role) -> tuple[Home, Authority]:
    """An authority that has announced a CA of a role, and whose Secret is not there yet."""
    home, of = Home(), authority()
    for _ in range(1 if role == Role.ROOT else 4):
        home.act(of, home_step(home, of, now=NOW))
    return home, of


def forged(home: Home, *, unique: str, is_ca: bool = True) -> CA:
    """A certificate under our own root, of any subject."""
    root, made = home.ca(ROOT), key(P384, 96)
    if is_ca:
        certificate = issue.issuing(
            made.public_key(), root, common_name="x", unique=unique, validity=default_signer().issuing.validity
        )
    else:
        names = Names(dns=("a.shop.svc",))
        certificate = issue.leaf(
            made.public_key(), root, names=names, usages=(), validity=default_signer().issuing.validity
        )
    return CA(certificate=certificate, key=made)


@pytest.mark.parametrize(
    ("role", "there"),
    [
        pytest.param(Role.ROOT, lambda _: other_signer().issuing, id="an issuing CA as root"),
        pytest.param(Role.ISSUING, lambda _: other_signer().issuing, id="an issuing CA of another root"),
        pytest.param(Role.ISSUING, lambda home: home.ca(ROOT), id="the root as issuing CA"),
        pytest.param(Role.ISSUING, lambda home: forged(home, unique="u/issuing/2"), id="of another number"),
        pytest.param(Role.ISSUING, lambda home: forged(home, unique=f"u/{Role.ROOT}/1"), id="of another role"),
        pytest.param(Role.ISSUING, lambda home: forged(home, unique="u"), id="of no number"),
        pytest.param(Role.ISSUING, lambda home: forged(home, unique="", is_ca=False), id="a leaf"),
    ],
)
def test_what_lies_in_an_announced_secret_is_taken_only_if_it_is_ours(role: Role, there: Callable[[Home], CA]) -> None:
    """A CA that was announced, and no other."""
    home, of = announced(role)
    home.secrets[CAId(role, 1)] = there(home)
    with pytest.raises(AuthorityError, match=f"the Secret of {role} 1 holds a CA that is not ours") as error:
        home.next_step(of)

    assert Reason.CA_UNREADABLE == error.value.reason


def test_a_tombstone_where_a_ca_is_announced_takes_its_number() -> None:
    """The ledger is an old one, from a backup; the next CA gets the next number."""
    home, of = announced(Role.ISSUING)
    home.secrets[ISSUING] = Tombstone()
    step = home.walk(of)

    assert isinstance(step, Sign)
    assert [ROOT, ISSUING_2] == home.made


@pytest.mark.parametrize(
    ("unique", "found"),
    [
        pytest.param(f"uid/{Role.ROOT}/1", ROOT, id="root"),
        pytest.param("uid/issuing/12", CAId(Role.ISSUING, 12), id="issuing CA"),
        pytest.param("uid/leaf/1", None, id="another role"),
        pytest.param(f"uid/{Role.ROOT}/one", None, id="no number"),
        pytest.param(f"uid/{Role.ROOT}/", None, id="an empty number"),
        pytest.param(f"uid/{Role.ROOT}/-1", None, id="a negative number"),
        pytest.param("root/1", None, id="without uid"),
        pytest.param(f"a/uid/{Role.ROOT}/1", None, id="more parts"),
        pytest.param("ABC123", None, id="another's serial number"),
    ],
)
def test_a_ca_says_which_one_it_is(unique: str, found: CAId | None) -> None:
    """Its subject says so."""
    certificate = issue.root(key(), common_name="x", unique=unique, validity=default_signer().root.validity)

    assert found == generations.identify(certificate)
