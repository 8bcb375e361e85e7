"""Metrics of an operator at work: each act of a user, or of somebody else, moves what counts it."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from devtools.clusters import clusters, operators
from devtools.clusters.operators import wait_until
from devtools.machine import ports
from support.authority import AnAuthority
from support.world import World

AUTHORITY = {
    "apiVersion": "mutualtls.dev/v1alpha1",
    "kind": "MutualTLSAuthority",
    "metadata": {"name": "default"},
    "spec": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(World):
    """A namespace of the test's own, with an operator that is measured."""

    port: int

    def samples(self) -> dict[str, float]:
        """List the values of all metrics by name, without what all begin with, and labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return {_name(sample.name, sample.labels): sample.value for sample in found}

    def value(self, name: str) -> float:
        """Read one value; 0 where there is none."""
        return self.samples().get(name, 0.0)

    def wait_more(self, name: str, than: float = 0.0) -> None:
        """Wait until a value is more."""
        wait_until(lambda: self.value(name) > than, f"{name} is more than {than}", deadline_s=60)

    def wait_value(self, name: str, value: float) -> None:
        """Wait until there is a value and it is this one."""
        wait_until(lambda: self.samples().get(name) == value, f"{name} is {value}", deadline_s=60)


def _name(name: str, labels: dict[str, str]) -> str:
    words = (f"{label}={value}" for label, value in sorted(labels.items()))
    return " ".join([name.removeprefix("mutualtls_"), *words])


@pytest.fixture(scope="module")
def measured() -> Iterator[Measured]:
    """An operator that exposes all metrics, and tells of every certificate by an Event."""
    (port,) = ports.free(1)
    with clusters.running("metrics", audit=True) as cluster:
        operators.install(cluster)
        with operators.running(
            cluster,
            health_port=str(port),
            conflict_retry="1s",
            events="all",
            metrics_per_identity="true",
            metrics_by_namespace="true",
        ) as operator:
            cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(AUTHORITY))
            cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
            yield Measured(cluster=cluster, operator=operator, namespace="", port=port)
            assert not operator.logged("programming error")


@pytest.fixture
def world(measured: Measured) -> Measured:
    """A namespace of the test's own."""
    namespace = f"test-{secrets.token_hex(3)}"
    measured.client.create("namespace", {"metadata": {"name": namespace}})
    return Measured(cluster=measured.cluster, operator=measured.operator, namespace=namespace, port=measured.port)


OF = "authority=default"


def test_an_issuance_is_counted_and_measured(world: Measured) -> None:
    """The certificate has a reason, the issuance three stages, and the identity series of its own."""
    before = world.samples()
    world.apply("orders")
    world.wait_ready("orders")
    world.wait_value(f"identity_ready {OF} name=orders namespace={world.namespace}", 1)
    after = world.samples()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert 1 == grown(f"certificates_issued_total {OF} reason=SecretMissing")
    assert {1.0} == {grown(f"issuance_duration_seconds_count stage={one}") for one in ("queued", "signed", "written")}
    assert 1 == grown("api_requests_total code=201 resource=secrets verb=create")
    assert 1 == grown("api_requests_total code=200 resource=mutualtlsidentities/status verb=patch")
    assert 1 == grown("api_request_duration_seconds_count resource=secrets verb=create")
    assert 1 <= grown("reconcile_total kind=identity result=done")
    assert 1 == grown(f"identities {OF} ready=True reason=Issued")
    assert 1 == after[f"identities_by_namespace namespace={world.namespace} ready=True"]
    assert after[f"certificates_least_remaining_ratio {OF}"] > 0.5
    assert 0 == after[f"certificates_overdue {OF}"]


def test_what_runs_is_told(world: Measured) -> None:
    """The version of the API server is a label; every watch has told something, be it the first list of Kopf's."""
    world.wait_value("ready", 1)
    found = world.samples()
    heard = {name.split("=")[1] for name in found if name.startswith("watch_last_event_timestamp_seconds ")}
    watched = {name.split("=")[1] for name in found if name.startswith("watch_restarts_total ")}
    (built,) = [name for name in found if name.startswith("build_info ")]

    resources = {"secrets", "configmaps", "namespaces", "mutualtlsidentities", "mutualtlsauthorities"}
    assert resources <= heard
    assert resources <= watched
    assert "kubernetes=v1." in built
    assert {1.0} == {found[name] for name in ("healthy", f"ca_key_available {OF} number=1 role=root")}
    assert abs(found["clock_skew_seconds"]) < 5
    assert found["process_resident_memory_bytes"] > 0


def test_renewals_of_the_lease_are_requests_as_all_others(world: Measured) -> None:
    """They go over a connection of their own, and are counted and measured with the rest."""
    renewal = "resource=leases verb=update"
    before = world.value(f"api_requests_total code=200 {renewal}")

    world.wait_more(f"api_requests_total code=200 {renewal}", than=before)
    assert 1 <= world.value(f"api_request_duration_seconds_count {renewal}")


