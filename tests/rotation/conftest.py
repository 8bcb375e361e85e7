"""The ring `rotation`: CAs are replaced under consumers that shake hands all the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from support import runs, scenes
from support.scenes import Scene

_HANDSHAKES = "handshakes"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A cluster with a proxy before it, and an operator behind that with the chart's rights."""
    with scenes.running("rotation", tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def scene(stage: Scene, record_property: Callable[[str, object], None]) -> Iterator[Scene]:
    """The same without a fault, and with an operator that runs."""
    stage.begin()
    runs.handshakes.clear()
    yield stage
    stage.proxy.mend()
    record_property(_HANDSHAKES, sum(runs.handshakes))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many handshakes were made, by file. None may have failed of those that are within the promise."""
    counted: dict[str, list[int]] = defaultdict(list)
    for report in terminalreporter.getreports(""):
        told = dict(report.user_properties).get(_HANDSHAKES)
        if report.when == "teardown" and told is not None:
            counted[report.nodeid.partition("::")[0]].append(int(str(told)))
    for file, made in sorted(counted.items()):
        terminalreporter.write_line(f"{file}: {sum(made):,} handshakes in {len(made)} tests")
