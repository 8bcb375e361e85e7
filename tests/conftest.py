"""What is taken of the rings: what is representative, everything, or the kills at every write or a share of them.

Without an option everything is taken but those kills. Marks say what is left out: `further` of what is representative,
`every_write` of all that does not ask for it. What is `long` begins first, so that no worker is left alone with it.
"""

from __future__ import annotations

import pytest

REPRESENTATIVE, EVERY_WRITE, SHARE, SEED = "--representative", "--every-write", "--share", "--seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what there is to be chosen."""
    group = parser.getgroup("mutualtls")
    group.addoption(REPRESENTATIVE, action="store_true", help="leave out what is one more of its kind")
    group.addoption(EVERY_WRITE, action="store_true", help="kill the operator at every write, and do nothing else")
    group.addoption(SHARE, type=int, default=1, help="of the kills at every write, take one in so many")
    group.addoption("--all-programs", action="store_true", help="fail where a program of `interop` is missing")
    group.addoption("--of-each", type=int, default=10, help="identities of each of several operators")
    group.addoption(SEED, type=int, default=0, help="which share: so many seeds after each other take all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not chosen."""
    kills = [item for item in items if item.get_closest_marker("every_write")]
    if config.getoption(EVERY_WRITE):
        chosen = _share(kills, config.getoption(SHARE), config.getoption(SEED))
    else:
        chosen = [item for item in items if item not in kills]
    if config.getoption(REPRESENTATIVE):
        chosen = [item for item in chosen if not item.get_closest_marker("further")]
    left_out = [item for item in items if item not in chosen]
    items[:] = sorted(chosen, key=lambda item: item.get_closest_marker("long") is None)
    config.hook.pytest_deselected(items=left_out)


def _share(kills: list[pytest.Item], share: int, seed: int) -> list[pytest.Item]:
    """Take one in so many kills, at places all over the list. So many seeds in a row take each of them once."""
    return [item for number, item in enumerate(kills) if number % share == seed % share]
