"""How CAs come about: step by step, through crashes at every point, and never where one ought to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.algorithms import Algorithm
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.bundles import bundle
from mutualtls.core.ca import generations, ledger, offer
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.errors import AuthorityError
from mutualtls.core.pki import certificates, issue
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason, Refusal
from mutualtls.core.rotation.steps import Hold, Make, Sign, Write
from support.builders import (
    DAY,
    HOUR,
    NOW,
    P256,
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

ROOT, ISSUING = CAId(Role.ROOT, 1), CAId(Role.ISSUING, 1)


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
    """The same state, and one key of each number."""
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
    """The very one."""
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


# What a CA is like


@pytest.mark.parametrize(
    ("spec", "role", "kind"),
    [
        pytest.param({}, Role.ROOT, P256, id="root by default"),
        pytest.param({}, Role.ISSUING, P256, id="issuing CA by default"),
        pytest.param(
            {"root": {"selfSigned": {"privateKey": {"algorithm": "RSA"}}}},
            Role.ROOT,
            KeyType(Algorithm.RSA, 3072),
            id="RSA root",
        ),
        pytest.param(
            {"root": {"selfSigned": {"privateKey": {"algorithm": "RSA"}}}}, Role.ISSUING, P256, id="under an RSA root"
        ),
        pytest.param({"issuing": {"privateKey": {"size": 384}}}, Role.ISSUING, P384, id="P-384"),
    ],
)
def test_the_key_of_a_ca_is_as_asked(spec: dict[str, Any], role: Role, kind: KeyType) -> None:
    """Each role has its own."""
    assert kind == generations.key_type(authority(**spec), role)


ANNOUNCED_ROOT = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
ANNOUNCED = CAGeneration(role=Role.ISSUING, number=3, state=State.MAKING, issuer=1)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        pytest.param({}, "default root", id="by default"),
        pytest.param({"root": {"selfSigned": {"commonName": "Example root"}}}, "Example root", id="as asked"),
    ],
)
def test_a_root_is_named(spec: dict[str, Any], name: str) -> None:
    """The common name is for people; the serialNumber attribute makes it unique."""
    ca = generations.certify(authority(**spec), ANNOUNCED_ROOT, key(), None, now=NOW)

    assert f"2.5.4.5=uid-of-default/{Role.ROOT}/1,CN={name}" == ca.certificate.subject.rfc4514_string()


def test_an_issuing_ca_lives_as_asked() -> None:
    """Its subject carries its number."""
    of = authority(issuing={"duration": "100h"})
    ca = generations.certify(of, ANNOUNCED, key(), default_signer().root, now=NOW)

    assert NOW + 100 * HOUR == ca.validity.not_after
    assert "uid-of-default/issuing/3" in ca.certificate.subject.rfc4514_string()


def test_an_issuing_ca_does_not_outlive_its_root() -> None:
    """It does not begin before its root, either."""
    root = generations.certify(authority(root={"selfSigned": {"duration": "1h"}}), ANNOUNCED_ROOT, key(), None, now=NOW)
    ca = generations.certify(authority(), ANNOUNCED, key(P384), root, now=NOW + SECOND)

    assert root.validity.not_after == ca.validity.not_after
    assert root.validity.not_before <= ca.validity.not_before


def test_an_issuing_ca_under_a_root_that_has_expired_is_not_made() -> None:
    """There would be nothing left of its life."""
    root = default_signer().root
    with pytest.raises(AuthorityError, match="root 1 has expired") as error:
        generations.certify(authority(), ANNOUNCED, key(), root, now=root.validity.not_after)

    assert Reason.CA_EXPIRED == error.value.reason


def test_the_secret_of_a_ca_holds_certificate_and_key() -> None:
    """The two belong together."""
    ca = default_signer().issuing
    data = generations.secret_data(ca)

    assert {"tls.crt", "tls.key"} == set(data)
    assert certificates.to_pem(ca.certificate) == data["tls.crt"]
    assert data["tls.key"].startswith(b"-----BEGIN PRIVATE KEY-----")


def test_no_repr_shows_the_key_of_a_ca() -> None:
    """The repr of a step that carries a key does not show it, either."""
    ca = default_signer().issuing
    number = generations.secret_data(ca)["tls.key"].decode().splitlines()[1]

    assert number not in repr(ca)
    assert "key" not in repr(ca).lower()
    assert "key=" not in repr(Sign(ca))


# Ledger


def test_a_ledger_is_written_and_read() -> None:
    """Nothing is lost between writing and reading."""
    known = grown().read_ledger()

    assert known is not None
    assert known == ledger.decode(ledger.encode(known))
    assert known.generations[0].not_after is not None
    assert known.generations[0].not_after.tzinfo is not None


def test_a_ledger_holds_no_key() -> None:
    """It is a ConfigMap."""
    home = grown()

    assert home.ledger_text is not None
    assert "PRIVATE" not in home.ledger_text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "not a ledger", id="empty"),
        pytest.param("[]", "not a ledger", id="another form"),
        pytest.param('{"version": 1}', "not a ledger", id="of nobody"),
        pytest.param('{"authorityUid": "u", "generations": [{"role": "x"}]}', "not a ledger", id="another role"),
        pytest.param('{"authorityUid": "u", "version": 2}', "a later version", id="a later version"),
    ],
)
def test_what_is_no_ledger_is_refused(text: str, said: str) -> None:
    """A later version most of all: what it says may not be what we read."""
    with pytest.raises(ValueError, match=said):
        ledger.decode(text)


def test_an_old_ledger_can_be_read() -> None:
    """The ledger here is one of version 1."""
    text = """{"authorityUid": "u", "generations": [
      {"role": "root", "number": 1, "state": "Active", "fingerprint": "f", "keyId": "k", "certificate": "c",
       "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00Z", "signsUntil": "2026-01-02T00:00:00Z"},
      {"role": "issuing", "number": 1, "state": "Making", "issuer": 1}]}"""
    found = ledger.decode(text)
    root, issuing = found.generations

    assert ("u", 1) == (found.authority_uid, found.version)
    assert ("f", "k", "c") == (root.fingerprint, root.key_id, root.certificate)
    assert root.signs_until is not None
    assert (State.MAKING, 1, "") == (issuing.state, issuing.issuer, issuing.certificate)


def test_numbers_are_never_used_twice() -> None:
    """Each role counts on its own, also past what is gone."""
    known = Ledger(
        authority_uid="u",
        generations=(
            CAGeneration(role=Role.ROOT, number=1, state=State.GONE),
            CAGeneration(role=Role.ROOT, number=4, state=State.WITHDRAWN),
            CAGeneration(role=Role.ISSUING, number=2, state=State.ACTIVE),
        ),
    )

    assert (5, 3) == (known.next_number(Role.ROOT), known.next_number(Role.ISSUING))
    assert 1 == Ledger(authority_uid="u").next_number(Role.ROOT)


def test_a_generation_is_put_in_its_place() -> None:
    """A new one goes to the end; the old ledger stays as it was."""
    first = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
    second = CAGeneration(role=Role.ISSUING, number=1, state=State.MAKING)
    before = Ledger(authority_uid="u", generations=(first, second))
    changed = msgspec.structs.replace(first, state=State.ACTIVE)
    third = msgspec.structs.replace(first, number=2)

    assert (changed, second) == before.put(changed).generations
    assert (first, second, third) == before.put(third).generations
    assert (first, second) == before.generations


@pytest.mark.parametrize(
    ("state", "is_trusted"),
    [
        pytest.param(State.MAKING, False, id="Making"),
        pytest.param(State.PUBLISHED, True, id="Published"),
        pytest.param(State.ACTIVE, True, id="Active"),
        pytest.param(State.RETIRING, True, id="Retiring"),
        pytest.param(State.WITHDRAWN, False, id="Withdrawn"),
        pytest.param(State.GONE, False, id="Gone"),
        pytest.param(State.LOST, True, id="Lost"),
    ],
)
def test_which_roots_are_trusted(state: State, *, is_trusted: bool) -> None:
    """A key that is lost does not make its leaves bad."""
    pem = "-----BEGIN CERTIFICATE-----"
    root = CAGeneration(role=Role.ROOT, number=1, state=state, certificate=pem)

    assert ((pem,) if is_trusted else ()) == ledger.trusted_roots(Ledger(authority_uid="u", generations=(root,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A root of the ledger that somebody offers as one of others."""

    state: State
    is_outside: bool = False
    stolen: tuple[CAId, ...] = ()
    """Which keys others may have."""


