"""What every door of hack/ goes through: `bootstrap.py MODULE ARGUMENT...` runs a module in the project's environment.

The environment is a virtual environment in the cache, made from requirements.txt when it is first needed. Standard
library only, and readable by an old Python, so that it can say which one is needed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
CANDIDATES = ("python3.13", "python3.12", "python3.11")
HERE = os.path.dirname(os.path.abspath(__file__))
REQUIREMENTS = os.path.join(HERE, "requirements.txt")


def main():
    """Run the module that the first argument names, in the project's environment."""
    if sys.version_info < OLDEST or os.environ.get("PYTHON"):
        _change_python()
    python = _environment()
    paths = [os.path.join(os.path.dirname(HERE), "operator"), HERE]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.execv(python, [python, "-m"] + sys.argv[1:])


def _change_python():
    """Go on under the Python that PYTHON names, or under a newer one from the PATH."""
    wanted = os.environ.pop("PYTHON", None)
    found = [path for path in map(shutil.which, [wanted] if wanted else CANDIDATES) if path]
    if not found:
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit("hack: needs Python 3.11 or later: found %s; name another by PYTHON=/path/to/python3" % (wanted or version))
    os.execv(found[0], [found[0], os.path.abspath(__file__)] + sys.argv[1:])


def cache():
    """Folder of all that is costly to make: MUTUALTLS_CACHE, else mutualtls in the user's cache."""
    usual = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mutualtls")
    return os.environ.get("MUTUALTLS_CACHE") or usual


def _environment():
    """Make the environment unless it is there, and return its Python. Two at once are safe: one waits."""
    with open(REQUIREMENTS, "rb") as file:
        key = hashlib.sha256(file.read() + sys.version.encode()).hexdigest()[:12]
    folder = os.path.join(cache(), "environments", "python%d.%d-%s" % (sys.version_info[0], sys.version_info[1], key))
    python = os.path.join(folder, "bin", "python")
    complete = os.path.join(folder, "complete")
    if not os.path.exists(complete):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        with open(folder + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(complete):
                _install(folder, python)
                open(complete, "w").close()
    return python


def _install(folder, python):
    """Make the environment. It is made in place, as one cannot be moved; the file `complete` says that it is whole."""
    _say("preparing the Python environment, once: about a minute")
    begun = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    log = folder + ".log"
    with open(log, "w") as output:
        command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--requirement", REQUIREMENTS]
        failed = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if failed:
        with open(log) as output:
            sys.stderr.write("".join(output.readlines()[-15:]))
        sys.exit("hack: pip could not install requirements.txt: the whole log is %s" % log)
    _say("prepared in %d s" % (time.monotonic() - begun))


def _say(text):
    sys.stderr.write("hack: %s\n" % text)
    sys.stderr.flush()


if __name__ == "__main__":
    main()
