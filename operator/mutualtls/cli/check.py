"""`mutualtls check`: would identities be issued, with which names, and if not why? Judged by the operator's code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from mutualtls.core import authority as authorities
from mutualtls.core import desired, formats, identity, labels, times, trust
from mutualtls.core.authority import Authority, AuthoritySpec
from mutualtls.core.desired import Wanted
from mutualtls.core.errors import SpecError
from mutualtls.core.identity import Identity, IdentitySpec

STDIN = "-"
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that the API server sets on every namespace."""


class ManifestError(Exception):
    """A file could not be read as manifests. The message names it and says what is wrong."""


@dataclass(slots=True, kw_only=True)
class Manifests:
    """What the files hold, by name: identities and what they are judged by."""

    identities: list[dict[str, Any]] = field(default_factory=list)
    authorities: dict[str, dict[str, Any]] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of namespaces."""

    def take(self, body: dict[str, Any], *, where: str, namespace: str) -> None:
        """Take in an object, or each of a list. Those of other kinds are passed over.

        Raises:
            ManifestError: it has no name, or is of a version that is not known.
        """
        kind, metadata = body.get("kind"), body.get("metadata") or {}
        if kind == "List":
            for item in body.get("items") or ():
                self.take(item, where=where, namespace=namespace)
        elif kind in {labels.IDENTITY_KIND, labels.AUTHORITY_KIND, "Namespace"}:
            if not metadata.get("name"):
                raise ManifestError(f"{where}: a {kind} without metadata.name")
            if kind == "Namespace":
                known = {_NAMESPACE_NAME: metadata["name"]}
                self.namespaces[metadata["name"]] = (metadata.get("labels") or {}) | known
                return
            if body.get("apiVersion") != labels.API_VERSION:
                raise ManifestError(f"{where}: {kind} of apiVersion {body.get('apiVersion')}: not {labels.API_VERSION}")
            stored = {"namespace": namespace, "uid": "", "generation": 1, "resourceVersion": "1"} | metadata
            if kind == labels.IDENTITY_KIND:
                self.identities.append(body | {"metadata": stored})
            else:
                self.authorities[metadata["name"]] = body | {"metadata": stored}


def read(paths: Iterable[str], *, namespace: str) -> Manifests:
    """Read files, the manifests of folders, and standard input for `-`. `namespace` is for what names none.

    Raises:
        ManifestError: one cannot be read.
    """
    found = Manifests()
    for path in paths:
        for where, text in _texts(path):
            try:
                documents = list(yaml.safe_load_all(text))
            except yaml.YAMLError as error:
                raise ManifestError(f"{where}: not YAML: {error}") from None
            for document in documents:
                if document is None:
                    continue
                if not isinstance(document, dict):
                    raise ManifestError(f"{where}: not a manifest: {type(document).__name__}")
                found.take(document, where=where, namespace=namespace)
    return found


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if path == STDIN:
        yield "standard input", sys.stdin.read()
        return
    files = [Path(path)]
    if Path(path).is_dir():
        files = sorted(found for found in Path(path).iterdir() if found.suffix in _SUFFIXES)
    for file in files:
        try:
            yield str(file), file.read_text()
        except OSError as error:
            raise ManifestError(f"{file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ManifestError(f"{file}: not text") from None


def complete(manifests: Manifests) -> None:
    """Take from the cluster what identities are judged by, as far as the files do not hold it.

    Raises:
        LoginError: there is no way to the cluster.
        ClusterError: it does not answer, or refuses.
    """
    asyncio.run(_complete(manifests))


async def _complete(manifests: Manifests) -> None:
    from mutualtls.kube import paths, session  # noqa: PLC0415 - needed for this alone
    from mutualtls.kube.api import API  # noqa: PLC0415 - the same

    connection = session.connect(connections=4)
    api = API(connection.session, connection.server, timeout_s=30, clock=lambda: datetime.now(UTC))
    try:
        for body in manifests.identities:
            name, namespace = _authority_of(body), body["metadata"]["namespace"]
            if name not in manifests.authorities and (found := await api.get(paths.authority(name))):
                manifests.authorities[name] = found
            if namespace not in manifests.namespaces and (seen := await api.get_metadata(paths.namespace(namespace))):
                manifests.namespaces[namespace] = seen.get("labels") or {}
    finally:
        await connection.session.close()


def _authority_of(body: dict[str, Any]) -> str:
    return identity.parse(body).spec.authority


# Judging


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would become of an object: the first line says it, the others why, or what it would get."""

    is_good: bool
    lines: tuple[str, ...]


