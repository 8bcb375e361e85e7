"""The `MutualTLSAuthority` as the API server holds it: typed, documented, bounded.

This is the source of `crds/mutualtlsauthorities.yaml`; descriptions here are what `kubectl explain`
prints. The CA generations of an authority and their states are in `ledger`; how they come about is in `rotation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from mutualtls.core import identity, labels, schema
from mutualtls.core.identity import Algorithm, Resource
from mutualtls.core.ledger import Role, State
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


class RootSpec(Resource, frozen=True, kw_only=True):
    """Where the root comes from."""

    self_signed: Annotated[SelfSignedSpec, schema.field("A root that the operator makes and signs itself.")] = (
        SelfSignedSpec()
    )


class IssuingSpec(Resource, frozen=True, kw_only=True):
    """The intermediate CA between the root and the leaves. Its certificate travels in tls.crt."""

    duration: Annotated[
        str, schema.duration("Life of the issuing CA's certificate. Defaults to 2160h (90 days).", least="2m")
    ] = "2160h"
    private_key: Annotated[CAKeySpec, _CA_KEY] = CAKeySpec()


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
_NOT_SVC = schema.rule(
    "self != 'svc' && !self.endsWith('.svc')",
    "must not end in svc: names of two namespaces would be the same",
)
_IMMUTABLE = schema.rule("self == oldSelf", "cannot be changed: make another authority")

CEL_ON_SPEC = (_LEAF_WITHIN_ISSUING, _ISSUING_WITHIN_ROOT)
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


class AuthorityStatus(Resource, frozen=True, kw_only=True):
    """A copy of what the operator knows of the authority. It may be lost: the ledger counts."""

    observed_generation: Annotated[
        int, schema.field("The metadata.generation that this status is about; -1 until there is one.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...],
        schema.by_type("Ready: certificates are signed. KeyLost: a CA key that was made is gone."),
    ] = ()
    generations: Annotated[
        tuple[CAStatus, ...], schema.field("The CA generations, newest last in each role.", maxItems=64)
    ] = ()
    bundle: Annotated[str | None, schema.text("Hash of the CA bundle that is written now.", longest=80)] = None


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
    abandon: frozenset[str] = frozenset()
    """Order: fingerprints, lower-case hex, of roots whose keys are lost and that are to be given up."""
    is_deleting: bool = False
    fault: str | None = None
    """Why the spec could not be read; `spec` is then empty."""


def parse_metadata(metadata: Mapping[str, Any]) -> tuple[int, str | None, frozenset[str], bool]:
    """Read generation, namespace of the operator, the order to abandon a root, and whether it is being deleted."""
    annotations = metadata.get("annotations") or {}
    ordered = annotations.get(labels.ABANDON, "").lower().replace(":", "").split(",")
    abandon = frozenset(fingerprint.strip() for fingerprint in ordered if fingerprint.strip())
    return metadata["generation"], annotations.get(labels.OPERATOR_NAMESPACE), abandon, "deletionTimestamp" in metadata


def parse(body: dict[str, Any]) -> Authority:
    """Read an authority from JSON of the API server. A spec that does not fit the schema becomes a `fault`."""
    metadata = body["metadata"]
    spec, fault = identity.convert_spec(body, AuthoritySpec)
    generation, operator_namespace, abandon, is_deleting = parse_metadata(metadata)
    return Authority(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=generation,
        resource_version=metadata["resourceVersion"],
        spec=spec,
        status=identity.convert_status(body, AuthorityStatus),
        operator_namespace=operator_namespace,
        abandon=abandon,
        is_deleting=is_deleting,
        fault=fault,
    )
