"""When an authority is checked next, if nothing happens before."""

from __future__ import annotations

from datetime import datetime, timedelta

from mutualtls.core.api.authority import Authority
from mutualtls.core.api.states import Phase
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation.progress import Progress
from mutualtls.core.rotation.steps import Hold, Sign

RETRY = timedelta(minutes=5)
"""How often a write is tried again that the API server refuses, while certificates are signed all the same."""

_HOLD_CHECK = timedelta(seconds=30)
"""How often an authority is checked that cannot sign, or has a source: neither a ledger nor a source is watched."""
_SOON = timedelta(seconds=1)
"""How often an authority is checked that waits for all identities to be known, or whose refusal may pass at once."""
_MAY_PASS = timedelta(seconds=10)
"""For so long a refusal may pass at once: an API server that has just started denies everything for a moment."""
_GATE_CHECK = (timedelta(seconds=0.25), timedelta(seconds=15))
"""How often a gate is checked: at most, and at least; between them twenty times in a soak."""


def next_check(
    authority: Authority,
    step: Sign | Hold,
    progress: Progress | None,
    *,
    now: datetime,
    interval: timedelta,
    is_refused: bool,
    refused_for: timedelta | None = None,
) -> datetime:
    """Tell when to check an authority again. `interval` bounds it.

    `progress` is how far the rotation is, where that is known; `is_refused`: whether the API server refused a write.
    `refused_for`: for how long it has refused what the authority itself needs; None where it does not.
    """
    moments = [now + interval]
    if isinstance(step, Hold):
        moments.append(now + (_SOON if step.reason is Reason.PREPARING else _HOLD_CHECK))
    elif step.next_check is not None:
        moments.append(step.next_check)
    if authority.spec.root.secret_ref is not None or authority.spec.trust.additional_roots:
        moments.append(now + _HOLD_CHECK)
    if refused_for is not None and refused_for < _MAY_PASS:
        moments.append(now + _SOON)
    if is_refused:
        moments.append(now + RETRY)
    if progress is not None and progress.phase is not Phase.STABLE:
        shortest, longest = _GATE_CHECK
        moments.append(now + min(max(authority.durations.soak / 20, shortest), longest))
    return min(moments)
