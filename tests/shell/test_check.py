"""The command `mutualtls check`, offline."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from mutualtls.cli import impact
from mutualtls.cli.impact import Present
from mutualtls.core.api import authority as authorities
from mutualtls.core.api import identity
from mutualtls.core.ca import offer as trusts
from mutualtls.core.leaf import desired
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.names.names import Names
from mutualtls.core.pki import certificates
from support import builders, strangers
from support.builders import identity_body
from support.command import Terminal, run

GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"
BARE = {"uid": "", "generation": 1, "resourceVersion": "1"}
EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = {"apiVersion": "mutualtls.dev/v1alpha1"}


def an_identity(**spec: Any) -> dict[str, Any]:
    """A manifest of identity `orders`, which names no namespace."""
    return HEAD | {"kind": "MutualTLSIdentity", "metadata": {"name": "orders"}, "spec": spec}


def an_authority(**spec: Any) -> dict[str, Any]:
    """A manifest of authority `default`."""
    return HEAD | {"kind": "MutualTLSAuthority", "metadata": {"name": "default"}, "spec": spec}


def a_namespace(**labels: str) -> dict[str, Any]:
    """A manifest of namespace `shop`."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}


def check(*manifests: object, code: int, color: bool = False) -> list[str]:
    """Judge manifests of namespace `shop`, and return the lines that are printed."""
    text = yaml.safe_dump_all(manifests)
    done = run("check", "--namespace=shop", "-", given=text, screen=Terminal() if color else io.StringIO())
    assert code == done.exit_code, done.output
    return done.output.splitlines()


def test_the_examples_would_be_issued() -> None:
    """A folder is read whole."""
    done = run("check", str(EXAMPLES))

    assert done.exit_code == 0
    assert "identity orders/orders: would be issued by authority default" in done.output
    assert "  DNS names            billing.billing.svc, billing.billing.svc.cluster.local" in done.output


PERMITS = EXAMPLES / "permits"


@pytest.mark.parametrize("file", sorted(path.name for path in PERMITS.glob("*.yaml")))
def test_the_permits_of_the_documentation_do_what_it_says(file: str) -> None:
    """Each issues its own identities, and refuses the one beside it."""
    alone = run("check", str(PERMITS / file))
    both = run("check", str(PERMITS / file), str(PERMITS / "refused" / file))

    assert (0, 1) == (alone.exit_code, both.exit_code)
    assert "refused" not in alone.output
    assert both.output.count(": refused (NotPermitted)") == 1


def test_what_the_page_about_formats_asks_for_would_be_issued() -> None:
    """Its manifest is the first block of YAML."""
    page = (EXAMPLES.parent / "docs" / "formats.md").read_text()
    manifest = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    said = check(manifest, code=0)

    assert "  additional files     tls.pem, key.der, tls.der, keystore.p12, truststore.p12" in said


def test_without_an_authority_an_empty_one_judges() -> None:
    """The first line says so, and it is not green."""
    said = check(an_identity(), code=0)

    assert said[0] == "identity shop/orders: would be issued by authority default, if it has an empty spec"
    assert said[-1] == (
        "  assuming authority default with an empty spec: add its manifest to the files, or pass --authority to read "
        "it from the cluster"
    )
    assert check(an_identity(), code=0, color=True)[0].startswith(YELLOW)
    assert check(an_authority(), an_identity(), code=0, color=True)[1].startswith(GREEN)
    assert check(an_identity(services=["A"]), code=1, color=True)[0].startswith(RED)
    assert "  key                  ECDSA 256" in said
    assert "  secret               orders-mtls" in said


def test_every_fault_is_told_with_what_would_permit_it() -> None:
    """A field that there is not, too."""
    said = check(an_identity(dnsName=["a"], dnsNames=["a.example.com"], duration="999h"), code=1)

    assert "identity shop/orders: refused (NotPermitted)" == said[0]
    assert "  spec.dnsName: there is no such field" == said[1]
    assert "  spec.duration: 999h is longer than authority default allows (leaf.maxDuration 168h)" == said[2]
    assert 'add dnsNames: ["a.example.com"] to a permit of authority default' in said[3]


def test_permits_count_by_the_labels_of_the_namespace() -> None:
    """The labels are in its manifest; if there is none, the output says so."""
    permit = {"namespaceSelector": {"matchLabels": {"team": "edge"}}, "dnsNames": ["*.example.com"]}
    authority, identity = an_authority(permits=[permit]), an_identity(dnsNames=["a.example.com"])
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}

    assert "would be issued by authority default" in check(authority, a_namespace(team="edge"), identity, code=0)[1]
    assert "refused" in check(authority, a_namespace(team="core"), identity, code=1)[1]
    assert "the labels of namespace shop are not known" in check(authority, identity, code=1)[-1]
    by_name = an_authority(permits=[permit | named])
    assert "would be issued" in check(by_name, a_namespace(), identity, code=0)[1]


