"""The Helm chart: what it makes, what it refuses, what stays, and that its rights are those which the operator needs.

On a cluster of its own, which nobody has prepared. No pod runs there, as there is no node.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import CRDS, NAMESPACE, wait_until
from devtools.machine import programs
from mutualtls.settings import Settings
from support import chart
from support.chart import CHART, IMAGE, NAME, RELEASE, Helm
from support.world import World

PROJECT = CHART.parents[1] / "pyproject.toml"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}

EVERYTHING: dict[str, Any] = {
    "image": IMAGE["image"] | {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "replicas": 3,
    "commonLabels": {"example.com/cost": "platform"},
    "commonAnnotations": {"example.com/owner": "platform"},
    "fullnameOverride": "certificates",
    "authority": {"name": "internal", "readers": ["developers"], "spec": {"leaf": {"duration": "12h"}}},
    "settings": {"workers": 4, "conflictRetry": "1m30s", "events": "all", "authorities": ["internal", "further"]},
    "networkPolicy": {
        "enabled": True,
        "apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
        "metricsFrom": [{"namespaceSelector": {}}],
    },
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"runAsGroup": 1000},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "extraArgs": ["--verbose"],
    "extraVolumes": [{"name": "cas", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "cas", "mountPath": "/cas"}],
    "log": {"format": "text", "verbose": True},
    "metrics": {"perIdentity": True, "byNamespace": True},
    "serviceAccount": {"name": "signer", "annotations": {"example.com/team": "platform"}},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"example.com/team": "platform"},
    "resources": {"requests": {"memory": "128Mi"}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "control-plane", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "terminationGracePeriodSeconds": 60,
    "global": {
        "of": "the parent",
        "imageRegistry": "mirror.example.com",
        "imagePullSecrets": [{"name": "mirror"}],
    },
}
OURS_ALONE = IMAGE | {
    "authority": {"create": False},
    "rbac": {"create": False, "aggregate": False},
    "podDisruptionBudget": {"enabled": False},
    "admissionPolicy": {"enabled": False, "account": False, "state": False, "statuses": False},
    "serviceAccount": {"create": False, "name": "theirs"},
}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def empty_cluster() -> Iterator[Cluster]:
    """A cluster with the namespace alone, in which only restricted pods are admitted."""
    with clusters.running("chart", audit=True) as cluster:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}}
        cluster.kubectl("create", "--filename", "-", stdin=yaml.safe_dump(namespace))
        yield cluster


@pytest.fixture
def release(empty_cluster: Cluster, helm: Helm) -> Helm:
    """Helm, with the chart installed with no more values than it needs, or brought back to that."""
    bound = Helm(home=helm.home, kubeconfig=empty_cluster.kubeconfig())
    bound.run("upgrade", "--install", RELEASE, str(CHART), values=IMAGE)
    return bound


@pytest.fixture
def served(empty_cluster: Cluster, release: Helm) -> Iterator[World]:
    """A namespace of the test's own, and an operator with no rights but the chart's."""
    assert release.kubeconfig
    chart.log_in(empty_cluster)
    namespace = f"test-{secrets.token_hex(3)}"
    empty_cluster.kubectl("create", "namespace", namespace)
    with operators.running(empty_cluster, first_retry="1s", last_retry="2s") as operator:
        yield World(cluster=empty_cluster, operator=operator, namespace=namespace)
    empty_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


# What is in it


def test_the_chart_ships_the_very_crds(helm: Helm, tmp_path: Path) -> None:
    """A package of it holds the files of `crds/`, byte for byte."""
    helm.run("package", str(CHART), "--destination", str(tmp_path))
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        package.extractall(tmp_path, filter="data")

    assert _contents(CRDS) == _contents(tmp_path / CHART.name / "crds")


def test_the_chart_has_its_crds_wherever_it_comes_from(helm: Helm, tmp_path: Path) -> None:
    """It has them in a zip, too, and where it is fetched from Git without symbolic links."""
    fetched = tmp_path / CHART.name
    for path in CHART.rglob("*"):
        if path.is_file() and not any(part.is_symlink() for part in (path, *path.parents)):
            copy = fetched / path.relative_to(CHART)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    rendered = helm.run("template", RELEASE, str(fetched), "--include-crds", values=IMAGE)

    assert len(_contents(CRDS)) == rendered.count("kind: CustomResourceDefinition")


def test_a_parent_chart_may_switch_it_on_and_off(helm: Helm, tmp_path: Path) -> None:
    """A condition decides, whose value Helm hands on to the chart."""
    dependency = {"name": CHART.name, "version": "*", "condition": f"{CHART.name}.enabled"}
    about = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(about))
    shutil.copytree(CHART, tmp_path / "charts" / CHART.name)

    for is_enabled in (True, False):
        values = {CHART.name: IMAGE | {"enabled": is_enabled}}
        assert is_enabled == ("kind: Deployment" in helm.run("template", RELEASE, str(tmp_path), values=values))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_chart_is_of_the_version_of_the_operator() -> None:
    """Its default tag is that of the package."""
    known = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert tomllib.loads(PROJECT.read_text())["project"]["version"] == known["appVersion"]


def test_every_setting_can_be_set() -> None:
    """The chart has a value for each setting, of its name in camel case, but for those that the chart decides."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    settings, metrics = (schema["properties"][group]["properties"] for group in ("settings", "metrics"))
    series = [name for name in metrics if name != "podMonitor"]
    offered = [*settings, *(f"metrics{name[0].upper()}{name[1:]}" for name in series)]
    known = {field.name for field in fields(Settings)} - {"namespace", "health_port"}

    assert known == {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name) for name in offered}


