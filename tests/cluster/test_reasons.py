"""Every reason for which a Secret is written or left alone that the other files of this ring do not come to."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.clusters import clusters, operators
from devtools.clusters.operators import wait_until
from support import authority, rival
from support.rival import NO_FILE, THEIRS
from support.world import World

NEVER = {"rotationPolicy": "Never"}


@pytest.fixture(scope="module")
def quick() -> Iterator[World]:
    """A namespace of another cluster, whose operator sweeps every 5 s and waits seconds where others wait minutes."""
    with clusters.running("quick", audit=True) as cluster:
        operators.install(cluster)
        with operators.running(
            cluster, sweep="5s", move_grace="3s", contest_window="20s", first_retry="1s", last_retry="2s"
        ) as operator:
            world = World(cluster=cluster, operator=operator, namespace="quick")
            cluster.kubectl("create", "namespace", world.namespace)
            authority.apply(world, "default")
            yield world


# Secrets that cannot be changed


def test_a_secret_that_was_made_immutable_is_made_anew(world: World) -> None:
    """It is deleted and created with a new certificate; another Secret beside it is left alone."""
    world.kubectl("create", "secret", "generic", "theirs")
    theirs = world.secret("theirs")
    world.apply("orders")
    world.wait_ready("orders")
    old, serial = world.secret("orders-mtls"), world.serial("orders")
    rival.patch(world, "orders-mtls", {"immutable": True})
    world.wait_reissued("orders", serial)
    new = world.secret("orders-mtls")

    assert old["metadata"]["uid"] != new["metadata"]["uid"]
    assert not new.get("immutable")
    world.wait_events("orders", ("Normal", "SecretImmutable"))
    assert theirs == world.secret("theirs")


def test_a_key_is_kept_under_never_when_its_secret_is_made_anew(world: World) -> None:
    """The key is the recorded one and fits the spec, whatever becomes of the object that held it."""
    world.apply("orders", privateKey=NEVER)
    world.wait_ready("orders")
    key, serial = world.files("orders-mtls")["tls.key"], world.serial("orders")
    rival.patch(world, "orders-mtls", {"immutable": True})
    world.wait_reissued("orders", serial)

    assert key == world.files("orders-mtls")["tls.key"]


@pytest.mark.parametrize("labels", [{}, {"mutualtls.dev/part": "files"}], ids=["not watched", "watched"])
def test_a_secret_of_our_own_of_the_wrong_type_is_made_anew(world: World, labels: dict[str, str]) -> None:
    """It carries the identity's uid, so it may be deleted."""
    world.apply("orders")
    world.wait_ready("orders")
    serial, uid = world.serial("orders"), (world.get("mtls", "orders") or {})["metadata"]["uid"]
    assert world.operator.stop()
    world.delete("secret", "orders-mtls")
    annotations = {"mutualtls.dev/identity-uid": uid, "mutualtls.dev/identity-name": "orders"}
    metadata = {"name": "orders-mtls", "labels": labels, "annotations": annotations}
    wrong = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": THEIRS}
    world.kubectl("create", "--filename", "-", stdin=json.dumps(wrong))
    world.operator.start()
    world.wait_reissued("orders", serial)

    assert world.secret("orders-mtls")["type"] == "kubernetes.io/tls"
    assert {"tls.key", "tls.crt", "ca.crt"} == set(world.files("orders-mtls"))
    world.wait_events("orders", ("Normal", "SecretTypeWrong"))


# Another writer


def _contest(world: World, name: str, file: str) -> None:
    """Overwrite a file three times, wait for each mend, and overwrite it once more."""
    secret = f"{name}-mtls"
    for _ in range(3):
        rival.patch(world, secret, {"data": {file: NO_FILE}})
        wait_until(lambda: world.files(secret)[file] != base64.b64decode(NO_FILE), f"{file} is mended")
    rival.patch(world, secret, {"data": {file: NO_FILE}})


CONTESTED = [
    pytest.param("ca.crt", [], id="ca.crt"),
    pytest.param("tls.crt", [("Normal", "SecretUnreadable")] * 3, id="tls.crt"),
]