OFFERED = [
    pytest.param(Offered(state=State.WITHDRAWN), False, id="taken out"),
    pytest.param(Offered(state=State.GONE), False, id="its key deleted"),
    pytest.param(Offered(state=State.RETIRING), True, id="going"),
    pytest.param(Offered(state=State.ACTIVE, stolen=(ROOT,)), True, id="compromised, and no other signs"),
    pytest.param(Offered(state=State.GONE, is_outside=True), True, id="an outside one"),
    pytest.param(Offered(state=State.GONE, is_outside=True, stolen=(ROOT,)), False, id="an outside one, compromised"),
    pytest.param(
        Offered(state=State.WITHDRAWN, is_outside=True, stolen=(ISSUING,)),
        False,
        id="an outside one, a CA under it compromised",
    ),
]


@pytest.mark.parametrize(("offered", "is_trusted"), OFFERED)
def test_a_root_that_was_taken_out_does_not_come_back(offered: Offered, *, is_trusted: bool) -> None:
    """It does not come back in another cluster's bundle, either; other roots in that bundle are trusted."""
    by, other = default_signer(), other_signer()
    pem, others = (certificates.to_pem(one.root.certificate).decode() for one in (by, other))
    root = msgspec.structs.replace(by.ledger.generations[0], state=offered.state, is_outside=offered.is_outside)
    issuing = msgspec.structs.replace(by.ledger.generations[1], state=State.GONE)
    fingerprints = {ROOT: root.fingerprint, ISSUING: issuing.fingerprint}
    known = Ledger(
        authority_uid="u",
        generations=(root, issuing),
        compromised=tuple(Compromise(fingerprint=fingerprints[one]) for one in offered.stolen),
        additional_roots={"copied/ca.crt": pem + others, "ours/ca.crt": pem},
    )
    trusted = x509.load_pem_x509_certificates(bundle.merge(ledger.trusted_roots(known)))

    assert {other.root.certificate, *([by.root.certificate] if is_trusted else [])} == set(trusted)


