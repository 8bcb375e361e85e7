"""Bundles: the same bytes for the same roots, tried with values that nobody thought of."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core.api.states import Role, State
from mutualtls.core.bundles import bundle
from mutualtls.core.ca import generations
from mutualtls.core.ca.ledger import CAGeneration
from mutualtls.core.pki import certificates
from support.builders import NOW, P256, authority, key
from support.examples import examples


@functools.cache
def roots() -> tuple[str, ...]:
    """A handful of roots as PEM."""
    announced = CAGeneration(role=Role.ROOT, number=1, state=State.MAKING)
    made = (generations.certify(authority(), announced, key(P256, number), None, now=NOW) for number in range(6))
    return tuple(certificates.to_pem(ca.certificate).decode() for ca in made)


some_roots = st.lists(st.integers(0, 5), max_size=8)


@examples(100)
@given(some_roots, st.randoms(use_true_random=False))
def test_bundles_merge_in_any_order_to_the_same_bytes(chosen: list[int], random: Any) -> None:
    """It does not matter how often each root comes."""
    pems = [roots()[number] for number in chosen]
    shuffled = [*pems, *pems]
    random.shuffle(shuffled)
    merged = bundle.merge(pems)

    assert merged == bundle.merge(shuffled)
    assert len(set(chosen)) == merged.count(b"BEGIN CERTIFICATE")


@examples(100)
@given(some_roots, some_roots)
def test_merging_bundles_is_merging_their_roots(left: list[int], right: list[int]) -> None:
    """Bundles merge as single roots do, and merging once more changes nothing."""
    one, other = (bundle.merge(roots()[number] for number in chosen) for chosen in (left, right))
    both = bundle.merge(pem.decode() for pem in (one, other) if pem)

    assert bundle.merge(roots()[number] for number in (*left, *right)) == both
    assert both == (bundle.merge([both.decode()]) if both else b"")


@examples(50)
@given(some_roots)
def test_text_around_a_root_does_not_matter(chosen: list[int]) -> None:
    """Comments and line ends of those who wrote it are left out."""
    pems = [roots()[number] for number in chosen]
    dressed = [f"# a root\r\n\r\n{pem}\n\n" for pem in pems]

    assert bundle.merge(pems) == bundle.merge(dressed)
