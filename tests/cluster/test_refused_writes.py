"""Writes that the API server does not take, for whatever reason: they are settled, told, and tried again.

By what is really in their way: admission policies, quotas, finalizers, immutability. How often that is told within an
hour is in `tests/shell/test_refused_hour.py`; a lack of rights, and statuses that are refused, in `test_probes.py`.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from devtools.clusters.operators import NAMESPACE, wait_until
from mutualtls.core import fitting
from mutualtls.core.api.authority_status import AuthorityStatus, CAStatus, NextStatus, OrderStatus
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.api.states import Role, State
from mutualtls.core.api.status import CertificateStatus, Condition
from mutualtls.core.times import rfc3339
from support.authority import AnAuthority
from support.world import World

API = "admissionregistration.k8s.io/v1"
NEEDS_LABEL = {
    "expression": "has(object.metadata.labels) && 'owner' in object.metadata.labels",
    "message": "every Secret needs the label owner",
}


@contextlib.contextmanager
def policy(world: World, *operations: str, of: str = "secrets", **rule: str) -> Iterator[None]:
    """Have a ValidatingAdmissionPolicy over a namespace, from when it is obeyed until it is no more."""
    group, _, resource = of.rpartition(".")
    name = f"policy-{world.namespace}"
    rules = [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": list(operations),
            "resources": [resource],
        }
    ]
    spec = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": rules}, "validations": [rule or NEEDS_LABEL]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}}
    _create(world, "ValidatingAdmissionPolicy", name, spec)
    _create(world, "ValidatingAdmissionPolicyBinding", name, binding)
    try:
        yield
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            world.cluster.kubectl("delete", kind, name)


def _create(world: World, kind: str, name: str, spec: dict[str, Any], *, version: str = API) -> None:
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    world.cluster.kubectl("create", "--filename", "-", stdin=yaml.safe_dump(body))


def is_denied(world: World, what: str = "denied request") -> bool:
    """Tell whether a Secret is refused here."""
    said = world.kubectl("create", "secret", "generic", "probe", "--dry-run=server", check=False)
    return what in said


@contextlib.contextmanager
def denied_creation(world: World) -> Iterator[None]:
    """Have an admission policy that wants a label on every Secret."""
    with policy(world, "CREATE", "UPDATE"):
        wait_until(lambda: is_denied(world), "the policy is obeyed")
        yield
    wait_until(lambda: not is_denied(world), "the policy is gone")


@contextlib.contextmanager
def quota(world: World, hard: str, *, namespace: str | None = None) -> Iterator[None]:
    """Have a quota in a namespace, from when it counts."""
    where = ("--namespace", namespace or world.namespace)

    def is_counted() -> bool:
        found = json.loads(world.cluster.kubectl(*where, "get", "quota", "none", "--output", "json"))
        return bool(found.get("status", {}).get("used"))

    world.cluster.kubectl(*where, "create", "quota", "none", f"--hard={hard}")
    try:
        wait_until(is_counted, "the quota counts")
        yield
    finally:
        world.cluster.kubectl(*where, "delete", "quota", "none")


@contextlib.contextmanager
def no_secrets(world: World) -> Iterator[None]:
    """Have a quota of no Secrets."""
    with quota(world, "secrets=0"):
        yield


REFUSALS = [
    pytest.param(denied_creation, "every Secret needs the label owner", id="an admission policy"),
    pytest.param(no_secrets, "exceeded quota: none, requested: secrets=1", id="a quota"),
]


@pytest.mark.parametrize(("refusal", "said"), REFUSALS)
def test_a_first_issuance_that_is_refused_is_told(world: World, refusal: Any, said: str) -> None:
    """The refusal shows in kubectl's row and one Event, in the API server's words, and is made good later."""
    with refusal(world):
        world.apply("orders")
        condition = world.wait_reason("orders", "SecretNotWritable")
        world.wait_events("orders", ("Warning", "SecretNotWritable"))

    assert "False" == condition["status"]
    assert f"secret {world.namespace}/orders-mtls could not be created: " in condition["message"]
    assert said in condition["message"]
    assert "retried at least every 2 seconds; what waits: secret orders-mtls does not exist" in condition["message"]
    world.wait_ready("orders")
    assert world.condition("orders", "Stalled") == {}
    assert [("Warning", "SecretNotWritable")] == world.events("orders")
    assert world.ISSUANCE["patch", "mutualtlsidentities/status"] + 1 == _statuses(world)


def _statuses(world: World) -> int:
    return world.counted_writes()["patch", "mutualtlsidentities/status"]


def test_a_change_that_is_refused_is_told_for_the_spec_of_now(world: World) -> None:
    """The files that are there are not what it asks for; labels and annotations that are refused spoil nothing."""
    for name in ("orders", "labelled"):
        world.apply(name)
    world.wait_ready("orders", "labelled")
    files, serial = world.files("orders-mtls"), world.serial("orders")
    with policy(world, "UPDATE"):
        wait_until(lambda: "denied" in _touch(world), "the policy is obeyed")
        world.apply("orders", usages=["client auth"])
        world.apply("labelled", secret={"labels": {"team": "shop"}})
        changed = world.wait_reason("orders", "SecretNotWritable")
        labelled = world.wait_reason("labelled", "SecretNotWritable")

    assert ("False", 2) == (changed["status"], changed["observedGeneration"])
    assert "what waits: certificate is for" in changed["message"]
    assert ("True", "True") == (labelled["status"], world.condition("labelled", "Stalled")["status"])
    assert (files, serial) == (world.files("orders-mtls"), world.serial("orders"))
    world.wait_ready("orders", "labelled")
    world.wait_reissued("orders", serial)


@pytest.mark.further
def test_a_secret_that_grows_too_large_is_told(world: World) -> None:
    """Somebody filled it up to what a Secret may hold, and the spec asks for more: its files stay as they are."""
    world.apply("orders")
    world.wait_ready("orders")
    files = world.files("orders-mtls")
    room = 1024 * 1024 - sum(map(len, files.values()))
    world.patch("secret", "orders-mtls", {"data": {"theirs": base64.b64encode(bytes(room)).decode()}})
    world.apply("orders", formats={"combinedPEM": {}})
    condition = world.wait_reason("orders", "SecretNotWritable")
    world.wait_events("orders", ("Warning", "SecretNotWritable"))

    assert "Too long" in condition["message"]
    assert ("True", 2) == (condition["status"], condition["observedGeneration"])
    assert files | {"theirs": bytes(room)} == world.files("orders-mtls")
    world.patch("secret", "orders-mtls", {"data": {"theirs": None}})
    world.wait_ready("orders")
    wait_until(lambda: "tls.pem" in world.files("orders-mtls"), "it has what is asked for")


def _touch(world: World) -> str:
    return world.kubectl("annotate", "secret", "orders-mtls", "a=b", "--dry-run=server", check=False)


@pytest.mark.long
@pytest.mark.further
def test_an_expired_certificate_is_not_ready_though_its_secret_cannot_be_written(world: World) -> None:
    """The condition turns at the second at which the certificate ends."""
    world.apply("orders", duration="1m")
    world.wait_ready("orders")
    end = world.status("orders")["certificate"]["notAfter"]
    with policy(world, "UPDATE"):
        told = world.wait_reason
        wait_until(lambda: world.condition("orders").get("reason") == "SecretNotWritable", "it is due", deadline_s=90)
        assert "True" == told("orders", "SecretNotWritable")["status"]
        wait_until(lambda: world.condition("orders")["status"] == "False", "it has ended", deadline_s=60)
        condition = world.condition("orders")

    late = datetime.fromisoformat(condition["lastTransitionTime"]) - datetime.fromisoformat(end)
    assert 0 <= late.total_seconds() <= 2
    assert f"certificate expired at: {end}" in condition["message"]
    assert [("Warning", "SecretNotWritable")] == world.events("orders")
    world.wait_ready("orders")


def test_a_policy_that_quotes_the_key_is_not_repeated(world: World) -> None:
    """Status, Events and log leave the quote out."""
    quoting = "'the key begins with ' + string(object.data['tls.key']).substring(30, 90)"
    with policy(world, "CREATE", expression="!('tls.key' in object.data)", messageExpression=quoting, message="no"):
        wait_until(lambda: "the key begins with" in _try_key(world), "the policy is obeyed")
        world.apply("orders")
        condition = world.wait_reason("orders", "SecretNotWritable")
        world.wait_events("orders", ("Warning", "SecretNotWritable"))

    assert f"secret {world.namespace}/orders-mtls could not be created: Invalid" in condition["message"]
    assert "begins with" not in condition["message"]
    assert not world.operator.logged("the key begins with")


def _try_key(world: World) -> str:
    arguments = ("create", "secret", "generic", "probe", "--from-literal=tls.key=" + "a" * 100, "--dry-run=server")
    return world.kubectl(*arguments, check=False)


# Secrets that cannot be changed


def test_a_secret_that_a_policy_makes_immutable_is_made_anew(world: World) -> None:
    """The API server's answer tells, because the policy changes what we write."""
    name = f"frozen-{world.namespace}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}]
    mutation = {
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {"expression": "Object{immutable: true}"},
    }
    spec = {"matchConstraints": {"resourceRules": rules}, "mutations": [mutation], "reinvocationPolicy": "Never"}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    binding = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
    _create(world, "MutatingAdmissionPolicy", name, spec)
    _create(world, "MutatingAdmissionPolicyBinding", name, binding)
    try:
        wait_until(lambda: _is_frozen(world), "the policy is obeyed")
        world.apply("orders")
        world.wait_ready("orders")
        assert (world.get("secret", "orders-mtls") or {})["immutable"]
        serial = world.serial("orders")
        world.apply("orders", usages=["client auth"])
        world.wait_reissued("orders", serial)
    finally:
        for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
            world.cluster.kubectl("delete", kind, name)

    assert world.operator.stop()
    wait_until(lambda: not _is_frozen(world), "the policy is gone")
    serial = world.serial("orders")
    world.apply("orders")
    world.operator.start()
    world.wait_reissued("orders", serial)
    assert not (world.get("secret", "orders-mtls") or {}).get("immutable")


