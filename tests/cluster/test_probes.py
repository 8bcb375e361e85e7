"""What the probes say of each way not to serve, of an operator with the rights of the chart, and of what is none.

The ways that take minutes or a broken API server are in `tests/shell/test_health.py`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import yaml

from devtools.clusters.operators import NAMESPACE, wait_until
from support import chart, tenant
from support.tenant import Field


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """An operator that lists again every few seconds, so that it asks often enough to be denied."""
    with tenant.field(tmp_path_factory.mktemp("helm"), relist="5s") as found:
        yield found


def test_a_right_that_was_taken_away_is_told(field: Field) -> None:
    """It is not ready, and not to be started again; it serves once it has the right again."""
    role = field.cluster.kubectl("get", "clusterrole", chart.NAME, "--output", "yaml")
    rules = yaml.safe_load(role)
    for rule in rules["rules"]:
        if rule["resources"] == ["secrets"]:
            rule["verbs"].remove("create")
    field.cluster.kubectl("replace", "--filename", "-", stdin=yaml.safe_dump(rules))
    field.victim.apply("late")
    wait_until(lambda: "may not create secrets in namespace victim" in field.ask("/readyz")[1], "/readyz says it")
    assert 503 == field.ask("/readyz")[0]
    assert (200, "ok\n") == field.ask("/healthz")
    told = field.victim.wait_reason("late", "SecretNotWritable")["message"]
    assert "secret victim/late-mtls could not be created: Forbidden" in told

    rules["metadata"].pop("resourceVersion")
    field.cluster.kubectl("replace", "--force", "--filename", "-", stdin=role)
    field.wait_code("/readyz", 200)
    field.victim.wait_ready("late")


def test_a_quota_is_no_lack_of_a_right(field: Field) -> None:
    """It is denied with the same code, and is that namespace's business."""
    field.mallory.cluster.kubectl("--namespace", "mallory", "create", "quota", "none", "--hard=secrets=0")
    field.mallory.put(tenant.IDENTITIES, IDENTITY)
    wait_until(lambda: field.operator.logged("mallory/refused"), "the write is refused")
    reviews = "selfsubjectaccessreviews"
    wait_until(lambda: reviews in field.cluster.audit_log.read_text(), "the API server is asked for the right")

    field.is_served()
    assert (200, "ok\n") == field.ask("/readyz")
    assert (200, "ok\n") == field.ask("/healthz")


def test_statuses_that_are_refused_are_told(field: Field) -> None:
    """A refusal shows in /readyz, a metric and the log; the statuses follow when they can be written."""
    _refuse_statuses(field)
    try:
        field.victim.apply("unheard")
        field.mallory.put(tenant.IDENTITIES, IDENTITY | {"metadata": {"name": "unheard"}})
        wait_until(lambda: "refuses the statuses" in field.ask("/readyz")[1], "/readyz says it", deadline_s=60)
        assert (200, "ok\n") == field.ask("/healthz")
        metrics = field.ask("/metrics")[1]
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            field.cluster.kubectl("delete", kind, "statuses")

    rejected = 'mutualtls_rejected_writes_total{cause="policy",code="422",resource="mutualtlsidentities/status"}'
    assert rejected in metrics
    assert field.operator.logged("nobody is to know")
    field.victim.wait_ready("unheard")
    field.wait_code("/readyz", 200)


def _refuse_statuses(field: Field) -> None:
    """Have the API server take no status of an identity any more."""
    rules = [
        {
            "apiGroups": ["mutualtls.dev"],
            "apiVersions": ["*"],
            "operations": ["UPDATE"],
            "resources": ["mutualtlsidentities/status"],
        }
    ]
    validation = {"expression": "false", "message": "nobody is to know"}
    specs = {
        "ValidatingAdmissionPolicy": {"matchConstraints": {"resourceRules": rules}, "validations": [validation]},
        "ValidatingAdmissionPolicyBinding": {"policyName": "statuses", "validationActions": ["Deny"]},
    }
    for kind, spec in specs.items():
        head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "statuses"}}
        field.cluster.kubectl("create", "--filename", "-", stdin=yaml.safe_dump(head | {"spec": spec}))
    field.victim.apply("probe", suspend=True)

    def is_refused() -> bool:
        patch = ("--subresource=status", "--type=merge", '--patch={"status":{"bundle":"a"}}', "--dry-run=server")
        return "nobody is to know" in field.victim.kubectl("patch", "mtls", "probe", *patch, check=False)

    wait_until(is_refused, "the policy is obeyed")


IDENTITY = {
    "apiVersion": "mutualtls.dev/v1alpha1",
    "kind": "MutualTLSIdentity",
    "metadata": {"name": "refused"},
    "spec": {},
}


@pytest.mark.further
def test_a_watch_that_may_not_be_followed_is_told(field: Field) -> None:
    """The log has what the API server says."""
    binding = field.cluster.kubectl("get", "clusterrolebinding", chart.NAME, "--output", "yaml")
    field.cluster.kubectl("delete", "clusterrolebinding", chart.NAME)
    field.wait_code("/readyz", 503)
    wait_until(lambda: "may not" in field.ask("/readyz")[1], "/readyz says which right it lacks")
    assert (200, "ok\n") == field.ask("/healthz")

    field.cluster.kubectl("create", "--filename", "-", stdin=binding)
    field.wait_code("/readyz", 200)
    field.is_served()


@pytest.mark.further
def test_an_event_loop_that_is_stuck_answers_nothing(field: Field) -> None:
    """Kubelet takes the silence for a failure of both probes."""
    assert field.operator.process is not None
    os.kill(field.operator.process.pid, signal.SIGSTOP)
    try:
        assert (0, "") == field.ask("/healthz")
        assert (0, "") == field.ask("/readyz")
    finally:
        os.kill(field.operator.process.pid, signal.SIGCONT)
    field.wait_code("/readyz", 200)


@pytest.mark.further
def test_an_account_that_is_gone_is_told(field: Field) -> None:
    """Its token is worth nothing then."""
    account = ("--namespace", NAMESPACE, "serviceaccount", chart.NAME)
    field.cluster.kubectl("delete", *account)
    field.wait_code("/readyz", 503)
    wait_until(lambda: "401" in field.ask("/readyz")[1], "/readyz says that the account is not known")
    assert (200, "ok\n") == field.ask("/healthz")

    field.cluster.kubectl("create", *account)
    chart.log_in(field.cluster)
    field.begin_again()
    field.is_served()
