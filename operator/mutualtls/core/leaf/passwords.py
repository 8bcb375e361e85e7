"""The password of PKCS#12 stores: what is known of it, and how it is read from its Secret."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mutualtls.core.model import labels

PASSWORD_FIELD = "spec.formats.pkcs12.passwordSecretRef"


LONGEST_PASSWORD = 1024
"""In bytes. Keys are derived from a password by hashing it thousands of times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordState:
    """What is known of the password of an identity's stores, without it."""

    version: str
    """Of the Secret that holds it, another after every change of that; empty where there is none."""
    fault: str | None = None
    """Why it cannot be used, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePassword:
    """The password itself, for as long as stores are written. No repr shows it."""

    version: str
    password: bytes = field(repr=False)


def why_no_password(name: str) -> str:
    """Say that there is no Secret with a password, and what to do."""
    return (
        f"there is no secret {name} with the label {labels.PART}={labels.PART_PASSWORD}: create it, or add the label, "
        "by which its owner lets it be used"
    )


def is_password(metadata: Mapping[str, Any]) -> bool:
    """Tell by its label whether a Secret may be used as a password."""
    return (metadata.get("labels") or {}).get(labels.PART) == labels.PART_PASSWORD


def password_in(body: Mapping[str, Any], *, key: str) -> bytes:
    """Take the password out of its Secret, as JSON of the API server.

    Raises:
        ValueError: it cannot be used. The text says what to do, and holds nothing of it.
    """
    name = body["metadata"]["name"]
    if not is_password(body["metadata"]):
        raise ValueError(why_no_password(name))
    data = body.get("data") or {}
    try:
        password = base64.b64decode(data.get(key) or "", validate=True)
        text = password.decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"key {key} of secret {name} is not text in UTF-8: put another password there") from None
    if not password:
        raise ValueError(f"secret {name} has no key {key}, or nothing under it: put the password there")
    if len(password) > LONGEST_PASSWORD:
        raise ValueError(f"key {key} of secret {name} is longer than {LONGEST_PASSWORD} bytes: put a shorter one there")
    if any(ord(character) < ord(" ") or ord(character) == 0x7F for character in text):  # noqa: PLR2004 - DEL
        raise ValueError(
            f"key {key} of secret {name} holds a line break or another control character, which no reader would be "
            "given: write it without (printf, not echo)"
        )
    return password
