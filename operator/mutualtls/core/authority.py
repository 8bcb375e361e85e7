"""The `MutualTLSAuthority` as the API server holds it: typed, documented, bounded.

This is the source of `crds/mutualtlsauthorities.yaml`; descriptions here are what `kubectl explain`
prints. The CA generations of an authority and their states are in `ledger`; how they come about is in `rotation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from mutualtls.core import constraints, identity, labels, names, orders, permits, schema, selectors, uris
from mutualtls.core.constraints import NameConstraintsSpec
from mutualtls.core.errors import Fault
from mutualtls.core.identity import Algorithm, Resource
from mutualtls.core.ledger import Role, State
from mutualtls.core.orders import Orders
from mutualtls.core.permits import PermitSpec
from mutualtls.core.selectors import LabelSelector
from mutualtls.core.status import Condition

_SIZE_FITS = schema.rule(
    "!has(self.size) || (self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : self.size in [256, 384, 521])",
    "must fit the algorithm: 256, 384 or 521 for ECDSA, 2048, 3072 or 4096 for RSA",
    fieldPath=".size",
)


class CAKeySpec(Resource, frozen=True, kw_only=True):
    """How a CA's private key is made. Not Ed25519, which many verifiers refuse in a CA."""

    algorithm: Annotated[
        Algorithm, schema.field("Algorithm of the key: ECDSA (default) or RSA.", enum=["ECDSA", "RSA"])
    ] = Algorithm.ECDSA
    size: Annotated[
        int | None,
        schema.field(
            "Size in bits: 256 (default), 384 or 521 for ECDSA; 2048, 3072 (default) or 4096 for RSA.",
            minimum=256,
            maximum=4096,
        ),
    ] = None


_CA_KEY = schema.field("How the CA's private key is made.", _SIZE_FITS)


class SelfSignedSpec(Resource, frozen=True, kw_only=True):
    """A root that the operator makes and signs itself."""

    common_name: Annotated[
        str | None,
        schema.text("Common name of the root. Defaults to the name of the authority followed by 'root'.", longest=64),
    ] = None
    duration: Annotated[
        str, schema.duration("Life of the root certificate. Defaults to 87600h (ten years).", least="1h")
    ] = "87600h"
    private_key: Annotated[CAKeySpec, _CA_KEY] = CAKeySpec()


class SecretReference(Resource, frozen=True, kw_only=True):
    """A Secret of the operator's namespace."""

    name: Annotated[str, schema.text("Name of the Secret.", longest=253, pattern=schema.DNS_SUBDOMAIN)]


class RootSpec(Resource, frozen=True, kw_only=True):
    """Where the root comes from."""

    self_signed: Annotated[SelfSignedSpec, schema.field("A root that the operator makes and signs itself.")] = (
        SelfSignedSpec()
    )
    secret_ref: Annotated[
        SecretReference | None,
        schema.field(
            "A CA of an outside PKI instead, in a Secret of the operator's namespace: tls.crt (a root or an "
            "intermediate, then further intermediates), tls.key, and ca.crt (its root, where tls.crt has an "
            "intermediate). It is read and copied, never changed; another one that is put there replaces it as a root "
            "is replaced."
        ),
    ] = None


class IssuingSpec(Resource, frozen=True, kw_only=True):
    """The intermediate CA between the root and the leaves. Its certificate travels in tls.crt."""

    enabled: Annotated[
        bool,
        schema.field(
            "False: the root signs leaves itself. An intermediate of an outside PKI always does. Defaults to true."
        ),
    ] = True
    duration: Annotated[
        str, schema.duration("Life of the issuing CA's certificate. Defaults to 2160h (90 days).", least="2m")
    ] = "2160h"
    private_key: Annotated[CAKeySpec, _CA_KEY] = CAKeySpec()


RESERVED_PREFIXES = ("mutualtls.dev", "kubernetes.io", "k8s.io")
"""Domain prefixes, with all below them, that mean something to us or to Kubernetes itself."""
_NOT_RESERVED = schema.rule(
    r"!self.matches(r'(^|\.)(mutualtls\.dev|kubernetes\.io|k8s\.io)$')",
    "must not be mutualtls.dev, kubernetes.io, k8s.io or below them",
)


class OnNotPermitted(StrEnum):
    """What becomes of files whose names are not permitted any more."""

    KEEP = "Keep"
    DELETE = "Delete"