def _is_frozen(world: World) -> bool:
    said = world.kubectl("create", "secret", "generic", "probe", "--dry-run=server", "--output=json")
    return bool(json.loads(said).get("immutable"))


def test_a_secret_that_has_to_go_and_is_kept_by_a_finalizer_is_waited_for(world: World) -> None:
    """It is deleted once, and who can help is told."""
    world.apply("orders")
    world.wait_ready("orders")
    serial = world.serial("orders")
    before = world.counted_writes()["delete", "secrets"]
    world.patch("secret", "orders-mtls", {"metadata": {"finalizers": ["example.com/keep"]}, "immutable": True})
    condition = world.wait_reason("orders", "SecretTerminating")
    world.apply("next")
    world.wait_ready("next")

    assert "is kept by finalizers (example.com/keep)" in condition["message"]
    assert "True" == world.condition("orders", "Stalled")["status"]
    assert 1 == world.counted_writes()["delete", "secrets"] - before
    assert not world.operator.logged(f"{world.namespace}/orders is never settled")
    world.wait_events("orders", ("Warning", "SecretTerminating"))

    world.patch("secret", "orders-mtls", {"metadata": {"finalizers": None}})
    world.wait_ready("orders")
    assert serial != world.serial("orders")


# Authorities, and copies of their bundles


