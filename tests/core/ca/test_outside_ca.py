"""How CAs of an outside PKI come and go, step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509

from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations, offer, readings, recovery, source
from mutualtls.core.ca.readings import Evidence
from mutualtls.core.ca.source import Source, SourceError
from mutualtls.core.pki import certificates
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import DAY, HOUR, NOW, Home, authority, named
from support.cas import ISSUING, ISSUING_2, ROOT, ROOT_2
from support.outside_cas import (
    SOON,
    Outside,
    files,
    of_intermediate,
    of_root,
    outside,
    outside_intermediate,
    outside_root,
    plain,
    tall,
)

LASTING, ENDING = {"path_length": None}, {"path_length": None, "life": SOON}


def states(made: Outside) -> dict[CAId, State]:
    """Where each generation is that is not gone."""
    return {name: state for name, state in made.home.states().items() if state is not State.GONE}


def test_nothing_is_made_without_a_source() -> None:
    """It holds, and says which Secret is wanted."""
    step = outside(None).walk()

    assert isinstance(step, Hold)
    assert "there is no CA that can be used in Secret corp" in step.message


def test_an_outside_root_signs_an_issuing_ca() -> None:
    """It signs as a root of the operator does; its key is copied."""
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
    offered = offer.of(made.of, made.home.read_ledger())
    assert certificates.to_pem(outside_root().certificate) == offered.bundle
    assert {certificates.key_id(outside_intermediate().certificate)} == set(offered.in_use)


@pytest.mark.parametrize(("root", "upper"), [(ENDING, LASTING), (LASTING, ENDING)], ids=["the root", "between"])
def test_no_leaf_outlives_what_stands_above_its_ca(root: dict[str, Any], upper: dict[str, Any]) -> None:
    """Leaves end with an issuer that ends before the CA itself, and then nothing is signed."""
    above = plain(name="Corp", **root)
    between = plain(above, name="Upper", **upper)
    lower = plain(between, name="Lower", path_length=0)
    made = outside(source.parse(files(lower, between, roots=(above,)), is_tiered=True, now=NOW))
    signing = offer.of(made.of, made.home.read_ledger()).signing
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
    """It is the one that signs when that root does."""
    made = outside(of_intermediate())
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = of_intermediate("Else", "Other")
    made.walk(HOUR)
    made.home.source = of_intermediate("Last", "Other")
    made.walk(HOUR)
    published = states(made)[CAId(Role.ISSUING, 3)]
    step = made.walk(DAY)

    assert State.PUBLISHED is published
    assert ISSUING_2 not in states(made)
    assert isinstance(step, Sign)
    assert outside_intermediate("Last", "Other").certificate == step.ca.certificate


def test_the_same_source_replaces_nothing() -> None:
    """A CA that was replaced and comes again replaces nothing either, as its generation is known."""
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
    """It is taken in under the next number when it is there again."""
    made = outside(of_root())
    made.home.source = of_root("Other")
    made.home.act(made.of, _write(made))
    made.home.source = None
    made.walk()
    before = states(made)
    made.home.source = of_root("Other")
    made.walk(HOUR)

    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == before
    assert State.PUBLISHED is states(made)[CAId(Role.ROOT, 3)]


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
    assert certificates.fingerprint(outside_root("Third").certificate) == roots[3]
    assert 3 == made.home.recorded(CAId(Role.ISSUING, 3)).issuer
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
    """Only another root in its Secret replaces it."""
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
    """The CA is the same as long as the source has it."""
    made = outside(brought)
    before = states(made)
    made.home.lose(lost)
    step = made.walk(HOUR)

    assert isinstance(step, Sign)
    assert step.lost is None
    assert brought.signer == made.home.ca(lost)
    assert before == states(made)


TIERS = pytest.mark.parametrize("is_tiered", [True, False], ids=["over an issuing CA", "alone"])


@TIERS
def test_a_root_is_followed_by_an_intermediate_under_it(*, is_tiered: bool) -> None:
    """That one signs at once, nobody's bundle changes, what was signed stays good, and the root's key is deleted."""
    made = outside(of_root(), issuing={"enabled": is_tiered})
    signed = made.home.sign(until=NOW + DAY, now=NOW)
    before = offer.of(made.of, made.home.read_ledger())
    made.home.source = of_intermediate()
    step = made.walk(HOUR)

    offered = offer.of(made.of, made.home.read_ledger())
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
    assert offer.of(made.of, made.home.read_ledger()).signing is not None


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


def evidence_of(made: Outside) -> Evidence:
    """Gather what the CA Secrets alone tell, as `custody` does."""
    held = {name: ca for name, ca in sorted(made.home.secrets.items()) if isinstance(ca, CA)}
    data = {name: generations.secret_data(ca) for name, ca in held.items()}
    chains = {name: readings.certificates_in(one["tls.crt"]) for name, one in data.items()}
    return Evidence(
        believed=tuple((name, chain[0]) for name, chain in chains.items()),
        above=tuple(one for chain in chains.values() for one in chain[1:]),
        roots=tuple(one for files in data.values() for one in readings.certificates_in(files.get("ca.crt", b""))),
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
    before = offer.of(made.of, made.home.read_ledger())
    made.of = authority(trustDomain="corp", **spec)
    made.home.write_ledger(recovery.rebuilt(made.of, evidence_of(made), now=NOW))
    made.home.source = None
    step = made.walk(HOUR)
    after = offer.of(made.of, made.home.read_ledger())

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
    evidence = replace(evidence_of(made), ends={signed: NOW + DAY})
    made.home.write_ledger(recovery.rebuilt(made.of, evidence, now=made.now))
    step = made.walk()

    assert isinstance(step, Sign)
    assert made.home.recorded(ROOT).is_keyless
    assert {ROOT: State.ACTIVE, ISSUING: State.ACTIVE} == states(made)
    assert signed in offer.of(made.of, made.home.read_ledger()).in_use


def test_outside_roots_keep_their_numbers() -> None:
    """They have no Secrets: each goes by the first number that no Secret has."""
    made = outside(tall().source())
    made.home.sign(until=NOW + DAY, now=NOW)
    made.home.source = tall("Other").source()
    made.walk(HOUR)
    evidence = evidence_of(made)
    found = recovery.rebuilt(made.of, evidence, now=NOW + HOUR)
    buried = recovery.rebuilt(made.of, replace(evidence, buried=frozenset({ROOT})), now=NOW + HOUR)

    roots = [certificates.fingerprint(of.root.certificate) for of in (tall(), tall("Other"))]
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
