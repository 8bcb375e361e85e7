"""What version 0.1.0 wrote into statuses, in the words of this one.

A status that differs in its words alone, or lacks a field that came since, is not written again: an upgrade writes
nothing for an object at rest. All this goes with the support of 0.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from mutualtls.core import times
from mutualtls.core.api.status import READY, STALLED, Condition

_OF_READY = {"Signing": "Active", "BundleOld": "BundleOutdated", "SecretMoved": "SecretRenamed"}
REASONS: Mapping[tuple[str, str], str] = {
    **{(kind, former): now for kind in (READY, STALLED) for former, now in _OF_READY.items()},
    ("KeyLost", "Stable"): "KeysPresent",
    ("Drifted", "AsAsked"): "InSync",
    ("Conflicting", "AsAsked"): "NoConflicts",
}
"""What a reason is called now, by the type of its condition and its former name."""


def _bounds(found: re.Match[str]) -> str:
    authority, least, most, asked = found.groups()
    is_long = times.parse_duration(asked) > times.parse_duration(most)
    return out_of_bounds(asked, least, most, authority=authority, is_long=is_long)


def out_of_bounds(duration: str, least: str, most: str, *, authority: str, is_long: bool) -> str:
    """Say that a duration is not within the bounds of an authority."""
    which, bound = ("longer", f"leaf.maxDuration {most}") if is_long else ("shorter", f"leaf.minDuration {least}")
    return f"{duration} is {which} than authority {authority} allows ({bound})"


_DURATION = r"([0-9hms.]+)"
_PHRASES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (", asked for is ", ", but the spec asks for "),
    ("other names than asked for", "other names than the spec asks for"),
    (r"secret (\S+) is asked for instead of ", r"the spec asks for secret \1 instead of "),
    ("asked for is missing, or is not as it was written", "asks for is missing or was changed"),
    ("the further files are not", "the additional files are not"),
    ("of the secret are not as asked for", "of the secret are not as the spec asks"),
    (r"secret ([^;]+) is not asked for any more", r"the spec no longer asks for secret \1"),
    (", shorter than asked for as its CA ends then,", ", shorter than the spec asks for because its CA ends then,"),
    (r"is not renewed while spec\.suspend is true, which would be at (\S+)",
     r"is not renewed while spec.suspend is true (renewal would be due at \1)"),
    ("what is new waits until the spec of authority", "new certificates wait until the spec of authority"),
    (r"authority (\S+) signs for (.+?) only: (\S+)", r"authority \1 allows \2 only (leaf.algorithms), and not \3"),
    (rf"authority (\S+) signs for {_DURATION} to {_DURATION}: {_DURATION}", _bounds),
    ("have whoever set them take them off", "have their owner remove them"),
    ("brings it, or half of its life", "brings it, or wait for the renewal at half its lifetime"),
    (r"; (mutualtls\.dev/rotate-\S+ \S+) brings it", r"; apply \1"),
    ("is an outside one, and spec.root asks for", "is of an outside PKI, but spec.root asks for"),
    ("not written, as somebody else's is there", "not written because another object has the name"),
    ("after a roll-back, root", "after a rollback, root"),
    ("is not replaced by itself before", "is not replaced automatically before"),
    ("the root is an outside one", "the root is of an outside PKI"),
    ("is an outside one and stays trusted", "is of an outside PKI and stays trusted"),
    (r"waits, as the root is being replaced \(phase (\w+)\)", r"waits until the root rotation is over (phase \1)"),
    ("there is no issuing CA of ours", "there is no issuing CA that the operator made"),
    ("the order now would be", "the order would now be"),
    ("it names no root that is coming", "it names no incoming root"),
    ("more changes were asked for than", "more changes were requested than"),
    (", by comma", ", comma-separated"),
    ("have it made anew with", "have it reissued with"),
    ("who takes its place needs", "its replacement needs"),
)  # fmt: skip
"""Patterns of former words, and what is said in their place."""
_COMPILED = tuple((re.compile(pattern), words) for pattern, words in _PHRASES)


def message(text: str) -> str:
    """Say a message in the words of now."""
    for pattern, words in _COMPILED:
        text = pattern.sub(words, text)
    return text


def conditions(old: Iterable[Condition], new: Iterable[Condition]) -> tuple[Condition, ...]:
    """Say conditions in the words of now, as they are to be compared with new ones.

    Where nothing was wrong there was no message, and `Stalled` stood there though it was false.
    """
    now = {one.type: one for one in new}
    said = (one for one in old if (one.type, one.status) != (STALLED, "False"))
    return tuple(_said(one, now.get(one.type)) for one in said)


def _said(condition: Condition, now: Condition | None) -> Condition:
    reason = REASONS.get((condition.type, condition.reason), condition.reason)
    said = msgspec.structs.replace(condition, reason=reason)
    if now is None or (now.status, now.reason) != (said.status, said.reason) or now.message == said.message:
        return said
    return msgspec.structs.replace(said, message=message(said.message) or now.message)
