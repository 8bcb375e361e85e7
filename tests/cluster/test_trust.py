"""The bundle beside Secrets: in ConfigMaps, as a ClusterTrustBundle; and roots of others in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.clusters.operators import wait_until
from mutualtls.core.pki import certificates
from mutualtls.core.pki.issue import CA
from support import outside, strangers
from support.authority import AnAuthority
from support.outside import OutsideCA
from support.world import World

NAME = "bundle.of.ours"
SELECTED = "mesh"
WRITTEN = frozenset({"configmaps", "clustertrustbundles"})


@pytest.fixture
def authority(world: World) -> AnAuthority:
    """An authority of the test's own, whose bundle goes into the namespaces that carry a label of it."""
    made = AnAuthority(world=world, name=f"of-{world.namespace}")
    made.apply(trust=_trust(world))
    wait_until(lambda: made.condition("Ready").get("status") == "True", "the authority signs")
    return made


def _trust(world: World, **more: Any) -> dict[str, Any]:
    selector = {"matchLabels": {SELECTED: world.namespace}}
    return {"configMap": {"name": NAME, "namespaceSelector": selector}} | more


def _select(world: World) -> None:
    world.cluster.kubectl("label", "namespace", world.namespace, f"{SELECTED}={world.namespace}")


def _deselect(world: World) -> None:
    world.cluster.kubectl("label", "namespace", world.namespace, f"{SELECTED}-")


def _data(world: World, name: str = NAME) -> dict[str, str]:
    """Read the data of a ConfigMap; empty where there is none."""
    return dict((world.get("configmap", name) or {}).get("data", {}))


def _bundle(authority: AnAuthority) -> str:
    """Read the bundle that there is to be, from the Secret of an identity."""
    authority.issue("reference")
    return authority.world.files("reference-mtls")["ca.crt"].decode()


def _wait_written(authority: AnAuthority) -> str:
    """Wait until the ConfigMap has the bundle, and return it."""
    wanted = _bundle(authority)
    wait_until(lambda: _data(authority.world).get("ca.crt") == wanted, "the ConfigMap has the bundle")
    return wanted


# ConfigMaps


def test_a_namespace_that_is_selected_has_the_bundle(world: World, authority: AnAuthority) -> None:
    """It has the bundle as long as it carries the label."""
    assert {} == _data(world)
    _select(world)

    assert "-----BEGIN CERTIFICATE-----" in _wait_written(authority)


def test_a_new_namespace_has_the_bundle_from_its_beginning(world: World, authority: AnAuthority) -> None:
    """Nobody needs to look at the authority for it."""
    _bundle(authority)
    body = {"apiVersion": "v1", "kind": "Namespace"}
    name = f"{world.namespace}-new"
    metadata = {"name": name, "labels": {SELECTED: world.namespace}}
    world.kubectl("create", "--filename", "-", stdin=json.dumps(body | {"metadata": metadata}))
    get = ("--namespace", name, "get", "configmap", NAME, "--ignore-not-found", "--output", "name")
    wait_until(lambda: world.cluster.kubectl(*get), "it has the bundle")

    world.cluster.kubectl("delete", "namespace", name, "--wait=false")


def _dropped(world: World, authority: AnAuthority, after: str) -> None:  # noqa: ARG001 - each is told the same
    authority.apply(trust={"removeAfter": after})


def _renamed(world: World, authority: AnAuthority, after: str) -> None:
    trust = _trust(world, removeAfter=after)
    trust["configMap"]["name"] = "another"
    authority.apply(trust=trust)
    wait_until(lambda: _data(world, "another"), "it has another")


def _deselected(world: World, authority: AnAuthority, after: str) -> None:
    authority.apply(trust=_trust(world, removeAfter=after))
    _deselect(world)


def _noted(world: World) -> str:
    """Read what the annotation of the ConfigMap says of it."""
    metadata = (world.get("configmap", NAME) or {})["metadata"]
    return str(metadata["annotations"]["mutualtls.dev/published"])


def _uid(world: World) -> str:
    return str((world.get("configmap", NAME) or {})["metadata"]["uid"])