class LeafSpec(Resource, frozen=True, kw_only=True):
    """Bounds for the certificates of identities."""

    duration: Annotated[str, schema.duration("Life where the identity asks for none. Defaults to 24h.")] = "24h"
    min_duration: Annotated[str, schema.duration("Shortest life that may be asked for. Defaults to 10m.")] = "10m"
    max_duration: Annotated[
        str,
        schema.duration(
            "Longest life that may be asked for, at most half of issuing.duration. Defaults to 168h (seven days)."
        ),
    ] = "168h"
    algorithms: Annotated[
        tuple[Algorithm, ...],
        schema.unique("Algorithms that identities may ask for. Defaults to all.", least=1, most=3),
    ] = (Algorithm.ECDSA, Algorithm.RSA, Algorithm.ED25519)
    secret_metadata_prefixes: Annotated[
        tuple[Annotated[str, schema.text("A domain.", _NOT_RESERVED, longest=253, pattern=schema.DNS_SUBDOMAIN)], ...],
        schema.unique(
            "Domain prefixes that labels and annotations may have which identities ask for on their Secrets; none by "
            "default. Other controllers obey such annotations, and may copy the key elsewhere. Each stands for itself, "
            "not for domains below it.",
            most=32,
        ),
    ] = ()


class Retire(StrEnum):
    """When a root that signs no more is taken out of trust."""

    AFTER_EXPIRY = "AfterExpiry"
    """When no leaf of it can be valid any more."""
    AFTER_REPLACEMENT = "AfterReplacement"
    """When every leaf of it was replaced, and the soak has passed."""


class Approval(StrEnum):
    """Who says that a rotation goes on."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class RotationSpec(Resource, frozen=True, kw_only=True):
    """How the root is replaced."""

    soak: Annotated[
        str,
        schema.duration(
            "How long consumers may take to read new files. It passes between the last write of a new bundle and the "
            "first use of the new root. Defaults to 24h.",
            least="1s",
        ),
    ] = "24h"
    retire: Annotated[
        Retire,
        schema.field(
            "When the old root is taken out of the bundle: AfterExpiry (default), when no leaf of it can be valid any "
            "more; AfterReplacement, when all its leaves were replaced, at once and at the pace, and the soak has "
            "passed."
        ),
    ] = Retire.AFTER_EXPIRY
    approval: Annotated[
        Approval,
        schema.field("Manual: the new root signs, and the old one goes, only after an order. Defaults to Automatic."),
    ] = Approval.AUTOMATIC
    rotate_before: Annotated[
        str | None,
        schema.duration("How long before its end a root is replaced. Defaults to a third of its life."),
    ] = None
    laggard_timeout: Annotated[
        str,
        schema.duration(
            "How long a rotation waits for what cannot be brought up to date. Defaults to 1h.",
            least="1s",
        ),
    ] = "1h"
    pace: Annotated[
        int,
        schema.field(
            "How many certificates a second are made anew because their CA was replaced. Defaults to 50.",
            minimum=1,
            maximum=1000,
        ),
    ] = 50


_NO_LEDGER = schema.rule("!self.startsWith('mutualtls-ledger.')", "must not be the name of a ledger")


class BundleConfigMapSpec(Resource, frozen=True, kw_only=True):
    """A ConfigMap with the bundle, in each of some namespaces."""

    name: Annotated[
        str,
        schema.text(
            "Name of the ConfigMap, whose key ca.crt holds the bundle. One of that name which is somebody else's is "
            "left alone.",
            _NO_LEDGER,
            longest=253,
            pattern=schema.DNS_SUBDOMAIN,
        ),
    ]
    namespace_selector: Annotated[
        LabelSelector, schema.field("The namespaces that get one, by their labels; {} is all.")
    ]


class RootsReference(Resource, frozen=True, kw_only=True):
    """A key of a ConfigMap of the operator's namespace, with roots."""

    name: Annotated[str, schema.text("Name of the ConfigMap.", longest=253, pattern=schema.DNS_SUBDOMAIN)]
    key: Annotated[
        str, schema.text("Key in its data. Defaults to ca.crt.", longest=253, pattern=r"^[-._a-zA-Z0-9]+$")
    ] = "ca.crt"


class TrustSpec(Resource, frozen=True, kw_only=True):
    """Which roots are trusted beside the authority's own, and where the bundle goes beside Secrets."""

    config_map: Annotated[
        BundleConfigMapSpec | None,
        schema.field("A ConfigMap with the bundle, in each of some namespaces. Left out, there is none."),
    ] = None
    cluster_trust_bundle: Annotated[
        bool,
        schema.field(
            "Whether the bundle is a ClusterTrustBundle, too, where the API server serves these: of signer "
            "mutualtls.dev/AUTHORITY, by the name mutualtls.dev:AUTHORITY:bundle. Defaults to true."
        ),
    ] = True
    additional_roots: Annotated[
        tuple[RootsReference, ...],
        schema.field(
            "Roots of other CAs that are trusted as well, as PEM in ConfigMaps of the operator's namespace: to move "
            "over from another CA, or to trust that of another cluster. They are read and copied; what cannot be used "
            "changes nothing.",
            maxItems=8,
        ),
    ] = ()


