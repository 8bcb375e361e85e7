"""Somebody else who writes Secrets of identities."""

from __future__ import annotations

from typing import Any

from support.world import World

NO_FILE = "bm8gZmlsZQ=="
THEIRS = {"theirs": "eWVz"}
NEVER = {"rotationPolicy": "Never"}


def _apply_authority(world: World, name: str) -> None:
    body = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": name}}
    world.client.apply("mtlsca", body | {"spec": {}})


def _patch(world: World, secret: str, body: dict[str, Any], *, manager: str = "rival") -> None:
    """Change a Secret as somebody else."""
    world.patch("secret", secret, body, manager=manager)


def _secret(world: World, name: str) -> dict[str, Any]:
    body = world.get("secret", name)
    assert body is not None
    return body