@pytest.mark.parametrize(
    "what", [_deselected, *(pytest.param(what, marks=pytest.mark.further) for what in (_dropped, _renamed))]
)
def test_what_is_not_asked_for_any_more_stays_current_and_goes_later(
    world: World, authority: AnAuthority, what: Any
) -> None:
    """A copy is dropped when its namespace is not selected, or the spec asks for none or for another."""
    _select(world)
    _wait_written(authority)
    what(world, authority, "1h")
    wait_until(lambda: "surplusSince" in _noted(world), "it is told in it")
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    wait_until(lambda: _data(world).get("ca.crt") == _bundle(authority), "it is kept current")

    what(world, authority, "1s")
    wait_until(lambda: not _data(world), "it is removed")


def test_one_that_is_asked_for_again_stays(world: World, authority: AnAuthority) -> None:
    """Nothing is left of that it was to go."""
    _select(world)
    _wait_written(authority)
    _deselect(world)
    wait_until(lambda: "surplusSince" in _noted(world), "it is to go")
    _select(world)
    wait_until(lambda: "surplusSince" not in _noted(world), "it stays")


def test_the_copies_of_an_authority_that_is_deleted_stay(world: World, authority: AnAuthority) -> None:
    """Who mounts them starts as before, and one of its name takes them up again."""
    _select(world)
    wanted = _wait_written(authority)
    uid = _uid(world)
    world.delete_all("mtls")
    for _ in range(4):
        world.delete("mtlsca", authority.name)
        wait_until(lambda: world.get("mtlsca", authority.name) is None, "the authority is gone")
        authority.apply(trust=_trust(world))
        wait_until(lambda: authority.condition("Ready").get("status") == "True", "the authority signs")

    assert ("Warning", "BundlesOrphaned") in authority.events()
    assert wanted == _data(world)["ca.crt"]
    assert uid == _uid(world)
    assert f"mutualtls.dev:{authority.name}:bundle" in world.cluster.kubectl("get", "clustertrustbundles")


