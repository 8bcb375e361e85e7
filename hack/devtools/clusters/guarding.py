"""The process that outlives a run: it ends what the run left, and then removes its clusters. See `machine/guard`."""

from __future__ import annotations

from devtools.machine import guard


def main() -> None:
    """Wait for the end of the run, end what it left, and remove its clusters."""
    guard.end_what_is_left()
    # Only now, as it takes more memory and time to import than all that waiting needs.
    from devtools.clusters import clusters  # noqa: PLC0415

    clusters.sweep()


if __name__ == "__main__":
    main()
