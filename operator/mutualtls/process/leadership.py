"""This process as a candidate for the Lease: its identity, its connection, and the fence before its writes."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mutualtls.kube import session
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.kube.fence import Fence
from mutualtls.kube.session import Connection
from mutualtls.leading.elector import Elector
from mutualtls.settings import Settings

_CONNECTIONS = 2
"""To the API server: a renewal need not wait for one that got no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a process needs to lead."""

    elector: Elector
    fence: Fence
    api: API
    """By which the Lease is read and written. It has no fence."""
    connection: Connection

    async def leave(self) -> None:
        """Give up the Lease, if it is held, and the connection."""
        try:
            await self.elector.release()
        finally:
            await self.connection.session.close()


def name() -> str:
    """Name this process for people: its pod, or the host."""
    return os.environ.get("POD_NAME") or socket.gethostname()


def join(settings: Settings, *, clock: Callable[[], datetime]) -> Candidate:
    """Make a candidate.

    Raises:
        LoginError: there is no way to the API server.
    """
    duration, deadline, retry = (
        period.total_seconds() for period in (settings.lease_duration, settings.renew_deadline, settings.retry_period)
    )
    fence = Fence(longest_s=settings.request_timeout.total_seconds(), least_left_s=duration - deadline)
    connection = session.connect(connections=_CONNECTIONS)
    api = API(connection.session, connection.server, timeout_s=max(deadline / 2, 1), clock=clock)
    elector = Elector(
        api,
        fence,
        Announcer(api, clock=clock, instance=name()),
        identity=f"{name()}_{uuid.uuid4()}",
        namespace=settings.namespace,
        duration_s=int(duration),
        retry_s=retry,
        now=clock,
    )
    return Candidate(elector=elector, fence=fence, api=api, connection=connection)
