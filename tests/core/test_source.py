"""A CA of an outside PKI: what of it is accepted, how it replaces another, and what becomes of it when it is gone."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from core.builders import DAY, ED25519, HOUR, NOW, P256, RSA, Home, authority, key, named
from mutualtls.core import generations, issue, keys, recovery, source, trust
from mutualtls.core.authority import Authority
from mutualtls.core.generations import CAId
from mutualtls.core.identity import Encoding, Usage
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType
from mutualtls.core.ledger import Ledger, Role, State
from mutualtls.core.names import Names
from mutualtls.core.reasons import Reason
from mutualtls.core.recovery import Evidence
from mutualtls.core.source import Source, SourceError
from mutualtls.core.steps import Hold, Sign
from mutualtls.core.times import Validity

ROOT, ROOT_2, ISSUING, ISSUING_2 = (Role.ROOT, 1), (Role.ROOT, 2), (Role.ISSUING, 1), (Role.ISSUING, 2)
LIFE = Validity(not_before=NOW - DAY, not_after=NOW + 400 * DAY)
SOON = Validity(not_before=LIFE.not_before, not_after=LIFE.not_after - DAY)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


# CAs of an outside PKI


def outside_root(name: str = "Corp", kind: KeyType = P256) -> CA:
    """A root, made once for each name."""
    return _outside_root(name, kind)


@functools.cache
def _outside_root(name: str, kind: KeyType) -> CA:
    made = key(kind, 1000 + sum(name.encode()))
    return CA(certificate=issue.root(made, common_name=name, unique=name, validity=LIFE), key=made)


def outside_intermediate(name: str = "Team", root: str = "Corp") -> CA:
    """An intermediate under a root, made once for each name."""
    return _outside_intermediate(name, root)


@functools.cache
def _outside_intermediate(name: str, root: str) -> CA:
    made = key(P256, 2000 + sum(name.encode()))
    certificate = issue.issuing(made.public_key(), outside_root(root), common_name=name, unique=name, validity=LIFE)
    return CA(certificate=certificate, key=made)


def files(ca: CA, *above: CA, roots: tuple[CA, ...] = ()) -> dict[str, bytes]:
    """The Secret that brings a CA."""
    return {
        "tls.crt": issue.to_pem(ca.certificate, *(one.certificate for one in above)),
        "tls.key": keys.to_pem(ca.key, Encoding.PKCS8),
        "ca.crt": issue.to_pem(*(one.certificate for one in roots)),
    }


def of_root(name: str = "Corp") -> Source:
    """A source that is a root."""
    return Source(root=outside_root(name).certificate, signer=outside_root(name))


def of_intermediate(name: str = "Team", root: str = "Corp") -> Source:
    """A source that is an intermediate."""
    above = outside_root(root).certificate
    return Source(root=above, signer=replace(outside_intermediate(name, root), root=above))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a certificate of a CA is made."""

    name: str = "P"
    is_ca: bool = True
    path_length: int | None = 1
    usage: bool = True
    key_id: bool = True
    life: Validity = LIFE
    purposes: tuple[x509.ObjectIdentifier, ...] = ()
    number: int = 1
    """Which key it has."""
    serial: int | None = None
    padding: int = 0
    """Bytes in an extension that nobody reads."""


def plain(signer: CA | None = None, **shape: Any) -> CA:
    """A CA that is signed by itself or by another, and may lack something."""
    return made_as(Shape(**shape), signer)


def made_as(shape: Shape, signer: CA | None) -> CA:
    """Make a certificate as tools other than ours do."""
    made, name = key(P256, 3000 + sum(shape.name.encode()) + shape.number), _common_name(shape.name)
    builder = x509.CertificateBuilder(
        issuer_name=signer.certificate.subject if signer else name,
        subject_name=name,
        public_key=made.public_key(),
        serial_number=shape.serial or x509.random_serial_number(),
        not_valid_before=shape.life.not_before,
        not_valid_after=shape.life.not_after,
    )
    length = shape.path_length if shape.is_ca else None
    builder = builder.add_extension(x509.BasicConstraints(ca=shape.is_ca, path_length=length), critical=True)
    if shape.usage:
        bits = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **bits), critical=True)
    if shape.key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(made.public_key()), critical=False)
    if shape.padding:
        unread = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(shape.padding))
        builder = builder.add_extension(unread, critical=False)
    if shape.purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(shape.purposes), critical=False)
    return CA(certificate=builder.sign(signer.key if signer else made, hashes.SHA256()), key=made)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tall:
    """A root, an intermediate under it, and one under that, whose key is here."""

    root: CA
    upper: CA
    lower: CA

    def source(self) -> Source:
        """Read it, as it lies in its Secret."""
        return source.parse(files(self.lower, self.upper, roots=(self.root,)), is_tiered=True, now=NOW)


