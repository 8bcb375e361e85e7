"""The release before hands over to this one and takes over again, by `helm upgrade` and `helm rollback`.

Certificates are renewed all the time, and a root is replaced meanwhile. On a cluster of its own. Each release runs as a
process beside it, with the rights of its own chart.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devtools.clusters import before, client, clusters
from devtools.clusters.before import NoHistoryError
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import CRDS, Operator, wait_until
from devtools.consumers import watches
from devtools.consumers.watches import Event, Watches
from support import chart, stores, verify
from support import history as histories
from support.authority import AnAuthority
from support.chart import CHART, RELEASE, Helm
from support.history import History, Terms
from support.world import World

Write = tuple[str, str, str]
"""Verb, resource with subresource, name."""

STORE = "STORE_RELEASE_BEFORE"
"""Environment variable with the folder into which `_store` writes: `tests/shell/before`."""
NAMESPACE = "shop"
BUNDLE = "roots"
SPEC: dict[str, Any] = {
    "leaf": {"minDuration": "1m"},
    "trust": {"configMap": {"name": BUNDLE, "namespaceSelector": {"matchLabels": {"roots": "here"}}}},
    "permits": [{"namespaceSelector": {}, "dnsNames": ["**.example.com", "*.ops.pod"], "commonNames": ["*"]}],
}
AT_REST: dict[str, dict[str, Any]] = {
    "plain": {},
    "named": {"dnsNames": ["shop.example.com"], "subject": {"commonName": "The shop"}},
    "formats": {"formats": {"combinedPEM": {}, "der": {}, "pkcs12": stores.PKCS12}},
    "kept": {"privateKey": {"rotationPolicy": "Never", "algorithm": "Ed25519"}},
    "metadata": {"secret": {"name": "elsewhere", "labels": {"team": "shop"}, "annotations": {"note": "of ours"}}},
    "held": {"dnsNames": ["10-0-0-1.ops.pod"]},
}
"""Identities whose certificates live for a day. Only the rule of the release before permits the name of `held`."""
SHORT = {"duration": "1m", "renewBeforePercentage": 90}
BUSY: dict[str, dict[str, Any]] = {
    "busy": SHORT,
    "busy-formats": SHORT | {"formats": {"combinedPEM": {}, "pkcs12": stores.PKCS12}},
    "busy-kept": SHORT | {"privateKey": {"rotationPolicy": "Never"}},
}
"""Those that are renewed every few seconds."""
NOT_READY: dict[str, dict[str, Any]] = {
    "refused": {"dnsNames": ["shop.example.org"]},
    "homeless": {"authority": "absent"},
}
_STOP_S = 4.0
"""The longest that nobody is at work: Kopf gives what does not end by itself five seconds."""
ROTATION = {"soak": "1s", "retire": "AfterReplacement", "laggardTimeout": "30s", "approval": "Manual"}

_UPGRADE: Counter[Write] = Counter(
    {
        ("create", "configmaps", "mutualtls-ledger.default.spec"): 1,
        ("patch", "secrets", "mutualtls-ca.default.root.1"): 1,
        ("patch", "configmaps", BUNDLE): 1,
        ("patch", "clustertrustbundles", "mutualtls.dev:default:bundle"): 1,
        ("patch", "mutualtlsidentities/status", "held"): 1,
    }
)
"""All that the upgrade writes of what is at rest: the last good spec and the step of a rotation, which are new, copies
of the bundle that lose their owner, and reason RuleTightened. Other words alone are no reason."""
_ROLLBACK: Counter[Write] = Counter({("patch", "mutualtlsidentities/status", "held"): 1})
"""All that the rollback writes: the status without RuleTightened, which the release before does not know."""
_UPGRADE_AGAIN = _ROLLBACK
"""All that the next upgrade writes: the status with it."""


@dataclass(slots=True, kw_only=True)
class Witness:
    """What happens meanwhile that must not. Filled in the watches' thread."""

    ready: set[str] = field(default_factory=set)
    """Identities that were ready once."""
    faults: list[str] = field(default_factory=list)
    ledgers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By authority, as they were last written."""

    def follow(self, watching: Watches) -> None:
        """Begin to look."""
        ours = "mutualtls.dev/part"
        watching.follow("/apis/mutualtls.dev/v1alpha1/mutualtlsidentities", self._note_identity)
        for path in ("/api/v1/secrets", "/api/v1/configmaps", "/apis/certificates.k8s.io/v1/clustertrustbundles"):
            watching.follow(path, self._note_kept, selector=f"{ours},{ours} notin (ca)")
        watching.follow("/api/v1/configmaps", self._note_ledger, selector=f"{ours}=ledger")

    def _note_identity(self, event: Event) -> None:
        name = event.body["metadata"]["name"]
        conditions = {one["type"]: one for one in event.body.get("status", {}).get("conditions", ())}
        if conditions.get("Ready", {}).get("status") == "True":
            self.ready.add(name)
        elif name in self.ready:
            self.faults.append(f"{name} is not ready: {conditions.get('Ready')}")

    def _note_kept(self, event: Event) -> None:
        if event.is_gone:
            self.faults.append(f"{event.body['kind']} {event.body['metadata']['name']} is gone")

    def _note_ledger(self, event: Event) -> None:
        now = json.loads(event.body["data"]["ledger.json"])
        name = event.body["metadata"]["name"]
        was = self.ledgers.get(name, {"generations": ()})
        self.ledgers[name] = now
        if now["revision"] < was.get("revision", 0):
            self.faults.append(f"{name} went back to revision {now['revision']}")
        ends = {(ca["role"], ca["number"]): ca.get("signsUntil", "") for ca in now["generations"]}
        for ca in was["generations"]:
            if ends.get((ca["role"], ca["number"]), "") < ca.get("signsUntil", ""):
                self.faults.append(f"{name}: signsUntil of {ca['role']} {ca['number']} went back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A cluster with both releases."""

    world: World
    helm: Helm
    tree: Path
    """Of the release before."""
    before: Operator
    now: Operator
    turning: AnAuthority
    """An authority whose root is replaced meanwhile."""
    witness: Witness
    histories: tuple[History, ...]

    def upgrade(self) -> None:
        """Install the chart of this release in place of the one before."""
        self.helm.run("upgrade", RELEASE, str(CHART), values=_values())

    def roll_back(self) -> None:
        """Go back by Helm's own means."""
        self.helm.run("rollback", RELEASE, "1")

    def hand_over(self, change: Callable[[], None], *, of: Operator, to: Operator) -> Counter[Write]:
        """Have one release follow the other, wait until it is at work, and count what it wrote of what is at rest."""
        begun = len(self.world.writes(everywhere=True))
        change()
        stopping = time.monotonic()
        assert of.stop()
        assert time.monotonic() - stopping < _STOP_S
        serials = {name: self.world.serial(name) for name in BUSY}
        to.start()
        for name in BUSY:
            self.world.wait_reissued(name, serials[name])
        wait_until(
            lambda: (self.world.condition("held").get("reason") == "RuleTightened") == (to is self.now),
            "the tightened rule is reported",
        )
        return self._at_rest(self.world.writes(everywhere=True)[begun:])

    def _at_rest(self, writes: list[Write]) -> Counter[Write]:
        moving = {"events", "mutualtls-ledger.default", "turned", "turned-mtls"}
        moving |= set(BUSY) | {f"{name}-mtls" for name in BUSY}
        return Counter(one for one in writes if not moving & set(one) and "turning" not in one[2])

    def untouched(self) -> dict[str, str]:
        """List what no release has a reason to write, with its versions."""
        found = {
            f"{kind} {one['metadata']['name']}": one["metadata"]["resourceVersion"]
            for kind in ("mtls", "secret")
            for one in self.world.client.find(kind, namespace=NAMESPACE)
        }
        moving = {f"{kind} {name}" for name in ("turned", *BUSY) for kind in ("mtls", "secret")} | {"mtls held"}
        return {name: version for name, version in found.items() if name.removesuffix("-mtls") not in moving}

    def roots(self) -> set[str]:
        """List what is trusted under the authority `default`, wherever it stands."""
        copies = [
            self.world.get("configmap", BUNDLE),
            self.world.get("clustertrustbundle", "mutualtls.dev:default:bundle"),
        ]
        config_map, trust_bundle = (one or {} for one in copies)
        files = {self.world.files(f"{name}-mtls")["ca.crt"].decode() for name in BUSY}
        return files | {config_map["data"]["ca.crt"], trust_bundle["spec"]["trustBundle"]}

    def verify(self, folder: Path) -> None:
        """Have the files of those that are renewed be accepted by independent verifiers."""
        for name in BUSY:
            verify.chain(self.world.save_files(f"{name}-mtls", folder / name), name=f"{name}.shop.svc", use="server")
        assert stores.opened(self.world.files("busy-formats-mtls"))

    def judge(self) -> None:
        """Have nothing have happened that must not."""
        assert [] == self.witness.faults
        terms = Terms(soak_s=1, outlives=False)
        assert [] == [fault for one in self.histories for fault in histories.violations(one.seen, terms)]
        assert [] == chart.denied(self.world.cluster)
        for operator in (self.before, self.now):
            assert not operator.logged("Traceback")