def verdicts(manifests: Manifests, *, may_be_absent: bool) -> Iterator[Verdict]:
    """Judge the authorities of the files, then each identity.

    Where `may_be_absent`, an authority that is not known is taken for one with an empty spec.
    """
    known = {name: authorities.parse(body) for name, body in manifests.authorities.items()}
    for name, body in manifests.authorities.items():
        faults = [*_unknown_fields(body.get("spec"), AuthoritySpec), *([known[name].fault or ""])]
        if any(faults):
            yield Verdict(is_good=False, lines=(f"authority {name}: is faulty", *filter(None, faults)))
    for body in manifests.identities:
        name = _authority_of(body)
        judge = known.get(name)
        if judge is None and not may_be_absent:
            line = f"authority {name} does not exist: create it or change spec.authority"
            yield Verdict(is_good=False, lines=(f"{_title(body)}: refused (AuthorityNotFound)", line))
            continue
        yield _verdict(body, judge, manifests.namespaces.get(body["metadata"]["namespace"]))


def _verdict(body: dict[str, Any], judge: Authority | None, namespace_labels: Mapping[str, str] | None) -> Verdict:
    unknown = list(_unknown_fields(body.get("spec"), IdentitySpec))
    of = identity.parse(body)
    offered = trust.of(judge or _empty_authority(of.spec.authority), None)
    try:
        wanted = desired.wanted(of, offered, namespace_labels)
    except SpecError as error:
        lines = [*unknown, *map(str, error.faults), *_what_is_not_known(of, judge, namespace_labels)]
        return Verdict(is_good=False, lines=(f"{_title(body)}: refused ({error.reason})", *lines))
    if unknown:
        return Verdict(is_good=False, lines=(f"{_title(body)}: refused (InvalidSpec)", *unknown))
    title = f"{_title(body)}: would be issued by authority {offered.name}"
    return Verdict(is_good=True, lines=(title, *_described(of, wanted), *_what_is_not_known(of, judge, {})))


def _what_is_not_known(
    of: Identity, judge: Authority | None, namespace_labels: Mapping[str, str] | None
) -> Iterator[str]:
    if judge is None:
        yield f"authority {of.spec.authority} is not in the files and is taken for one with an empty spec"
    elif namespace_labels is None and (judge.spec.permits or judge.spec.namespace_selector):
        yield f"the labels of namespace {of.namespace} are not known: add its manifest to the files"


def _title(body: dict[str, Any]) -> str:
    return f"identity {body['metadata']['namespace']}/{body['metadata']['name']}"


def _empty_authority(name: str) -> Authority:
    metadata = {"name": name, "uid": "", "generation": 1, "resourceVersion": "1"}
    return authorities.parse({"metadata": metadata})


def _described(of: Identity, wanted: Wanted) -> Iterator[str]:
    held, renewed = wanted.names, times.format_duration(wanted.renew_before)
    subject = held.subject
    rows = (
        ("DNS names", held.dns),
        ("IP addresses", held.ips),
        ("e-mail addresses", held.emails),
        ("URIs", held.uris),
        ("common name", [subject.common_name]),
        ("organizations", subject.organizations),
        ("organizational units", subject.organizational_units),
        ("countries", subject.countries),
        ("localities", subject.localities),
        ("provinces", subject.provinces),
        ("serial number", [subject.serial_number]),
        ("usages", wanted.usages),
        ("key", [str(wanted.key)]),
        ("life", [f"{times.format_duration(wanted.duration)}, renewed {renewed} or a little more before its end"]),
        ("secret", [wanted.secret_name]),
        ("further files", formats.names(of.spec.formats)),
    )
    for name, values in rows:
        if text := ", ".join(filter(None, values)):
            yield f"{name:<21}{text}"


# Fields that there are not. The API server drops them, or refuses them when kubectl asks it to.


def _unknown_fields(spec: Any, kind: type[msgspec.Struct]) -> Iterator[str]:
    for path in _unknown(spec, inspect.type_info(kind), "spec"):
        yield f"{path}: there is no such field"


def _unknown(value: Any, kind: inspect.Type, path: str) -> Iterator[str]:
    match kind, value:
        case inspect.Metadata(), _:
            yield from _unknown(value, kind.type, path)
        case inspect.UnionType(), _:
            for one in kind.types:
                yield from _unknown(value, one, path)
        case inspect.StructType(), dict():
            known = {field.encode_name: field.type for field in kind.fields}
            for key, inner in value.items():
                if key in known:
                    yield from _unknown(inner, known[key], f"{path}.{key}")
                else:
                    yield f"{path}.{key}"
        case inspect.VarTupleType(), list():
            for index, inner in enumerate(value):
                yield from _unknown(inner, kind.item_type, f"{path}[{index}]")
