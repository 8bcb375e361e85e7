"""What may befall a cluster, each as a step of a bad day: it begins, strikes, and ends."""

from __future__ import annotations

import base64
import contextlib
import http
import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import yaml

from devtools.clusters.clusters import Cluster
from devtools.clusters.faults import Fault, Refuse
from support import chart
from support.bad_day import HEALED, Day, Step

_MORE_THAN_A_PAGE = 110
_ANY = base64.b64encode(b"/").decode()
"""A key that etcd is asked for where only what comes with the answer matters."""


def faulty(*faults: Fault, strikes: int, ready: str = "") -> Step:
    """Put faults into effect until they have struck so often, and `/readyz` has said something, where it is to."""

    @contextlib.contextmanager
    def step(day: Day) -> Iterator[None]:
        effects = day.scene.proxy.put(*faults)

        def have_struck() -> bool:
            if sum(effect.happened for effect in effects) >= strikes:
                return True
            if not day.troubles():  # in spite of them; more is asked for, until chance has them strike
                day.act()
            return False

        try:
            day.act()
            day.wait("the faults strike", have_struck)
            if ready:
                day.wait(f"/readyz says {ready}", lambda: ready in day.ask("/readyz")[1])
            yield
        finally:
            day.scene.proxy.mend()

    return step


@contextlib.contextmanager
def pages_are_too_old(day: Day) -> Iterator[None]:
    """Lists have more than one page, and the first is too old when the second is asked for."""
    labels = {"mutualtls.dev/part": "password"}
    for number in range(_MORE_THAN_A_PAGE):
        body = {"metadata": {"name": f"password-{number}", "labels": labels}}
        day.world.client.create("secret", body, namespace=day.world.namespace)
    with faulty(Refuse(status=410, verbs=frozenset({"page"})), strikes=3)(day):
        yield
    day.world.kubectl("delete", "secrets", "--selector", "mutualtls.dev/part=password", "--wait=false")


def shifted(by: timedelta) -> Step:
    """Let the clocks of operator and API server differ."""

    @contextlib.contextmanager
    def step(day: Day) -> Iterator[None]:
        day.scene.proxy.shift_clock(by)
        try:
            day.wait("it is noticed", lambda: _looked(day) == "ClockSkew")
            day.act()
            new = f"late-{day.number}"
            day.wait("nothing is signed", lambda: day.world.condition(new).get("reason") == "AuthorityNotReady")
            yield
        finally:
            day.scene.proxy.mend()
        _looked(day)

    return step


def _looked(day: Day) -> str:
    """Have the operator look at its authority, by which it hears of the clock; tell what it found before."""
    day.number += 1
    day.authority.annotate("look", str(day.number))
    return str(day.authority.condition("Ready").get("reason"))


@contextlib.contextmanager
def api_server_restarts(day: Day) -> Iterator[None]:
    """The API server ends and begins."""
    day.act()
    day.scene.cluster.stop_program("kube-apiserver")
    day.scene.cluster.start_program("kube-apiserver")
    day.scene.cluster.wait_until_ready()
    yield


@contextlib.contextmanager
def etcd_restarts(day: Day) -> Iterator[None]:
    """Etcd ends under an API server that goes on, and begins."""
    day.act()
    day.scene.cluster.stop_program("etcd")
    day.wait("it is noticed", lambda: day.ask("/readyz")[0] != http.HTTPStatus.OK)
    day.scene.cluster.start_program("etcd")
    day.scene.cluster.wait_until_ready()
    yield


@contextlib.contextmanager
def compacted(day: Day) -> Iterator[None]:
    """Etcd forgets all but the present, and the API server begins with what is left."""
    day.act()
    compact(day.scene.cluster)
    day.scene.cluster.stop_program("kube-apiserver")
    day.scene.cluster.start_program("kube-apiserver")
    day.scene.cluster.wait_until_ready()
    yield