_ORDERED = schema.durations(
    "{0} <= {1} && {1} <= {2}",
    "minDuration, duration and maxDuration must be in this order",
    "minDuration",
    "duration",
    "maxDuration",
)
_LEAF_WITHIN_ISSUING = schema.durations(
    "{0} + {0} <= {1}",
    "must be at most half of issuing.duration",
    "leaf.maxDuration",
    "issuing.duration",
    fieldPath=".leaf.maxDuration",
)
_ISSUING_WITHIN_ROOT = schema.durations(
    "{0} + {0} <= {1}",
    "must be at most half of root.selfSigned.duration",
    "issuing.duration",
    "root.selfSigned.duration",
    fieldPath=".issuing.duration",
)
_ROOM = "{1} + {1} + {2} + {3}"
_ROTATION_TAKES = ("leaf.maxDuration", "rotation.soak", "rotation.laggardTimeout")
_ROOM_TO_ROTATE = schema.durations(
    f"{{0}} >= {_ROOM}",
    "must leave room for twice leaf.maxDuration, rotation.soak and rotation.laggardTimeout",
    "rotation.rotateBefore",
    *_ROTATION_TAKES,
    fieldPath=".rotation.rotateBefore",
)
_ROOM_IN_A_THIRD = schema.durations(
    f"has(self.rotation.rotateBefore) || {{0}} >= {_ROOM} + {_ROOM} + {_ROOM}",
    "a third of it must leave room for twice leaf.maxDuration, rotation.soak and rotation.laggardTimeout; or set "
    "rotation.rotateBefore",
    "root.selfSigned.duration",
    *_ROTATION_TAKES,
    fieldPath=".root.selfSigned.duration",
)
_ROTATE_WITHIN_LIFE = schema.durations(
    "{0} < {1}",
    "must be shorter than root.selfSigned.duration",
    "rotation.rotateBefore",
    "root.selfSigned.duration",
    fieldPath=".rotation.rotateBefore",
)
_OWN_TRUST_DOMAIN = schema.rule(
    "!has(self.root) || !has(self.root.secretRef) || self.trustDomain != 'cluster.local'",
    "must be another than cluster.local with root.secretRef: two clusters under one root must not speak for each other",
    fieldPath=".trustDomain",
)
_NOT_SVC = schema.rule(
    r"!self.matches(r'(^|\.)svc(\.|$)')",
    "must not have a label svc: one name could be of two namespaces",
)
_IMMUTABLE = schema.rule("self == oldSelf", "cannot be changed: make another authority")

CEL_ON_SPEC = (
    _LEAF_WITHIN_ISSUING,
    _ISSUING_WITHIN_ROOT,
    _ROOM_TO_ROTATE,
    _ROOM_IN_A_THIRD,
    _ROTATE_WITHIN_LIFE,
    _OWN_TRUST_DOMAIN,
)
CEL_ON_ROOT = (
    schema.rule(
        "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
        "must be a DNS label: at most 63 characters, no dots",
        fieldPath=".metadata.name",
    ),
)


