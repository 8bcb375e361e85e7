"""Metrics: whatever stands in a status, which others may have written, they are there."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus
from mutualtls.core.api.states import Role, State
from mutualtls.store.store import Store
from support import measured

GOOD = "2027-01-02T03:04:05Z"


def ca(number: int, not_after: str) -> CAStatus:
    """What a status says of a root."""
    return CAStatus(
        role=Role.ROOT,
        number=number,
        state=State.ACTIVE,
        fingerprint="",
        key_id="",
        not_after=not_after,
        certificate="",
    )


def metrics_of(*cas: CAStatus) -> list[str]:
    """List the lines that tell when the CAs of an authority end."""
    store = Store()
    metadata = {"name": "default", "uid": "u", "generation": 1, "resourceVersion": "1"}
    store.authorities.note({"metadata": metadata, "status": msgspec.to_builtins(AuthorityStatus(generations=cas))})
    text = asyncio.run(measured.metrics(store=store).text()).decode()
    return [line for line in text.splitlines() if line.startswith("mutualtls_ca_not_after")]


@pytest.mark.parametrize(
    "not_after",
    [
        pytest.param("2027-01-02T03:04:05", id="no zone"),
        pytest.param("2027-13-02T03:04:05Z", id="no such month"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_time_that_is_none_takes_only_its_own_line(not_after: str) -> None:
    """All other CAs are told of."""
    (line,) = metrics_of(ca(1, not_after), ca(2, GOOD))

    assert 'number="2"' in line
