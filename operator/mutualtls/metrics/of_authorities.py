"""Metrics of authorities: their conditions, their CAs, their bundles, and how far a root rotation is."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping

from cryptography import x509

from mutualtls.authorities.outlook import Outlook
from mutualtls.core import times
from mutualtls.core.api import status
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import CONFLICTING, DRIFTED, KEY_LOST, ROTATING
from mutualtls.core.api.states import Phase, State
from mutualtls.core.bundles import publish
from mutualtls.core.ca import rotation_state
from mutualtls.core.ca.ledger import Ledger, trusted_roots
from mutualtls.core.model import labels
from mutualtls.core.pki import certificates
from mutualtls.core.pki.certificates import UNREADABLE
from mutualtls.core.reasons import Reason
from mutualtls.metrics.page import Page
from mutualtls.store.store import Store

_CONDITIONS = (status.READY, status.STALLED, KEY_LOST, ROTATING, DRIFTED, CONFLICTING)
_STATUSES = ("True", "False", "Unknown")
_REASONS = frozenset((*Reason, *Phase))
_OTHER = "Other"
"""Stands for a reason that is none of ours: somebody else may have written the status."""
_UNKNOWN = Outlook(keys={})


def write(page: Page, store: Store, outlooks: Mapping[str, Outlook]) -> None:
    """Write what is known of each authority on a page. What is worked out from identities is in `of_identities`."""
    for name, authority in sorted(store.authorities.items()):
        outlook = outlooks.get(name, _UNKNOWN)
        _write_conditions(page, authority)
        _write_cas(page, authority, outlook)
        _write_rotation(page, authority, outlook.ledger)
        _write_roots(page, name, outlook.ledger)
        _write_copies(page, store, authority)
    for name, number in sorted(store.copies.count_by_authority().items()):
        if name not in store.authorities:
            page.put("bundle_copies_orphaned", number, name)


def _write_conditions(page: Page, authority: Authority) -> None:
    for kind in _CONDITIONS:
        found = authority.status.condition(kind)
        # Where `Stalled` is false it is left out of the status.
        value = found.status if found is not None else "False" if kind == status.STALLED else "Unknown"
        for one in _STATUSES:
            page.put("authority_condition", one == value, authority.name, kind, one)
        if found is not None:
            reason = found.reason if found.reason in _REASONS else _OTHER
            page.put("authority_reason", 1, authority.name, kind, reason)


def _write_cas(page: Page, authority: Authority, outlook: Outlook) -> None:
    for ca in authority.status.generations:
        of = (authority.name, ca.role, str(ca.number), ca.state)
        page.put_time("ca_not_before_timestamp_seconds", _moment(ca.not_before), *of)
        page.put_time("ca_not_after_timestamp_seconds", _moment(ca.not_after), *of)
    for made in outlook.ledger.generations if outlook.ledger is not None else ():
        if not made.is_keyless and made.state not in {State.MAKING, State.GONE}:
            has_key = outlook.keys.get(made.id, False)
            page.put("ca_key_available", has_key, authority.name, made.role, str(made.number))


def _write_rotation(page: Page, authority: Authority, ledger: Ledger | None) -> None:
    name, awaited = authority.name, authority.status.next
    rotating = authority.status.condition(ROTATING)
    phase = rotating.reason if rotating is not None else Phase.STABLE
    for one in Phase:
        page.put("rotation_phase", one == phase, name, one)
    at = rotation_state.of(ledger) if ledger is not None else None
    if at is not None and at.phase is not Phase.STABLE and at.other.since is not None:
        page.put("rotation_phase_started_timestamp_seconds", at.other.since.timestamp(), name)
    page.put_time("rotation_gate_open_timestamp_seconds", _moment(awaited.until if awaited else None), name)
    page.put("rotation_approval_pending", awaited is not None and labels.APPROVE in awaited.waits_for, name)
    page.put("rotation_laggards", awaited.behind if awaited is not None else 0, name)
    page.put("rotation_excused", awaited.excused if awaited is not None else 0, name)


def _write_roots(page: Page, name: str, ledger: Ledger | None) -> None:
    if ledger is None:
        return
    page.put("bundle_roots", sum(len(_ends(pem)) for pem in trusted_roots(ledger)), name)
    ends = dict(one for pem in ledger.additional_roots.values() for one in _ends(pem))
    for fingerprint, end in sorted(ends.items()):
        page.put("additional_root_not_after_timestamp_seconds", end, name, fingerprint)


def _write_copies(page: Page, store: Store, authority: Authority) -> None:
    behind: Counter[str] = Counter()
    for key in publish.wanted_copies(authority, store.places):
        copy = store.copies.get(key)
        found = copy.published if copy is not None and copy.authority == authority.name else None
        is_current = found is not None and found.whole_bundle_hash == authority.status.bundle
        behind["configmap" if key.namespace else "clustertrustbundle"] += not is_current
    for carrier in ("configmap", "clustertrustbundle"):
        page.put("bundle_behind", behind[carrier], authority.name, carrier)
    page.put("bundle_copies_not_writable", len(store.copies.refused_of(authority.name)), authority.name)


@functools.lru_cache(maxsize=256)
def _ends(pem: str) -> tuple[tuple[str, float], ...]:
    """List fingerprint and end of each certificate in a PEM."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
        return tuple((certificates.fingerprint(one), one.not_valid_after_utc.timestamp()) for one in found)
    except UNREADABLE:
        return ()


def _moment(text: str | None) -> float | None:
    found = times.moment_in(text) if text else None
    return found.timestamp() if found is not None else None