@functools.cache
def tall(name: str = "Tall") -> Tall:
    """An outside PKI of three tiers, made once for each name."""
    root = plain(name=name, path_length=None)
    upper = plain(root, name=f"{name} upper")
    return Tall(root=root, upper=upper, lower=plain(upper, name=f"{name} lower", path_length=0))


# What is accepted


ACCEPTED = [
    pytest.param(files(outside_root()), of_root(), id="a root"),
    pytest.param(files(outside_root(), roots=(outside_root(),)), of_root(), id="a root that is in ca.crt, too"),
    pytest.param(
        files(outside_intermediate(), roots=(outside_root(),)), of_intermediate(), id="an intermediate, its root beside"
    ),
    pytest.param(
        files(outside_intermediate(), outside_root()), of_intermediate(), id="an intermediate, its root after it"
    ),
    pytest.param(
        files(outside_intermediate(), roots=(outside_root("Other"), outside_root())),
        of_intermediate(),
        id="an intermediate among other roots",
    ),
]


@pytest.mark.parametrize(("data", "expected"), ACCEPTED)
def test_a_ca_is_read(data: dict[str, bytes], expected: Source) -> None:
    """With the root that it is under."""
    found = source.parse(data, is_tiered=True, now=NOW)

    assert (expected.root, expected.signer.certificate) == (found.root, found.signer.certificate)
    assert expected.is_intermediate is found.is_intermediate


def test_a_ca_for_servers_and_clients_is_read() -> None:
    """By the names of both usages."""
    purposes = (SERVER, CLIENT)

    assert source.parse(files(plain(purposes=purposes)), is_tiered=True, now=NOW).signer.key is not None


def test_a_twin_of_a_root_leads_nobody_astray() -> None:
    """It has the name and the key of the root, and yet another CA has signed it."""
    root, above = plain(name="Corp"), plain(name="Above", path_length=None)
    twin, below = plain(above, name="Corp"), plain(root, name="Team", path_length=0)
    found = source.parse(files(below, roots=(twin, root)), is_tiered=True, now=NOW)

    assert (root.certificate, ()) == (found.root, found.signer.further)


def test_what_stands_above_a_ca_is_read_with_it() -> None:
    """Nearest first; its root goes into its Secret, too."""
    found = tall().source()

    assert (tall().upper.certificate,) == found.signer.further
    assert tall().root.certificate == found.root == found.signer.root


def refusal(brought: CA, known: CA, state: State) -> str:
    """Say what a source is refused for beside a root that is known already; nothing where it is not."""
    made = outside(Source(root=known.certificate, signer=known))
    before = msgspec.structs.replace(made.home.recorded(ROOT), state=state)
    try:
        ledger = Ledger(authority_uid="u", generations=(before,))
        source.parse(files(brought), is_tiered=False, now=NOW, known=ledger)
    except SourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("state", "is_refused"), [(State.ACTIVE, True), (State.WITHDRAWN, True), (State.GONE, False)])
def test_a_ca_that_takes_the_place_of_another_needs_a_key_of_its_own(state: State, *, is_refused: bool) -> None:
    """Which of the two a leaf is of could not be told, and each would be replaced again and again."""
    said = refusal(plain(life=SOON), plain(), state)

    expected = "CN=P has the key that root 1 has under another certificate: who takes its place needs a key of its own"
    assert (expected if is_refused else "") == said


@pytest.mark.parametrize(
    ("state", "is_refused"),
    [
        (State.PUBLISHED, False),
        (State.ACTIVE, False),
        (State.RETIRING, True),
        (State.WITHDRAWN, True),
        (State.LOST, True),
        (State.GONE, True),
    ],
)
def test_a_ca_that_was_replaced_does_not_come_again(state: State, *, is_refused: bool) -> None:
    """Nothing happens then, which would not be understood."""
    one = plain()
    said = refusal(one, one, state)

    expected = "CN=P is root 1, which was replaced: put the CA that signs there, or a new one"
    assert (expected if is_refused else "") == said