@pytest.mark.parametrize(
    ("before", "read", "after"),
    [
        pytest.param({}, {"a/ca.crt": "A"}, {"a/ca.crt": "A"}, id="a new one"),
        pytest.param({"a/ca.crt": "A"}, {"a/ca.crt": "B"}, {"a/ca.crt": "B"}, id="another one"),
        pytest.param({"a/ca.crt": "A"}, {"a/ca.crt": None}, {"a/ca.crt": "A"}, id="one that cannot be used any more"),
        pytest.param({}, {"a/ca.crt": None}, {}, id="one that could never be used"),
        pytest.param({"a/ca.crt": "A"}, {}, {}, id="one that is not asked for any more"),
        pytest.param(
            {"a/ca.crt": "A", "b/ca.crt": "B"},
            {"b/ca.crt": None, "c/ca.crt": "C"},
            {"b/ca.crt": "B", "c/ca.crt": "C"},
            id="each by itself",
        ),
    ],
)
def test_which_additional_roots_the_ledger_takes(
    before: dict[str, str], read: dict[str, str | None], after: dict[str, str]
) -> None:
    """A ConfigMap that is damaged or gone takes no root out of trust; a spec that does not name it does."""
    known = msgspec.structs.replace(default_signer().ledger, additional_roots=before)
    found = ledger.with_additional_roots(known, read)

    assert after == found.additional_roots
    assert known == msgspec.structs.replace(found, additional_roots=before)


def test_an_issuing_ca_is_no_root() -> None:
    """It travels with its leaves, and is trusted through its root only."""
    by = default_signer()

    assert certificates.to_pem(by.root.certificate) == by.trust.bundle


# signsUntil


def extended(*, until: timedelta, change: Callable[[Ledger], Ledger] = lambda known: known) -> tuple[Ledger, datetime]:
    """Allow leaves up to some time from now."""
    known = change(default_signer().ledger)
    active = known.active(Role.ISSUING)
    if active is None:
        raise TypeError("nothing signs")
    return ledger.extended(known, active, now=NOW, not_after=NOW + until), NOW + until


def signs_until(known: Ledger, role: Role) -> datetime | None:
    """Read signsUntil of the CA of a role that signs."""
    active = known.active(role)
    return active.signs_until if active else None


