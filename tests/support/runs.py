"""One run: an authority, identities, consumers that shake hands with their files, and a record of what is written."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devtools.clusters.operators import NAMESPACE, wait_until
from devtools.consumers import fleet as fleets
from devtools.consumers.fleet import Fleet, projected
from support import history as histories
from support.authority import AnAuthority
from support.history import Carried, History, Terms
from support.outside import OutsideCA
from support.scenes import Scene
from support.world import World

SOAK_S = 2
DELAY_S = 1.2
"""How late kubelet is at most: less than the soak by what a busy machine needs."""
FEW = ("orders", "billing", "stock")
MANY = (*FEW, "shipping", "returns", "search")
BUNDLE = "bundle"
"""Name of the ConfigMap with the bundle."""
ROTATION = {"laggardTimeout": "20s", "retire": "AfterReplacement"}
"""`spec.rotation` of most runs, without the soak."""
MINUTES = {"minDuration": "1m", "duration": "1m", "maxDuration": "1m"}
"""`spec.leaf` of runs under AfterExpiry."""

_SHOWN = 20
"""Failed handshakes of which is told, of those that there were."""
_SILENT_S = 10.0
"""For so long nobody may be without a call of somebody: many times what a round takes, also on a busy machine."""

Spec = dict[str, Any]

handshakes: list[int] = []
"""How many were made in each run that has ended, for whoever tells of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched(AnAuthority):
    """An authority whose status is known from a watch: to ask for it all the time would take the machine's time."""

    fleet: Fleet

    def status(self) -> dict[str, Any]:
        """Read its status."""
        return self.fleet.status

    def offered(self, order: str) -> str:
        """Wait for an order that it would obey, and return the value."""
        name = f"mutualtls.dev/{order}"

        def values() -> list[str]:
            told = self.status().get("orders", ())
            return [one["value"] for one in told if one["order"] == name and not one.get("message")]

        wait_until(values, f"the status offers {order}")
        return values()[0]


