"""How long a new identity waits while somebody of another namespace does what they can: each attack in turn, one table.

The attacks are those that one namespace's editor can make. A wait counts from the answer to the creation on, until the
identity is Ready. It may be at most twice as long as alone, and half a second; for a slow key beside other slow ones,
and one such key. How long the API server takes to answer the creation is shown beside it: where that is much, it is the
API server that is kept busy, whose load the operator cannot bound.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import statistics
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from rich.table import Table

from devtools.clusters import clusters, operators
from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import Operator
from devtools.machine import streams
from mutualtls.kube import paths, session
from mutualtls.kube.api import API

OURS = Path(__file__).parents[3]
NEIGHBOUR = "shop"
PROBES = 15
"""How often a new identity is measured, in each row."""
_PAUSE_S = 0.5
_PATIENCE_S = 60.0
_CREATORS = 8
_SLACK_S = 0.5
_FLAP_S = 0.2
_SETTLED_S = 120.0

ECDSA: dict[str, Any] = {}
RSA_2048: dict[str, Any] = {"privateKey": {"algorithm": "RSA"}}
RSA_8192: dict[str, Any] = {"privateKey": {"algorithm": "RSA", "size": 8192}}
STORES: dict[str, Any] = {"formats": {"pkcs12": {"passwordSecretRef": {"name": "stores"}}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How long new identities waited, in seconds, and what the operator did meanwhile."""

    waits: tuple[float, ...]
    answer: float
    """How long the API server took to answer the creation of half of them, at most."""
    signatures: int
    log_kb: float
    memory_mib: float

    @property
    def median(self) -> float:
        """The wait of half of them, at most."""
        return statistics.median(self.waits)

    @property
    def longest(self) -> float:
        """The wait of all of them, at most."""
        return max(self.waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attack, and a new identity meanwhile."""

    attack: str
    probe: str
    alone: Measured
    beside: Measured
    slack_s: float

    @property
    def allowed(self) -> tuple[float, float]:
        """Median and longest that are within bounds."""
        return 2 * self.alone.median + self.slack_s, 2 * self.alone.longest + self.slack_s

    @property
    def is_fair(self) -> bool:
        """Whether both are."""
        median, longest = self.allowed
        return self.beside.median <= median and self.beside.longest <= longest


@dataclass(slots=True)
class Field:
    """A cluster with an operator, seen by a neighbour and an attacker."""

    api: API
    connection: session.Connection
    operator: Operator
    scale: float
    attacker: str = ""
    """The namespace of the attack that is under way: each has its own, so that none begins with another's share."""
    ready: dict[str, asyncio.Event] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def scaled(self, number: int) -> int:
        """Make a number of an attack smaller, as was asked."""
        return max(1, round(number * self.scale))

    async def apply(self, namespace: str, name: str, spec: dict[str, Any]) -> None:
        """Create an identity."""
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity", "metadata": metadata}
        await self.api.create(paths.identity(namespace, name).rpartition("/")[0], {**body, "spec": spec})

    async def apply_all(self, count: int, spec: dict[str, Any]) -> None:
        """Create many of the attacker's, several at once."""
        numbers = iter(range(count))

        async def create() -> None:
            for number in numbers:
                await self.apply(self.attacker, f"a-{number}", spec)

        await asyncio.gather(*(create() for _ in range(_CREATORS)))

    async def edit(self, name: str, spec: dict[str, Any]) -> None:
        """Change an identity of the attacker's."""
        await self.api.patch(paths.identity(self.attacker, name), {"spec": spec})

    async def follow(self) -> None:
        """Take in which of the neighbour's identities are Ready, until cancelled."""
        url = f"{self.connection.server}{paths.identity(NEIGHBOUR, '').rstrip('/')}"
        while True:
            with contextlib.suppress(aiohttp.ClientPayloadError):
                async with self.connection.session.get(url, params={"watch": "true"}, timeout=None) as response:
                    async for line in streams.lines(response.content):
                        self._take_in(msgspec.json.decode(line)["object"])

    def _take_in(self, body: dict[str, Any]) -> None:
        conditions = (body.get("status") or {}).get("conditions") or ()
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            self.ready.setdefault(body["metadata"]["name"], asyncio.Event()).set()

    async def probe(self, spec: dict[str, Any]) -> tuple[float, float]:
        """Create an identity of the neighbour's, and tell how long the answer takes, and then until it is Ready."""
        name = f"n-{next(self.numbers)}"
        ready = self.ready.setdefault(name, asyncio.Event())
        clock = asyncio.get_running_loop().time
        asked = clock()
        await self.apply(NEIGHBOUR, name, spec)
        answered = clock()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await ready.wait()
        return answered - asked, clock() - answered

    async def probes(self, *specs: dict[str, Any]) -> list[Measured]:
        """Measure new identities of each kind, in turn."""
        answers: list[float] = []
        waits: list[list[float]] = [[] for _ in specs]
        signatures, logged = self._logged()
        for _ in range(PROBES):
            for spec, of_spec in zip(specs, waits, strict=True):
                answer, wait = await self.probe(spec)
                answers.append(answer)
                of_spec.append(wait)
            await asyncio.sleep(_PAUSE_S)
            if max(map(max, waits)) >= _PATIENCE_S:
                break
        signed, log = self._logged()
        process = self.operator.process
        return [
            Measured(
                waits=tuple(of_spec),
                answer=statistics.median(answers),
                signatures=signed - signatures - sum(map(len, waits)),
                log_kb=(log - logged) / 1024,
                memory_mib=process.peak_mib() if process else 0,
            )
            for of_spec in waits
        ]

    def _logged(self) -> tuple[int, int]:
        """Count the signatures and the bytes in the operator's log."""
        content = self.operator.log.read_bytes()
        return content.count(b"signed a certificate"), len(content)

    async def clear(self) -> None:
        """Delete what the attacker has made, and wait until the operator has nothing to do with it any more."""
        parent = paths.identity(self.attacker, "").rstrip("/")
        async with self.connection.session.delete(f"{self.connection.server}{parent}") as response:
            await response.read()
        async with asyncio.timeout(_SETTLED_S):
            while await self.api.count(parent):  # noqa: ASYNC110 - there is nothing to be woken by
                await asyncio.sleep(_PAUSE_S)
        for _ in range(3):
            await self.probe(ECDSA)
            await asyncio.sleep(_PAUSE_S)


Attack = Callable[[Field], Coroutine[Any, Any, None]]


async def large_keys(on: Field) -> None:
    """Ask for 300 of the largest keys."""
    await on.apply_all(on.scaled(300), RSA_8192)


async def flood(on: Field) -> None:
    """Apply 5,000 identities."""
    await on.apply_all(on.scaled(5000), ECDSA)


async def flapping(on: Field) -> None:
    """Change sixteen specs again and again."""
    await on.apply_all(16, ECDSA)
    await asyncio.gather(*(_flap(on, f"a-{number}", [[f"x.a-{number}.{on.attacker}.svc"], []]) for number in range(16)))


async def largest(on: Field) -> None:
    """Change the largest spec that is permitted again and again."""
    await on.apply_all(1, ECDSA)
    label = "x" * 60
    names = [f"{number}.{label}.{label}.{label}.a-0.{on.attacker}.svc" for number in range(100)]
    await _flap(on, "a-0", [names, [f"y{name}" for name in names]])


async def _flap(on: Field, name: str, choices: list[list[str]]) -> None:
    for names in itertools.cycle(choices):
        await on.edit(name, {"dnsNames": names})
        await asyncio.sleep(_FLAP_S)


async def password(on: Field) -> None:
    """Change, each second, the password that the stores of 300 identities share."""
    secret = {"name": "stores", "namespace": on.attacker, "labels": {"mutualtls.dev/part": "password"}}
    data = {"password": base64.b64encode(b"0").decode()}
    await on.api.create(paths.secrets(on.attacker), {"metadata": secret, "data": data})
    await on.apply_all(on.scaled(300), STORES)
    for number in itertools.count():
        data = {"password": base64.b64encode(str(number).encode()).decode()}
        await on.api.patch(paths.secret(on.attacker, "stores"), {"data": data})
        await asyncio.sleep(1)


ATTACKS: tuple[tuple[str, Attack, dict[str, dict[str, Any]]], ...] = (
    ("300 RSA 8192 keys", large_keys, {"ECDSA": ECDSA, "RSA 2048": RSA_2048}),
    ("5,000 identities at once", flood, {"ECDSA": ECDSA}),
    ("16 specs that flap", flapping, {"ECDSA": ECDSA}),
    ("a password of 300, each second", password, {"ECDSA": ECDSA}),
    ("the largest identity, flapping", largest, {"ECDSA": ECDSA}),
)


def measure(operator: Operator, cluster: Cluster, *, scale: float) -> list[Row]:
    """Measure all attacks, one after the other."""
    for namespace in (NEIGHBOUR, *map(_attacker, range(len(ATTACKS)))):
        cluster.kubectl("create", "namespace", namespace)
    return asyncio.run(_measure(operator, cluster, scale))


async def _measure(operator: Operator, cluster: Cluster, scale: float) -> list[Row]:
    async with _field(operator, cluster, scale) as on:
        await on.probes(ECDSA)  # so that nothing is measured for the first time
        alone = dict(zip(("ECDSA", "RSA 2048"), await on.probes(ECDSA, RSA_2048), strict=True))
        rows = []
        for number, (name, attack, asked) in enumerate(ATTACKS):
            on.attacker = _attacker(number)
            under_way = asyncio.create_task(attack(on))
            await asyncio.sleep(1)
            beside = dict(zip(asked, await on.probes(*asked.values()), strict=True))
            under_way.cancel()
            await asyncio.gather(under_way, return_exceptions=True)
            if not under_way.cancelled() and (error := under_way.exception()):
                raise error
            for probe, measured in beside.items():
                slack = _SLACK_S + (alone[probe].longest if probe == "RSA 2048" else 0)
                rows.append(Row(attack=name, probe=probe, alone=alone[probe], beside=measured, slack_s=slack))
            await on.clear()
        return rows


def _attacker(number: int) -> str:
    return f"mallory-{number}"


@contextlib.asynccontextmanager
async def _field(operator: Operator, cluster: Cluster, scale: float) -> AsyncIterator[Field]:
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig())
    connection = session.connect(connections=_CREATORS + 24)
    api = API(connection.session, connection.server, timeout_s=60, clock=lambda: datetime.now(UTC))
    async with connection.session:
        on = Field(api, connection, operator, scale)
        following = asyncio.create_task(on.follow())
        try:
            yield on
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def table(rows: list[Row]) -> Table:
    """Show them, each beside the wait alone and the longest that is within bounds."""
    columns = ("Attack", "New identity", "Alone", "Beside it", "Allowed", "", "API server", "Signed", "Log", "Memory")
    shown = Table(*columns, box=None)
    for row in rows:
        shown.add_row(
            row.attack,
            row.probe,
            f"{row.alone.median:.2f} / {row.alone.longest:.2f} s",
            _said(row.beside),
            f"{row.allowed[0]:.2f} / {row.allowed[1]:.2f} s",
            "[green]fair[/green]" if row.is_fair else "[red]unfair[/red]",
            f"{row.beside.answer:.2f} s",
            f"{row.beside.signatures}",
            f"{row.beside.log_kb:,.0f} KB",
            f"{row.beside.memory_mib:.0f} MiB",
        )
    return shown


def _said(beside: Measured) -> str:
    if beside.longest >= _PATIENCE_S:
        return f"not within {_PATIENCE_S:.0f} s"
    return f"{beside.median:.2f} / {beside.longest:.2f} s"


@contextlib.contextmanager
def served(cluster: Cluster, authority: str, *, tree: Path) -> Iterator[Operator]:
    """Run the operator of a checkout, which signs for everybody."""
    operator = Operator(
        cluster=cluster, log=cluster.folder / "operator.log", settings={"PYTHONPATH": str(tree / "operator")}
    )
    operator.start()
    try:
        cluster.kubectl("apply", "--filename", "-", stdin=authority)
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        yield operator
    finally:
        operator.stop()


def run(authority: str, *, scale: float, tree: Path = OURS) -> list[Row]:
    """Measure all attacks on the operator of a checkout, on a cluster of their own."""
    with clusters.running("bench-fairness") as cluster:
        operators.install(cluster)
        with served(cluster, authority, tree=tree) as operator:
            return measure(operator, cluster, scale=scale)
