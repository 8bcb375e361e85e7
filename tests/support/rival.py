"""Somebody else who writes the Secrets of identities."""

from __future__ import annotations

from typing import Any

from support.world import World

NO_FILE = "bm8gZmlsZQ=="
"""What is no file of any kind, in base64."""
THEIRS = {"theirs": "eWVz"}
"""Data of their own."""


def patch(world: World, secret: str, body: dict[str, Any], *, manager: str = "rival") -> None:
    """Change a Secret in their name."""
    world.patch("secret", secret, body, manager=manager)
