"""What holds for a ledger that is rebuilt from any part of what was there."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from cryptography import x509

from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.states import TRUSTED, CAId, Role, State
from mutualtls.core.ca import ledger, offer, recovery
from mutualtls.core.rotation.steps import Sign
from support.builders import DAY, authority
from support.cas import ISSUING, ISSUING_2, ISSUING_3, ROOT, ROOT_2
from support.remains import LATER, everything, outcome, rebuilt, world


def short(names: Iterable[CAId]) -> str:
    """Name CAs in few letters."""
    return "+".join(f"{role[0]}{number}" for role, number in names) or "none"


SUBSETS = [
    pytest.param(
        secrets, status, leaves, id=f"Secrets {short(secrets)}, status {short(status)}, leaves {short(leaves)}"
    )
    for secrets, status, leaves in itertools.product(
        itertools.chain.from_iterable(itertools.combinations(world().secrets, size) for size in range(6)),
        ((), tuple(world().certificates)),
        itertools.chain.from_iterable(itertools.combinations(world().leaves, size) for size in range(3)),
    )
    if secrets or status or leaves
]


@pytest.mark.parametrize(("secrets", "status", "leaves"), SUBSETS)
def test_what_is_rebuilt_holds_all_that_is_there(
    secrets: tuple[CAId, ...], status: tuple[CAId, ...], leaves: tuple[CAId, ...]
) -> None:
    """Every Secret is explained, what lives is trusted long enough, and no number can be used twice."""
    w = world()
    evidence = w.evidence(secrets=secrets, status=status, leaves=leaves)
    found = rebuilt(evidence)
    offered = offer.of(authority(), found)
    roots = {ca.certificate for ca in found.of(Role.ROOT) if ca.state in TRUSTED}

    assert recovery.explains(found, [*secrets, *status], AuthorityStatus())
    assert found == ledger.decode(ledger.encode(found))
    rooted = [name for name in w.issuers if name in evidence.with_key and found.find(*w.issuers[name])]
    active = found.active(Role.ROOT)
    assert active is not None or not rooted
    if active is not None and rooted:
        under = [name for name in rooted if w.issuers[name] == CAId(Role.ROOT, active.number)]
        signing = found.active(Role.ISSUING)
        is_followed = any(ca.state == State.PUBLISHED for ca in found.of(Role.ROOT))
        assert under or CAId(Role.ROOT, active.number) in evidence.with_key or is_followed
        assert max(under, default=None) == (CAId(Role.ISSUING, signing.number) if signing else None)
    for role in Role:
        assert found.next_number(role) > max((number for of, number in (*secrets, *status) if of == role), default=0)
        assert 1 >= sum(ca.state == State.ACTIVE for ca in found.of(role))
    for name in leaves:
        ca, root = found.find(*name), found.find(*w.issuers[name])
        assert ca is not None
        assert root is not None
        assert w.key_id(name) in offered.in_use
        assert root.certificate in roots
        for one in (ca, root):
            assert one.signs_until is not None
            assert one.signs_until >= w.leaves[name]


@pytest.mark.parametrize(("secrets", "status", "leaves"), SUBSETS)
def test_after_a_rebuilding_things_go_on_or_hold(
    secrets: tuple[CAId, ...], status: tuple[CAId, ...], leaves: tuple[CAId, ...]
) -> None:
    """A new CA has a new number, and the CA that signs is under a root that every bundle gets."""
    w = world()
    step, home = outcome(w.evidence(secrets=secrets, status=status, leaves=leaves), secrets)
    end = offer.of(authority(), home.read_ledger())
    seen = {*secrets, *status, *leaves, *(w.issuers[name] for name in leaves)}

    assert not set(home.made) & seen
    if isinstance(step, Sign):
        roots = x509.load_pem_x509_certificates(end.bundle)
        assert step.ca.certificate.issuer in {root.subject for root in roots}
    for name in leaves if home.ledger_text else ():
        assert w.key_id(name) in end.in_use
        assert home.recorded(w.issuers[name]).certificate.encode() in end.bundle


def test_what_was_rebuilt_comes_to_rest() -> None:
    """Once every leaf that may have been signed has expired, only the CAs that sign are left."""
    w = world()
    home = w.home(rebuilt(everything()), w.secrets)
    home.walk(authority(), now=LATER + 8 * DAY)

    assert {
        ROOT: State.GONE,
        ROOT_2: State.ACTIVE,
        ISSUING: State.GONE,
        ISSUING_2: State.GONE,
        ISSUING_3: State.ACTIVE,
    } == home.states()
    assert {ROOT, ISSUING_2} == set(home.buried)
