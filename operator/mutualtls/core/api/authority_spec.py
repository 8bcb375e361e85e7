"""The spec of a `MutualTLSAuthority`: a source of its CRD. Descriptions are what `kubectl explain` prints."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from mutualtls.core.api.algorithms import Algorithm
from mutualtls.core.model import schema
from mutualtls.core.model.resource import Resource
from mutualtls.core.model.selectors import LabelSelector
from mutualtls.core.names.constraints import NameConstraintsSpec
from mutualtls.core.names.permits import PermitSpec

_SIZE_FITS = schema.rule(
    "!has(self.size) || (self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : self.size in [256, 384, 521])",
    "must fit the algorithm: 256, 384 or 521 for ECDSA, 2048, 3072 or 4096 for RSA",
    fieldPath=".size",
)


class CAKeySpec(Resource, frozen=True, kw_only=True):
    """How a CA's private key is generated. Not Ed25519, which many verifiers refuse in a CA."""

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


_CA_KEY = schema.field("How the CA's private key is generated.", _SIZE_FITS)


class SelfSignedSpec(Resource, frozen=True, kw_only=True):
    """A root that the operator makes and signs itself."""

    common_name: Annotated[
        str | None,
        schema.text("Common name of the root. Defaults to the name of the authority followed by 'root'.", longest=64),
    ] = None
    duration: Annotated[
        str, schema.duration("Lifetime of the root certificate. Defaults to 87600h (ten years).", least="1h")
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
            "A CA of an outside PKI instead, in a Secret of the operator's namespace: tls.crt (a root, or an "
            "intermediate followed by those above it), tls.key, and ca.crt (the root, if tls.crt has an "
            "intermediate). It is used if OpenSSL, Python, Go and Java accept what it signs. The Secret is read and "
            "copied, never changed; putting another CA there starts a root rotation."
        ),
    ] = None


class IssuingSpec(Resource, frozen=True, kw_only=True):
    """The intermediate CA between the root and the leaves. Its certificate travels in tls.crt."""

    enabled: Annotated[
        bool,
        schema.field(
            "If false, the root signs leaves itself, as an intermediate of an outside PKI always "
            "does. Defaults to true."
        ),
    ] = True
    duration: Annotated[
        str, schema.duration("Lifetime of the issuing CA's certificate. Defaults to 2160h (90 days).", least="2m")
    ] = "2160h"
    private_key: Annotated[CAKeySpec, _CA_KEY] = CAKeySpec()


_RESERVED = ("mutualtls.dev", "kubernetes.io", "k8s.io")
_NOT_RESERVED = schema.rule(
    rf"!self.matches(r'(^|\.)({'|'.join(map(re.escape, _RESERVED))})$')",
    f"must not be {', '.join(_RESERVED)} or below them",
)


def is_reserved(prefix: str) -> bool:
    """Tell whether a domain prefix, or one above it, means something to us or to Kubernetes itself."""
    return any(prefix == one or prefix.endswith(f".{one}") for one in _RESERVED)


class OnNotPermitted(StrEnum):
    """What becomes of files whose names are not permitted any more."""

    KEEP = "Keep"
    DELETE = "Delete"


