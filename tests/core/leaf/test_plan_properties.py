"""Decisions: one write and then nothing, tried with specs that nobody thought of."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mutualtls.core import times
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf.observed import Absent, Action
from support.builders import (
    MINUTE,
    NOW,
    PKCS12,
    SECOND,
    Signer,
    acted,
    an_identity,
    decide,
    default_signer,
    known,
    observed,
    secret_of,
    signer,
)
from support.examples import examples

specs = st.fixed_dictionaries(
    {},
    optional={
        "usages": st.lists(st.sampled_from(["server auth", "client auth"]), min_size=1, max_size=2, unique=True),
        "services": st.lists(st.sampled_from(["a", "b", "orders"]), max_size=3),
        "serviceAccountName": st.sampled_from(["", "robot"]),
        "dnsNames": st.lists(st.sampled_from(["a.shop.svc", "*.B.shop.svc", "c.d.shop.svc.cluster.local"]), max_size=3),
        "duration": st.integers(600, 168 * 3600).map(lambda s: times.format_duration(s * SECOND)),
        "renewBeforePercentage": st.integers(1, 90),
        "privateKey": st.sampled_from(
            [
                {},
                {"encoding": "SEC1"},
                {"size": 384},
                {"algorithm": "Ed25519"},
                {"algorithm": "RSA"},
                {"algorithm": "RSA", "encoding": "PKCS1"},
            ]
        ),
        "formats": st.fixed_dictionaries(
            {}, optional={"combinedPEM": st.just({}), "der": st.just({}), "pkcs12": st.just(PKCS12)}
        ),
        "secret": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", ""])),
                "annotations": st.dictionaries(st.sampled_from(["c", "d"]), st.text(max_size=5)),
                "deletionPolicy": st.sampled_from(["Delete", "Retain"]),
            },
        ),
    },
)


@examples(60)
@given(st.lists(specs, min_size=1, max_size=3), st.integers(1, 2160 * 3600 - 3600))
def test_nothing_is_left_to_do_after_one_write(wanted: list[dict[str, Any]], age: int) -> None:
    """Specs follow one another at any time of the CA's life; an hour later nothing has changed by itself."""
    by = default_signer()
    now = by.issuing.validity.not_before + times.BACKDATE + age * SECOND
    body = None
    for spec in wanted:
        try:
            o = observed(an_identity(**spec), now=now)
        except SpecError:
            continue
        o = replace(o, found=known(body, verified=now) if body else Absent())
        decision = decide(o)
        if decision.action is not Action.NOTHING:
            body = acted(o, body, decision, by)
        if body is None:
            raise AssertionError("nothing was made")
        settled = decide(replace(o, found=known(body, verified=now)))

        assert (Action.NOTHING, True) == (settled.action, settled.is_ready)
        assert settled.next_check is not None
        assert now < settled.next_check


@examples(40)
@given(st.integers(0, 10), st.integers(0, 300), st.integers(600, 3600))
def test_leaves_of_a_young_ca_settle(age: int, fraction: int, duration: int) -> None:
    """The beginning of such a CA is nearer than leaves are backdated."""
    by = young_signer()
    now = NOW + age * MINUTE + fraction * SECOND
    o = observed(an_identity(duration=times.format_duration(duration * SECOND)), by, now=now)
    decision = decide(replace(o, found=known(secret_of(o, by), verified=now)))

    assert Action.NOTHING is decision.action


@functools.cache
def young_signer() -> Signer:
    """An authority that made its CAs now."""
    return signer("young", made=NOW)
