"""What became of an authority, its CAs and its Secrets during a run, and what of it must never be.

Everything is watched, put in the order of its resourceVersions, which is that of the writes, and judged afterwards.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from devtools.clusters.operators import NAMESPACE
from devtools.consumers import consumer
from devtools.consumers.watches import Event, Watches


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate of an identity. Key ids are in hex, times are Unix times."""

    serial: str
    not_after: float
    issuer: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What carries a bundle, as it was written: a Secret with a leaf, a ConfigMap or a ClusterTrustBundle without."""

    version: int
    at: float
    name: str
    bundle: frozenset[str] = frozenset()
    leaf: Leaf | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CAKept:
    """The Secret of a CA, as it was written."""

    version: int
    at: float
    name: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A ledger, as it was written."""

    version: int
    at: float
    fingerprints: Mapping[str, str]
    """By role and number, of CAs that were made."""
    signs_until: Mapping[str, float]
    """By key id in hex."""


Seen = Carried | CAKept | Ledger


@dataclass(slots=True, kw_only=True)
class History:
    """All that was seen of one authority. Filled in the watches' thread."""

    authority: str
    seen: list[Seen] = field(default_factory=list)

    def follow(self, watching: Watches) -> None:
        """Begin to note what happens."""
        ours = f"mutualtls.dev/authority={self.authority}"
        system = f"/api/v1/namespaces/{NAMESPACE}"
        watching.follow("/api/v1/secrets", self._note_files, selector=f"{ours},mutualtls.dev/part=files")
        for path in ("/api/v1/configmaps", "/apis/certificates.k8s.io/v1/clustertrustbundles"):
            watching.follow(path, self._note_bundle, selector=f"{ours},mutualtls.dev/part=bundle")
        watching.follow(f"{system}/secrets", self._note_ca, selector=f"{ours},mutualtls.dev/part=ca")
        watching.follow(f"{system}/configmaps", self._note_ledger, selector=f"{ours},mutualtls.dev/part=ledger")

    def now(self) -> dict[str, Carried]:
        """Tell what every carrier of the bundle holds now, by its name."""
        last = {one.name: one for one in tuple(self.seen) if isinstance(one, Carried)}
        return {name: one for name, one in last.items() if not one.is_gone}

    def _note_files(self, event: Event) -> None:
        data = {name: base64.b64decode(text) for name, text in event.body.get("data", {}).items()}
        metadata = event.body["metadata"]
        name = f"secret {metadata['namespace']}/{metadata['name']}"
        try:
            said = consumer.told(data["tls.crt"], data["ca.crt"])
        except (KeyError, ValueError):
            return  # somebody damaged it: it is not of the operator's writing
        leaf = Leaf(**{key: said[key] for key in ("serial", "not_after", "issuer", "root")})
        self.seen.append(
            Carried(
                version=event.version,
                at=event.at,
                name=name,
                bundle=frozenset(said["bundle"]),
                leaf=leaf,
                is_gone=event.is_gone,
            )
        )

    def _note_bundle(self, event: Event) -> None:
        metadata = event.body["metadata"]
        if "namespace" in metadata:
            name, pem = f"configmap {metadata['namespace']}/{metadata['name']}", event.body["data"]["ca.crt"]
        else:
            name, pem = f"clustertrustbundle {metadata['name']}", event.body["spec"]["trustBundle"]
        roots = x509.load_pem_x509_certificates(pem.encode())
        bundle = frozenset(consumer.key_id(root) for root in roots)
        self.seen.append(Carried(version=event.version, at=event.at, name=name, bundle=bundle, is_gone=event.is_gone))

    def _note_ca(self, event: Event) -> None:
        chain = base64.b64decode(event.body["data"]["tls.crt"])
        public = x509.load_pem_x509_certificate(chain).public_key()
        form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public.public_bytes(*form))
        name = event.body["metadata"]["name"].removeprefix(f"mutualtls-ca.{self.authority}.")
        self.seen.append(CAKept(version=event.version, at=event.at, name=name, public_key=digest.finalize().hex()))

    def _note_ledger(self, event: Event) -> None:
        generations = json.loads(event.body["data"]["ledger.json"])["generations"]
        made = [ca for ca in generations if ca.get("fingerprint")]
        self.seen.append(
            Ledger(
                version=event.version,
                at=event.at,
                fingerprints={f"{ca['role']}.{ca['number']}": ca["fingerprint"] for ca in made},
                signs_until={ca["keyId"]: _moment(ca["signsUntil"]) for ca in made if "signsUntil" in ca},
            )
        )


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what a history is judged."""

    soak_s: float
    """For so long a certificate that was replaced is still in use."""
    outlives: bool
    """Whether a certificate counts until it ends, replaced or not: under AfterExpiry."""
    excused: frozenset[str] = frozenset()
    """Who is outside of the promise, as in `secret shop/orders-mtls`."""

    def after_replacement(self) -> Terms:
        """Judge as under AfterReplacement."""
        return replace(self, outlives=False)

    def without(self, names: Collection[str]) -> Terms:
        """Take some out of the promise."""
        return replace(self, excused=self.excused | set(names))


_LATE_S = 0.5
"""How much later than another write one may be heard of."""


def violations(seen: Iterable[Seen], terms: Terms) -> list[str]:
    """Tell what must never be and was: all that is judged of a history."""
    ordered = sorted(seen, key=lambda one: one.version)
    return [
        *_made_twice(ordered),
        *_signed_beyond(ordered),
        *_signed_too_soon(ordered, terms),
        *_out_of_trust(ordered, terms),
    ]


def _made_twice(seen: Iterable[Seen]) -> Iterator[str]:
    """Tell of two CAs under one role and number."""
    keys: dict[str, str] = {}
    fingerprints: dict[str, str] = {}
    for one in seen:
        if isinstance(one, CAKept) and keys.setdefault(one.name, one.public_key) != one.public_key:
            yield f"two keys were kept as {one.name}"
        for name, fingerprint in one.fingerprints.items() if isinstance(one, Ledger) else ():
            if fingerprints.setdefault(name, fingerprint) != fingerprint:
                yield f"the ledger named two CAs as {name}"


def _signed_beyond(seen: Iterable[Seen]) -> Iterator[str]:
    """Tell of certificates that end later than the ledger of then let their CA sign."""
    signs_until: Mapping[str, float] = {}
    known: set[str] = set()
    for one in seen:
        if isinstance(one, Ledger):
            signs_until = one.signs_until
        if isinstance(one, Carried) and one.leaf is not None and one.leaf.serial not in known:
            known.add(one.leaf.serial)
            if one.leaf.not_after > signs_until.get(one.leaf.issuer, 0):
                yield f"the ledger did not allow the certificate {one.leaf.serial} of {one.name}"


def _signed_too_soon(seen: Iterable[Seen], terms: Terms) -> Iterator[str]:
    """Tell of bundles that had a root for less than the soak when the first certificate under it was written."""
    since: dict[str, dict[str, float]] = {}
    """By name and root, when the root was put into a bundle that was there without it."""
    now: dict[str, Carried] = {}
    signed: set[str] = set()
    for one in seen:
        if not isinstance(one, Carried) or one.name in terms.excused:
            continue
        before = now.get(one.name)
        came = one.bundle - before.bundle if before is not None else frozenset()
        kept = {root: at for root, at in since.get(one.name, {}).items() if root in one.bundle}
        since[one.name] = kept | dict.fromkeys(came, one.at)
        now[one.name] = one
        if one.is_gone:
            del now[one.name], since[one.name]
        if one.leaf is None or one.leaf.root in signed:
            continue
        signed.add(one.leaf.root)
        for name in now:
            soaked_s = one.at - since[name].get(one.leaf.root, -math.inf)
            if soaked_s < terms.soak_s - _LATE_S:
                yield f"{name} had root {one.leaf.root[:6]} for {soaked_s:.1f} s when {one.name} was signed under it"


def _out_of_trust(seen: Iterable[Seen], terms: Terms) -> Iterator[str]:
    """Tell of bundles that lack the root of a certificate that is in use, when either was written."""
    now: dict[str, Carried] = {}
    in_use: dict[str, tuple[Leaf, float]] = {}
    """By serial number: a certificate, and until when it is in use."""
    for one in seen:
        if not isinstance(one, Carried) or one.name in terms.excused:
            continue
        before = now.get(one.name)
        if before is not None and before.leaf is not None and before.leaf != one.leaf and not terms.outlives:
            in_use[before.leaf.serial] = (before.leaf, one.at + terms.soak_s)
        if one.leaf is not None:
            in_use[one.leaf.serial] = (one.leaf, one.leaf.not_after)
        now[one.name] = one
        if one.is_gone:
            del now[one.name]
        is_new = before is None or before.leaf != one.leaf
        yield from _lacking(now.values() if is_new else [one], in_use.values(), one)


def _lacking(carriers: Iterable[Carried], in_use: Iterable[tuple[Leaf, float]], written: Carried) -> Iterator[str]:
    roots = {leaf.root: leaf for leaf, until in in_use if min(until, leaf.not_after) > written.at}
    for carrier in carriers:
        for root in roots.keys() - carrier.bundle:
            yield (
                f"{carrier.name} lacked root {root[:6]} of certificate {roots[root].serial}, which was in use, when "
                f"{written.name} was written at {written.at:.3f}"
            )
