"""A tenant with the role `edit` in its own namespace writes what it may: nothing of another's moves or is lost."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devtools.clusters.operators import wait_until
from devtools.machine import programs
from mutualtls.core import digests
from mutualtls.core.bundles import bundle
from mutualtls.core.model import labels
from mutualtls.core.pki import keys
from support.authority import QUICK, AnAuthority
from support.world import World

FAR = "9999-12-31T23:59:59Z"
SLOW = {"soak": "1h", "retire": "AfterReplacement", "laggardTimeout": "1h"}
"""`spec.rotation` of a rotation that stays in its first phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """A tenant by kubectl: the role `edit` in a namespace of their own, and nothing else."""

    world: World
    """Their namespace."""
    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl by their token."""
        command = [str(programs.kubectl()), "--kubeconfig", str(self.kubeconfig), "--namespace", self.world.namespace]
        done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, text=True, check=False)
        assert not (check and done.returncode), done.stderr
        return done.stdout

    def apply(self, name: str, **spec: Any) -> None:
        """Apply an identity."""
        self.kubectl("apply", "--filename", "-", stdin=self.world.manifest(name, **spec))

    def secret(self, name: str) -> dict[str, Any]:
        """Read a Secret."""
        return dict(json.loads(self.kubectl("get", "secret", name, "--output=json")))

    def forge(self, name: str, *, data: dict[str, bytes] | None = None, **facts: Any) -> bool:
        """Put a Secret of theirs in its place again, under the operator's field manager, with facts of their own.

        Tell whether it was: the operator may have been quicker.
        """
        body = self.secret(name)
        annotations = body["metadata"]["annotations"]
        said = json.loads(annotations[labels.FACTS]) | facts
        annotations[labels.FACTS] = json.dumps({name: one for name, one in said.items() if one is not None})
        body["data"] |= {file: base64.b64encode(content).decode() for file, content in (data or {}).items()}
        del body["metadata"]["resourceVersion"]
        manager = f"--field-manager={labels.FIELD_MANAGER}"
        return "replaced" in self.kubectl("replace", manager, "--filename", "-", stdin=json.dumps(body), check=False)

    def plant(self, kind: str, name: str, *, marks: dict[str, Any], data: dict[str, str]) -> None:
        """Make an object with labels and annotations of their own."""
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **marks}, "data": data}
        if kind == "Secret":
            body["type"] = "kubernetes.io/tls"
        manager = f"--field-manager={labels.FIELD_MANAGER}"
        self.kubectl("create", manager, "--filename", "-", stdin=json.dumps(body))


@pytest.fixture
def tenant(world: World, tmp_path: Path) -> Editor:
    """A tenant in the test's namespace, once the API server knows of their rights."""
    world.kubectl("create", "serviceaccount", "mallory")
    who = f"{world.namespace}:mallory"
    world.kubectl("create", "rolebinding", "mallory", "--clusterrole=edit", f"--serviceaccount={who}")
    config = yaml.safe_load(world.cluster.kubectl("config", "view", "--raw"))
    config["users"][0]["user"] = {"token": world.kubectl("create", "token", "mallory").strip()}
    kubeconfig = tmp_path / "mallory.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    made = Editor(world=world, kubeconfig=kubeconfig)
    may = ("auth", "can-i", "create", "mutualtlsidentities.mutualtls.dev")
    wait_until(lambda: made.kubectl(*may, check=False).strip() == "yes", "the role is bound")
    may_not = ("auth", "can-i", "patch", "mutualtlsidentities.mutualtls.dev", "--subresource=status")
    assert "no" == made.kubectl(*may_not, check=False).strip()
    return made


@pytest.fixture
def victim(world: World) -> Iterator[World]:
    """The namespace of somebody else."""
    namespace = f"{world.namespace}-victim"
    world.cluster.kubectl("create", "namespace", namespace)
    yield replace(world, namespace=namespace)
    world.cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def authority(victim: World, tenant: Editor) -> AnAuthority:
    """An authority that has signed for both."""
    made = AnAuthority(world=victim, name=f"of-{tenant.world.namespace}")
    made.apply()
    made.issue("orders")
    tenant.apply("web", authority=made.name)
    tenant.world.wait_ready("web")
    return made


