"""Folders that hold the files of a Secret as kubelet mounts it: every file changes at once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CURRENT = "..data"
_OWN = 0o600


def update(folder: Path, files: Mapping[str, bytes], *, mode: int = 0o644, group: int = -1) -> Path:
    """Write the files of a Secret into a folder, as kubelet's AtomicWriter does, and return the folder.

    `mode` and `group` are a volume's `defaultMode` and the pod's `fsGroup`; -1 leaves the group as it is.

    Each file is a link into `..data`, which is a link to a folder of this version: one rename changes all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    version.chmod(0o755)
    for name, content in files.items():
        path = version / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        os.chown(path, -1, group)
        path.chmod(mode)
    current = folder / _CURRENT
    old = current.resolve() if current.is_symlink() else None
    following = folder / f"{_CURRENT}_tmp"
    following.symlink_to(version.name)
    following.replace(current)
    for name in files:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{_CURRENT}/{name}")
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in files:
            link.unlink()
    if old is not None:
        shutil.rmtree(old)
    return folder


def copied(folder: Path, into: Path) -> Path:
    """Copy the files of one version, for a program that opens one after another, and return the folder of the copy."""
    while True:
        try:
            version = (folder / _CURRENT).resolve(strict=True)
            shutil.copytree(version, into, dirs_exist_ok=True)
        except (FileNotFoundError, shutil.Error):
            continue  # the next version came just now
        for path in into.iterdir():
            path.chmod(_OWN)
        return into