def test_every_rule_says_why() -> None:
    """The reason for a right is in a comment right above its rule."""
    for template in (CHART / "templates").glob("*.yaml"):
        lines = template.read_text().splitlines()
        for above, line in itertools.pairwise(lines):
            assert not line.startswith("  - apiGroups") or above.startswith("  # "), f"{template.name}: {line}"


def test_no_rule_has_a_wildcard(helm: Helm) -> None:
    """This holds for the operator's rules and for those for people."""
    rules = [rule for found in helm.rendered(IMAGE) for rule in found.get("rules", ())]

    assert rules
    assert "*" not in {word for rule in rules for words in rule.values() for word in words}


# What it makes of values


@pytest.mark.parametrize("values", [IMAGE, EVERYTHING, OURS_ALONE], ids=["least", "everything", "deployment alone"])
def test_it_passes_the_linter(helm: Helm, values: dict[str, Any]) -> None:
    """The linter finds nothing, with its warnings taken as errors."""
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART), values=values)


RARE = {
    ("mutualtls.dev", "mutualtlsidentities", "get"),
    ("certificates.k8s.io", "signers", "attest"),
    ("mutualtls.dev", "mutualtlsidentities", "report"),
    ("mutualtls.dev", "mutualtlsauthorities", "report"),
}
"""What is done after a refused write alone, which tests/interrupted provokes; and what admission asks for."""
VALUES = [
    pytest.param(IMAGE, 18, id="least"),
    pytest.param(EVERYTHING, 21, id="everything"),
    pytest.param(OURS_ALONE, 1, id="deployment alone"),
    pytest.param(IMAGE | {"fullnameOverride": "x" * 70}, 18, id="name too long"),
]


@pytest.mark.parametrize(("values", "count"), VALUES)
def test_every_object_is_accepted(release: Helm, empty_cluster: Cluster, values: dict[str, Any], count: int) -> None:
    """The API server takes each strictly, and without a warning in a namespace for restricted pods."""
    text = yaml.safe_dump_all(release.rendered(values))
    apply = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    said = empty_cluster.kubectl(*apply, "--filename", "-", stdin=text, check=False)

    assert count == said.count("serverside-applied (server dry run)"), said
    assert "Warning" not in said


