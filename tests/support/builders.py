"""What the tests of the core begin from: an authority with its CAs, an identity, and a Secret as the API holds it.

All that is slow to make (keys, CAs) is made once. Nothing here reads a clock or talks to anybody.
"""

from __future__ import annotations

import base64
import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api import authority as authorities
from mutualtls.core.api import identity
from mutualtls.core.api.algorithms import Algorithm
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.ca import generations, ledger
from mutualtls.core.ca import offer as trusts
from mutualtls.core.ca.generations import Tombstone
from mutualtls.core.ca.ledger import CAGeneration, Ledger, Mark
from mutualtls.core.ca.offer import Offer
from mutualtls.core.ca.rollout import Rollout
from mutualtls.core.ca.source import Source
from mutualtls.core.errors import AuthorityError
from mutualtls.core.leaf import desired, facts, formats, plan, render, secret
from mutualtls.core.leaf.facts import Damage, Facts
from mutualtls.core.leaf.observed import Absent, Action, Found, Intervals, Known, Observed
from mutualtls.core.leaf.passwords import PasswordState, StorePassword
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from mutualtls.core.pki.keys import KeyType, PrivateKey
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import lifecycle
from mutualtls.core.rotation.steps import Bury, Hold, Make, Note, Sign, Step, View, Write

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)

P256 = KeyType(Algorithm.ECDSA, 256)
P384 = KeyType(Algorithm.ECDSA, 384)
P521 = KeyType(Algorithm.ECDSA, 521)
RSA = KeyType(Algorithm.RSA, 2048)
ED25519 = KeyType(Algorithm.ED25519, 256)
KEY_TYPES = (P256, P384, P521, RSA, ED25519)

