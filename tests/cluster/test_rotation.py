"""Roots and issuing CAs are replaced by order, rolled back, approved, taken from an outside PKI."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest

from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes
from support import outside, verify
from support.authority import QUICK, AnAuthority
from support.world import World


@pytest.fixture
def authority(world: World) -> AnAuthority:
    """An authority of the test's own, which has signed for two identities."""
    made = AnAuthority(world=world, name=f"of-{world.namespace}")
    made.apply()
    made.issue("orders", "billing")
    return made


def _server_name(world: World, identity: str) -> str:
    return f"{identity}.{world.namespace}.svc"


def test_a_root_is_replaced_by_order(world: World, authority: AnAuthority, tmp_path: Path) -> None:
    """The keys of the old CAs are deleted; consumers with the new bundle refuse what they signed."""
    old = world.save_files("orders-mtls", tmp_path / "old")
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")

    assert {"issuing.1": ["tls.crt"], "issuing.2": ["tls.crt", "tls.key"], "root.1": ["tls.crt"]}.items() <= (
        authority.secrets().items()
    )
    assert {authority.fingerprint("root 2")} == authority.bundle("orders") == authority.bundle("billing")
    new = {name: world.save_files(f"{name}-mtls", tmp_path / name) for name in ("orders", "billing")}
    verify.chain(new["orders"], name=_server_name(world, "orders"), use="server")
    handshakes.handshake(new["orders"], new["billing"], name=_server_name(world, "orders"))
    with pytest.raises(ssl.SSLError, match="unable to get local issuer certificate"):
        handshakes.handshake(old, new["billing"], name=_server_name(world, "orders"))


def test_an_order_that_stays_is_obeyed_once(world: World, authority: AnAuthority) -> None:
    """An order in Git stays; the status says why it is not obeyed again."""
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    assert "root 2 was made already" == authority.refused("rotate-root")

    world.operator.kill()
    world.operator.start()
    authority.issue("payments")
    assert "root.3" not in authority.secrets()


def test_each_phase_is_told_by_an_event(authority: AnAuthority) -> None:
    """The Event is about the authority, in the namespace `default`."""
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")

    phases = {("Normal", phase) for phase in ("Publishing", "Signing", "Stable")}
    wait_until(lambda: phases <= set(authority.events()), "each is told")


def test_nothing_goes_on_without_an_approval(authority: AnAuthority) -> None:
    """Each phase needs one of its own."""
    authority.apply(rotation=QUICK | {"approval": "Manual"})
    authority.rotate()
    for phase in ("Signing", "Retiring"):
        approval = f"mutualtls.dev/approve: {{}}/{phase}"
        wait_until(lambda: authority.awaited().startswith("waits for the annotation"), "it waits for an approval")
        incoming = authority.fingerprint("root 2")
        assert f"waits for the annotation {approval.format(incoming)}" == authority.awaited()
        authority.order("approve", f"{incoming}/{phase}")
        wait_until(lambda: authority.phase() in {phase, "Stable"}, f"it is {phase}")  # noqa: B023
    authority.wait_phase("Stable")


@pytest.mark.parametrize("phase", ["Publishing", "Signing"])
def test_a_rotation_is_rolled_back(authority: AnAuthority, phase: str) -> None:
    """The old root goes on, and the new one's keys are deleted."""
    authority.apply(rotation=QUICK | {"approval": "Manual"})
    authority.rotate()
    authority.wait_phase("Publishing")
    wait_until(lambda: "root 2" in authority.states(), "there is another root")
    incoming = authority.fingerprint("root 2")
    if phase == "Signing":
        authority.order("approve", f"{incoming}/Signing")
        authority.wait_phase("Signing")
    old = authority.fingerprint("root 1")
    wait_until(lambda: {old, incoming} == authority.bundle("orders"), "both are trusted")
    authority.order("roll-back", incoming)
    authority.wait_phase("Stable")

    assert {"root 1": "Active", "issuing 1": "Active"} == authority.states()
    assert {"root.2": ["tls.crt"], "issuing.2": ["tls.crt"]}.items() <= authority.secrets().items()
    wait_until(lambda: {old} == authority.bundle("orders"), "the old one alone is trusted")
    assert "it names no incoming root" == authority.refused("roll-back")
    assert authority.offered("rotate-root").endswith("/3")


