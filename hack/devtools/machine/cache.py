"""Where what is costly to make is kept, and how it gets there whole: one lock, one rename."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import bootstrap


def folder() -> Path:
    """Folder of the cache; the caller need not ask whether it is there."""
    path = bootstrap.cache()
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock among processes. `waiting` is called once if another holds it."""
    with (folder() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(name: str, make: Callable[[Path], None], *, waiting: Callable[[], None]) -> Path:
    """Return the folder `name` of the cache, which `make` fills when it is not there yet.

    It is filled under another name and renamed when it is whole, so that nobody ever sees a part of it.
    """
    target = folder() / name
    if target.exists():
        return target
    with locked(name, waiting=waiting):
        if not target.exists():
            for broken in folder().glob(f"{name}.*/"):
                shutil.rmtree(broken)
            with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder()) as temporary:
                unfinished = Path(temporary) / "content"
                unfinished.mkdir()
                make(unfinished)
                shutil.move(unfinished, target)
    return target