class AuthoritySpec(Resource, frozen=True, kw_only=True):
    """How certificates are signed. An empty spec works: a self-signed root and an issuing CA, made by the operator."""

    root: Annotated[RootSpec, schema.field("Where the root comes from.")] = RootSpec()
    issuing: Annotated[
        IssuingSpec,
        schema.field("The intermediate CA between the root and the leaves. Its certificate travels in tls.crt."),
    ] = IssuingSpec()
    trust_domain: Annotated[
        str,
        schema.text(
            "Trust domain of the SPIFFE IDs. Defaults to cluster.local and cannot be changed.",
            _IMMUTABLE,
            longest=253,
            pattern=schema.DNS_SUBDOMAIN,
        ),
    ] = "cluster.local"
    cluster_domain: Annotated[
        str,
        schema.text(
            "DNS domain of the cluster, under which the names of Services end. Defaults to cluster.local.",
            _NOT_SVC,
            longest=253,
            pattern=schema.DNS_SUBDOMAIN,
        ),
    ] = "cluster.local"
    leaf: Annotated[LeafSpec, schema.field("Bounds for the certificates of identities.", _ORDERED)] = LeafSpec()
    namespace_selector: Annotated[
        LabelSelector | None,
        schema.field("The namespaces whose identities may use this authority, by their labels. Left out, it is all."),
    ] = None
    permits: Annotated[
        tuple[PermitSpec, ...],
        schema.field(
            "Names that identities may hold beside those of their own namespace's Services and service accounts. Each "
            "name must be allowed whole by one of them.",
            maxItems=32,
        ),
    ] = ()
    name_constraints: Annotated[
        NameConstraintsSpec,
        schema.field(
            "Name constraints of the issuing CA (RFC 5280 section 4.2.1.10): what it can sign at all, for verifiers to "
            "honour. Checked before signing, too. A change replaces the issuing CA; names of Services need to be "
            "permitted here as well."
        ),
    ] = NameConstraintsSpec()
    trust: Annotated[
        TrustSpec,
        schema.field(
            "Which roots are trusted beside the authority's own, and where the bundle goes beside the Secrets of "
            "identities."
        ),
    ] = TrustSpec()
    rotation: Annotated[RotationSpec, schema.field("How the root is replaced.")] = RotationSpec()
    on_not_permitted: Annotated[
        OnNotPermitted,
        schema.field(
            "What becomes of the files of identities whose names are not permitted any more: Keep (default) leaves "
            "them until they expire, and renews them no more; Delete removes the Secret, also where the identity's "
            "deletionPolicy is Retain."
        ),
    ] = OnNotPermitted.KEEP
    suspend: Annotated[
        bool, schema.field("True: no certificate is signed and no CA is made until it is false again.")
    ] = False


class CAStatus(Resource, frozen=True, kw_only=True):
    """One CA generation: a key pair and its certificate, numbered from 1 per role. Copied from the ledger."""

    role: Annotated[Role, schema.field("root or issuing.")]
    number: Annotated[int, schema.field("Number of the CA generation. Never used twice.")]
    state: Annotated[State, schema.field("Making, Published, Active, Retiring, Withdrawn, Gone or Lost.")]
    fingerprint: Annotated[str, schema.text("SHA-256 of the certificate's DER, lower-case hex.", longest=64)]
    key_id: Annotated[str, schema.text("Subject key identifier, lower-case hex.", longest=64)] = msgspec.field(
        name="keyID"
    )
    not_after: Annotated[str, schema.field("End of its validity.", format="date-time")]
    certificate: Annotated[str, schema.text("The certificate as PEM.", longest=16384)]


class OrderStatus(Resource, frozen=True, kw_only=True):
    """An order: an annotation on the authority."""

    order: Annotated[str, schema.text("Name of the annotation.", longest=64)]
    value: Annotated[str, schema.text("Its value.", longest=256)]
    message: Annotated[str, schema.text("Why it is not obeyed; empty where it would be.", longest=512)] = ""


class NextStatus(Resource, frozen=True, kw_only=True):
    """What the replacing of the root waits for."""

    waits_for: Annotated[str, schema.text("What is waited for.", longest=512)]
    laggards: Annotated[
        tuple[Annotated[str, schema.text("An object.", longest=600)], ...],
        schema.field("What is not done yet: the first of them, by name.", maxItems=10),
    ] = ()
    behind: Annotated[int, schema.field("How many are not done yet.")] = 0
    excused: Annotated[int, schema.field("How many are not waited for any more.")] = 0
    excused_names: Annotated[
        tuple[Annotated[str, schema.text("An object.", longest=600)], ...],
        schema.field("What is not waited for any more: the first of them, by name.", maxItems=10),
    ] = ()
    forced: Annotated[
        str | None, schema.text("Why something is not waited for any longer before its time.", longest=512)
    ] = None
    until: Annotated[
        str | None, schema.field("When it goes on if nothing else happens, or more is known.", format="date-time")
    ] = None