def _values() -> dict[str, Any]:
    return chart.IMAGE | {"authority": {"spec": SPEC}}


def _operator(cluster: Cluster, name: str, source: Path) -> Operator:
    """Describe an operator of the sources in a folder."""
    settings = {"PYTHONPATH": str(source), "MUTUALTLS_FIRST_RETRY": "1s", "MUTUALTLS_DRAIN_TIMEOUT": "2s"}
    return Operator(cluster=cluster, log=cluster.folder / f"{name}.log", settings=settings, name=name)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """The release before, as Helm installs it, with identities that are ready."""
    try:
        tree = before.unpack(tmp_path / "before")
    except NoHistoryError as error:
        pytest.skip(str(error))
    with clusters.running("upgrade", audit=True) as cluster, watches.running(cluster) as watching:
        helm = Helm(home=tmp_path, kubeconfig=cluster.kubeconfig())
        helm.run("install", RELEASE, str(tree / "charts" / CHART.name), "--create-namespace", values=_values())
        chart.log_in(cluster)
        labels = {"metadata": {"name": NAMESPACE, "labels": {"roots": "here"}}}
        client.admin(cluster).create("namespace", labels)
        operators = {
            "before": _operator(cluster, "before", tree / "operator"),
            "now": _operator(cluster, "now", CRDS.parent / "operator"),
        }
        world = World(cluster=cluster, operator=operators["now"], namespace=NAMESPACE)
        scene = Scene(
            world=world,
            helm=helm,
            tree=tree,
            **operators,
            turning=AnAuthority(world=world, name="turning"),
            witness=Witness(),
            histories=(History(authority="default"), History(authority="turning")),
        )
        scene.witness.follow(watching)
        for one in scene.histories:
            one.follow(watching)
        _begin(scene)
        yield scene
        for operator in operators.values():
            operator.stop()


