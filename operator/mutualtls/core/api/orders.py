"""Orders to an authority: annotations that name what they act on.

So they are safe in Git, need no memory, and are obeyed only while what they name is so. Each knows no more than its
text; whether it applies now is said in `rotation`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mutualtls.core import times
from mutualtls.core.api.states import Phase
from mutualtls.core.model import labels

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_LONGEST = 256
"""Of what is repeated of an order that cannot be read."""
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Replace(msgspec.Struct, frozen=True, kw_only=True):
    """Replace the CA of a fingerprint by the one that will have the number."""

    fingerprint: str
    number: int


class Approve(msgspec.Struct, frozen=True, kw_only=True):
    """Let a rotation to the incoming root of a fingerprint enter a phase."""

    fingerprint: str
    phase: Phase


class NotObeyed(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is not obeyed: its name, its text, and why."""

    order: str
    value: str
    message: str


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """All orders that an authority carries. Fingerprints are SHA-256 in lower-case hex."""

    rotate_root: Replace | None = None
    rotate_issuing: Replace | None = None
    approve: Approve | None = None
    roll_back: str | None = None
    abandon: frozenset[str] = frozenset()
    compromised: tuple[Compromise, ...] = ()
    unreadable: tuple[NotObeyed, ...] = ()


def parse(annotations: Mapping[str, str]) -> Orders:
    """Read the orders among the annotations of an authority. What cannot be read is named, and orders nothing."""
    given = {order: annotations[order].strip() for order in _FORMS if annotations.get(order, "").strip()}
    read: dict[str, Any] = {}
    unreadable = []
    for order, text in given.items():
        parser, form = _FORMS[order]
        try:
            read[order] = parser(text)
        except ValueError:
            unreadable.append(NotObeyed(order=order, value=text[:_LONGEST], message=f"must be {form}"))
    return Orders(
        rotate_root=read.get(labels.ROTATE_ROOT),
        rotate_issuing=read.get(labels.ROTATE_ISSUING),
        approve=read.get(labels.APPROVE),
        roll_back=read.get(labels.ROLL_BACK),
        abandon=read.get(labels.ABANDON, frozenset()),
        compromised=read.get(labels.COMPROMISED, ()),
        unreadable=tuple(unreadable),
    )


def _fingerprint(text: str) -> str:
    """Read a fingerprint, which people may write in upper case and with colons."""
    found = text.strip().lower().replace(":", "")
    if not _FINGERPRINT.fullmatch(found):
        raise ValueError(text)
    return found


def _replace(text: str) -> Replace:
    fingerprint, _, number = text.partition("/")
    if not _NUMBER.fullmatch(number):
        raise ValueError(text)
    return Replace(fingerprint=_fingerprint(fingerprint), number=int(number))


def _approve(text: str) -> Approve:
    fingerprint, _, phase = text.partition("/")
    return Approve(fingerprint=_fingerprint(fingerprint), phase=Phase(phase))


def _abandon(text: str) -> frozenset[str]:
    return frozenset(_fingerprint(one) for one in text.split(",") if one.strip())


def _compromised(text: str) -> tuple[Compromise, ...]:
    return tuple(_compromise(one) for one in text.split(",") if one.strip())


def _compromise(text: str) -> Compromise:
    fingerprint, separator, more = text.partition(";")
    name, _, moment = more.strip().partition("=")
    if separator and name != "by":
        raise ValueError(text)
    by = times.from_rfc3339(moment) if separator else None
    if by is not None and by.tzinfo is None:
        raise ValueError(text)
    return Compromise(fingerprint=_fingerprint(fingerprint), by=by)


_FORMS: Mapping[str, tuple[Callable[[str], object], str]] = {
    labels.ROTATE_ROOT: (_replace, "FINGERPRINT/NUMBER, of the root that signs and of the one to come"),
    labels.ROTATE_ISSUING: (_replace, "FINGERPRINT/NUMBER, of the issuing CA that signs and of the one to come"),
    labels.APPROVE: (_approve, "FINGERPRINT/Signing or FINGERPRINT/Retiring, of the incoming root"),
    labels.ROLL_BACK: (_fingerprint, "the fingerprint of the incoming root"),
    labels.ABANDON: (_abandon, "fingerprints of lost CAs, comma-separated"),
    labels.COMPROMISED: (_compromised, "FINGERPRINT or FINGERPRINT;by=2030-01-02T03:04:05Z of CAs, comma-separated"),
}
"""How each order is read, and what its form is."""


class Compromise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CA whose key others may have. Noted for good."""

    fingerprint: str
    by: times.Moment | None = None
    """When its root must be out of trust."""
