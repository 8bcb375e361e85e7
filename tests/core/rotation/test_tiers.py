"""Which CA signs in a rotation, with an issuing CA and without."""

from __future__ import annotations

import msgspec
import pytest

from mutualtls.core.api.states import CAId, Phase, Role, State
from mutualtls.core.ca import offer
from mutualtls.core.rotation.steps import Sign
from support.builders import HOUR
from support.cas import ISSUING, ISSUING_2
from support.phases import SOAK, rotating, walk


def test_an_issuing_ca_of_the_new_root_is_published_with_it() -> None:
    """It can then sign at once, and its leaves are valid."""
    made = rotating()

    assert [State.ACTIVE, State.PUBLISHED] == made.states(Role.ISSUING)
    assert made.offered is not None
    assert {ca.key_id for ca in made.ledger.generations} == set(made.offered.in_use)


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_issuing_ca_of_a_root_that_comes_is_made_anew(lost: int) -> None:
    """This needs the key of its root."""
    made = rotating()
    made.home.lose(CAId(Role.ISSUING, lost))
    made.settle()

    assert State.LOST is made.states(Role.ISSUING)[lost - 1]
    assert isinstance(made.step, Sign)
    made.run_until(Phase.STABLE)
    assert [State.GONE, State.ACTIVE] == made.states()


def test_an_issuing_ca_that_was_published_and_is_not_to_sign_goes() -> None:
    """There is to be none any more, and its key is lost."""
    made = rotating()
    made.change(issuing=msgspec.structs.replace(made.of.spec.issuing, enabled=False))
    made.home.lose(ISSUING_2)
    made.run_until(Phase.STABLE)

    assert [State.GONE, State.GONE] == made.states(Role.ISSUING)
    assert isinstance(made.step, Sign)


def test_the_other_tier_may_be_asked_for_in_any_phase() -> None:
    """The root signs itself from then on, and an issuing CA again when that is asked for."""
    made = rotating()
    tiered = made.of.spec.issuing
    made.change(issuing=msgspec.structs.replace(tiered, enabled=False))
    walk(made, length=SOAK)
    by_root = made.step
    made.change(issuing=tiered)
    walk(made, length=3 * HOUR)

    assert isinstance(by_root, Sign)
    assert () == by_root.ca.chain
    assert isinstance(made.step, Sign)
    assert () != made.step.ca.chain
    assert [State.GONE, State.ACTIVE] == made.states()


def test_leaves_of_a_root_that_goes_are_replaced_only_where_that_is_waited_for() -> None:
    """Elsewhere each leaf is replaced when its time comes."""
    for retire, is_replaced in (("AfterExpiry", False), ("AfterReplacement", True)):
        made = rotating(Phase.SIGNING, retire=retire)
        offered = offer.of(made.of, made.ledger)
        assert is_replaced is offered.in_use[made.home.recorded(ISSUING).key_id].is_replaced
