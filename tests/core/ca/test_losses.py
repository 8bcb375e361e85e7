"""Keys of CAs that are deleted for good, and keys that are lost."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from mutualtls.core.api.states import State
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.pki.issue import CA
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import DAY, HOUR, NOW, Home, authority, grown, named
from support.cas import ISSUING, ISSUING_2, ROOT
from support.replacement import HALF, MARGIN, busy, home_step, offered, signs_until, steps

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
    """The message has the order word for word, to be copied."""
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
