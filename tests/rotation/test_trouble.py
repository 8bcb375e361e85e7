"""The root is replaced though somebody or something is in the way: only who is outside of the promise may notice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from devtools.clusters.faults import Refuse
from devtools.clusters.operators import wait_until
from support import runs
from support.runs import Run
from support.scenes import Scene

QUICK_EXCUSE = {"laggardTimeout": "5s"}
RESTART_SOAK_S = 20
"""Several times what an API server needs to start."""
AWAY_S = 15.0
"""How long an outage takes in which laggards could be excused."""
TRIES = 5
"""After an outage, one a second: more than the authority needs to be looked at."""


def test_a_consumer_that_is_slower_than_the_soak_fails_and_only_it(scene: Scene, tmp_path: Path) -> None:
    """It is outside of the promise. That its failures are seen shows that failures are."""
    with runs.running(scene, tmp_path) as run:
        run.join("slow", delay_s=runs.SOAK_S * 30)
        run.rotate()
        run.wait_replaced()
        wait_until(run.fleet.failures, "its handshakes fail")

        run.but |= {"slow": 0.0}
        run.judge()


def test_a_secret_that_cannot_be_written_is_excused(scene: Scene, tmp_path: Path) -> None:
    """It is named while it is waited for. When it can be written again, its consumer is back."""
    with runs.running(scene, tmp_path, rotation=QUICK_EXCUSE) as run:
        run.join("frozen")
        scene.proxy.answer("PATCH", "/secrets/frozen-mtls", status=403, reason="Forbidden", times=10_000)
        run.excuse("frozen")
        run.rotate()
        wait_until(lambda: run.secret("frozen") in run.laggards(), "it is waited for, by name")
        run.wait_replaced()
        run.judge()

        scene.proxy.mend()
        run.wait_trusted_by("root 2", "frozen")


@pytest.mark.further
def test_writes_that_fail_for_a_while_excuse_nobody(scene: Scene, tmp_path: Path) -> None:
    """They are tried again, and contest nothing: an API server that is away for a while has overwritten nothing."""
    with runs.running(scene, tmp_path) as run:
        for name in runs.FEW[:2]:
            scene.proxy.answer("PATCH", f"/secrets/{name}-mtls", status=502, reason="BadGateway", times=4)
        run.rotate()
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_a_status_that_cannot_be_written_keeps_nothing_from_anybody(scene: Scene, tmp_path: Path) -> None:
    """The authority's, when its new root is there: who is to have that in its bundle is told all the same."""
    with runs.running(scene, tmp_path) as run:
        path = f"/mutualtlsauthorities/{run.authority.name}/status"
        scene.proxy.answer("PATCH", path, status=500, reason="InternalError", times=3)
        run.authority.rotate()
        run.wait_replaced()
        run.judge()

        assert ("Warning", "LaggardsExcused") not in run.authority.events()


def test_a_ca_that_signs_no_more_signs_nothing_while_the_next_is_unread(scene: Scene, tmp_path: Path) -> None:
    """The ledger says already that another signs, and then nothing can be read: a first certificate waits."""
    with runs.running(scene, tmp_path, rotation={"approval": "Manual"}) as run:
        run.rotate()
        wait_until(lambda: "approve" in run.waits_for(), "it waits for an approval")
        ledger = run.ledger_name
        scene.proxy.answer("GET", ledger, status=500, reason="InternalError", times=4, after=ledger)
        run.authority.order("approve", f"{run.incoming()['fingerprint']}/Signing")
        wait_until(lambda: run.state_in_ledger("root", 2) == "Active", "root 2 signs, by the ledger")
        run.join("payments")
        issued = run.history.now()[run.secret("payments")].leaf
        assert issued is not None
        assert run.key_id("root 2") == issued.root

        run.change_rotation(approval="Automatic")
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_a_configmap_that_was_there_before_is_excused(scene: Scene, tmp_path: Path) -> None:
    """It is named while it is waited for, and never touched."""
    other = scene.world()
    other.kubectl("create", "configmap", runs.BUNDLE, "--from-literal=ca.crt=theirs")
    with runs.running(scene, tmp_path, rotation=QUICK_EXCUSE) as run:
        names = {"key": "kubernetes.io/metadata.name", "operator": "In"}
        both = names | {"values": [run.world.namespace, other.namespace]}
        selector = {"matchExpressions": [both]}
        run.change(trust={"configMap": {"name": runs.BUNDLE, "namespaceSelector": selector}})
        run.rotate()
        wait_until(lambda: f"configmap {other.namespace}/{runs.BUNDLE}" in run.laggards(), "it is waited for, by name")
        run.wait_replaced()
        run.judge()

        assert {"ca.crt": "theirs"} == (other.get("configmap", runs.BUNDLE) or {})["data"]