def test_every_value_reaches_the_pod(helm: Helm) -> None:
    """Settings reach it as environment variables, beside what the chart decides."""
    deployment = next(found for found in helm.rendered(EVERYTHING) if found["kind"] == "Deployment")
    pod = deployment["spec"]["template"]
    container = pod["spec"]["containers"][0]

    assert f"mirror.example.com/registry.example.com/operator@sha256:{'0' * 64}" == container["image"]
    assert ["run", "--log-format", "text", "--verbose", "--verbose"] == container["args"]
    assert {
        "MUTUALTLS_NAMESPACE": NAMESPACE,
        "MUTUALTLS_HEALTH_PORT": "8080",
        "MUTUALTLS_WORKERS": "4",
        "MUTUALTLS_CONFLICT_RETRY": "1m30s",
        "MUTUALTLS_EVENTS": "all",
        "MUTUALTLS_AUTHORITIES": "internal,further",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "MUTUALTLS_METRICS_PER_IDENTITY": "true",
        "MUTUALTLS_METRICS_BY_NAMESPACE": "true",
    } == {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    assert 3 == deployment["spec"]["replicas"]
    assert pod["metadata"]["labels"]["team"] == "platform"
    assert pod["spec"]["serviceAccountName"] == "signer"
    assert ["registry", "mirror"] == [one["name"] for one in pod["spec"]["imagePullSecrets"]]
    assert {"runAsNonRoot": True, "runAsUser": 1000}.items() <= pod["spec"]["securityContext"].items()
    assert {"readOnlyRootFilesystem": True, "runAsGroup": 1000}.items() <= container["securityContext"].items()
    assert ("/cas", "cas") == (container["volumeMounts"][0]["mountPath"], pod["spec"]["volumes"][0]["name"])


def test_every_object_has_the_labels_and_annotations_of_all(helm: Helm) -> None:
    """The pods, too; those of the chart and of single values stay."""
    found = helm.rendered(EVERYTHING | {"alerts": {"enabled": True}, "metrics": {"podMonitor": {"enabled": True}}})
    pods = [one["spec"]["template"] for one in found if one["kind"] == "Deployment"]

    for one in (*found, *pods):
        metadata = one["metadata"]
        assert "platform" == metadata["labels"]["example.com/cost"], one["kind"]
        assert "platform" == metadata["annotations"]["example.com/owner"], one["kind"]
        assert RELEASE == metadata["labels"]["app.kubernetes.io/instance"]
    kinds = {one["kind"]: one["metadata"]["annotations"] for one in (*found, *pods) if "kind" in one}
    assert {"example.com/team", "example.com/owner"} == set(kinds["ServiceAccount"])
    assert "helm.sh/resource-policy" in kinds["MutualTLSAuthority"]


def test_pods_spread_and_drains_wait(helm: Helm) -> None:
    """By default over nodes, each version by itself; of one replica no drain waits."""
    by_kind = {one["kind"]: one for one in helm.rendered(IMAGE)}
    (spread,) = by_kind["Deployment"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    selected = by_kind["Deployment"]["spec"]["selector"]

    assert ("kubernetes.io/hostname", "ScheduleAnyway") == (spread["topologyKey"], spread["whenUnsatisfiable"])
    assert selected == spread["labelSelector"] == by_kind["PodDisruptionBudget"]["spec"]["selector"]
    assert "PodDisruptionBudget" not in {one["kind"] for one in helm.rendered(IMAGE | {"replicas": 1})}
    own = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    found = helm.rendered(IMAGE | {"topologySpreadConstraints": [own | {"labelSelector": {"matchLabels": {"a": "b"}}}]})
    (spread,) = next(one for one in found if one["kind"] == "Deployment")["spec"]["template"]["spec"][
        "topologySpreadConstraints"
    ]
    assert {"matchLabels": {"a": "b"}} == spread["labelSelector"]


WRONG = [
    pytest.param({}, "at '/image': missing property 'repository'", id="no image"),
    pytest.param({"image": {"repository": ""}}, "at '/image/repository': minLength", id="empty image"),
    pytest.param(IMAGE | {"replica": 2}, "additional properties 'replica' not allowed", id="unknown value"),
    pytest.param(IMAGE | {"replicas": 0}, "at '/replicas': minimum", id="no replica"),
    pytest.param(
        IMAGE | {"settings": {"conflict_retry": "1m"}}, "additional properties 'conflict_retry'", id="unknown setting"
    ),
    pytest.param(IMAGE | {"settings": {"events": "none"}}, "at '/settings/events'", id="no such choice"),
    pytest.param(IMAGE | {"settings": {"sweep": "1d"}}, "at '/settings/sweep'", id="setting of another form"),
    pytest.param(IMAGE | {"authority": {"name": "a.b"}}, "at '/authority/name'", id="authority that is no DNS label"),
    pytest.param(
        IMAGE | {"serviceAccount": {"create": False}}, "serviceAccount.name: the name", id="no service account"
    ),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_wrong_values_are_refused(helm: Helm, values: dict[str, Any], said: str) -> None:
    """Helm names the value."""
    assert said in helm.run("template", RELEASE, str(CHART), values=values, check=False)


# What it does to a cluster


def test_the_pod_is_admitted(release: Helm, empty_cluster: Cluster) -> None:
    """A namespace for restricted pods takes it; it stays pending, as there is no node."""
    assert release.kubeconfig
    wait_until(lambda: "Pending" in empty_cluster.kubectl("get", "pods", "--namespace", NAMESPACE), "there is a pod")


def test_its_rights_are_those_that_the_operator_needs(served: World, helm: Helm) -> None:
    """No request is refused, and no right is left over."""
    served.apply("orders")
    served.apply("billing", authority="absent")
    served.wait_ready("orders")
    served.wait_reason("billing", "AuthorityNotFound")
    serial = served.serial("orders")
    served.patch("secret", "orders-mtls", {"data": {"ca.crt": "Zm9v"}})
    wait_until(lambda: served.files("orders-mtls")["ca.crt"] != b"foo", "the bundle is mended")
    served.patch("secret", "orders-mtls", {"immutable": True})
    served.wait_reissued("orders", serial)
    _publish_and_remove(served)
    served.operator.stop()  # ends its watches: only then are they in the audit log

    wait_until(lambda: _granted(helm) - _asked(served.cluster) == RARE, "the rights are those that were asked for")
    assert [] == chart.denied(served.cluster)


def _publish_and_remove(world: World) -> None:
    """Have the bundle put into a ConfigMap and a ClusterTrustBundle, mended there, and taken away again."""
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    _change_trust(world, {"configMap": {"name": "bundle", "namespaceSelector": here}})
    for kind, name in COPIES:
        wait_until(lambda: _authority_label(world, kind, name) == "default", f"the {kind} is there")  # noqa: B023
        world.kubectl("label", kind, name, "--overwrite", "mutualtls.dev/authority=x")
        wait_until(lambda: _authority_label(world, kind, name) == "default", f"the {kind} is mended")  # noqa: B023
    _change_trust(world, {"configMap": None, "clusterTrustBundle": False, "removeAfter": "1s"})
    for kind, name in COPIES:
        wait_until(lambda: not world.get(kind, name), f"the {kind} is gone")  # noqa: B023


COPIES = (("configmap", "bundle"), ("clustertrustbundle", "mutualtls.dev:default:bundle"))


def _change_trust(world: World, trust: dict[str, Any]) -> None:
    world.kubectl("patch", "mtlsca", "default", "--type=merge", f"--patch={json.dumps({'spec': {'trust': trust}})}")


def _authority_label(world: World, kind: str, name: str) -> str:
    found = (world.get(kind, name) or {"metadata": {"labels": {}}})["metadata"]["labels"]
    return str(found.get("mutualtls.dev/authority", ""))


def _granted(helm: Helm) -> set[tuple[str, str, str]]:
    """List API group, resource and verb of all that the operator may do."""
    bound = [found for found in helm.rendered(IMAGE) if found["metadata"]["name"] == NAME and "rules" in found]
    return {
        (group, resource, verb)
        for role in bound
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _asked(cluster: Cluster) -> set[tuple[str, str, str]]:
    """List the same of all that the operator did, from the audit log."""
    return {
        (of.get("apiGroup", ""), "/".join(filter(None, [of["resource"], of.get("subresource")])), entry["verb"])
        for entry in chart.audited(cluster)
        if (of := entry.get("objectRef"))
    }


def _object(kind: str, name: str, *, of: str = "", **more: Any) -> dict[str, Any]:
    """Write a Secret or a ConfigMap of ours, by the part that its label tells, or of somebody."""
    labels = {"mutualtls.dev/part": of} if of else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}} | more


def test_its_account_writes_nothing_of_others(served: World, release: Helm) -> None:
    """By its own token: what it may do by RBAC is refused but for what is its own, until the policy is switched off."""
    cluster, there = served.cluster, ("--namespace", served.namespace)
    theirs = {kind: _object(kind, "theirs", data={}) for kind in ("Secret", "ConfigMap")}
    for body in theirs.values():
        cluster.kubectl(*there, "apply", "--filename", "-", stdin=yaml.safe_dump(body))

    def tried(*arguments: str, body: dict[str, Any] | None = None, where: tuple[str, ...] = there) -> str:
        account = ("--kubeconfig", str(cluster.kubeconfig("operator")), *where)
        return cluster.kubectl(*account, *arguments, stdin=yaml.safe_dump(body) if body else None, check=False)

    create, home = ("create", "--filename", "-"), ("--namespace", NAMESPACE)
    wait_until(lambda: "may write only" in tried(*create, body=_object("Secret", "new")), "the policy is in force")
    only = "the operator may write only"
    files = _object("Secret", "opaque", of="files")
    for body in (*(_object("Secret", "ca", of=part) for part in ("ca", "password")), _object("ConfigMap", "new")):
        assert only in tried(*create, body=body)
    assert f"{only} Secrets of type kubernetes.io/tls" in tried(*create, body=files)
    for kind in ("secret", "configmap"):
        assert only in tried("label", kind, "theirs", "mutualtls.dev/part=files")
        assert only in tried("annotate", kind, "theirs", "mutualtls.dev/identity-uid=1")
        assert only in tried("delete", kind, "theirs")
    assert only in tried(*create, body=_object("Secret", "new"), where=home)

    assert "created" in tried(*create, body=_object("Secret", "ca", of="ca"), where=home)
    assert "deleted" in tried("delete", "secret", "ca", where=home)
    served.apply("orders")
    served.wait_ready("orders")
    served.kubectl("label", "secret", "orders-mtls", "mutualtls.dev/part-")
    wait_until(lambda: "mutualtls.dev/part" in served.secret("orders-mtls")["metadata"]["labels"], "it is mended")
    release.run("upgrade", RELEASE, str(CHART), values=IMAGE | {"admissionPolicy": {"account": False}})
    wait_until(lambda: "deleted" in tried("delete", "secret", "theirs"), "RBAC alone decides")


RESTORER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: restorer}
rules:
  - apiGroups: [mutualtls.dev]
    resources: [mutualtlsauthorities]
    verbs: [restore]
"""


def test_nobody_else_writes_its_state(served: World) -> None:
    """Rights on Secrets do not suffice, the verb `restore` does. What changes nothing passes, and other Secrets do."""
    cluster, home = served.cluster, ("--namespace", NAMESPACE)
    cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
    cluster.kubectl(*home, "create", "rolebinding", "dev", "--clusterrole=admin", "--user=dev")

    def tried(*arguments: str, body: dict[str, Any] | None = None) -> str:
        stdin = yaml.safe_dump(body) if body else None
        return cluster.kubectl(*home, "--as=dev", *arguments, stdin=stdin, check=False)

    create, root, ledger = ("create", "--filename", "-"), "mutualtls-ca.default.root.1", "mutualtls-ledger.default"
    taken = _object("Secret", "mutualtls-ca.default.root.9")
    wait_until(lambda: "may not write CA keys" in tried("delete", "secret", root, "--dry-run=server"), "it is in force")
    refused = "dev may not write CA keys and ledgers: it takes the verb restore on mutualtlsauthorities"
    for what in (("secret", root), ("configmap", ledger), ("configmap", f"{ledger}.spec")):
        assert refused in tried("delete", *what)
        assert refused in tried("label", *what, "mutualtls.dev/part-")
        assert refused in tried("annotate", "--overwrite", *what, "mutualtls.dev/step=1")
        assert "patched" in tried("patch", *what, "--type=merge", '--patch={"metadata":{"ownerReferences":[]}}')
    assert refused in tried("patch", "configmap", ledger, "--type=merge", '--patch={"data":{"x":"y"}}')
    assert refused in tried(*create, body=taken)
    assert refused in tried(*create, body=_object("Secret", "other", of="ca"))
    assert "created" in tried(*create, body=_object("Secret", "other"))
    assert "deleted" in tried("delete", "secret", "other")

    cluster.kubectl("create", "--filename", "-", stdin=RESTORER)
    cluster.kubectl("create", "clusterrolebinding", "restorer", "--clusterrole=restorer", "--user=dev")
    wait_until(lambda: "created" in tried(*create, body=taken), "the verb suffices")
    assert "deleted" in tried("delete", "secret", taken["metadata"]["name"])


REPORTER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reporter}
rules:
  - apiGroups: [mutualtls.dev]
    resources: [mutualtlsidentities, mutualtlsidentities/status]
    verbs: [get, patch]
"""


def test_nobody_else_writes_statuses(served: World, helm: Helm) -> None:
    """The right on a status does not suffice; the account of another release has the verb, too."""
    cluster = served.cluster
    served.apply("orders")
    served.wait_ready("orders")
    cluster.kubectl("create", "--filename", "-", stdin=REPORTER)
    cluster.kubectl("create", "clusterrolebinding", "reporter", "--clusterrole=reporter", "--user=reporter")
    (role,) = [one for one in helm.rendered(IMAGE) if one["kind"] == "ClusterRole" and one["metadata"]["name"] == NAME]
    (report,) = [rule for rule in role["rules"] if rule["verbs"] == ["report"]]

    def tried() -> str:
        patch = ("--subresource=status", "--type=merge", '--patch={"status":{"bundle":"x"}}')
        return served.kubectl("--as=reporter", "patch", "mtls", "orders", *patch, "--dry-run=server", check=False)

    refused = "reporter may not write statuses: it takes the verb report on mutualtlsidentities"
    wait_until(lambda: refused in tried(), "it is in force")
    cluster.kubectl("patch", "clusterrole", "reporter", "--type=json", f"--patch={_added_rule(report)}")
    wait_until(lambda: "patched" in tried(), "the verb suffices")


def _added_rule(rule: dict[str, Any]) -> str:
    return json.dumps([{"op": "add", "path": "/rules/-", "value": rule}])


def test_a_namespace_goes_with_the_state_in_it(release: Helm, empty_cluster: Cluster) -> None:
    """Kubernetes' own controllers may delete it. A second release stands beside the first one."""
    second, beside = ("--namespace", "second"), replace(release, namespace="second")
    values = IMAGE | {"authority": {"create": False}}
    beside.run("install", "second", str(CHART), "--create-namespace", "--skip-crds", values=values)
    state = (
        _object("Secret", "mutualtls-ca.x.root.1", of="ca"),
        _object("ConfigMap", "mutualtls-ledger.x", of="ledger"),
    )
    for body in state:
        empty_cluster.kubectl(*second, "create", "--filename", "-", stdin=yaml.safe_dump(body))
    empty_cluster.kubectl(*second, "create", "rolebinding", "owner", "--clusterrole=admin", "--user=owner")
    told = ("--as=owner", "delete", "secret", "mutualtls-ca.x.root.1", "--dry-run=server")
    wait_until(lambda: "may not write" in empty_cluster.kubectl(*second, *told, check=False), "it is in force")
    empty_cluster.kubectl("delete", "namespace", "second", "--timeout=60s")
    roles = ("clusterrole", "clusterrolebinding", "validatingadmissionpolicy", "validatingadmissionpolicybinding")
    empty_cluster.kubectl("delete", ",".join(roles), "--selector=app.kubernetes.io/instance=second")


def test_roles_of_people_take_identities_in(release: Helm, empty_cluster: Cluster) -> None:
    """`view` may see them, `edit` may make them; neither may write their status."""
    assert release.kubeconfig
    cluster = empty_cluster
    for role in ("view", "edit"):
        cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "--namespace=default")

    def may(role: str, *what: str) -> bool:
        said = cluster.kubectl("auth", "can-i", *what, "--as", role, "--namespace=default", check=False)
        return said.strip().endswith("yes")

    wait_until(lambda: may("view", "list", "mtls"), "view sees identities")
    wait_until(lambda: may("edit", "create", "mtls"), "edit makes identities")
    assert not may("view", "create", "mtls")
    assert not may("edit", "patch", "mtls", "--subresource=status")


