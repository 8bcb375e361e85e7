"""The ring `interrupted`: faults and kills between operator and API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import bad_day, scenes
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long it took after each fault until all was in order."""
    told = [dict(report.user_properties).get(bad_day.RECOVERED) for report in terminalreporter.getreports("passed")]
    for line in sorted(str(one) for one in told if one is not None):
        terminalreporter.write_line(line)