@dataclass(slots=True, kw_only=True)
class Run:
    """What a test of this ring acts on."""

    scene: Scene
    world: World
    authority: Watched
    fleet: Fleet
    history: History
    terms: Terms
    spec: Spec
    but: dict[str, float] = field(default_factory=dict)
    """Consumers that are outside of the promise, and from when on, as Unix time."""

    def apply(self, name: str, **spec: Any) -> None:
        """Apply an identity of the authority."""
        self.world.apply(name, authority=self.authority.name, **spec)

    def join(self, name: str, *, delay_s: float | None = None, **spec: Any) -> None:
        """Have one more identity and its consumer."""
        self.apply(name, **spec)
        self.fleet.join(name, self.world.namespace, delay_s=delay_s)
        self.world.wait_ready(name)

    def leave_behind(self, name: str) -> None:
        """Have a Secret that nobody brings up to date: it cannot be changed, nor made anew for who is suspended."""
        self.apply(name)
        self.world.wait_ready(name)
        self.excuse(name)
        self.apply(name, suspend=True)
        self.world.freeze(f"{name}-mtls")

    def ca_secret(self, ca: str) -> str:
        """Name the Secret of a CA, such as `root.1`."""
        return f"mutualtls-ca.{self.authority.name}.{ca}"

    @property
    def ledger_name(self) -> str:
        """Name the ConfigMap of the ledger."""
        return f"mutualtls-ledger.{self.authority.name}"

    def lose_ledger(self) -> None:
        """Delete the ledger."""
        self.authority.system("delete", "configmap", self.ledger_name)

    def change(self, **changed: Any) -> None:
        """Change fields of the authority's spec."""
        self.spec |= changed
        self.authority.apply(**self.spec)

    def change_rotation(self, **changed: Any) -> None:
        """Change fields of `spec.rotation`."""
        self.change(rotation=self.spec["rotation"] | changed)

    def rotate(self) -> None:
        """Order another root, and wait until it is being published."""
        self.authority.rotate()
        self.authority.wait_phase("Publishing")

    def incoming(self) -> dict[str, Any]:
        """Read the newest root from the status."""
        roots = [ca for ca in self.authority.status()["generations"] if ca["role"] == "root"]
        return max(roots, key=lambda ca: int(ca["number"]))

    def approve(self, phase: str) -> None:
        """Let the newest root enter a phase, and wait until it is there, or was."""
        self.authority.order("approve", f"{self.incoming()['fingerprint']}/{phase}")
        wait_until(lambda: self.authority.phase() in {phase, "Stable"}, f"the phase is {phase}", deadline_s=120)

    def roll_back(self) -> None:
        """Order that the newest root goes again."""
        self.authority.order("roll-back", self.incoming()["fingerprint"])

    def wait_issued_under(self, root: str) -> None:
        """Wait until every certificate is of a root, such as `root 2`."""
        key_id = self.key_id(root)

        def are_under() -> bool:
            return all(one.leaf.root == key_id for one in self._counted() if one.leaf is not None)

        wait_until(are_under, f"all have certificates under {root}")

    def wait_issued_by(self, issuing: str) -> None:
        """Wait until an issuing CA, such as `issuing 2`, signs and every certificate is of it."""
        wait_until(lambda: self.authority.states().get(issuing) == "Active", f"{issuing} signs", deadline_s=120)
        key_id = self.key_id(issuing)

        def are_of_it() -> bool:
            return all(one.leaf.issuer == key_id for one in self._counted() if one.leaf is not None)

        wait_until(are_of_it, f"all have a certificate of {issuing}", deadline_s=120)

    def wait_trusted_by(self, root: str, *identities: str) -> None:
        """Wait until the bundles of some identities have a root, such as `root 2`."""
        key_id, bundles = self.key_id(root), self.history.now
        names = {self.secret(identity) for identity in identities}
        wait_until(lambda: all(key_id in bundles()[name].bundle for name in names), f"{root} is in {names}")

    def wait_out_of_trust(self, key_id: str) -> None:
        """Wait until no bundle has the root of a key id, but those of who is outside of the promise."""
        wait_until(lambda: not any(key_id in one.bundle for one in self._counted()), "the root is in no bundle")

    def written_since(self, seen: int) -> list[Carried]:
        """List what was written after so many things were seen and carries the bundle, but for who is excused."""
        written = [one for one in self.history.seen[seen:] if isinstance(one, Carried)]
        return [one for one in written if one.name not in self.terms.excused]

    def _counted(self) -> list[Carried]:
        """List what carries the bundle now, but what is outside of the promise."""
        return [one for one in self.history.now().values() if one.name not in self.terms.excused]

    def key_id(self, ca: str) -> str:
        """Read the key id of a CA, such as `root 1`."""
        found = self.authority.status()["generations"]
        (one,) = [one for one in found if f"{one['role']} {one['number']}" == ca]
        return str(one["keyID"])

    def secret(self, identity: str) -> str:
        """Name the Secret of an identity as the status and the history do."""
        return f"secret {self.world.namespace}/{identity}-mtls"

    def laggards(self) -> list[str]:
        """List what the status says is waited for."""
        return list(self.authority.status().get("next", {}).get("laggards", ()))

    def waits_for(self) -> str:
        """Tell what the status says the phase waits for."""
        return str(self.authority.status().get("next", {}).get("waitsFor", ""))

    def state_in_ledger(self, role: str, number: int) -> str:
        """Read the state of a CA from the ledger itself."""
        return self.states_in_ledger()[f"{role} {number}"]

    def states_in_ledger(self) -> dict[str, str]:
        """Read where each CA is from the ledger itself, as `states` does from the status; none where it is lost."""
        body = self.world.client.get("configmap", self.ledger_name, namespace=NAMESPACE)
        known = json.loads(body["data"]["ledger.json"])["generations"] if body else []
        return {f"{ca['role']} {ca['number']}": ca["state"] for ca in known}

    def wait_replaced(self, *, root: int = 2, deadline_s: float = 120.0) -> None:
        """Wait until a root and what is under it are alone, and the keys of all others are deleted."""
        alone = {f"root {root}": "Active"}
        wait_until(lambda: alone.items() <= self._roots().items(), f"root {root} signs", deadline_s=deadline_s)
        wait_until(lambda: alone == self._roots(), f"root {root} is alone", deadline_s=deadline_s)
        wait_until(lambda: self.authority.phase() == "Stable", "the root is not being replaced any more")
        wait_until(lambda: set(self._roots_with_key()) <= {f"root.{root}"}, "the keys of all others are deleted")
        self.wait_settled(root=root)

    def wait_one_left(self) -> int:
        """Wait until one root is left, by the ledger and by the keys that there are, and return its number.

        A status or a ledger that was put back may say so when it is not so.
        """

        def left() -> list[str]:
            states = self.states_in_ledger().items()
            named = [ca.replace(" ", ".") for ca, state in states if ca.startswith("root") and state != "Gone"]
            return named if named == self._roots_with_key() else []

        wait_until(lambda: len(left()) == 1, "one root is left", deadline_s=120)
        return int(left()[0].removeprefix("root."))

    def wait_settled(self, *, root: int) -> None:
        """Wait until a root is alone in all that carries the bundle, and each status agrees with its Secret."""
        alone = frozenset({self.key_id(f"root {root}")})
        copies = {f"configmap {self.world.namespace}/{BUNDLE}", f"clustertrustbundle {self.trust_bundle}"}
        wait_until(lambda: copies <= self.history.now().keys(), "all copies of the bundle are there")
        wait_until(lambda: {one.bundle for one in self._counted()} == {alone}, f"root {root} is alone in every bundle")
        wait_until(lambda: not self._unsettled(), "each status agrees with its Secret")

    def _unsettled(self) -> list[str]:
        """List the Secrets that hold another certificate, or bundle, than the status of their identity tells of."""
        now, bundle = self.history.now(), self.authority.status()["bundle"]
        counted = {name: told for name, told in self._told().items() if name not in self.terms.excused}
        held = {name: (one.leaf.serial, bundle) for name, one in now.items() if one.leaf is not None}
        return [name for name, told in counted.items() if told != held.get(name)]

    def _told(self) -> dict[str, tuple[str, str]]:
        """Read the serial number and the hash of the bundle that each identity's status tells of, by its Secret."""
        listed = self.world.client.find("mtls", namespace=self.world.namespace)
        told = {self.secret(one["metadata"]["name"]): one.get("status", {}) for one in listed}
        return {
            name: (status.get("certificate", {}).get("serialNumber", ""), status.get("bundle", ""))
            for name, status in told.items()
        }

    @property
    def trust_bundle(self) -> str:
        """Name the ClusterTrustBundle."""
        return f"mutualtls.dev:{self.authority.name}:bundle"

    def _roots(self) -> dict[str, str]:
        return {ca: state for ca, state in self.authority.states().items() if ca.startswith("root")}

    def _roots_with_key(self) -> list[str]:
        found = self.authority.secrets().items()
        return [ca for ca, files in found if ca.startswith("root") and "tls.key" in files]

    def excuse(self, *identities: str) -> None:
        """Take identities out of the promise."""
        self.but |= dict.fromkeys(identities, 0.0)
        self.terms = self.terms.without({self.secret(identity) for identity in identities})

    def excuse_when_ended(self, *identities: str) -> None:
        """Take identities out of the promise from the end of their certificates on."""
        held = self.history.now()
        leaves = {identity: held[self.secret(identity)].leaf for identity in identities}
        self.but |= {identity: leaf.not_after for identity, leaf in leaves.items() if leaf is not None}

    def judge(self) -> None:
        """Have no handshake fail, to the end, and nothing be written that must never be."""
        self.fleet.wait_for_round()
        log = shutil.copy(self.scene.operator.log, self.fleet.folder)  # the cluster takes its own with it
        failures = self.fleet.failures(but=self.but)
        if failures:
            late = f"kubelet was later than asked for by up to {self.fleet.kubelet.late_s:.1f} s"
            pytest.fail("\n".join([f"{len(failures)} failed handshakes; {late}; see {log}", *failures[:_SHOWN]]))
        silences = self.fleet.silences(_SILENT_S, but=self.but)
        assert [] == silences, "\n".join(silences)
        violations = histories.violations(self.history.seen, self.terms)
        assert [] == violations, "\n".join([*violations, f"see {log}"])
        unseen = self._told().keys() - {one.name for one in self.history.seen if isinstance(one, Carried)}
        assert set() == unseen, "the history has nothing of them"

    def expect_no_more_failures(self) -> None:
        """Have nobody's handshake fail from the next round on, whoever was outside of the promise before."""
        self.fleet.wait_for_round()
        since = time.time()
        self.fleet.wait_for_round()
        assert [] == self.fleet.failures(since=since)