def ledger_of(authority: AnAuthority) -> dict[str, Any]:
    """Read the ledger."""
    text = authority.system("get", "configmap", f"mutualtls-ledger.{authority.name}", "--output=json")
    return dict(json.loads(json.loads(text)["data"]["ledger.json"]))


def is_rebuilt(authority: AnAuthority) -> bool:
    """Tell whether there is a ledger."""
    name = f"configmap/mutualtls-ledger.{authority.name}"
    return bool(authority.system("get", name, "--output=name", "--ignore-not-found"))


def test_a_bundle_that_a_tenant_made_up_takes_no_root_out(authority: AnAuthority, tenant: Editor) -> None:
    """A tenant has a copy with the new root alone and an endless leaf, and the ledger is lost in Publishing."""
    authority.apply(rotation=SLOW)
    authority.rotate()
    authority.wait_phase("Publishing")
    both = {authority.fingerprint(ca) for ca in ("root 1", "root 2")}
    wait_until(lambda: authority.bundle("orders") == both, "both roots are published")
    new = next(
        ca["certificate"] for ca in authority.status()["generations"] if ca["fingerprint"] in both - {_old(authority)}
    )
    content = digests.content_hash(bundle.merge([new]))
    noted = json.dumps({"authority": authority.name, "bundleHash": content})
    marks = {
        "labels": {labels.PART: labels.PART_BUNDLE, labels.AUTHORITY: authority.name},
        "annotations": {labels.PUBLISHED: noted},
    }
    tenant.plant("ConfigMap", "forged", marks=marks, data={"ca.crt": new})
    wait_until(lambda: tenant.forge("web-mtls", notAfter=FAR, data={"ca.crt": new.encode()}), "it is forged")
    authority.world.operator.kill()
    authority.system("delete", "configmap", f"mutualtls-ledger.{authority.name}")
    authority.world.operator.start()
    wait_until(lambda: is_rebuilt(authority), "the ledger is rebuilt", deadline_s=60)
    authority.issue("billing")

    assert "Publishing" == authority.phase()
    assert both == authority.bundle("billing") == authority.bundle("orders")
    ends = {ca["signsUntil"] for ca in ledger_of(authority)["generations"]}
    assert FAR not in ends


def _old(authority: AnAuthority) -> str:
    return authority.fingerprint("root 1")


def test_each_step_stands_on_the_ca_secrets(authority: AnAuthority) -> None:
    """The annotation has the states of the roots as the ledger has them."""
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    name = f"mutualtls-ca.{authority.name}.root.2"
    found = json.loads(authority.system("get", "secret", name, "--output=json"))["metadata"]
    mark = json.loads(found["annotations"][labels.STEP])

    assert {1: "Gone", 2: "Active"} == {root["number"]: root["state"] for root in mark["roots"]}
    assert mark["revision"] <= ledger_of(authority)["revision"]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"bundleHash": "another"}, id="another bundle", marks=pytest.mark.further),
        pytest.param({"bundleSince": FAR, "issuerSince": FAR}, id="times at the end of time"),
        pytest.param(
            {"issuerKeyId": "ab", "notAfter": FAR}, id="a leaf of nobody's that never ends", marks=pytest.mark.further
        ),
    ],
)
def test_what_a_tenant_says_of_its_secret_holds_a_rotation_for_the_time_of_laggards(
    authority: AnAuthority, tenant: Editor, facts: dict[str, Any]
) -> None:
    """The tenant forges it again after each repair, and the operator is killed meanwhile."""
    authority.rotate()
    authority.wait_phase("Publishing")
    until = time.monotonic() + 90
    is_killed = False
    while authority.states().keys() != {"root 2", "issuing 2"}:
        assert time.monotonic() < until, authority.status().get("next")
        tenant.forge("web-mtls", **facts)
        if not is_killed:
            authority.world.operator.kill()
            authority.world.operator.start()
            is_killed = True


