"""Where the CAs that sign are not as the spec would have new ones, and what brings them there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import Role
from mutualtls.core.ca import generations
from mutualtls.core.ca.ledger import CAGeneration, Ledger
from mutualtls.core.pki import keys

_CLOSE = timedelta(minutes=1)
"""Between life asked for and life given."""


def describe(authority: Authority, ledger: Ledger) -> str:
    """Say what differs, and which order brings it; empty where nothing does."""
    return "; ".join([*_of_root(authority, ledger), *_of_issuing(authority, ledger)])


def _of_root(authority: Authority, ledger: Ledger) -> Iterator[str]:
    root = ledger.active(Role.ROOT)
    if root is None:
        return
    is_outside = authority.spec.root.secret_ref is not None
    order = f"mutualtls.dev/rotate-root: {root.fingerprint}/{ledger.next_number(Role.ROOT)}"
    if root.is_outside != is_outside:
        if not is_outside:
            yield f"root {root.number} is of an outside PKI, but spec.root asks for one of the operator; apply {order}"
        return
    if is_outside:
        return
    differs = list(_differences(authority, root))
    asked = authority.spec.root.self_signed.common_name or f"{authority.name} root"
    if (found := _common_name(root)) != asked:
        differs.append(f"its common name is {found}, but the spec asks for {asked}")
    differs += _life_differs(root, authority.durations.root)
    if differs:
        yield f"root {root.number}: {', '.join(differs)}; apply {order}"


def _of_issuing(authority: Authority, ledger: Ledger) -> Iterator[str]:
    issuing, root = ledger.active(Role.ISSUING), ledger.active(Role.ROOT)
    if issuing is None or root is None or issuing.is_outside or not authority.spec.issuing.enabled:
        return
    differs = list(_differences(authority, issuing))
    if issuing.not_after != root.not_after:
        differs += _life_differs(issuing, authority.durations.issuing)
    if differs:
        order = f"mutualtls.dev/rotate-issuing: {issuing.fingerprint}/{ledger.next_number(Role.ISSUING)}"
        later = "or wait for the renewal at half its lifetime"
        yield f"issuing CA {issuing.number}: {', '.join(differs)}; apply {order}, {later}"


def _differences(authority: Authority, ca: CAGeneration) -> Iterator[str]:
    found, asked = keys.type_of(_certificate(ca).public_key()), generations.key_type(authority, ca.role)
    if found != asked:
        yield f"its key is {found}, but the spec asks for {asked}"


def _life_differs(ca: CAGeneration, asked: timedelta) -> list[str]:
    if ca.not_before is None or ca.not_after is None:
        return []
    found = times.Validity(not_before=ca.not_before, not_after=ca.not_after).life
    if abs(found - asked) <= _CLOSE:
        return []
    return [f"it lives for {times.format_duration(found)}, but the spec asks for {times.format_duration(asked)}"]


def _certificate(ca: CAGeneration) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ca.certificate.encode())


def _common_name(ca: CAGeneration) -> str:
    names = _certificate(ca).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
