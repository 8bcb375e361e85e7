"""The command behind hack/soak: random faults and operations on one operator, and then whether all is in order.

What is done is drawn from a seed, so that a run with the same seed does the same things in the same order. How they
interleave with what the operator does is not drawn.
"""

from __future__ import annotations

import dataclasses
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from devtools.clusters.clusters import ClusterError
from devtools.clusters.faults import (
    WRITES,
    Cut,
    CutAfter,
    Delay,
    Double,
    Fault,
    HalfLine,
    Lose,
    NoBookmarks,
    Refuse,
    Reorder,
    StaleLists,
    WatchError,
)
from devtools.clusters.operators import TimeoutExpiredError
from support import disasters, scenes
from support.bad_day import FORBIDDEN, MOST_MIB, Day

_MOST_IDENTITIES = 20
_LULL_S = 25.0
"""After so long all faults end, and all is to be in order again."""
_FAULTS: tuple[Fault, ...] = (
    Delay(at_least_s=0.05, at_most_s=1),
    Delay(verbs=WRITES, at_least_s=6, at_most_s=6, share=0.2),
    Refuse(status=429, retry_after_s=1, share=0.5),
    Refuse(status=500, share=0.3),
    Refuse(status=503),
    Refuse(status=503, verbs=WRITES),
    Refuse(status=409, verbs=WRITES, share=0.7),
    Refuse(status=401),
    Refuse(status=403, share=0.5),
    Refuse(status=410, verbs=frozenset({"list", "page"})),
    Cut(share=0.3),
    CutAfter(verbs=WRITES, share=0.5),
    HalfLine(share=0.3),
    WatchError(share=0.3),
    WatchError(status=500, share=0.3),
    NoBookmarks(),
    StaleLists(),
    Double(share=0.5),
    Reorder(share=0.3),
    Lose(share=0.3),
)

console = Console(highlight=False)
Operation = Callable[["Soak"], None]


@dataclass(slots=True, kw_only=True)
class Soak:
    """One run."""

    day: Day
    chance: random.Random
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    cas: dict[str, str] = field(default_factory=dict)
    """Fingerprint of each CA that ever was."""
    peak_mib: float = 0.0

    def step(self) -> None:
        """Do one thing, or put one more fault into effect."""
        if self.chance.random() < 0.2:
            fault = self.chance.choice(_FAULTS)
            self.day.scene.proxy.put(fault)
            self.faults[_named(fault)] += 1
        else:
            (name,) = self.chance.choices(list(OPERATIONS), weights=[weight for weight, _ in OPERATIONS.values()])
            self.operations[name] += 1
            OPERATIONS[name][1](self)
        self.day.scene.begin()

    def lull(self) -> None:
        """End all faults, and find whether all comes in order again."""
        self.day.scene.proxy.mend()
        begun = time.monotonic()
        try:
            self.day.wait("all is in order", self.day.is_in_order)
        except TimeoutExpiredError as error:
            self.findings.append(str(error)[:1000])
        self.recovered_s.append(time.monotonic() - begun)
        self._compare_cas()
        self._look_at_log()

    def _compare_cas(self) -> None:
        """No CA is ever replaced by another of its number."""
        for name, fingerprint in self.day.cas().items():
            if self.cas.setdefault(name, fingerprint) != fingerprint:
                self.findings.append(f"there is another CA {name}")

    def _look_at_log(self) -> None:
        found = [line for line in self.day.log() if any(word in line for word in FORBIDDEN)]
        self.findings.extend(line[:500] for line in found if line[:500] not in self.findings)
        process = self.day.scene.operator.process
        self.peak_mib = max(self.peak_mib, process.peak_mib() if process is not None else 0)
        if self.peak_mib > MOST_MIB:
            self.findings.append(f"{self.peak_mib:.0f} MiB")

    def pick(self) -> str:
        """Choose an identity."""
        return self.chance.choice(sorted(self.day.wanted))


def _create(soak: Soak) -> None:
    if len(soak.day.wanted) < _MOST_IDENTITIES:
        soak.day.number += 1
        soak.day.apply(f"new-{soak.day.number}")


def _change(soak: Soak) -> None:
    soak.day.number += 1
    name = soak.pick()
    soak.day.apply(name, dnsNames=[f"n{soak.day.number}.{name}.{soak.day.world.namespace}.svc"])


def _delete(soak: Soak) -> None:
    if len(soak.day.wanted) > 1:
        soak.day.delete(soak.pick())


def _delete_secret(soak: Soak) -> None:
    soak.day.world.delete("secret", f"{soak.pick()}-mtls")


