"""Faults between operator and API server: cut watches, errors, an API server that goes away, a clock that is wrong."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

from devtools.clusters.operators import NAMESPACE, wait_until
from support.authority import AnAuthority
from support.scenes import Scene, authority_and_identity, prepared
from support.world import World

GONE_FOR = 12
"""More tries than one object is given at once."""


def test_what_happens_while_a_watch_is_cut_is_seen_afterwards(scene: Scene) -> None:
    """A deleted Secret is mended and a new identity issued, though no watch ran."""
    world = scene.world()
    prepared(world)
    serial = world.serial("orders")
    scene.proxy.cut_watches()
    world.delete("secret", "orders-mtls")
    world.apply("billing", authority=world.namespace)
    scene.proxy.cut_watches()
    world.wait_reissued("orders", serial)
    world.wait_ready("billing")


def test_an_operator_whose_first_lists_are_cut_sees_everything(scene: Scene) -> None:
    """Ten identities become ready, though watches are cut time and again while the operator starts."""
    world = scene.world()
    prepared(world)
    names = [f"identity-{number}" for number in range(10)]
    assert scene.operator.stop()
    manifests = [world.manifest(name, authority=world.namespace) for name in names]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests))
    scene.operator.start()
    for _ in range(5):
        wait_until(lambda: scene.proxy.watches > 0, "a watch is open", deadline_s=60)
        scene.proxy.cut_watches()
    world.wait_ready(*names)


def test_refused_writes_are_tried_again(scene: Scene) -> None:
    """The API server answers with a conflict, an error, and too many requests, for the Secret and the status."""
    world = scene.world()
    prepared(world)
    for status, reason in ((409, "Conflict"), (500, "InternalError"), (429, "TooManyRequests")):
        scene.proxy.answer("POST", "/secrets", status=status, reason=reason)
        scene.proxy.answer("PATCH", "/status", status=status, reason=reason)
    names = ["one", "two", "three"]
    for name in names:
        world.apply(name, authority=world.namespace)
    world.wait_ready(*names)


def test_a_mend_that_fails_again_and_again_is_no_contest(scene: Scene) -> None:
    """It counts when it is done: an API server that is away for a while has overwritten nothing."""
    world = scene.world()
    prepared(world)
    wanted = world.files("orders-mtls")["ca.crt"]
    scene.proxy.answer("PATCH", "/secrets/orders-mtls", status=502, reason="BadGateway", times=4)
    world.patch("secret", "orders-mtls", {"data": {"ca.crt": "bm9uZQ=="}})

    wait_until(lambda: world.files("orders-mtls")["ca.crt"] == wanted, "the bundle is mended")
    world.wait_ready("orders")


def test_a_ca_is_made_in_spite_of_refused_writes(scene: Scene) -> None:
    """The ledger in conflict, the CA Secret refused: one CA of each kind in the end."""
    world = scene.world()
    scene.proxy.answer("PATCH", "/configmaps", status=409, reason="Conflict")
    scene.proxy.answer("POST", "/secrets", status=500, reason="InternalError", times=2)
    authority_and_identity(world)
    world.wait_ready("orders")

    assert ["issuing.1", "root.1"] == scene.cas(world)


def test_an_authority_whose_spec_cannot_be_kept_signs_all_the_same(scene: Scene) -> None:
    """A quota must not stop who would only be helped later, as after an upgrade; it is kept as soon as it can be."""
    world = scene.world()
    prepared(world)
    name = f"mutualtls-ledger.{world.namespace}.spec"
    scene.operator.stop()
    world.client.delete("configmap", name, namespace=NAMESPACE)
    scene.proxy.answer("POST", "/configmaps", status=403, reason="Forbidden", times=1000)
    scene.operator.start()
    world.apply("billing", authority=world.namespace)
    world.wait_ready("billing")
    assert world.client.get("configmap", name, namespace=NAMESPACE) is None

    scene.proxy.mend()
    world.client.patch("mtlsca", world.namespace, {"metadata": {"annotations": {"example.com/look": "again"}}})
    wait_until(lambda: world.client.get("configmap", name, namespace=NAMESPACE), "the spec is kept")


def test_a_namespace_that_is_gone_before_its_watch_says_so_is_no_programming_error(scene: Scene) -> None:
    """What cannot be created there is tried again, later each time, and not at once until it is given up."""
    world = scene.world()
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    for kind in ("secrets", "configmaps"):
        path = f"/namespaces/{world.namespace}/{kind}"
        scene.proxy.answer("POST", path, status=404, reason="NotFound", times=GONE_FOR)
    authority_and_identity(world)
    trust = {"configMap": {"name": "bundle", "namespaceSelector": here}}
    world.kubectl("patch", "mtlsca", world.namespace, "--type=merge", "--patch", json.dumps({"spec": {"trust": trust}}))
    world.wait_ready("orders")
    wait_until(lambda: world.get("configmap", "bundle"), "the bundle is there")

    assert not scene.operator.logged("programming error")


def test_an_api_server_without_clustertrustbundles_is_served_all_the_same(scene: Scene) -> None:
    """The operator neither waits for a ClusterTrustBundle nor writes one."""
    world = scene.world()
    assert scene.operator.stop()
    scene.proxy.answer("GET", "/clustertrustbundles", status=404, reason="NotFound", times=1000)
    scene.operator.start()
    prepared(world)

    assert world.get("clustertrustbundle", f"mutualtls.dev:{world.namespace}:bundle") is None
    assert scene.operator.stop()  # the next test finds one that looks again


def test_an_api_server_that_goes_away_is_waited_for(scene: Scene) -> None:
    """What was asked for meanwhile, right after its return, is done; the operator lives on or is started again."""
    world = scene.world()
    prepared(world)
    scene.cluster.stop_program("kube-apiserver")
    scene.cluster.start_program("kube-apiserver")
    scene.cluster.wait_until_ready()
    world.apply("billing", authority=world.namespace)
    scene.keep_running(lambda: world.condition("billing").get("status") == "True", "billing is ready")


def test_nothing_is_signed_by_a_wrong_clock(scene: Scene) -> None:
    """A minute off, or a year: it says so, and signs when the clock is right again."""
    for off in (timedelta(minutes=1), timedelta(days=-365)):
        world = scene.world()
        prepared(world)
        scene.proxy.shift_clock(off)
        _look_at(world, "ClockSkew")
        world.apply("billing", authority=world.namespace)
        condition = world.wait_reason("billing", "AuthorityNotReady")
        assert "ClockSkew" in condition["message"]
        assert world.get("secret", "billing-mtls") is None

        scene.proxy.shift_clock(timedelta())
        _look_at(world, "Active")
        world.wait_ready("billing")


def test_a_bundle_that_is_written_by_a_clock_that_is_behind_counts_from_the_api_servers(scene: Scene) -> None:
    """Its soak would else be over too early, when the clock is right again."""
    world = scene.world()
    prepared(world)
    wanted = world.files("orders-mtls")["ca.crt"]
    scene.proxy.shift_clock(timedelta(hours=1))
    _look_at(world, "ClockSkew")
    world.patch("secret", "orders-mtls", {"data": {"ca.crt": "bm9uZQ=="}})
    wait_until(lambda: world.files("orders-mtls")["ca.crt"] == wanted, "the bundle is mended")

    noted = json.loads((world.get("secret", "orders-mtls") or {})["metadata"]["annotations"]["mutualtls.dev/facts"])
    assert datetime.fromisoformat(noted["bundleSince"]) > datetime.now(UTC) + timedelta(minutes=50)
    scene.proxy.shift_clock(timedelta())
    _look_at(world, "Active")  # or the next test would begin with an operator that waits for its clock


def _look_at(world: World, reason: str) -> None:
    """Have the operator look at the authority, by which it compares clocks, until it has found something."""
    authority = AnAuthority(world=world, name=world.namespace)
    looks = itertools.count()

    def is_found() -> bool:
        authority.annotate("look", f"{reason}-{next(looks)}")
        return bool(authority.condition("Ready").get("reason") == reason)

    wait_until(is_found, f"the authority is {reason}")
