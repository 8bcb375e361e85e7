"""The release before this one, taken from the history of this clone, to test an upgrade and the way back."""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

COMMIT = "fa786bd472fdad490f9b3d92339299cc673065cf"
"""The release before. What it stored is in `tests/shell/before`: store that again with it."""

_PARTS = ("operator", "charts", "crds")
_ROOT = Path(__file__).parents[3]


class NoHistoryError(Exception):
    """This clone does not reach back to the release before. The message says how to fetch it."""


def unpack(folder: Path) -> Path:
    """Put the operator, the chart and the CRDs of the release before into a folder, and return the folder.

    Raises:
        NoHistoryError: the history of this clone does not have it.
    """
    command = ["git", "-C", str(_ROOT), "archive", COMMIT, *_PARTS]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise NoHistoryError("git is not installed: install it to test an upgrade") from None
    if done.returncode:
        how = f"fetch it with: git fetch --unshallow, or git fetch --depth=1 origin {COMMIT}"
        raise NoHistoryError(f"the history of this clone lacks commit {COMMIT}, the release before: {how}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
