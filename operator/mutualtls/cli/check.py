"""`mutualtls check`: would identities be issued, with which names, and if not why? Judged by the operator's code.

Every fault is told at once: what does not fit the model (`core/api/misfits`), what the schema says over several fields
(`core/api/bounds`), and what the operator would say of the rest.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mutualtls.cli import impact
from mutualtls.cli.impact import Present
from mutualtls.core import times
from mutualtls.core.api import authority as authorities
from mutualtls.core.api import bounds, identity, misfits
from mutualtls.core.api.authority import Authority, Compiled
from mutualtls.core.api.authority_spec import AuthoritySpec
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import IdentitySpec
from mutualtls.core.api.misfits import Sifted
from mutualtls.core.ca import offer
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf import desired, formats, plan
from mutualtls.core.leaf.desired import Wanted
from mutualtls.core.model import labels
from mutualtls.core.names import names
from mutualtls.core.reasons import Reason

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
    from_cluster: set[str] = field(default_factory=set)
    """Names of the authorities that are not from a file."""
    present: dict[str, Present] = field(default_factory=dict)
    """What the cluster has of the authorities that are from a file, where it was asked."""
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """For each folder that was read: the folders within it, where these were not."""

    def take(self, body: dict[str, Any], *, where: str, namespace: str) -> None:
        """Take in an object, or each of a list. Those of other kinds are passed over.

        Raises:
            ManifestError: it has no name, is of a version that is not known, or is no object.
        """
        if not isinstance(body, dict):
            raise ManifestError(f"{where}: not a manifest: {type(body).__name__}")
        kind = body.get("kind")
        if kind == "List":
            for item in body.get("items") or ():
                self.take(item, where=where, namespace=namespace)
        elif kind in {labels.IDENTITY_KIND, labels.AUTHORITY_KIND, "Namespace"}:
            metadata = _metadata(body, where)
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


def _metadata(body: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Read the metadata of an object, as far as all else relies on their form."""
    kind, metadata = body["kind"], body.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise ManifestError(f"{where}: a {kind} without metadata.name")
    for name, form in (("name", str), ("namespace", str), ("labels", dict), ("annotations", dict)):
        if not isinstance(metadata.get(name) or form(), form):
            raise ManifestError(f"{where}: metadata.{name} of a {kind} is of type {type(metadata[name]).__name__}")
    return metadata


class Folders(Enum):
    """What is done about folders within folders."""

    SKIP = "skip"
    READ = "read"


def read(paths: Iterable[str], *, namespace: str, folders: Folders = Folders.SKIP) -> Manifests:
    """Read files, the manifests of folders, and standard input for `-`. `namespace` is for what names none.

    Raises:
        ManifestError: one cannot be read.
    """
    found = Manifests()
    for path in paths:
        if Path(path).is_dir() and folders is Folders.SKIP:
            found.skipped[path] = sorted(inner.name for inner in Path(path).iterdir() if inner.is_dir())
        for where, text in _texts(path, folders):
            try:
                documents = list(yaml.safe_load_all(text))
            except yaml.YAMLError as error:
                raise ManifestError(f"{where}: not YAML: {error}") from None
            for document in documents:
                if document is not None:
                    found.take(document, where=where, namespace=namespace)
    return found


