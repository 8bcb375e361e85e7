"""Several operators share a cluster by authority: what each follows and writes, and what moves from one to another.

They are two users, so that the audit log tells them apart. By the values of the example, one serves the authorities of
finance, the other the rest. The CAs of both are intermediates of one outside root.
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from devtools.clusters import client, clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import NAMESPACE, Operator, wait_until
from devtools.consumers import handshakes
from devtools.machine import ports
from support import authority, chart, outside, verify
from support.authority import AnAuthority
from support.chart import Helm
from support.world import WRITES, World

EXAMPLE = Path(__file__).parents[2] / "examples" / "several-operators"
FINANCE, PLATFORM = (yaml.safe_load((EXAMPLE / f"{name}.values.yaml").read_text()) for name in ("finance", "platform"))
NAMED = ("payments", "ledgers")
"""Authorities of finance."""
FINANCE_NAMESPACE = "finance-pki"
PROMPT = {"MUTUALTLS_FIRST_RETRY": "1s", "MUTUALTLS_LAST_RETRY": "1s", "MUTUALTLS_RELIST": "3s"}
LONG_S = 600.0
"""For thousands of identities."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The operator of the named authorities, and that of the rest."""

    named: Operator
    rest: Operator
    world: World
    begun: int
    """How many lines the audit log had before."""

    def requests(self, of: Operator) -> list[Entry]:
        """List what an operator asked of the API server about objects."""
        entries = map(json.loads, self.world.cluster.audit_log.read_text().splitlines()[self.begun :])
        agent = "mutualtls-operator"
        asked = [one for one in entries if (one["user"]["username"], one.get("userAgent")) == (of.name, agent)]
        return [one for one in asked if "objectRef" in one]

    def written(self, of: Operator, *names: str) -> Counter[str]:
        """Count what an operator wrote in the test's namespace that bears one of these names, or that of its Secret."""
        whole, here = {*names, *(f"{name}-mtls" for name in names)}, self.world.namespace
        asked = [one for one in self.requests(of) if one["objectRef"].get("namespace") == here]
        return Counter(
            one["objectRef"]["name"]
            for one in asked
            if one["verb"] in WRITES and one["responseStatus"]["code"] < 300 and one["objectRef"].get("name") in whole
        )

    def selectors(self, of: Operator, resource: str) -> set[str]:
        """Tell by which selectors an operator lists and watches a resource in all namespaces."""
        found = set()
        for one in self.requests(of):
            target = one["objectRef"]
            if one["verb"] in {"list", "watch"} and target["resource"] == resource and "namespace" not in target:
                query = parse_qs(urlsplit(one["requestURI"]).query)
                found.add(" ".join((*query.get("fieldSelector", ()), *query.get("labelSelector", ()))))
        return found

    def moved(self, name: str, to: str) -> None:
        """Have another authority sign for an identity, and wait until it has."""
        serial = self.world.serial(name)
        self.world.patch("mtls", name, {"spec": {"authority": to}})
        self.world.wait_reissued(name, serial)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster where both users have all rights."""
    with clusters.running("several", audit=True) as cluster:
        operators.install(cluster)
        client.admin(cluster).create("namespace", {"metadata": {"name": FINANCE_NAMESPACE}})
        yield cluster


def _operator(cluster: Cluster, folder: Path, user: str, settings: dict[str, str]) -> Operator:
    kubeconfig, log = cluster.kubeconfig(user), folder / f"{user}.log"
    return Operator(cluster=cluster, log=log, kubeconfig=kubeconfig, settings=PROMPT | settings, name=user)


def _settings(helm: Helm, values: dict[str, Any]) -> dict[str, str]:
    """Read the settings of an operator from the chart."""
    (deployment,) = [one for one in helm.rendered(chart.IMAGE | values) if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {
        one["name"]: one["value"]
        for one in container["env"]
        if one["name"] in {"MUTUALTLS_AUTHORITIES", "MUTUALTLS_OTHER_AUTHORITIES"}
    }


@pytest.fixture(scope="module")
def operators_of_both(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, ...]]:
    """The two of them, with their authorities, which are ready."""
    folder = tmp_path_factory.mktemp("several")
    helm = Helm(home=folder, kubeconfig=cluster.kubeconfig())
    in_finance = {"MUTUALTLS_NAMESPACE": FINANCE_NAMESPACE}
    named = _operator(cluster, folder, "operator", _settings(helm, FINANCE) | in_finance)
    rest = _operator(cluster, folder, "admin", _settings(helm, PLATFORM))
    world, root = World(cluster=cluster, operator=named, namespace="default"), outside.make("Corp Root")
    further = yaml.safe_load((EXAMPLE / "ledgers.yaml").read_text())
    specs = {values["authority"]["name"]: values["authority"]["spec"] for values in (FINANCE, PLATFORM)}
    try:
        for one in (named, rest):
            one.start()
        for name, spec in (specs | {further["metadata"]["name"]: further["spec"]}).items():
            where = FINANCE_NAMESPACE if name in NAMED else NAMESPACE
            source = outside.make(f"Corp {name}", signer=root).files()
            AnAuthority(world=world, name=name).put_source(source, into=spec["root"]["secretRef"]["name"], of=where)
            authority.apply(world, name, **spec)
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca", "--all", "--timeout=60s")
        yield named, rest
    finally:
        for one in (named, rest):
            one.stop()


@pytest.fixture
def pair(cluster: Cluster, operators_of_both: tuple[Operator, ...]) -> Iterator[Pair]:
    """Both, with a namespace of the test's own."""
    named, rest = operators_of_both
    namespace = f"run-{secrets.token_hex(3)}"
    begun = len(cluster.audit_log.read_text().splitlines())
    client.admin(cluster).create("namespace", {"metadata": {"name": namespace}})
    for one in (named, rest):
        if one.process is None or not one.process.is_alive():
            one.start()
    yield Pair(named=named, rest=rest, world=World(cluster=cluster, operator=named, namespace=namespace), begun=begun)
    client.admin(cluster).delete("namespace", namespace)