@pytest.mark.parametrize(("file", "mends"), CONTESTED)
def test_a_secret_that_somebody_keeps_overwriting_is_left_alone(
    world: World, file: str, mends: list[tuple[str, str]]
) -> None:
    """It is mended three times; then the status names the other writer, until the spec changes."""
    world.apply("orders")
    world.wait_ready("orders")
    _contest(world, "orders", file)
    condition = world.wait_reason("orders", "SecretContested")
    contested = world.secret("orders-mtls")
    world.apply("next")
    world.wait_ready("next")

    assert "secret orders-mtls was overwritten 3 times since 2" in condition["message"]
    assert " by rival; left alone until 2" in condition["message"]
    assert condition["status"] == "False"
    assert world.condition("orders", "Stalled")["status"] == "True"
    assert NO_FILE == contested["data"][file]
    assert contested == world.secret("orders-mtls")
    world.wait_events("orders", *mends, ("Warning", "SecretContested"))

    world.apply("orders", secret={"labels": {"team": "shop"}})
    world.wait_ready("orders")
    assert NO_FILE != world.secret("orders-mtls")["data"][file]
    assert world.condition("orders", "Stalled") == {}


@pytest.mark.further
def test_a_policy_that_changes_whatever_is_written_is_told_as_what_it_is(world: World) -> None:
    """It leaves no name in managedFields, as it changes what we write ourselves."""
    name = f"team-{world.namespace}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["secrets"]}]
    change = "Object{metadata: Object.metadata{labels: {'team': 'policy'}}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}
    spec = {"matchConstraints": {"resourceRules": rules}, "mutations": [mutation], "reinvocationPolicy": "Never"}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    binding = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
    for kind, of in (("MutatingAdmissionPolicy", spec), ("MutatingAdmissionPolicyBinding", binding)):
        body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": of}
        world.cluster.kubectl("create", "--filename", "-", stdin=json.dumps(body))
    probe = ("create", "secret", "generic", "probe", "--dry-run=server", "--output=json")
    try:
        wait_until(lambda: "policy" in world.kubectl(*probe), "the policy is obeyed")
        world.apply("orders", secret={"labels": {"team": "shop"}})
        condition = world.wait_reason("orders", "SecretContested")
    finally:
        for kind in ("mutatingadmissionpolicybinding", "mutatingadmissionpolicy"):
            world.cluster.kubectl("delete", kind, name)

    assert condition["message"].startswith("secret orders-mtls was overwritten 3 times since ")
    assert "by something that leaves no name (such as an admission policy); left alone until" in condition["message"]
    assert "True" == condition["status"]


@pytest.mark.further
def test_a_secret_that_somebody_keeps_deleting_is_told_so(quick: World) -> None:
    """Nothing tells who it is."""
    quick.apply("deleted")
    for _ in range(3):
        quick.wait_ready("deleted")
        quick.delete("secret", "deleted-mtls")
        wait_until(lambda: quick.get("secret", "deleted-mtls"), "it is made anew")
    quick.wait_ready("deleted")
    quick.delete("secret", "deleted-mtls")
    condition = quick.wait_reason("deleted", "SecretContested")

    assert condition["message"].startswith("secret deleted-mtls was deleted 3 times since ")


@pytest.mark.further
def test_a_contest_is_over_after_a_while(quick: World) -> None:
    """The Secret is mended when nobody has overwritten it since, without anybody's doing."""
    quick.apply("contested")
    quick.wait_ready("contested")
    _contest(quick, "contested", "ca.crt")
    quick.wait_reason("contested", "SecretContested")
    quick.wait_ready("contested")

    assert NO_FILE != quick.secret("contested-mtls")["data"]["ca.crt"]


# Secrets that move, or come back