DAMAGE = [
    pytest.param(("patch", "configmap", NAME, "--type=merge", '--patch={"data": {"ca.crt": "none"}}'), id="edited"),
    pytest.param(("delete", "configmap", NAME), id="deleted"),
    pytest.param(("label", "configmap", NAME, "mutualtls.dev/part-"), id="without its label"),
    pytest.param(("label", "configmap", NAME, "--overwrite", "mutualtls.dev/authority=x"), id="with another label"),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_configmap_is_healed(world: World, authority: AnAuthority, damage: tuple[str, ...]) -> None:
    """It is back at once, with its label."""
    _select(world)
    wanted = _wait_written(authority)
    world.kubectl(*damage)

    ours = f"--selector=mutualtls.dev/part=bundle,mutualtls.dev/authority={authority.name}"
    listed = ("get", "configmaps", ours, "--output=jsonpath={.items[*].data.ca\\.crt}")
    wait_until(lambda: world.kubectl(*listed).strip() == wanted.strip(), "it is healed")


def test_one_that_was_made_immutable_is_made_anew(world: World, authority: AnAuthority) -> None:
    """It is replaced when it has to be changed; what others put into it goes with it."""
    _select(world)
    _wait_written(authority)
    patch = '--patch={"data": {"ca.crt": "none"}, "immutable": true}'
    world.kubectl("patch", "configmap", NAME, "--type=merge", patch)

    _wait_written(authority)
    assert "immutable" not in (world.get("configmap", NAME) or {})


def test_what_others_put_there_is_left_alone(world: World, authority: AnAuthority) -> None:
    """Keys of the data, labels and annotations of others stay."""
    _select(world)
    _wait_written(authority)
    theirs = {"metadata": {"annotations": {"team": "mesh"}}, "data": {"ca.crt": "none", "README": "theirs"}}
    world.kubectl("patch", "configmap", NAME, "--type=merge", f"--patch={json.dumps(theirs)}")
    _wait_written(authority)

    assert "theirs" == _data(world)["README"]
    assert "mesh" == (world.get("configmap", NAME) or {})["metadata"]["annotations"]["team"]


def test_one_that_is_overwritten_again_and_again_is_left_alone_for_a_while(
    world: World, authority: AnAuthority
) -> None:
    """Two that write against each other would keep the API server busy."""
    _select(world)
    _wait_written(authority)
    for count in range(3):
        world.kubectl("patch", "configmap", NAME, "--type=merge", f'--patch={{"data": {{"ca.crt": "{count}"}}}}')
        _wait_written(authority)
    world.patch("configmap", NAME, {"data": {"ca.crt": "at last"}})

    wait_until(lambda: world.operator.logged("bundle is overwritten repeatedly"), "it is said")
    assert "at last" == _data(world)["ca.crt"]


def test_one_of_somebody_else_is_left_alone_and_told(world: World, authority: AnAuthority) -> None:
    """The status tells of it until it is gone."""
    world.kubectl("create", "configmap", NAME, "--from-literal=ca.crt=theirs")
    _select(world)
    wait_until(lambda: authority.condition("Conflicting").get("status") == "True", "it is told")

    assert "theirs" == _data(world)["ca.crt"]
    told = authority.condition("Conflicting")
    assert ("BundleConflict", True) == (told["reason"], f"configmap {world.namespace}/{NAME};" in told["message"])
    wait_until(lambda: ("Warning", "BundleConflict") in authority.events(), "an Event tells of it")

    world.delete("configmap", NAME)
    _wait_written(authority)
    wait_until(lambda: authority.condition("Conflicting")["status"] == "False", "it is not told any more")


def test_of_two_authorities_the_second_waits(world: World, authority: AnAuthority) -> None:
    """The ConfigMap of the first is somebody else's to it."""
    _select(world)
    first = _wait_written(authority)
    second = AnAuthority(world=world, name=f"second-{world.namespace}")
    second.apply(trust=_trust(world))
    wait_until(lambda: second.condition("Conflicting").get("status") == "True", "it is told")
    assert first == _data(world)["ca.crt"]

    authority.apply(trust={"removeAfter": "1s"})
    wait_until(lambda: _data(world).get("ca.crt", first) != first, "the second has it")
    second.apply()


def test_a_bundle_follows_the_rotation_of_the_root(world: World, authority: AnAuthority) -> None:
    """Each root is everywhere before it is needed, and nowhere longer than that."""
    _select(world)
    before = _wait_written(authority)
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")

    wait_until(lambda: authority.bundle("reference") == {authority.fingerprint("root 2")}, "the old root is out")
    assert before != _wait_written(authority)
    assert 1 == _data(world)["ca.crt"].count("BEGIN CERTIFICATE")


@pytest.mark.further
def test_one_that_cannot_be_written_is_waited_for(world: World, authority: AnAuthority) -> None:
    """The gate names it, and waits no longer than for anything else."""
    world.kubectl("create", "configmap", NAME, "--from-literal=ca.crt=theirs")
    _select(world)
    authority.issue("orders")
    authority.rotate()
    name = f"configmap {world.namespace}/{NAME}"
    wait_until(
        lambda: name in authority.status().get("next", {}).get("laggards", ()), "it is waited for", deadline_s=60
    )
    authority.wait_phase("Stable")

    assert "theirs" == _data(world)["ca.crt"]
    assert {authority.fingerprint("root 2")} == authority.bundle("orders")


def test_after_a_start_nothing_is_written(world: World, authority: AnAuthority) -> None:
    """What is there is believed."""
    _select(world)
    _wait_written(authority)
    world.operator.kill()
    before = len(world.writes(everywhere=True))
    world.operator.start()
    authority.issue("later")  # by now all copies were looked at

    written = [resource for _, resource, _ in world.writes(everywhere=True)[before:]]
    assert [] == [resource for resource in written if resource in WRITTEN]


def test_what_went_wrong_while_it_was_away_is_mended_at_its_start(world: World, authority: AnAuthority) -> None:
    """An edit and a namespace that is not selected any more."""
    _select(world)
    _wait_written(authority)
    world.operator.kill()
    world.patch("configmap", NAME, {"data": {"ca.crt": "none"}})
    world.operator.start()
    _wait_written(authority)
    authority.apply(trust=_trust(world, removeAfter="1s"))
    world.operator.kill()
    _deselect(world)
    world.operator.start()

    wait_until(lambda: not _data(world), "it is removed")


# ClusterTrustBundles


def _trust_bundle(authority: AnAuthority) -> dict[str, Any]:
    """Read the spec of the ClusterTrustBundle; empty where there is none."""
    body = authority.world.get("clustertrustbundle", f"mutualtls.dev:{authority.name}:bundle")
    return dict((body or {}).get("spec", {}))


def test_the_bundle_is_a_clustertrustbundle(authority: AnAuthority) -> None:
    """It has the authority's signer, is healed, and is removed when it is not asked for any more."""
    wanted = {"signerName": f"mutualtls.dev/{authority.name}", "trustBundle": _bundle(authority)}
    wait_until(lambda: _trust_bundle(authority) == wanted, "it is there")
    authority.world.delete("clustertrustbundle", f"mutualtls.dev:{authority.name}:bundle")
    wait_until(lambda: _trust_bundle(authority) == wanted, "it is healed")
    authority.apply(trust={"clusterTrustBundle": False, "removeAfter": "1s"})

    wait_until(lambda: not _trust_bundle(authority), "it is removed")


# Additional roots


def _put_roots(authority: AnAuthority, text: str, folder: Path) -> None:
    """Put a text into the ConfigMap of additional roots."""
    (folder / "ca.crt").write_text(text)
    made = ("create", "configmap", _roots_of(authority), f"--from-file={folder / 'ca.crt'}")
    authority.system("apply", "--filename=-", stdin=authority.system(*made, "--dry-run=client", "--output=yaml"))
    authority.world.kubectl("annotate", "mtlsca", authority.name, "--overwrite", f"looked-at={hash(text)}")


def _roots_of(authority: AnAuthority) -> str:
    return f"{authority.name}-roots"


def _pem(ca: OutsideCA) -> str:
    return ca.files()["ca.crt"].decode()


@pytest.fixture
def trusting(world: World, authority: AnAuthority, tmp_path: Path) -> tuple[AnAuthority, OutsideCA]:
    """The authority with the root of another CA beside its own."""
    other = outside.make("other")
    _put_roots(authority, f"The root of another:\n{_pem(other)}", tmp_path)
    authority.apply(trust=_trust(world, additionalRoots=[{"name": _roots_of(authority)}]))
    _select(world)
    authority.issue("orders")
    both = {other.fingerprint, authority.fingerprint("root 1")}
    wait_until(lambda: authority.bundle("orders") == both, "both are trusted")
    return authority, other


def test_roots_of_others_are_trusted_everywhere(
    world: World, trusting: tuple[AnAuthority, OutsideCA], tmp_path: Path
) -> None:
    """Secrets, ConfigMaps and the ClusterTrustBundle have them alone, until the spec drops them."""
    authority, other = trusting
    wanted = _wait_written(authority)
    wait_until(lambda: _trust_bundle(authority).get("trustBundle") == wanted, "it is the ClusterTrustBundle")
    assert (2, True) == (wanted.count("BEGIN"), wanted.startswith("-----BEGIN CERTIFICATE-----"))
    assert _pem(other) in wanted

    second = outside.make("second")
    _put_roots(authority, _pem(other) + _pem(second), tmp_path)
    wait_until(lambda: second.fingerprint in authority.bundle("orders"), "a second one is trusted")
    authority.apply(trust=_trust(world))
    wait_until(lambda: authority.bundle("orders") == {authority.fingerprint("root 1")}, "they are not trusted any more")


def test_a_root_that_a_place_cannot_hold_is_left_out_there(
    trusting: tuple[AnAuthority, OutsideCA], tmp_path: Path
) -> None:
    """It is in every ca.crt, keeps no other root out, is named, and holds no rotation up."""
    authority, other = trusting
    odd, good = certificates.to_pem(strangers.roots()["brainpool"].certificate).decode(), outside.make("good")
    _put_roots(authority, odd + _pem(other) + _pem(good), tmp_path)
    wait_until(lambda: good.fingerprint in authority.bundle("orders"), "they are trusted")
    wanted = _wait_written(authority)
    wait_until(lambda: _pem(good) in _trust_bundle(authority).get("trustBundle", ""), "it is the ClusterTrustBundle")
    assert odd in wanted
    assert wanted.replace(odd, "") == _trust_bundle(authority)["trustBundle"]
    wait_until(lambda: authority.condition("Drifted").get("reason") == "SourceWarning", "it is told")
    said = "left out of the ClusterTrustBundle: CN=B has a key on the curve brainpoolP256r1, which Go does not know"
    assert said in authority.condition("Drifted")["message"]

    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    assert [] == [one for one in authority.events() if one[1] == "LaggardsExcused"]


def test_which_roots_a_clustertrustbundle_holds(world: World) -> None:
    """The API server says what it takes: what we do not leave out, and nothing else."""

    def body(number: int, root: CA) -> dict[str, Any]:
        metadata = {"name": f"example.com:of:{number}"}
        spec = {"signerName": "example.com/of", "trustBundle": certificates.to_pem(root.certificate).decode()}
        head = {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle"}
        return head | {"metadata": metadata, "spec": spec}

    roots = strangers.roots()
    items = [body(number, root) for number, root in enumerate(roots.values())]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    create = ("create", "--dry-run=server", "--output=name", "--filename=-")
    said = world.cluster.kubectl(*create, stdin=listed, check=False)

    held = {
        name for number, name in enumerate(roots) if f"bundle.certificates.k8s.io/example.com:of:{number}\n" in said
    }
    assert roots.keys() - strangers.NOT_READ_BY_GO == held


def test_roots_that_are_no_text_are_read(world: World, trusting: tuple[AnAuthority, OutsideCA], tmp_path: Path) -> None:
    """Kubectl puts a file that is no UTF-8 into binaryData."""
    authority, _ = trusting
    new = outside.make("new")
    (tmp_path / "ca.crt").write_bytes(b"M\xfcller's:\n" + _pem(new).encode())
    made = ("create", "configmap", _roots_of(authority), f"--from-file={tmp_path / 'ca.crt'}", "--dry-run=client")
    authority.system("replace", "--filename=-", stdin=authority.system(*made, "--output=yaml"))
    world.kubectl("annotate", "mtlsca", authority.name, "looked-at=1", "--overwrite")

    wait_until(lambda: new.fingerprint in authority.bundle("orders"), "it is trusted")


def _vanished(authority: AnAuthority, folder: Path) -> str:  # noqa: ARG001 - each is told the same
    authority.system("delete", "configmap", _roots_of(authority))
    authority.world.kubectl("annotate", "mtlsca", authority.name, "looked-at=2", "--overwrite")
    return "it does not exist"


def _spoilt(authority: AnAuthority, folder: Path) -> str:
    _put_roots(authority, "nothing", folder)
    return "it holds no certificates in PEM"


def _with_key(authority: AnAuthority, folder: Path) -> str:
    files = outside.make("new").files()
    _put_roots(authority, (files["ca.crt"] + files["tls.key"]).decode(), folder)
    return "it holds a private key"


@pytest.mark.parametrize("what", [_vanished, _spoilt, _with_key])
def test_roots_that_cannot_be_used_change_nothing(
    world: World, trusting: tuple[AnAuthority, OutsideCA], tmp_path: Path, what: Any
) -> None:
    """This holds after a restart as well; the condition says why."""
    authority, _ = trusting
    before = authority.bundle("orders")
    said = what(authority, tmp_path)
    wait_until(lambda: said in authority.condition("Drifted").get("message", ""), "it is told")
    world.operator.kill()
    world.operator.start()
    authority.issue("later")

    assert "SourceInvalid" == authority.condition("Drifted")["reason"]
    assert before == authority.bundle("orders") == authority.bundle("later")


def test_roots_of_others_survive_a_ledger_of_before(
    world: World, trusting: tuple[AnAuthority, OutsideCA], tmp_path: Path
) -> None:
    """It is rebuilt, and the ConfigMap that they came from is gone."""
    authority, other = trusting
    name = f"mutualtls-ledger.{authority.name}"
    before = json.loads(authority.system("get", "configmap", name, "--output=json"))["data"]
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    world.operator.kill()
    (tmp_path / "patch.json").write_text(json.dumps({"data": before}))
    authority.system("patch", "configmap", name, "--type=merge", f"--patch-file={tmp_path / 'patch.json'}")
    authority.system("delete", "configmap", _roots_of(authority))
    world.operator.start()
    authority.issue("later")

    assert world.operator.logged("the ledger was lost and is rebuilt")
    assert {other.fingerprint, authority.fingerprint("root 2")} <= authority.bundle("later")