def compact(cluster: Cluster) -> None:
    """Have etcd forget all but the present."""
    revision = _etcd(cluster, "kv/range", key=_ANY)["header"]["revision"]
    _etcd(cluster, "kv/compaction", revision=revision, physical=True)


@contextlib.contextmanager
def etcd_is_full(day: Day) -> Iterator[None]:
    """Etcd has no space left: everything is read, and nothing is written."""
    alarm = {"memberID": _etcd(day.scene.cluster, "kv/range", key=_ANY)["header"]["member_id"], "alarm": "NOSPACE"}
    day.act()
    day.wait("all is in order", lambda: not day.troubles())
    _etcd(day.scene.cluster, "maintenance/alarm", action="ACTIVATE", **alarm)
    before = len(day.log())
    try:
        day.world.delete("secret", f"{HEALED}-mtls")  # which etcd takes even then
        day.wait("writes fail", lambda: any("space exceeded" in line for line in day.log()[before:]))
        yield
    finally:
        _etcd(day.scene.cluster, "maintenance/alarm", action="DEACTIVATE", **alarm)


@contextlib.contextmanager
def unrelated_api_is_down(day: Day) -> Iterator[None]:
    """An aggregated API has no server, and the operator begins while it is so."""
    name = "v1.metrics.example.com"
    spec = {"group": "metrics.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
    service = {"service": {"name": "nobody", "namespace": "default"}, "insecureSkipTLSVerify": True}
    head = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
    day.scene.cluster.kubectl("create", "--filename", "-", stdin=yaml.safe_dump(head | {"spec": spec | service}))
    try:
        day.scene.operator.kill()
        day.scene.operator.start()
        day.act()
        day.wait("all is in order in spite of it", lambda: not day.troubles())
        yield
    finally:
        day.scene.cluster.kubectl("delete", "apiservice", name)


@contextlib.contextmanager
def namespace_goes(day: Day) -> Iterator[None]:
    """A namespace is deleted while its identities are being issued."""
    doomed = day.scene.world()
    for number in range(5):
        doomed.apply(f"doomed-{number}", authority=day.authority.name)
    doomed.client.delete("namespace", doomed.namespace)
    day.act()
    day.wait("it is gone", lambda: doomed.client.get("namespace", doomed.namespace) is None)
    yield


@contextlib.contextmanager
def rights_are_withdrawn(day: Day) -> Iterator[None]:
    """The operator's account loses all its rights, and gets them again."""
    binding = day.scene.cluster.kubectl("get", "clusterrolebinding", chart.NAME, "--output", "yaml")
    day.scene.cluster.kubectl("delete", "clusterrolebinding", chart.NAME)
    try:
        day.act()
        day.wait("/readyz says it", lambda: "may not" in day.ask("/readyz")[1])
        yield
    finally:
        day.scene.cluster.kubectl("create", "--filename", "-", stdin=binding)


@contextlib.contextmanager
def token_expires(day: Day) -> Iterator[None]:
    """The operator's token is not known any more, and there is another in its file, as kubelet puts it there."""
    file = day.token_file
    (effect,) = day.scene.proxy.put(Refuse(status=401, token=file.read_text()))
    try:
        day.act()
        day.wait("/readyz says it", lambda: effect.happened and "401" in day.ask("/readyz")[1])
        file.write_text(chart.token(day.scene.cluster))
        day.wait("all is in order by the new one", day.is_in_order)
        yield
    finally:
        day.scene.proxy.mend()


def _etcd(cluster: Cluster, what: str, **body: Any) -> dict[str, Any]:
    """Ask etcd by its JSON gateway."""
    (server,) = re.findall(r"--etcd-servers=(\S+?)[\"',]", (cluster.folder / "commands.json").read_text())
    request = urllib.request.Request(f"{server}/v3/{what}", data=json.dumps(body).encode())  # noqa: S310 - loopback
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
    return found
