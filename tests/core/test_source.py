"""A CA of an outside PKI: what of it is accepted, how it replaces another, and what becomes of it when it is gone."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from core.builders import DAY, ED25519, HOUR, NOW, P256, RSA, Home, authority, key, named
from mutualtls.core import issue, keys, source, trust
from mutualtls.core.authority import Authority
from mutualtls.core.generations import CAId
from mutualtls.core.identity import Encoding, Usage
from mutualtls.core.issue import CA
from mutualtls.core.keys import KeyType
from mutualtls.core.ledger import Role, State
from mutualtls.core.names import Names
from mutualtls.core.source import Source, SourceError
from mutualtls.core.steps import Hold, Sign
from mutualtls.core.times import Validity

ROOT, ROOT_2, ISSUING, ISSUING_2 = (Role.ROOT, 1), (Role.ROOT, 2), (Role.ISSUING, 1), (Role.ISSUING, 2)
LIFE = Validity(not_before=NOW - DAY, not_after=NOW + 400 * DAY)


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
    return Source(root=outside_root(root).certificate, signer=outside_intermediate(name, root))


def plain(*, is_ca: bool = True, path_length: int | None = 1, usage: bool = True, key_id: bool = True) -> CA:
    """A self-signed certificate that lacks something."""
    made, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "P")])
    builder = x509.CertificateBuilder(
        name, name, made.public_key(), x509.random_serial_number(), LIFE.not_before, LIFE.not_after
    ).add_extension(x509.BasicConstraints(ca=is_ca, path_length=path_length if is_ca else None), critical=True)
    if usage:
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
    if key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(made.public_key()), critical=False)
    return CA(certificate=builder.sign(made, hashes.SHA256()), key=made)


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
    """And no key."""
    data = {**files(plain(usage=False, key_id=False)), "tls.key": files(ONE)["tls.key"]}
    with pytest.raises(SourceError) as error:
        source.parse(data, is_tiered=True, now=NOW)

    assert 3 == len(str(error.value).split("; "))
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


def _write(made: Outside) -> Any:
    """Say the next step, which announces a root."""
    step = made.home.next_step(made.of, now=made.now)
    assert "root 2 Making" in named(step)
    return step


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
    assert "put another intermediate into Secret corp" in lost.message
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


def test_all_faults_of_roots_are_named() -> None:
    """At once."""
    with pytest.raises(SourceError) as told:
        source.roots(pem(outside_intermediate(), leaf_of(outside_root())))

    assert "is no root: it is not signed by itself" in str(told.value)
    assert "is no CA (basicConstraints)" in str(told.value)
