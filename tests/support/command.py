"""The command `mutualtls`, in the process of the test."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import NamedTuple

import pytest

from mutualtls.cli.main import main


class Ended(NamedTuple):
    """How the command ended."""

    exit_code: int
    output: str


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def run(*arguments: str, given: str = "", screen: io.StringIO | None = None) -> Ended:
    """Run the command, `given` as its standard input and the `screen` as all its output."""
    screen = screen or io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        patch.setattr(sys, "stdin", io.StringIO(given))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    return Ended(int(ended.value.code or 0), screen.getvalue())
