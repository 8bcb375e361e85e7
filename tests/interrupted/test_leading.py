"""Two operators, one Lease: the standby takes over, and no write of the one before takes effect over its own.

The leader goes by way of the proxy, the standby does not. They are two users, so that the audit log tells them apart.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.clusters import client, clusters, operators
from devtools.clusters import proxy as proxies
from devtools.clusters.clusters import Cluster
from devtools.clusters.faults import CutAfter
from devtools.clusters.operators import LEASE, NAMESPACE, Operator, wait_until
from devtools.clusters.proxy import Proxy
from devtools.machine import ports
from support import scenes
from support.world import WRITES, World

LEADS = "this operator leads"
SETTINGS = {
    "MUTUALTLS_LEASE_DURATION": "6s",
    "MUTUALTLS_RENEW_DEADLINE": "4s",
    "MUTUALTLS_RETRY_PERIOD": "1s",
    "MUTUALTLS_FIRST_RETRY": "1s",
    "MUTUALTLS_LAST_RETRY": "1s",
}
TAKES_OVER_S = 90.0

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A leader and a standby."""

    proxy: Proxy
    world: World
    leader: Operator
    standby: Operator
    begun: int
    """How many lines the audit log had before."""
    port: int
    """Of the standby's health."""

    def ready(self) -> str:
        """Read what the standby's /readyz says; empty while it says nothing good."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def wait_taken_over(self) -> None:
        """Wait until the standby leads."""
        wait_until(lambda: self.standby.logged(LEADS), "the standby takes over", deadline_s=TAKES_OVER_S)

    def signal(self, number: signal.Signals) -> None:
        """Send the leader a signal, and do not wait for what it does."""
        assert self.leader.process is not None
        os.kill(self.leader.process.pid, number)

    def wait_deposed(self) -> None:
        """Wait until the leader has ended by itself, as it does when it has lost the Lease."""
        assert self.leader.process is not None
        wait_until(lambda: not self._runs(), "the leader ends", deadline_s=TAKES_OVER_S)
        assert self.leader.logged("the Lease was lost")

    def _runs(self) -> bool:
        """Whether the leader runs. Its failure is asserted when it does not."""
        assert self.leader.process is not None
        ended = os.waitid(os.P_PID, self.leader.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        assert ended is None or ended.si_status == 1
        return ended is None

    def serves(self, name: str) -> None:
        """Have an identity be issued."""
        self.world.apply(name, authority=self.world.namespace)
        self.world.wait_ready(name)

    def written(self) -> dict[str, str]:
        """List the versions of all that the operator writes about this test."""
        found = {}
        for kind in ("mtls", "secret", "configmap", "mtlsca", "clustertrustbundle"):
            for one in self.world.client.find(kind):
                metadata = one["metadata"]
                if self.world.namespace in f"{metadata.get('namespace')} {metadata['name']}":
                    found[f"{kind} {metadata.get('namespace')}/{metadata['name']}"] = metadata["resourceVersion"]
        return found

    def requests(self, user: str) -> list[Entry]:
        """List what an operator asked of the API server."""
        entries = map(json.loads, self.world.cluster.audit_log.read_text().splitlines()[self.begun :])
        agent = "mutualtls-operator"
        return [one for one in entries if (one["user"]["username"], one.get("userAgent")) == (user, agent)]


LEADER, STANDBY = "operator", "admin"
"""Their users."""


def writes(entries: list[Entry]) -> list[Entry]:
    """Choose those that took effect, Leases and Events apart."""
    return [
        one
        for one in entries
        if one["verb"] in WRITES
        and one["responseStatus"]["code"] < 300
        and one["objectRef"]["resource"] not in {"leases", "events", "selfsubjectaccessreviews"}
    ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster where both users have all rights."""
    with clusters.running("leading", audit=True) as cluster:
        operators.install(cluster)
        yield cluster


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy between the leader and the API server."""
    with proxies.running(cluster, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def pair(cluster: Cluster, proxy: Proxy, tmp_path: Path) -> Iterator[Pair]:
    """A leader, and a standby that is ready."""
    begun = len(cluster.audit_log.read_text().splitlines())
    namespace = f"run-{secrets.token_hex(3)}"
    client.admin(cluster).create("namespace", {"metadata": {"name": namespace}})
    (port,) = ports.free(1)
    ways = (("leader", proxy.kubeconfig, "0"), ("standby", cluster.kubeconfig("admin"), str(port)))
    leader, standby = (
        Operator(
            cluster=cluster,
            log=tmp_path / f"{name}.log",
            kubeconfig=kubeconfig,
            settings=SETTINGS | {"MUTUALTLS_HEALTH_PORT": health_port},
            name=name,
        )
        for name, kubeconfig, health_port in ways
    )
    try:
        leader.start()
        wait_until(lambda: leader.logged(LEADS), "the first operator leads", deadline_s=60)
        standby.start()
        world = World(cluster=cluster, operator=leader, namespace=namespace)
        pair = Pair(proxy=proxy, world=world, leader=leader, standby=standby, begun=begun, port=port)
        wait_until(pair.ready, "the second one stands by", deadline_s=60)
        yield pair
    finally:
        proxy.mend()
        for one in (leader, standby):
            if one.process is not None and one.process.is_alive():
                os.kill(one.process.pid, signal.SIGCONT)
            one.stop()


def lease(cluster: Cluster) -> dict[str, Any]:
    """Read what the Lease says."""
    found = client.admin(cluster).get("lease", LEASE, namespace=NAMESPACE)
    assert found is not None
    return dict(found["spec"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_the_standby_goes_on_where_the_leader_was(pair: Pair, number: signal.Signals) -> None:
    """Nothing that was written is written a second time, and what comes next is served."""
    scenes.prepared(pair.world)
    pair.serves("billing")
    before = pair.written()
    pair.signal(number)
    pair.wait_taken_over()
    pair.serves("late")

    after = pair.written()
    assert before == {name: after[name] for name in before}
    events = [one["message"] for one in pair.world.client.find("event", namespace=NAMESPACE)]
    assert any(lease(pair.world.cluster)["holderIdentity"] + " became leader" in one for one in events)


def test_a_standby_only_watches(pair: Pair) -> None:
    """It writes nothing, not even an Event, and reads no Secret; the leader that has nothing to do renews its Lease."""
    scenes.prepared(pair.world)
    pair.serves("billing")
    asked = pair.requests(STANDBY)
    assert {"get", "list", "watch"} >= {one["verb"] for one in asked}
    reads = Counter(one["objectRef"]["resource"] for one in asked if one["verb"] == "get" and "objectRef" in one)
    assert {"leases", "namespaces"} >= set(reads)
    assert f"ok: standby, {lease(pair.world.cluster)['holderIdentity']} leads\n" == pair.ready()

    renewed, known = lease(pair.world.cluster)["renewTime"], len(writes(pair.requests(LEADER)))
    wait_until(lambda: lease(pair.world.cluster)["renewTime"] > renewed, "the Lease is renewed")
    assert known == len(writes(pair.requests(LEADER)))


def nothing(world: World) -> None:
    """Have nothing."""


def frozen(world: World) -> None:
    """Have a Secret that has to be deleted to be mended."""
    world.patch("secret", "orders-mtls", {"immutable": True})


def shorter(world: World) -> None:
    """Ask for another certificate."""
    world.apply("orders", authority=world.namespace, duration="12h")


Act = Callable[[World], None]
MADE = (nothing, scenes.authority_and_identity)
"""The writes of a first issuance, of its authority on, are listed in `test_kill_points`."""
KINDS = [
    pytest.param(*MADE, 1, id="claim", marks=pytest.mark.further),
    pytest.param(*MADE, 3, id="ledger, created", marks=pytest.mark.further),
    pytest.param(*MADE, 4, id="CA Secret"),
    pytest.param(*MADE, 5, id="ledger, changed", marks=pytest.mark.further),
    pytest.param(*MADE, 9, id="status of the authority", marks=pytest.mark.further),
    pytest.param(*MADE, 12, id="Secret", marks=pytest.mark.further),
    pytest.param(*MADE, 13, id="status"),
    pytest.param(scenes.prepared, shorter, 1, id="Secret, changed", marks=pytest.mark.further),
    pytest.param(scenes.prepared, frozen, 1, id="Secret, deleted", marks=pytest.mark.further),
]


@pytest.mark.parametrize(("before", "act", "number"), KINDS)
def test_a_write_of_a_suspended_leader_that_lands_late_takes_no_effect(
    pair: Pair, before: Act, act: Act, number: int
) -> None:
    """It was sent, the leader was suspended past its Lease, and the standby has written the same meanwhile."""
    before(pair.world)
    pair.proxy.count(pair.world.namespace)
    pair.proxy.withhold(number)
    act(pair.world)
    assert pair.proxy.held.wait(timeout=60), f"only {len(pair.proxy.writes)} writes came"
    pair.signal(signal.SIGSTOP)
    pair.wait_taken_over()
    pair.serves("late")
    pair.world.wait_ready("orders")
    wait_until(lambda: _is_at_rest(pair), "all is written")
    known = pair.written()

    assert pair.proxy.pass_withheld() in {404, 409}
    pair.signal(signal.SIGCONT)
    pair.wait_deposed()
    assert known == pair.written()
    _judge(pair)


def test_a_leader_that_is_cut_off_writes_nothing_until_it_has_ended(pair: Pair) -> None:
    """Its successor serves meanwhile; when it is connected again, it sees that it was deposed."""
    scenes.prepared(pair.world)
    pair.proxy.count(pair.world.namespace)
    pair.proxy.hold(1, after=False)
    pair.world.apply("billing", authority=pair.world.namespace)
    assert pair.proxy.held.wait(timeout=60)
    pair.wait_taken_over()
    pair.world.wait_ready("billing")
    known = pair.written()
    assert pair.leader.logged("the Lease cannot be read or renewed")

    pair.proxy.release()
    pair.wait_deposed()
    assert known == pair.written()
    _judge(pair)


def test_a_leader_that_cannot_renew_stops_writing_before_another_leads(pair: Pair) -> None:
    """Only requests about the Lease fail; identities that are applied all the time are served by one of both."""
    scenes.prepared(pair.world)
    for method in ("GET", "PUT"):
        pair.proxy.answer(method, "/leases", status=500, reason="InternalError", times=1000)
    applied: list[str] = []

    def is_taken_over() -> bool:
        applied.append(f"late-{len(applied)}")
        pair.world.apply(applied[-1], authority=pair.world.namespace)
        return pair.standby.logged(LEADS)

    wait_until(is_taken_over, "the standby takes over", deadline_s=TAKES_OVER_S)
    for _ in range(30):
        is_taken_over()
    pair.world.wait_ready(*applied)
    pair.proxy.mend()
    pair.wait_deposed()
    _judge(pair)


@pytest.mark.further
def test_a_lease_that_somebody_else_took_ends_the_leader(pair: Pair) -> None:
    """Whoever wrote that: the standby waits until it is not renewed, and then serves."""
    scenes.prepared(pair.world)
    taken = {"spec": {"holderIdentity": "somebody", "renewTime": "2999-01-01T00:00:00.000000Z"}}
    pair.world.client.patch("lease", LEASE, taken, namespace=NAMESPACE)
    pair.wait_deposed()
    pair.wait_taken_over()
    pair.serves("late")
    _judge(pair)


def test_a_lease_that_was_deleted_is_created_again_by_its_holder(pair: Pair) -> None:
    """The standby does not take the chance."""
    scenes.prepared(pair.world)
    holder = lease(pair.world.cluster)["holderIdentity"]
    pair.world.client.delete("lease", LEASE, namespace=NAMESPACE)
    wait_until(lambda: pair.world.client.get("lease", LEASE, namespace=NAMESPACE), "there is a Lease again")
    pair.serves("late")

    assert holder == lease(pair.world.cluster)["holderIdentity"]
    assert not pair.standby.logged(LEADS)


def test_a_lease_that_was_taken_without_an_answer_is_given_up_in_the_end(
    cluster: Cluster, proxy: Proxy, tmp_path: Path
) -> None:
    """An operator that ends before it learns that it leads keeps no other waiting."""
    namespace = f"run-{secrets.token_hex(3)}"
    admin = client.admin(cluster)
    admin.create("namespace", {"metadata": {"name": namespace}})
    (cut,) = proxy.put(CutAfter(verbs=frozenset({"create"}), contains=f"/namespaces/{namespace}/leases"))
    slow = {"LEASE_DURATION": "40s", "RENEW_DEADLINE": "30s", "RETRY_PERIOD": "20s", "NAMESPACE": namespace}
    settings = {f"MUTUALTLS_{name}": value for name, value in slow.items()}
    operator = Operator(
        cluster=cluster, log=tmp_path / "ending.log", kubeconfig=proxy.kubeconfig, settings=settings, name="ending"
    )
    try:
        operator.start()
        wait_until(lambda: cut.happened, "the Lease is taken, and the answer is lost", deadline_s=60)
    finally:
        assert operator.stop()
        proxy.mend()

    found = admin.get("lease", LEASE, namespace=namespace)
    assert found is not None
    assert not found["spec"].get("holderIdentity")


@pytest.mark.further
def test_an_api_server_that_is_away_for_longer_than_the_lease_costs_no_leader(pair: Pair) -> None:
    """Nobody else could take it, so whoever is first goes on; one leads in the end, and serves."""
    scenes.prepared(pair.world)
    pair.standby.stop()
    cluster = pair.world.cluster
    cluster.stop_program("kube-apiserver")
    wait_until(lambda: pair.leader.logged("nothing is written until it is"), "its Lease has run out", deadline_s=60)
    cluster.start_program("kube-apiserver")
    cluster.wait_until_ready()
    wait_until(lambda: pair.leader.logged("this operator goes on"), "it goes on", deadline_s=60)
    pair.serves("late")


def _is_at_rest(pair: Pair) -> bool:
    """Whether nothing is written any more: status and Secret agree, and the ledger has no step under way."""
    before = pair.written()
    renewed = lease(pair.world.cluster)["renewTime"]
    wait_until(lambda: lease(pair.world.cluster)["renewTime"] != renewed, "the Lease is renewed")
    return before == pair.written()


def _judge(pair: Pair) -> None:
    """Have the deposed leader have written nothing once the other had, and each CA have been made once."""
    theirs, ours = writes(pair.requests(LEADER)), writes(pair.requests(STANDBY))
    assert ours
    taken = min(one["requestReceivedTimestamp"] for one in ours)
    assert [] == [one["requestURI"] for one in theirs if one["stageTimestamp"] > taken]
    names = [one["objectRef"].get("name", "") for one in theirs + ours if one["verb"] == "create"]
    cas = Counter(name for name in names if name.startswith("mutualtls-ca."))
    assert cas
    assert {1} == set(cas.values())
