"""The ring `rotation`: CAs are replaced under consumers that shake hands all the time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interrupted import scenes
from interrupted.scenes import Scene

_EVERY_WRITE = "--every-write"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI kill the operator at every write."""
    parser.addoption(_EVERY_WRITE, action="store_true", help="kill the operator at every write, not at one of a phase")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `--every-write` asks for."""
    if config.getoption(_EVERY_WRITE):
        return
    left_out = [item for item in items if item.get_closest_marker("every_write")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A cluster with a proxy before it, and an operator behind that with the chart's rights."""
    with scenes.running("rotation", tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def scene(stage: Scene) -> Iterator[Scene]:
    """The same without a fault, and with an operator that runs."""
    stage.begin()
    yield stage
    stage.proxy.mend()
