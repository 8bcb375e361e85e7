"""How a root whose key is lost is given up by an order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, State
from mutualtls.core.pki.certificates import fingerprint
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import DAY, HOUR, MINUTE, NOW, SECOND, Home, authority, grown, named, other_signer
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