ONE, OTHER = outside_root(), outside_root("Other")
REFUSED = [
    pytest.param({}, "tls.crt holds no certificates in PEM", id="nothing"),
    pytest.param({**files(ONE), "tls.crt": b"x"}, "tls.crt holds no certificates in PEM", id="no certificate"),
    pytest.param({**files(ONE), "ca.crt": b"x"}, "ca.crt holds no certificates in PEM", id="no roots"),
    pytest.param({**files(ONE), "tls.key": b""}, "tls.key is no private key", id="no key"),
    pytest.param({**files(ONE), "tls.key": files(OTHER)["tls.key"]}, "not the key of the first", id="another key"),
    pytest.param(files(outside_intermediate()), "is neither in tls.crt nor in ca.crt", id="no root"),
    pytest.param(
        files(outside_intermediate(), roots=(OTHER,)), "is neither in tls.crt nor in ca.crt", id="another root"
    ),
    pytest.param(files(plain(is_ca=False)), "is no CA (basicConstraints)", id="no CA"),
    pytest.param(files(plain(usage=False)), "has no keyUsage", id="no key usage"),
    pytest.param(files(plain(key_id=False)), "has no subjectKeyIdentifier", id="no key id"),
    pytest.param(
        files(plain(plain(), name="Team"), roots=(plain(number=2),)),
        "the CA that signed CN=Team is neither in tls.crt nor in ca.crt",
        id="a root of the same name",
    ),
    pytest.param(files(plain(plain(number=2))), "CN=P is no root: it is not signed by itself", id="not by itself"),
    pytest.param(
        files(plain(purposes=(SERVER,))), "CN=P allows no client auth below it (extendedKeyUsage)", id="for servers"
    ),
    pytest.param(
        files(plain(purposes=(CLIENT,))), "CN=P allows no server auth below it (extendedKeyUsage)", id="for clients"
    ),
    pytest.param(
        files(plain(purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))),
        "CN=P allows no server auth",
        id="for any usage, which is none to OpenSSL",
    ),
    pytest.param(files(plain(path_length=0)), "allows 0 CAs below it, and 1 are needed", id="no room for another CA"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED)
def test_what_cannot_be_used_is_refused(data: dict[str, bytes], said: str) -> None:
    """With what is wrong."""
    with pytest.raises(SourceError) as error:
        source.parse(data, is_tiered=True, now=NOW)

    assert said in str(error.value)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        pytest.param(LIFE.not_after, "expired at 2027-02-06T03:04:05Z", id="ended"),
        pytest.param(LIFE.not_before - DAY, "is not valid before 2026-01-01T03:04:05Z", id="not begun"),
    ],
)
def test_a_ca_must_be_valid_now(now: datetime, said: str) -> None:
    """Each of its path."""
    with pytest.raises(SourceError) as error:
        source.parse(files(outside_root()), is_tiered=True, now=now)

    assert said in str(error.value)


def test_all_faults_are_named_at_once() -> None:
    """Also where the path to the root ends; and no key."""
    lacking = plain(plain(), name="Team", usage=False, key_id=False)
    data = {**files(lacking), "tls.key": files(ONE)["tls.key"]}
    with pytest.raises(SourceError) as error:
        source.parse(data, is_tiered=True, now=NOW)

    assert 4 == len(str(error.value).split("; "))
    assert data["tls.key"].decode().splitlines()[1] not in str(error.value)


@pytest.mark.parametrize(("kind", "is_good"), [(RSA, True), (ED25519, False)])
def test_which_keys_a_ca_may_have(kind: KeyType, *, is_good: bool) -> None:
    """Those that every verifier takes (DESIGN section 5): ECDSA and RSA."""
    if is_good:
        assert not source.parse(files(outside_root("Kind", kind)), is_tiered=True, now=NOW).is_intermediate
    else:
        with pytest.raises(SourceError):
            source.parse(files(outside_root("Kind", kind)), is_tiered=True, now=NOW)


def test_a_root_without_room_for_another_ca_signs_leaves_itself() -> None:
    """Where there is to be no issuing CA."""
    assert source.parse(files(plain(path_length=0)), is_tiered=False, now=NOW).signer.key is not None


# How it comes and goes


@dataclass(slots=True, kw_only=True)
class Outside:
    """An authority whose CA is an outside one."""

    home: Home
    of: Authority
    now: datetime = NOW

    def walk(self, after: timedelta = timedelta()) -> Sign | Hold:
        """Take steps some time later."""
        self.now += after
        return self.home.walk(self.of, now=self.now)