def _texts(path: str, folders: Folders) -> Iterator[tuple[str, str]]:
    if path == STDIN:
        yield "standard input", sys.stdin.read()
        return
    files = [Path(path)]
    if Path(path).is_dir():
        within = Path(path).rglob("*") if folders is Folders.READ else Path(path).iterdir()
        files = sorted(found for found in within if found.suffix in _SUFFIXES and found.is_file())
    for file in files:
        try:
            yield str(file), file.read_text()
        except OSError as error:
            raise ManifestError(f"{file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ManifestError(f"{file}: not text") from None


class Cluster(Enum):
    """What is taken from the cluster."""

    JUDGES = "judges"
    """What identities are judged by."""
    PRESENT = "present"
    """The same, and what there is of the authorities that the files hold."""


def complete(manifests: Manifests, what: Cluster = Cluster.JUDGES) -> None:
    """Take from the cluster what identities are judged by, as far as the files do not hold it.

    Raises:
        LoginError: there is no way to the cluster.
        ClusterError: it does not answer, or refuses.
    """
    asyncio.run(_complete(manifests, what))


async def _complete(manifests: Manifests, what: Cluster) -> None:
    from mutualtls.kube import paths, session  # noqa: PLC0415 - needed for this alone
    from mutualtls.kube.api import API  # noqa: PLC0415 - the same

    connection = session.connect(connections=4)
    api = API(connection.session, connection.server, timeout_s=30, clock=lambda: datetime.now(UTC))
    try:
        if what is Cluster.PRESENT and manifests.authorities:
            manifests.present = await impact.read(api, list(manifests.authorities))
        for body in manifests.identities:
            name, namespace = _authority_of(body), body["metadata"]["namespace"]
            if name not in manifests.authorities and (found := await api.get(paths.authority(name))):
                manifests.authorities[name] = found
                manifests.from_cluster.add(name)
            if namespace not in manifests.namespaces and (seen := await api.get_metadata(paths.namespace(namespace))):
                manifests.namespaces[namespace] = seen.get("labels") or {}
    finally:
        await connection.session.close()


def _authority_of(body: dict[str, Any]) -> str:
    return str(identity.parse(_sifted(body)[0]).spec.authority)


# Judging


class Standing(Enum):
    """How an object stands."""

    GOOD = "good"
    ASSUMED = "assumed"
    """Good if what was assumed is so, or for now."""
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would become of an object: the first line says it, the others why, or what it would get."""

    standing: Standing
    lines: tuple[str, ...]


def verdicts(manifests: Manifests, *, may_be_absent: bool) -> Iterator[Verdict]:
    """Judge the authorities, then each identity.

    Where `may_be_absent`, an authority that is not known is taken for one with an empty spec.
    """
    known: dict[str, Authority] = {}
    for name, body in manifests.authorities.items():
        known[name], faults = _judged_authority(body)
        if faults:
            lines = (f"authority {name}: is faulty", *map(str, faults))
            yield Verdict(standing=Standing.BAD, lines=lines)
        elif name in manifests.present:
            yield from _changes(known[name], manifests.present[name])
        elif name not in manifests.from_cluster:
            yield Verdict(standing=Standing.GOOD, lines=(f"authority {name}: ok",))
    for body in manifests.identities:
        name = _authority_of(body)
        judge, own = known.get(name), _own_faults(body)
        if any(fault.field in {"spec", "spec.authority"} for fault in own):
            yield _refusal(body, Reason.INVALID_SPEC, own)
            continue
        if judge is None and not may_be_absent:
            absent = f"authority {name} does not exist: create it or change spec.authority"
            yield _refusal(body, Reason.AUTHORITY_NOT_FOUND, [*own, absent])
            continue
        yield _verdict(body, judge, manifests.namespaces.get(body["metadata"]["namespace"]))


def _changes(new: Authority, present: Present) -> Iterator[Verdict]:
    """Tell what an authority would take away from whoever has it now."""
    copies = impact.copies_that_go(new, present)
    title = f"authority {new.name}: ok, compared with {'the one that there is' if present.authority else 'none'}"
    going = [f"{copy}: would be deleted" for copy in copies]
    yield Verdict(standing=Standing.ASSUMED if copies else Standing.GOOD, lines=(title, *going))
    for one in impact.refusals(new, present):
        lines = (f"identity {one.identity}: would be refused ({one.reason}) and is not yet", *map(str, one.faults))
        yield Verdict(standing=Standing.BAD, lines=lines)


def _sifted(body: dict[str, Any]) -> tuple[dict[str, Any], Sifted]:
    """Take out of an object what of its spec does not fit."""
    kind = AuthoritySpec if body["kind"] == labels.AUTHORITY_KIND else IdentitySpec
    sifted = misfits.sift(body.get("spec"), kind)
    return body | {"spec": sifted.rest}, sifted


def _judged_authority(body: dict[str, Any]) -> tuple[Authority, list[Fault]]:
    """Read an authority, and list all its faults. With any but unknown fields nobody is judged by it."""
    fitting, sifted = _sifted(body)
    found = authorities.compiled(msgspec.convert(fitting["spec"], AuthoritySpec))
    own = [*found.faults, *bounds.broken(found.spec, bounds.OF_AUTHORITIES)]
    if not names.is_label(body["metadata"]["name"]):
        own.append(Fault(field="metadata.name", message=_NO_LABEL))
    faults, of = sifted.with_further(own), authorities.parse(fitting)
    unreadable = [fault for fault in faults if fault not in sifted.unknown]
    if unreadable:
        of = msgspec.structs.replace(of, compiled=Compiled(), faults=tuple(unreadable), has_spec=False)
    return of, faults


_NO_LABEL = "must be a DNS label: at most 63 characters, no dots"


def _own_faults(body: dict[str, Any]) -> list[Fault]:
    """List what is wrong with an identity whoever judges it."""
    fitting, sifted = _sifted(body)
    spec = msgspec.convert(fitting["spec"], IdentitySpec)
    return sifted.with_further(bounds.broken(spec, bounds.OF_IDENTITIES))


def _verdict(body: dict[str, Any], judge: Authority | None, namespace_labels: Mapping[str, str] | None) -> Verdict:
    fitting, sifted = _sifted(body)
    of = identity.parse(fitting)
    offered = offer.as_told(judge or _empty_authority(of.spec.authority))
    broken = list(bounds.broken(of.spec, bounds.OF_IDENTITIES))
    try:
        wanted = desired.wanted(of, offered, namespace_labels)
    except SpecError as error:
        faults, reason = sifted.with_further([*broken, *error.faults]), error.reason
    else:
        faults, reason = sifted.with_further(broken), Reason.INVALID_SPEC
    if faults:
        is_read = not (sifted.misfits or sifted.beyond)
        unknown = _what_is_not_known(of, judge, namespace_labels)
        return _refusal(body, reason if is_read else Reason.INVALID_SPEC, [*faults, *unknown])
    title = f"{_title(body)}: would be issued by authority {offered.name}"
    lines = [
        *_described(of, wanted),
        *(f"until version {plan.END_OF_RULE_OF_BEFORE}: {one}" for one in wanted.outdated),
    ]
    if judge is None:
        title += ", if it has an empty spec"
        lines += _what_is_not_known(of, judge, {})
    standing = Standing.ASSUMED if judge is None or wanted.outdated else Standing.GOOD
    return Verdict(standing=standing, lines=(title, *lines))


def _refusal(body: dict[str, Any], reason: Reason, why: Iterable[object]) -> Verdict:
    return Verdict(standing=Standing.BAD, lines=(f"{_title(body)}: refused ({reason})", *map(str, why)))


def _what_is_not_known(
    of: Identity, judge: Authority | None, namespace_labels: Mapping[str, str] | None
) -> Iterator[str]:
    if judge is None:
        yield (
            f"assuming authority {of.spec.authority} with an empty spec: add its manifest to the files, or pass "
            "--authority to read it from the cluster"
        )
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
        ("additional files", formats.names(of.spec.formats)),
    )
    for name, values in rows:
        if text := ", ".join(filter(None, values)):
            yield f"{name:<21}{text}"