def test_an_upgrade_changes_in_place(served: World, release: Helm) -> None:
    """The authority stays with the operator's claim, so that the operator continues with it."""
    served.cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
    before = _uid(served, "deployment", NAME), _uid(served, "mtlsca", "default")
    values = IMAGE | {"authority": {"spec": {"leaf": {"duration": "12h"}}}, "settings": {"relist": "5m"}}
    said = release.run("upgrade", RELEASE, str(CHART), values=values)

    assert "kubectl apply --server-side --force-conflicts -f crds/" in said
    assert before == (_uid(served, "deployment", NAME), _uid(served, "mtlsca", "default"))
    authority = served.get("mtlsca", "default") or {}
    assert authority["spec"]["leaf"]["duration"] == "12h"
    assert authority["metadata"]["annotations"]["mutualtls.dev/operator-namespace"] == NAMESPACE


def test_the_release_before_ends_before_this_one_begins(release: Helm, empty_cluster: Cluster) -> None:
    """Also with more replicas: its Deployment names no pod, and its operator knows no Lease. From then on they roll."""

    def strategy(values: dict[str, Any]) -> dict[str, Any]:
        release.run("upgrade", RELEASE, str(CHART), values=values)
        found = empty_cluster.kubectl("get", "deployment", NAME, "--namespace", NAMESPACE, "--output=json")
        return dict(json.loads(found)["spec"]["strategy"])

    at_once, one, two = {"type": "Recreate"}, IMAGE | {"replicas": 1}, IMAGE | {"replicas": 2}
    assert at_once == strategy(one)
    container = {"name": "operator", "env": [{"$patch": "delete", "name": "POD_NAME"}]}
    without = json.dumps({"spec": {"template": {"spec": {"containers": [container]}}}})
    empty_cluster.kubectl("patch", "deployment", NAME, "--namespace", NAMESPACE, f"--patch={without}")
    assert at_once == strategy(two)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert rolling == strategy(two)
    assert at_once == strategy(one)


