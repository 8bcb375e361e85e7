"""Which keys are kept and which are not, and certificates that are not good any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from devtools.clusters.operators import wait_until
from support import authority, rival
from support.rival import NO_FILE, THEIRS
from support.world import World

NEVER = {"rotationPolicy": "Never"}

# Keys under rotationPolicy Never

PLANTED = [
    pytest.param({}, ("tls.key",), "KeyMismatch", id="a key alone"),
    pytest.param({}, ("tls.key", "tls.crt", "ca.crt"), "NamesChanged", id="all files of another identity"),
    pytest.param(
        {"services": ["orders"], "serviceAccountName": "orders", "authority": "planter"},
        ("tls.key", "tls.crt", "ca.crt"),
        "AuthorityChanged",
        id="all files, of the same names, of another authority",
    ),
]


@pytest.mark.parametrize(("other", "files", "reason"), PLANTED)
def test_a_planted_key_is_never_kept(world: World, other: dict[str, Any], files: tuple[str, ...], reason: str) -> None:
    """A planted key may be valid, and is not the one that the status recorded."""
    authority.apply(world, "planter")
    world.apply("orders", privateKey=NEVER)
    world.apply("other", **other)
    world.wait_ready("orders", "other")
    serial, planted = world.serial("orders"), world.secret("other-mtls")["data"]
    rival.patch(world, "orders-mtls", {"data": {name: planted[name] for name in files} | THEIRS})
    world.wait_reissued("orders", serial)
    healed = world.secret("orders-mtls")["data"]

    assert planted["tls.key"] != healed["tls.key"]
    assert healed["theirs"] == THEIRS["theirs"]
    assert planted == world.secret("other-mtls")["data"]
    world.wait_events("orders", ("Normal", reason))


def test_a_key_that_was_planted_under_suspend_is_not_kept_afterwards(world: World) -> None:
    """What a suspended identity's Secret holds meanwhile does not become the recorded key."""
    for name in ("orders", "other"):
        world.apply(name, privateKey=NEVER)
    world.wait_ready("orders", "other")
    planted = world.secret("other-mtls")["data"]
    world.apply("orders", privateKey=NEVER, suspend=True)
    rival.patch(world, "orders-mtls", {"data": planted})
    world.wait_reason("orders", "Suspended")
    world.apply("orders", privateKey=NEVER)
    world.wait_ready("orders")

    assert planted["tls.key"] != world.secret("orders-mtls")["data"]["tls.key"]


def test_a_planted_key_is_not_certified_even_if_its_certificate_is_as_asked_for(world: World) -> None:
    """No key is certified for two identities: the next certificate gets a key of its own."""
    world.apply("orders", privateKey=NEVER)
    world.apply("other", services=["orders"], serviceAccountName="orders")
    world.wait_ready("orders", "other")
    serial, planted = world.serial("orders"), world.secret("other-mtls")["data"]
    rival.patch(world, "orders-mtls", {"data": planted})
    wait_until(lambda: world.serial("orders") != serial, "the operator has read the planted files")
    world.apply("orders", privateKey=NEVER, duration="12h")
    world.wait_ready("orders")

    assert planted["tls.key"] != world.secret("orders-mtls")["data"]["tls.key"]


def test_a_key_is_not_kept_under_never_when_the_certificate_is_damaged(world: World) -> None:
    """Nothing proves any more that it is the one of the certificate that the status records."""
    world.apply("orders", privateKey=NEVER)
    world.wait_ready("orders")
    key, serial = world.files("orders-mtls")["tls.key"], world.serial("orders")
    rival.patch(world, "orders-mtls", {"data": {"tls.crt": NO_FILE} | THEIRS})
    world.wait_reissued("orders", serial)

    assert key != world.files("orders-mtls")["tls.key"]
    assert world.files("orders-mtls")["theirs"] == b"yes"
    world.wait_events("orders", ("Normal", "SecretUnreadable"))


# Certificates that are not good any more


def test_another_authority_signs_when_it_is_asked_for(world: World) -> None:
    """Key, chain and bundle are new in one write."""
    world.apply("orders")
    world.wait_ready("orders")
    rival.patch(world, "orders-mtls", {"data": THEIRS})
    serial, before, counted = world.serial("orders"), world.files("orders-mtls"), world.counted_writes()
    authority.apply(world, "another")
    world.apply("orders", authority="another")
    world.wait_reissued("orders", serial)
    after = world.files("orders-mtls")

    assert {"theirs"} == {name for name in before if before[name] == after[name]}
    assert world.secret("orders-mtls")["metadata"]["labels"]["mutualtls.dev/authority"] == "another"
    assert (world.counted_writes() - counted)["patch", "secrets"] == 1
    world.wait_events("orders", ("Normal", "AuthorityChanged"))


@pytest.mark.long
@pytest.mark.further
def test_a_certificate_that_expired_while_the_operator_was_away_is_replaced(world: World) -> None:
    """It is replaced at the start, and the Event says how late that was."""
    world.apply("orders", duration="1m")
    world.wait_ready("orders")
    serial, end = world.serial("orders"), datetime.fromisoformat(world.status("orders")["certificate"]["notAfter"])
    assert world.operator.stop()
    rival.patch(world, "orders-mtls", {"data": THEIRS})
    wait_until(lambda: datetime.now(UTC) > end, "the certificate has expired", deadline_s=90)
    world.operator.start()
    world.wait_reissued("orders", serial)

    assert world.files("orders-mtls")["theirs"] == b"yes"
    world.wait_events("orders", ("Normal", "Expired"))


def test_an_order_is_obeyed_under_suspend(world: World) -> None:
    """It is obeyed once, and nothing else is done."""
    world.apply("orders")
    world.wait_ready("orders")
    serial, key = world.serial("orders"), world.files("orders-mtls")["tls.key"]
    order = {"mutualtls.dev/reissue": serial}
    world.apply("orders", suspend=True, annotations=order)
    world.wait_reissued("orders", serial)
    second = world.serial("orders")
    assert key != world.files("orders-mtls")["tls.key"]
    world.wait_events("orders", ("Normal", "ReissueOrdered"))

    world.apply("orders", suspend=True, annotations=order, usages=["client auth"])
    world.wait_reason("orders", "Suspended")
    assert second == world.serial("orders")