def test_a_stolen_issuing_key_takes_the_root_with_it(authority: AnAuthority) -> None:
    """Both go at once, without the approval that is asked for otherwise."""
    authority.apply(rotation=QUICK | {"approval": "Manual", "retire": "AfterExpiry"})
    authority.order("compromised", authority.fingerprint("issuing 1"))
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")

    assert {"root 2": "Active", "issuing 2": "Active"} == authority.states()


def test_an_issuing_ca_is_replaced_by_order(world: World, authority: AnAuthority) -> None:
    """The certificates are replaced with it; no bundle changes."""
    before, serial = authority.bundle("orders"), world.serial("orders")
    authority.order("rotate-issuing", authority.offered("rotate-issuing"))
    world.wait_reissued("orders", serial)

    assert {"issuing 1": "Retiring", "issuing 2": "Active", "root 1": "Active"} == authority.states()
    assert before == authority.bundle("orders")


LIVES = {"late": "50h", "soon": "10h", "later": "70h", "sooner": "5h", "between": "30h"}
"""By identity; in another order than that of their ends."""


def test_certificates_are_made_anew_at_a_pace(world: World, authority: AnAuthority) -> None:
    """The one that ends soonest is first, and a first certificate waits for none of them."""
    authority.apply(rotation=QUICK | {"pace": 1})
    for name, life in LIVES.items():
        world.apply(name, authority=authority.name, duration=life)
    world.wait_ready(*LIVES)
    serials = {name: world.serial(name) for name in LIVES}
    authority.order("rotate-issuing", authority.offered("rotate-issuing"))
    world.wait_reissued("sooner", serials["sooner"])
    authority.issue("payments")
    assert serials["later"] == world.serial("later")
    for name, serial in serials.items():
        world.wait_reissued(name, serial)

    made = [world.status(name)["certificate"]["notBefore"] for name in sorted(LIVES, key=_hours)]
    assert sorted(made) == made
    assert len(LIVES) == len(set(made))


def _hours(name: str) -> int:
    return int(LIVES[name].removesuffix("h"))


def _leave_behind(world: World, authority: AnAuthority) -> None:
    """Have an identity whose Secret cannot be brought up to date."""
    world.apply("payments", authority=authority.name)
    world.wait_ready("payments")
    world.apply("payments", authority=authority.name, suspend=True)
    world.freeze("payments-mtls")


@pytest.mark.further
def test_a_phase_that_nobody_waited_for_is_told_with_who_was_left_behind(world: World, authority: AnAuthority) -> None:
    """A warning names them, and so does the status as long as that phase lasts."""
    _leave_behind(world, authority)
    authority.apply(rotation=QUICK | {"approval": "Manual"})
    authority.rotate()
    left = [f"secret {world.namespace}/payments-mtls"]
    wait_until(lambda: authority.status().get("next", {}).get("excusedNames") == left, "it is named", deadline_s=60)
    authority.order("approve", authority.offered("approve"))
    authority.wait_phase("Signing")

    told = {("Warning", "LaggardsExcused"), ("Warning", "Signing")}
    wait_until(lambda: told <= set(authority.events()), "both are told")


@pytest.mark.further
def test_what_cannot_be_written_is_waited_for_and_then_excused(world: World, authority: AnAuthority) -> None:
    """The Secret of a suspended identity that cannot be changed holds a rotation up for the time of laggards."""
    _leave_behind(world, authority)
    authority.rotate()
    laggard = [f"secret {world.namespace}/payments-mtls"]
    wait_until(lambda: authority.status().get("next", {}).get("laggards") == laggard, "it is waited for", deadline_s=60)
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")


