"""A bad day: identities that must be in order again after a fault, and what must hold while one lasts.

What is asked of the operator while a fault lasts is always the same: a new identity, a changed one, one whose Secret is
deleted, one whose bundle is overwritten, one that is deleted; and one of which nothing must be written.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from devtools.clusters.clusters import ClusterError
from devtools.clusters.operators import TimeoutExpiredError
from support.authority import AnAuthority
from support.probes import Probed
from support.scenes import Scene
from support.world import World

RECOVERED = "recovered"
"""Property of a test: what it took to recover, for people."""
MOST_MIB = 200
"""Far below what would be a leak; at rest it is half of this."""
STILL, CHANGED, HEALED, MENDED = "still", "changed", "healed", "mended"
_LEAF = {"minDuration": "1h"}
_SETTINGS = {
    "MUTUALTLS_RELIST": "5s",
    "MUTUALTLS_REQUEST_TIMEOUT": "5s",
    "MUTUALTLS_CONTEST_WINDOW": "1s",
    "MUTUALTLS_BURST": "1000",
}
"""Of an operator that soon finds what it was not told of, and takes what is done to it for no contest."""
FORBIDDEN = ("programming error", "Traceback")
"""What no log of any day holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one fault."""

    fault: str
    recovered_s: float
    """From the end of the fault until everything was in order."""
    restarts: int
    """How often the operator ended by itself."""
    lines: int
    """Of its log, from the beginning of the fault until everything was in order."""

    @property
    def told(self) -> str:
        """The same for people."""
        restarts = f", restarted {self.restarts} times" if self.restarts else ""
        return f"{self.fault:<34} {self.recovered_s:5.1f} s, {self.lines} lines logged{restarts}"


Step = Callable[["Day"], AbstractContextManager[None]]
"""A fault: it begins when the context is entered, does not return from that before it has struck, and ends with it."""


@dataclass(slots=True, kw_only=True)
class Day:
    """One operator, one authority, a handful of identities."""

    scene: Scene
    world: World
    authority: AnAuthority
    token_file: Path
    """Where the operator's token is."""
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The spec of each identity that there is to be."""
    gone: set[str] = field(default_factory=set)
    """Identities that were deleted."""
    restarts: int = 0
    number: int = 0

    @staticmethod
    @contextlib.contextmanager
    def beginning(scene: Scene, folder: Path) -> Iterator[Day]:
        """Begin a day, with an operator of its own settings whose token is in a file; and end it."""
        operator, usual = scene.operator, (scene.operator.settings, scene.operator.kubeconfig)
        operator.stop()
        file = folder / "token"
        config = yaml.safe_load(scene.proxy.kubeconfig.read_text())
        file.write_text(config["users"][0]["user"].pop("token"))
        config["users"][0]["user"]["tokenFile"] = str(file)
        kubeconfig = folder / "day.kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        operator.settings, operator.kubeconfig = {**operator.settings, **_SETTINGS}, kubeconfig
        scene.begin()
        world = scene.world()
        authority = AnAuthority(world=world, name=world.namespace)
        day = Day(scene=scene, world=world, authority=authority, token_file=file)
        day.begin()
        yield day
        scene.proxy.mend()
        operator.stop()
        operator.settings, operator.kubeconfig = usual

    def begin(self) -> None:
        """Have an authority and identities that are served."""
        self.authority.apply(leaf=_LEAF)
        for name in (STILL, CHANGED, HEALED, MENDED):
            self.apply(name)
        self.wait("all is in order", lambda: not self.troubles())

    def apply(self, name: str, **spec: Any) -> None:
        """Ask for an identity."""
        self.wanted[name] = spec
        self.gone.discard(name)
        self.world.apply(name, authority=self.authority.name, **spec)

    def delete(self, name: str) -> None:
        """Ask for one no more."""
        del self.wanted[name]
        self.gone.add(name)
        self.world.delete("mtls", name)

    def act(self) -> None:
        """Ask for all that the operator has to do."""
        self.number += 1
        before = f"late-{self.number - 1}"
        self.apply(f"late-{self.number}")
        if before in self.wanted:
            self.delete(before)
        self.apply(CHANGED, dnsNames=[f"n{self.number}.{CHANGED}.{self.world.namespace}.svc"])
        self.world.delete("secret", f"{HEALED}-mtls")
        if self.world.get("secret", f"{MENDED}-mtls") is not None:
            self.world.patch("secret", f"{MENDED}-mtls", {"data": {"ca.crt": "bm9uZQ=="}})

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """Wait for a condition, and start the operator again when it ends or asks for it, as kubelet would."""

        def holds() -> object:
            if self.ask("/healthz")[0] == HTTPStatus.SERVICE_UNAVAILABLE:
                self.scene.operator.stop()
            return condition()

        try:
            self.restarts += self.scene.keep_running(holds, what)
        except TimeoutExpiredError as error:
            found = "; ".join([*self.troubles(), *(self.ask(path)[1] for path in ("/readyz", "/healthz"))])
            raise TimeoutExpiredError(f"{error}: {found}") from None

    # What must hold

    def through(self, name: str, fault: Step) -> Outcome:
        """Have a fault begin and end, and tell how long it took until everything was in order.

        Raises:
            AssertionError: something does not hold that must.
            TimeoutExpiredError: everything was not in order in time.
        """
        serial, cas = self.world.serial(STILL), self.cas()
        self.restarts, before = 0, self.log()
        with fault(self):
            pass
        begun = time.monotonic()
        self.wait(f"all is in order after {name}", self.is_in_order)
        recovered = time.monotonic() - begun
        said = self.log()[len(before) :]

        assert cas == self.cas(), "the CAs are others"
        assert serial == self.world.serial(STILL), "an identity that nobody touched was issued again"
        assert not [word for word in FORBIDDEN if any(word in line for line in said)], "\n".join(said)
        process = self.scene.operator.process
        assert process is not None
        assert process.memory_mib() < MOST_MIB
        return Outcome(fault=name, recovered_s=recovered, restarts=self.restarts, lines=len(said))

    def troubles(self) -> list[str]:
        """Tell what is not in order."""
        try:
            return list(self._troubles())
        except ClusterError as error:
            return [str(error)]

    def is_in_order(self) -> bool:
        """Whether nothing is amiss, and the operator says so."""
        return not self.troubles() and self.ask("/readyz")[0] == HTTPStatus.OK

    def _troubles(self) -> Iterator[str]:
        for name in self.wanted:
            if self.world.condition(name).get("status") != "True":
                yield f"{name} is not ready: {self.world.condition(name)}"
            elif (why := self._why_not_whole(name)) is not None:
                yield f"{name} {why}"
        for name in self.gone:
            if self.world.get("secret", f"{name}-mtls") is not None:
                yield f"the Secret of {name} is there"

    def _why_not_whole(self, name: str) -> str | None:
        """Tell what is wrong with the files of an identity that is ready."""
        body, secret = self.world.get("mtls", name), self.world.get("secret", f"{name}-mtls")
        if body is None or secret is None:
            return "has no Secret"
        if [body["metadata"]["uid"]] != [one["uid"] for one in secret["metadata"].get("ownerReferences", ())]:
            return "does not own its Secret"
        serial = int(body["status"]["certificate"]["serialNumber"], 16)
        try:
            return next(self._wrong_files(name, serial, secret), None)
        except (ValueError, LookupError) as error:  # somebody has just edited them
            return f"has files that cannot be read: {error!r}"

    def _wrong_files(self, name: str, serial: int, secret: dict[str, Any]) -> Iterator[str]:
        files = {key: base64.b64decode(text) for key, text in secret["data"].items()}
        leaf, *others = x509.load_pem_x509_certificates(files["tls.crt"])
        if serial != leaf.serial_number:
            yield "tells of another certificate"
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if set(_texts(self.wanted[name].get("dnsNames"))) - set(names.get_values_for_type(x509.DNSName)):
            yield "has a certificate for other names"
        if b"BEGIN CERTIFICATE" not in files["ca.crt"]:
            yield "has no bundle"
            return
        roots = x509.load_pem_x509_certificates(files["ca.crt"])
        if not any(_is_signed(leaf, by) for by in (*others, *roots)):
            yield "has a certificate of another CA"
        if not any(_is_signed(others[-1] if others else leaf, by) for by in roots):
            yield "is not trusted"

    def cas(self) -> dict[str, str]:
        """List the fingerprints of all CAs."""
        return {f"{ca['role']} {ca['number']}": ca["fingerprint"] for ca in self.authority.status()["generations"]}

    # What it says of itself

    def ask(self, path: str) -> tuple[int, str]:
        """Ask for `/healthz`, `/readyz` or `/metrics`. Code 0: there is no answer."""
        return Probed(port=self.scene.port).ask(path)

    def log(self) -> list[str]:
        """Read all that it has logged."""
        return self.scene.operator.log.read_text().splitlines()


def _texts(found: object) -> list[str]:
    return [str(one) for one in found] if isinstance(found, list) else []


def _is_signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
