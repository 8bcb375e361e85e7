"""Fair shares: what is beyond waits, and says so; what is due by the clock or an authority does not."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator, wait_until
from devtools.machine import ports
from support import stores
from support.world import World

BURST, WINDOW_S = 3, 30
BETWEEN_S = WINDOW_S / BURST
"""After the burst there may be one change more each time that so much has passed."""
LARGE = {"algorithm": "RSA", "size": 4096}
AUTHORITY = "{apiVersion: mutualtls.dev/v1alpha1, kind: MutualTLSAuthority, metadata: {name: default}}"


class Small(World):
    """A namespace beside an operator that makes few changes at once."""

    def edit(self, name: str, *labels: str) -> None:
        """Ask for other names, one edit after the other."""
        for label in labels:
            patch = json.dumps({"spec": {"dnsNames": [f"{label}.{name}.{self.namespace}.svc"]}})
            self.kubectl("patch", "mtls", name, "--type=merge", "--patch", patch)

    def wait_throttled(self, name: str) -> dict[str, Any]:
        """Wait until an identity says that it waits: of whatever edit, as it says so once for many."""

        def ready() -> dict[str, Any]:
            conditions = (self.get("mtls", name) or {}).get("status", {}).get("conditions", ())
            return next((dict(one) for one in conditions if one["type"] == "Ready"), {})

        wait_until(lambda: ready().get("reason") == "Throttled", f"{name} is throttled")
        return ready()

    def signed(self) -> list[str]:
        """List the identities of all signatures, in the order in which they were logged."""
        lines = map(json.loads, self.operator.log.read_text().splitlines())
        return [line["identity"] for line in lines if line["message"] == "signed a certificate"]

    def names(self, name: str) -> str:
        """Read the names of the certificate that is in the Secret, as far as the log says which were signed last."""
        lines = map(json.loads, self.operator.log.read_text().splitlines())
        key = f"{self.namespace}/{name}"
        return str([one["names"] for one in lines if one.get("identity") == key and "serial" in one][-1])

    def apply_all(self, count: int, **spec: Any) -> None:
        """Apply many identities at once."""
        manifests = [self.manifest(f"i-{number}", **spec) for number in range(count)]
        self.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests))

    def neighbour(self) -> Small:
        """Make another namespace."""
        return _world(self.cluster, self.operator)


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[Cluster, Operator, int]]:
    """An operator that makes three changes at once, three more in half a minute, and one large key at a time."""
    (port,) = ports.free(1)
    with clusters.running("shares", audit=True) as cluster:
        operators.install(cluster)
        with operators.running(
            cluster, burst=str(BURST), burst_window=f"{WINDOW_S}s", large_keys="1", health_port=str(port)
        ) as operator:
            cluster.kubectl("apply", "--filename", "-", stdin=AUTHORITY)
            cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
            yield cluster, operator, port
            assert not operator.logged("programming error")


@pytest.fixture
def ours(small: tuple[Cluster, Operator, int]) -> Small:
    """A namespace of the test's own."""
    return _world(*small[:2])


def _world(cluster: Cluster, operator: Operator) -> Small:
    namespace = f"test-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    return Small(cluster=cluster, operator=operator, namespace=namespace)


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return float(re.findall(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)[0])


# Changes


@pytest.mark.further
def test_who_changes_a_spec_again_and_again_waits_and_gets_what_was_asked_for_last(
    ours: Small, small: tuple[Cluster, Operator, int]
) -> None:
    """It says so meanwhile, makes no Event of it, and keeps nobody else waiting."""
    port, neighbour, begun = small[2], ours.neighbour(), time.monotonic()
    delayed = _metric(port, "mutualtls_throttled_total")
    ours.apply("orders")
    ours.wait_ready("orders")
    ours.edit("orders", *"abcdefgh")
    condition = ours.wait_throttled("orders")
    waiting = _metric(port, f'mutualtls_throttled_identities{{namespace="{ours.namespace}"}}')
    neighbour.apply("orders")
    neighbour.wait_ready("orders")
    keys, passed_s = ours.signed(), time.monotonic() - begun

    assert "more changes were requested than are made at once, next at 20" in condition["message"]
    assert "what waits: certificate has other names than the spec asks for" in condition["message"]
    assert (1, "False") == (waiting, condition["status"])
    assert delayed < _metric(port, "mutualtls_throttled_total")
    assert keys.count(f"{ours.namespace}/orders") <= BURST + passed_s // BETWEEN_S
    assert f"{neighbour.namespace}/orders" == keys[-1]

    ours.wait_ready("orders")
    assert f"h.orders.{ours.namespace}.svc" in ours.names("orders")
    passed_s = time.monotonic() - begun
    assert ours.signed().count(f"{ours.namespace}/orders") <= BURST + passed_s // BETWEEN_S
    assert "Throttled" not in {reason for _, reason in ours.events("orders")}


