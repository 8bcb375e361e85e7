"""Specs that nobody thought of, and Secrets damaged in every way, on a real API server.

Each spec is issued as `conformance.check` accepts, or refused with fields and reasons; each damage is mended, or left
where it damages nothing. Nothing is written twice, and the operator never stumbles. What is tried is the same in every
run.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator, wait_until
from support import conformance, rival
from support.conformance import Row
from support.world import World

BATCHES = 4
IDENTITIES = 25
"""In each batch, all applied at once."""
_JUDGED = ("Issued", "NotPermitted", "InvalidSpec")

labels = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda label: "--" not in label)
odd = st.sampled_from(
    ["", "*", ".", "a..b", "-a", "a_b", "xn--a", "É", "p\u0430y", "a b", "a\n", "\0", "%2e", "x" * 64]
)
domains = st.lists(labels, min_size=1, max_size=3).map(lambda found: ".".join([*found, "example.com"]))
dns_names = st.one_of(
    domains,
    domains.map(str.upper),
    labels.map(lambda label: f"*.{label}.NS.svc"),
    labels.map(lambda label: f"{label}.NS.svc.cluster.local"),
    labels.map(lambda label: f"{label}.pay.svc"),
    st.tuples(odd, domains).map(".".join),
)
ips = st.one_of(
    st.ip_addresses(network="10.0.0.0/8").map(str),
    st.ip_addresses(network="2001:db8::/32").map(lambda found: found.exploded.upper()),
    st.sampled_from(["127.0.0.1", "::ffff:10.0.0.1", "10.0.0", "fe80::1%eth0", "0"]),
)
uris = st.one_of(
    domains.map(lambda host: f"https://{host}/a"),
    labels.map(lambda name: f"spiffe://example.org/{name}"),
    labels.map(lambda name: f"spiffe://cluster.local/ns/pay/sa/{name}"),
    odd.map(lambda text: f"spiffe://example.org/{text}"),
)
emails = st.one_of(domains.map(lambda host: f"ops@{host}"), odd.map(lambda text: f"{text}@example.com"))
texts = st.one_of(labels, odd)
keys = st.sampled_from(
    [
        {},
        {"algorithm": "ECDSA", "size": 384, "encoding": "SEC1"},
        {"algorithm": "Ed25519"},
        {"algorithm": "RSA", "encoding": "PKCS1"},
        {"algorithm": "Ed25519", "encoding": "PKCS1"},
        {"rotationPolicy": "Never"},
    ]
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "services": st.lists(st.one_of(labels, odd), max_size=3, unique=True),
        "serviceAccountName": st.one_of(labels, odd),
        "dnsNames": st.lists(dns_names, max_size=4, unique=True),
        "ipAddresses": st.lists(ips, max_size=3, unique=True),
        "uris": st.lists(uris, max_size=2, unique=True),
        "emailAddresses": st.lists(emails, max_size=2, unique=True),
        "subject": st.fixed_dictionaries(
            {}, optional={"commonName": texts, "organizations": st.lists(texts, max_size=2)}
        ),
        "usages": st.lists(st.sampled_from(["server auth", "client auth"]), min_size=1, max_size=2, unique=True),
        "duration": st.sampled_from(["10m", "24h", "1h30m", "168h", "1000h"]),
        "privateKey": keys,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A cluster with an authority that permits much."""

    cluster: Cluster
    operator: Operator
    authority: str

    def world(self) -> World:
        """Make a namespace of a batch's own."""
        namespace = f"fuzz-{secrets.token_hex(3)}"
        self.cluster.kubectl("create", "namespace", namespace)
        return World(cluster=self.cluster, operator=self.operator, namespace=namespace)


@pytest.fixture(scope="module")
def field(cluster: Cluster, operator: Operator) -> Iterator[Field]:
    """An authority of the module's own. Whatever is tried, the operator has logged no programming error in the end."""
    name = f"fuzz-{secrets.token_hex(3)}"
    head = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": name}}
    spec = {"leaf": {"minDuration": "1m"}, "permits": conformance.PERMITS}
    cluster.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump(head | {"spec": spec}))
    yield Field(cluster=cluster, operator=operator, authority=name)
    assert not operator.logged("programming error")


def examples(test: Callable[..., None]) -> Callable[..., None]:
    """Try a few batches, the same in every run, each as large as it is."""
    chosen = settings(
        max_examples=BATCHES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a batch takes too long to be made smaller
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.large_base_example,
            HealthCheck.too_slow,
        ],
    )
    return chosen(test)