def test_a_secret_of_another_name_is_written_before_the_old_one_goes(quick: World) -> None:
    """The old one stays for a while, as it is, so that its consumers can move."""
    quick.kubectl("create", "secret", "generic", "theirs")
    theirs = quick.secret("theirs")
    quick.apply("moved")
    quick.wait_ready("moved")
    old = quick.files("moved-mtls")
    quick.apply("moved", secret={"name": "elsewhere"})
    quick.wait_ready("moved")
    assert quick.status("moved")["secretName"] == "elsewhere"
    assert old == quick.files("moved-mtls")
    new = quick.files("elsewhere")
    wait_until(lambda: quick.get("secret", "moved-mtls") is None, "the old secret is deleted")

    names = {"moved-mtls", "elsewhere"}
    assert [write for write in quick.writes() if write[2] in names and write[0] != "patch"] == [
        ("create", "secrets", "moved-mtls"),
        ("create", "secrets", "elsewhere"),
        ("delete", "secrets", "moved-mtls"),
    ]
    assert new == quick.files("elsewhere")
    assert theirs == quick.secret("theirs")
    quick.wait_events("moved", ("Normal", "SecretRenamed"))


def test_the_secret_of_a_former_name_goes_when_the_operator_was_away_meanwhile(quick: World) -> None:
    """The status of an identity records which Secrets it had."""
    quick.apply("away")
    quick.wait_ready("away")
    assert quick.operator.stop()
    quick.apply("away", secret={"name": "far-away"})
    quick.operator.start()
    quick.wait_ready("away")
    wait_until(lambda: quick.get("secret", "away-mtls") is None, "the old secret is deleted")

    assert quick.get("secret", "far-away") is not None


@pytest.mark.parametrize("is_owned", [False, pytest.param(True, marks=pytest.mark.further)])
def test_a_copy_of_a_secret_is_its_makers(quick: World, *, is_owned: bool) -> None:
    """A copy with all labels, annotations and owner stays when the identity's own Secret is deleted."""
    name = f"copied-{is_owned}".lower()
    quick.apply(name)
    quick.wait_ready(name)
    told = (quick.get("secret", f"{name}-mtls") or {})["metadata"]
    marks = {part: told[part] for part in ("labels", "annotations", *(("ownerReferences",) if is_owned else ()))}
    copy = {"metadata": {"name": f"{name}-backup"} | marks, "data": {"mine": "a2VlcCBpdA=="}}
    quick.client.create("secret", copy, namespace=quick.namespace)
    quick.apply(name, secret={"name": f"{name}-elsewhere"})
    quick.wait_ready(name)
    wait_until(lambda: quick.get("secret", f"{name}-mtls") is None, "the old secret is deleted")
    wait_until(lambda: _names(quick, name) == [f"{name}-elsewhere"], "the status tells of one")

    assert copy["data"] == (quick.get("secret", f"{name}-backup") or {})["data"]


@pytest.mark.further
def test_without_a_status_no_secret_of_a_former_name_is_deleted(quick: World) -> None:
    """After a restore without statuses nothing proves whose it is; the Secret of a status that is there goes."""
    for name in ("restored", "known"):
        quick.apply(name)
    quick.wait_ready("restored", "known")
    before = quick.files("restored-mtls")
    assert quick.operator.stop()
    for name in ("restored", "known"):
        quick.apply(name, secret={"name": f"{name}-elsewhere"})
    quick.kubectl("patch", "mtls", "restored", "--subresource=status", "--type=merge", '--patch={"status":null}')
    quick.operator.start()
    quick.wait_ready("restored", "known")
    wait_until(lambda: quick.get("secret", "known-mtls") is None, "the time for it has come")
    quick.apply("restored", usages=["client auth"], secret={"name": "restored-elsewhere"})
    quick.wait_ready("restored")

    assert before == quick.files("restored-mtls")
    assert ["restored-elsewhere"] == _names(quick, "restored")


def _names(world: World, identity: str) -> list[str]:
    """List the Secrets that an identity has by its status."""
    return [one["name"] for one in world.status(identity).get("secrets", ())]


def test_annotations_that_somebody_took_off_are_mended(quick: World) -> None:
    """The status tells that the Secret is the identity's; the certificate stays."""
    quick.apply("bare")
    quick.wait_ready("bare")
    serial = quick.serial("bare")
    annotations = (quick.get("secret", "bare-mtls") or {})["metadata"]["annotations"]
    quick.patch("secret", "bare-mtls", {"metadata": {"annotations": dict.fromkeys(annotations)}})

    def is_marked() -> bool:
        found = (quick.get("secret", "bare-mtls") or {})["metadata"].get("annotations", {})
        return set(annotations) <= set(found)

    wait_until(is_marked, "they are there again")
    quick.wait_ready("bare")
    assert serial == quick.serial("bare")