UID = "6c0e8f6e-5a6f-4c39-9c11-6f6b3c0a4f10"
"""uid of the identity `shop/orders`."""
ORDERS = ObjectKey("shop", "orders")
"""Its key, and that of a Secret."""
OTHER = {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
"""An entry of `managedFields` of somebody else, without its fields."""

PASSWORD = b"correct horse"
"""What is in the Secret that `PKCS12` names."""
PKCS12 = {"passwordSecretRef": {"name": "stores"}}
"""`spec.formats.pkcs12`."""
READABLE = PasswordState(version="uid-of-stores/7")
"""That password as it is known without it."""

_versions = itertools.count(100)


@functools.cache
def key(kind: KeyType = P256, number: int = 0) -> PrivateKey:
    """Make a key once for each kind and number."""
    del number
    return keys.generate(kind)


# Authorities


def authority(name: str = "default", *, abandon: str | None = None, **spec: Any) -> Authority:
    """An authority with a spec in the API's words, and perhaps an order to abandon a root."""
    metadata = {
        "name": name,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "annotations": {labels.ABANDON: abandon} if abandon else {},
    }
    return authorities.parse({"metadata": metadata, "spec": spec})


def key_of_ca(of: Authority, role: Role, number: int) -> PrivateKey:
    """Make the key of a CA, once for each authority, role and number."""
    return _key_of_ca(generations.key_type(of, role), f"{of.name}/{role}/{number}")


@functools.cache
def _key_of_ca(kind: KeyType, name: str) -> PrivateKey:
    del name
    return keys.generate(kind)


@dataclass(slots=True)
class Home:
    """The operator's namespace: the ledger as text and the CA Secrets, all that survives a crash."""

    ledger_text: str | None = None
    ledger_version: int = 0
    secrets: dict[CAId, CA | Tombstone] = field(default_factory=dict)
    marks: dict[CAId, Mark] = field(default_factory=dict)
    """What the annotations of CA Secrets say."""
    made: list[CAId] = field(default_factory=list)
    """Every CA Secret that was ever created, in order."""
    buried: list[CAId] = field(default_factory=list)
    """Every CA whose key was ever deleted, in order."""

    def read_ledger(self) -> Ledger | None:
        """Read the ledger as an operator does that has just started."""
        return None if self.ledger_text is None else ledger.decode(self.ledger_text)

    def held(self) -> dict[CAId, CA | Tombstone | None]:
        """Read the CA Secrets that the ledger tells of, and refuse those that are another's."""
        known = self.read_ledger()
        held: dict[CAId, CA | Tombstone | None] = {}
        for recorded in known.generations if known else ():
            found = self.secrets.get(recorded.id)
            if isinstance(found, CA):
                generations.check_held(recorded, found)
            held[recorded.id] = found
        return held

    def ca(self, name: CAId) -> CA:
        """Read a CA Secret that holds its key."""
        found = self.secrets[name]
        if not isinstance(found, CA):
            raise TypeError(f"the key of {name} was deleted")
        return found

    def states(self) -> dict[CAId, State]:
        """Read from the ledger where each generation is."""
        known = self.read_ledger()
        return {ca.id: ca.state for ca in known.generations} if known else {}

    rollout: Rollout = field(default_factory=Rollout)
    """What there is of Secrets and leaves."""
    source: Source | None = None
    source_fault: str = ""
    started: datetime | None = None
    """Since when the operator looks."""
    held_until: datetime | None = None
    """When it last could do nothing."""

    def view(self, of: Authority, *, now: datetime = NOW) -> View:
        """Read everything, as an operator does that has just started."""
        known = self.read_ledger() or Ledger(authority_uid=of.uid)
        return View(
            authority=of,
            ledger=known,
            held=self.held(),
            now=now,
            rollout=self.rollout,
            marks=self.marks,
            started=self.started,
            held_until=self.held_until,
            source=self.source,
            source_fault=self.source_fault,
        )

    def next_step(self, of: Authority, *, now: datetime = NOW) -> Step:
        """Say what an operator would do that has just read everything."""
        return lifecycle.next_step(self.view(of, now=now))

    def write_ledger(self, new: Ledger, *, over: int | None = None) -> bool:
        """Write the ledger, unless it is not the version any more that it is to be written over (409)."""
        if over is not None and over != self.ledger_version:
            return False
        self.ledger_text = ledger.encode(msgspec.structs.replace(new, revision=new.revision + 1))
        self.ledger_version += 1
        return True

    def lose(self, *names: CAId) -> None:
        """Delete CA Secrets."""
        for name in names:
            del self.secrets[name]
            self.marks.pop(name, None)

    def sign(self, *, until: datetime, now: datetime) -> CAId:
        """Allow a leaf that ends then, as is done before it is signed, and say of which CA it is."""
        known = self.read_ledger()
        active = known.signer if known else None
        if known is None or active is None:
            raise TypeError("nothing signs")
        if not ledger.covers(active, until):
            self.write_ledger(ledger.extended(known, active, now=now, not_after=until))
        return active.id

    def recorded(self, name: CAId) -> CAGeneration:
        """Read what the ledger says of a CA."""
        known = self.read_ledger()
        found = known.find(*name) if known else None
        if found is None:
            raise TypeError(f"the ledger does not know: {name}")
        return found

    def make(self, of: Authority, step: Make, made_key: PrivateKey, *, now: datetime = NOW) -> CA:
        """Make the CA that a step asks for, without creating its Secret."""
        announced = step.announced
        if announced.is_outside and self.source is not None:
            return self.source.signer
        root = self.held().get(CAId(Role.ROOT, announced.issuer)) if announced.issuer is not None else None
        signing = root if isinstance(root, CA) else None
        return generations.certify(of, announced, made_key, signing, now=now)

    def create(self, name: CAId, ca: CA) -> bool:
        """Create a CA Secret. What is there stays (409)."""
        if name in self.secrets:
            return False
        self.secrets[name] = ca
        self.made.append(name)
        return True

    def bury(self, ca: CAGeneration) -> None:
        """Delete the key of a CA, and put a tombstone there where it is ca."""
        name = ca.id
        self.marks.pop(name, None)
        if ca.state == State.GONE:
            self.secrets[name] = Tombstone()
        else:
            del self.secrets[name]
        self.buried.append(name)

    def act(self, of: Authority, step: Write | Note | Make | Bury, *, now: datetime = NOW) -> None:
        """Do what a step says, whole."""
        match step:
            case Write():
                self.write_ledger(step.ledger)
            case Note():
                self.marks[step.ca.id] = step.mark
            case Make():
                name = step.announced.id
                made = self.make(of, step, key_of_ca(of, *name), now=now)
                mark = lifecycle.mark_of_made(self.view(of, now=now), step.announced, made)
                if self.create(name, made):
                    self.marks[name] = mark
            case Bury():
                self.bury(step.ca)

    def walk(self, of: Authority, *, now: datetime = NOW) -> Sign | Hold:
        """Take steps until there is nothing more to do, or something is wrong, which holds as it does in the shell."""
        for _ in range(40):
            try:
                step = self.next_step(of, now=now)
                if isinstance(step, Sign | Hold):
                    return step
                self.act(of, step, now=now)
            except AuthorityError as error:
                return Hold(error.reason, str(error))
        raise AssertionError("steps without end")


def named(step: Step) -> str:
    """Say what a step is, with the states that a ledger to be written holds."""
    match step:
        case Write():
            states = [f"{ca.role} {ca.number} {ca.state}" for ca in step.ledger.generations]
            return f"write {', '.join(states)}"
        case Note():
            return f"note in {step.ca.role} {step.ca.number}"
        case Make():
            return f"make {step.announced.role} {step.announced.number}"
        case Bury():
            return f"bury {step.ca.role} {step.ca.number}"
        case Hold():
            return f"hold {step.reason}"
        case Sign():
            return "sign"


def grown(of: Authority | None = None, *, now: datetime = NOW) -> Home:
    """An authority that signs."""
    home = Home()
    home.walk(of or authority(), now=now)
    return home


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An authority that signs."""

    authority: Authority
    ledger: Ledger
    root: CA
    issuing: CA

    @property
    def trust(self) -> Offer:
        """What it offers."""
        return trusts.of(self.authority, self.ledger)


def signer(name: str = "default", *, made: datetime = NOW - DAY, **spec: Any) -> Signer:
    """An authority that made its CAs a day ago."""
    of, home = authority(name, **spec), Home()
    step = home.walk(of, now=made)
    known, root = home.read_ledger(), home.ca(CAId(Role.ROOT, 1))
    if not isinstance(step, Sign) or known is None:
        raise AuthorityError(step.reason if isinstance(step, Hold) else Reason.KEY_LOST, "cannot sign")
    return Signer(authority=of, ledger=known, root=root, issuing=step.ca)


@functools.cache
def default_signer() -> Signer:
    """The authority `default`, made once."""
    return signer()


@functools.cache
def other_signer() -> Signer:
    """Another authority, made once."""
    return signer("other")


@functools.cache
def signer_of(root: KeyType, issuing: KeyType) -> Signer:
    """An authority whose CAs have keys of these types, made once."""
    keys_of = [{"algorithm": kind.algorithm.value, "size": kind.size} for kind in (root, issuing)]
    return signer(root={"selfSigned": {"privateKey": keys_of[0]}}, issuing={"privateKey": keys_of[1]})


# Identities


def identity_body(
    name: str = "orders",
    namespace: str = "shop",
    *,
    version: int = 1,
    generation: int = 1,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """An identity as JSON of the API server, with a spec in the API's words."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": UID if (namespace, name) == ("shop", "orders") else f"uid-of-{namespace}-{name}",
        "generation": generation,
        "resourceVersion": str(version),
        "annotations": dict(annotations or {}),
    }
    return {"metadata": metadata, "spec": spec}