def test_what_no_identity_has_is_named_and_not_waited_for(world: World, authority: AnAuthority) -> None:
    """Copies in two namespaces and the Secret of a deleted identity bear all marks, and count for nothing."""
    elsewhere = f"{world.namespace}-mirror"
    world.client.create("namespace", {"metadata": {"name": elsewhere}})
    files = world.get("secret", "orders-mtls") or {}
    for namespace, name in ((elsewhere, "orders-mtls"), (world.namespace, "orders-backup")):
        marks = {key: files["metadata"][key] for key in ("labels", "annotations")}
        body = {"metadata": {"name": name} | marks, "type": files["type"], "data": files["data"]}
        world.client.create("secret", body, namespace=namespace)
    world.apply("payments", authority=authority.name, secret={"deletionPolicy": "Retain"})
    world.wait_ready("payments")
    world.delete("mtls", "payments")
    authority.apply(rotation=QUICK | {"approval": "Manual", "laggardTimeout": "30m"})
    authority.rotate()
    left = [f"{elsewhere}/orders-mtls", f"{world.namespace}/orders-backup", f"{world.namespace}/payments-mtls"]
    for phase in ("Signing", "Retiring"):
        wait_until(lambda: authority.awaited().endswith(f"/{phase}"), "all is done", deadline_s=60)  # noqa: B023
        told = authority.status()["next"]
        assert (3, sorted(f"secret {key}" for key in left)) == (told.get("skipped"), told.get("skippedNames"))
        assert [] == [field for field in ("behind", "excused") if field in told]
        authority.order("approve", authority.offered("approve"))
    authority.wait_phase("Stable")
    world.client.delete("namespace", elsewhere)

    assert ("Warning", "LaggardsExcused") not in authority.events()


def test_a_root_signs_by_itself(world: World, tmp_path: Path) -> None:
    """There is one tier with `issuing.enabled: false`; it is replaced as well."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    authority.apply(issuing={"enabled": False})
    authority.issue("orders")
    assert {"root.1": ["tls.crt", "tls.key"]} == authority.secrets()
    verify.chain(world.save_files("orders-mtls", tmp_path / "first"), use="client")

    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    verify.chain(world.save_files("orders-mtls", tmp_path / "second"), use="client")
    assert {"root 2": "Active"} == authority.states()


@pytest.mark.further
def test_an_outside_root_is_taken_and_swapped(world: World, tmp_path: Path) -> None:
    """The swap goes through the phases; a source that cannot be used changes nothing."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    first, second = outside.make("first"), outside.make("second")
    authority.put_source(first.files())
    source = {"root": {"secretRef": {"name": f"{authority.name}-source"}}, "trustDomain": "example.com"}
    authority.apply(**source)
    authority.issue("orders")
    assert {first.fingerprint} == authority.bundle("orders")

    authority.swap_source(second.files() | {"tls.key": first.files()["tls.key"]})
    wait_until(lambda: authority.condition("Drifted").get("reason") == "SourceInvalid", "the source is refused")
    assert "tls.key is not the key of the first certificate" in authority.condition("Drifted")["message"]
    assert {first.fingerprint} == authority.bundle("orders")

    authority.swap_source(second.files())
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    assert {second.fingerprint} == authority.bundle("orders")
    verify.chain(world.save_files("orders-mtls", tmp_path / "files"), use="client")


