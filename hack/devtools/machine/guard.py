"""What a run started ends with it, however it ends: a small process outlives the run, and then tidies up.

The run holds one end of a pipe. When the run ends, be it by SIGKILL, the pipe closes: the guard ends what was tied to
the run and removes the clusters that it owned. `python -m devtools.clusters.guarding` is that process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from devtools.machine import processes
from devtools.machine.processes import Process

_GRACE_S = 20.0
"""For so long a test run may clean up after itself."""
_POLL_S = 0.05


@dataclass(slots=True)
class _Guard:
    """The guard of this process, and all that was tied to it."""

    tied: list[Process] = field(default_factory=list)
    running: Process | None = None
    pipe: int = -1
    """The end that is never closed but by our end."""

    def ensure(self) -> None:
        """Have a guard that runs and knows of everything."""
        if self.running is not None and self.running.is_alive():
            return
        theirs, self.pipe = os.pipe()
        command, quiet = [sys.executable, "-m", "devtools.clusters.guarding"], subprocess.DEVNULL
        started = subprocess.Popen(command, stdin=theirs, stdout=quiet, stderr=quiet, start_new_session=True)
        started.returncode = 0  # it outlives us, and nobody waits for it
        os.close(theirs)
        self.running = processes.of(started.pid)
        for process in self.tied:
            self._tell(process)

    def add(self, process: Process) -> None:
        """Let the guard know of one more."""
        self.ensure()
        self.tied.append(process)
        self._tell(process)

    def _tell(self, process: Process) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was killed just now; the next one hears of all
            os.write(self.pipe, f"{process.pid} {process.began}\n".encode())


_guard = _Guard()


def begin() -> None:
    """Have the clusters that this process owns end with it."""
    _guard.ensure()


def tie(process: Process) -> None:
    """Have a process end with this one; with its whole process group, where it leads one."""
    _guard.add(process)


def end_what_is_left() -> None:
    """Wait for the end of the run at the other end of our standard input, and end what it left."""
    tied = []
    for line in sys.stdin:
        pid, began = line.split()
        tied.append(Process(pid=int(pid), began=int(began)))
    _end([process for process in tied if process.is_alive()])


def _end(left: list[Process]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            _signal(process, number)
        deadline = time.monotonic() + _GRACE_S
        while any(process.is_alive() for process in left) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _signal(process: Process, number: signal.Signals) -> None:
    if not process.is_alive():
        return
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