def test_what_the_notes_say_can_be_done(served: World, release: Helm) -> None:
    """Each line works in a cluster that has nothing but the release."""
    said = release.run("install", "another", str(CHART), "--dry-run=client", values=IMAGE)
    lines = said[said.index("  kubectl create namespace shop") : said.index("The CA keys")]
    path = f"{programs.kubectl().parent}:{os.environ['PATH']}"
    given = os.environ | {"KUBECONFIG": str(served.cluster.kubeconfig()), "PATH": path}
    script = ["sh", "-euc", textwrap.dedent(lines)]
    done = subprocess.run(script, env=given, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert "checkout" in done.stdout
    replace(served, namespace="shop").wait_ready("checkout")
    served.cluster.kubectl("delete", "namespace", "shop", "--wait=false")


def test_an_upgrade_leaves_the_crds_to_kubectl(release: Helm, empty_cluster: Cluster, tmp_path: Path) -> None:
    """Helm does not touch them; what the notes say does."""
    newer = Path(shutil.copytree(CHART, tmp_path / "newer"))
    for path in (newer / "crds").iterdir():
        path.write_text(path.read_text().replace("description: '", "description: 'Newer: "))
    release.run("upgrade", RELEASE, str(newer), values=IMAGE)
    assert "Newer" not in empty_cluster.kubectl("get", "crds", "--output", "yaml")

    empty_cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(newer / "crds"))
    assert "Newer" in empty_cluster.kubectl("get", "crds", "--output", "yaml")
    empty_cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(CRDS))