def outside(first: Source | None, **spec: Any) -> Outside:
    """Begin with a CA of an outside PKI."""
    home = Home(source=first)
    made = Outside(home=home, of=authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp", **spec))
    made.walk()
    return made


def states(made: Outside) -> dict[CAId, State]:
    """Where each generation is that is not gone."""
    return {name: state for name, state in made.home.states().items() if state is not State.GONE}


def test_nothing_is_made_without_a_source() -> None:
    """It holds, and says which Secret is wanted."""
    step = outside(None).walk()

    assert isinstance(step, Hold)
    assert "there is no CA that can be used in Secret corp" in step.message


def test_an_outside_root_signs_an_issuing_ca() -> None:
    """As one of the operator's does; its key is copied."""
    made = outside(of_root())

    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)
    assert outside_root().certificate == made.home.ca(ROOT).certificate
    made.home.ca(ISSUING).certificate.verify_directly_issued_by(outside_root().certificate)


def test_an_outside_intermediate_signs_itself() -> None:
    """Its root has no key here, and is trusted."""
    made = outside(of_intermediate())
    step = made.walk()

    assert isinstance(step, Sign)
    assert outside_intermediate().certificate == step.ca.certificate
    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)
    assert [ISSUING] == made.home.made
    offered = trust.of(made.of, made.home.read_ledger())
    assert issue.to_pem(outside_root().certificate) == offered.bundle
    assert {issue.key_id(outside_intermediate().certificate)} == set(offered.in_use)


LASTING, ENDING = {"path_length": None}, {"path_length": None, "life": SOON}


@pytest.mark.parametrize(("root", "upper"), [(ENDING, LASTING), (LASTING, ENDING)], ids=["the root", "between"])
def test_no_leaf_outlives_what_stands_above_its_ca(root: dict[str, Any], upper: dict[str, Any]) -> None:
    """Which ends before the CA itself: leaves end with it, and then nothing is signed."""
    above = plain(name="Corp", **root)
    between = plain(above, name="Upper", **upper)
    lower = plain(between, name="Lower", path_length=0)
    made = outside(source.parse(files(lower, between, roots=(above,)), is_tiered=True, now=NOW))
    signing = trust.of(made.of, made.home.read_ledger()).signing
    made.walk(398 * DAY)
    step = made.walk(DAY)

    assert signing is not None
    assert SOON.not_after == signing.validity.not_after
    assert isinstance(step, Hold)
    assert Reason.CA_EXPIRED is step.reason


SWAPPED = [
    pytest.param(of_root(), of_root("Other"), [ROOT_2, ISSUING_2], id="a root for a root"),
    pytest.param(
        of_intermediate(), of_intermediate("Else", "Other"), [ROOT_2, ISSUING_2], id="an intermediate of another root"
    ),
    pytest.param(of_root(), of_intermediate("Else", "Other"), [ROOT_2, ISSUING_2], id="an intermediate for a root"),
    pytest.param(of_intermediate(), of_root("Other"), [ROOT_2, ISSUING_2], id="a root for an intermediate"),
]


@pytest.mark.parametrize(("first", "then", "comes"), SWAPPED)
def test_another_outside_root_goes_by_the_phases(first: Source, then: Source, comes: list[CAId]) -> None:
    """It is published for the soak, then signs; and goes when the last leaf of the one before has ended."""
    made = outside(first)
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = then
    made.walk(HOUR)
    published = states(made)
    made.walk(DAY)
    signing = states(made)
    made.walk(2 * DAY)

    assert dict.fromkeys([ROOT, ISSUING], State.ACTIVE) | dict.fromkeys(comes, State.PUBLISHED) == published
    assert dict.fromkeys([ROOT, ISSUING], State.RETIRING) | dict.fromkeys(comes, State.ACTIVE) == signing
    assert dict.fromkeys(comes, State.ACTIVE) == states(made)


def test_another_intermediate_of_the_same_root_signs_at_once() -> None:
    """Nobody's bundle changes."""
    made = outside(of_intermediate())
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = of_intermediate("Next")
    step = made.walk(HOUR)

    assert isinstance(step, Sign)
    assert outside_intermediate("Next").certificate == step.ca.certificate
    assert {ROOT: State.ACTIVE, ISSUING: State.RETIRING, ISSUING_2: State.ACTIVE} == states(made)


def test_another_intermediate_under_a_root_that_comes_is_published_with_it() -> None:
    """And is the one that signs then."""
    made = outside(of_intermediate())
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = of_intermediate("Else", "Other")
    made.walk(HOUR)
    made.home.source = of_intermediate("Last", "Other")
    made.walk(HOUR)
    published = states(made)[Role.ISSUING, 3]
    step = made.walk(DAY)

    assert State.PUBLISHED is published
    assert ISSUING_2 not in states(made)
    assert isinstance(step, Sign)
    assert outside_intermediate("Last", "Other").certificate == step.ca.certificate


