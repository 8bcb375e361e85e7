"""The command behind hack/demo: the product from nothing, each step one line; the exit status tells if all held."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import wait_until
from devtools.consumers import handshakes
from devtools.machine import programs

EXAMPLES = Path(__file__).parents[3] / "examples"
SERVER, CLIENT = "billing", "orders"
"""Identities, each in the namespace of its name."""
SERVER_NAME = f"{SERVER}.{SERVER}.svc"

_CALLS_S = 60.0
"""As long as a certificate of the client lives, so that its first one has expired at the end."""
_CALLS_PER_MOUNT = 5
_STRANGER = """
apiVersion: mutualtls.dev/v1alpha1
kind: MutualTLSAuthority
metadata: {name: another}
---
apiVersion: mutualtls.dev/v1alpha1
kind: MutualTLSIdentity
metadata: {name: stranger, namespace: default}
spec: {authority: another}
"""
_ROTATE_ROOT = "mutualtls.dev/rotate-root"
_PHASE = '{.status.conditions[?(@.type=="Rotating")].reason}'
_QUICK_ROTATION = '{"spec": {"rotation": {"soak": "3s", "retire": "AfterReplacement"}}}'
"""Hours are usual: a consumer must have read new files within the soak."""
_THIEF = f"""
apiVersion: mutualtls.dev/v1alpha1
kind: MutualTLSIdentity
metadata: {{name: thief, namespace: default}}
spec: {{dnsNames: [{SERVER_NAME}]}}
"""

console = Console(width=120, highlight=False)


class DemoError(Exception):
    """A step did not do what it should."""


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave cluster and operator up, and say how to use them.")
    ] = False,
) -> None:
    """Show the product on a real Kubernetes API server, from nothing, on this machine."""
    begun = time.monotonic()
    try:
        with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
            cluster = _cluster(stack, keep=keep)
            operator = _operator(cluster, stack, keep=keep)
            _show(cluster, operator, Path(folder))
            if keep:
                _how_to_use(cluster, operator)
    except (DemoError, clusters.ClusterError, programs.BuildError, operators.TimeoutExpiredError) as error:
        console.print(f"[red]failed[/red] {error}")
        raise typer.Exit(code=1) from None
    console.print(f"\nAll held, in {time.monotonic() - begun:.0f} s.")


def _cluster(stack: contextlib.ExitStack, *, keep: bool) -> Cluster:
    with _step("A Kubernetes control plane starts: etcd, API server, controller manager"):
        if keep:
            clusters.sweep()
            return clusters.start("demo")
        return stack.enter_context(clusters.running("demo"))


def _operator(cluster: Cluster, stack: contextlib.ExitStack, *, keep: bool) -> operators.Operator:
    with _step("The operator and its two resources are installed"):
        operators.install(cluster)
        if not keep:
            return stack.enter_context(operators.running(cluster))
        operator = operators.Operator(cluster=cluster, log=cluster.folder / "operator.log")
        operator.start()
        return operator


def _show(cluster: Cluster, operator: operators.Operator, folder: Path) -> None:
    with _step("kubectl apply -f examples/: an authority, and identities in two namespaces"):
        cluster.kubectl("apply", "--filename", str(EXAMPLES))
        for identity in (SERVER, CLIENT):
            _wait_ready(cluster, identity, identity)
    server, client = (_mount(cluster, identity, folder / identity) for identity in (SERVER, CLIENT))
    first = _mount(cluster, CLIENT, folder / "first")
    with _step(f"{CLIENT} calls {SERVER}, both show their certificates, and each knows the other"):
        seen = handshakes.handshake(server, client, name=SERVER_NAME)
        _expect(seen == (SERVER_NAME, f"*.{CLIENT}-db.{CLIENT}.svc"), f"they saw {seen}")
    _show_refusals(cluster, server, client, folder)
    with _step("A deleted Secret comes back, with a new key"):
        old = (server / "tls.key").read_bytes()
        cluster.kubectl("delete", "secret", f"{SERVER}-mtls", f"--namespace={SERVER}")
        wait_until(lambda: _is_there(cluster, SERVER), "the secret is back")
        _mount(cluster, SERVER, server)
        handshakes.handshake(server, client, name=SERVER_NAME)
        _expect((server / "tls.key").read_bytes() != old, "the key is the old one")
    _show_renewals(cluster, operator, server, client)
    with _step(f"{SERVER} refuses the certificate that {CLIENT} had a minute ago", expected="expired") as refusals:
        refusals.extend(_refusals(server, handshakes.context(first, ssl.Purpose.SERVER_AUTH)))
    _show_rotation(cluster, server, client, folder)
    console.print("\n$ kubectl get mtls -A")
    console.print(cluster.kubectl("get", "mtls", "--all-namespaces").rstrip())


def _show_refusals(cluster: Cluster, server: Path, client: Path, folder: Path) -> None:
    """Show who is not let in: by the server, by the client, and by the operator."""
    with _step(f"{SERVER} refuses a client that shows no certificate", expected="certificate") as refusals:
        nobody = handshakes.context(client, ssl.Purpose.SERVER_AUTH, with_certificate=False)
        refusals.extend(_refusals(server, nobody))
    with _step(f"{SERVER} refuses a certificate of another CA", expected="unable to get local issuer") as refusals:
        cluster.kubectl("apply", "--filename", "-", stdin=_STRANGER)
        _wait_ready(cluster, "stranger", "default")
        stranger = _mount(cluster, "stranger", folder / "stranger", namespace="default")
        shutil.copy(client / "ca.crt", stranger / "ca.crt")  # it trusts the server; the server does not trust it
        refusals.extend(_refusals(server, handshakes.context(stranger, ssl.Purpose.SERVER_AUTH)))
    with _step(f"{CLIENT} refuses {SERVER} when it wanted somebody else", expected="Hostname mismatch") as refusals:
        try:
            handshakes.handshake(server, client, name=f"payments.{SERVER}.svc")
        except OSError as error:
            refusals.append(handshakes.why(error))
    with _step(f"A name of {SERVER} is refused to an identity of another namespace", expected="permitted") as refusals:
        cluster.kubectl("apply", "--filename", "-", stdin=_THIEF)
        cluster.kubectl("wait", "--for=condition=Stalled", "mtls/thief", "--namespace=default", "--timeout=60s")
        path = '{.status.conditions[?(@.type=="Ready")].message}'
        refusals.append(cluster.kubectl("get", "mtls", "thief", "--namespace=default", f"--output=jsonpath={path}"))


@dataclass(slots=True)
class _Calls:
    """What became of handshakes, and the certificates that the client showed."""

    done: int = 0
    failed: int = 0
    serials: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.done} handshakes, {self.failed} failed, {len(self.serials)} certificates"


def _call(cluster: Cluster, server: Path, client: Path, *, until: Callable[[], bool]) -> _Calls:
    """Shake hands without a pause, both sides with the files of their Secrets as they are then."""
    calls = _Calls()
    with handshakes.serving(server) as running:
        while not until():
            _mount(cluster, SERVER, server)
            calls.serials.add(handshakes.serial_number(_mount(cluster, CLIENT, client)))
            for _ in range(_CALLS_PER_MOUNT):
                try:
                    handshakes.greet(running, handshakes.context(client, ssl.Purpose.SERVER_AUTH), name=SERVER_NAME)
                    calls.done += 1
                except OSError:
                    calls.failed += 1
    _expect(calls.failed == 0, f"handshakes failed: {calls}")
    return calls


def _show_renewals(cluster: Cluster, operator: operators.Operator, server: Path, client: Path) -> None:
    """Shake hands while certificates of a minute are renewed and the operator is killed."""
    with _step(f"{CLIENT} calls {SERVER} for a minute, while its certificate of a minute is renewed") as said:
        begun = time.monotonic()
        first = _call(cluster, server, client, until=lambda: time.monotonic() - begun > _CALLS_S / 3)
        operator.kill()
        operator.start()
        calls = _call(cluster, server, client, until=lambda: time.monotonic() - begun > _CALLS_S)
        serials = first.serials | calls.serials
        calls = _Calls(first.done + calls.done, first.failed + calls.failed, serials)
        said.append(f"{calls}, the operator killed once")
        _expect(len(serials) > 1, "nothing was renewed")


def _show_rotation(cluster: Cluster, server: Path, client: Path, folder: Path) -> None:
    """Replace the root while both call each other."""
    old = Path(shutil.copytree(server, folder / "old"))
    cluster.kubectl("patch", "mtlsca/default", "--type=merge", "--patch", _QUICK_ROTATION)
    with _step(f"The root is replaced, while {CLIENT} calls {SERVER}") as said:
        orders = cluster.kubectl("get", "mtlsca/default", "--output=jsonpath={.status.orders}")
        order = next(one["value"] for one in json.loads(orders) if one["order"] == _ROTATE_ROOT)
        cluster.kubectl("annotate", "mtlsca/default", f"{_ROTATE_ROOT}={order}")
        seen = ["Stable"]

        def is_done() -> bool:
            phase = cluster.kubectl("get", "mtlsca/default", f"--output=jsonpath={_PHASE}")
            if phase != seen[-1]:
                seen.append(phase)
            return len(seen) > 1 and phase == "Stable"

        calls = _call(cluster, server, client, until=is_done)
        said += [" → ".join(seen), str(calls)]
    with _step(f"{CLIENT} refuses a certificate of the old root", expected="certificate") as refusals:
        _mount(cluster, CLIENT, client)
        shutil.copy(server / "ca.crt", old / "ca.crt")
        try:
            handshakes.handshake(old, client, name=SERVER_NAME)
        except OSError as error:
            refusals.append(handshakes.why(error))


def _wait_ready(cluster: Cluster, identity: str, namespace: str) -> None:
    cluster.kubectl("wait", "--for=condition=Ready", f"mtls/{identity}", f"--namespace={namespace}", "--timeout=60s")


def _mount(cluster: Cluster, identity: str, mounted: Path, *, namespace: str | None = None) -> Path:
    """Write the files of an identity's Secret into a folder, as kubelet would."""
    where = f"--namespace={namespace or identity}"
    text = cluster.kubectl("get", "secret", f"{identity}-mtls", where, "--output=json")
    mounted.mkdir(exist_ok=True)
    for name, content in json.loads(text)["data"].items():
        (mounted / name).write_bytes(base64.b64decode(content))
    return mounted


