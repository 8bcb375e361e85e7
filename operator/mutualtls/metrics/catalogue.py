"""The list of all metrics: name, type, labels and meaning. docs/operations/metrics.md has the same table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "mutualtls_"


class Type(StrEnum):
    """Types of Prometheus."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric."""

    name: str
    """Without the prefix that all have."""
    type: Type
    labels: tuple[str, ...]
    meaning: str


def _entries(type_: Type, *rows: tuple[str, str, str]) -> Iterator[tuple[str, Entry]]:
    for name, labels, meaning in rows:
        yield name, Entry(name, type_, tuple(labels.split()), meaning)


_IDENTITIES = (
    ("identities", "authority reason ready", "Identities, by reason and status of their condition Ready."),
    (
        "certificates_soonest_not_after_timestamp_seconds",
        "authority",
        "End of the certificate that ends first, in seconds since 1970.",
    ),
    (
        "certificates_least_remaining_ratio",
        "authority",
        "Share of its lifetime that is left to the certificate with the least left; 0 if it has ended.",
    ),
    ("certificates_overdue", "authority", "Certificates whose renewal time has passed."),
    ("certificates_expired", "authority", "Certificates that have ended and are still in a Secret."),
    ("secrets_contested", "authority", "Identities whose Secret somebody keeps overwriting."),
    ("secret_conflicts", "authority", "Identities whose Secret belongs to somebody else."),
    ("secrets_not_writable", "namespace", "Identities whose Secret cannot be written."),
    ("throttled_identities", "namespace", "Identities whose change is delayed."),
)

_BY_NAMESPACE = (
    ("identities_by_namespace", "namespace ready", "Identities of each namespace, by status of their condition Ready."),
)

_PER_IDENTITY = (
    (
        "identity_not_after_timestamp_seconds",
        "namespace name authority",
        "End of the certificate of each identity, in seconds since 1970.",
    ),
    (
        "identity_renewal_timestamp_seconds",
        "namespace name authority",
        "Renewal time of the certificate of each identity, in seconds since 1970.",
    ),
    ("identity_ready", "namespace name authority", "1 for each identity whose condition Ready is True, else 0."),
)

_AUTHORITIES = (
    ("authority_condition", "authority type status", "1 for the status of each condition of an authority, else 0."),
    ("authority_reason", "authority type reason", "1 for the reason of each condition of an authority."),
    ("authority_served_elsewhere", "authority served_by", "1 for an authority that another operator serves."),
    ("ca_not_before_timestamp_seconds", "authority role number state", "Begin of each CA, in seconds since 1970."),
    ("ca_not_after_timestamp_seconds", "authority role number state", "End of each CA, in seconds since 1970."),
    (
        "ca_key_available",
        "authority role number",
        "1 if the Secret with the key of a CA was there at the last check, else 0.",
    ),
    (
        "additional_root_not_after_timestamp_seconds",
        "authority fingerprint",
        "End of each root of spec.trust.additionalRoots, in seconds since 1970.",
    ),
    ("bundle_roots", "authority", "Roots in the bundle."),
    ("bundle_behind", "authority carrier", "Secrets, ConfigMaps and ClusterTrustBundles without the current bundle."),
    ("bundle_copies_orphaned", "authority", "Copies of bundles whose authority does not exist."),
    ("bundle_copies_not_writable", "authority", "Namespaces where a copy of the bundle cannot be written."),
    ("rotation_phase", "authority phase", "1 for the phase of the root rotation, 0 for all other phases."),
    (
        "rotation_phase_started_timestamp_seconds",
        "authority",
        "When the phase of a root rotation began, in seconds since 1970; absent in phase Stable.",
    ),
    (
        "rotation_gate_open_timestamp_seconds",
        "authority",
        "When a root rotation goes on or is checked again, in seconds since 1970; absent if that is not known.",
    ),
    ("rotation_approval_pending", "authority", "1 if a root rotation waits for an approval, else 0."),
    ("rotation_laggards", "authority", "Objects that the root rotation waits for."),
    ("rotation_excused", "authority", "Objects that the root rotation has skipped."),
    ("rotation_skipped", "authority", "Secrets that a root rotation never waits for, because no identity has them."),
)

_PROCESS = (
    ("build_info", "version revision python kubernetes", "1; versions of the operator, Python and the API server."),
    ("ready", "", "1 if /readyz answers 200, else 0."),
    ("healthy", "", "1 if /healthz answers 200, else 0."),
    ("leader", "", "1 while this operator holds the Lease and writes, else 0."),
    ("clock_skew_seconds", "", "By how much the operator's clock is ahead of the API server's."),
    ("agenda_entries", "priority", "Objects that wait for a worker."),
    ("agenda_oldest_seconds", "priority", "How long the first of them has been due."),
    ("workers", "", "Workers."),
    ("workers_busy", "", "Workers that reconcile an object."),
    ("keys_waiting", "size", "Identities that wait for a slot in which slow keys are made."),
    ("tracked_entries", "", "Entries in memory beside the objects: the agenda, and recent changes."),
    ("watch_last_event_timestamp_seconds", "resource", "When a watch last sent anything, in seconds since 1970."),
)

_COUNTERS = (
    ("certificates_issued_total", "authority reason", "Certificates that were signed and written, by the reason."),
    ("refusals_total", "authority reason", "Specs of identities that were refused."),
    ("secrets_mended_total", "reason", "Secrets that somebody else had changed or deleted and that were repaired."),
    ("throttled_total", "", "Changes that were delayed because more were requested than are made at once."),
    ("rotations_total", "authority result", "Root rotations that ended, and gates that were forced."),
    ("rejected_writes_total", "resource code cause", "Writes that the API server rejected, except conflicts."),
    ("leader_transitions_total", "", "How often the Lease went from one operator to another."),
    ("reconcile_total", "kind result", "Reconciliations, by how they ended."),
    ("api_requests_total", "verb resource code", "Requests to the API server, by the code of the answer."),
    ("watch_restarts_total", "resource", "Watches that were begun after the first, planned ones included."),
    ("census_missed_total", "resource", "Objects that a watch had not reported."),
    ("unreadable_objects_total", "resource", "How often an object could not be read and was skipped."),
    ("resource_version_rollbacks_total", "", "How often resource versions went back, as after a restore of etcd."),
)

_HISTOGRAMS = (
    ("certificate_remaining_ratio", "authority", "Share of their lifetime that is left to certificates, at present."),
    ("issuance_duration_seconds", "stage", "Time from when a certificate was due until each stage of its issuance."),
    ("api_request_duration_seconds", "verb resource", "Time until the API server answered, watches excepted."),
)

CATALOGUE: dict[str, Entry] = dict(
    (
        *_entries(Type.GAUGE, *_IDENTITIES, *_BY_NAMESPACE, *_PER_IDENTITY, *_AUTHORITIES, *_PROCESS),
        *_entries(Type.COUNTER, *_COUNTERS),
        *_entries(Type.HISTOGRAM, *_HISTOGRAMS),
    )
)
"""By name."""

PER_IDENTITY = tuple(name for name, *_ in _PER_IDENTITY)
"""Metrics with a series for each identity, which are left out unless a setting asks for them."""
ON_REQUEST = frozenset((*PER_IDENTITY, *(name for name, *_ in _BY_NAMESPACE)))
"""These, and those with a series for each namespace."""