def _begin(scene: Scene) -> None:
    """Have the release before issue all."""
    world = scene.world
    scene.before.start()
    scene.turning.apply(leaf={"minDuration": "1m"}, rotation=ROTATION)
    stores.put_password(world)
    for name, spec in (AT_REST | BUSY | NOT_READY).items():
        world.apply(name, **spec)
    scene.turning.issue("turned")
    world.wait_ready(*AT_REST, *BUSY)
    world.wait_reason("refused", "NotPermitted")
    world.wait_reason("homeless", "AuthorityNotFound")
    wait_until(lambda: world.get("configmap", BUNDLE), "there is the bundle")


def _store(scene: Scene, folder: Path) -> None:
    """Write into files, for the tests of the core, what the release before has made of what is at rest.

    No data of Secrets is among it.
    """
    left_out = {"held", *BUSY}
    kinds = {"mtls": NAMESPACE, "secret": NAMESPACE, "configmap": "", "clustertrustbundle": "", "mtlsca": ""}
    for kind, namespace in kinds.items():
        found = scene.world.client.find(
            kind, namespace=namespace, selector="" if "mtls" in kind else "mutualtls.dev/part"
        )
        chosen = [one for one in found if one["metadata"]["name"].removesuffix("-mtls") not in left_out]
        bodies = [{part: one[part] for part in one if (kind, part) != ("secret", "data")} for one in chosen]
        content = {"moment": datetime.now(UTC).isoformat(timespec="seconds"), "items": bodies}
        (folder / f"{kind}.json").write_text(json.dumps(content, indent=1) + "\n")


def _approve(authority: AnAuthority, phase: str) -> None:
    """Let the replacing of a root go on to a phase, once it waits for that."""
    awaited = f"{authority.fingerprint('root 2')}/{phase}"
    wait_until(
        lambda: authority.status().get("next", {}).get("waitsFor", "").endswith(awaited), f"{phase} is to be approved"
    )
    authority.order("approve", awaited)


def _bring_on(authority: AnAuthority, order: str) -> None:
    """Have the root be replaced, or that go on to a phase; nothing where there is no order."""
    if order == "rotate":
        authority.rotate()
        authority.wait_phase("Publishing")
    elif order:
        _approve(authority, order)
        wait_until(lambda: authority.phase() in {order, "Stable"}, f"it is {order}")


WAYS = [
    pytest.param(True, ("rotate", "Signing", "Retiring", ""), id="crds first"),
    pytest.param(False, ("", "rotate", "Signing", "Retiring"), id="crds never", marks=pytest.mark.further),
]
"""Whether the CRDs are brought up to date, and what is ordered in each stage: of before, of now, back again, of now."""


@pytest.mark.parametrize(("crds", "orders"), WAYS)
def test_up_and_back_and_up_again(scene: Scene, tmp_path: Path, *, crds: bool, orders: tuple[str, ...]) -> None:
    """Nothing at rest is written but what changed its form, once; all else goes on, whichever release is at work."""
    turning, (first, *others) = scene.turning, orders
    _bring_on(turning, first)
    at_rest, roots = scene.untouched(), scene.roots()
    assert len(roots) == 1
    if folder := os.environ.get(STORE):
        _store(scene, Path(folder))
    if crds:
        scene.world.cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(CRDS))

    old, new = scene.before, scene.now
    stages = [(scene.upgrade, old, new), (scene.roll_back, new, old), (scene.upgrade, old, new)]
    written = []
    for (change, of, to), order in zip(stages, others, strict=True):
        written.append(scene.hand_over(change, of=of, to=to))
        _bring_on(turning, order)
        scene.verify(tmp_path)
        assert (at_rest, roots) == (scene.untouched(), scene.roots())

    assert [_UPGRADE, _ROLLBACK, _UPGRADE_AGAIN] == written
    turning.wait_phase("Stable")
    assert {"root 2": "Active", "issuing 2": "Active"} == turning.states()
    assert new.stop()
    scene.judge()
