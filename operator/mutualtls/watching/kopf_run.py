"""Run Kopf over a session that it borrows."""

from __future__ import annotations

import asyncio

import aiohttp
import kopf

from mutualtls.kube.session import Connection
from mutualtls.watching import echoes, lean
from mutualtls.watching.echoes import Filter
from mutualtls.watching.handlers import Handlers


async def run(handlers: Handlers, connection: Connection, through: Filter, *, stop: asyncio.Event) -> None:
    """Run Kopf until `stop` is set or a signal comes. What its watches bring goes `through` a filter."""
    registry = kopf.OperatorRegistry()
    handlers.register(registry)

    @kopf.on.login(registry=registry)
    def login(**_: object) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=_borrowed(connection.session, through))

    @kopf.on.cleanup(registry=registry)
    async def ending(**_: object) -> None:
        stop.set()  # Kopf waits for five seconds for its own task that waits for this flag

    await kopf.operator(registry=registry, settings=lean.settings(), clusterwide=True, standalone=True, stop_flag=stop)


def _borrowed(ours: aiohttp.ClientSession, through: Filter) -> aiohttp.ClientSession:
    """Make a session over the same connections for Kopf, open for as long as ours is.

    Kopf closes its session while some of its watches still run. One that finds it closed asks for a new login, which
    nobody serves any more, and keeps Kopf from ever ending.
    """
    borrowed = aiohttp.ClientSession(
        response_class=echoes.quiet_response(through),
        connector=ours.connector,
        connector_owner=False,
        headers=ours.headers,
        middlewares=ours._middlewares,  # noqa: SLF001 - not readable otherwise
    )
    borrowed.close = _stay_open  # type: ignore[method-assign]
    return borrowed


async def _stay_open() -> None:
    """Leave a session open."""
