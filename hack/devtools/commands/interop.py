"""The command behind hack/interop: the programs of the ring `interop` are tried or, if asked for, installed.

Unlike `hack/test`, which skips what is not there, it fails.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from devtools.commands import suite

PACKAGES = (
    "openssl",
    "curl",
    "nginx-light",
    "postgresql",
    "redis-server",
    "nodejs",
    "default-jdk-headless",
    "python3-grpcio",
)
"""Debian's. Go comes as it does for the control plane."""
_POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask whether they may start services."""

console = Console(highlight=False)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    install: Annotated[
        bool, typer.Option("--install", help="Install Debian's packages instead, without starting any service.")
    ] = False,
) -> None:
    """Try real programs with certificates of the operator, on both ends."""
    if install:
        raise typer.Exit(code=_install())
    raise typer.Exit(code=suite.run((sys.executable, "-m", "pytest", "-q", "tests/interop", "--all-programs")))


def _install() -> int:
    """Install what is missing, and return the exit status of apt-get."""
    missing = [package for package in PACKAGES if not _is_installed(package)]
    if not missing:
        return 0
    if os.getuid() != 0:
        console.print(f"hack/interop: as root, install: apt-get install {' '.join(missing)}")
        return 1
    console.print(f"installing {', '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            done = subprocess.run(["apt-get", *command], env=environment, stdout=subprocess.DEVNULL, check=False)
            if done.returncode:
                return done.returncode
    return 0


def _is_installed(package: str) -> bool:
    question = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(question, capture_output=True, text=True, check=False).stdout == "installed"


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting services, unless the machine has a say in that already."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


if __name__ == "__main__":
    app()
