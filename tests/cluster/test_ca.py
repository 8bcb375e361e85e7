"""CA keys and ledgers that are deleted, restored, given up: no CA is ever made where one ought to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from devtools.clusters.operators import NAMESPACE, wait_until
from support import authority as authorities
from support import verify
from support.world import World


@pytest.fixture
def authority(world: World) -> str:
    """An authority of the test's own, which has signed for an identity `orders`."""
    name = f"of-{world.namespace}"
    authorities.apply(world, name)
    world.apply("orders", authority=name)
    world.wait_ready("orders")
    return name


def _system(world: World, *arguments: str, **more: Any) -> str:
    return world.cluster.kubectl("--namespace", NAMESPACE, *arguments, **more)


def _ca(name: str, which: str) -> str:
    return f"mutualtls-ca.{name}.{which}"


def _cas(world: World, name: str) -> list[str]:
    """List the CA Secrets of an authority: role and number."""
    listed = world.client.find("secret", namespace=NAMESPACE, selector=f"mutualtls.dev/authority={name}")
    return [secret["metadata"]["name"].removeprefix(f"mutualtls-ca.{name}.") for secret in listed]


def _condition(world: World, name: str, kind: str = "Ready") -> dict[str, Any]:
    body = world.get("mtlsca", name) or {}
    return next(iter(one for one in body.get("status", {}).get("conditions", ()) if one["type"] == kind), {})


def _wait_reason(world: World, name: str, reason: str) -> None:
    wait_until(lambda: _condition(world, name).get("reason") == reason, f"authority {name} is {reason}")


def _backup(world: World, name: str) -> str:
    """Save an authority's CA Secrets and ledger, as docs/operations/backup.md says."""
    selector = f"mutualtls.dev/part in (ca,ledger),mutualtls.dev/authority={name}"
    saved = json.loads(_system(world, "get", "secrets,configmaps", "-l", selector, "--output", "json"))
    for item in saved["items"]:
        for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            item["metadata"].pop(field, None)
    return json.dumps(saved)


