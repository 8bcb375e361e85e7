"""From what an identity's spec says, its authority and its namespace, to what is wanted: names, key, life, Secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from mutualtls.core import labels, names, permits, times
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.identity import (
    Algorithm,
    DeletionPolicy,
    Encoding,
    Identity,
    IdentitySpec,
    PrivateKeySpec,
    RotationPolicy,
    Usage,
)
from mutualtls.core.keys import KeyType
from mutualtls.core.names import Names
from mutualtls.core.reasons import Reason
from mutualtls.core.trust import Trust

_DEFAULT_SIZES = {Algorithm.ECDSA: 256, Algorithm.RSA: 2048, Algorithm.ED25519: 256}
_SIZES = {
    Algorithm.ECDSA: (256, 384, 521),
    Algorithm.RSA: range(2048, 8193),
    Algorithm.ED25519: (256,),
}
_ENCODINGS = {
    Algorithm.ECDSA: (Encoding.PKCS8, Encoding.SEC1),
    Algorithm.RSA: (Encoding.PKCS8, Encoding.PKCS1),
    Algorithm.ED25519: (Encoding.PKCS8,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an identity asks for, with every default filled in."""

    names: Names
    usages: tuple[Usage, ...]
    key: KeyType
    encoding: Encoding
    rotation_policy: RotationPolicy
    duration: timedelta
    renew_before: timedelta
    secret_name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner_uid: str | None
    """uid for the ownerReference by which the Secret goes with its identity; None under Retain."""


def wanted(identity: Identity, trust: Trust) -> Wanted:
    """Work out what an identity asks for.

    Raises:
        SpecError: it asks for what cannot be (InvalidSpec) or may not be had (NotPermitted); all faults at once.
    """
    spec = identity.spec
    if identity.fault:
        raise SpecError(Reason.INVALID_SPEC, [Fault(field="spec", message=identity.fault)])
    invalid = [*_key_faults(spec.private_key), *_life_faults(spec, trust)]
    held, malformed, refused = _names(identity, trust)
    invalid += malformed
    if not held.dns and not held.uris and not invalid:
        invalid.append(Fault(field="spec", message="at least one name must remain"))
    if invalid or refused:
        raise SpecError(Reason.INVALID_SPEC if invalid else Reason.NOT_PERMITTED, [*invalid, *refused])
    duration = times.parse_duration(spec.duration) if spec.duration else trust.leaf_duration
    secret = spec.secret
    return Wanted(
        names=held,
        usages=tuple(sorted(set(spec.usages))),
        key=_key_type(spec.private_key),
        encoding=spec.private_key.encoding,
        rotation_policy=spec.private_key.rotation_policy,
        duration=duration,
        renew_before=_renew_before(spec, duration),
        secret_name=identity.secret_name,
        labels={
            **secret.labels,
            labels.PART: labels.PART_FILES,
            labels.AUTHORITY: trust.name,
            labels.MANAGED_BY: labels.FIELD_MANAGER,
        },
        annotations={
            **secret.annotations,
            labels.IDENTITY_NAME: identity.name,
            labels.IDENTITY_UID: identity.uid,
        },
        owner_uid=identity.uid if secret.deletion_policy == DeletionPolicy.DELETE else None,
    )


def names_hash(held: Names) -> str:
    """Hash names by their meaning. The prefix is the version of the form, so that an upgrade re-issues nothing."""
    return _meaning({"dns": sorted(held.dns), "uris": sorted(held.uris)})


def metadata_hash(labels: Mapping[str, str | None], annotations: Mapping[str, str | None], owner: str | None) -> str:
    """Hash the part of a Secret's metadata that is ours. None stands for a key that is not there."""
    return _meaning({"labels": labels, "annotations": annotations, "owner": owner})


def _meaning(value: object) -> str:
    encoded = msgspec.json.encode(value, order="deterministic")
    return f"v1:{hashlib.sha256(encoded).hexdigest()[:32]}"


def _key_type(spec: PrivateKeySpec) -> KeyType:
    return KeyType(spec.algorithm, spec.size or _DEFAULT_SIZES[spec.algorithm])


def _key_faults(spec: PrivateKeySpec) -> Iterator[Fault]:
    """Judge what CEL judges too, for specs that are read from a file or stored under an older CRD."""
    if spec.size is not None and spec.size not in _SIZES[spec.algorithm]:
        yield Fault(field="spec.privateKey.size", message=f"does not fit {spec.algorithm}: {spec.size}")
    if spec.encoding not in _ENCODINGS[spec.algorithm]:
        yield Fault(field="spec.privateKey.encoding", message=f"does not fit {spec.algorithm}: {spec.encoding}")


def _life_faults(spec: IdentitySpec, trust: Trust) -> Iterator[Fault]:
    """Judge the duration by the authority's bounds, and the renewal by the duration."""
    try:
        duration = times.parse_duration(spec.duration) if spec.duration else trust.leaf_duration
        renew_before = times.parse_duration(spec.renew_before) if spec.renew_before else None
    except ValueError as error:
        yield Fault(field="spec", message=str(error))
        return
    least, most = trust.leaf_min_duration, trust.leaf_max_duration
    if not least <= duration <= most:
        bounds = f"{times.format_duration(least)} to {times.format_duration(most)}"
        yield Fault(
            field="spec.duration",
            message=f"authority {trust.name} signs for {bounds}: {times.format_duration(duration)}",
        )
    if renew_before is not None and renew_before >= duration:
        yield Fault(
            field="spec.renewBefore",
            message=f"must be shorter than the duration, {times.format_duration(duration)}: {spec.renew_before}",
        )


def _renew_before(spec: IdentitySpec, duration: timedelta) -> timedelta:
    if spec.renew_before:
        return times.parse_duration(spec.renew_before)
    if spec.renew_before_percentage:
        return duration * spec.renew_before_percentage / 100
    return duration / 3


def _names(identity: Identity, trust: Trust) -> tuple[Names, list[Fault], list[Fault]]:
    """Collect the names that are asked for, those that are no names, and why the identity may not hold others."""
    namespace = identity.namespace
    dns: set[str] = set()
    malformed: list[Fault] = []
    refused: list[Fault] = []
    for field, name in _dns_names(identity, trust):
        try:
            canonical = names.canonical_dns_name(name)
        except ValueError as error:
            malformed.append(Fault(field=field, message=str(error)))
            continue
        why_not = permits.why_not_dns_name(canonical, namespace, cluster_domain=trust.cluster_domain)
        if why_not:
            refused.append(Fault(field=field, message=why_not))
        dns.add(canonical)
    account = identity.name if identity.spec.service_account_name is None else identity.spec.service_account_name
    try:
        names.check_service_account(account or "none")
    except ValueError as error:
        malformed.append(Fault(field="spec.serviceAccountName", message=str(error)))
    uris = (names.spiffe_id(account, namespace, trust_domain=trust.trust_domain),) if account else ()
    return Names(dns=tuple(sorted(dns)), uris=uris), malformed, refused


def _dns_names(identity: Identity, trust: Trust) -> Iterator[tuple[str, str]]:
    """List the DNS names that are asked for, each with the field that asks."""
    spec = identity.spec
    services = (identity.name,) if spec.services is None else spec.services
    for index, service in enumerate(services):
        field = "metadata.name" if spec.services is None else f"spec.services[{index}]"
        for name in names.service_dns_names(service, identity.namespace, cluster_domain=trust.cluster_domain):
            yield field, name
    for index, name in enumerate(spec.dns_names):
        yield f"spec.dnsNames[{index}]", name
