"""An authority as a test of CAs sees it: orders, phases, CA Secrets, ledger."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from devtools.clusters.operators import NAMESPACE, wait_until
from support.world import World

QUICK = {"soak": "1s", "retire": "AfterReplacement", "laggardTimeout": "5s"}
"""`spec.rotation` of a rotation that takes seconds."""


def apply(world: World, name: str, **spec: Any) -> None:
    """Apply an authority."""
    body = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSAuthority", "metadata": {"name": name}}
    world.client.apply("mtlsca", body | {"spec": spec})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnAuthority:
    """An authority of the test's own."""

    world: World
    name: str

    def apply(self, **spec: Any) -> None:
        """Apply it, with a quick rotation unless the spec says otherwise."""
        apply(self.world, self.name, **{"rotation": QUICK} | spec)

    def issue(self, *identities: str) -> None:
        """Have identities issued by it."""
        for identity in identities:
            self.world.apply(identity, authority=self.name)
        self.world.wait_ready(*identities)

    def status(self) -> dict[str, Any]:
        """Read its status."""
        body = self.world.get("mtlsca", self.name)
        return dict((body or {}).get("status", {}))

    def condition(self, kind: str) -> dict[str, Any]:
        """Read a condition; empty while it is not there."""
        return next((one for one in self.status().get("conditions", []) if one["type"] == kind), {})

    def phase(self) -> str:
        """Read how far the replacing of its root is."""
        return str(self.condition("Rotating").get("reason"))

    def wait_phase(self, phase: str) -> None:
        """Wait until it is in a phase."""
        wait_until(lambda: self.phase() == phase, f"authority {self.name} is {phase}", deadline_s=120)

    def awaited(self) -> str:
        """Read what the replacing of its root waits for; empty while nothing is replaced."""
        return str(self.status().get("next", {}).get("waitsFor", ""))

    def states(self) -> dict[str, str]:
        """Read from its status where each CA is: `root 1` to a state."""
        return {f"{ca['role']} {ca['number']}": ca["state"] for ca in self.status().get("generations", [])}

    def fingerprint(self, ca: str) -> str:
        """Read the fingerprint of a CA, such as `root 1`."""
        role, number = ca.split()
        (found,) = [one for one in self.status()["generations"] if (one["role"], str(one["number"])) == (role, number)]
        return str(found["fingerprint"])

    def events(self) -> list[tuple[str, str]]:
        """List type and reason of the Events about it, which are kept in `default`, as it has no namespace."""
        listed = self.world.client.find("event", namespace="default")
        # Some of others' name no object.
        return [(one["type"], one["reason"]) for one in listed if one["involvedObject"].get("name") == self.name]

    def offered(self, order: str) -> str:
        """Read the value of an order that it would obey."""
        values = [one["value"] for one in self.status().get("orders", []) if one["order"] == _name(order)]
        return str(values[0])

    def refused(self, order: str) -> str:
        """Read why an order is not obeyed; empty where it is."""
        told = self.status().get("orders", [])
        return next((one["message"] for one in told if one["order"] == _name(order) and one.get("message")), "")

    def order(self, order: str, value: str) -> None:
        """Give an order."""
        self.annotate(_name(order), value)

    def annotate(self, annotation: str, value: str) -> None:
        """Write an annotation."""
        self.world.client.patch("mtlsca", self.name, {"metadata": {"annotations": {annotation: value}}})

    def rotate(self) -> None:
        """Order another root."""
        self.order("rotate-root", self.offered("rotate-root"))

    def system(self, *arguments: str, **more: Any) -> str:
        """Run kubectl in the operator's namespace."""
        return self.world.cluster.kubectl("--namespace", NAMESPACE, *arguments, **more)

    def secrets(self) -> dict[str, list[str]]:
        """List its CA Secrets, such as `root.1`, with the files in them."""
        selector = f"mutualtls.dev/authority={self.name},mutualtls.dev/part=ca"
        found = self.world.client.find("secret", namespace=NAMESPACE, selector=selector)
        prefix = f"mutualtls-ca.{self.name}."
        return {one["metadata"]["name"].removeprefix(prefix): sorted(one["data"]) for one in found}

    def bundle(self, identity: str) -> set[str]:
        """Read the fingerprints of the roots that an identity is given to trust."""
        certificates = x509.load_pem_x509_certificates(self.world.files(f"{identity}-mtls")["ca.crt"])
        return {certificate.fingerprint(hashes.SHA256()).hex() for certificate in certificates}

    def put_source(self, files: dict[str, bytes], *, into: str = "", of: str = NAMESPACE) -> None:
        """Put a CA into a Secret of a namespace, `NAME-source` by default."""
        data = {name: base64.b64encode(content).decode() for name, content in files.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": into or f"{self.name}-source"}, "data": data}
        self.world.client.apply("secret", body, namespace=of)

    def swap_source(self, files: dict[str, bytes]) -> None:
        """Put another CA there, and have the operator look: by itself it would after a while."""
        self.put_source(files)
        self.annotate("look", hashlib.sha256(files["tls.crt"]).hexdigest())


def _name(order: str) -> str:
    return f"mutualtls.dev/{order}"
