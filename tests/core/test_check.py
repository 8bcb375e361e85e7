"""The command `mutualtls check`, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mutualtls.cli.main import app

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


def check(*manifests: object, code: int) -> list[str]:
    """Judge manifests of namespace `shop`, and return the lines that are printed."""
    text = yaml.safe_dump_all(manifests)
    done = CliRunner().invoke(app, ["check", "--namespace=shop", "-"], input=text)
    assert code == done.exit_code, done.output
    return done.output.splitlines()


def test_the_examples_would_be_issued() -> None:
    """A folder is read whole."""
    done = CliRunner().invoke(app, ["check", str(EXAMPLES)])

    assert done.exit_code == 0
    assert "identity orders/orders: would be issued by authority default" in done.output
    assert "  DNS names            billing.billing.svc, billing.billing.svc.cluster.local" in done.output


PERMITS = EXAMPLES / "permits"


@pytest.mark.parametrize("file", sorted(path.name for path in PERMITS.glob("*.yaml")))
def test_the_permits_of_the_documentation_do_what_it_says(file: str) -> None:
    """Each issues its own identities, and refuses the one beside it."""
    alone = CliRunner().invoke(app, ["check", str(PERMITS / file)])
    both = CliRunner().invoke(app, ["check", str(PERMITS / file), str(PERMITS / "refused" / file)])

    assert (0, 1) == (alone.exit_code, both.exit_code)
    assert "refused" not in alone.output
    assert both.output.count(": refused (NotPermitted)") == 1


def test_what_the_page_about_formats_asks_for_would_be_issued() -> None:
    """Its manifest is the first block of YAML."""
    page = (EXAMPLES.parent / "docs" / "formats.md").read_text()
    manifest = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    said = check(manifest, code=0)

    assert "  further files        tls.pem, key.der, tls.der, keystore.p12, truststore.p12" in said


def test_without_an_authority_an_empty_one_judges() -> None:
    """And that is said."""
    said = check(an_identity(), code=0)

    assert said[0] == "identity shop/orders: would be issued by authority default"
    assert said[-1] == "  authority default is not in the files and is taken for one with an empty spec"
    assert "  key                  ECDSA 256" in said
    assert "  secret               orders-mtls" in said


def test_every_fault_is_told_with_what_would_permit_it() -> None:
    """A field that there is not, too."""
    said = check(an_identity(dnsName=["a"], dnsNames=["a.example.com"], duration="999h"), code=1)

    assert "identity shop/orders: refused (NotPermitted)" == said[0]
    assert "  spec.dnsName: there is no such field" == said[1]
    assert "  spec.duration: authority default signs for 10m to 168h: 999h" == said[2]
    assert 'add dnsNames: ["a.example.com"] to a permit of authority default' in said[3]


def test_permits_count_by_the_labels_of_the_namespace() -> None:
    """Which are in its manifest; where there is none, that is said."""
    permit = {"namespaceSelector": {"matchLabels": {"team": "edge"}}, "dnsNames": ["*.example.com"]}
    authority, identity = an_authority(permits=[permit]), an_identity(dnsNames=["a.example.com"])
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}

    assert "would be issued by authority default" in check(authority, a_namespace(team="edge"), identity, code=0)[0]
    assert "refused" in check(authority, a_namespace(team="core"), identity, code=1)[0]
    assert "the labels of namespace shop are not known" in check(authority, identity, code=1)[-1]
    by_name = an_authority(permits=[permit | named])
    assert "would be issued" in check(by_name, a_namespace(), identity, code=0)[0]


def test_an_authority_with_faults_is_told() -> None:
    """Also alone."""
    wrong = an_authority(permits=[{"namespaceSelector": {}, "wildcardDNSNames": ["*.com"]}], permit=[])
    said = check(wrong, code=1)

    assert ["authority default: is faulty", "  spec.permit: there is no such field"] == said[:2]
    assert "  spec.permits[0].wildcardDNSNames[0]: not a wildcard name" in said[2]


def test_lists_are_read() -> None:
    """As `kubectl get -o yaml` prints them."""
    said = check({"apiVersion": "v1", "kind": "List", "items": [an_identity(), a_namespace()]}, code=0)

    assert "would be issued" in said[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: [", "standard input: not YAML: ", id="no YAML"),
        pytest.param("- a", "standard input: not a manifest: list", id="no manifest"),
        pytest.param("kind: Namespace", "standard input: a Namespace without metadata.name", id="no name"),
        pytest.param("kind: Service", "there is no MutualTLSIdentity and no MutualTLSAuthority", id="nothing of ours"),
        pytest.param(
            "{apiVersion: mutualtls.dev/v9, kind: MutualTLSIdentity, metadata: {name: a}}",
            "standard input: MutualTLSIdentity of apiVersion mutualtls.dev/v9: not mutualtls.dev/v1alpha1",
            id="of a later version",
        ),
    ],
)
def test_what_cannot_be_judged_is_told(text: str, said: str) -> None:
    """With an exit status of its own."""
    done = CliRunner().invoke(app, ["check", "-"], input=text)

    assert done.exit_code == 2
    assert said in done.output


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """By name."""
    done = CliRunner().invoke(app, ["check", str(tmp_path / "absent.yaml")])

    assert done.exit_code == 2
    assert "absent.yaml: No such file or directory" in done.output


def test_further_files_are_named() -> None:
    """The password is the cluster's business."""
    formats = {"der": {}, "pkcs12": {"passwordSecretRef": {"name": "stores"}}}

    assert "  further files        key.der, tls.der, keystore.p12, truststore.p12" in check(
        an_identity(formats=formats), code=0
    )
    assert "  spec.formats.jks: there is no such field" in check(an_identity(formats={"jks": {}}), code=1)
