"""From what an identity's spec says, its authority and its namespace, to what is wanted: names, key, life, Secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mutualtls.core import times
from mutualtls.core.api import earlier_words, misfits
from mutualtls.core.api.algorithms import DEFAULT_SIZES, ENCODINGS, SIZES, Encoding, Usage
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import DeletionPolicy, PrivateKeySpec, RotationPolicy
from mutualtls.core.ca.offer import Offer
from mutualtls.core.digests import meaning
from mutualtls.core.errors import Fault, SpecError
from mutualtls.core.leaf.claims import claims_of, constraint_faults, faults_of_cas, names_held
from mutualtls.core.leaf.passwords import PASSWORD_FIELD, PasswordState
from mutualtls.core.leaf.secret_metadata import metadata_faults, prefix_faults
from mutualtls.core.model import labels
from mutualtls.core.names import judging, names
from mutualtls.core.names.names import Names, names_hash
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason


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
    outdated: tuple[Fault, ...] = ()
    """Names that only the rule of the release before permits, which are kept as they are held already."""


def wanted(
    identity: Identity,
    trust: Offer,
    namespace_labels: Mapping[str, str] | None = None,
    password: PasswordState | None = None,
    *,
    proven: str | None = None,
) -> Wanted:
    """Work out what an identity asks for.

    `namespace_labels` are those of its namespace; None where they are not known, and then a permit counts only if it is
    for all namespaces. `password` is what is known of that of its stores; None where none are asked for, or it is not
    to be judged. `proven` is the hash of the names of its leaf, where that was read and is the recorded one: with these
    very names, or those that the status says are held, it keeps what the release before permitted and this one does
    not.

    Raises:
        SpecError: it asks for what may not be had (NotPermitted) or cannot be (InvalidSpec), or the password that it
            names cannot be used (PasswordMissing); all faults at once. A
            right that is missing is the reason even beside other faults, or one would keep files that are to be
            removed; AuthorityNotReady where the authority's own spec is faulty, as nothing can be judged by it.
    """
    _refuse_unjudgeable(identity, trust)
    claims, malformed = claims_of(identity, trust)
    held = names_held(claims)
    refused = [
        *judging.faults(claims, trust.policy, namespace=identity.namespace, labels=namespace_labels),
        *constraint_faults(claims, trust.constraints),
        *prefix_faults(identity.spec, trust),
    ]
    outdated = [fault for fault in refused if fault.was_permitted]
    takes_nothing = len(outdated) == len(refused)
    # What a CA cannot sign nobody has taken away: that another came, or that this release sees it, deletes nothing.
    refused += faults_of_cas(claims, trust)
    if outdated and (proven == names_hash(held) or identity.status.held_names == held_names(held, trust)):
        refused = [fault for fault in refused if not fault.was_permitted]
    invalid, missing = _invalid(identity, trust, malformed, held), list(_password_faults(password))
    if invalid or refused or missing:
        reason = Reason.INVALID_SPEC if invalid else Reason.PASSWORD_MISSING
        is_refused = bool(refused) and not identity.faults
        faults = [*invalid, *misfits.further(identity.faults, [*refused, *missing])]
        raise SpecError(Reason.NOT_PERMITTED if is_refused else reason, faults, takes_nothing=takes_nothing)
    return _completed(identity, trust, held, outdated)


def _refuse_unjudgeable(identity: Identity, trust: Offer) -> None:
    """Refuse an identity of which nothing can be judged: its own name is none, or the authority has no spec."""
    if unnamed := _metadata_name_faults(identity):
        raise SpecError(Reason.INVALID_SPEC, unnamed)
    if not trust.has_spec:
        message = f"the spec of authority {trust.name} cannot be read: {trust.fault}"
        unjudged = [Fault(field="spec.authority", message=message)]
        raise SpecError(
            Reason.INVALID_SPEC if identity.faults else Reason.AUTHORITY_NOT_READY, [*identity.faults, *unjudged]
        )


def _invalid(identity: Identity, trust: Offer, malformed: Iterable[Fault], held: Names) -> list[Fault]:
    """List what cannot be, whoever asks for it."""
    judged = [
        *_key_faults(identity.spec.private_key, trust),
        *_life_faults(identity, trust),
        *malformed,
        *metadata_faults(identity.spec),
    ]
    invalid = [*identity.faults, *misfits.further(identity.faults, judged)]
    if held.is_empty and not invalid:
        message = "at least one name must remain, an alternative name or a common name"
        invalid.append(Fault(field="spec", message=message))
    return invalid


def _completed(identity: Identity, trust: Offer, held: Names, outdated: Iterable[Fault]) -> Wanted:
    """Fill in every default."""
    spec, secret = identity.spec, identity.spec.secret
    duration = identity.asked.duration or trust.leaf_duration
    return Wanted(
        names=held,
        usages=tuple(sorted(set(spec.usages))),
        key=_key_type(spec.private_key),
        encoding=spec.private_key.encoding,
        rotation_policy=spec.private_key.rotation_policy,
        duration=duration,
        renew_before=_renew_before(identity, duration),
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
        outdated=tuple(outdated),
    )


def _password_faults(password: PasswordState | None) -> Iterator[Fault]:
    if password is not None and password.fault:
        yield Fault(field=PASSWORD_FIELD, message=password.fault)


def _metadata_name_faults(identity: Identity) -> list[Fault]:
    """Judge the names of objects, without which nothing is judged: the API server sees to them, a file may hold any."""
    form = "must be a DNS label, at most 63 characters, no dots"
    return [
        Fault(field=f"metadata.{field}", message=f"{form}: {names.shown(name)}")
        for field, name in (("namespace", identity.namespace), ("name", identity.name))
        if not names.is_label(name)
    ]


def held_names(held: Names, trust: Offer) -> str:
    """Hash names together with the authority of which they are held."""
    return meaning({"authority": trust.name, "names": names_hash(held)})


def _key_type(spec: PrivateKeySpec) -> KeyType:
    return KeyType(spec.algorithm, spec.size or DEFAULT_SIZES[spec.algorithm])


def _key_faults(spec: PrivateKeySpec, trust: Offer) -> Iterator[Fault]:
    """Judge what CEL judges too, for specs from a file or stored under an older CRD; and what the authority allows.

    An algorithm is no right: one that is not allowed any more is InvalidSpec, as a duration out of bounds is.
    """
    if spec.algorithm not in trust.leaf_algorithms:
        allowed = ", ".join(trust.leaf_algorithms)
        message = f"authority {trust.name} allows {allowed} only (leaf.algorithms), and not {spec.algorithm}"
        yield Fault(field="spec.privateKey.algorithm", message=message)
    if spec.size is not None and spec.size not in SIZES[spec.algorithm]:
        yield Fault(field="spec.privateKey.size", message=f"does not fit {spec.algorithm}: {spec.size}")
    if spec.encoding not in ENCODINGS[spec.algorithm]:
        yield Fault(field="spec.privateKey.encoding", message=f"does not fit {spec.algorithm}: {spec.encoding}")


def _life_faults(identity: Identity, trust: Offer) -> Iterator[Fault]:
    """Judge the duration by the authority's bounds, and the renewal by the duration."""
    duration, renew_before = identity.asked.duration or trust.leaf_duration, identity.asked.renew_before
    least, most = trust.leaf_min_duration, trust.leaf_max_duration
    if not least <= duration <= most:
        shown = (times.format_duration(one) for one in (duration, least, most))
        message = earlier_words.out_of_bounds(*shown, authority=trust.name, is_long=duration > most)
        yield Fault(field="spec.duration", message=message)
    if renew_before is not None and renew_before >= duration:
        yield Fault(
            field="spec.renewBefore",
            message=f"must be shorter than the duration, {times.format_duration(duration)}: "
            f"{identity.spec.renew_before}",
        )


def _renew_before(identity: Identity, duration: timedelta) -> timedelta:
    if identity.asked.renew_before is not None:
        return identity.asked.renew_before
    if identity.spec.renew_before_percentage:
        return duration * identity.spec.renew_before_percentage / 100
    return duration / 3