def test_the_same_source_replaces_nothing() -> None:
    """Nor does one that was replaced before, and comes again: its generation is known."""
    made = outside(of_root())
    made.home.source = of_root("Other")
    for _ in range(6):
        made.walk(DAY)
    made.home.source = of_root()
    made.walk(DAY)

    assert {ROOT_2: State.ACTIVE, ISSUING_2: State.ACTIVE} == states(made)


@pytest.mark.parametrize("first", [of_root(), of_intermediate()])
def test_a_source_that_vanishes_changes_nothing(first: Source) -> None:
    """What was accepted was copied."""
    made = outside(first)
    made.home.source = None
    step = made.walk(HOUR)

    assert isinstance(step, Sign)
    assert step.lost is None
    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)


def test_a_source_that_vanishes_while_it_is_copied_gives_its_number_up() -> None:
    """And is taken in under the next one when it is there again."""
    made = outside(of_root())
    made.home.source = of_root("Other")
    made.home.act(made.of, _write(made))
    made.home.source = None
    made.walk()
    before = states(made)
    made.home.source = of_root("Other")
    made.walk(HOUR)

    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == before
    assert State.PUBLISHED is states(made)[Role.ROOT, 3]


def _write(made: Outside, announced: str = "root 2 Making") -> Any:
    """Say the next step, which announces a CA."""
    step = made.home.next_step(made.of, now=made.now)
    assert announced in named(step)
    return step


def test_an_intermediate_of_another_root_is_not_taken_for_the_announced_one() -> None:
    """It is swapped just then: leaves under it would verify against no root that is published."""
    made = outside(of_root())
    made.home.source = of_intermediate("Else", "Other")
    made.home.act(made.of, _write(made, "issuing 2 Making"))
    made.home.source = of_intermediate("Last", "Third")
    made.walk()
    made.walk(DAY)
    step = made.walk(DAY)

    roots = {ca.number: ca.fingerprint for ca in made.home.view(made.of).ledger.of(Role.ROOT)}
    assert generations.fingerprint(outside_root("Third").certificate) == roots[3]
    assert 3 == made.home.recorded((Role.ISSUING, 3)).issuer
    assert isinstance(step, Sign)
    assert outside_intermediate("Last", "Third").certificate == step.ca.certificate


def test_a_source_that_is_swapped_back_while_it_is_copied_brings_nothing() -> None:
    """What there is already is not taken in twice."""
    made = outside(of_root())
    made.home.source = of_root("Other")
    made.home.act(made.of, _write(made))
    made.home.source = of_root()
    made.walk()

    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)


def test_an_outside_root_is_not_replaced_by_order_or_time() -> None:
    """Only by another one in its Secret."""
    made = outside(of_root())
    step = made.walk(399 * DAY)

    assert isinstance(step, Sign)
    assert [ROOT] == [name for name in states(made) if name[0] == Role.ROOT]


def test_a_lost_key_of_an_outside_intermediate_waits_for_another() -> None:
    """There is no root key to make one with."""
    made = outside(of_intermediate())
    made.home.lose(ISSUING)
    made.home.source = None
    lost = made.walk(HOUR)
    made.home.source = of_intermediate("Next")
    step = made.walk(HOUR)

    assert isinstance(lost, Hold)
    assert "put it or another intermediate into Secret corp" in lost.message
    assert isinstance(step, Sign)


def test_a_swapped_source_is_rolled_back_once() -> None:
    """It is still in its Secret, but its generation is known."""
    made = outside(of_root())
    made.home.source = of_root("Other")
    made.walk(HOUR)
    orders = msgspec.structs.replace(made.of.orders, roll_back=made.home.recorded(ROOT_2).fingerprint)
    made.of = msgspec.structs.replace(made.of, orders=orders)
    for _ in range(3):
        made.walk(DAY)

    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)


@pytest.mark.parametrize(("brought", "lost"), [(of_root(), ROOT), (of_intermediate(), ISSUING)])
def test_a_lost_secret_is_copied_again(brought: Source, lost: CAId) -> None:
    """As long as the source has it: it is the same CA."""
    made = outside(brought)
    before = states(made)
    made.home.lose(lost)
    step = made.walk(HOUR)

    assert isinstance(step, Sign)
    assert step.lost is None
    assert brought.signer == made.home.ca(lost)
    assert before == states(made)


# A root whose key is taken elsewhere, or comes back


TIERS = pytest.mark.parametrize("is_tiered", [True, False], ids=["over an issuing CA", "alone"])