@pytest.mark.further
def test_an_outside_intermediate_signs_and_is_swapped(world: World, tmp_path: Path) -> None:
    """It needs no key of its root; another one under that root signs at once, and no bundle changes."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    root = outside.make("root")
    above = outside.make("above", signer=root)
    authority.put_source(outside.make("first", signer=above).files())
    source = {"root": {"secretRef": {"name": f"{authority.name}-source"}}, "trustDomain": "example.com"}
    authority.apply(**source)
    authority.issue("orders")
    assert {"issuing.1": ["ca.crt", "tls.crt", "tls.key"]} == authority.secrets()
    assert {root.fingerprint} == authority.bundle("orders")
    verify.chain(world.save_files("orders-mtls", tmp_path / "first"), use="client")

    serial = world.serial("orders")
    authority.swap_source(outside.make("second", signer=above).files())
    world.wait_reissued("orders", serial)
    assert "Stable" == authority.phase()
    assert {root.fingerprint} == authority.bundle("orders")
    verify.chain(world.save_files("orders-mtls", tmp_path / "second"), use="client")


@pytest.mark.further
def test_the_key_of_an_outside_root_is_taken_elsewhere_and_brought_back(world: World, tmp_path: Path) -> None:
    """It is deleted here once an intermediate signs; what the source has is copied again when it is lost."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    root, with_key = outside.make("root"), ["ca.crt", "tls.crt", "tls.key"]
    authority.put_source(root.files())
    source = {"root": {"secretRef": {"name": f"{authority.name}-source"}}, "trustDomain": "example.com"}
    authority.apply(issuing={"enabled": False}, **source)
    authority.issue("orders")

    def looked_at_anew() -> None:
        world.operator.kill()
        world.operator.start()

    authority.put_source(outside.make("team", signer=root).files())
    looked_at_anew()
    wait_until(lambda: {"issuing.1": with_key} == authority.secrets(), "the intermediate is here, and no root")
    authority.issue("payments")
    verify.chain(world.save_files("payments-mtls", tmp_path / "payments"), use="client")
    authority.system("delete", "secret", f"mutualtls-ca.{authority.name}.issuing.1")
    looked_at_anew()
    wait_until(lambda: {"issuing.1": with_key} == authority.secrets(), "the intermediate is copied again")
    authority.put_source(root.files())
    looked_at_anew()
    wait_until(lambda: "root.1" in authority.secrets(), "the root has its key again")
    authority.issue("billing")

    assert "Stable" == authority.phase()
    assert "root 1" in authority.states()
    assert {root.fingerprint} == authority.bundle("billing") == authority.bundle("orders")
    verify.chain(world.save_files("billing-mtls", tmp_path / "billing"), use="client")


@pytest.mark.further
def test_an_outside_intermediate_survives_a_lost_ledger(world: World, tmp_path: Path) -> None:
    """It survives a lost status, too, and a spec that no longer names it: its Secret says it all."""
    authority = AnAuthority(world=world, name=f"of-{world.namespace}")
    root = outside.make("root")
    authority.put_source(outside.make("first", signer=outside.make("above", signer=root)).files())
    authority.apply(root={"secretRef": {"name": f"{authority.name}-source"}}, trustDomain="example.com")
    authority.issue("orders")
    serial = world.serial("orders")
    world.operator.kill()
    authority.system("delete", "configmap", f"mutualtls-ledger.{authority.name}")
    authority.system("delete", "secret", f"{authority.name}-source")
    authority.apply(trustDomain="example.com")
    no_status = '--patch={"status": {"generations": []}}'
    world.kubectl("patch", "mtlsca", authority.name, "--subresource=status", "--type=merge", no_status)
    world.operator.start()
    authority.issue("payments")

    assert {"root 1": "Active", "issuing 1": "Active"} == authority.states()
    assert {root.fingerprint} == authority.bundle("payments")
    assert serial == world.serial("orders")
    verify.chain(world.save_files("payments-mtls", tmp_path / "files"), use="client")


def test_a_ledger_of_before_the_rotation_is_not_believed(world: World, authority: AnAuthority, tmp_path: Path) -> None:
    """The ledger of a backup is rebuilt from what is there, and the old root signs nothing again."""
    name = f"mutualtls-ledger.{authority.name}"
    backup = json.loads(authority.system("get", "configmap", name, "--output=json"))["data"]["ledger.json"]
    authority.rotate()
    wait_until(lambda: authority.states().get("root 2") == "Active", "root 2 signs", deadline_s=60)
    authority.wait_phase("Stable")
    patch = tmp_path / "patch.json"
    patch.write_text(json.dumps({"data": {"ledger.json": backup}}))
    authority.system("patch", "configmap", name, "--type=merge", f"--patch-file={patch}")
    world.operator.kill()
    world.operator.start()
    authority.issue("payments")

    wait_until(lambda: authority.states() == {"root 2": "Active", "issuing 2": "Active"}, "the ledger is rebuilt")
    assert {authority.fingerprint("root 2")} == authority.bundle("payments")