def test_each_follows_and_writes_what_is_of_its_authorities(pair: Pair) -> None:
    """The API server selects; what names an authority that there is not, or none, is answered by the rest."""
    world = pair.world
    for one in (pair.named, pair.rest):
        assert one.stop()
        one.start()
    of = {"pay": "payments", "book": "ledgers", "shop": "default"}
    for name, signer in of.items():
        world.apply(name, authority=signer)
    world.apply("plain")
    bare = {name: part for name, part in world.body("bare").items() if name != "spec"}
    world.client.apply("mtls", bare, namespace=world.namespace)
    world.apply("lost", authority="nowhere")
    world.wait_ready(*of, "plain", "bare")
    world.wait_reason("lost", "AuthorityNotFound")

    assert {"pay", "pay-mtls", "book", "book-mtls"} == set(pair.written(pair.named, *of, "plain", "bare", "lost"))
    theirs = {"shop", "shop-mtls", "plain", "plain-mtls", "bare", "bare-mtls", "lost"}
    assert theirs == set(pair.written(pair.rest, *of, "plain", "bare", "lost"))
    part, label = "mutualtls.dev/part", "mutualtls.dev/authority"
    for resource, field in (("mutualtlsidentities", "spec.authority"), ("mutualtlsauthorities", "metadata.name")):
        assert {f"{field}=payments", f"{field}=ledgers"} == pair.selectors(pair.named, resource)
        assert {f"{field}!=payments,{field}!=ledgers"} == pair.selectors(pair.rest, resource)
    passwords = f"{part}=password"
    in_, not_in = f"{label} in (payments,ledgers)", f"{label} notin (payments,ledgers)"
    assert {f"{part} in (files,ca),{in_}", passwords} == pair.selectors(pair.named, "secrets")
    assert {f"{part} in (files,ca),{not_in}", passwords} == pair.selectors(pair.rest, "secrets")
    assert {f"{part}=bundle,{in_}"} == pair.selectors(pair.named, "configmaps")


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(("payments", "default"), id="to the rest"),
        pytest.param(("default", "payments"), id="from the rest"),
        pytest.param(("payments", "ledgers"), id="within one operator"),
    ],
)
def test_an_identity_moves_with_its_secret(pair: Pair, tmp_path: Path, way: tuple[str, str]) -> None:
    """It is signed again by the other authority, once; the Secret stays that object, and nobody writes it later."""
    world, (before, after) = pair.world, way
    world.apply("mover", authority=before)
    world.wait_ready("mover")
    uid = world.secret("mover-mtls")["metadata"]["uid"]
    pair.moved("mover", after)

    assert uid == world.secret("mover-mtls")["metadata"]["uid"]
    assert world.secret("mover-mtls")["metadata"]["labels"]["mutualtls.dev/authority"] == after
    verify.chain(world.save_files("mover-mtls", tmp_path / "files"), use="server")
    pair.moved("mover", before)
    writes = [pair.written(one, "mover") for one in (pair.named, pair.rest)]
    assert Counter({"mover": 3, "mover-mtls": 3}) == writes[0] + writes[1]
    of_both = [one for one in writes if one]
    assert (1 if {before, after} <= set(NAMED) else 2) == len(of_both)

    # The next count, of every few seconds, leaves it as it is.
    counts = [len(_counts(pair, one)) for one in (pair.named, pair.rest)]
    wait_until(
        lambda: all(len(_counts(pair, one)) > n + 1 for one, n in zip((pair.named, pair.rest), counts, strict=True)),
        "both have counted again",
    )
    assert writes == [pair.written(one, "mover") for one in (pair.named, pair.rest)]
    world.delete("secret", "mover-mtls")
    wait_until(lambda: world.get("secret", "mover-mtls"), "its Secret is made again")


