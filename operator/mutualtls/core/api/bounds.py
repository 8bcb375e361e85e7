"""Rules of the schema over several fields, or about what a text must not be, once more: in the schema they are CEL.

They are for a manifest that no API server has seen. The words are those of the schema, which a test compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from mutualtls.core import times
from mutualtls.core.api.algorithms import CA_SIZES, Algorithm
from mutualtls.core.api.authority_spec import AuthoritySpec, CAKeySpec, is_reserved
from mutualtls.core.api.identity_spec import IdentitySpec
from mutualtls.core.errors import Fault

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rule(Generic[_T]):
    """One rule, and the field that it is told of."""

    field: str
    message: str
    holds: Callable[[_T], bool]


_OF_CA_KEYS = "must fit the algorithm: 256, 384 or 521 for ECDSA, 2048, 3072 or 4096 for RSA"


def _fits(key: CAKeySpec) -> bool:
    return key.size is None or key.size in CA_SIZES.get(Algorithm(key.algorithm), ())


def _seconds(text: str) -> float:
    return times.parse_duration(text).total_seconds()


def _takes(spec: AuthoritySpec) -> float:
    """How long the replacing of a root may take, in seconds."""
    rotation = spec.rotation
    return 2 * _seconds(spec.leaf.max_duration) + _seconds(rotation.soak) + _seconds(rotation.laggard_timeout)


OF_AUTHORITIES: tuple[Rule[AuthoritySpec], ...] = (
    Rule(
        "spec.leaf",
        "duration (24h unless set) must be between minDuration (10m unless set) and maxDuration (168h unless set)",
        lambda spec: (
            _seconds(spec.leaf.min_duration) <= _seconds(spec.leaf.duration) <= _seconds(spec.leaf.max_duration)
        ),
    ),
    Rule(
        "spec.leaf.maxDuration",
        "must be at most half of issuing.duration",
        lambda spec: 2 * _seconds(spec.leaf.max_duration) <= _seconds(spec.issuing.duration),
    ),
    Rule(
        "spec.issuing.duration",
        "must be at most half of root.selfSigned.duration",
        lambda spec: 2 * _seconds(spec.issuing.duration) <= _seconds(spec.root.self_signed.duration),
    ),
    Rule(
        "spec.rotation.rotateBefore",
        "must leave room for twice leaf.maxDuration, rotation.soak and rotation.laggardTimeout",
        lambda spec: spec.rotation.rotate_before is None or _seconds(spec.rotation.rotate_before) >= _takes(spec),
    ),
    Rule(
        "spec.rotation.rotateBefore",
        "must be shorter than root.selfSigned.duration",
        lambda spec: (
            spec.rotation.rotate_before is None
            or _seconds(spec.rotation.rotate_before) < _seconds(spec.root.self_signed.duration)
        ),
    ),
    Rule(
        "spec.root.selfSigned.duration",
        "a third of it must leave room for twice leaf.maxDuration, rotation.soak and rotation.laggardTimeout; or set "
        "rotation.rotateBefore",
        lambda spec: (
            spec.rotation.rotate_before is not None or _seconds(spec.root.self_signed.duration) >= 3 * _takes(spec)
        ),
    ),
    Rule(
        "spec.trustDomain",
        "must be another than cluster.local with root.secretRef: two clusters under one root must not speak for each "
        "other",
        lambda spec: spec.root.secret_ref is None or spec.trust_domain != "cluster.local",
    ),
    Rule(
        "spec.clusterDomain",
        "must not have a label svc: one name could be of two namespaces",
        lambda spec: "svc" not in spec.cluster_domain.split("."),
    ),
    Rule("spec.root.selfSigned.privateKey.size", _OF_CA_KEYS, lambda spec: _fits(spec.root.self_signed.private_key)),
    Rule("spec.issuing.privateKey.size", _OF_CA_KEYS, lambda spec: _fits(spec.issuing.private_key)),
    Rule(
        "spec.leaf.secretMetadataPrefixes",
        "must not be mutualtls.dev, kubernetes.io, k8s.io or below them",
        lambda spec: not any(map(is_reserved, spec.leaf.secret_metadata_prefixes)),
    ),
    Rule(
        "spec.trust.configMap.name",
        "must not be the name of a ledger",
        lambda spec: spec.trust.config_map is None or not spec.trust.config_map.name.startswith("mutualtls-ledger."),
    ),
)

OF_IDENTITIES: tuple[Rule[IdentitySpec], ...] = (
    Rule(
        "spec.renewBeforePercentage",
        "set renewBefore or renewBeforePercentage, not both",
        lambda spec: spec.renew_before is None or spec.renew_before_percentage is None,
    ),
)


def broken(spec: _T, rules: tuple[Rule[_T], ...]) -> Iterator[Fault]:
    """List the rules that a spec breaks. Its durations are such."""
    for rule in rules:
        if not rule.holds(spec):
            yield Fault(field=rule.field, message=rule.message)
