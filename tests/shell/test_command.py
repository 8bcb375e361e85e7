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


def test_the_operator_does_not_import_what_only_development_needs() -> None:
    """Each import costs memory for as long as the operator runs."""
    names = ("click", "kubernetes", "pytest", "rich", "typer")
    program = (
        "import sys; from mutualtls.kube import session; session.block_client_library(); "
        "import mutualtls.cli.main, mutualtls.process.operator; "
        f"print(*(name for name in {names} if sys.modules.get(name)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert "" == done.stdout.strip()