def _apply_all(world: World, authority: str, asked: dict[str, dict[str, Any]]) -> list[str]:
    """Apply identities, and name those that the API server takes."""
    manifests = [
        world.manifest(name, authority=authority, **_filled(spec, world, name)) for name, spec in asked.items()
    ]
    world.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests), check=False)
    taken = world.kubectl("get", "mtls", "--output", "name").split()
    return [name.rpartition("/")[2] for name in taken]


def _filled(spec: dict[str, Any], world: World, identity: str) -> dict[str, Any]:
    text = conformance.filled(json.dumps(spec), namespace=world.namespace, identity=identity)
    return dict(json.loads(text))


@pytest.mark.further
@examples
@given(st.lists(specs, min_size=IDENTITIES, max_size=IDENTITIES))
def test_a_spec_is_issued_as_asked_or_refused_in_words(
    field: Field, tmp_path_factory: pytest.TempPathFactory, batch: list[dict[str, Any]]
) -> None:
    """The operator writes the two objects of each, or one status, and nothing else."""
    world = field.world()
    asked = {f"identity-{number}": spec for number, spec in enumerate(batch)}
    taken = _apply_all(world, field.authority, asked)
    for name in taken:
        wait_until(lambda: world.condition(name).get("reason") in _JUDGED, f"{name} is judged", deadline_s=60)  # noqa: B023

    issued = [name for name in taken if world.condition(name)["reason"] == "Issued"]
    for name in taken:
        if name in issued:
            row = _expected(_filled(asked[name], world, name), world, name)
            conformance.check(world, row, name, tmp_path_factory.mktemp("files"))
        else:
            faults = world.condition(name)["message"].split("; ")
            assert any(fault.startswith(("spec.", "metadata.name:", "spec: ")) for fault in faults)
            assert world.get("secret", f"{name}-mtls") is None
    counted = world.counted_writes()
    assert counted["create", "secrets"] == len(issued)
    assert counted["patch", "secrets"] == 0
    assert counted["patch", "mutualtlsidentities/status"] == len(taken)


def _expected(spec: dict[str, Any], world: World, name: str) -> Row:
    """Say what a certificate must hold, from the spec alone, for what is written in the plain."""
    own = [f"{service}.{world.namespace}.svc" for service in spec.get("services", [name])]
    account = spec.get("serviceAccountName", name)
    ids = [f"spiffe://cluster.local/ns/{world.namespace}/sa/{account}"] if account else []
    subject = spec.get("subject", {})
    common = [f"CN={subject['commonName']}"] if subject.get("commonName") else []
    organizations = [f"O={one}" for one in reversed(subject.get("organizations", []))]
    key = {"algorithm": "ECDSA", "encoding": "PKCS8"} | spec.get("privateKey", {})
    sizes = {"ECDSA": " 256", "RSA": " 2048", "Ed25519": ""}
    size = f" {key['size']}" if "size" in key else sizes[key["algorithm"]]
    dns = {*own, *(f"{one}.cluster.local" for one in own), *map(_a_labels, spec.get("dnsNames", []))}
    return Row(
        title=name,
        dns=sorted(dns),
        ips=sorted({str(ipaddress.ip_address(one)) for one in spec.get("ipAddresses", [])}),
        emails=sorted(spec.get("emailAddresses", [])),
        uris=sorted({*ids, *spec.get("uris", [])}),
        subject=",".join([*common, *organizations]),
        key=f"{key['algorithm']}{size}",
        encoding=key["encoding"],
        usages=spec.get("usages", ["client auth", "server auth"]),
        life=_DURATIONS[spec.get("duration", "24h")],
    )


def _a_labels(name: str) -> str:
    """Convert by the standard library's codec, which is not what the operator uses."""
    return name.lower().encode("idna").decode()


_DURATIONS = {
    "10m": timedelta(minutes=10),
    "1h30m": timedelta(minutes=90),
    "24h": timedelta(hours=24),
    "168h": timedelta(hours=168),
}


# Damaged Secrets

Damage = Callable[[World, str, random.Random], None]
_FILES = ("tls.key", "tls.crt", "ca.crt")


def _write(world: World, secret: str, file: str, content: bytes) -> None:
    rival.patch(world, secret, {"data": {file: base64.b64encode(content).decode()}})


def garbage(world: World, secret: str, draw: random.Random) -> None:
    """Write anything into a file."""
    _write(world, secret, draw.choice(_FILES), draw.randbytes(draw.choice([0, 1, 40, 4000])))


def cut(world: World, secret: str, draw: random.Random) -> None:
    """Cut the end off a file."""
    file = draw.choice(_FILES)
    content = world.files(secret)[file]
    _write(world, secret, file, content[: draw.randrange(1, len(content) - 40)])


