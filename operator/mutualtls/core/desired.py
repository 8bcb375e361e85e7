"""From what an identity's spec says, its authority and its namespace, to what is wanted: names, key, life, Secret."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta

import msgspec

from mutualtls.core import constraints, judge, labels, names, selectors, times, uris
from mutualtls.core.authority import RESERVED_PREFIXES
from mutualtls.core.constraints import NameConstraints
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.formats import PASSWORD_FIELD, Password
from mutualtls.core.identity import (
    Algorithm,
    DeletionPolicy,
    Encoding,
    Identity,
    IdentitySpec,
    PrivateKeySpec,
    RotationPolicy,
    SubjectSpec,
    Usage,
)
from mutualtls.core.judge import Claim, Claims
from mutualtls.core.keys import KeyType
from mutualtls.core.names import Names, Subject
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


def wanted(
    identity: Identity,
    trust: Trust,
    namespace_labels: Mapping[str, str] | None = None,
    password: Password | None = None,
) -> Wanted:
    """Work out what an identity asks for.

    `namespace_labels` are those of its namespace; None where they are not known, and then a permit counts only if it is
    for all namespaces. `password` is what is known of that of its stores; None where none are asked for, or it is not
    to be judged.

    Raises:
        SpecError: it asks for what may not be had (NotPermitted) or cannot be (InvalidSpec), or the password that it
            names cannot be used (PasswordMissing); all faults at once. A
            right that is missing is the reason even beside other faults, or one would keep files that are to be
            removed; AuthorityNotReady where the authority's own spec is faulty, as nothing can be judged by it.
    """
    spec = identity.spec
    if unreadable := _unreadable(identity):
        raise SpecError(Reason.INVALID_SPEC, unreadable)
    if trust.fault:
        message = f"the spec of authority {trust.name} is faulty: {trust.fault}"
        raise SpecError(Reason.AUTHORITY_NOT_READY, [Fault(field="spec.authority", message=message)])
    claims, malformed = _claims(identity, trust)
    held = _held(claims)
    invalid = [*_key_faults(spec.private_key, trust), *_life_faults(spec, trust), *malformed, *_metadata_faults(spec)]
    if held.is_empty and not invalid:
        message = "at least one name must remain, an alternative name or a common name"
        invalid.append(Fault(field="spec", message=message))
    refused = [
        *judge.faults(claims, trust.policy, namespace=identity.namespace, labels=namespace_labels),
        *_constraint_faults(claims, trust),
        *_prefix_faults(spec, trust),
    ]
    missing = list(_password_faults(password))
    if invalid or refused or missing:
        reason = Reason.INVALID_SPEC if invalid else Reason.PASSWORD_MISSING
        raise SpecError(Reason.NOT_PERMITTED if refused else reason, [*invalid, *refused, *missing])
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


def _password_faults(password: Password | None) -> Iterator[Fault]:
    if password is not None and password.fault:
        yield Fault(field=PASSWORD_FIELD, message=password.fault)


def _unreadable(identity: Identity) -> list[Fault]:
    """List what leaves nothing to be judged. The API server sees to names of objects; a file may hold any."""
    if identity.fault:
        return [Fault(field="spec", message=identity.fault)]
    form = "must be a DNS label, at most 63 characters, no dots"
    return [
        Fault(field=f"metadata.{field}", message=f"{form}: {names.shown(name)}")
        for field, name in (("namespace", identity.namespace), ("name", identity.name))
        if not names.is_label(name)
    ]


def names_hash(held: Names) -> str:
    """Hash names by their meaning. The prefix is the version of the form, so that an upgrade re-issues nothing.

    Kinds that came after the first version count only where there are names of them.
    """
    subject = {field.name: value for field in fields(held.subject) if (value := getattr(held.subject, field.name))}
    later = {"ips": sorted(held.ips), "emails": sorted(held.emails), "subject": subject}
    return _meaning(
        {"dns": sorted(held.dns), "uris": sorted(held.uris)} | {kind: value for kind, value in later.items() if value}
    )


def metadata_hash(labels: Mapping[str, str | None], annotations: Mapping[str, str | None], owner: str | None) -> str:
    """Hash the part of a Secret's metadata that is ours. None stands for a key that is not there."""
    return _meaning({"labels": labels, "annotations": annotations, "owner": owner})