def _edit_secret(soak: Soak) -> None:
    name = f"{soak.pick()}-mtls"
    file = soak.chance.choice(["ca.crt", "tls.crt", "tls.key"])
    if soak.day.world.get("secret", name) is not None:
        soak.day.world.patch("secret", name, {"data": {file: "bm9uZQ=="}})


def _reissue(soak: Soak) -> None:
    name = soak.pick()
    body = soak.day.world.get("mtls", name) or {}
    serial = body.get("status", {}).get("certificate", {}).get("serialNumber")
    if serial:
        order = {"metadata": {"annotations": {"mutualtls.dev/reissue": serial}}}
        soak.day.world.patch("mtls", name, order)


def _rotate(soak: Soak) -> None:
    if soak.day.authority.phase() == "Stable" and soak.day.authority.status().get("orders"):
        soak.day.authority.rotate()


def _kill(soak: Soak) -> None:
    soak.day.scene.operator.kill()


def _stop(soak: Soak) -> None:
    if not soak.day.scene.operator.stop():
        soak.findings.append("the operator did not end within ten seconds")


def _restart_api_server(soak: Soak) -> None:
    with disasters.api_server_restarts(soak.day):
        pass


def _compact(soak: Soak) -> None:
    disasters.compact(soak.day.scene.cluster)


OPERATIONS: dict[str, tuple[int, Operation]] = {
    "identity created": (10, _create),
    "identity changed": (10, _change),
    "identity deleted": (4, _delete),
    "Secret deleted": (8, _delete_secret),
    "Secret edited": (4, _edit_secret),
    "certificate reissued": (4, _reissue),
    "root rotated": (2, _rotate),
    "operator killed": (2, _kill),
    "operator stopped": (1, _stop),
    "API server restarted": (1, _restart_api_server),
    "etcd compacted": (1, _compact),
}
"""How often each is done beside the others, and how."""


def _named(fault: Fault) -> str:
    """Name a fault by its kind and what of it is not as usual."""
    usual = type(fault)()
    given = (one.name for one in dataclasses.fields(fault))
    told = [f"{name}={_text(getattr(fault, name))}" for name in given if getattr(fault, name) != getattr(usual, name)]
    return " ".join([type(fault).__name__, *told])


def _text(value: object) -> str:
    return "+".join(sorted(value)) if isinstance(value, frozenset) else str(value)


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 3,
    seed: Annotated[int | None, typer.Option(help="What is drawn; another each day by default.")] = None,
) -> None:
    """Have a bad day: random faults and operations, and then find whether all is in order."""
    chosen = int(time.time() // 86400) if seed is None else seed
    again = f"hack/soak --minutes {minutes:g} --seed {chosen}"
    console.print(f"seed {chosen}; the same again by: {again}")
    with (
        tempfile.TemporaryDirectory() as folder,
        scenes.running("soak", Path(folder), seed=chosen) as scene,
        Day.beginning(scene, Path(folder)) as day,
    ):
        soak = Soak(day=day, chance=random.Random(chosen))  # noqa: S311 - repeatable
        _run(soak, minutes * 60)
        _show(soak)
        if soak.findings:
            kept = Path(tempfile.gettempdir()) / f"soak-{chosen}.log"
            kept.write_bytes(scene.operator.log.read_bytes())
            console.print(f"the operator's log is kept: {kept}; the same again by: {again}")
    raise typer.Exit(code=bool(soak.findings))


def _run(soak: Soak, seconds: float) -> None:
    begun = lulled = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("soaking", total=seconds)
        while (now := time.monotonic()) - begun < seconds:
            try:
                soak.step()
                if now - lulled > _LULL_S:
                    soak.lull()
                    lulled = time.monotonic()
            except ClusterError as error:
                soak.findings.append(f"the API server itself refused: {error}"[:500])
            bar.update(task, completed=now - begun, description=f"{sum(soak.operations.values())} operations")
            time.sleep(soak.chance.uniform(0.1, 1.0))
    soak.lull()


def _show(soak: Soak) -> None:
    table = Table("What", "How often", box=None)
    for of in (soak.operations, soak.faults):
        for name, times in sorted(of.items()):
            table.add_row(name, str(times))
    console.print(table)
    recovered = ", ".join(f"{one:.1f}" for one in soak.recovered_s)
    console.print(f"in order again after, in seconds: {recovered}")
    console.print(f"ended by itself and was started again: {soak.day.restarts}; memory at most {soak.peak_mib:.0f} MiB")
    console.print(f"findings: {len(soak.findings)}", *soak.findings, sep="\n")


if __name__ == "__main__":
    typer.run(main)