@pytest.fixture
def authority(world: World) -> AnAuthority:
    """An authority of the test's own."""
    return AnAuthority(world=world, name=f"of-{world.namespace}")


def test_an_authority_whose_state_is_refused_says_so(world: World, authority: AnAuthority) -> None:
    """Authority and identities have the words of the API server; who waits for the authority sees a failure."""
    count = len(world.client.find("secret", namespace=NAMESPACE))
    with quota(world, f"secrets={count}", namespace=NAMESPACE):
        authority.apply()
        world.apply("orders", authority=authority.name)
        wait_until(lambda: authority.condition("Stalled").get("status") == "True", "it is told")
        told = world.wait_reason("orders", "AuthorityNotReady")["message"]
        ready = authority.condition("Ready")
        wait_until(authority.events, "an Event tells")

    assert ("False", "StateNotWritable") == (ready["status"], ready["reason"])
    secret = f"secret {NAMESPACE}/mutualtls-ca.{authority.name}.root.1 could not be created"
    for message in (ready["message"], told):
        assert f"{secret}: Forbidden" in message
        assert "exceeded quota" in message
    assert [("Warning", "StateNotWritable")] == authority.events()
    authority.annotate("look", "again")
    world.wait_ready("orders")
    assert {} == authority.condition("Stalled")