def flipped(world: World, secret: str, draw: random.Random) -> None:
    """Change one character in the middle of a file."""
    file = draw.choice(_FILES)
    content = bytearray(world.files(secret)[file])
    at = draw.randrange(60, len(content) - 60)
    content[at] = ord("A") if content[at] != ord("A") else ord("B")
    _write(world, secret, file, bytes(content))


def dropped(world: World, secret: str, draw: random.Random) -> None:
    """Take files away, or what is in them: of this type of Secret the API server wants the first two to be there."""
    files = draw.sample(_FILES, draw.randint(1, 2))
    rival.patch(world, secret, {"data": {file: None if file == "ca.crt" else "" for file in files}})


def swapped(world: World, secret: str, draw: random.Random) -> None:
    """Bring files of another identity."""
    others = world.files("donor-mtls")
    for file in draw.sample(_FILES, draw.randint(1, 3)):
        _write(world, secret, file, others[file])


def unlabelled(world: World, secret: str, draw: random.Random) -> None:
    """Take labels away."""
    labels = ["mutualtls.dev/part", "mutualtls.dev/authority", "app.kubernetes.io/managed-by"]
    taken = draw.sample(labels, draw.randint(1, 3))
    rival.patch(world, secret, {"metadata": {"labels": dict.fromkeys(taken)}})


def unannotated(world: World, secret: str, draw: random.Random) -> None:
    """Take annotations away, or write nonsense into them; but for the one by which the Secret is the identity's."""
    value = draw.choice([None, "", "{}", "nonsense", '{"serialNumber": 7}'])
    names = draw.sample(["mutualtls.dev/facts", "mutualtls.dev/owned", "mutualtls.dev/identity-name"], 2)
    rival.patch(world, secret, {"metadata": {"annotations": dict.fromkeys(names, value)}})


def disowned(world: World, secret: str, _: random.Random) -> None:
    """Take the owner away."""
    rival.patch(world, secret, {"metadata": {"ownerReferences": []}})


def frozen(world: World, secret: str, _: random.Random) -> None:
    """Make it immutable."""
    rival.patch(world, secret, {"immutable": True})


def deleted(world: World, secret: str, _: random.Random) -> None:
    """Delete it."""
    world.client.delete("secret", secret, namespace=world.namespace)


def touched(world: World, secret: str, _: random.Random) -> None:
    """Add what is nobody's business."""
    rival.patch(world, secret, {"data": {"theirs": "eWVz"}, "metadata": {"labels": {"theirs": "yes"}}})


DAMAGES: tuple[Damage, ...] = (
    garbage,
    cut,
    flipped,
    dropped,
    swapped,
    unlabelled,
    unannotated,
    disowned,
    frozen,
    deleted,
    touched,
)
damages = st.lists(
    st.tuples(st.sampled_from(DAMAGES), st.integers(min_value=0, max_value=2**32)),
    min_size=IDENTITIES,
    max_size=IDENTITIES,
)
_MOST_WRITES = 4
"""Of one mend: the Secret deleted and made anew, the status, and the status again where it told of the damage."""


@pytest.mark.further
@examples
@given(damages)
def test_a_damaged_secret_is_mended(
    field: Field, tmp_path_factory: pytest.TempPathFactory, batch: list[tuple[Damage, int]]
) -> None:
    """Whatever was done to it, its files are judged to be in order again."""
    world = field.world()
    names = [f"identity-{number}" for number in range(len(batch))]
    _apply_all(world, field.authority, {name: {} for name in [*names, "donor"]})
    world.wait_ready(*names, "donor")
    before = sum(world.counted_writes().values())
    for name, (damage, seed) in zip(names, batch, strict=True):
        damage(world, f"{name}-mtls", random.Random(seed))  # noqa: S311 - to choose what is tried

    for name in names:
        folder = tmp_path_factory.mktemp("files")
        wait_until(lambda: _is_in_order(world, name, folder), f"{name} is mended", deadline_s=60)  # noqa: B023
        assert set(_LABELS) <= _labels_of(world, name)
    assert sum(world.counted_writes().values()) - before <= _MOST_WRITES * len(names)


_LABELS = ("mutualtls.dev/part", "mutualtls.dev/authority")


def _labels_of(world: World, name: str) -> set[str]:
    return set((world.get("secret", f"{name}-mtls") or {})["metadata"]["labels"])


def _is_in_order(world: World, name: str, folder: Path) -> bool:
    if world.condition(name).get("status") != "True" or world.get("secret", f"{name}-mtls") is None:
        return False
    try:
        conformance.check(world, ROW, name, folder)
    except (AssertionError, ValueError):
        return False
    return True


ROW = conformance.ROWS[0]
