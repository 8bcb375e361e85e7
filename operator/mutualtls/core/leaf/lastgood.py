"""The last good spec, which counts while that of now cannot be read.

Of an authority it is kept as text beside the ledger. Of an identity it is what the recorded leaf and its Secret say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from mutualtls.core import times
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import (
    CombinedPEMFormat,
    DeletionPolicy,
    DERFormat,
    FormatsSpec,
    IdentitySpec,
    PrivateKeySpec,
    SecretSpec,
    SubjectSpec,
)
from mutualtls.core.api.status import CertificateStatus
from mutualtls.core.ca.offer import Offer
from mutualtls.core.leaf import facts, secret
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.formats import KEY_DER, KEYSTORE, TLS_PEM, ExtraFiles
from mutualtls.core.model import labels


def of_leaf(identity: Identity, body: Mapping[str, Any], read: Facts, trust: Offer) -> IdentitySpec | None:
    """Tell which spec gives the leaf that the status records, and all else that its Secret holds.

    A later leaf counts as well, whose status was not written any more: of a CA in use, which has really signed it. What
    neither tells (when to renew, whether keys are kept) is as the spec of now says, as far as it can be read.

    `body` is the Secret as JSON of the API server, `read` are its facts, for which signatures were verified. None where
    it holds another leaf, or stores whose password the spec of now does not name any more.
    """
    recorded, formats = identity.status.certificate, _formats(identity.spec.formats, read.further)
    if recorded is None or not _counts(read, recorded, trust) or formats is None:
        return None
    held, subject = facts.names_in(body), {}
    for one in fields(held.subject):
        subject[one.name] = getattr(held.subject, one.name)
    life = read.validity.life
    asked = identity.asked.renew_before
    renew_before = identity.spec.renew_before if asked is not None and asked < life else None
    return IdentitySpec(
        authority=identity.authority,
        usages=read.usages,
        services=(),
        service_account_name="",
        dns_names=held.dns,
        ip_addresses=held.ips,
        uris=held.uris,
        email_addresses=held.emails,
        subject=SubjectSpec(**subject),
        # What is shorter than may be asked for was cut short by the end of its CA.
        duration=times.format_duration(life) if life >= trust.leaf_min_duration else None,
        renew_before=renew_before,
        renew_before_percentage=None if renew_before else identity.spec.renew_before_percentage,
        private_key=PrivateKeySpec(
            algorithm=read.algorithm,
            size=read.size if read.algorithm != "Ed25519" else None,
            encoding=read.encoding,
            rotation_policy=identity.spec.private_key.rotation_policy,
        ),
        secret=_secret(identity, body["metadata"]),
        formats=formats,
        suspend=identity.spec.suspend,
    )


def _counts(read: Facts, recorded: CertificateStatus, trust: Offer) -> bool:
    if recorded.fingerprint == read.fingerprint:
        return True
    issuer = trust.in_use.get(read.issuer_key_id)
    is_of_it = issuer is not None and issuer.chain_hash == read.chain_hash
    return is_of_it and recorded.not_before < times.rfc3339(read.not_before)


def _secret(identity: Identity, metadata: Mapping[str, Any]) -> SecretSpec:
    """Ask for the labels and annotations that are there of ours, and for the owner."""
    owned, ours = secret.parse(metadata).owned, f"{labels.GROUP}/"
    owners = metadata.get("ownerReferences") or ()

    def kept(found: Mapping[str, str] | None, names: tuple[str, ...]) -> dict[str, str]:
        asked = {name: value for name, value in (found or {}).items() if name in names and not name.startswith(ours)}
        asked.pop(labels.MANAGED_BY, None)
        return asked

    return SecretSpec(
        name=identity.secret_name,
        labels=kept(metadata.get("labels"), owned.labels),
        annotations=kept(metadata.get("annotations"), owned.annotations),
        deletion_policy=(
            DeletionPolicy.DELETE
            if any(owner.get("uid") == identity.uid for owner in owners)
            else DeletionPolicy.RETAIN
        ),
    )


def _formats(readable: FormatsSpec, made: ExtraFiles | None) -> FormatsSpec | None:
    """Ask for the further files that are there. Only the spec can say which password a store has."""
    files = made.files if made is not None else {}
    if KEYSTORE in files and not (readable.pkcs12 and readable.pkcs12.password_secret_ref.name):
        return None
    return FormatsSpec(
        combined_pem=CombinedPEMFormat() if TLS_PEM in files else None,
        der=DERFormat() if KEY_DER in files else None,
        pkcs12=readable.pkcs12 if KEYSTORE in files else None,
    )