def test_names_are_judged_by_the_constraints_of_its_cas() -> None:
    """They are read from its status, because it came from the cluster."""
    corp = x509.NameConstraints([x509.DNSName("corp.example.com")], None)
    pem = certificates.to_pem(strangers.ca("Corp", further=((corp, True),)).certificate).decode()
    ca = {"role": "root", "number": 1, "state": "Active", "fingerprint": "", "keyID": "", "notAfter": ""}
    told = {"observedGeneration": 1, "generations": [ca | {"certificate": pem}]}

    said = check(an_authority() | {"status": told}, an_identity(), code=1)
    assert "  metadata.name: orders.shop.svc is outside the DNS names that CN=Corp permits" in "\n".join(said)
    strange = {"observedGeneration": 1, "generations": [ca | {"certificate": "none"}]}
    assert "would be issued" in check(an_authority() | {"status": strange}, an_identity(), code=0)[1]


def test_an_authority_without_faults_is_told() -> None:
    """Otherwise a user would not know whether it was checked."""
    assert ["authority default: ok"] == check(an_authority(permits=[{"namespaceSelector": {}}]), code=0)


def test_all_kinds_of_faults_are_told_at_once() -> None:
    """The list has types, values, unknown fields, bounds, and the operator's judgement of the rest."""
    asked = {
        "usages": ["server auth", "email protection"],
        "dnsName": ["a.example.com"],
        "dnsNames": ["api.example.com", 5, "a_b"],
        "ipAddresses": ["10.0.0"],
        "serviceAccountName": "Orders",
        "duration": "1d",
        "renewBeforePercentage": 99,
        "privateKey": {"algorithm": "ED25519", "size": "big"},
        "secret": {"labels": {"a": True}, "deletionPolicy": "Keep"},
        "formats": {"pkcs12": {}},
        "suspend": "no",
    }

    assert [
        "authority default: ok",
        "identity shop/orders: refused (InvalidSpec)",
        "  spec.dnsName: there is no such field",
        "  spec.usages[1]: email protection is not one of client auth, server auth",
        "  spec.dnsNames[1]: must be a string, not 5",
        "  spec.duration: must be hours, minutes and seconds such as 24h or 1h30m, and at least 1m: 1d",
        "  spec.privateKey.algorithm: ED25519 is not one of ECDSA, Ed25519, RSA",
        '  spec.privateKey.size: must be a whole number, not "big"',
        "  spec.secret.labels[a]: must be a string, not true",
        "  spec.secret.deletionPolicy: Keep is not one of Delete, Retain",
        "  spec.formats.pkcs12.passwordSecretRef: must be set",
        '  spec.suspend: must be true or false, not "no"',
        (
            "  spec.dnsNames[2]: not a DNS name (1 to 63 letters, digits and inner hyphens between dots, and no dot at "
            "the end): a_b"
        ),
        "  spec.ipAddresses[0]: not an IP address: 10.0.0",
        "  spec.serviceAccountName: not the name of a service account: Orders",
        (
            "  spec.dnsNames[0]: api.example.com is not permitted: it is not a name of a Service or service account of "
            'namespace shop; add dnsNames: ["api.example.com"] to a permit of authority default whose '
            "namespaceSelector matches namespace shop"
        ),
        "  spec.renewBeforePercentage: must be 1 to 90: 99",
    ] == check(an_authority(), an_identity(**asked), code=1)


