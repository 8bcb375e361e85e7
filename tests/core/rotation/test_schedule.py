"""When an authority is checked next, if nothing happens before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mutualtls.core.api.states import Phase
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import schedule
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.steps import Hold, Sign
from support.builders import HOUR, MINUTE, NOW, SECOND, authority, default_signer

SIGNS = Sign(default_signer().issuing)
SOON = Sign(SIGNS.ca, next_check=NOW + MINUTE)
LATE = Sign(SIGNS.ca, next_check=NOW + 2 * HOUR)
HELD, PREPARING = Hold(Reason.KEY_LOST, "restore it"), Hold(Reason.PREPARING, "not all identities are known")
OUTSIDE: dict[str, Any] = {"root": {"secretRef": {"name": "corp"}}, "trustDomain": "corp"}
FEDERATED: dict[str, Any] = {"trust": {"additionalRoots": [{"name": "partner", "key": "ca.crt"}]}}
PUBLISHING = Progress(phase=Phase.PUBLISHING)


def after(
    step: Sign | Hold,
    progress: Progress | None = None,
    *,
    is_refused: bool = False,
    refused_for: timedelta | None = None,
    **spec: Any,
) -> timedelta:
    """In what time an authority is checked again that is checked once an hour."""
    of = authority(**spec)
    found = schedule.next_check(
        of, step, progress, now=NOW, interval=HOUR, is_refused=is_refused, refused_for=refused_for
    )
    return found - NOW


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(after(SIGNS), HOUR, id="it signs"),
        pytest.param(after(SIGNS, Progress()), HOUR, id="it signs, and is stable"),
        pytest.param(after(SOON), MINUTE, id="a step is due"),
        pytest.param(after(LATE), HOUR, id="a step is due later than it is checked anyhow"),
        pytest.param(after(HELD), 30 * SECOND, id="it cannot sign"),
        pytest.param(after(PREPARING), SECOND, id="identities are not known yet"),
        pytest.param(after(SIGNS, **OUTSIDE), 30 * SECOND, id="its CA comes from a Secret"),
        pytest.param(after(SIGNS, **FEDERATED), 30 * SECOND, id="roots come from a ConfigMap"),
        pytest.param(after(PREPARING, **OUTSIDE), SECOND, id="both"),
        pytest.param(after(SIGNS, is_refused=True), 5 * MINUTE, id="a write is refused"),
        pytest.param(after(SIGNS, is_refused=True, refused_for=9 * SECOND), SECOND, id="a refusal may pass at once"),
        pytest.param(after(SIGNS, is_refused=True, refused_for=10 * SECOND), 5 * MINUTE, id="a refusal lasts"),
        pytest.param(after(SOON, is_refused=True), MINUTE, id="a step is due before that is tried again"),
    ],
)
def test_the_next_check(found: timedelta, expected: timedelta) -> None:
    """The first of all moments at which there may be something to do."""
    assert expected == found


@pytest.mark.parametrize(
    ("soak", "expected"),
    [
        pytest.param("1s", 0.25 * SECOND, id="not more often than four times a second"),
        pytest.param("1m", 3 * SECOND, id="twenty times in a soak"),
        pytest.param("24h", 15 * SECOND, id="not less often than every quarter of a minute"),
    ],
)
def test_a_gate_is_checked_as_often_as_its_soak_is_short(soak: str, expected: timedelta) -> None:
    """The interval counts while a root is being replaced."""
    assert expected == after(SIGNS, PUBLISHING, rotation={"soak": soak})
