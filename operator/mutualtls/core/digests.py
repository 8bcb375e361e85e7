"""Hashes: of content, and of values by their meaning."""

from __future__ import annotations

import hashlib

import msgspec


def content_hash(content: bytes) -> str:
    """Hash bytes as statuses and annotations show them: SHA-256, lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def meaning(value: object) -> str:
    """Hash a value by its meaning. The prefix is the version of the form, so that an upgrade re-issues nothing."""
    encoded = msgspec.json.encode(value, order="deterministic")
    return f"v1:{hashlib.sha256(encoded).hexdigest()[:32]}"
