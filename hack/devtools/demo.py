"""The command behind hack/demo: the product from nothing, each step one line; the exit status tells if all held."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devtools import clusters, handshakes, operators, programs
from devtools.clusters import Cluster
from devtools.operators import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMESPACE = "shop"
SERVER, CLIENT = "billing", "orders"

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
            _show(cluster, Path(folder))
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


def _show(cluster: Cluster, folder: Path) -> None:
    name = f"{SERVER}.{NAMESPACE}.svc"
    with _step("kubectl apply -f examples/: an authority, and identities for two workloads"):
        cluster.kubectl("apply", "--filename", str(EXAMPLES))
        cluster.kubectl("wait", "--for=condition=Ready", "mtls", "--all", f"--namespace={NAMESPACE}", "--timeout=60s")
    server, client = (_mount(cluster, identity, folder) for identity in (SERVER, CLIENT))
    with _step(f"{CLIENT} calls {SERVER}, both show their certificates, and each knows the other"):
        seen = handshakes.handshake(server, client, name=name)
        _expect(seen == (name, f"*.{CLIENT}-db.{NAMESPACE}.svc"), f"they saw {seen}")
    with _step(f"{SERVER} refuses a client that shows no certificate"):
        stranger = handshakes.context(client, ssl.Purpose.SERVER_AUTH, with_certificate=False)
        _refused(lambda: _greet(server, stranger, name=name))
    with _step(f"A deleted Secret comes back, with a new key, and {CLIENT} calls {SERVER} again"):
        old = (server / "tls.key").read_bytes()
        cluster.kubectl("delete", "secret", f"{SERVER}-mtls", f"--namespace={NAMESPACE}")
        wait_until(lambda: _is_there(cluster, f"{SERVER}-mtls"), "the secret is back")
        server = _mount(cluster, SERVER, folder)
        handshakes.handshake(server, client, name=name)
        _expect((server / "tls.key").read_bytes() != old, "the key is the old one")
    with _step("A name of another namespace is refused"):
        _expect("NotPermitted" in _ask_for_a_foreign_name(cluster), "the name was given")
    console.print("\n$ kubectl get mtls -A")
    console.print(cluster.kubectl("get", "mtls", "--all-namespaces").rstrip())


def _ask_for_a_foreign_name(cluster: Cluster) -> str:
    """Ask from namespace `default` for a name of the shop, and return the reason of the answer."""
    identity = {
        "apiVersion": "mutualtls.dev/v1alpha1",
        "kind": "MutualTLSIdentity",
        "metadata": {"name": "thief", "namespace": "default"},
        "spec": {"dnsNames": [f"{SERVER}.{NAMESPACE}.svc"]},
    }
    cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(identity))
    cluster.kubectl("wait", "--for=condition=Stalled", "mtls/thief", "--namespace=default", "--timeout=30s")
    path = '{.status.conditions[?(@.type=="Ready")].reason}'
    return cluster.kubectl("get", "mtls", "thief", "--namespace=default", f"--output=jsonpath={path}")


def _mount(cluster: Cluster, identity: str, folder: Path) -> Path:
    """Write the files of an identity's Secret into a folder, as kubelet would."""
    text = cluster.kubectl("get", "secret", f"{identity}-mtls", f"--namespace={NAMESPACE}", "--output=json")
    mounted = folder / identity
    mounted.mkdir(exist_ok=True)
    for name, content in json.loads(text)["data"].items():
        (mounted / name).write_bytes(base64.b64decode(content))
    return mounted


def _is_there(cluster: Cluster, secret: str) -> bool:
    return bool(
        cluster.kubectl("get", "secret", secret, f"--namespace={NAMESPACE}", "--ignore-not-found", "--output=name")
    )


def _greet(server: Path, client: ssl.SSLContext, *, name: str) -> None:
    with handshakes.serving(server) as port:
        handshakes.greet(port, client, name=name)


def _refused(attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except OSError:
        return
    raise DemoError("it was let in")


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise DemoError(otherwise)


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """Do a step, and say in one line what it is, that it was done, and how long it took."""
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        console.print(f"[red]✗[/red] {what}")
        raise
    console.print(f"[green]✓[/green] {what} [dim]({time.monotonic() - begun:.1f} s)[/dim]")


def _how_to_use(cluster: Cluster, operator: operators.Operator) -> None:
    console.print("\nCluster and operator stay up. To use them:\n", soft_wrap=True)
    console.print(f"  export KUBECONFIG={cluster.kubeconfig()}", soft_wrap=True)
    console.print(f"  alias kubectl={programs.kubectl()}", soft_wrap=True)
    console.print(f"  kubectl get mtls -A; tail -f {operator.log}", soft_wrap=True)
    console.print(f"\nTo end both: hack/cluster down {cluster.name}")


if __name__ == "__main__":
    app()