class AuthorityStatus(Resource, frozen=True, kw_only=True):
    """A copy of what the operator knows of the authority. It may be lost: the ledger counts."""

    observed_generation: Annotated[
        int, schema.field("The metadata.generation that this status is about; -1 until there is one.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...],
        schema.by_type(
            "Ready: certificates are signed. Rotating: the root is being replaced, with the phase as the reason. "
            "KeyLost: a CA key that was made is gone. Drifted: a CA is not as the spec asks for a new one, or what it "
            "refers to cannot be used. Conflicting: the bundle cannot be put where something of somebody else's is."
        ),
    ] = ()
    next: Annotated[
        NextStatus | None, schema.field("What the replacing of the root waits for; left out while nothing is replaced.")
    ] = None
    orders: Annotated[
        tuple[OrderStatus, ...],
        schema.field(
            "Orders that are not obeyed, with the reason, and those that would be, to be copied.", maxItems=32
        ),
    ] = ()
    generations: Annotated[
        tuple[CAStatus, ...], schema.field("The CA generations, newest last in each role.", maxItems=64)
    ] = ()
    bundle: Annotated[str | None, schema.text("Hash of the CA bundle that is written now.", longest=80)] = None
    revision: Annotated[int, schema.field("How often the ledger was written when this status was.", minimum=0)] = 0

    def condition(self, kind: str) -> Condition | None:
        """Find a condition."""
        return next((condition for condition in self.conditions if condition.type == kind), None)

    @property
    def has_conflict(self) -> bool:
        """Whether something of somebody else's is where the bundle is to be."""
        found = self.condition(CONFLICTING)
        return found is not None and found.status == "True"


KEY_LOST, ROTATING, DRIFTED, CONFLICTING = "KeyLost", "Rotating", "Drifted", "Conflicting"
"""Condition types beside Ready."""


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """One `MutualTLSAuthority`, with what is needed of its metadata."""

    name: str
    uid: str
    generation: int
    resource_version: str
    spec: AuthoritySpec
    status: AuthorityStatus
    operator_namespace: str | None = None
    """Namespace of the operator that serves it; None while none does."""
    orders: Orders = Orders()
    is_deleting: bool = False
    fault: str | None = None
    """Why the spec could not be read; `spec` is then empty."""


def parse_metadata(metadata: Mapping[str, Any]) -> tuple[int, str | None, Orders, bool]:
    """Read generation, namespace of the operator, orders, and whether it is being deleted."""
    annotations = metadata.get("annotations") or {}
    namespace = annotations.get(labels.OPERATOR_NAMESPACE)
    return metadata["generation"], namespace, orders.parse(annotations), "deletionTimestamp" in metadata


def faults(spec: AuthoritySpec) -> list[Fault]:
    """List what is wrong with a spec that the schema could not see."""
    _, of_permits = permits.compiled(spec.permits)
    _, of_constraints = constraints.compiled(spec.name_constraints)
    return [*_domain_faults(spec), *_selector_faults(spec), *of_permits, *of_constraints]


def _selector_faults(spec: AuthoritySpec) -> Iterator[Fault]:
    bundles = spec.trust.config_map.namespace_selector if spec.trust.config_map else None
    selectors_of = {"namespaceSelector": spec.namespace_selector, "trust.configMap.namespaceSelector": bundles}
    for field, selector in selectors_of.items():
        for fault in selectors.faults(selector or LabelSelector()):
            yield Fault(field=f"spec.{field}", message=fault)


def _domain_faults(spec: AuthoritySpec) -> Iterator[Fault]:
    """Judge the domains, of which every name is made: in canonical form, and telling namespaces apart."""
    try:
        is_canonical = names.canonical_dns_name(spec.cluster_domain) == spec.cluster_domain
    except ValueError:
        is_canonical = False
    if not is_canonical or "*" in spec.cluster_domain or spec.cluster_domain.rpartition(".")[2] == "svc":
        message = f"must be a DNS name in lower case that does not end in svc: {names.shown(spec.cluster_domain)}"
        yield Fault(field="spec.clusterDomain", message=message)
    try:
        host = uris.parse(names.spiffe_id("a", "a", trust_domain=spec.trust_domain)).host
    except ValueError:
        host = ()
    if ".".join(host) != spec.trust_domain:
        message = f"must be a trust domain, of lower-case letters, digits and dots: {names.shown(spec.trust_domain)}"
        yield Fault(field="spec.trustDomain", message=message)


def parse(body: dict[str, Any]) -> Authority:
    """Read an authority from JSON of the API server. A spec that does not fit the schema becomes a `fault`."""
    metadata = body["metadata"]
    spec, fault = identity.convert_spec(body, AuthoritySpec)
    fault = fault or "; ".join(map(str, faults(spec))) or None
    generation, operator_namespace, ordered, is_deleting = parse_metadata(metadata)
    return Authority(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=generation,
        resource_version=metadata["resourceVersion"],
        spec=AuthoritySpec() if fault else spec,
        status=identity.convert_status(body, AuthorityStatus),
        operator_namespace=operator_namespace,
        orders=ordered,
        is_deleting=is_deleting,
        fault=fault,
    )