def _meaning(value: object) -> str:
    encoded = msgspec.json.encode(value, order="deterministic")
    return f"v1:{hashlib.sha256(encoded).hexdigest()[:32]}"


def _key_type(spec: PrivateKeySpec) -> KeyType:
    return KeyType(spec.algorithm, spec.size or _DEFAULT_SIZES[spec.algorithm])


def _key_faults(spec: PrivateKeySpec, trust: Trust) -> Iterator[Fault]:
    """Judge what CEL judges too, for specs from a file or stored under an older CRD; and what the authority allows.

    An algorithm is no right: one that is not allowed any more is InvalidSpec, as a duration out of bounds is.
    """
    if spec.algorithm not in trust.leaf_algorithms:
        allowed = ", ".join(trust.leaf_algorithms)
        message = f"authority {trust.name} signs for {allowed} only: {spec.algorithm}"
        yield Fault(field="spec.privateKey.algorithm", message=message)
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


# Names


def _claims(identity: Identity, trust: Trust) -> tuple[Claims, list[Fault]]:
    """Collect the names that are asked for, in canonical form, and why others are no names."""
    spec = identity.spec
    malformed: list[Fault] = []
    dns = [
        *_services(identity, trust, malformed),
        *_canonical(_numbered("dnsNames", spec.dns_names), names.canonical_dns_name, malformed),
    ]
    subject = _subject(spec.subject, malformed)
    claims = Claims(
        dns=dns,
        ips=_canonical(_numbered("ipAddresses", spec.ip_addresses), names.canonical_ip, malformed),
        emails=_canonical(_numbered("emailAddresses", spec.email_addresses), names.canonical_email, malformed),
        uris=[
            *_account(identity, trust, malformed),
            *_canonical(_numbered("uris", spec.uris), uris.canonical, malformed),
        ],
        subject=_as_carried(subject, {claim.name for claim in dns}),
    )
    return claims, malformed


def _held(claims: Claims) -> Names:
    dns, ips, emails, uris = (
        tuple(sorted({claim.name for claim in of_kind}))
        for of_kind in (claims.dns, claims.ips, claims.emails, claims.uris)
    )
    return Names(dns=dns, ips=ips, emails=emails, uris=uris, subject=claims.subject)


def _services(identity: Identity, trust: Trust, malformed: list[Fault]) -> list[Claim]:
    """Name the Services."""
    found = []
    default = iter([("metadata.name", identity.name)])
    asked = default if identity.spec.services is None else _numbered("services", identity.spec.services)
    for field, service in asked:
        try:
            names.check_service(service)
        except ValueError as error:
            malformed.append(Fault(field=field, message=str(error)))
            continue
        both = names.service_dns_names(service, identity.namespace, cluster_domain=trust.cluster_domain)
        found += _canonical([(field, name) for name in both], names.canonical_dns_name, malformed)
    return found