@pytest.mark.parametrize(
    ("harm", "reason"), [("delete", "SecretMissing"), ("bundle", "BundleOutdated"), ("label", "MetadataDrifted")]
)
def test_a_secret_that_somebody_changed_is_counted_as_mended(world: Measured, harm: str, reason: str) -> None:
    """A first issuance and a change of the spec count as no repair."""
    world.apply("orders")
    world.wait_ready("orders")
    world.apply("orders", secret={"labels": {"team": "shop"}})
    wait_until(lambda: (world.get("secret", "orders-mtls") or {})["metadata"]["labels"].get("team"), "label is there")
    world.wait_ready("orders")
    name = f"secrets_mended_total reason={reason}"
    before = world.value(name)
    match harm:
        case "delete":
            world.delete("secret", "orders-mtls")
        case "bundle":
            world.patch("secret", "orders-mtls", {"stringData": {"ca.crt": "no bundle"}})
        case _:
            world.patch("secret", "orders-mtls", {"metadata": {"labels": {"team": "billing"}}})
    world.wait_more(name, before)

    assert before + 1 == world.value(name)


def test_a_spec_that_is_refused_is_counted_once(world: Measured) -> None:
    """A spec for an authority that does not exist makes no label of that name."""
    refused, absent = f"refusals_total {OF} reason=NotPermitted", "refusals_total authority= reason=AuthorityNotFound"
    before = (world.value(refused), world.value(absent))
    world.apply("orders", dnsNames=["orders.example.com"])
    world.wait_reason("orders", "NotPermitted")
    world.apply("billing", authority="nobody")
    world.wait_reason("billing", "AuthorityNotFound")
    world.wait_more(absent, before[1])

    assert (before[0] + 1, before[1] + 1) == (world.value(refused), world.value(absent))
    assert 1 <= world.value("identities authority= ready=False reason=AuthorityNotFound")


def test_a_secret_of_somebody_else_is_counted_while_it_is_there(world: Measured) -> None:
    """The gauge goes back once the Secret is gone."""
    world.client.create("secret", {"metadata": {"name": "orders-mtls"}}, namespace=world.namespace)
    world.apply("orders")
    world.wait_value(f"secret_conflicts {OF}", 1)
    world.delete("secret", "orders-mtls")
    world.wait_value(f"secret_conflicts {OF}", 0)


def test_each_certificate_has_an_event_where_that_is_asked_for(world: Measured) -> None:
    """The first certificate and its planned renewal have an Event each, with the reason."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    authority.apply(leaf={"minDuration": "1m"})
    world.apply("orders", authority=authority.name, duration="1m", renewBefore="54s")
    world.wait_ready("orders")
    world.wait_reissued("orders", world.serial("orders"))
    expected = {("Normal", "SecretMissing"), ("Normal", "RenewalDue")}

    wait_until(lambda: expected <= set(world.events("orders")), "both are told", deadline_s=60)
    assert 1 <= world.value(f"certificates_issued_total authority={authority.name} reason=RenewalDue")


def test_a_rotation_is_seen_and_counted(world: Measured) -> None:
    """The phases are a state set, the approval is asked for, and the end counts."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    quick = {"soak": "1s", "retire": "AfterReplacement", "laggardTimeout": "5s"}
    authority.apply(rotation=quick | {"approval": "Manual"})
    authority.issue("orders")
    of = f"authority={authority.name}"
    world.wait_value(f"rotation_phase {of} phase=Stable", 1)
    authority.rotate()
    world.wait_value(f"rotation_phase {of} phase=Publishing", 1)
    world.wait_value(f"rotation_approval_pending {of}", 1)
    found = world.samples()
    authority.apply(rotation=quick | {"approval": "Automatic"})
    world.wait_value(f"rotations_total {of} result=done", 1)

    assert 0 == found[f"rotation_phase {of} phase=Stable"]
    assert 2 == found[f"bundle_roots {of}"]
    assert found[f"rotation_phase_started_timestamp_seconds {of}"] > 0
    assert 1 == found[f"authority_condition {of} status=True type=Rotating"]
    assert 1 <= world.value(f"certificates_issued_total {of} reason=IssuerReplaced")
    world.wait_value(f"rotation_phase {of} phase=Stable", 1)
    assert 1 == world.value(f"bundle_roots {of}")


def test_a_lost_key_is_seen(world: Measured) -> None:
    """The key of the CA is told to be away, and the condition of its authority has its reason."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    authority.apply()
    authority.issue("orders")
    of = f"authority={authority.name}"
    world.wait_value(f"ca_key_available {of} number=1 role=root", 1)
    authority.system("delete", "secret", f"mutualtls-ca.{authority.name}.root.1")
    world.wait_value(f"ca_key_available {of} number=1 role=root", 0)
    world.wait_value(f"authority_reason {of} reason=KeyLost type=KeyLost", 1)
    world.wait_value(f"authority_condition {of} status=True type=KeyLost", 1)