@pytest.mark.parametrize(
    "retire", ["AfterReplacement", pytest.param("AfterExpiry", marks=[pytest.mark.further, pytest.mark.long])]
)
def test_who_gets_no_certificate_still_gets_the_bundle(scene: Scene, tmp_path: Path, retire: str) -> None:
    """A suspended identity, one that lost its right, one whose password is gone: nobody notices, as long as they count.

    Their certificates count until they end, or until AfterReplacement does not wait for them any more.
    """
    leaf = runs.MINUTES if retire == "AfterExpiry" else {"minDuration": "1m"}
    permits = [{"namespaceSelector": {}, "dnsNames": ["www.example.com"]}]
    with runs.running(scene, tmp_path, rotation=QUICK_EXCUSE | {"retire": retire}, leaf=leaf, permits=permits) as run:
        _make_password(run)
        stores = {"pkcs12": {"passwordSecretRef": {"name": "password", "key": "password"}}}
        run.join("suspended")
        run.join("refused", dnsNames=["www.example.com"])
        run.join("failing", formats=stores)
        run.apply("suspended", suspend=True)
        run.world.delete("secret", "password")
        run.change(permits=[])
        run.world.wait_reason("refused", "NotPermitted")
        run.world.wait_reason("failing", "PasswordMissing")
        run.rotate()
        run.wait_trusted_by("root 2", "suspended", "refused", "failing")
        run.authority.wait_phase("Signing")
        run.fleet.wait_for_round()
        assert [] == run.fleet.failures()

        if retire == "AfterReplacement":
            run.excuse("suspended", "refused", "failing")
        run.wait_replaced(deadline_s=180)
        if retire == "AfterExpiry":
            run.excuse_when_ended("suspended", "refused", "failing")
        run.judge()


@pytest.mark.long
@pytest.mark.further
def test_an_expired_identity_holds_nothing_up(scene: Scene, tmp_path: Path) -> None:
    """It was suspended until its certificate had ended; when it goes on, its consumer is back."""
    with runs.running(scene, tmp_path) as run:
        run.join("expired", duration="1m")
        run.apply("expired", duration="1m", suspend=True)
        run.excuse("expired")
        ended = run.history.now()[run.secret("expired")].leaf
        assert ended is not None
        wait_until(lambda: time.time() > ended.not_after, "its certificate has ended", deadline_s=90)
        run.rotate()
        run.wait_replaced()
        run.judge()

        run.apply("expired")
        run.world.wait_ready("expired")
        run.expect_no_more_failures()


@pytest.mark.further
def test_a_namespace_that_never_ends_being_deleted_holds_nothing_up(scene: Scene, tmp_path: Path) -> None:
    """A finalizer keeps its Secret, and its identity is gone: nobody asks for these files any more."""
    with runs.running(scene, tmp_path) as run:
        other = scene.world()
        other.apply("stuck", authority=run.authority.name)
        other.wait_ready("stuck")
        _hold(other.kubectl, ["example.com/hold"])
        other.kubectl("delete", "namespace", other.namespace, "--wait=false")
        wait_until(lambda: other.get("mtls", "stuck") is None, "its identity is gone")
        run.terms = run.terms.without({f"secret {other.namespace}/stuck-mtls"})
        run.rotate()
        run.wait_replaced()
        run.judge()

        assert ("Warning", "LaggardsExcused") not in run.authority.events()
        _hold(other.kubectl, [])


@pytest.mark.further
@pytest.mark.parametrize("phase", ["Publishing", "Signing"])
def test_the_api_server_is_restarted_in_a_phase(scene: Scene, tmp_path: Path, phase: str) -> None:
    """It crashes, and is back before the soak ends, as nobody brings files meanwhile.

    The operator, where it ends by that, is started again.
    """
    with runs.running(scene, tmp_path, soak_s=RESTART_SOAK_S, rotation={"laggardTimeout": "60s"}) as run:
        run.rotate()
        run.authority.wait_phase(phase)
        scene.cluster.processes()["kube-apiserver"].kill()
        scene.cluster.start_program("kube-apiserver")
        scene.cluster.wait_until_ready()
        scene.keep_running(lambda: run.authority.states().get("root 2") == "Active", "root 2 signs")
        scene.keep_running(lambda: run.authority.phase() == "Stable", "the root is not being replaced any more")
        run.wait_replaced()
        run.judge()


@pytest.mark.further
def test_an_api_server_that_is_away_for_long_excuses_nobody(scene: Scene, tmp_path: Path) -> None:
    """What can be written again soon after is waited for, though by the clock it could have been excused meanwhile."""
    with runs.running(scene, tmp_path, rotation={"laggardTimeout": f"{AWAY_S:.0f}s"}) as run:
        scene.proxy.answer("PATCH", "/secrets/stock-mtls", status=502, reason="BadGateway", times=10_000)
        run.rotate()
        wait_until(lambda: [run.secret("stock")] == run.laggards(), "it alone is waited for")
        scene.proxy.put(Refuse(status=502))
        scene.proxy.cut_watches()
        time.sleep(AWAY_S + runs.SOAK_S)
        scene.proxy.mend()
        scene.proxy.answer("PATCH", "/secrets/stock-mtls", status=502, reason="BadGateway", times=TRIES)
        scene.keep_running(lambda: run.authority.states().get("root 2") == "Active", "root 2 signs")
        run.wait_replaced()
        run.judge()


def _make_password(run: Run) -> None:
    run.world.kubectl("create", "secret", "generic", "password", "--from-literal=password=changeit")
    run.world.kubectl("label", "secret", "password", "mutualtls.dev/part=password")


def _hold(kubectl: Any, finalizers: list[str]) -> None:
    patch = json.dumps({"metadata": {"finalizers": finalizers}})
    kubectl("patch", "secret", "stuck-mtls", "--type=merge", f"--patch={patch}")