def _counts(pair: Pair, of: Operator) -> list[Entry]:
    """List the pages of identities that an operator has listed."""
    return [
        one
        for one in pair.requests(of)
        if one["verb"] == "list" and one["objectRef"]["resource"] == "mutualtlsidentities"
    ]


def test_a_secret_with_the_label_of_another_authority_is_mended(pair: Pair) -> None:
    """Its operator sees it no more then, and finds it from the identity's side."""
    world = pair.world
    world.apply("pay", authority="payments")
    world.wait_ready("pay")
    world.patch("secret", "pay-mtls", {"metadata": {"labels": {"mutualtls.dev/authority": "default"}}})

    def label() -> str:
        return str(world.secret("pay-mtls")["metadata"]["labels"].get("mutualtls.dev/authority"))

    wait_until(lambda: label() == "payments", "its label is put right")
    assert Counter() == pair.written(pair.rest, "pay")


def test_identities_of_both_trust_each_other(pair: Pair, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Their CAs are of one outside root, whatever their trust domains; a restart of both then writes nothing."""
    world, number = pair.world, pytestconfig.getoption("--of-each")
    wanted = {f"{name}-{each}": name for name in ("payments", "default") for each in range(number)}
    for name, signer in wanted.items():
        world.apply(name, authority=signer)

    def ready() -> int:
        found = world.client.find("mtls", namespace=world.namespace)
        return sum(_is_ready(one) for one in found)

    wait_until(lambda: ready() == len(wanted), f"{len(wanted)} identities are ready", deadline_s=LONG_S)
    folders = {name: world.save_files(f"{name}-mtls", tmp_path / name) for name in wanted}
    for each in range(number):
        one, other = f"payments-{each}", f"default-{each}"
        for server, of in ((one, other), (other, one)):
            name = f"{server}.{world.namespace}.svc"
            seen = handshakes.handshake(folders[server], folders[of], name=name)
            assert (name, f"{of}.{world.namespace}.svc") == seen
    uris = world.status("payments-0")["certificate"]["uris"]
    assert [f"spiffe://payments.example.com/ns/{world.namespace}/sa/payments-0"] == uris

    begun = len(world.writes(everywhere=True))
    for operator in (pair.named, pair.rest):
        assert operator.stop()
        operator.start()
    late = {"late-1": "payments", "late-2": "default"}
    for name, signer in late.items():
        world.apply(name, authority=signer)
    wait_until(lambda: ready() == len(wanted) + len(late), "new ones are ready", deadline_s=LONG_S)
    assert 2 == sum(pair.written(pair.named, *late).values())
    assert not {name for _, _, name in world.writes(everywhere=True)[begun:]} & set(wanted)


def _is_ready(identity: dict[str, Any]) -> bool:
    conditions = identity.get("status", {}).get("conditions", ())
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def test_an_operator_waits_for_a_definition_that_selects(cluster: Cluster, tmp_path: Path) -> None:
    """With the definition of a release before, it says what to apply, and begins once that was done."""
    (port,) = ports.free(1)
    path = "/spec/versions/0/selectableFields"
    patch = json.dumps([{"op": "remove", "path": path}])
    cluster.kubectl("patch", "crd", "mutualtlsidentities.mutualtls.dev", "--type=json", f"--patch={patch}")
    apart = {"MUTUALTLS_AUTHORITIES": "apart", "MUTUALTLS_NAMESPACE": FINANCE_NAMESPACE}
    waiting = _operator(cluster, tmp_path, "operator", apart | {"MUTUALTLS_HEALTH_PORT": str(port)})

    def ready() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())
        except OSError:
            return ""

    try:
        waiting.start()
        wait_until(lambda: "apply the CRDs of this release" in ready(), "it says what it waits for")
        assert "spec.authority" in ready()
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(operators.CRDS))
        wait_until(lambda: ready().startswith("ok"), "it begins")
    finally:
        waiting.stop()