def test_all_faults_of_an_authority_are_told_at_once() -> None:
    """Faults of permits and over several fields come with the rest; its identities say whose fault it is."""
    wrong = an_authority(
        leaf={"maxDuration": "20h", "algorithm": ["RSA"]},
        rotation={"soak": "1d", "retire": "Now"},
        permits=[
            {"namespaceSelector": {}, "dnsNames": ["a*.example.com"]},
            {"dnsNames": ["b*.example.com"]},
            {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "is"}]}, "ipRanges": "10.0.0.0/8"},
        ],
        root={"secretRef": {"name": "root"}},
    )
    said = check(wrong, an_identity(), code=1)

    assert [
        "authority default: is faulty",
        "  spec.leaf.algorithm: there is no such field",
        "  spec.permits[1].namespaceSelector: must be set",
        (
            "  spec.permits[2].namespaceSelector.matchExpressions[0].operator: is is not one of DoesNotExist, Exists, "
            "In, NotIn"
        ),
        '  spec.permits[2].ipRanges: must be a list, not "10.0.0.0/8"',
        "  spec.rotation.soak: must be hours, minutes and seconds such as 24h or 1h30m, and at least 1s: 1d",
        "  spec.rotation.retire: Now is not one of AfterExpiry, AfterReplacement",
    ] == said[:7]
    told = [line.partition(": ")[0] for line in said[7:-2]]
    assert [
        "  spec.permits[0].dnsNames[0]",
        "  spec.permits[1].dnsNames[0]",
        "  spec.leaf",
        "  spec.trustDomain",
    ] == told
    assert said[-2] == "identity shop/orders: refused (AuthorityNotReady)"
    assert said[-1].startswith("  spec.authority: the spec of authority default cannot be read: spec.permits[1].name")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        pytest.param(an_identity() | {"spec": ["a"]}, '  spec: must be an object, not ["a"]', id="no object"),
        pytest.param(
            an_identity(authority=["a"], dnsNames=["a.b.c"]),
            '  spec.authority: must be a string, not ["a"]',
            id="nobody to judge",
        ),
    ],
)
def test_what_cannot_be_judged_by_anybody_is_told_alone(manifest: dict[str, Any], said: str) -> None:
    """What follows from it is left out."""
    assert ["identity shop/orders: refused (InvalidSpec)", said] == check(manifest, code=1)


def test_what_is_null_is_left_out() -> None:
    """The API server does the same."""
    assert "would be issued" in check(an_authority(), an_identity(services=None, duration=None), code=0)[1]


def test_an_authority_whose_durations_cannot_be_read_is_told() -> None:
    """It does not end the command."""
    assert (
        "  spec.leaf.duration: must be hours, minutes and seconds such as 24h or 1h30m, and at least 1m: 1d"
        in check(an_authority(leaf={"duration": "1d"}), an_identity(), code=1)
    )


def test_folders_within_folders_are_skipped_aloud(tmp_path: Path) -> None:
    """The command reads them if asked to."""
    inner = tmp_path / "team" / "orders"
    inner.mkdir(parents=True)
    (tmp_path / "authority.yaml").write_text(yaml.safe_dump(an_authority()))
    (inner / "identity.yaml").write_text(yaml.safe_dump(an_identity()))
    flat = run("check", str(tmp_path))
    whole = run("check", "--recursive", str(tmp_path))

    assert f"skipped 1 folders in {tmp_path} (use --recursive): team" in flat.output
    assert "identity" not in flat.output
    assert "identity default/orders: would be issued by authority default\n" in whole.output
    assert "skipped" not in whole.output


def test_names_that_end_with_this_release_are_told() -> None:
    """The status of an identity in the cluster shows that it holds them."""
    permit = {"namespaceSelector": {}, "dnsNames": ["**"]}
    by = trusts.of(authorities.parse(an_authority() | {"metadata": BARE | {"name": "default"}}), None)
    held = Names(
        dns=("10-0-0-1.ops.pod", "orders.shop.svc", "orders.shop.svc.cluster.local"),
        uris=("spiffe://cluster.local/ns/shop/sa/orders",),
    )
    of = an_identity(dnsNames=["10-0-0-1.ops.pod"]) | {"status": {"heldNames": desired.held_names(held, by)}}
    said = check(an_authority(permits=[permit]), of, code=0, color=True)

    assert said[1].startswith(YELLOW)
    assert said[-1].startswith("  until version 0.2.0: spec.dnsNames[0]: 10-0-0-1.ops.pod is not permitted")
    assert "refused" in check(an_authority(permits=[permit]), an_identity(dnsNames=["10-0-0-1.ops.pod"]), code=1)[1]


def test_an_authority_with_faults_is_told() -> None:
    """This holds for an authority alone."""
    wrong = an_authority(permits=[{"namespaceSelector": {}, "wildcardDNSNames": ["*.com"]}], permit=[])
    said = check(wrong, code=1)

    assert ["authority default: is faulty", "  spec.permit: there is no such field"] == said[:2]
    assert "  spec.permits[0].wildcardDNSNames[0]: not a wildcard name" in said[2]


