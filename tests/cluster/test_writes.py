"""What each operation costs the API server: the operator's writes, counted in the audit log.

An issuance is in `test_issue`, a restart in `test_heal`; a rotation in the ring `rotation`.
"""

from __future__ import annotations

from typing import Any

import pytest

from devtools.clusters.operators import wait_until
from support.world import World

NAMES = ("billing", "orders", "returns")
ISSUED = [("create", "secrets"), ("patch", "mutualtlsidentities/status")]
RENEWED = [("patch", "secrets"), ("patch", "mutualtlsidentities/status")]


def test_a_renewal_takes_two_writes(world: World) -> None:
    """Of each identity the Secret is patched, then the status, in this order and nothing between."""
    for name in NAMES:
        world.apply(name, duration="1m", renewBefore="50s")
    world.wait_ready(*NAMES)
    serials = {name: world.serial(name) for name in NAMES}
    for name, serial in serials.items():
        world.wait_reissued(name, serial)

    for name in NAMES:
        assert [*ISSUED, *RENEWED] == _writes_about(world, name)[:4]


CHANGES = [
    pytest.param({"services": ["billing"]}, RENEWED, id="other names"),
    pytest.param({"secret": {"labels": {"team": "shop"}}}, RENEWED, id="another label"),
    pytest.param({"suspend": True}, RENEWED[1:], id="suspended"),
    pytest.param({"privateKey": {"rotationPolicy": "Never"}}, RENEWED[1:], id="a policy for later"),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_a_changed_spec_takes_a_status_and_a_secret_that_has_to_change(
    world: World, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """The status is patched once, as it names the generation; the Secret once, or not where it stays as it is."""
    world.apply("orders")
    world.wait_ready("orders")
    world.apply("orders", **change)
    wait_until(lambda: len(_writes_about(world, "orders")) >= len(ISSUED) + len(expected), "the change is written")
    world.apply("next")
    world.wait_ready("next")

    assert [*ISSUED, *expected] == _writes_about(world, "orders")


def test_a_deletion_takes_no_write(world: World) -> None:
    """The garbage collector deletes the Secrets, and the operator does not touch what is going."""
    for name in NAMES:
        world.apply(name)
    world.wait_ready(*NAMES)
    before = world.counted_writes()
    world.delete("mtls", *NAMES)
    wait_until(lambda: not any(world.get("secret", f"{name}-mtls") for name in NAMES), "the Secrets are gone")
    world.apply("next")
    world.wait_ready("next")

    assert before + world.ISSUANCE == world.counted_writes()


def _writes_about(world: World, name: str) -> list[tuple[str, str]]:
    """List verb and resource of the operator's writes about an identity, in order, Events apart."""
    about = {name, f"{name}-mtls"}
    return [(verb, resource) for verb, resource, of in world.writes() if of in about and resource != "events"]
