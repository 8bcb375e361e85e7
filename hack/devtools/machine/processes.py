"""Processes that outlive the one that started them, told apart from later ones of the same number."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_STOP_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process by its number and the moment at which it began, in clock ticks since boot."""

    pid: int
    began: int

    def is_alive(self) -> bool:
        """Whether it is this very process that runs under the number, and not as a zombie."""
        status = _status(self.pid)
        return status is not None and status == ("alive", self.began)

    def memory_mib(self) -> float:
        """Resident memory in MiB; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def peak_mib(self) -> float:
        """Most resident memory that it ever had, in MiB; 0 when it is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0.0
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def cpu_s(self) -> float:
        """CPU time used so far, in seconds; 0 when it is gone."""
        fields = _fields(self.pid)
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

    def stop(self) -> bool:
        """Ask it to end, and end it if it does not. Return whether it ended by itself."""
        return self._end(signal.SIGTERM) or not self._end(signal.SIGKILL)

    def kill(self) -> None:
        """End it without asking."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> bool:
        """Send a signal and wait for the end. Return whether it came in time."""
        deadline = time.monotonic() + _STOP_S
        if self.is_alive():
            os.kill(self.pid, number)
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def start(command: Sequence[str], *, log: Path, environment: dict[str, str] | None = None) -> Process:
    """Start a process in a session of its own, so that Ctrl-C reaches the one who started it alone."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    started.returncode = 0  # it is waited for by number, in `stop`, and may outlive us
    return of(started.pid)


def of(pid: int) -> Process:
    """Identify a process that runs now."""
    fields = _fields(pid)
    return Process(pid=pid, began=int(fields[19]) if fields else 0)


def parent(pid: int) -> int:
    """Tell the number of the process that started one; 0 when that is gone."""
    fields = _fields(pid)
    return int(fields[1]) if fields else 0


def children(pid: int) -> list[int]:
    """List the numbers of the processes that one has started, as far as they still run."""
    found = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return [one for one in found if parent(one) == pid]


def _fields(pid: int) -> list[str]:
    """Read /proc/PID/stat from the third field on; the second, the name, may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _status(pid: int) -> tuple[str, int] | None:
    """Tell whether a process lives, and when it began; None where it is gone.

    As long as one of its threads has not ended, its sockets are open, though the process counts as a zombie.
    """
    _reap(pid)
    fields = _fields(pid)
    if not fields:
        return None
    is_over = fields[0] == "Z" and int(fields[17]) <= 1
    return "zombie" if is_over else "alive", int(fields[19])


def _reap(pid: int) -> None:
    """Collect a child that ended; others are their parents' business."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
