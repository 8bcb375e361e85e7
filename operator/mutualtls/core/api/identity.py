"""The `MutualTLSIdentity`, read from what the API server holds, its texts once.

What the spec and the status are made of is in `identity_spec` and `identity_status`; what follows from the spec
together with the authority is worked out in `desired`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from mutualtls.core import times
from mutualtls.core.api import misfits
from mutualtls.core.api.identity_spec import IdentitySpec, SubjectSpec
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.misfits import Sifted
from mutualtls.core.errors import Fault
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.model.resource import convert_status
from mutualtls.core.model.shared import share, take_over
from mutualtls.core.names import names, uris
from mutualtls.core.names.names import Subject
from mutualtls.core.names.policy import Claim

_LONGEST_REISSUE = 64
"""Of what is kept of that order, in characters: more than a serial number has, so that a longer one is none."""
_BESIDE_DIGITS = re.compile(r"[\s:]")
"""What people and programs write between the digits of a serial number."""


_NO_SUBJECT = Subject()
"""Nearly every spec asks for it: once in memory for all."""


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a spec asks for, whoever judges it, read once: nobody else reads its texts."""

    services: tuple[Claim, ...] | None = None
    """Names of Services as they are asked for: what they are called in full is for the authority to say. None: the one
    of the identity's own name."""
    account: Claim | None = None
    """The same for the service account, where one is named."""
    dns: tuple[Claim, ...] = ()
    ips: tuple[Claim, ...] = ()
    emails: tuple[Claim, ...] = ()
    uris: tuple[Claim, ...] = ()
    subject: Subject = _NO_SUBJECT
    duration: timedelta | None = None
    renew_before: timedelta | None = None


_DEFAULT_SECRET = "-mtls"
"""What the name of a Secret has after that of the identity, where no other name is asked for."""

_NOTHING_FURTHER = Asked()
"""What an empty spec asks for, once in memory for all identities that have one."""


