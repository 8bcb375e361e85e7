"""CAs of outside PKIs: taken in by what peers will do, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from devtools.clusters.operators import wait_until
from support import strangers, verify
from support.authority import AnAuthority
from support.world import World

CORP = x509.NameConstraints([x509.DNSName("corp.example.com")], None)
NO_SERVICES = x509.NameConstraints(None, [x509.DNSName("svc.cluster.local")])


@pytest.fixture
def authority(world: World) -> AnAuthority:
    """An authority of the test's own, which is yet to be applied."""
    return AnAuthority(world=world, name=f"of-{world.namespace}")


def _apply(authority: AnAuthority, **spec: object) -> None:
    source = {"root": {"secretRef": {"name": f"{authority.name}-source"}}, "trustDomain": "example.com"}
    authority.apply(**source, **spec)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(CORP, "orders.{}.svc is outside the DNS names that CN=Team permits", id="permitted"),
        pytest.param(
            NO_SERVICES,
            "orders.{}.svc.cluster.local is within the DNS names that CN=Team excludes",
            marks=pytest.mark.further,
            id="excluded",
        ),
    ],
)
def test_names_that_an_outside_ca_does_not_allow_are_refused(
    world: World, authority: AnAuthority, tmp_path: Path, found: x509.NameConstraints, said: str
) -> None:
    """No certificate is signed that peers refuse; others are issued, and statuses hold a long key identifier."""
    made = strangers.ca("Team", strangers.ca("Corp"), further=((found, True),), key_id=b"k" * 48)
    authority.put_source(strangers.files(made))
    _apply(authority, permits=[{"namespaceSelector": {}, "dnsNames": ["**.corp.example.com"]}])
    world.apply("orders", authority=authority.name)
    assert said.format(world.namespace) in world.wait_reason("orders", "NotPermitted")["message"]

    world.apply("billing", authority=authority.name, services=[], dnsNames=["billing.corp.example.com"])
    world.wait_ready("billing")
    verify.chain(world.save_files("billing-mtls", tmp_path / "files"), name="billing.corp.example.com", use="server")
    key_id = (b"k" * 48).hex()
    assert key_id == world.status("billing")["certificate"]["issuerKeyID"]
    assert key_id in {one["keyID"] for one in authority.status()["generations"]}


def test_a_ca_that_peers_refuse_is_not_taken_in(world: World, authority: AnAuthority) -> None:
    """It is refused as the first CA, with the reason in `kubectl get`, and in the place of a good one."""
    weak, good = strangers.ca("Weak", key=strangers.rsa_key(1024)), strangers.ca("Good")
    authority.put_source(strangers.files(weak))
    _apply(authority)
    why = "CN=Weak has an RSA key of 1024 bits, and OpenSSL at security level 2 takes none below 2048"
    wait_until(lambda: authority.condition("Ready").get("reason") == "SourceInvalid", "the source is refused")
    wide = world.cluster.kubectl("get", "mtlsca", authority.name, "--output=wide")
    assert f"there is no CA that can be used in Secret {authority.name}-source: {why}" in wide

    authority.swap_source(strangers.files(good))
    authority.issue("orders")
    serial = world.serial("orders")
    odd = strangers.ca("Odd", key=strangers.ec_key(strangers.BRAINPOOL))
    authority.swap_source(strangers.files(odd))
    wait_until(lambda: authority.condition("Drifted").get("reason") == "SourceInvalid", "the other is refused")
    assert "CN=Odd has a key on the curve brainpoolP256r1" in authority.condition("Drifted")["message"]
    assert {"root 1": "Active", "issuing 1": "Active"} == authority.states()
    assert serial == world.serial("orders")


@pytest.mark.further
def test_a_root_that_signed_itself_with_sha1_is_taken_in(world: World, authority: AnAuthority, tmp_path: Path) -> None:
    """Its own signature matters to nobody."""
    authority.put_source(strangers.files(strangers.ca("Old", key=strangers.rsa_key(2048), digest="sha1")))
    _apply(authority)
    authority.issue("orders")

    verify.chain(world.save_files("orders-mtls", tmp_path / "files"), use="server")