def test_a_ledger_that_cannot_be_written_stops_signing_and_says_so(world: World, authority: AnAuthority) -> None:
    """One look at the authority tries it again for all its identities."""
    authority.apply()
    authority.issue("orders")
    ledgers = World(cluster=world.cluster, operator=world.operator, namespace=NAMESPACE)
    rule = {"expression": f"object.metadata.name != 'mutualtls-ledger.{authority.name}'", "message": "it is frozen"}
    with policy(ledgers, "UPDATE", of="configmaps", **rule):
        wait_until(lambda: "frozen" in _touch_ledger(authority), "the policy is obeyed")
        world.apply("long", authority=authority.name, duration="100h")
        message = world.wait_reason("long", "AuthorityNotReady")["message"]
        assert ("False", "StateNotWritable") == _ready(authority)
        assert "True" == world.condition("orders")["status"]

    assert "it is frozen" in message
    wait_until(lambda: "frozen" not in _touch_ledger(authority), "the policy is gone")
    authority.annotate("look", "again")
    world.wait_ready("long")
    assert ("True", "Active") == _ready(authority)


def _touch_ledger(authority: AnAuthority) -> str:
    named = ("configmap", f"mutualtls-ledger.{authority.name}")
    return authority.system("annotate", *named, "a=b", "--dry-run=server", check=False)


def _ready(authority: AnAuthority) -> tuple[str, str]:
    ready = authority.condition("Ready")
    return ready["status"], ready["reason"]


