"""Rights as a namespace has them and loses them, and names that nobody can take, as the user sees them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from devtools.clusters.operators import NAMESPACE, wait_until
from mutualtls.core import times
from mutualtls.core.api.algorithms import Algorithm, Usage
from mutualtls.core.model import labels
from mutualtls.core.names.names import Names, names_hash
from mutualtls.core.pki import certificates, issue, keys
from mutualtls.core.pki.issue import CA
from support import verify
from support.world import World

EDGE = {"namespaceSelector": {"matchLabels": {"team": "edge"}}, "dnsNames": ["*.example.com"]}


@pytest.fixture
def authority(world: World) -> str:
    """An authority of the test's own, which permits namespaces of team `edge` names below example.com."""
    name = f"of-{world.namespace}"
    _apply(world, name, permits=[EDGE])
    return name


def _apply(world: World, name: str, **spec: Any) -> None:
    head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": name}}
    world.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(head | {"spec": spec}))


def _label(world: World, label: str) -> None:
    world.kubectl("label", "namespace", world.namespace, label, "--overwrite")


def _leaf(world: World, secret: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(world.files(secret)["tls.crt"])


# Rights that come and go


def test_a_label_of_the_namespace_gives_and_takes_a_right(world: World, authority: str) -> None:
    """Nobody touches the identity; files that are there stay until they expire."""
    world.apply("orders", authority=authority, dnsNames=["api.example.com"])
    refusal = world.wait_reason("orders", "NotPermitted")["message"]
    assert f'add dnsNames: ["api.example.com"] to a permit of authority {authority}' in refusal
    assert f"namespaceSelector matches namespace {world.namespace}" in refusal
    assert world.get("secret", "orders-mtls") is None

    _label(world, "team=edge")
    world.wait_ready("orders")
    serial = world.serial("orders")
    _label(world, "team-")
    world.wait_reason("orders", "NotPermitted")
    assert serial == world.serial("orders")
    assert world.get("secret", "orders-mtls") is not None

    _label(world, "team=edge")
    world.wait_ready("orders")
    assert serial == world.serial("orders")


def test_files_are_removed_with_the_right_where_the_authority_says_so(world: World, authority: str) -> None:
    """They return with the right."""
    _apply(world, authority, permits=[EDGE], onNotPermitted="Delete")
    _label(world, "team=edge")
    world.apply("orders", authority=authority, dnsNames=["api.example.com"])
    world.apply("billing", authority=authority)
    world.wait_ready("orders", "billing")
    _label(world, "team-")
    world.wait_reason("orders", "NotPermitted")
    wait_until(lambda: world.get("secret", "orders-mtls") is None, "the secret is removed")
    wait_until(lambda: "certificate" not in world.status("orders"), "the status says so")
    assert world.get("secret", "billing-mtls") is not None

    _label(world, "team=edge")
    world.wait_ready("orders")


def test_a_permit_that_is_taken_away_counts_at_once(world: World, authority: str) -> None:
    """A change of the authority's `namespaceSelector` counts at once as well."""
    _label(world, "team=edge")
    world.apply("orders", authority=authority, dnsNames=["api.example.com"])
    world.wait_ready("orders")
    _apply(world, authority, permits=[EDGE | {"dnsNames": ["www.example.com"]}])
    world.wait_reason("orders", "NotPermitted")
    _apply(world, authority, permits=[EDGE], namespaceSelector={"matchLabels": {"team": "core"}})
    wait_until(lambda: "does not serve" in world.condition("orders")["message"], "the authority is not for it")
    _apply(world, authority, permits=[EDGE])
    world.wait_ready("orders")


def test_the_bundle_of_a_refused_identity_is_kept_current(world: World, authority: str) -> None:
    """Its files are in use until they expire, and peers may have a certificate of the new root by then."""
    _label(world, "team=edge")
    world.apply("orders", authority=authority, dnsNames=["api.example.com"])
    world.wait_ready("orders")
    files = world.files("orders-mtls")
    _label(world, "team-")
    world.wait_reason("orders", "NotPermitted")
    patch = json.dumps({"data": {"ca.crt": "bm8gYnVuZGxl"}})
    world.kubectl("patch", "secret", "orders-mtls", "--field-manager=rival", "--type=merge", "--patch", patch)
    wait_until(lambda: world.files("orders-mtls") == files, "the bundle is mended")

    assert "NotPermitted" == world.condition("orders")["reason"]


# A rule that is tighter than that of the release before. What its permits gave is had here by one that reaches further.

WIDE: dict[str, Any] = {"namespaceSelector": {}, "dnsNames": ["**"]}
POD = "10-0-0-1.ops.pod"


def _held(world: World, authority: str, **more: Any) -> None:
    """Have `orders` issued with a name that only the rule of before permits from then on."""
    _apply(world, authority, permits=[WIDE | {"otherNamespaces": True}], **more)
    world.apply("orders", authority=authority, dnsNames=[POD])
    world.wait_ready("orders")
    _apply(world, authority, permits=[WIDE], **more)


def test_a_name_that_is_held_outlives_a_tighter_rule(world: World, authority: str) -> None:
    """It is renewed and healed, with a warning; another identity or name is refused, and nothing is deleted."""
    _held(world, authority, onNotPermitted="Delete")
    message = world.wait_reason("orders", "RuleTightened")["message"]
    assert f"until version 0.2.0 of the operator: spec.dnsNames[0]: {POD} is not permitted" in message
    wait_until(lambda: ("Warning", "RuleTightened") in world.events("orders"), "an Event says so")

    serial = world.serial("orders")
    world.kubectl("annotate", "mtls", "orders", f"mutualtls.dev/reissue={serial}")
    world.wait_reissued("orders", serial)
    serial = world.serial("orders")
    world.kubectl("delete", "secret", "orders-mtls")
    world.wait_reissued("orders", serial)
    assert POD in {
        *_leaf(world, "orders-mtls")
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value.get_values_for_type(x509.DNSName)
    }

    world.apply("other", authority=authority, dnsNames=["10-0-0-2.ops.pod"])
    world.wait_reason("other", "NotPermitted")
    serial = world.serial("orders")
    world.apply("orders", authority=authority, dnsNames=[POD, "10-0-0-2.ops.pod"])
    world.wait_reason("orders", "NotPermitted")
    assert serial == world.serial("orders")
    assert world.get("secret", "orders-mtls") is not None

    _apply(world, authority, permits=[EDGE], onNotPermitted="Delete")
    wait_until(lambda: world.get("secret", "orders-mtls") is None, "the secret goes with the right")


def test_what_is_held_is_known_by_the_certificate(world: World, authority: str) -> None:
    """An annotation does not count: people who can write Secrets can forge it in the operator's name."""
    _apply(world, authority, permits=[WIDE])
    world.apply("orders", authority=authority)
    world.wait_ready("orders")
    world.apply("orders", authority=authority, suspend=True)
    world.wait_ready("orders")
    serial = world.serial("orders")
    own = [f"orders.{world.namespace}.svc", f"orders.{world.namespace}.svc.cluster.local"]
    account = f"spiffe://cluster.local/ns/{world.namespace}/sa/orders"
    held = names_hash(Names(dns=(POD, *own), uris=(account,)))
    body = world.get("secret", "orders-mtls")
    assert body is not None
    facts = json.loads(body["metadata"]["annotations"][labels.FACTS]) | {"namesHash": held}
    patch = json.dumps({"metadata": {"annotations": {labels.FACTS: json.dumps(facts)}}})
    world.kubectl("patch", "secret", "orders-mtls", f"--field-manager={labels.FIELD_MANAGER}", f"--patch={patch}")
    world.apply("orders", authority=authority, suspend=True, dnsNames=[POD])
    wait_until(lambda: POD in world.condition("orders").get("message", ""), "the operator has judged")

    assert ("NotPermitted", serial) == (world.condition("orders")["reason"], world.serial("orders"))


# Every kind of name


def test_every_kind_of_name_is_issued_by_permit(world: World, authority: str, tmp_path: Path) -> None:
    """The certificate has it in canonical form, and strict verifiers accept it."""
    permit = {
        "namespaceSelector": {},
        "dnsNames": ["**.example.com"],
        "wildcardDNSNames": ["*.apps.example.com"],
        "ipRanges": ["10.0.0.0/8", "2001:db8::/32"],
        "emailAddresses": ["*@example.com"],
        "uris": ["https://*.example.com/**", "spiffe://partner.org/**"],
        "commonNames": ["alice"],
        "subjects": {"organizations": ["Shop"], "countries": ["*"]},
    }
    _apply(world, authority, permits=[permit])
    world.apply(
        "orders",
        authority=authority,
        dnsNames=["API.example.com", "münchen.example.com", "*.apps.example.com"],
        ipAddresses=["10.1.2.3", "2001:DB8:0::1"],
        emailAddresses=["ops@Example.com"],
        uris=["https://a.example.com/x/y", "spiffe://partner.org/orders"],
        subject={"commonName": "alice", "organizations": ["Shop"], "countries": ["DE"]},
    )
    world.wait_ready("orders")
    leaf = _leaf(world, "orders-mtls")
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    names = alternative.value

    own = {f"orders.{world.namespace}.svc", f"orders.{world.namespace}.svc.cluster.local"}
    asked = {"api.example.com", "xn--mnchen-3ya.example.com", "*.apps.example.com"}
    assert own | asked == set(names.get_values_for_type(x509.DNSName))
    assert {"10.1.2.3", "2001:db8::1"} == {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}
    assert ["ops@example.com"] == names.get_values_for_type(x509.RFC822Name)
    assert "CN=alice,O=Shop,C=DE" == leaf.subject.rfc4514_string()
    assert not alternative.critical
    verify.chain(world.save_files("orders-mtls", tmp_path / "files"), use="server")


def test_name_constraints_replace_the_issuing_ca_and_verifiers_honour_them(
    world: World, authority: str, tmp_path: Path
) -> None:
    """What is outside is refused before it is signed; a change of them re-issues, and no bundle changes."""
    world.apply("orders", authority=authority)
    world.wait_ready("orders")
    bundle, serial = world.files("orders-mtls")["ca.crt"], world.serial("orders")
    domains = [f"{world.namespace}.svc", f"{world.namespace}.svc.cluster.local"]
    _apply(world, authority, permits=[EDGE], nameConstraints={"permitted": {"dnsDomains": domains}})
    world.wait_reissued("orders", serial)
    folder = world.save_files("orders-mtls", tmp_path / "files")
    _label(world, "team=edge")
    world.apply("edge", authority=authority, dnsNames=["api.example.com"])
    refusal = world.wait_reason("edge", "NotPermitted")["message"]

    assert bundle == world.files("orders-mtls")["ca.crt"]
    assert "api.example.com is outside spec.nameConstraints.permitted.dnsDomains" in refusal
    verify.chain(folder, name=f"orders.{domains[0]}", use="server")
    assert all("constrain" in why or "permitted" in why for why in _verdicts_outside(world, authority, folder).values())


def _verdicts_outside(world: World, authority: str, folder: Path) -> dict[str, str]:
    """Sign a name outside of the constraints, as whoever has stolen the key could, and hear what verifiers say."""
    secret = f"mutualtls-ca.{authority}.issuing.2"
    data = json.loads(world.cluster.kubectl("get", "secret", secret, f"--namespace={NAMESPACE}", "--output=json"))[
        "data"
    ]
    pem = {name: base64.b64decode(content) for name, content in data.items()}
    ca = CA(certificate=x509.load_pem_x509_certificate(pem["tls.crt"]), key=keys.from_pem(pem["tls.key"]))
    key = keys.generate(keys.KeyType(Algorithm.ECDSA, 256))
    life = times.validity(datetime.now(UTC), timedelta(hours=1), within=ca.validity)
    names = Names(dns=("api.example.com",))
    leaf = issue.leaf(key.public_key(), ca, names=names, usages=(Usage.SERVER_AUTH,), validity=life)
    (folder / "tls.crt").write_bytes(certificates.to_pem(leaf, ca.certificate))
    return verify.verdicts(folder, name="api.example.com", use="server")


# Tricks, as far as the API server lets them through. The files of tricks in tests/core/names have each with its whole
# message.

WHERE = "to a permit of authority default whose namespaceSelector matches namespace"
TRICKS: list[Any] = [
    pytest.param({"dnsNames": ["ORDERS.pay.example"]}, "orders.pay.example is not permitted", id="upper case"),
    pytest.param(
        {"dnsNames": ["orders.p\u0430y.svc"]}, "orders.xn--py-7kc.svc is not permitted", id="Cyrillic look-alike"
    ),
    pytest.param({"dnsNames": ["orders.pay.svc."]}, "orders.pay.svc.", id="trailing dot"),
    pytest.param({"dnsNames": ["orders.{own}.svc\0"]}, "dnsNames[0]", id="NUL"),
    pytest.param({"dnsNames": ["orders.{own}.svc\n"]}, "dnsNames[0]", id="newline"),
    pytest.param({"dnsNames": ["10.0.0.1"]}, "10.0.0.1", id="IP address as DNS name"),
    pytest.param(
        {"dnsNames": ["*.{own}.svc"]}, "a wildcard must stand below a Service", id="wildcard over a namespace"
    ),
    pytest.param({"dnsNames": ["*.svc.cluster.local"]}, "covers a name of the Kubernetes API", id="wildcard over all"),
    pytest.param({"dnsNames": ["*.com"]}, "*.com", id="wildcard over a public suffix"),
    pytest.param({"dnsNames": ["*"]}, "dnsNames[0]", id="wildcard over everything"),
    pytest.param({"dnsNames": ["10-0-0-1.pay.pod"]}, "is a name of namespace pay", id="pod, by search domains"),
    pytest.param({"dnsNames": ["a.pay.svc.cluster"]}, "is a name of namespace pay", id="Service, by search domains"),
    pytest.param({"ipAddresses": ["64:ff9b::a00:1"]}, "it stands for 10.0.0.1", id="IPv4 address as IPv6"),
    pytest.param(
        {"subject": {"commonName": "spiffe://cluster.local/ns/pay/sa/a"}}, "looks like a URI", id="URI in the subject"
    ),
    pytest.param({"dnsNames": ["orders.{own}.svc.evil.com"]}, "is not a name of a Service", id="ours as a prefix"),
    pytest.param({"uris": ["spiffe://cluster.local/ns/{own}/sa/a%2f..%2fb"]}, "uris[0]", id="percent-encoding"),
    pytest.param({"uris": ["spiffe://cluster.local/ns/{own}/../pay/sa/a"]}, "uris[0]", id="dots"),
    pytest.param({"uris": ["spiffe://cluster.local/ns/{own}/sa/a?b"]}, "uris[0]", id="query"),
    pytest.param({"uris": ["spiffe://a@cluster.local/ns/{own}/sa/a"]}, "uris[0]", id="user"),
    pytest.param({"uris": ["spiffe://evil.org/ns/{own}/sa/a"]}, "its trust domain is not", id="foreign trust domain"),
    pytest.param(
        {"subject": {"commonName": "orders.pay.svc"}}, "it looks like a DNS name", id="DNS name in the subject"
    ),
    pytest.param({"subject": {"commonName": "system:admin"}}, "a user or group of Kubernetes", id="Kubernetes user"),
    pytest.param(
        {"dnsNames": ["a.orders.{own}.svc"], "subject": {"organizations": ["system:masters"]}},
        "a user or group of Kubernetes",
        id="Kubernetes group",
    ),
    pytest.param({"services": ["orders.pay"]}, "services[0]", id="dot in a Service"),
    pytest.param({"serviceAccountName": "a/../b"}, "serviceAccountName", id="slash in a service account"),
    pytest.param(
        {"secret": {"annotations": {"reflector.example.com/copy": "true"}}},
        "another controller may obey it",
        id="annotation that makes another controller copy",
    ),
    pytest.param(
        {"secret": {"labels": {"mutualtls.dev/part": "ca"}}}, "is not permitted and cannot be", id="label of ours"
    ),
]


@pytest.mark.parametrize(("spec", "said"), TRICKS)
def test_a_trick_does_not_work(world: World, spec: dict[str, Any], said: str) -> None:
    """It is refused at apply, or by the operator; there is no Secret in any case."""
    asked = json.loads(json.dumps(spec).replace("{own}", world.namespace))
    printed = world.kubectl("apply", "--filename", "-", stdin=world.manifest("orders", **asked), check=False)
    if "created" in printed:
        wait_until(lambda: world.condition("orders").get("status") == "False", "the operator has judged")
        printed = world.condition("orders")["message"]

    assert said in printed
    assert world.get("secret", "orders-mtls") is None


def test_check_says_what_the_operator_does(world: World, authority: str, tmp_path: Path) -> None:
    """Authority and labels come from the cluster."""
    asked: dict[str, Any] = {"authority": authority, "dnsNames": ["api.example.com"]}
    file = tmp_path / "orders.yaml"
    file.write_text(world.manifest("orders", **asked))
    before = _check(world, file)
    world.apply("orders", **asked)
    refusal = world.wait_reason("orders", "NotPermitted")["message"]
    _label(world, "team=edge")
    world.wait_ready("orders")

    assert (1, True) == (before.returncode, refusal in before.stdout)
    after = _check(world, file)
    assert after.returncode == 0
    assert f"identity {world.namespace}/orders: would be issued by authority {authority}" in after.stdout


def _check(world: World, file: Path) -> subprocess.CompletedProcess[str]:
    options = ["--authority", "--kubeconfig", str(world.cluster.kubeconfig())]
    command = [sys.executable, "-m", "mutualtls", "check", *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