def test_who_waits_for_a_change_still_has_files_and_bundle_mended(ours: Small) -> None:
    """Files that are lost, and a bundle that somebody overwrote, draw on nothing."""
    ours.apply_all(1)
    ours.apply("orders")
    ours.wait_ready("orders", "i-0")
    bundle = ours.files("orders-mtls")["ca.crt"]
    ours.edit("orders", *"abcdefgh")
    ours.wait_throttled("orders")
    other = base64.b64encode(b"another's").decode()
    ours.kubectl("patch", "secret", "orders-mtls", "--type=merge", "--patch", json.dumps({"data": {"ca.crt": other}}))
    ours.kubectl("delete", "secret", "i-0-mtls")

    wait_until(lambda: ours.files("orders-mtls")["ca.crt"] == bundle, "the bundle is mended")
    wait_until(lambda: ours.get("secret", "i-0-mtls") is not None, "the lost files are made anew")


@pytest.mark.further
def test_who_flaps_between_what_is_refused_and_what_is_not_waits_too(ours: Small) -> None:
    """Each turn would be a status and an Event, though nothing is signed; the log says it once."""
    ours.apply("orders")
    ours.wait_ready("orders")
    for number in range(5):
        ours.edit("orders", f"x{number}")
        patch = json.dumps({"spec": {"dnsNames": [f"{number}.example.com"]}})
        ours.kubectl("patch", "mtls", "orders", "--type=merge", "--patch", patch)
    ours.wait_throttled("orders")
    ours.wait_reason("orders", "NotPermitted")
    told = [line for line in ours.operator.log.read_text().splitlines() if "identity is not ready" in line]

    assert ours.counted_writes()["patch", "mutualtlsidentities/status"] < 10
    assert 1 == sum(f"{ours.namespace}/orders" in line and "NotPermitted" in line for line in told)


def test_a_shared_password_that_keeps_changing_is_one_wave_after_the_other(ours: Small) -> None:
    """All stores open with the last one in the end, and not one is written for each of the others."""
    stores.put_password(ours)
    ours.apply_all(6, formats={"pkcs12": stores.PKCS12})
    names = [f"i-{number}" for number in range(6)]
    ours.wait_ready(*names)
    for number in range(8):
        stores.put_password(ours, f"password {number}")
    wait_until(
        lambda: all(stores.opened(ours.files(f"{name}-mtls"), "password 7") for name in names),
        "all stores have the last password",
        deadline_s=90,
    )

    ours.wait_ready(*names)
    assert ours.counted_writes()["patch", "secrets"] <= 4 * 6


def test_the_largest_spec_brings_short_lines_however_it_flaps(ours: Small) -> None:
    """There is no programming error, however fast it flaps."""
    ours.apply("orders")
    ours.wait_ready("orders")
    long = ".".join(["x" * 60] * 3)
    for number in range(6):
        names = [f"{name}{number}.{long}.orders.{ours.namespace}.svc" for name in range(100)]
        patch = json.dumps({"spec": {"dnsNames": names}})
        ours.kubectl("patch", "mtls", "orders", "--type=merge", "--patch", patch)
    ours.wait_throttled("orders")
    lines = [line for line in ours.operator.log.read_text().splitlines() if f"{ours.namespace}/orders" in line]

    assert any("more" in str(json.loads(line).get("names")) for line in lines)
    assert max(map(len, lines)) < 8000


# Slow keys


def test_large_keys_are_made_one_a_namespace_in_turn(ours: Small) -> None:
    """Who asks for one waits for the one at work, not for all that came before; who asks for a small one, for none."""
    ours.apply_all(8, privateKey=LARGE)
    neighbour = ours.neighbour()
    neighbour.apply("large", privateKey=LARGE)
    neighbour.apply("small", privateKey={"algorithm": "RSA"})
    neighbour.apply("tiny")
    neighbour.wait_ready("tiny", "small", "large")
    order = [key for key in ours.signed() if key.partition("/")[0] in {ours.namespace, neighbour.namespace}]

    assert len(order) < 8 + 3
    assert order.index(f"{neighbour.namespace}/small") < order.index(f"{neighbour.namespace}/large")
    ours.kubectl("delete", "mtls", "--all")


# Memory


@pytest.mark.further
def test_what_comes_and_goes_leaves_nothing(ours: Small, small: tuple[Cluster, Operator, int]) -> None:
    """An identity leaves nothing, be it issued, refused, waiting for a key or for its share."""
    port = small[2]
    wait_until(
        lambda: _metric(port, "mutualtls_tracked_entries") < 300, "what other tests left is forgotten", deadline_s=90
    )
    before = _metric(port, "mutualtls_tracked_entries")
    specs: list[dict[str, Any]] = [{}, {"dnsNames": ["api.example.com"]}, {"privateKey": LARGE}, {"authority": "none"}]
    manifests = [ours.manifest(f"i-{number}", **specs[number % len(specs)]) for number in range(120)]
    ours.kubectl("apply", "--filename", "-", stdin="---\n".join(manifests))
    ours.wait_ready("i-116")
    ours.edit("i-116", *"abcdefgh")
    ours.wait_reason("i-117", "NotPermitted")
    full = _metric(port, "mutualtls_tracked_entries")
    ours.kubectl("delete", "mtls", "--all")
    limit = before + 70  # of what is thrown out only where it is more
    wait_until(lambda: _metric(port, "mutualtls_tracked_entries") <= limit, "all is forgotten", deadline_s=90)

    assert full > before + 120