def _is_there(cluster: Cluster, identity: str) -> bool:
    where = f"--namespace={identity}"
    return bool(cluster.kubectl("get", "secret", f"{identity}-mtls", where, "--ignore-not-found", "--output=name"))


def _refusals(server: Path, client: ssl.SSLContext) -> list[str]:
    """Let a client try, and return why the server refused it; nothing if it let it in."""
    with handshakes.serving(server) as running, contextlib.suppress(OSError):
        handshakes.greet(running, client, name=SERVER_NAME)
    return running.refusals


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise DemoError(otherwise)


@contextlib.contextmanager
def _step(what: str, *, expected: str | None = None) -> Iterator[list[str]]:
    """Do a step, and say in one line what it is, that it was done, and how long it took.

    What the block puts into the list is shown, too; `expected` must be in it, or the step has failed.
    """
    begun = time.monotonic()
    said: list[str] = []
    try:
        yield said
        _expect(expected is None or any(expected in text for text in said), f"expected: {expected}; got: {said}")
    except BaseException:
        console.print(f"[red]✗[/red] {what}")
        raise
    console.print(f"[green]✓[/green] {what} [dim]({time.monotonic() - begun:.1f} s)[/dim]")
    for text in said:
        console.print(f"    {text}", style="dim")


def _how_to_use(cluster: Cluster, operator: operators.Operator) -> None:
    console.print("\nCluster and operator stay up. To use them:\n", soft_wrap=True)
    console.print(f"  export KUBECONFIG={cluster.kubeconfig()}", soft_wrap=True)
    console.print(f"  alias kubectl={programs.kubectl()}", soft_wrap=True)
    console.print(f"  kubectl get mtls -A; tail -f {operator.log}", soft_wrap=True)
    console.print(f"\nTo end both: hack/cluster down {cluster.name}")


if __name__ == "__main__":
    app()
