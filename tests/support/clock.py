"""The operator as a process whose own clock is wrong, by as many seconds as a file says: `python -m rotation.clock`.

The file is read at each look at the clock, so that a clock may jump while the operator runs.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mutualtls.cli.main import main
from mutualtls.process import operator

OFF = "CLOCK_OFF"
"""Environment variable: path of the file."""


def now() -> datetime:
    """Read the wrong clock."""
    return datetime.now(UTC) + timedelta(seconds=float(Path(os.environ[OFF]).read_text()))


if __name__ == "__main__":
    operator.utc_now = now
    main()
