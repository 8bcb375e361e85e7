"""The ring `interrupted`: faults and kills between operator and API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import scenes
from support.scenes import Scene


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A cluster with a proxy before it, and an operator behind that with the chart's rights."""
    with scenes.running("killed", tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def scene(stage: Scene) -> Iterator[Scene]:
    """The same without a fault, and with an operator that runs."""
    stage.begin()
    yield stage
    stage.proxy.mend()
