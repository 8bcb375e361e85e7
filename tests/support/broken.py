"""Specs that break one rule of the schema each: told by `mutualtls check`, and by the API server."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from mutualtls.core.api.authority_spec import AuthoritySpec
from mutualtls.core.api.identity_spec import IdentitySpec


class Broken(NamedTuple):
    """A rule, by its field and the beginning of what it says, and a spec that breaks it alone."""

    kind: type[msgspec.Struct]
    field: str
    beginning: str
    spec: dict[str, Any]


BROKEN = (
    Broken(AuthoritySpec, "spec.leaf", "duration (24h unless set) must be", {"leaf": {"maxDuration": "20h"}}),
    Broken(AuthoritySpec, "spec.leaf.maxDuration", "must be at most half", {"issuing": {"duration": "300h"}}),
    Broken(AuthoritySpec, "spec.issuing.duration", "must be at most half", {"issuing": {"duration": "50000h"}}),
    Broken(AuthoritySpec, "spec.rotation.rotateBefore", "must leave room", {"rotation": {"rotateBefore": "24h"}}),
    Broken(AuthoritySpec, "spec.rotation.rotateBefore", "must be shorter", {"rotation": {"rotateBefore": "90000h"}}),
    Broken(
        AuthoritySpec,
        "spec.root.selfSigned.duration",
        "a third of it must leave room",
        {"root": {"selfSigned": {"duration": "1000h"}}, "issuing": {"duration": "400h"}},
    ),
    Broken(AuthoritySpec, "spec.trustDomain", "must be another than", {"root": {"secretRef": {"name": "a"}}}),
    Broken(AuthoritySpec, "spec.clusterDomain", "must not have a label svc", {"clusterDomain": "svc.example"}),
    Broken(
        AuthoritySpec,
        "spec.root.selfSigned.privateKey.size",
        "must fit the algorithm",
        {"root": {"selfSigned": {"privateKey": {"size": 512}}}},
    ),
    Broken(
        AuthoritySpec,
        "spec.issuing.privateKey.size",
        "must fit the algorithm",
        {"issuing": {"privateKey": {"size": 512}}},
    ),
    Broken(
        AuthoritySpec,
        "spec.leaf.secretMetadataPrefixes",
        "must not be mutualtls.dev",
        {"leaf": {"secretMetadataPrefixes": ["a.k8s.io"]}},
    ),
    Broken(
        AuthoritySpec,
        "spec.trust.configMap.name",
        "must not be the name of a ledger",
        {"trust": {"configMap": {"name": "mutualtls-ledger.a", "namespaceSelector": {}}}},
    ),
    Broken(
        IdentitySpec,
        "spec.renewBeforePercentage",
        "set renewBefore or",
        {"renewBefore": "1h", "renewBeforePercentage": 5},
    ),
)
