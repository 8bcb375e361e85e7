"""The judge of a history finds what must never be. Needs no cluster."""

from __future__ import annotations

import pytest

from support.history import CAKept, Carried, Leaf, Ledger, Seen, Terms, violations

TERMS = Terms(soak_s=10, outlives=False)
A, B = "aaaaaa", "bbbbbb"
ALLOWED = Ledger(version=1, at=0, fingerprints={"root.1": "f"}, signs_until={A: 1000, B: 1000})


def _secret(at: int, *, leaf: str, bundle: str, name: str = "orders", not_after: float = 900) -> Carried:
    """A Secret with a leaf of a root, which signs leaves itself, and a bundle of roots by their first letters."""
    roots = frozenset({"a": A, "b": B}[letter] for letter in bundle)
    told = Leaf(serial=f"{name}-{leaf[0]}", not_after=not_after, issuer=leaf, root=leaf)
    return Carried(version=10 + at, at=at, name=name, bundle=roots, leaf=told)


def _both(at: int, *, leaf: str, bundle: str) -> list[Seen]:
    return [_secret(at, leaf=leaf, bundle=bundle, name=name) for name in ("orders", "billing")]


GOOD = [
    ALLOWED,
    *_both(0, leaf=A, bundle="a"),
    *_both(10, leaf=A, bundle="ab"),
    *_both(20, leaf=B, bundle="ab"),
    *_both(30, leaf=B, bundle="b"),
]


def test_a_rotation_as_it_should_be_passes() -> None:
    """The rotation is published, soaked, signed, soaked and retired."""
    assert [] == violations(GOOD, TERMS)


def test_events_may_come_in_any_order() -> None:
    """Several watches tell of them; the versions say what was first."""
    assert [] == violations(reversed(GOOD), TERMS)


BAD = [
    pytest.param(
        [ALLOWED, *_both(0, leaf=A, bundle="a"), _secret(20, leaf=B, bundle="ab")],
        "billing lacked root bbbbbb",
        id="signed under a root that is not everywhere",
    ),
    pytest.param(
        [*GOOD[:5], *_both(15, leaf=B, bundle="ab")],
        "orders had root bbbbbb for 5.0 s",
        id="signed before the soak was over",
    ),
    pytest.param(
        [*GOOD[:7], *_both(25, leaf=B, bundle="b")],
        "lacked root aaaaaa",
        id="out of trust before the soak was over",
    ),
    pytest.param(
        [*GOOD[:5], _secret(20, leaf=A, bundle="b")], "lacked root aaaaaa", id="out of trust with its certificate there"
    ),
    pytest.param(
        [ALLOWED, _secret(1, leaf=A, bundle="a", not_after=1001)],
        "did not allow the certificate",
        id="longer than the ledger allows",
    ),
    pytest.param(
        [
            CAKept(version=1, at=0, name="root.2", public_key="x"),
            CAKept(version=2, at=0, name="root.2", public_key="y"),
        ],
        "two keys were kept as root.2",
        id="two keys of one number",
    ),
    pytest.param(
        [ALLOWED, Ledger(version=2, at=0, fingerprints={"root.1": "g"}, signs_until={})],
        "the ledger named two CAs as root.1",
        id="two CAs of one number in the ledger",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), BAD)
def test_what_must_never_be_is_found(seen: list[Seen], expected: str) -> None:
    """Each fault is found by its own words."""
    assert any(expected in told for told in violations(seen, TERMS))


def test_under_after_expiry_a_certificate_counts_until_it_ends() -> None:
    """It counts whether it is replaced or not."""
    assert any("lacked root aaaaaa" in told for told in violations(GOOD, Terms(soak_s=10, outlives=True)))


def test_who_is_excused_is_not_judged() -> None:
    """Its bundle and its certificate do not count."""
    behind = [*GOOD[:3], _secret(10, leaf=A, bundle="ab"), _secret(20, leaf=B, bundle="ab")]
    assert [] != violations(behind, TERMS)
    assert [] == violations(behind, TERMS.without({"billing"}))
