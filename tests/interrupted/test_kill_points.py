"""SIGKILL before and after each single write of the operator, one run a write: each ends as if nothing had happened.

All of them only with `--every-write`; otherwise one write or two of each scenario.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from devtools.clusters.operators import NAMESPACE, wait_until
from support import verify
from support.scenes import Scene, authority_and_identity, prepared
from support.world import World


def nothing(world: World) -> None:
    """Have nothing."""


def shorter(world: World) -> None:
    """Ask for a certificate of a minute, which is renewed within seconds."""
    world.apply("orders", authority=world.namespace, duration="1m", renewBefore="54s")


def deleted(world: World) -> None:
    """Delete the Secret."""
    world.client.delete("secret", "orders-mtls", namespace=world.namespace)


def lost_issuing_ca(world: World) -> None:
    """Delete the issuing CA, which is replaced by itself."""
    name = f"mutualtls-ca.{world.namespace}.issuing.1"
    world.client.delete("secret", name, namespace=NAMESPACE)


Act = Callable[[World], None]

SCENARIOS: list[tuple[str, Act, Act, int, set[int]]] = [
    # What is done beforehand, what is then interrupted, how many writes that takes, and at which of them it is killed
    # in each run of the ring. The first scenario: the annotation of the operator's namespace, the spec that is kept,
    # ledger and CA Secrets in turn, the authority's status, its ClusterTrustBundle; `signsUntil`, the Secret, the
    # identity's status.
    ("authority and first issuance", nothing, authority_and_identity, 13, {2, 4, 12}),
    ("renewal", prepared, shorter, 4, {2}),
    ("healing", prepared, deleted, 2, {1}),
    ("lost issuing CA", prepared, lost_issuing_ca, 4, {2}),
]


def _marks(*, is_always: bool, after: bool) -> list[pytest.MarkDecorator]:
    """Tell when it is killed at a write: always, with all of the ring, or with all kills."""
    if not is_always:
        return [pytest.mark.every_write]
    return [pytest.mark.further] if after else []


POINTS = [
    pytest.param(
        before,
        act,
        number,
        after,
        id=f"{name}, {'after' if after else 'before'} write {number}",
        marks=_marks(is_always=number in always, after=after),
    )
    for name, before, act, writes, always in SCENARIOS
    for number in range(1, writes + 1)
    for after in (False, True)
]


@pytest.mark.parametrize(("before", "act", "number", "after"), POINTS)
def test_killed_at_a_write_it_ends_the_same(
    scene: Scene, tmp_path: Path, before: Act, act: Act, number: int, *, after: bool
) -> None:
    """All is ready in the end, with one CA of each number, files that verify, and nothing left to do."""
    world = scene.world()
    before(world)
    scene.proxy.count(world.namespace)
    scene.proxy.hold(number, after=after)
    act(world)
    assert scene.proxy.held.wait(timeout=60), f"only {len(scene.proxy.writes)} writes came"

    scene.operator.kill()
    scene.proxy.release()
    scene.operator.start()
    world.wait_ready("orders")
    wait_until(lambda: _is_settled(world), "nothing is left to do")
    wait_until(lambda: _cas_are_whole(scene, world), "ledger and CA Secrets agree")
    verify.chain(world.save_files("orders-mtls", tmp_path / "files"), use="server")
    world.client.delete("mtls", "orders", namespace=world.namespace)


@pytest.mark.parametrize(("before", "act", "writes"), [pytest.param(*rest, id=name) for name, *rest, _ in SCENARIOS])
def test_so_many_writes_are_all(scene: Scene, before: Act, act: Act, writes: int) -> None:
    """No write of a scenario goes without its two kills."""
    world = scene.world()
    before(world)
    scene.proxy.count(world.namespace)
    act(world)
    wait_until(lambda: len(scene.proxy.writes) >= writes, f"{writes} writes come")
    world.wait_ready("orders")
    wait_until(lambda: _is_settled(world), "nothing is left to do")
    world.client.delete("mtls", "orders", namespace=world.namespace)

    made = [f"{write.method} {write.path}" for write in scene.proxy.writes]
    assert writes == len(made), "\n".join(made)


def _is_settled(world: World) -> bool:
    """Whether status, Secret and authority agree."""
    secret = world.get("secret", "orders-mtls") or {}
    facts = json.loads(secret["metadata"]["annotations"]["mutualtls.dev/facts"]) if secret else {}
    authority = world.get("mtlsca", world.namespace) or {}
    issuing = [ca["keyID"] for ca in authority.get("status", {}).get("generations", ()) if ca["role"] == "issuing"]
    return facts.get("serialNumber") == world.serial("orders") and facts.get("issuerKeyId") in issuing


def _cas_are_whole(scene: Scene, world: World) -> bool:
    """Whether the ledger knows each CA Secret, by its own certificate, and none is still being made."""
    name = f"mutualtls-ledger.{world.namespace}"
    config_map = world.client.get("configmap", name, namespace=NAMESPACE)
    assert config_map is not None
    generations = json.loads(config_map["data"]["ledger.json"])["generations"]
    recorded = {f"{ca['role']}.{ca['number']}" for ca in generations}
    states = [ca["state"] for ca in generations]
    return set(scene.cas(world)) <= recorded and "Making" not in states and states.count("Active") == 2