@TIERS
def test_a_root_is_followed_by_an_intermediate_under_it(*, is_tiered: bool) -> None:
    """That one signs at once, nobody's bundle changes, what was signed stays good, and the root's key is deleted."""
    made = outside(of_root(), issuing={"enabled": is_tiered})
    signed = made.home.sign(until=NOW + DAY, now=NOW)
    before = trust.of(made.of, made.home.read_ledger())
    made.home.source = of_intermediate()
    step = made.walk(HOUR)

    offered = trust.of(made.of, made.home.read_ledger())
    assert isinstance(step, Sign)
    assert outside_intermediate().certificate == step.ca.certificate
    assert State.ACTIVE is states(made)[ROOT]
    assert [ROOT] == made.home.buried
    assert ROOT not in made.home.secrets
    assert before.bundle == offered.bundle
    assert made.home.recorded(signed).key_id in offered.in_use
    assert {ROOT: State.ACTIVE, (Role.ISSUING, 1 + is_tiered): State.ACTIVE} == states_after(made, 2 * DAY)


def states_after(made: Outside, after: timedelta) -> dict[CAId, State]:
    """Where each generation is some time later."""
    made.walk(after)
    return states(made)


@TIERS
@pytest.mark.parametrize("steps", range(6))
def test_the_key_of_a_root_is_kept_until_an_intermediate_is_there(steps: int, *, is_tiered: bool) -> None:
    """The source is swapped back after so many steps: the root has its key, and what was not taken in is not."""
    made = outside(of_root(), issuing={"enabled": is_tiered})
    before = states(made)
    made.home.source = of_intermediate()
    for _ in range(steps):
        step = made.home.next_step(made.of, now=made.now)
        if not isinstance(step, Sign | Hold):
            made.home.act(made.of, step, now=made.now)
    is_taken_in = of_intermediate().signer in made.home.secrets.values()
    assert is_taken_in or not made.home.buried
    made.home.source = of_root()
    step = made.walk()

    assert isinstance(step, Sign)
    assert outside_root() == made.home.ca(ROOT)
    assert is_taken_in or before == states(made)


def test_the_key_of_a_root_comes_back() -> None:
    """It is copied; the intermediate signs on to half of its life, and then an issuing CA of ours takes its place."""
    ending = plain(outside_root(), name="Ending", path_length=0, life=SOON)
    made = outside(Source(root=outside_root().certificate, signer=ending))
    made.home.source = of_root()
    made.walk(HOUR)
    copied, signing = made.home.ca(ROOT), states(made)
    made.walk(300 * DAY)

    assert outside_root() == copied
    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == signing
    assert State.ACTIVE is states(made)[ISSUING_2]
    assert ISSUING_2 in made.home.made


def test_the_key_of_a_root_of_ours_stays() -> None:
    """Whoever got hold of it may bring an intermediate under that root."""
    made = Outside(home=Home(), of=authority(trustDomain="corp"))
    made.walk()
    root, signing = made.home.ca(ROOT), states(made)
    made.of = authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp")
    made.home.source = Source(root=root.certificate, signer=plain(root, name="Team", path_length=0))
    made.walk(HOUR)

    assert root == made.home.ca(ROOT)
    assert signing == states(made)


@pytest.mark.parametrize("is_root", [True, False], ids=["the root itself", "an intermediate under it"])
def test_a_root_of_ours_is_none_of_an_outside_pki(*, is_root: bool) -> None:
    """Nothing happens then, which would not be understood."""
    ours = Outside(home=Home(), of=authority())
    ours.walk()
    root = ours.home.ca(ROOT)
    brought = root if is_root else plain(root, name="Team", path_length=0)
    with pytest.raises(SourceError) as caught:
        source.parse(files(brought, roots=(root,)), is_tiered=False, now=NOW, known=ours.home.read_ledger())

    expected = "root 1 is none of an outside PKI, the operator has made it: put another CA there"
    assert expected == str(caught.value)


# A root that allows no CA below it


def low() -> Source:
    """Such a root."""
    ca = plain(name="Low", path_length=0)
    return Source(root=ca.certificate, signer=ca)


def tiered(made: Outside) -> None:
    """Ask for an issuing CA. What is in the Secret, judged by that, cannot be used any more."""
    made.of = authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp")
    made.home.source = None


def test_a_root_without_room_signs_on_when_an_issuing_ca_is_asked_for() -> None:
    """What an issuing CA under it signed would be refused by everybody."""
    made = outside(low(), issuing={"enabled": False})
    tiered(made)
    step = made.walk(HOUR)

    assert isinstance(step, Sign)
    assert made.home.ca(ROOT) == step.ca
    assert {ROOT: State.ACTIVE} == states(made)
    assert trust.of(made.of, made.home.read_ledger()).signing is not None


