"""Objects as the API server sends them, decoded one at a time. Whatever a tenant wrote costs its own object alone.

The API server cannot be asked to leave `managedFields` out, nor to bound what it sends. So what is decoded goes into
types that leave out what nobody here needs, and what is too deep is decoded without `managedFields`. `streams` takes
answers apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from mutualtls.core import bounded
from mutualtls.core.bounded import UNREADABLE
from mutualtls.core.errors import UnreadableError
from mutualtls.kube.splitter import LONGEST_OWNERS, TOO_MANY, Form, Splitter
from mutualtls.kube.unread import Unread

_LONGEST_MANAGED = 32 * 1024
"""Of the `managedFields` of an object. Longer ones prove nothing, so that a body is read instead."""
_LONGEST_FINALIZERS = 1024
"""Of its finalizers, which are told to people."""
_LONGEST_ANNOTATION = 16 * 1024
"""Of one annotation that is handed on. No order is as long."""
_NOTHING = b"null"


class _Names(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,20}$")] = ""
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Metadata(_Names, rename="camel"):
    finalizers: msgspec.Raw = msgspec.Raw(_NOTHING)
    owner_references: msgspec.Raw = msgspec.Raw(_NOTHING)
    managed_fields: msgspec.Raw = msgspec.Raw(_NOTHING)


class _Object(msgspec.Struct, rename="camel", omit_defaults=True):
    api_version: str = ""
    kind: str = ""
    metadata: _Names = msgspec.field(default_factory=_Names)
    spec: Any = msgspec.UNSET
    status: Any = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    immutable: bool | msgspec.UnsetType | None = msgspec.UNSET
    data: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    binary_data: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    code: int | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    git_version: str | msgspec.UnsetType = msgspec.UNSET


class _Whole(_Object, rename="camel"):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Item(msgspec.Struct):
    metadata: _Metadata


class _Event(msgspec.Struct):
    type: str
    object: _Object


class _WholeEvent(msgspec.Struct):
    type: str
    object: _Whole


class ListMetadata(msgspec.Struct, rename="camel"):
    """What a page of a list says of itself."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """A page of a list."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None


_OF_OBJECT = msgspec.json.Decoder(_Whole)
_OF_ITEM = msgspec.json.Decoder(_Item)
_OF_EVENT = msgspec.json.Decoder(_Event)
_OF_WHOLE_EVENT = msgspec.json.Decoder(_WholeEvent)
_OF_LIST = msgspec.json.Decoder(Page)
_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch."""

    type: str
    object: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of its object."""
        found: dict[str, Any] = self.object["metadata"]
        return found


@dataclass(frozen=True, slots=True)
class ListEnd:
    """What a page of a list says of itself."""

    resource_version: str
    following: str
    """By which the next page is asked for; empty after the last one."""


def _metadata(found: _Names) -> dict[str, Any]:
    """Write metadata as JSON of the API server has it, without what is not there and what is too long."""
    fields = {
        "name": found.name,
        "namespace": found.namespace,
        "uid": found.uid,
        "resourceVersion": found.resource_version,
        "generation": found.generation,
        "creationTimestamp": found.creation_timestamp,
        "deletionTimestamp": found.deletion_timestamp,
        "labels": found.labels,
        "annotations": found.annotations,
    }
    metadata = {name: value for name, value in fields.items() if value is not None}
    if not isinstance(found, _Metadata):
        return metadata
    lists = _managed(bytes(found.managed_fields)) | _owners(bytes(found.owner_references))
    return metadata | lists | _finalizers(bytes(found.finalizers))


def _finalizers(raw: bytes) -> dict[str, Any]:
    if raw == _NOTHING:
        return {}
    try:
        return {"finalizers": bounded.decode(raw, list[str], longest=_LONGEST_FINALIZERS)}
    except UnreadableError:
        return {"finalizers": ["too many to be read"]}


def _managed(raw: bytes) -> dict[str, Any]:
    if raw == _NOTHING:
        return {}
    try:
        return {"managedFields": bounded.decode(raw, list[dict[str, Any]], longest=_LONGEST_MANAGED)}
    except UnreadableError:
        return {}