@pytest.mark.parametrize(
    ("until", "allowed"),
    [
        pytest.param(DAY, 1.1 * DAY, id="a tenth more"),
        pytest.param(60 * SECOND, 70 * SECOND, id="ten seconds more at least"),
    ],
)
def test_leaves_are_allowed_for_a_little_longer_than_asked(until: timedelta, allowed: timedelta) -> None:
    """One write then serves many leaves. The root must be trusted as long."""
    moved, _ = extended(until=until)

    assert NOW + allowed == signs_until(moved, Role.ISSUING)
    assert NOW + allowed == signs_until(moved, Role.ROOT)


def test_leaves_are_allowed_up_to_the_end_of_their_ca_only() -> None:
    """No leaf outlives its CA."""
    ca = default_signer().issuing
    moved, _ = extended(until=ca.validity.not_after - NOW)

    assert ca.validity.not_after == signs_until(moved, Role.ISSUING)


def test_what_is_covered_may_be_signed() -> None:
    """Nothing may be signed before the ledger was written."""
    before = default_signer().ledger.active(Role.ISSUING)
    moved, end = extended(until=DAY)
    after = moved.active(Role.ISSUING)

    assert before is not None
    assert after is not None
    assert not ledger.covers(before, end)
    assert ledger.covers(after, end)
    assert ledger.covers(after, NOW + 1.1 * DAY)
    assert not ledger.covers(after, NOW + 1.1 * DAY + SECOND)


def test_signs_until_of_a_root_is_never_moved_back() -> None:
    """An issuing CA before this one may have signed for longer."""

    def long_lived(known: Ledger) -> Ledger:
        root = known.generations[0]
        return known.put(msgspec.structs.replace(root, signs_until=NOW + 100 * DAY))

    moved, _ = extended(until=DAY, change=long_lived)

    assert NOW + 100 * DAY == signs_until(moved, Role.ROOT)


def test_nothing_else_of_a_ledger_is_changed() -> None:
    """One step does one thing."""
    moved, _ = extended(until=DAY)
    cleared = [msgspec.structs.replace(ca, signs_until=None) for ca in moved.generations]

    assert list(default_signer().ledger.generations) == cleared


# Trust


def test_what_an_authority_offers() -> None:
    """Its bounds, its bundle, and who signs."""
    by = default_signer()
    offered = by.trust
    key_id = certificates.key_id(by.issuing.certificate)

    assert {key_id, certificates.key_id(by.root.certificate)} == set(offered.in_use)
    assert offered.in_use[key_id] == offered.signing
    assert by.issuing.validity == offered.in_use[key_id].validity
    assert (DAY, timedelta(minutes=10), 7 * DAY) == (
        offered.leaf_duration,
        offered.leaf_min_duration,
        offered.leaf_max_duration,
    )
    assert ("default", "cluster.local", "cluster.local") == (
        offered.name,
        offered.trust_domain,
        offered.cluster_domain,
    )
    assert (False, None) == (offered.suspended, offered.why_not)


def test_an_authority_that_cannot_sign_still_offers_its_bundle() -> None:
    """Its leaves are still valid."""
    by = default_signer()
    offered = offer.of(by.authority, by.ledger, why_not=Refusal(Reason.CA_EXPIRED, "why"))

    assert replace(by.trust, signing=None, why_not=Refusal(Reason.CA_EXPIRED, "why")) == offered


def test_an_authority_without_a_ledger_is_preparing() -> None:
    """It offers nothing yet."""
    offered = offer.of(authority(), None)

    assert offered.why_not is not None
    assert Reason.PREPARING == offered.why_not.reason
    assert (None, b"", 0) == (offered.signing, offered.bundle, len(offered.in_use))


@pytest.mark.parametrize(
    ("state", "is_good"),
    [
        pytest.param(State.PUBLISHED, True, id="Published"),
        pytest.param(State.RETIRING, True, id="Retiring"),
        pytest.param(State.LOST, True, id="Lost"),
        pytest.param(State.WITHDRAWN, False, id="Withdrawn"),
        pytest.param(State.GONE, False, id="Gone"),
    ],
)
def test_whose_leaves_are_good(state: State, *, is_good: bool) -> None:
    """Those of every CA that is not taken out."""
    by = default_signer()
    issuing = by.ledger.active(Role.ISSUING)
    if issuing is None:
        raise TypeError("nothing signs")
    offered = offer.of(by.authority, by.ledger.put(msgspec.structs.replace(issuing, state=state)))

    assert is_good is (issuing.key_id in offered.in_use)
    assert offered.signing is None