def test_lists_are_read() -> None:
    """They have the form that `kubectl get -o yaml` prints."""
    said = check({"apiVersion": "v1", "kind": "List", "items": [an_identity(), a_namespace()]}, code=0)

    assert "would be issued" in said[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: [", "standard input: not YAML: ", id="no YAML"),
        pytest.param("- a", "standard input: not a manifest: list", id="no manifest"),
        pytest.param("kind: Namespace", "standard input: a Namespace without metadata.name", id="no name"),
        pytest.param(
            "{kind: Namespace, metadata: {name: 5}}",
            "standard input: metadata.name of a Namespace is of type int",
            id="name that is none",
        ),
        pytest.param(
            "{apiVersion: mutualtls.dev/v1alpha1, kind: MutualTLSIdentity, metadata: {name: a, annotations: [a]}}",
            "standard input: metadata.annotations of a MutualTLSIdentity is of type list",
            id="annotations that are none",
        ),
        pytest.param("{kind: List, items: [a]}", "standard input: not a manifest: str", id="no manifest in a list"),
        pytest.param("kind: Service", "the files hold no MutualTLSIdentity and no MutualTLSAuth", id="nothing of ours"),
        pytest.param(
            "{apiVersion: mutualtls.dev/v9, kind: MutualTLSIdentity, metadata: {name: a}}",
            "standard input: MutualTLSIdentity of apiVersion mutualtls.dev/v9: not mutualtls.dev/v1alpha1",
            id="of a later version",
        ),
    ],
)
def test_what_cannot_be_judged_is_told(text: str, said: str) -> None:
    """The exit status differs from that of a refusal."""
    done = run("check", "-", given=text)

    assert done.exit_code == 2
    assert said in done.output


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The message names the file."""
    done = run("check", str(tmp_path / "absent.yaml"))

    assert done.exit_code == 2
    assert "absent.yaml: No such file or directory" in done.output


def test_further_files_are_named() -> None:
    """The password is the cluster's business."""
    formats = {"der": {}, "pkcs12": {"passwordSecretRef": {"name": "stores"}}}

    assert "  additional files     key.der, tls.der, keystore.p12, truststore.p12" in check(
        an_identity(formats=formats), code=0
    )
    assert "  spec.formats.jks: there is no such field" in check(an_identity(formats={"jks": {}}), code=1)


# Compared with what there is in a cluster


def present(**spec: Any) -> Present:
    """An authority as it is there, with an identity in each of two namespaces and copies of its bundle."""
    identities = [
        identity.parse(identity_body("orders", "shop", dnsNames=["api.example.com"])),
        identity.parse(identity_body("orders", "bank")),
    ]
    return Present(
        authority=builders.authority(**spec),
        identities=identities,
        copies=[ObjectKey("", "mutualtls.dev:default:bundle"), ObjectKey("bank", "roots"), ObjectKey("shop", "roots")],
        namespaces={"shop": {"mesh": "yes"}, "bank": {}},
    )


PERMIT = {"namespaceSelector": {}, "dnsNames": ["api.example.com"]}
EVERYWHERE = {"configMap": {"name": "roots", "namespaceSelector": {}}}
TAKEN_AWAY: list[Any] = [
    pytest.param({"permits": [PERMIT], "trust": EVERYWHERE}, [], [], id="nothing"),
    pytest.param({"trust": EVERYWHERE}, [("shop/orders", "NotPermitted")], [], id="a permit"),
    pytest.param(
        {"permits": [PERMIT], "trust": EVERYWHERE, "namespaceSelector": {"matchLabels": {"mesh": "yes"}}},
        [("bank/orders", "NotPermitted")],
        [],
        id="a namespace",
    ),
    pytest.param(
        {"permits": [PERMIT], "trust": EVERYWHERE, "leaf": {"algorithms": ["RSA"]}},
        [("bank/orders", "InvalidSpec"), ("shop/orders", "InvalidSpec")],
        [],
        id="an algorithm",
    ),
    pytest.param(
        {"permits": [PERMIT]}, [], ["configmap bank/roots", "configmap shop/roots"], id="a bundle of every namespace"
    ),
    pytest.param(
        {
            "permits": [PERMIT],
            "trust": {
                "configMap": {"name": "roots", "namespaceSelector": {"matchLabels": {"mesh": "yes"}}},
                "clusterTrustBundle": False,
            },
        },
        [],
        ["clustertrustbundle mutualtls.dev:default:bundle", "configmap bank/roots"],
        id="copies that are not selected any more",
    ),
]


@pytest.mark.parametrize(("spec", "refused", "gone"), TAKEN_AWAY)
def test_what_an_authority_would_take_away_is_told(
    spec: dict[str, Any], refused: list[tuple[str, str]], gone: list[str]
) -> None:
    """What is not there already is not listed."""
    there, new = present(permits=[PERMIT], trust=EVERYWHERE), builders.authority(**spec)

    assert refused == [(str(one.identity), one.reason) for one in impact.refusals(new, there)]
    assert gone == impact.copies_that_go(new, there)


def test_who_is_refused_already_loses_nothing() -> None:
    """This holds even if a second fault of the same identity is listed."""
    assert [] == list(impact.refusals(builders.authority(), present()))


def test_a_new_authority_takes_nothing_away() -> None:
    """There is nobody to lose anything."""
    assert [] == list(impact.refusals(builders.authority(), Present()))
    assert [] == impact.copies_that_go(builders.authority(), Present())
