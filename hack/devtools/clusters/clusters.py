"""Kubernetes control planes on this machine: etcd, kube-apiserver and kube-controller-manager, on loopback alone.

Each has a folder in the cache with all that belongs to it, its processes included: no other is ever touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from devtools.clusters import layout
from devtools.clusters.certificates import write_key, write_serving_certificate
from devtools.machine import cache, guard, ports, processes, programs
from devtools.machine.processes import Process

_READY_S = 60.0
_POLL_S = 0.05
_ATTEMPTS = 3
_TAIL = 15
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class ClusterError(Exception):
    """A cluster did not come up. The message holds the end of the log of what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running control plane."""

    name: str
    folder: Path
    server: str

    def kubeconfig(self, user: str = "admin") -> Path:
        """Path of the kubeconfig of one of `layout.USERS`."""
        return layout.kubeconfig(self.folder, user)

    @property
    def audit_log(self) -> Path:
        """JSON lines, one a request; there only if the cluster was started with `audit`."""
        return self.folder / "audit.log"

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as admin and return what it printed; with `check=False` also what it complained.

        Raises:
            ClusterError: it failed, which `check=False` takes for an answer.
        """
        command = [str(programs.kubectl()), "--kubeconfig", str(self.kubeconfig()), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def processes(self) -> dict[str, Process]:
        """The programs by name, as they were last started."""
        path = self.folder / "processes.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        return {name: Process(**fields) for name, fields in known.items()}

    def owner(self) -> Process | None:
        """The process with which the cluster ends; None for one that stays up. Until it is up, who starts it."""
        path = self.folder / "owner.json"
        return Process(**json.loads(path.read_text())) if path.exists() else None

    def start_program(self, name: str) -> None:
        """Start one program with the arguments that it had."""
        commands = json.loads((self.folder / "commands.json").read_text())
        self.take_in(name, processes.start(commands[name], log=self.folder / f"{name}.log"))

    def take_in(self, name: str, process: Process) -> None:
        """Make a process part of the cluster: it ends with it."""
        known = {other: asdict(one) for other, one in self.processes().items()}
        _write_whole(self.folder / "processes.json", known | {name: asdict(process)})

    def mend(self) -> None:
        """Start the programs that do not run, unless the cluster is another's business, and wait until it serves.

        Raises:
            ClusterError: it does not serve in time.
        """
        known = self.processes()
        for name in programs.NAMES if self.owner() is None else ():
            if name not in known or not known[name].is_alive():
                self.start_program(name)
        self.wait_until_ready()

    def stop_program(self, name: str) -> None:
        """Stop one program."""
        self.processes()[name].stop()

    def wait_until_ready(self) -> None:
        """Wait until the API server serves and the controller manager has made its first objects.

        Raises:
            ClusterError: a program ended, or nothing came of it in time.
        """
        self._wait(
            lambda: self._answers("/readyz") and self._answers("/api/v1/namespaces/default/serviceaccounts/default")
        )

    def wait_until_serving(self) -> None:
        """Wait until the API server serves, without which the controller manager ends.

        Raises:
            ClusterError: a program ended, or nothing came of it in time.
        """
        self._wait(lambda: self._answers("/readyz"))

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_S
        while not condition():
            running = self.processes()
            ended = [name for name in programs.NAMES if name in running and not running[name].is_alive()]
            if ended or time.monotonic() > deadline:
                raise ClusterError(f"cluster {self.name} did not come up\n{self._tails(ended or programs.NAMES)}")
            time.sleep(_POLL_S)

    def _answers(self, path: str) -> bool:
        try:
            token = layout.tokens(self.folder)["admin"]
            request = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - https
            trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.folder / "ca.crt"))
            # Python, unlike Go, would ask the proxy that HTTPS_PROXY names even for 127.0.0.1.
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
            with direct.open(request, timeout=5) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004 - OK
        except OSError:  # URLError and a file that another process is about to write are such, too
            return False

    def _tails(self, names: tuple[str, ...] | list[str]) -> str:
        ends = []
        for name in names:
            log = self.folder / f"{name}.log"
            lines = log.read_text().splitlines()[-_TAIL:] if log.exists() else []
            ends.append("\n".join([f"--- {name}", *lines]))
        return "\n".join(ends)