class LeafSpec(Resource, frozen=True, kw_only=True):
    """Bounds for the certificates of identities."""

    duration: Annotated[str, schema.duration("Lifetime if the identity sets none. Defaults to 24h.")] = "24h"
    min_duration: Annotated[str, schema.duration("Shortest lifetime that identities may set. Defaults to 10m.")] = "10m"
    max_duration: Annotated[
        str,
        schema.duration(
            "Longest lifetime that identities may set, at most half of issuing.duration. Defaults to 168h (seven days)."
        ),
    ] = "168h"
    algorithms: Annotated[
        tuple[Algorithm, ...],
        schema.choice("Key algorithms that identities may use. Defaults to all.", most=3),
    ] = (Algorithm.ECDSA, Algorithm.RSA, Algorithm.ED25519)
    secret_metadata_prefixes: Annotated[
        tuple[Annotated[str, schema.text("A domain.", _NOT_RESERVED, longest=253, pattern=schema.DNS_SUBDOMAIN)], ...],
        schema.unique(
            "Domain prefixes that identities may use in labels and annotations of their Secrets; "
            "none by default. Other "
            "controllers act on such annotations and may copy the key elsewhere. Each stands for itself, not for "
            "domains below it.",
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
    """How the root is rotated."""

    soak: Annotated[
        str,
        schema.duration(
            "How long consumers may take to load new files: the time between the last write of a new bundle and the "
            "first use of the new root. Defaults to 24h.",
            least="1s",
        ),
    ] = "24h"
    retire: Annotated[
        Retire,
        schema.field(
            "When the old root leaves the bundle: AfterExpiry (default), when none of its leaves can "
            "be valid any more; "
            "AfterReplacement, when all its leaves have been replaced, at the pace below, and the soak has passed."
        ),
    ] = Retire.AFTER_EXPIRY
    approval: Annotated[
        Approval,
        schema.field(
            "If Manual, the new root signs, and the old one goes, only when approved by annotation. "
            "Defaults to Automatic."
        ),
    ] = Approval.AUTOMATIC
    rotate_before: Annotated[
        str | None,
        schema.duration("How long before its end a root is replaced. Defaults to a third of its lifetime."),
    ] = None
    laggard_timeout: Annotated[
        str,
        schema.duration(
            "How long a rotation waits for objects that cannot be brought up to date before it skips "
            "them. Defaults to 1h.",
            least="1s",
        ),
    ] = "1h"
    pace: Annotated[
        int,
        schema.field(
            "How many certificates per second are reissued because their CA was replaced, or are renewed after an "
            "outage. Defaults to 50.",
            minimum=1,
            maximum=1000,
        ),
    ] = 50


_NO_LEDGER = schema.rule("!self.startsWith('mutualtls-ledger.')", "must not be the name of a ledger")


class BundleConfigMapSpec(Resource, frozen=True, kw_only=True):
    """A ConfigMap with the bundle in each selected namespace."""

    name: Annotated[
        str,
        schema.text(
            "Name of the ConfigMap, whose key ca.crt holds the bundle. A ConfigMap of that name that the operator did "
            "not create is left alone.",
            _NO_LEDGER,
            longest=253,
            pattern=schema.DNS_SUBDOMAIN,
        ),
    ]
    namespace_selector: Annotated[
        LabelSelector, schema.field("Selects the namespaces that get one by their labels; {} selects all.")
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
        schema.field("A ConfigMap with the bundle in each selected namespace. If not set, there is none."),
    ] = None
    cluster_trust_bundle: Annotated[
        bool,
        schema.field(
            "Whether to publish the bundle as a ClusterTrustBundle as well, if the API server serves these: signer "
            "mutualtls.dev/AUTHORITY, name mutualtls.dev:AUTHORITY:bundle. Defaults to true."
        ),
    ] = True
    additional_roots: Annotated[
        tuple[RootsReference, ...],
        schema.field(
            "Roots of other CAs to trust as well, as PEM in ConfigMaps of the operator's namespace: to migrate from "
            "another CA, or to trust another cluster. They are read and copied; unusable ones change nothing. A root "
            "that a ClusterTrustBundle or a PKCS#12 store cannot hold is left out there.",
            maxItems=8,
        ),
    ] = ()
    remove_after: Annotated[
        str | None,
        schema.duration(
            "How long a ConfigMap or ClusterTrustBundle that the spec no longer asks for stays and is kept current. "
            "Defaults to the sum of leaf.maxDuration and rotation.soak. Copies of a deleted authority stay.",
            least="1s",
        ),
    ] = None


_ORDERED = schema.durations(
    "{0} <= {1} && {1} <= {2}",
    "duration (24h unless set) must be between minDuration (10m unless set) and maxDuration (168h unless set)",
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


_IMMUTABLE = schema.rule("self == oldSelf", "cannot be changed: create another authority")


CEL_ON_SPEC = (
    _LEAF_WITHIN_ISSUING,
    _ISSUING_WITHIN_ROOT,
    _ROOM_TO_ROTATE,
    _ROOM_IN_A_THIRD,
    _ROTATE_WITHIN_LIFE,
    _OWN_TRUST_DOMAIN,
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
        schema.field(
            "Selects the namespaces whose identities may use this authority by their labels. If not set, all may."
        ),
    ] = None
    permits: Annotated[
        tuple[PermitSpec, ...],
        schema.field(
            "Names that identities may have beside those of their own namespace's Services and service accounts. One "
            "permit must allow a name as a whole.",
            maxItems=32,
        ),
    ] = ()
    name_constraints: Annotated[
        NameConstraintsSpec,
        schema.field(
            "Name constraints of the issuing CA (RFC 5280 section 4.2.1.10): what it can sign at all, enforced by "
            "verifiers and checked before signing. A change replaces the issuing CA. Names of Services must be "
            "permitted here as well."
        ),
    ] = NameConstraintsSpec()
    trust: Annotated[
        TrustSpec,
        schema.field(
            "Which roots are trusted beside the authority's own, and where the bundle is published "
            "beside the Secrets of "
            "identities."
        ),
    ] = TrustSpec()
    rotation: Annotated[RotationSpec, schema.field("How the root is rotated.")] = RotationSpec()
    on_not_permitted: Annotated[
        OnNotPermitted,
        schema.field(
            "What happens to the files of identities whose names are no longer permitted: Keep (default) keeps them "
            "until they expire, without renewal; Delete deletes the Secret, even if the identity's deletionPolicy is "
            "Retain."
        ),
    ] = OnNotPermitted.KEEP
    suspend: Annotated[
        bool, schema.field("If true, no certificate is signed and no CA is made until it is false again.")
    ] = False
