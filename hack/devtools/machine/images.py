"""Images without a registry and without a Docker engine: a Debian base by mmdebstrap, and a Dockerfile by buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from devtools.machine import cache
from devtools.machine.programs import BuildError

TOP = Path(__file__).parents[3]
SUITE = "trixie"
"""Debian 13, with Python 3.13."""
BASES = {"base": ("python3",), "build": ("python3", "python3-pip", "ca-certificates")}
"""Packages of the image's base, and of the one that the Python packages are installed in."""
NAME = "localhost/mutualtls-operator"

_TOOLS = ("buildah", "mmdebstrap")
_LEFT_OUT = ("doc", "man", "locale", "info", "lintian")
_EPOCH = "0"
"""Of all times in an image, so that two builds have one digest."""
_CERTIFICATES = "/etc/ssl/certs"

console = Console(stderr=True, highlight=False)


def why_not() -> str | None:
    """Tell why no image can be built on this machine; None where one can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"no {' and no '.join(missing)} on the PATH: install {' '.join(missing)} from Debian"
    return None if os.geteuid() == 0 else "only root can build it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in a store of its own."""

    store: Path
    digest: str
    """Of its manifest, such as sha256:0123…"""

    def export(self, archive: Path) -> None:
        """Write it into a file that `docker load` and `ctr image import` take."""
        _buildah(self.store, "push", "--quiet", NAME, f"docker-archive:{archive}:{NAME}:latest")


def build(store: Path, *, revision: str = "") -> Image:
    """Build the Dockerfile of this tree in a store, which is a folder of the caller's.

    Raises:
        BuildError: it cannot be built here, or could not be.
    """
    if (why := why_not()) is not None:
        raise BuildError(f"the image cannot be built: {why}")
    for base in BASES:
        _take_in(store, base)
    digest_file = store / "digest"
    _buildah(
        store,
        "build",
        "--quiet",
        "--no-cache",
        "--isolation=chroot",
        f"--timestamp={_EPOCH}",
        f"--build-arg=BASE={_base('base')}",
        f"--build-arg=BUILD={_base('build')}",
        f"--build-arg=REVISION={revision}",
        f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro",  # for pip, on machines with CAs of their own
        f"--tag={NAME}",
        str(TOP),
    )
    _buildah(store, "push", "--quiet", f"--digestfile={digest_file}", NAME, f"dir:{store / 'pushed'}")
    shutil.rmtree(store / "pushed")
    return Image(store=store, digest=digest_file.read_text().strip())


def root_of(image: Image) -> Path:
    """Mount the file system of an image, until `release` is called."""
    container = _buildah(image.store, "from", "--name=mutualtls-look", NAME)
    return Path(_buildah(image.store, "mount", container))


def release(image: Image) -> None:
    """Take the file system of an image away."""
    _buildah(image.store, "umount", "mutualtls-look")
    _buildah(image.store, "rm", "mutualtls-look")


def _base(name: str) -> str:
    return f"localhost/mutualtls-{name}"


def _take_in(store: Path, name: str) -> None:
    """Have a base in a store."""
    packages = BASES[name]
    archive = cache.made_once(
        f"debian-{SUITE}-{'-'.join(packages)}",
        lambda folder: _bootstrap(folder / "root.tar", packages),
        waiting=lambda: console.print("waiting for another build of the base image to end"),
    )
    container = _buildah(store, "from", "scratch")
    _buildah(store, "add", "--quiet", container, str(archive / "root.tar"), "/")
    _buildah(store, "commit", "--quiet", f"--timestamp={_EPOCH}", container, _base(name))
    _buildah(store, "rm", container)


def _bootstrap(archive: Path, packages: Sequence[str]) -> None:
    """Make a Debian root of the essential packages and some more, without what only people read."""
    console.print(f"making a root of Debian {SUITE} with {', '.join(packages)}, once: about a minute")
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _LEFT_OUT]
    command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(packages)}", *left_out, SUITE]
    _run([*command, str(archive)], SOURCE_DATE_EPOCH=_EPOCH)


def _buildah(store: Path, *arguments: str) -> str:
    store.mkdir(parents=True, exist_ok=True)
    own = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=vfs"]
    return _run(["buildah", *own, *arguments])


def _run(command: Sequence[str], **variables: str) -> str:
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()