def test_an_uninstall_leaves_what_workloads_depend_on(served: World, release: Helm) -> None:
    """All that the chart made goes but CRDs and authority; CAs, ledger, identities and their Secrets stay as well.

    Installed again, it takes the authority up, and the operator writes nothing new.
    """
    served.apply("orders")
    served.wait_ready("orders")
    served.operator.stop()
    before = _kept(served)
    said = release.run("uninstall", RELEASE)

    assert "[MutualTLSAuthority] default" in said
    everything = "all,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
    chosen = ("--selector", f"app.kubernetes.io/instance={RELEASE}", "--namespace", NAMESPACE)
    wait_until(lambda: not served.cluster.kubectl("get", everything, *chosen, "--output=name"), "the release is gone")
    assert all(before.values())
    assert before == _kept(served)

    release.run("install", RELEASE, str(CHART), values=IMAGE)
    assert before == _kept(served)


def _kept(world: World) -> dict[str, str]:
    """Uids of what is to stay, a line each; not of other tests' namespaces, which may be on their way out."""
    line = '{.kind} {.metadata.name} {.metadata.uid}{"\\n"}'
    uids = ("--output", f"jsonpath={{range .items[*]}}{line}{{end}}")
    ours = ("--selector", "mutualtls.dev/part", *uids)
    home = replace(world, namespace=NAMESPACE)
    return {
        "crds": world.kubectl("get", "crds", *uids),
        "authorities": world.kubectl("get", "mtlsca", *uids),
        "identities": world.kubectl("get", "mtls", *uids),
        "secrets": world.kubectl("get", "secrets", *ours),
        "CAs": home.kubectl("get", "secrets", *ours),
        "ledgers": home.kubectl("get", "configmaps", *ours),
    }


def _uid(world: World, kind: str, name: str) -> str:
    return world.cluster.kubectl("get", kind, name, "--namespace", NAMESPACE, "--output=jsonpath={.metadata.uid}")
