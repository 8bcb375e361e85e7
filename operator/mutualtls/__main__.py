"""`python -m mutualtls` is the command `mutualtls`."""

from mutualtls.cli.main import app

app(prog_name="mutualtls")