def an_identity(name: str = "orders", namespace: str = "shop", **more: Any) -> Identity:
    """Parse what `identity_body` writes."""
    return identity.parse(identity_body(name, namespace, **more))


# Secrets


def entry_of_ours(*sections: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Write an entry of `managedFields` that says that we own everything in these sections of an object."""
    fields: dict[str, Any] = {"f:type": {}} if "type" in sections else {}
    for section in sections:
        if section in {"data", "spec"}:
            fields[f"f:{section}"] = {".": {}} | {f"f:{name}": {} for name in body[section]}
        elif section == "metadata":
            fields["f:metadata"] = {
                f"f:{part}": {".": {}} | {f"f:{name}": {} for name in body["metadata"][part]}
                for part in ("labels", "annotations")
            }
    return {**OTHER, "manager": labels.FIELD_MANAGER, "fieldsV1": fields}


def as_stored(body: dict[str, Any]) -> dict[str, Any]:
    """Give a body what the API server adds: uid, version, and us as the manager of all its fields."""
    metadata = {
        **body["metadata"],
        "uid": body["metadata"].get("uid", f"uid-of-{body['metadata']['name']}"),
        "resourceVersion": str(next(_versions)),
        "creationTimestamp": body["metadata"].get("creationTimestamp", times.rfc3339(NOW)),
        "managedFields": [entry_of_ours("type", "data", "metadata", body=body)],
    }
    return {**body, "metadata": metadata}


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a merge patch (RFC 7396)."""
    result = dict(target)
    for name, value in patch.items():
        before = result.pop(name, None)
        if isinstance(value, Mapping):
            result[name] = merged(before if isinstance(before, Mapping) else {}, value)
        elif value is not None:
            result[name] = value
    return result


def decoded(body: Mapping[str, Any]) -> dict[str, bytes]:
    """Read the data of a Secret."""
    return {name: base64.b64decode(content) for name, content in body["data"].items()}


def encoded(**data: bytes) -> dict[str, str]:
    """Write data of a Secret."""
    return {name: base64.b64encode(content).decode() for name, content in data.items()}


def damaged(reason: Reason) -> Known:
    """Know a Secret whose files are of no use."""
    return Known(files=Damage(reason=reason, message="why"), metadata_hash="", verified=NOW, created=NOW)


# Reconciling, as the shell does it

INTERVALS = Intervals(conflict_retry=30 * SECOND, sweep=DAY, move_grace=10 * MINUTE)
"""Those of the settings."""


def observed(
    of: Identity,
    by: Signer | None = None,
    *,
    found: Found | None = None,
    now: datetime = NOW,
    trust: Offer | None = None,
    password: PasswordState | None = None,
) -> Observed:
    """Gather what a decision rests on."""
    offered = trust or (by or default_signer()).trust
    return Observed(
        identity=of,
        wanted=desired.wanted(of, offered),
        password=password or (READABLE if of.spec.formats.pkcs12 else None),
        trust=offered,
        found=found or Absent(),
        now=now,
        intervals=INTERVALS,
    )


def issued(o: Observed, by: Signer | None = None, *, with_key: PrivateKey | None = None) -> tuple[Facts, render.Files]:
    """Sign what is wanted."""
    ca = (by or default_signer()).issuing
    leaf_key = with_key or key(o.wanted.key)
    life = times.validity(o.now, o.wanted.duration, within=ca.validity)
    leaf = issue.leaf(leaf_key.public_key(), ca, names=o.wanted.names, usages=o.wanted.usages, validity=life)
    made = facts.of_leaf(leaf, intermediates=[ca.certificate], encoding=o.wanted.encoding, ca=o.trust.bundle)
    made, further = with_formats(o, made, leaf_key, [leaf, ca.certificate])
    files = render.Files(
        key=keys.to_pem(leaf_key, o.wanted.encoding),
        chain=certificates.to_pem(leaf, ca.certificate),
        ca=o.trust.bundle,
        further=further,
    )
    return made, files


def with_formats(
    o: Observed, made: Facts, of: PrivateKey, chain: list[x509.Certificate]
) -> tuple[Facts, dict[str, bytes]]:
    """Write the further files that are asked for, and record them."""
    opened = StorePassword(version=o.password.version, password=PASSWORD) if o.password else None
    spec, ca = o.identity.spec.formats, o.trust.bundle
    further = formats.write(spec, of, encoding=made.encoding, chain=chain, ca=ca, alias=o.identity.name, opened=opened)
    noted = formats.recorded(spec, further, leaf=made.fingerprint, bundle_hash=o.trust.bundle_hash, opened=opened)
    return msgspec.structs.replace(made, further=noted), further


def secret_of(o: Observed, by: Signer | None = None) -> dict[str, Any]:
    """The Secret that a first issuance makes, as the API server stores it."""
    made, files = issued(o, by)
    return as_stored(render.secret(o.identity, o.wanted, made, files))


def known(body: Mapping[str, Any], *, verified: datetime = NOW) -> Known:
    """Know a Secret from its body."""
    metadata = secret.parse(body["metadata"])
    return Known(
        files=facts.read(body), metadata_hash=metadata.metadata_hash, verified=verified, created=metadata.created
    )


def settled(by: Signer | None = None, *, now: datetime = NOW, **spec: Any) -> Observed:
    """An identity with good files, issued now."""
    o = observed(an_identity(**spec), by, now=now)
    return replace(o, found=known(secret_of(o, by), verified=now))


def decide(o: Observed) -> Decision:
    """Decide."""
    return plan.decide(o)


def swept_later(o: Observed) -> Observed:
    """Have files not be read again for long."""
    return replace(o, intervals=replace(o.intervals, sweep=10 * DAY))


def acted(o: Observed, body: dict[str, Any] | None, decision: Decision, by: Signer | None = None) -> dict[str, Any]:
    """Do what was decided, and return the Secret that is there then."""
    made, files = issued(o, by)
    if decision.action in {Action.ISSUE, Action.REPLACE} and (body is None or decision.action is Action.REPLACE):
        return as_stored(render.secret(o.identity, o.wanted, made, files))
    if body is None:
        raise AssertionError(f"there is no Secret for {decision.action}")
    metadata = secret.parse(body["metadata"])
    match decision.action:
        case Action.ISSUE:
            patch = render.secret_patch(o.identity, o.wanted, made, files, found=metadata)
        case Action.WRITE_METADATA:
            patch = render.metadata_patch(o.identity, o.wanted, o.facts, found=metadata)
        case Action.WRITE_BUNDLE:
            new = msgspec.structs.replace(o.facts, bundle_hash=o.trust.bundle_hash)
            patch = render.bundle_patch(new, o.trust.bundle, found=metadata)
        case Action.WRITE_FORMATS:
            new = msgspec.structs.replace(o.facts, bundle_hash=o.trust.bundle_hash)
            new, further = with_formats(o, new, *facts.key_and_chain(body))
            patch = render.formats_patch(o, new, further, found=metadata)
        case _:
            raise AssertionError(f"nothing is written for {decision.action}")
    return as_stored(merged(body, patch))
