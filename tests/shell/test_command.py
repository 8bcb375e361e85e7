"""The options of the command `mutualtls`, and what it imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.command import run


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("--help",), 0, "Run the operator until it gets SIGTERM or Ctrl-C.", id="help"),
        pytest.param(("check", "--help"), 0, "Exits with 1 if something is refused", id="help of a command"),
        pytest.param((), 2, "Check manifests offline", id="nothing"),
        pytest.param(("renew",), 2, "invalid choice: 'renew'", id="no command"),
        pytest.param(("check",), 2, "the following arguments are required: FILE", id="no file"),
        pytest.param(
            ("run", "--log=json"), 2, "unrecognized arguments: --log=json", id="no option, though it begins one"
        ),
        pytest.param(("run", "--log-format=xml"), 2, "invalid choice: 'xml'", id="no value"),
        pytest.param(("run", "--kubeconfig=absent"), 1, "mutualtls: no such kubeconfig: absent", id="no kubeconfig"),
    ],
)
def test_the_command_says_what_it_takes(arguments: tuple[str, ...], code: int, said: str) -> None:
    """Wrong arguments have an exit status of their own."""
    done = run(*arguments)

    assert code == done.exit_code
    assert said in done.output


def loaded(program: str) -> str:
    """Have `mutualtls run` import what it runs on, and return what a program says of that."""
    begun = (
        "import contextlib, os, sys, mutualtls.cli.main as cli\n"
        "with contextlib.suppress(SystemExit): cli.main(['run', '--kubeconfig=absent'])\n"
        "from mutualtls.kube import session\n"
        "session.block_client_library()\n"
        "import mutualtls.process.operator\n"
    )
    done = subprocess.run([sys.executable, "-c", begun + program], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_operator_does_not_import_what_only_development_needs() -> None:
    """Each import costs memory for as long as the operator runs."""
    names = ("click", "pydantic", "pytest", "rich", "typer")

    assert "" == loaded(f"print(*(name for name in {names} if name in sys.modules))")


def test_the_operator_loads_no_public_cas(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig without a CA counts on them later, so that the variable is as it was."""
    monkeypatch.setenv("SSL_CERT_FILE", "mine")
    said = loaded(
        "import aiohttp.connector as by\n"
        "print(by._SSL_CONTEXT_VERIFIED.cert_store_stats()['x509'], os.environ['SSL_CERT_FILE'])"
    )

    assert "0 mine" == said