class Identity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One `MutualTLSIdentity`, with what is needed of its metadata."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: IdentitySpec
    """As it is; of one that cannot be read what fits, for telling what else is wrong with it."""
    asked: Asked
    status: IdentityStatus
    reissue: str | None = None
    """Serial number of the certificate that an order wants replaced."""
    is_deleting: bool = False
    faults: tuple[Fault, ...] = ()
    """Why the spec cannot be read: what does not fit the model, as when it was stored under an older CRD, and values
    that mean nothing."""

    def __post_init__(self) -> None:
        share(self, "namespace")

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return ObjectKey(self.namespace, self.name)

    @property
    def authority(self) -> str:
        """Name of the authority; where the spec cannot be read, of the one whose certificate the status records.

        Empty where it records a certificate and, as the release before, no authority.
        """
        is_recorded = bool(self.faults) and self.status.certificate is not None
        return self.status.authority or "" if is_recorded else self.spec.authority

    @property
    def secret_name(self) -> str:
        """Name of the Secret that is asked for; where the spec cannot be read, of the one that the status records."""
        recorded = self.status.secret_name if self.faults else None
        return recorded or self.spec.secret.name or f"{self.name}{_DEFAULT_SECRET}"

    def counting(self, good: IdentitySpec) -> Identity:
        """Have another spec count, which can be read, as that of now cannot."""
        return msgspec.structs.replace(self, spec=good, asked=_read(good)[0], faults=())

    def is_as_in(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata of a later version show it unchanged, but for its status."""
        return (self.generation, self.reissue, self.is_deleting) == parse_metadata(metadata)


def key_by_default(secret_key: ObjectKey) -> ObjectKey | None:
    """Key of the only identity that has a Secret without naming it, if there is such an identity; else None."""
    name = secret_key.name.removesuffix(_DEFAULT_SECRET)
    return ObjectKey(secret_key.namespace, name) if name != secret_key.name else None


def parse(body: dict[str, Any]) -> Identity:
    """Read an identity from JSON of the API server. What of its spec cannot be read becomes `faults`."""
    metadata = body["metadata"]
    spec, misfitting = _typed(body.get("spec"))
    take_over(spec, service_account_name=metadata["name"])
    asked, meaningless = _read(spec)
    generation, reissue, is_deleting = parse_metadata(metadata)
    return Identity(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=generation,
        resource_version=metadata["resourceVersion"],
        spec=spec,
        asked=asked,
        status=convert_status(body, IdentityStatus),
        reissue=reissue,
        is_deleting=is_deleting,
        faults=(*misfitting.misfits, *misfitting.unrelated(meaningless)) if misfitting else tuple(meaningless),
    )


def authority_in(body: Mapping[str, Any]) -> str | None:
    """Tell which authority the spec of an identity names, as the API server selects by it; None: it names none."""
    spec = body.get("spec")
    return spec.get("authority") if isinstance(spec, Mapping) else None


def parse_metadata(metadata: Mapping[str, Any]) -> tuple[int, str | None, bool]:
    """Read generation, re-issue order and whether it is being deleted: what an identity is to be worked on for."""
    ordered = (metadata.get("annotations") or {}).get(labels.REISSUE)
    return metadata["generation"], _serial_number(ordered or ""), "deletionTimestamp" in metadata


def _serial_number(text: str) -> str | None:
    """Write a serial number as the status does, whatever its case and what is between digits; None: there is none."""
    found = _BESIDE_DIGITS.sub("", text[: 4 * _LONGEST_REISSUE]).lower().lstrip("0")
    return found[:_LONGEST_REISSUE] or ("0" if text.strip() else None)


def _typed(raw: Any) -> tuple[IdentitySpec, Sifted | None]:
    """Fit a spec into the model. What does not fit is looked for only where something does not."""
    try:
        return msgspec.convert({} if raw is None else raw, IdentitySpec), None
    except msgspec.ValidationError:
        sifted = misfits.sift(raw, IdentitySpec)
        return msgspec.convert(sifted.rest, IdentitySpec), sifted


def _read(spec: IdentitySpec) -> tuple[Asked, list[Fault]]:
    """Read the texts of a spec. What means nothing is left out of what is asked for."""
    reader, account = _Reader(), spec.service_account_name
    services = _numbered("services", spec.services or ())
    accounts = [("spec.serviceAccountName", account)] if account else ()
    asked = Asked(
        duration=reader.duration("spec.duration", spec.duration),
        renew_before=reader.duration("spec.renewBefore", spec.renew_before),
        services=None if spec.services is None else reader.each(services, names.check_service),
        dns=reader.each(_numbered("dnsNames", spec.dns_names), names.canonical_dns_name),
        subject=_subject(spec.subject, reader),
        ips=reader.each(_numbered("ipAddresses", spec.ip_addresses), names.canonical_ip),
        emails=reader.each(_numbered("emailAddresses", spec.email_addresses), names.canonical_email),
        account=next(iter(reader.each(accounts, names.check_service_account)), None),
        uris=reader.each(_numbered("uris", spec.uris), uris.canonical),
    )
    return _NOTHING_FURTHER if asked == _NOTHING_FURTHER else asked, reader.faults


@dataclass(slots=True)
class _Reader:
    """Reads texts and collects what means nothing."""

    faults: list[Fault] = field(default_factory=list)

    def each(self, asked: Iterable[tuple[str, str]], canonical: Callable[[str], str | None]) -> tuple[Claim, ...]:
        """Bring names into canonical form."""
        found = []
        for at, text in asked:
            try:
                found.append(Claim(at, canonical(text) or text))
            except ValueError as error:
                self.faults.append(Fault(field=at, message=str(error)))
        return tuple(found)

    def duration(self, at: str, text: str | None) -> timedelta | None:
        """Read a duration, where there is one."""
        try:
            return times.parse_duration(text) if text else None
        except ValueError as error:
            self.faults.append(Fault(field=at, message=str(error)))
            return None


def _numbered(at: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((f"spec.{at}[{index}]", text) for index, text in enumerate(texts))


def _subject(spec: SubjectSpec, reader: _Reader) -> Subject:
    if spec == SubjectSpec():
        return _NO_SUBJECT

    def each(at: str, texts: Iterable[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
        return tuple(claim.name for claim in reader.each(_numbered(f"subject.{at}", texts), canonical))

    def one(at: str, text: str, canonical: Callable[[str], str]) -> str:
        found = reader.each([(f"spec.subject.{at}", text)] if text else (), canonical)
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
