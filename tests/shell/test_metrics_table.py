"""Each metric moves with what it measures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import msgspec
import pytest

from mutualtls.authorities.outlook import Outlook
from mutualtls.core import times
from mutualtls.core.api import authority_status
from mutualtls.core.api.authority_status import CAStatus, NextStatus
from mutualtls.core.api.refusals import Cause
from mutualtls.core.api.states import CAId, Role, State
from mutualtls.core.bundles import publish
from mutualtls.core.bundles.publish import Published
from mutualtls.core.leaf.waiting import SlowWork
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.reasons import Reason
from mutualtls.kube.clocks import Clocks
from mutualtls.kube.requests import Requests
from mutualtls.kube.versions import Versions
from mutualtls.metrics.catalogue import CATALOGUE
from mutualtls.queue.agenda import Agenda, Key
from mutualtls.queue.slow_keys import SlowKeySlots
from mutualtls.queue.trouble import Trouble
from mutualtls.reconcilers.tally import Stage, Tally
from support import builders, measured
from support.builders import DAY, HOUR, MINUTE, NOW, SECOND
from support.measured import Parts, condition

ORDERS = "authority=default name=orders namespace=shop"
OF = "authority=default"
ROOT = f"{OF} number=1 role=root"


# What is done, each under the names of the metrics that tell of it


def _not_ready(of: Parts) -> None:
    of.identity("False", Reason.SECRET_CONTESTED)


def _conflict(of: Parts) -> None:
    of.identity("False", Reason.SECRET_CONFLICT)


def _not_writable(of: Parts) -> None:
    of.identity("False", Reason.SECRET_NOT_WRITABLE)


def _overdue(of: Parts) -> None:
    of.identity("True", Reason.ISSUED, renewal=-MINUTE)


def _ended(of: Parts) -> None:
    of.secret(not_before=NOW - DAY, not_after=NOW - MINUTE)


def _other_bundle(of: Parts) -> None:
    of.secret(bundle_hash="old")


def _throttled(of: Parts) -> None:
    shares = measured.shares()
    for _ in range(3):
        shares.draw(ObjectKey("shop", "orders"), in_namespace=1, now=NOW)
    of.given["shares"] = shares


def _alarmed(of: Parts) -> None:
    of.authority(condition("KeyLost", "True", Reason.KEY_LOST))


def _elsewhere(of: Parts) -> None:
    of.given["left_alone"] = lambda: {"other": "pki"}


def _made(of: Parts) -> None:
    root = of.signer.ledger.generations[0]
    made = CAStatus(
        role=Role.ROOT,
        number=1,
        state=State.ACTIVE,
        fingerprint=root.fingerprint,
        key_id=root.key_id,
        not_after=times.rfc3339(NOW + DAY),
        certificate="",
        not_before=times.rfc3339(NOW),
    )
    of.authority(generations=(made,))


def _has_key(of: Parts) -> None:
    of.given["outlooks"] = lambda: {"default": Outlook(ledger=of.signer.ledger, keys={CAId(Role.ROOT, 1): True})}


def _more_roots(of: Parts) -> None:
    other = builders.other_signer().ledger.generations[0].certificate
    known = msgspec.structs.replace(of.signer.ledger, additional_roots={"roots/ca.crt": other})
    of.given["outlooks"] = lambda: {"default": Outlook(ledger=known, keys={})}


def _rotates(of: Parts) -> None:
    root = of.signer.ledger.generations[0]
    coming = msgspec.structs.replace(root, number=2, state=State.PUBLISHED, since=NOW - HOUR)
    known = of.signer.ledger.put(coming)
    waits_for = f"waits for the annotation {labels.APPROVE}: {root.fingerprint}/Signing"
    awaited = NextStatus(waits_for=waits_for, behind=3, excused=2, until=times.rfc3339(NOW + HOUR))
    of.authority(condition(authority_status.ROTATING, "True", "Publishing"), next=awaited)
    of.given["outlooks"] = lambda: {"default": Outlook(ledger=known, keys={})}


def _copied(of: Parts) -> None:
    _, metadata = measured.a_secret()
    of.store.secrets.put(ObjectKey("mirror", "orders-mtls"), metadata, None, now=NOW)


def _orphaned(of: Parts) -> None:
    key = ObjectKey("shop", "roots")
    copy = publish.manifest(key, builders.authority("gone"), b"", Published(authority="gone", bundle_hash="h"))
    of.store.copies.put(key, copy["metadata"] | {"uid": "u", "resourceVersion": "5"}, now=NOW)


def _copy_refused(of: Parts) -> None:
    of.store.copies.refused["default", "shop"] = "exceeded quota"


def _not_serving(of: Parts) -> None:
    of.given |= {"why_not_ready": lambda: "away", "why_not_healthy": lambda: "deaf"}


def _skewed(of: Parts) -> None:
    clocks = Clocks(measured.clock)
    clocks.compare("Fri, 02 Jan 2026 03:04:00 GMT")
    of.given["clocks"] = clocks


def _due(of: Parts) -> None:
    async def put() -> Agenda:
        agenda = measured.agenda()
        agenda.put(Key.identity(ObjectKey("shop", "orders")), at=NOW - MINUTE)
        agenda.put(Key.identity(ObjectKey("shop", "billing")), at=NOW - HOUR)
        await agenda.take()
        return agenda

    of.given["agenda"] = asyncio.run(put())


def _slow(of: Parts) -> None:
    slots = SlowKeySlots(0)
    slots.acquire(ObjectKey("shop", "orders"), NOW)
    of.given["slots"] = {SlowWork.LARGE: slots}


def _leads(of: Parts) -> None:
    of.given |= {"is_leader": lambda: True, "transitions": lambda: 1}


def _remembers(of: Parts) -> None:
    of.given["remembered"] = lambda: 7


def _heard(of: Parts) -> None:
    of.given["heard"] = {"secrets": NOW}


def _issued(of: Parts) -> None:
    tally = Tally()
    tally.issue("default", Reason.RENEWAL_DUE)
    tally.reach(Stage.WRITTEN, NOW - SECOND, NOW)
    tally.refused["default", Reason.NOT_PERMITTED] += 1
    tally.mended[Reason.SECRET_MISSING] += 1
    of.given["tally"] = tally


def _rotated(of: Parts) -> None:
    of.count("rotations", "default", "done")


def _refused_write(of: Parts) -> None:
    trouble = Trouble()
    trouble.count("secrets", 403, Cause.QUOTA)
    of.given["trouble"] = trouble


def _reconciled(of: Parts) -> None:
    of.count("reconciles", "identity", "bug")


def _asked(of: Parts) -> None:
    requests = Requests()
    requests.note("POST", "/api/v1/namespaces/shop/secrets", 201, began=requests.begin())
    requests.note("PATCH", "/apis/mutualtls.dev/v1alpha1/namespaces/shop/mutualtlsidentities/a/status", None)
    for _ in range(2):
        requests.note("WATCH", "/api/v1/secrets", 200)
    of.given["requests"] = requests


def _missed(of: Parts) -> None:
    of.count("missed", "namespaces")


def _unread(of: Parts) -> None:
    unread = measured.unread()
    unread.note("secrets", None, "too long")
    of.given["unread"] = unread


def _put_back(of: Parts) -> None:
    versions = Versions()
    versions.compare("secrets", "5", before=7)
    of.given["versions"] = versions


def _upgraded(of: Parts) -> None:
    of.given["server_version"] = lambda: "v1.38.0"


END = "additional_root_not_after_timestamp_seconds"
STATES = f"identities {OF} ready=False reason"
MOVES: list[tuple[Callable[[Parts], None], dict[str, float]]] = [
    (_not_ready, {f"{STATES}=SecretContested": 1, f"secrets_contested {OF}": 1, f"identity_ready {ORDERS}": 0}),
    (_not_ready, {"identities_by_namespace namespace=shop ready=False": 1}),
    (_conflict, {f"secret_conflicts {OF}": 1}),
    (_not_writable, {"secrets_not_writable namespace=shop": 1}),
    (_overdue, {f"certificates_overdue {OF}": 1}),
    (_overdue, {f"identity_renewal_timestamp_seconds {ORDERS}": (NOW - MINUTE).timestamp()}),
    (_ended, {f"certificates_expired {OF}": 1, f"certificates_least_remaining_ratio {OF}": 0}),
    (_ended, {f"certificate_remaining_ratio_bucket {OF} le=0.0": 1}),
    (_ended, {f"certificates_soonest_not_after_timestamp_seconds {OF}": (NOW - MINUTE).timestamp()}),
    (_ended, {f"identity_not_after_timestamp_seconds {ORDERS}": (NOW - MINUTE).timestamp()}),
    (_throttled, {"throttled_identities namespace=shop": 1, "throttled_total": 1}),
    (_alarmed, {f"authority_condition {OF} status=True type=KeyLost": 1}),
    (_alarmed, {f"authority_reason {OF} reason=KeyLost type=KeyLost": 1}),
    (_elsewhere, {"authority_served_elsewhere authority=other served_by=pki": 1}),
    (_made, {f"ca_not_before_timestamp_seconds {ROOT} state=Active": NOW.timestamp()}),
    (_made, {f"ca_not_after_timestamp_seconds {ROOT} state=Active": (NOW + DAY).timestamp()}),
    (_has_key, {f"ca_key_available {ROOT}": 1, f"ca_key_available {OF} number=1 role=issuing": 0}),
    (_more_roots, {f"bundle_roots {OF}": 2}),
    (_other_bundle, {f"bundle_behind {OF} carrier=secret": 1}),
    (_orphaned, {"bundle_copies_orphaned authority=gone": 1}),
    (_copy_refused, {f"bundle_copies_not_writable {OF}": 1}),
    (_rotates, {f"rotation_phase {OF} phase=Publishing": 1, f"rotation_phase {OF} phase=Stable": 0}),
    (_rotates, {f"rotation_phase_started_timestamp_seconds {OF}": (NOW - HOUR).timestamp()}),
    (_rotates, {f"rotation_gate_open_timestamp_seconds {OF}": (NOW + HOUR).timestamp()}),
    (_rotates, {f"rotation_approval_pending {OF}": 1}),
    (_rotates, {f"rotation_laggards {OF}": 3, f"rotation_excused {OF}": 2}),
    (_copied, {f"rotation_skipped {OF}": 1}),
    (_upgraded, {}),
    (_not_serving, {"ready": 0, "healthy": 0}),
    (_skewed, {"clock_skew_seconds": 5}),
    (_due, {"agenda_entries priority=change": 1, "workers_busy": 1}),
    (_due, {"agenda_oldest_seconds priority=change": 3600}),
    (_slow, {"keys_waiting size=large": 1}),
    (_remembers, {"tracked_entries": 7}),
    (_heard, {"watch_last_event_timestamp_seconds resource=secrets": NOW.timestamp()}),
    (_issued, {f"certificates_issued_total {OF} reason=RenewalDue": 1}),
    (_issued, {"issuance_duration_seconds_bucket le=1.0 stage=written": 1}),
    (_issued, {f"refusals_total {OF} reason=NotPermitted": 1}),
    (_issued, {"secrets_mended_total reason=SecretMissing": 1}),
    (_rotated, {f"rotations_total {OF} result=done": 1}),
    (_refused_write, {"rejected_writes_total cause=quota code=403 resource=secrets": 1}),
    (_reconciled, {"reconcile_total kind=identity result=bug": 1}),
    (_asked, {"api_requests_total code=201 resource=secrets verb=create": 1}),
    (_asked, {"api_requests_total code=<error> resource=mutualtlsidentities/status verb=patch": 1}),
    (_asked, {"api_request_duration_seconds_count resource=secrets verb=create": 1}),
    (_asked, {"watch_restarts_total resource=secrets": 1}),
    (_missed, {"census_missed_total resource=namespaces": 1}),
    (_unread, {"unreadable_objects_total resource=secrets": 1}),
    (_leads, {"leader": 1, "leader_transitions_total": 1}),
    (_put_back, {"resource_version_rollbacks_total": 1}),
]


@pytest.mark.parametrize(("act", "expected"), MOVES, ids=lambda value: value.__name__ if callable(value) else None)
def test_a_metric_moves_with_what_it_measures(act: Callable[[Parts], None], expected: dict[str, float]) -> None:
    """Each value is another one before, or is not there."""
    parts = Parts()
    before = parts.samples()
    act(parts)
    after = parts.samples()

    assert expected == {name: after.get(name) for name in expected}
    assert all(before.get(name) != value for name, value in expected.items())


def test_each_metric_is_moved_by_a_test() -> None:
    """The table above has a row for each metric of the catalogue, but for those that never move."""
    names = {name.split()[0] for _, expected in MOVES for name in expected}
    moved = {re.sub("_(bucket|count)$", "", name) for name in names}

    assert {"build_info", "workers", END} == CATALOGUE.keys() - moved


def test_the_end_of_an_additional_root_is_exposed() -> None:
    """It goes by the fingerprint of the root, so that its owner can be found."""
    parts = Parts()
    _more_roots(parts)
    root = builders.other_signer().ledger.generations[0]
    assert root.not_after is not None

    assert root.not_after.timestamp() == parts.samples()[f"{END} {OF} fingerprint={root.fingerprint}"]


def test_what_runs_is_exposed() -> None:
    """The versions of operator, Python and API server are labels of a metric that is always 1."""
    parts = Parts()
    _upgraded(parts)
    (found,) = [name for name, value in parts.samples().items() if name.startswith("build_info") and value == 1]

    assert "kubernetes=v1.38.0 python=3." in found
    assert 16 == parts.samples()["workers"]