def _bundle(world: World, secret: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(world.files(secret)["ca.crt"])


def test_a_lost_issuing_ca_is_replaced_by_itself(world: World, authority: str, tmp_path: Path) -> None:
    """The new CA is under the same root, so that no bundle changes; the leaves of the old one stay good."""
    before, bundle = world.serial("orders"), world.files("orders-mtls")["ca.crt"]
    _system(world, "delete", "secret", _ca(authority, "issuing.1"))
    wait_until(lambda: "issuing.2" in _cas(world, authority), "another issuing CA is made")
    world.apply("billing", authority=authority)
    world.wait_ready("billing")

    assert bundle == world.files("billing-mtls")["ca.crt"]
    assert before == world.serial("orders")
    for identity in ("orders", "billing"):
        verify.chain(world.save_files(f"{identity}-mtls", tmp_path / identity), use="server")


def test_signing_goes_on_without_the_root_and_the_status_says_so(world: World, authority: str) -> None:
    """The root's key is needed for the next issuing CA only."""
    _system(world, "delete", "secret", _ca(authority, "root.1"))
    wait_until(lambda: _condition(world, authority, "KeyLost").get("status") == "True", "the loss is told")
    world.apply("billing", authority=authority)
    world.wait_ready("billing")

    assert "restore its Secret from a backup" in _condition(world, authority, "KeyLost")["message"]
    assert ["issuing.1"] == _cas(world, authority)


def test_without_any_key_nothing_is_made_until_the_backup_is_restored(world: World, authority: str) -> None:
    """The files stay, new ones wait, and after the restore the same CA signs on."""
    saved, bundle = _backup(world, authority), world.files("orders-mtls")["ca.crt"]
    _system(world, "delete", "secret", _ca(authority, "root.1"), _ca(authority, "issuing.1"))
    _wait_reason(world, authority, "KeyLost")
    world.apply("billing", authority=authority)
    condition = world.wait_reason("billing", "AuthorityNotReady")
    assert "KeyLost" in condition["message"]
    assert [] == _cas(world, authority)

    _system(world, "apply", "--filename", "-", stdin=saved)
    world.wait_ready("billing", "orders")
    assert ["issuing.1", "root.1"] == _cas(world, authority)
    assert bundle == world.files("billing-mtls")["ca.crt"]


def test_a_lost_ledger_is_rebuilt_from_what_is_there(world: World, authority: str) -> None:
    """No new CA is made, and no leaf is replaced."""
    serial, bundle = world.serial("orders"), world.files("orders-mtls")["ca.crt"]
    _system(world, "delete", "configmap", f"mutualtls-ledger.{authority}")
    authorities.apply(world, authority, suspend=False)
    world.apply("billing", authority=authority)
    world.wait_ready("billing")
    wait_until(lambda: _system(world, "get", "configmap", f"mutualtls-ledger.{authority}", check=False), "it is there")

    assert ["issuing.1", "root.1"] == _cas(world, authority)
    assert serial == world.serial("orders")
    assert bundle == world.files("billing-mtls")["ca.crt"]


@pytest.mark.parametrize(
    "status_is_lost",
    [False, pytest.param(True, marks=pytest.mark.further)],
    ids=["status is there", "status is lost, too"],
)
def test_all_is_lost_and_given_up(world: World, authority: str, tmp_path: Path, *, status_is_lost: bool) -> None:
    """Without ledger and keys no CA is made until the root is abandoned; then a second one signs, after its soak."""
    world.kubectl("patch", "mtlsca", authority, "--type=merge", "--patch", '{"spec":{"rotation":{"soak":"2s"}}}')
    old_root = _bundle(world, "orders-mtls")[0]
    assert world.operator.stop()
    _system(world, "delete", "secret", _ca(authority, "root.1"), _ca(authority, "issuing.1"))
    _system(world, "delete", "configmap", f"mutualtls-ledger.{authority}")
    if status_is_lost:
        world.kubectl(
            "patch", "mtlsca", authority, "--subresource=status", "--type=merge", "--patch", '{"status":null}'
        )
    world.operator.start()
    _wait_reason(world, authority, "KeyLost")  # if nothing else, the ClusterTrustBundle tells of the root
    assert [] == _cas(world, authority)

    (order,) = [word for word in _condition(world, authority)["message"].split() if len(word) == 64]
    world.kubectl("annotate", "mtlsca", authority, f"mutualtls.dev/abandon={order}")
    _wait_reason(world, authority, "Active")
    world.apply("billing", authority=authority)
    world.wait_ready("billing")
    wait_until(lambda: len(_bundle(world, "orders-mtls")) == 2, "both roots are trusted")

    assert ["issuing.2", "root.2"] == [ca for ca in _cas(world, authority) if ca.endswith(".2")]
    assert old_root in _bundle(world, "billing-mtls")
    assert "Signing" == _condition(world, authority, "Rotating")["reason"]
    for identity in ("orders", "billing"):
        verify.chain(world.save_files(f"{identity}-mtls", tmp_path / identity), use="client")


def test_a_lost_status_is_written_anew(world: World, authority: str) -> None:
    """It is a copy."""
    before = _generations(world, authority)
    world.kubectl("patch", "mtlsca", authority, "--subresource=status", "--type=merge", "--patch", '{"status":null}')
    _wait_reason(world, authority, "Active")

    assert before == _generations(world, authority)


def test_an_authority_of_another_operator_is_left_alone(world: World, authority: str) -> None:
    """Nothing is written of it or its identities, until the annotation that names that operator is taken away."""
    elsewhere, nobody = "mutualtls.dev/operator-namespace=elsewhere", "mutualtls.dev/operator-namespace-"
    of_authority, of_orders = (_written(world, *which) for which in (("mtlsca", authority), ("mtls", "orders")))
    world.kubectl("annotate", "mtlsca", authority, elsewhere, "--overwrite")
    wait_until(lambda: _events_about_others(world, authority), "an Event in the operator's own namespace tells")
    world.apply("billing", authority=authority)
    world.apply("orders", authority=authority, usages=["client auth"])
    world.apply("next")
    world.wait_ready("next")
    time_of_status = _written(world, "mtlsca", authority)

    assert ("Ready", "True") == (_condition(world, authority)["type"], _condition(world, authority)["status"])
    assert "status" not in (world.get("mtls", "billing") or {}) or "conditions" not in world.status("billing")
    assert (of_authority, of_orders) == (time_of_status, _written(world, "mtls", "orders"))

    world.kubectl("annotate", "mtlsca", authority, nobody)
    world.wait_ready("billing", "orders")
    assert ["issuing.1", "root.1"] == _cas(world, authority)


def _written(world: World, kind: str, name: str) -> object:
    """Read the status of an object as it stands."""
    return (world.get(kind, name) or {})["status"]


def _events_about_others(world: World, authority: str) -> list[str]:
    """List what Events in the operator's own namespace say of an authority that is not its own."""
    told = world.client.find("event", namespace=NAMESPACE)
    return [one["message"] for one in told if one["reason"] == "OtherOperator" and authority in one["message"]]


@pytest.mark.further
def test_the_ca_of_another_authority_is_not_used(world: World, authority: str) -> None:
    """It is refused under our Secret's name, too; our CA is used again when it is restored."""
    saved, other = _backup(world, authority), f"{authority}-other"
    authorities.apply(world, other)
    _wait_reason(world, other, "Active")
    theirs = json.loads(_system(world, "get", "secret", _ca(other, "issuing.1"), "--output", "json"))
    metadata = {"name": _ca(authority, "issuing.1"), "labels": theirs["metadata"]["labels"]}
    world.operator.stop()
    _system(world, "delete", "secret", _ca(authority, "issuing.1"))
    _system(world, "create", "--filename", "-", stdin=json.dumps(theirs | {"metadata": metadata}))
    world.operator.start()
    _wait_reason(world, authority, "CAUnreadable")
    world.apply("billing", authority=authority)
    world.wait_reason("billing", "AuthorityNotReady")

    world.operator.stop()
    _system(world, "delete", "secret", _ca(authority, "issuing.1"))
    _system(world, "apply", "--filename", "-", stdin=saved)
    world.operator.start()
    world.wait_ready("billing", "orders")


def test_a_root_that_somebody_writes_into_the_status_is_not_trusted(world: World, authority: str) -> None:
    """The status is a copy of the ledger, whatever it says."""
    bundle = world.files("orders-mtls")["ca.crt"]
    authorities.apply(world, f"{authority}-other")
    wait_until(lambda: _condition(world, f"{authority}-other").get("reason") == "Active", "the other one signs")
    theirs, ours = (_generations(world, name) for name in (f"{authority}-other", authority))
    forged = [one | {"number": 99} for one in theirs]
    patch = json.dumps({"status": {"generations": [*ours, *forged, ours[0] | {"number": 7, "certificate": "none"}]}})
    world.kubectl("patch", "mtlsca", authority, "--subresource=status", "--type=merge", "--patch", patch)
    wait_until(lambda: _generations(world, authority) == ours, "the status is mended")
    world.apply("billing", authority=authority)
    world.wait_ready("billing")

    assert bundle == world.files("billing-mtls")["ca.crt"]
    assert bundle == world.files("orders-mtls")["ca.crt"]


def _generations(world: World, name: str) -> list[dict[str, Any]]:
    body = world.get("mtlsca", name) or {}
    return list(body["status"]["generations"])


def test_an_authority_that_is_made_again_takes_up_its_ca(world: World, authority: str) -> None:
    """Deleting an authority leaves its CA; no leaf is replaced."""
    serial = world.serial("orders")
    world.delete("mtlsca", authority)
    world.wait_reason("orders", "AuthorityNotFound")
    authorities.apply(world, authority)
    world.wait_ready("orders")

    assert ["issuing.1", "root.1"] == _cas(world, authority)
    assert serial == world.serial("orders")


@pytest.mark.long
@pytest.mark.further
def test_an_issuing_ca_is_replaced_at_half_its_life(world: World, tmp_path: Path) -> None:
    """Its leaves are made anew, no bundle changes, and nothing is told of it."""
    name = f"short-{world.namespace}"
    leaf = {"duration": "1m", "minDuration": "1m", "maxDuration": "1m"}
    authorities.apply(world, name, issuing={"duration": "2m"}, leaf=leaf)
    world.apply("orders", authority=name, renewBefore="10s")
    world.wait_ready("orders")
    bundle, issuer = world.files("orders-mtls")["ca.crt"], world.status("orders")["certificate"]["issuerKeyID"]
    wait_until(
        lambda: world.status("orders")["certificate"]["issuerKeyID"] != issuer,
        "the leaf is of the next issuing CA",
        deadline_s=120,
    )

    assert bundle == world.files("orders-mtls")["ca.crt"]
    assert {"issuing.1", "issuing.2", "root.1"} <= set(_cas(world, name))
    assert [] == world.events("orders")
    verify.chain(world.save_files("orders-mtls", tmp_path / "files"), use="server")