def test_the_secret_of_a_predecessor_is_adopted_from_a_backup(world: World) -> None:
    """It is annotated with a uid that is dead; the certificate in it is taken over as it is."""
    world.apply("orders", secret={"deletionPolicy": "Retain"})
    world.wait_ready("orders")
    serial, backup = world.serial("orders"), world.secret("orders-mtls")
    for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
        backup["metadata"].pop(field, None)
    backup["data"] |= THEIRS
    assert world.operator.stop()
    world.kubectl("delete", "mtls/orders", "secret/orders-mtls")
    world.apply("orders", secret={"deletionPolicy": "Retain"})
    world.kubectl("apply", "--filename", "-", stdin=json.dumps(backup))
    world.operator.start()
    world.wait_ready("orders")
    adopted, uid = world.secret("orders-mtls"), (world.get("mtls", "orders") or {})["metadata"]["uid"]

    assert backup["data"] == adopted["data"]
    assert serial == world.serial("orders")
    assert uid == adopted["metadata"]["annotations"]["mutualtls.dev/identity-uid"]
    assert uid != backup["metadata"]["annotations"]["mutualtls.dev/identity-uid"]
    assert world.events("orders") == []


# What is read

HIDDEN = [
    pytest.param({"data": {"tls.crt": NO_FILE}}, "SecretUnreadable", id="tls.crt is no certificate"),
    pytest.param({"data": {"ca.crt": None}}, "SecretIncomplete", id="ca.crt is gone"),
    pytest.param({"immutable": True}, "SecretImmutable", id="made immutable"),
]


@pytest.mark.parametrize(("body", "reason"), HIDDEN)
def test_damage_behind_our_own_name_is_found_by_the_sweep(quick: World, body: dict[str, Any], reason: str) -> None:
    """The sweep reads the files now and then where managedFields prove nothing."""
    name = f"hidden-{reason.lower()}"
    quick.apply(name)
    quick.wait_ready(name)
    serial = quick.serial(name)
    rival.patch(quick, f"{name}-mtls", body, manager="mutualtls-operator")
    quick.wait_reissued(name, serial)

    quick.wait_events(name, ("Normal", reason))


def test_a_bundle_that_was_changed_behind_our_own_name_is_found_by_the_sweep(quick: World) -> None:
    """It is written back alone."""
    quick.apply("hidden-bundle")
    quick.wait_ready("hidden-bundle")
    before = quick.files("hidden-bundle-mtls")
    rival.patch(quick, "hidden-bundle-mtls", {"data": {"ca.crt": NO_FILE} | THEIRS}, manager="mutualtls-operator")
    wait_until(
        lambda: quick.files("hidden-bundle-mtls") == before | {"theirs": b"yes"}, "the bundle alone is written back"
    )


def test_a_foreign_edit_that_damages_nothing_costs_one_read_at_most(world: World) -> None:
    """No read is needed where managedFields prove the files untouched, and one where somebody rewrote a file."""
    for name in ("labelled", "rewritten"):
        world.apply(name)
    world.wait_ready("labelled", "rewritten")
    before = world.counted_writes()
    rival.patch(world, "labelled-mtls", {"data": THEIRS, "metadata": {"labels": THEIRS}})
    longer = base64.b64encode(world.files("rewritten-mtls")["tls.key"] + b"\n").decode()
    rival.patch(world, "rewritten-mtls", {"data": {"tls.key": longer}})
    wait_until(lambda: world.reads("rewritten-mtls"), "the rewritten secret is read")
    world.apply("next")
    world.wait_ready("next")

    assert world.reads("labelled-mtls") == 0
    assert world.reads("rewritten-mtls") == 1
    assert before + world.ISSUANCE == world.counted_writes()
    assert longer == world.secret("rewritten-mtls")["data"]["tls.key"]
    assert world.files("labelled-mtls")["theirs"] == b"yes"