def test_a_copy_of_the_bundle_that_is_refused_is_told_by_its_authority(world: World, authority: AnAuthority) -> None:
    """A condition and an Event tell of it, until it can be written."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    wait_until(lambda: world.get("configmap", "kube-root-ca.crt"), "its own ConfigMap is there")
    with quota(world, "configmaps=1"):
        authority.apply(trust={"configMap": {"name": "trusted", "namespaceSelector": selector}})
        wait_until(lambda: authority.condition("Conflicting").get("reason") == "BundleNotWritable", "it is told")
        wait_until(authority.events, "an Event tells")
        condition = authority.condition("Conflicting")

    assert f"configmap {world.namespace}/trusted could not be created: Forbidden" in condition["message"]
    assert "exceeded quota" in condition["message"]
    assert ("Warning", "BundleNotWritable") in authority.events()
    assert ("True", "Active") == _ready(authority)
    wait_until(lambda: authority.condition("Conflicting")["status"] == "False", "it is over")


def test_forty_orders_do_not_keep_the_status_from_being_written(authority: AnAuthority) -> None:
    """The status lists as many as it may hold."""
    authority.apply()
    authority.issue("orders")
    authority.order("compromised", ",".join(f"{number:064x}" for number in range(40)))
    wait_until(lambda: len(authority.status().get("orders", ())) == 32, "the orders are answered")

    assert "more are not obeyed" in authority.status()["orders"][-1]["message"]
    authority.apply(suspend=True)
    wait_until(lambda: _ready(authority) == ("False", "Suspended"), "the status is written")


def test_a_refusal_of_thirty_names_has_its_event(world: World) -> None:
    """Its note is cut by bytes, and says how many more there are."""
    world.apply("orders", dnsNames=[f"ö{number:02}.{'ä' * 20}.example.com" for number in range(30)])
    world.wait_reason("orders", "NotPermitted")
    world.wait_events("orders", ("Warning", "NotPermitted"))
    (event,) = (one for one in world.client.find("event", namespace=world.namespace) if one["reason"] == "NotPermitted")

    assert "more: see the status" in event["message"]
    assert len(event["message"].encode()) <= fitting.LONGEST_NOTE


# What is written, at the bounds of its schema

NOW = rfc3339(datetime.fromisoformat("2026-01-02T03:04:05Z"))
PIECES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def longest(piece: str) -> tuple[IdentityStatus, AuthorityStatus]:
    """Write statuses that are too long wherever something is, made of one piece of text."""
    text = piece * 5000
    conditions = tuple(
        Condition(
            type=f"{number}{text}",
            status="True",
            reason=text,
            message=text,
            observed_generation=1,
            last_transition_time=NOW,
        )
        for number in range(12)
    )
    certificate = CertificateStatus(
        serial_number=text,
        fingerprint=text,
        public_key_hash=text,
        not_before=NOW,
        not_after=NOW,
        renewal_time=NOW,
        issuer_key_id=text,
    )
    ca = CAStatus(
        role=Role.ROOT,
        number=1,
        state=State.ACTIVE,
        fingerprint=text,
        key_id=text,
        not_after=NOW,
        certificate=text[:200],  # sixty-four of the longest are more than an object may have
    )
    return (
        IdentityStatus(
            conditions=conditions,
            certificate=certificate,
            secret_name=text,
            bundle=text,
            held_names=text,
            reissued=text,
        ),
        AuthorityStatus(
            conditions=conditions,
            next=NextStatus(
                waits_for=text,
                laggards=(text,) * 20,
                excused_names=(text,) * 20,
                skipped_names=(text,) * 20,
                forced=text,
                until=NOW,
            ),
            orders=(OrderStatus(order=text, value=text, message=text),) * 50,
            generations=(ca,) * 80,
            bundle=text,
        ),
    )


def test_whatever_is_written_at_the_bounds_is_taken(world: World, authority: AnAuthority) -> None:
    """The API server itself takes statuses as they are fitted, and notes of Events."""
    world.apply("orders", suspend=True)
    authority.apply(suspend=True)

    @settings(max_examples=5, deadline=None, database=None, phases=[Phase.generate])
    @given(PIECES)
    def check(piece: str) -> None:
        of_identity, of_authority = (fitting.fitted(one) for one in longest(piece))
        _try_status(world, "mtls", "orders", of_identity)
        _try_status(world, "mtlsca", authority.name, of_authority)
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "probe"},
            "eventTime": "2026-01-02T03:04:05.000000Z",
            "type": "Warning",
            "reason": "NotPermitted",
            "action": "Refuse",
            "note": fitting.note("; ".join([piece * 200] * 30)),
            "reportingController": "mutualtls.dev/operator",
            "reportingInstance": "tests",
            "regarding": {"kind": "Namespace", "name": world.namespace, "namespace": world.namespace},
        }
        world.kubectl("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(event))

    check()


def _try_status(world: World, kind: str, name: str, status: Struct) -> None:
    """Have the API server judge a status, which it refuses whole or takes."""
    patch = json.dumps({"status": msgspec.to_builtins(status)})
    more = ("--subresource=status", "--type=merge", "--patch-file=/dev/stdin", "--dry-run=server")
    world.kubectl("patch", kind, name, *more, stdin=patch)