def _owners(raw: bytes) -> dict[str, Any]:
    if raw == _NOTHING:
        return {}
    if raw == TOO_MANY:
        return {UNREADABLE: "its ownerReferences are too many"}
    try:
        return {"ownerReferences": bounded.decode(raw, list[dict[str, Any]], longest=LONGEST_OWNERS)}
    except UnreadableError as error:
        return {UNREADABLE: f"its ownerReferences are {error}"}


def _object(found: _Object) -> dict[str, Any]:
    others = {
        "spec": found.spec,
        "status": found.status,
        "type": found.type,
        "immutable": found.immutable,
        "data": found.data,
        "binaryData": found.binary_data,
        "code": found.code,
        "reason": found.reason,
        "message": found.message,
        "gitVersion": found.git_version,
    }
    present = {name: value for name, value in others.items() if value is not msgspec.UNSET}
    return {"apiVersion": found.api_version, "kind": found.kind, "metadata": _metadata(found.metadata)} | present


def parse(content: bytes) -> dict[str, Any]:
    """Read one object from a whole answer.

    Raises:
        UnreadableError: it cannot be read, even without its `managedFields`.
    """
    return _object(_decoded(content, _OF_OBJECT, Form.OBJECT))


def parse_event(line: bytes) -> Event | Unread:
    """Read an event of a watch."""
    return _event(line, _OF_WHOLE_EVENT)


def parse_event_without_proof(line: bytes) -> Event | Unread:
    """Read an event without owners and `managedFields`, which cost more than all the rest."""
    return _event(line, _OF_EVENT)


def _event(line: bytes, decoder: msgspec.json.Decoder[Any]) -> Event | Unread:
    try:
        event = _decoded(line, decoder, Form.WATCH)
    except UnreadableError as error:
        return Unread.of(line, str(error))
    return Event(event.type, _object(event.object))


def parse_item(item: bytes) -> dict[str, Any] | Unread:
    """Read the metadata of an object on a page of a list."""
    try:
        return _metadata(_decoded(item, _OF_ITEM, Form.OBJECT).metadata)
    except UnreadableError as error:
        return Unread.of(item, str(error))


def _decoded(content: bytes, decoder: msgspec.json.Decoder[Any], form: Form) -> Any:
    """Decode, and once more without `managedFields` where these are too deep, however deep this Python could go."""
    try:
        bounded.check_depth(content)
        return decoder.decode(content)
    except (RecursionError, UnreadableError):
        pass
    except _ERRORS as error:
        raise UnreadableError(str(error)) from None
    splitter = Splitter(form)
    for piece in splitter.feed(content):
        if isinstance(piece, Unread):
            raise UnreadableError(piece.why)
        try:
            return decoder.decode(piece)
        except (RecursionError, *_ERRORS) as error:
            raise UnreadableError(str(error)) from None
    raise UnreadableError("it has no end")


def parse_page(content: bytes) -> Page | None:
    """Decode a page of a list; None where one of its objects is too deep for it.

    Raises:
        UnreadableError: it is no list.
    """
    try:
        page: Page = _OF_LIST.decode(content)
    except RecursionError:
        return None
    except _ERRORS as error:
        raise UnreadableError(str(error)) from None
    return page


def shown(event: Event, prefix: str) -> dict[str, Any]:
    """Show of the object of an event without proof what handlers need: of its annotations those of a prefix."""
    metadata: Mapping[str, Any] = event.metadata
    annotations = metadata.get("annotations") or {}
    ours = {
        name: value
        for name, value in annotations.items()
        if name.startswith(prefix) and len(value) <= _LONGEST_ANNOTATION
    }
    return event.object | {"metadata": {**metadata, "annotations": ours}}


def pruned(event: Event, prefix: str) -> bytes:
    """Write an event again with no more than is `shown` of its object.

    Raises:
        UnreadableError: it lies too deep in itself for others to decode it.
    """
    line = msgspec.json.encode({"type": event.type, "object": shown(event, prefix)})
    bounded.check_depth(line)
    return line
