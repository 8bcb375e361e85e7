"""What may lie in the Secret of a CA that was announced."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import CAId, Role
from mutualtls.core.ca import generations
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.errors import AuthorityError
from mutualtls.core.names.names import Names
from mutualtls.core.pki import issue
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Sign
from support.builders import NOW, P384, Home, authority, default_signer, key, other_signer
from support.cas import ISSUING, ISSUING_2, ROOT
from support.replacement import home_step


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