def test_a_root_without_room_gets_no_issuing_ca_while_it_comes() -> None:
    """It takes over by itself."""
    made = outside(of_root(), issuing={"enabled": False})
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = low()
    made.walk(HOUR)
    tiered(made)
    made.walk(HOUR)
    published = states(made)
    step = made.walk(DAY)

    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE, ROOT_2: State.PUBLISHED} == published
    assert isinstance(step, Sign)
    assert made.home.ca(ROOT_2) == step.ca


# When the ledger is lost


def evidence_of(made: Outside) -> Evidence:
    """Gather what the CA Secrets alone tell, as `custody` does."""
    held = {name: ca for name, ca in sorted(made.home.secrets.items()) if isinstance(ca, CA)}
    data = {name: generations.secret_data(ca) for name, ca in held.items()}
    chains = {name: recovery.certificates_in(one["tls.crt"]) for name, one in data.items()}
    return Evidence(
        believed=tuple((name, chain[0]) for name, chain in chains.items()),
        above=tuple(one for chain in chains.values() for one in chain[1:]),
        roots=tuple(one for files in data.values() for one in recovery.certificates_in(files.get("ca.crt", b""))),
        with_key=frozenset(held),
    )


@pytest.mark.parametrize("spec", [{"root": {"secretRef": {"name": "corp"}}}, {}], ids=["in the spec", "dropped"])
@pytest.mark.parametrize(
    "first",
    [of_root(), of_intermediate(), tall().source()],
    ids=["a root", "an intermediate", "two intermediates"],
)
def test_an_outside_ca_survives_a_lost_ledger(first: Source, spec: dict[str, Any]) -> None:
    """Its Secret has all that was in the ledger, also what stands above it; the spec is not asked."""
    made = outside(first)
    before = trust.of(made.of, made.home.read_ledger())
    made.of = authority(trustDomain="corp", **spec)
    made.home.write_ledger(recovery.rebuilt(made.of, evidence_of(made), now=NOW))
    made.home.source = None
    step = made.walk(HOUR)
    after = trust.of(made.of, made.home.read_ledger())

    assert isinstance(step, Sign)
    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)
    assert (before.bundle, before.in_use) == (after.bundle, after.in_use)


def test_a_root_whose_key_is_elsewhere_now_survives_a_lost_ledger() -> None:
    """What it signed itself before that stays good, and is no reason to rebuild the ledger again."""
    made = outside(of_root(), issuing={"enabled": False})
    made.home.sign(until=NOW + DAY, now=NOW)
    signed = made.home.recorded(ROOT).key_id
    made.home.source = of_intermediate()
    made.walk(HOUR)
    evidence = replace(evidence_of(made), leaves={signed: NOW + DAY})
    made.home.write_ledger(recovery.rebuilt(made.of, evidence, now=made.now))
    step = made.walk()

    assert isinstance(step, Sign)
    assert made.home.recorded(ROOT).is_keyless
    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)
    assert signed in trust.of(made.of, made.home.read_ledger()).in_use


def test_outside_roots_keep_their_numbers() -> None:
    """They have no Secrets: each goes by the first number that no Secret has."""
    made = outside(tall().source())
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = tall("Other").source()
    made.walk(HOUR)
    evidence = evidence_of(made)
    found = recovery.rebuilt(made.of, evidence, now=NOW + HOUR)
    buried = recovery.rebuilt(made.of, replace(evidence, buried=frozenset({ROOT})), now=NOW + HOUR)

    roots = [generations.fingerprint(of.root.certificate) for of in (tall(), tall("Other"))]
    assert roots == [ca.fingerprint for ca in found.of(Role.ROOT)]
    assert [1, 2] == [ca.issuer for ca in found.of(Role.ISSUING)]
    assert [2, 3] == [ca.number for ca in buried.of(Role.ROOT) if ca.fingerprint]


def test_a_ca_secret_of_before_is_read_with_what_the_status_tells() -> None:
    """It has no root in it."""
    made = outside(tall().source())
    root = made.home.recorded(ROOT)
    evidence = evidence_of(made)
    told = (ROOT, x509.load_pem_x509_certificate(root.certificate.encode()))
    found = recovery.rebuilt(made.of, replace(evidence, roots=(), believed=(*evidence.believed, told)), now=NOW)

    assert [1] == [ca.issuer for ca in found.of(Role.ISSUING)]
    assert made.home.recorded(ISSUING).chain == found.generations[1].chain


# Roots to be trusted as well


def pem(*cas: CA) -> str:
    """Their certificates, as somebody might have written them down."""
    return "Roots of ours:\n" + "".join(issue.to_pem(ca.certificate).decode() for ca in cas)


