"""Run Kopf over a session that it borrows: several of them where each authority is followed by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping

import aiohttp
import kopf

from mutualtls.core.model import labels
from mutualtls.core.model.scope import METADATA_NAME, SPEC_AUTHORITY, Scope
from mutualtls.kube.session import Connection
from mutualtls.watching import echoes, lean
from mutualtls.watching.echoes import Filter
from mutualtls.watching.handlers import Handlers

_IDENTITY = "mutualtls-operator"
"""Among peers of Kopf, of which there are none. Kopf would make one up from the user's name, which many a uid of a
container has not, and end."""


async def run(
    scope: Scope, handlers: Handlers, connection: Connection, through: Callable[[str], Filter], *, stop: asyncio.Event
) -> None:
    """Run Kopf until `stop` is set or a signal comes, which all of them end by.

    What their watches bring goes `through` a filter each, by the name of the authority that it follows alone; "" where
    there is no such one.
    """
    identities, authorities = scope.by_field(SPEC_AUTHORITY), scope.by_field(METADATA_NAME)
    runs: list[Coroutine[None, None, None]] = []
    for of, selector in identities.items():
        registry = kopf.OperatorRegistry()
        handlers.register(registry, is_first=not runs)
        fields = {labels.IDENTITY_PLURAL: selector, labels.AUTHORITY_PLURAL: authorities[of]}
        runs.append(_run(registry, fields, connection, through(of), stop=stop))
    for end in await asyncio.gather(*runs, return_exceptions=True):
        if isinstance(end, Exception):
            raise end


async def _run(
    registry: kopf.OperatorRegistry,
    fields: Mapping[str, str],
    connection: Connection,
    through: Filter,
    *,
    stop: asyncio.Event,
) -> None:
    """Run one, which ends the others when it ends."""

    @kopf.on.login(registry=registry)
    def login(**_: object) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=_borrowed(connection.session, through))

    @kopf.on.cleanup(registry=registry)
    async def ending(**_: object) -> None:
        stop.set()  # Kopf waits for five seconds for its own task that waits for this flag

    try:
        await kopf.operator(
            registry=registry,
            settings=lean.settings(fields),
            identity=_IDENTITY,  # type: ignore[arg-type] # a NewType that Kopf does not export
            clusterwide=True,
            standalone=True,
            stop_flag=stop,
        )
    finally:
        stop.set()


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
