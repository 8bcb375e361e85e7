"""Where a CA is not as the spec would have a new one, it is said, with the order that brings it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mutualtls.core.api.states import Role, State
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.rotation import drift
from support.builders import NOW, Home, authority, default_signer
from support.outside_cas import of_root

SPECS = [
    pytest.param({}, [], id="as asked"),
    pytest.param({"root": {"selfSigned": {"duration": "50000h"}}}, ["root 1: it lives for 87600h"], id="root's life"),
    pytest.param({"root": {"selfSigned": {"commonName": "x"}}}, ["root 1: its common name is"], id="root's name"),
    pytest.param(
        {"root": {"selfSigned": {"privateKey": {"algorithm": "ECDSA", "size": 384}}}},
        ["root 1: its key is"],
        id="root's key",
    ),
    pytest.param({"issuing": {"duration": "3000h"}}, ["issuing CA 1: it lives for 2160h"], id="issuing CA's life"),
    pytest.param(
        {"issuing": {"privateKey": {"algorithm": "RSA", "size": 2048}}},
        ["issuing CA 1: its key is"],
        id="issuing CA's key",
    ),
    pytest.param(
        {"root": {"selfSigned": {"duration": "50000h", "commonName": "x"}}, "issuing": {"duration": "3000h"}},
        ["root 1: its common name is", "issuing CA 1: it lives for"],
        id="all at once",
    ),
    pytest.param({"issuing": {"enabled": False, "duration": "3000h"}}, [], id="an issuing CA that is to go"),
    pytest.param({"root": {"secretRef": {"name": "corp"}}, "trustDomain": "corp"}, [], id="an outside root is to come"),
]


@pytest.mark.parametrize(("spec", "said"), SPECS)
def test_what_differs_is_said(spec: dict[str, Any], said: list[str]) -> None:
    """Nothing is replaced for it: an order does that."""
    found = drift.describe(authority(**spec), default_signer().ledger)
    parts = [part for part in found.split("; ") if part.startswith(("root", "issuing"))]

    assert len(said) == len(parts)
    assert all(part.startswith(start) for part, start in zip(parts, said, strict=True))


def test_the_order_that_brings_it_is_said() -> None:
    """The message has the order word for word, to be copied."""
    known = default_signer().ledger
    root, issuing = known.active(Role.ROOT), known.active(Role.ISSUING)
    assert root is not None
    assert issuing is not None

    assert f"apply mutualtls.dev/rotate-root: {root.fingerprint}/2" in drift.describe(
        authority(root={"selfSigned": {"commonName": "x"}}), known
    )
    order = f"mutualtls.dev/rotate-issuing: {issuing.fingerprint}/2"
    assert f"apply {order}, or wait for the renewal at half its lifetime" in drift.describe(
        authority(issuing={"duration": "3000h"}), known
    )


def test_an_outside_root_that_is_to_be_the_operators_own_is_said() -> None:
    """It is replaced by order."""
    home = Home(source=of_root())
    home.walk(authority(root={"secretRef": {"name": "corp"}}, trustDomain="corp"), now=NOW)
    known = home.read_ledger()
    assert known is not None

    assert "root 1 is of an outside PKI, but spec.root asks for one of the operator" in drift.describe(
        authority(), known
    )


def test_an_issuing_ca_that_ends_with_its_root_is_as_asked() -> None:
    """It cannot live longer."""
    home, of = Home(), authority(root={"selfSigned": {"duration": "2000h"}}, issuing={"duration": "2160h"})
    home.walk(of)
    known = home.read_ledger()
    assert known is not None

    assert "" == drift.describe(of, known)


@pytest.mark.parametrize("state", [State.RETIRING, State.PUBLISHED, State.GONE])
def test_only_what_signs_is_compared(state: State) -> None:
    """The rest goes, or was made as asked."""
    known = default_signer().ledger
    generations = tuple(msgspec.structs.replace(ca, state=state) for ca in known.generations)

    assert "" == drift.describe(
        authority(issuing={"duration": "3000h"}), Ledger(authority_uid="u", generations=generations)
    )
