"""What every door of hack/ goes through: `bootstrap.py MODULE ARGUMENT...` runs a module in the project's environment.

The environment is a virtual environment in the cache, made from requirements.txt when it is first needed. Standard
library only, and nothing that Python 3.6 cannot read, so that it can say which Python is needed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
CANDIDATES = ("python3.13", "python3.12", "python3.11")
HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"


def main() -> None:
    """Run the module that the first argument names, in the project's environment."""
    if sys.version_info < OLDEST or os.environ.get("PYTHON"):
        _change_python()
    python = str(_environment())
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent / "operator"), str(HERE)])
    os.execv(python, [python, "-m", *sys.argv[1:]])


def _change_python() -> None:
    """Go on under the Python that PYTHON names, or under a newer one from the PATH."""
    wanted = os.environ.pop("PYTHON", None)
    for path in map(shutil.which, [wanted] if wanted else CANDIDATES):
        if path and _is_new_enough(path):
            os.execv(path, [path, str(Path(__file__).resolve()), *sys.argv[1:]])
    here = wanted or ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"hack: needs Python 3.11 or later: found {here}; name another by PYTHON=/path/to/python3")


def _is_new_enough(python: str) -> bool:
    """Ask a Python for its version: what the PATH has may be a version manager's shim for one that is not there."""
    question = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    quiet = subprocess.DEVNULL
    return subprocess.run([python, "-c", question], stdout=quiet, stderr=quiet, check=False).returncode == 0


def cache() -> Path:
    """Folder of all that is costly to make: MUTUALTLS_CACHE, else mutualtls in the user's cache."""
    named = os.environ.get("MUTUALTLS_CACHE")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mutualtls"
    return Path(named) if named else usual


def _environment() -> Path:
    """Make the environment unless it is there, and return its Python. Two at once are safe: one waits."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache() / "environments" / f"python{sys.version_info[0]}.{sys.version_info[1]}-{key}"
    complete = folder / "complete"
    if not complete.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with Path(f"{folder}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("waiting for another to prepare the Python environment")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                _install(folder)
                complete.touch()
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    """Make the environment. It is made in place, as one cannot be moved; the file `complete` says that it is whole."""
    _say("preparing the Python environment, once: about a minute")
    begun = time.monotonic()
    shutil.rmtree(str(folder), ignore_errors=True)
    log = Path(f"{folder}.log")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, "--requirement", str(REQUIREMENTS)]):
        with log.open("a") as output:
            failed = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        if failed:
            sys.stderr.write("".join(log.read_text().splitlines(True)[-15:]))
            sys.exit(f"hack: the Python environment could not be prepared: the whole log is {log}")
    _say(f"prepared in {time.monotonic() - begun:.0f} s")


def _say(text: str) -> None:
    sys.stderr.write(f"hack: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
