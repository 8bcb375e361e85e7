"""When it is told that the API server takes writes again."""

from __future__ import annotations

import pytest

from mutualtls.kube.outage import Outage
from support.builders import NOW, SECOND


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param([(0, "POST", 503), (11, "PATCH", 200)], 1, id="none was taken for long, and one is"),
        pytest.param([(0, "POST", 0), (5, "PATCH", 429), (11, "PATCH", 409)], 1, id="a conflict is an answer, too"),
        pytest.param([(0, "POST", 503), (9, "PATCH", 200)], 0, id="not for long"),
        pytest.param([(0, "POST", 503), (5, "PATCH", 200), (9, "POST", 500), (12, "POST", 201)], 0, id="now and then"),
        pytest.param([(0, "POST", 403), (11, "POST", 201)], 0, id="a refusal is of that write alone"),
        pytest.param([(0, "GET", 503), (11, "GET", 200), (12, "POST", 201)], 0, id="reads do not count"),
        pytest.param([(0, "POST", 503), (11, "POST", 201), (12, "POST", 201)], 1, id="once"),
    ],
)
def test_the_end_of_an_outage_is_told(answers: list[tuple[int, str, int]], told: int) -> None:
    """Each answer comes so many seconds after the beginning."""
    now = [NOW]
    outage = Outage(lambda: now[0])
    ends: list[None] = []
    outage.on_end = lambda: ends.append(None)
    for after, method, code in answers:
        now[0] = NOW + after * SECOND
        outage.note(method, code)

    assert told == len(ends)