def test_what_bears_our_labels_is_not_waited_for(authority: AnAuthority, tenant: Editor) -> None:
    """A copy of a Secret with all its marks, as a mirror makes it, in a rotation that would wait long for laggards."""
    authority.apply(rotation=QUICK | {"laggardTimeout": "30m"})
    body = tenant.secret("web-mtls")
    marks = {name: body["metadata"][name] for name in ("labels", "annotations")}
    tenant.plant("Secret", "web-mirror", marks=marks, data=body["data"])
    tenant.plant("Secret", "mirror-of-nobody", marks=marks, data=body["data"])
    authority.rotate()

    wait_until(
        lambda: authority.states() == {"root 2": "Active", "issuing 2": "Active"}, "root 1 is gone", deadline_s=90
    )


def test_a_new_authority_makes_its_ca_whatever_tenants_have_labelled(authority: AnAuthority, tenant: Editor) -> None:
    """Nobody has served it, so that nobody can have had a certificate of it."""
    body = tenant.secret("web-mtls")
    new = AnAuthority(world=authority.world, name=f"{authority.name}-new")
    marks = {
        "labels": body["metadata"]["labels"] | {labels.AUTHORITY: new.name},
        "annotations": body["metadata"]["annotations"],
    }
    tenant.plant("Secret", "forged", marks=marks, data=body["data"])
    new.apply()
    new.issue("stock")

    assert {"root 1": "Active", "issuing 1": "Active"} == new.states()


def test_a_key_of_a_tenant_s_own_is_not_certified(authority: AnAuthority, tenant: Editor) -> None:
    """The key is put there by the operator's own name, has its hash in the facts, and is ordered to be kept."""
    world = tenant.world
    own = ec.generate_private_key(ec.SECP256R1())
    pem = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    said, before = keys.public_key_hash(own.public_key()), world.status("web")["certificate"]

    def is_seen() -> bool:
        return bool(before != world.status("web")["certificate"])

    def is_good() -> bool:
        files = world.files("web-mtls")
        key, leaf = keys.from_pem(files["tls.key"]), x509.load_pem_x509_certificates(files["tls.crt"])[0]
        assert own.public_key() != leaf.public_key()
        is_whole = bool(key.public_key() == leaf.public_key())
        return is_whole and bool(world.condition("web").get("status") == "True")

    wait_until(lambda: tenant.forge("web-mtls", data={"tls.key": pem}, publicKeyHash=said), "it is forged")
    wait_until(is_seen, "it is seen", deadline_s=60)
    tenant.apply("web", authority=authority.name, privateKey={"rotationPolicy": "Never"})
    tenant.kubectl("annotate", "mtls", "web", "--overwrite", f"{labels.REISSUE}={world.serial('web')}")
    wait_until(is_good, "it is mended", deadline_s=60)
    assert said != world.status("web")["certificate"]["publicKeyHash"]


def test_nothing_is_signed_after_the_right_was_gone(authority: AnAuthority, tenant: Editor) -> None:
    """The label that permits the name is taken away while a key is being made that takes seconds."""
    world, cluster = tenant.world, tenant.world.cluster
    permit = {"namespaceSelector": {"matchLabels": {"api": "yes"}}, "dnsNames": ["api.example.com"]}
    authority.apply(permits=[permit])
    cluster.kubectl("label", "namespace", world.namespace, "api=yes")
    key = {"algorithm": "RSA", "size": 8192}
    names = [f"slow-{number}" for number in range(3)]
    for name in names:
        tenant.apply(name, authority=authority.name, dnsNames=["api.example.com"], services=[], privateKey=key)
    cluster.kubectl("label", "namespace", world.namespace, "api-")
    before = {name: world.get("secret", f"{name}-mtls") for name in names}
    for name in names:
        wait_until(lambda: world.condition(name).get("reason") == "NotPermitted", f"{name} is refused", deadline_s=120)  # noqa: B023

    assert [name for name in names if before[name] is None and world.get("secret", f"{name}-mtls")] == []
    assert None in before.values()