def test_roots_are_read_without_what_else_is_said() -> None:
    """In their order; nothing but PEM."""
    first, second = outside_root("Corp"), outside_root("Other")

    assert issue.to_pem(first.certificate, second.certificate).decode() == source.roots(pem(first, second))


def leaf_of(ca: CA) -> CA:
    """What a CA signed for somebody."""
    made = key(P256, 77)
    names, usages = Names(dns=("a.example.com",)), (Usage.SERVER_AUTH,)
    certificate = issue.leaf(made.public_key(), ca, names=names, usages=usages, validity=LIFE)
    return CA(certificate=certificate, key=made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "it holds no certificates in PEM", id="nothing"),
        pytest.param("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "no certificates", id="damaged"),
        pytest.param(pem(outside_intermediate()), "CN=Team", id="an intermediate"),
        pytest.param(pem(outside_root()) * 33, "33 certificates, more than 32", id="too many"),
        pytest.param(
            pem(outside_root()) + keys.to_pem(outside_root().key, Encoding.PKCS8).decode(),
            "it holds a private key",
            id="a key",
        ),
    ],
)
def test_what_holds_no_roots_is_refused(text: str, expected: str) -> None:
    """Saying what to do, and nothing of a key."""
    with pytest.raises(SourceError, match=expected) as told:
        source.roots(text)

    assert "BEGIN" not in str(told.value)


def test_a_certificate_that_cannot_be_read_is_refused() -> None:
    """As with an extended key usage that is empty."""
    root = outside_root()
    empty = (
        x509.CertificateBuilder(root.certificate.subject, root.certificate.subject, root.key.public_key(), 1)
        .not_valid_before(LIFE.not_before)
        .not_valid_after(LIFE.not_after)
        .add_extension(x509.ExtendedKeyUsage([]), critical=False)
        .sign(root.key, hashes.SHA256())
    )

    with pytest.raises(SourceError, match="it holds a certificate that cannot be read"):
        source.roots(issue.to_pem(empty).decode())


def written_anew(certificate: x509.Certificate, old: bytes, new: bytes) -> str:
    """A certificate with other bytes in it, as PEM. Its signature is not made anew."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert 1 == der.count(old)
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new))


VERSION = ("a003020102", "a003020104")
CURVE = ("2a8648ce3d030107", "2a8648ce3d030106")
"""The object identifiers of P-256 and of one that nobody uses."""
STRANGE = [
    pytest.param(VERSION, "4 is not a valid X509 version", id="of a version to come"),
    pytest.param(CURVE, "CN=P \\(Curve 1.2.840.10045.3.1.6 is not supported", id="with a key of another curve"),
]


@pytest.mark.parametrize(("change", "said"), STRANGE)
def test_what_is_of_no_known_kind_is_refused(change: tuple[str, str], said: str) -> None:
    """As a root of others, and as a CA that is to sign: it is the user's to mend."""
    strange = written_anew(plain().certificate, *map(bytes.fromhex, change))

    with pytest.raises(SourceError, match=f"it holds a certificate that cannot be read: {said}"):
        source.roots(strange)
    with pytest.raises(SourceError, match=f"tls.crt holds a certificate that cannot be read: {said}"):
        source.parse({**files(plain()), "tls.crt": strange.encode()}, is_tiered=True, now=NOW)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("number", [b"\x00", b"\x85"], ids=["zero", "negative"])
def test_a_serial_number_must_be_positive(number: bytes) -> None:
    """Go reads no other, nor does the API server in a ClusterTrustBundle."""
    strange = written_anew(plain(serial=0x55).certificate, b"\x02\x01\x55", b"\x02\x01" + number)

    with pytest.raises(SourceError, match="CN=P has a serial number that is not positive"):
        source.roots(strange)
    with pytest.raises(SourceError, match="CN=P has a serial number that is not positive"):
        source.parse({**files(plain()), "tls.crt": strange.encode()}, is_tiered=True, now=NOW)


def test_roots_have_a_size_that_every_object_can_hold() -> None:
    """Those of all eight ConfigMaps together, that is."""
    large = plain(padding=24 * 1024)

    assert 8 * len(source.roots(pem(large))) < 1024 * 1024 / 2
    with pytest.raises(SourceError, match="bytes, more than 49152: spread them over more ConfigMaps"):
        source.roots(pem(large) * 2)


def test_all_faults_of_roots_are_named() -> None:
    """At once."""
    with pytest.raises(SourceError) as told:
        source.roots(pem(outside_intermediate(), leaf_of(outside_root())))

    assert "is no root: it is not signed by itself" in str(told.value)
    assert "is no CA (basicConstraints)" in str(told.value)