@contextlib.contextmanager
def running(
    scene: Scene,
    folder: Path,
    *,
    names: tuple[str, ...] = FEW,
    pause_s: float = 0.1,
    identity: Spec | None = None,
    source: OutsideCA | None = None,
    soak_s: int = SOAK_S,
    **spec: Any,
) -> Iterator[Run]:
    """Have an authority of a spec, identities, and a consumer for each, who shake hands from the beginning.

    The last of them has its ca.crt from the ConfigMap with the bundle.

    With a `source`, its root is that outside CA.
    """
    world = scene.world()
    rotation = ROTATION | {"soak": f"{soak_s}s"} | spec.get("rotation", {})
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    trust = {"configMap": {"name": BUNDLE, "namespaceSelector": here}}
    spec = {"leaf": {"minDuration": "1m"}, "trust": trust} | spec | {"rotation": rotation}
    with fleets.running(scene.cluster, folder, longest_delay_s=DELAY_S, pause_s=pause_s, seed=1) as fleet:
        run = Run(
            scene=scene,
            world=world,
            authority=Watched(world=world, name=world.namespace, fleet=fleet),
            fleet=fleet,
            history=History(authority=world.namespace),
            terms=Terms(soak_s=soak_s, outlives=rotation["retire"] == "AfterExpiry"),
            spec=spec,
        )
        run.history.follow(fleet.watching)
        fleet.record(world.namespace)
        if source is not None:
            run.authority.put_source(source.files())
            spec |= {"root": {"secretRef": {"name": f"{world.namespace}-source"}}, "trustDomain": "example.com"}
        run.authority.apply(**spec)
        for name in names:
            world.apply(name, authority=world.namespace, **(identity or {}))
        for name in names:
            roots = BUNDLE if name == names[-1] else None
            fleet.join(name, world.namespace, *projected(world.namespace, f"{name}-mtls", trust=roots))
        world.wait_ready(*names)
        if names:
            fleet.wait_for_round()
        try:
            yield run
        finally:
            handshakes.append(fleet.calls().total())
            world.delete_all("mtls")
            world.delete("mtlsca", world.namespace)
