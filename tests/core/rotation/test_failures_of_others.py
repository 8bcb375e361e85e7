"""Twelve failures that users of other products reported when a CA was replaced, tried here.

Where a failure needs pods (files that are mounted by subPath, a webhook), what is decided about it is tried.
"""

from __future__ import annotations

import pytest

from mutualtls.core.api.orders import Compromise
from mutualtls.core.api.states import Phase, Role, State
from mutualtls.core.bundles import bundle
from mutualtls.core.ca import generations, ledger, readings, source
from mutualtls.core.ca.ledger import CAGeneration
from mutualtls.core.ca.source import SourceError
from mutualtls.core.rotation.steps import Sign
from support.builders import DAY, HOUR, MINUTE, NOW, P384, Home, authority, key
from support.cas import ISSUING, ROOT
from support.fleet import Fleet, fleet
from support.outside_cas import files, outside_intermediate
from support.phases import SHORT, entered, rotating


def steps(made: Fleet) -> int:
    """Count the steps that were taken."""
    return len(made.walked) + len(made.home.made) + len(made.home.buried)


def test_1_racing_writers_lose_no_root() -> None:
    """The second writer of one ledger version is refused, and bundles come from the ledger alone."""
    made = rotating()
    version, before = made.home.ledger_version, made.ledger
    first, second = (before.put(made.root(number)) for number in (1, 2))

    assert made.home.write_ledger(first, over=version)
    assert not made.home.write_ledger(second, over=version)
    pems = [made.root(number).certificate for number in (1, 2)]
    assert bundle.merge(pems) == bundle.merge(reversed(pems)) == bundle.merge(ledger.trusted_roots(made.ledger))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("crash", range(11))
def test_2_a_crash_between_phases_skips_nothing(crash: int, *, half: bool) -> None:
    """The crash may come at each step of a rotation, before it or halfway."""
    made = fleet("a", "b")
    made.rotate()
    left = crash
    end = made.now + 20 * HOUR
    while len(made.home.buried) < len((ROOT, ISSUING)):
        assert made.now < end
        before = steps(made)
        made.look(crash=left, half=half)
        left = left - (steps(made) - before) if made.offered else -1
        for member in made.members.values():
            made.reconcile(member)
        assert [] == list(made.failed_handshakes())
        made.now += 5 * MINUTE

    assert left < 0, "it never crashed"
    assert Phase.STABLE is made.phase
    assert [State.GONE, State.ACTIVE] == made.states()
    assert [(role, number) for number in (1, 2) for role in (Role.ROOT, Role.ISSUING)] == made.home.made


def test_3_a_root_is_trusted_until_its_leaves_have_drained() -> None:
    """Everything that it could have signed has expired by then."""
    made = rotating(Phase.SIGNING)
    old, until = made.root(1), made.root(1).signs_until
    assert until is not None
    while made.now < until:
        assert made.offered is not None
        assert old.certificate.encode() in made.offered.bundle
        made.run(MINUTE)


def test_4_a_new_root_signs_only_when_late_readers_have_it() -> None:
    """For half an hour, one of two consumers reads what the other read long ago."""
    made = rotating()
    entered(made, Phase.SIGNING)
    made.delete(made.members["a"])
    made.settle()

    assert made.members["a"].versions[-1].root == made.root(2).fingerprint
    assert [] == list(made.failed_handshakes())
    entered(made, Phase.STABLE)


def test_6_running_again_overwrites_no_ca() -> None:
    """Whatever was lost, an existing Secret is adopted, and used numbers are remembered."""
    made = fleet("a")
    blank = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
    again = generations.certify(made.of, blank, key(P384, 61), None, now=NOW)
    before = dict(made.home.secrets)
    made.lose_ledger(status=True)
    made.settle()

    assert not made.home.create(ROOT, again)
    assert before == made.home.secrets
    assert isinstance(made.step, Sign)


def test_7_nobody_has_to_remember() -> None:
    """A root is replaced by itself, long before it ends."""
    made = fleet("a", spec=SHORT)
    made.run(2 * DAY - 10 * HOUR, every=20 * MINUTE)

    assert [State.GONE, State.ACTIVE] == made.states()


def test_8_no_leaf_outlives_its_ca_and_none_is_made_in_vain() -> None:
    """Nothing better can be had near the end of what signs."""
    made = fleet("a", spec=SHORT)
    made.home.lose(ROOT)
    end = made.home.recorded(ISSUING).not_after
    assert end is not None
    seen = []
    while made.now < end - MINUTE:
        made.run(MINUTE)
        leaf = made.members["a"].versions[-1].facts
        seen += [leaf.not_after] if leaf.not_after not in seen else []

    assert end == seen[-1]
    assert len(seen) <= 12 * HOUR / (40 * MINUTE) + 10


def test_9_a_ca_of_ones_own_is_judged_whole() -> None:
    """What a guide forgot is said: the root of an intermediate."""
    with pytest.raises(SourceError, match=r"is neither in tls\.crt nor in ca\.crt"):
        source.parse(files(outside_intermediate()), is_tiered=True, now=NOW)


def test_10_an_expired_ca_does_not_stand_in_the_way_of_another() -> None:
    """An operator that was down until all was over makes a new root, and signs with it."""
    made = fleet("a", spec=SHORT)
    made.offered, made.now = None, NOW + 50 * HOUR
    made.settle()
    files_of_a = made.members["a"].files

    assert isinstance(made.step, Sign)
    assert files_of_a is not None
    assert files_of_a.root == made.root(2).fingerprint
    assert files_of_a.facts.not_after > made.now


def test_11_whoever_leads_knows_what_is_compromised() -> None:
    """It is in the ledger, and the order may be gone."""
    made = fleet("a", "b")
    made.order(compromised=(Compromise(fingerprint=made.root(1).fingerprint),))
    made.look(crash=1)
    made.order(compromised=())
    successor = Fleet(of=made.of, now=made.now, home=Home(ledger_text=made.home.ledger_text, secrets=made.home.secrets))
    successor.look()

    assert Phase.PUBLISHING is successor.phase


def test_12_what_is_published_elsewhere_at_once_trusts_both() -> None:
    """A bundle that consumers read at once, beside files that they read a minute later: each accepts the other."""
    made = rotating(Phase.SIGNING)
    assert made.offered is not None
    published = made.offered.bundle

    for member in made.members.values():
        for version in made.held(member):
            assert made.certificates[version.root] in readings.certificates_in(published)


def test_twelve_are_tried_with_defaults_that_hold() -> None:
    """The soak is longer than kubelet takes, and the longest leaf fits twice into what is left of a root."""
    spec = authority().spec

    assert ("24h", "1h", "168h") == (spec.rotation.soak, spec.rotation.laggard_timeout, spec.leaf.max_duration)
