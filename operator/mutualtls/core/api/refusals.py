"""What the API server says when it refuses something: passed on, bounded, and without a piece of what is secret."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec

from mutualtls.core.api.status import Condition

_LONGEST = 600
"""Of what is passed on, in characters: what a policy has to say, beside what we say of it ourselves."""
_PIECE = 12
"""So many characters in a row of what is secret are too many."""
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_VARIABLE = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a uid
    r"|(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{8,}"  # a hash
    r"|[0-9]+"
)
_DONE = {"POST": "created", "PATCH": "changed", "DELETE": "deleted"}
_KINDS = {
    "secrets": "secret",
    "configmaps": "configmap",
    "clustertrustbundles": "clustertrustbundle",
    "namespaces": "namespace",
    "mutualtlsidentities": "identity",
    "mutualtlsauthorities": "authority",
}


class Cause(StrEnum):
    """Why a write was refused, as far as that is told: an alert about rights is not one about a quota."""

    RIGHTS = "rights"
    """The account lacks a right, or is not known."""
    QUOTA = "quota"
    """A ResourceQuota of the namespace is used up."""
    POLICY = "policy"
    """An admission policy or webhook refused it."""
    OTHER = "other"


_UNAUTHENTICATED = 401
_OF_QUOTA = " is forbidden: exceeded quota: "
_OF_POLICIES = re.compile(r"(admission webhook \"|AdmissionPolicy ').{0,300}denied", re.DOTALL)
_OF_RIGHTS = re.compile(r' is forbidden: User "[^"]*" cannot ')


def cause(answer: Mapping[str, Any], code: int) -> Cause:
    """Tell why a write was refused, by the words of the API server: quotas, policies and rights share the code 403."""
    message = str(answer.get("message") or "")
    if code == _UNAUTHENTICATED or _OF_RIGHTS.search(message):
        return Cause.RIGHTS
    if _OF_QUOTA in message:
        return Cause.QUOTA
    return Cause.POLICY if _OF_POLICIES.search(message) else Cause.OTHER


def said(answer: Mapping[str, Any], sent: Mapping[str, Any] | None, *, withheld: Iterable[bytes] = ()) -> str:
    """Pass on what a Status of the API server says: in one line, cut, without control characters.

    Where it quotes what was sent under `data`, encoded or not, or of what is `withheld`, only the fields are named.
    """
    secret = (*_values(sent or {}), *(_text(one) for one in withheld))
    fields = ", ".join(f"{cause.get('field')} {cause.get('reason')}" for cause in _causes(answer))
    reason = cut(str(answer.get("reason") or f"HTTP {answer.get('code', '')}".strip()))
    texts = filter(None, (cut(str(text or "")) for text in (answer.get("message"), fields)))
    # Judged as it will be read: what stands before a quote may be its first character.
    lines = (f"{reason}: {text}" for text in texts)
    return next((line for line in lines if not _quotes(line, secret)), reason)


def cut(text: str) -> str:
    """Make one line of a text that anybody may have written, of bounded length."""
    line = _in_one_line(text[: 2 * _LONGEST]).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def subject(method: str, path: str, sent: Mapping[str, Any] | None) -> str:
    """Say for people what was not done, such as `secret shop/orders-mtls could not be changed`."""
    steps = path.strip("/").split("/")
    steps = steps[2:] if steps[0] == "api" else steps[3:]
    namespace = ""
    if steps[:1] == ["namespaces"] and len(steps) > 2:  # noqa: PLR2004 - something in a namespace
        namespace, steps = steps[1], steps[2:]
    resource, name, *part = [*steps, "", ""][: max(len(steps), 2)]
    name = name or str(((sent or {}).get("metadata") or {}).get("name") or "")
    of = f"{' '.join(filter(None, part))} of " if any(part) else ""
    where = "/".join(filter(None, (namespace, name)))
    return f"{of}{_KINDS.get(resource, resource)} {where} could not be {_DONE.get(method, 'read')}".replace("  ", " ")


def masked(text: str) -> str:
    """Leave out what differs from one answer to the next though it says the same: numbers, hashes and uids."""
    return _VARIABLE.sub("#", text)


def say_the_same(one: Iterable[Condition], other: Iterable[Condition]) -> bool:
    """Tell whether conditions differ in nothing but numbers, hashes and uids in their messages, and in times."""
    return [_without_variables(condition) for condition in one] == [
        _without_variables(condition) for condition in other
    ]


def in_lasting_words(before: str | None, now: str, *, may_change: bool) -> str:
    """Choose the words for a refusal that lasts: those of `before`, unless it says something else by now.

    All identities repeat them, so that they change only where `may_change`: where it is long enough ago that they did.
    """
    if before is None or (may_change and masked(before) != masked(now)):
        return now
    return before


def in_words(duration: timedelta) -> str:
    """Write a duration as people say it, such as `5 minutes`."""
    seconds = int(duration.total_seconds())
    units = (("hour", 3600), ("minute", 60), ("second", 1))
    unit, length = next((unit, length) for unit, length in units if seconds % length == 0)
    number = seconds // length
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def is_of_terminating_namespace(answer: Mapping[str, Any]) -> bool:
    """Tell whether something was refused as its namespace is on its way out, which mends itself."""
    return any(cause.get("reason") == "NamespaceTerminating" for cause in _causes(answer))


def is_of_immutable(answer: Mapping[str, Any]) -> bool:
    """Tell whether a change was refused as the object is immutable, whoever made it so."""
    return answer.get("reason") == "Invalid" and "field is immutable when `immutable` is set" in str(
        answer.get("message")
    )


def _without_variables(condition: Condition) -> Condition:
    return msgspec.structs.replace(condition, message=masked(condition.message), last_transition_time="")


def _causes(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    return [cause for cause in causes if isinstance(cause, Mapping)] if isinstance(causes, list) else []


def _quotes(text: str, values: Iterable[str]) -> bool:
    """Tell whether a text holds a piece of one of the values, or a whole one that is no longer than a piece."""
    pieces = {text[start : start + _PIECE] for start in range(len(text) - _PIECE + 1)}
    return any(
        (0 < len(value) < _PIECE and value in text) or any(piece in value for piece in pieces)
        for value in map(_in_one_line, filter(None, values))
    )


def _in_one_line(text: str) -> str:
    return _SPACE.sub(" ", text)


def _values(sent: Mapping[str, Any]) -> Iterator[str]:
    """List the values under `data`, as they were sent and decoded."""
    data = sent.get("data")
    for value in data.values() if isinstance(data, Mapping) else ():
        if isinstance(value, str) and len(value) >= _PIECE:
            yield value
            try:
                yield _text(base64.b64decode(value, validate=True))
            except binascii.Error:
                continue  # a ConfigMap's, which is not encoded


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