def _numbered(field: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((f"spec.{field}[{index}]", text) for index, text in enumerate(texts))


def _canonical(
    asked: Iterable[tuple[str, str]], canonical: Callable[[str], str], malformed: list[Fault]
) -> list[Claim]:
    """Bring names into canonical form; what is none is added to `malformed`."""
    found = []
    for field, text in asked:
        try:
            found.append(Claim(field, canonical(text)))
        except ValueError as error:
            malformed.append(Fault(field=field, message=str(error)))
    return found


def _account(identity: Identity, trust: Trust, malformed: list[Fault]) -> list[Claim]:
    """Name the service account."""
    account = identity.name if identity.spec.service_account_name is None else identity.spec.service_account_name
    if not account:
        return []
    try:
        names.check_service_account(account)
    except ValueError as error:
        malformed.append(Fault(field="spec.serviceAccountName", message=str(error)))
        return []
    name = names.spiffe_id(account, identity.namespace, trust_domain=trust.trust_domain)
    return [Claim("spec.serviceAccountName", name)]


def _subject(spec: SubjectSpec, malformed: list[Fault]) -> Subject:
    """Read the subject. Values that cannot be are left out, as the whole spec is refused for them."""
    if spec == SubjectSpec():
        return Subject()

    def each(field: str, texts: Iterable[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
        return tuple(claim.name for claim in _canonical(_numbered(f"subject.{field}", texts), canonical, malformed))

    def one(field: str, text: str, canonical: Callable[[str], str]) -> str:
        found = _canonical([(f"spec.subject.{field}", text)] if text else [], canonical, malformed)
        return found[0].name if found else ""

    def short(text: str) -> str:
        return names.canonical_text(text, longest=64)

    def long(text: str) -> str:
        return names.canonical_text(text, longest=128)

    return Subject(
        common_name=one("commonName", spec.common_name, names.canonical_common_name),
        organizations=each("organizations", spec.organizations, short),
        organizational_units=each("organizationalUnits", spec.organizational_units, short),
        countries=each("countries", spec.countries, names.canonical_country),
        localities=each("localities", spec.localities, long),
        provinces=each("provinces", spec.provinces, long),
        serial_number=one("serialNumber", spec.serial_number, names.canonical_serial_number),
    )


def _as_carried(subject: Subject, dns: set[str]) -> Subject:
    """Write a common name that is one of the leaf's DNS names as that one is written."""
    try:
        canonical = names.canonical_dns_name(subject.common_name)
    except ValueError:
        return subject
    return replace(subject, common_name=canonical) if canonical in dns else subject


def _constraint_faults(claims: Claims, trust: Trust) -> Iterator[Fault]:
    """Refuse what verifiers would refuse for the name constraints of the issuing CA."""
    if trust.constraints == NameConstraints():
        return
    kinds = (
        (claims.dns, constraints.why_not_dns_name),
        (claims.ips, constraints.why_not_ip),
        (claims.uris, constraints.why_not_uri),
        (_dns_in_subject(claims.subject), constraints.why_not_dns_name),
    )
    for of_kind, why_not in kinds:
        for field, name in of_kind:
            if message := why_not(name, trust.constraints):
                yield Fault(field=field, message=message)


def _dns_in_subject(subject: Subject) -> list[Claim]:
    """Take a common name for a DNS name where OpenSSL does, which then applies constraints of DNS names to it."""
    try:
        name = names.canonical_dns_name(subject.common_name)
    except ValueError:
        return []
    return [Claim("spec.subject.commonName", name)] if "." in name else []


# Metadata of the Secret


def _metadata_faults(spec: IdentitySpec) -> Iterator[Fault]:
    """Judge what CEL judges too: a Secret that the API server refuses would be tried for ever."""
    for field, pairs in (("labels", spec.secret.labels), ("annotations", spec.secret.annotations)):
        for key, value in pairs.items():
            if not selectors.is_label_key(key):
                yield Fault(field=f"spec.secret.{field}", message=f"not a key: {names.shown(key)}")
            elif field == "labels" and not selectors.is_label_value(value):
                yield Fault(field=f"spec.secret.{field}[{key}]", message=f"not a label's value: {names.shown(value)}")


def _prefix_faults(spec: IdentitySpec, trust: Trust) -> Iterator[Fault]:
    """Refuse keys with a domain prefix: controllers obey those, and some copy Secrets to where they say."""
    for field, pairs in (("labels", spec.secret.labels), ("annotations", spec.secret.annotations)):
        for key in pairs:
            prefix = key.rpartition("/")[0]
            if prefix and not _is_allowed_prefix(prefix, trust):
                yield Fault(field=f"spec.secret.{field}[{names.shown(key)}]", message=_why_no_prefix(prefix, trust))


def _is_allowed_prefix(prefix: str, trust: Trust) -> bool:
    return prefix in trust.secret_metadata_prefixes and not _is_reserved_prefix(prefix)


def _is_reserved_prefix(prefix: str) -> bool:
    return any(prefix == reserved or prefix.endswith(f".{reserved}") for reserved in RESERVED_PREFIXES)


def _why_no_prefix(prefix: str, trust: Trust) -> str:
    if _is_reserved_prefix(prefix):
        return (
            f"the prefix {prefix} is not permitted and cannot be: it means something to Kubernetes or to the operator"
        )
    return (
        f"the prefix {names.shown(prefix)} is not permitted, as another controller may obey it; add it to "
        f"spec.leaf.secretMetadataPrefixes of authority {trust.name}"
    )