def start(name: str, *, audit: bool = False, owned: bool = False) -> Cluster:
    """Start a cluster and wait until it serves. An `owned` one belongs to this process: `sweep` ends it after us.

    Raises:
        ClusterError: the name is no good, there is one of that name, or it did not come up.
        BuildError: the programs could not be built.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(f"a cluster's name is of lower-case letters, digits and dashes: {name}")
    paths = programs.control_plane()
    for attempt in range(1, _ATTEMPTS + 1):
        cluster = _lay_out(name, paths, audit=audit)
        try:
            *first, last = programs.NAMES
            for program in first:
                cluster.start_program(program)
            cluster.wait_until_serving()
            cluster.start_program(last)
            cluster.wait_until_ready()
        except ClusterError as error:
            stop(cluster)
            # A port that was free may have been taken by another meanwhile.
            if attempt == _ATTEMPTS or "address already in use" not in str(error):
                raise
        except BaseException:
            stop(cluster)
            raise
        else:
            if not owned:
                (cluster.folder / "owner.json").unlink()
            return cluster
    raise AssertionError("unreachable: the last attempt returns or raises")


def stop(cluster: Cluster) -> None:
    """End a cluster and remove its folder, with all that its programs would take their time to save."""
    for process in reversed(cluster.processes().values()):
        process.kill()
    with contextlib.suppress(FileNotFoundError):  # another's sweep takes a folder for left behind that is half removed
        shutil.rmtree(cluster.folder)


@contextlib.contextmanager
def running(prefix: str, *, audit: bool = False) -> Iterator[Cluster]:
    """Run a cluster for as long as the block lasts, under a name of its own. It never outlives this process."""
    sweep()
    guard.begin()
    cluster = start(f"{prefix}-{os.getpid()}-{secrets.token_hex(2)}", audit=audit, owned=True)
    try:
        yield cluster
    finally:
        stop(cluster)


def find(name: str) -> Cluster | None:
    """Find a cluster by its name."""
    return next((cluster for cluster in everyone() if cluster.name == name), None)


def everyone() -> list[Cluster]:
    """List the clusters of this cache, those that a crash left behind included."""
    found = []
    for state in sorted(_clusters().glob("*/cluster.json")):
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            fields = json.loads(state.read_text())
            found.append(Cluster(name=fields["name"], folder=state.parent, server=fields["server"]))
    return found


def sweep() -> list[str]:
    """Remove what a crash left behind, and return the names: clusters whose owner is gone, or none of which runs."""
    swept = []
    with _locked():
        for folder in _clusters().iterdir():
            if not (folder / "cluster.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
        for cluster in everyone():
            owner = cluster.owner()
            is_orphan = owner is not None and not owner.is_alive()
            is_dead = owner is None and not any(process.is_alive() for process in cluster.processes().values())
            if is_orphan or is_dead:
                stop(cluster)
                swept.append(cluster.name)
    return swept


def _locked() -> contextlib.AbstractContextManager[None]:
    """Keep a sweep from taking a cluster that is just being laid out for one that a crash left."""
    return cache.locked("clusters", waiting=lambda: None)


def _clusters() -> Path:
    path = cache.folder() / "clusters"
    path.mkdir(exist_ok=True)
    return path


def _lay_out(name: str, paths: dict[str, Path], *, audit: bool) -> Cluster:
    """Write all that the programs of a cluster need into its folder."""
    folder = _clusters() / name
    client, peer, server, controller = ports.free(4)
    cluster = Cluster(name=name, folder=folder, server=f"https://127.0.0.1:{server}")
    with _locked():
        if folder.exists():
            raise ClusterError(f"cluster {name} is there already: hack/cluster down {name}")
        folder.mkdir(mode=0o700)
        _write_whole(folder / "owner.json", asdict(processes.of(os.getpid())))
        _write_whole(folder / "cluster.json", {"name": name, "server": cluster.server})
    write_serving_certificate(folder)
    write_key(folder / "service-account.key", ec.generate_private_key(ec.SECP256R1()))
    layout.write_users(folder, name=name, server=cluster.server)
    (folder / "audit-policy.yaml").write_text(layout.AUDIT_POLICY)
    arguments = layout.arguments(folder, client=client, peer=peer, server=server, controller=controller, audit=audit)
    commands = {program: [str(paths[program]), *given] for program, given in arguments.items()}
    (folder / "commands.json").write_text(json.dumps(commands))
    return cluster


def _write_whole(path: Path, content: object) -> None:
    """Write a file that other processes read, so that none of them ever sees a part of it."""
    unseen = path.with_suffix(".new")
    unseen.write_text(json.dumps(content))
    unseen.replace(path)
