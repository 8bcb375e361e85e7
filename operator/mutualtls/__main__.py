"""`python -m mutualtls` is the command `mutualtls`."""

from mutualtls.cli.main import main

main()
