"""The command behind hack/soak. What it does is in `support.soak`, among what the tests are built on."""

from __future__ import annotations

import sys

from devtools.commands import suite

if __name__ == "__main__":
    sys.exit(suite.run((sys.executable, "-m", "support.soak", *sys.argv[1:])))
