"""Consumers as real processes, whose files reach them as kubelet brings them: late, each at another time, all at once.

They shake hands in all pairs all the time, and what they hold and how it goes is written into a folder: one for each
of them with its `log.jsonl` (`consumer`), and `authority.jsonl` with the phases. `picture` draws such a folder.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import math
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from devtools.clusters.clusters import Cluster
from devtools.clusters.operators import wait_until
from devtools.consumers import consumer, mounts, watches
from devtools.consumers.watches import Event, Watches
from devtools.machine import processes
from devtools.machine.processes import Process

KUBELET_S = 90.0
"""Longest that kubelet takes to bring a new version of a Secret to a pod."""
PHASES = "authority.jsonl"

_CONFIG_MAPS = "/api/v1/configmaps"
_SECRETS = "/api/v1/secrets"
_BUNDLES = "mutualtls.dev/part=bundle"
_AUTHORITIES = "/apis/mutualtls.dev/v1alpha1/mutualtlsauthorities"
_OUTPUT = "output.log"
_ROUND_S = 60.0


@dataclass(frozen=True, slots=True)
class Source:
    """What is mounted: a Secret or, of a bundle, a ConfigMap."""

    kind: str
    """`Secret` or `ConfigMap`."""
    namespace: str
    name: str


def projected(namespace: str, secret: str, *, trust: str | None = None) -> tuple[Source, ...]:
    """Tell the sources of a volume with the files of a Secret; those of the ConfigMap `trust` in place of its own."""
    sources = [Source("Secret", namespace, secret)]
    sources += [Source("ConfigMap", namespace, trust)] if trust is not None else []
    return tuple(sources)


@dataclass(slots=True, kw_only=True)
class Mount:
    """A volume in the folder of a consumer."""

    sources: tuple[Source, ...]
    """Of files with one name, those of the last count."""
    folder: Path
    delay_s: float | None
    """How late each version comes; None: drawn for each."""
    mounted: dict[Source, Event] = field(default_factory=dict)

    def bring(self, source: Source, event: Event) -> None:
        """Write the files anew with a version of a source, unless a newer one was faster."""
        if source in self.sources and event.version > self.version(source):
            self.mounted[source] = event
            if len(self.mounted) == len(self.sources):
                files = [_files(self.mounted[one]) for one in self.sources]
                mounts.update(self.folder, {name: text for each in files for name, text in each.items()})

    def version(self, source: Source) -> int:
        """Tell which version of a source is mounted; 0 while none is."""
        return self.mounted[source].version if source in self.mounted else 0


def _files(event: Event) -> dict[str, bytes]:
    data = event.body.get("data", {})
    if event.body.get("kind") == "ConfigMap":
        return {name: text.encode() for name, text in data.items()}
    return {name: base64.b64decode(text) for name, text in data.items()}


class Kubelet:
    """Brings each version of what is mounted to the folders after a while. An older one never replaces a newer.

    Its verbs may be called from any thread.
    """

    def __init__(self, watching: Watches, *, longest_s: float, seed: int) -> None:
        self.late_s = 0.0
        """How much later than it was to be a version was mounted, at worst: the machine's slowness."""
        self._watching = watching
        self._longest_s = longest_s
        self._random = random.Random(seed)  # noqa: S311 - delays, that a failed run may be repeated with
        self._latest: dict[Source, Event] = {}
        self._mounts: dict[Path, Mount] = {}
        watching.follow(_SECRETS, functools.partial(self._note, "Secret"))
        watching.follow(_CONFIG_MAPS, functools.partial(self._note, "ConfigMap"), selector=_BUNDLES)

    def mount(self, folder: Path, *sources: Source, delay_s: float | None = None) -> None:
        """Mount sources as they are now, as for a pod that starts; they must be there soon."""
        for source in sources:
            wait_until(lambda: source in self._latest, f"{source} is there")  # noqa: B023

        def add() -> None:
            new = self._mounts[folder] = Mount(sources=sources, folder=folder, delay_s=delay_s)
            for source in sources:
                new.bring(source, self._latest[source])

        self._watching.call(add)

    def is_done(self) -> bool:
        """Whether every folder has what there is now, but those whose delay was given."""
        drawn = [mount for mount in self._mounts.values() if mount.delay_s is None]
        return all(mount.version(one) == self._latest[one].version for mount in drawn for one in mount.sources)

    def _note(self, kind: str, event: Event) -> None:
        metadata = event.body["metadata"]
        source = Source(kind, metadata["namespace"], metadata["name"])
        if event.is_gone:
            return  # a pod keeps the files that it has
        event.body["kind"] = kind  # which a list does not say
        self._latest[source] = event
        for mount in self._mounts.values():
            if source in mount.sources:
                delay_s = self._random.uniform(0, self._longest_s) if mount.delay_s is None else mount.delay_s
                due = self._watching.loop.time() + delay_s
                self._watching.loop.call_at(due, self._update, mount, source, event, due)

    def _update(self, mount: Mount, source: Source, event: Event, due: float) -> None:
        mount.bring(source, event)
        self.late_s = max(self.late_s, self._watching.loop.time() - due)


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The consumers of one run."""

    folder: Path
    kubelet: Kubelet
    watching: Watches
    pause_s: float
    consumers: dict[str, Process] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    """Of the recorded authority, as it is now."""
    recorded: list[TextIO] = field(default_factory=list)

    def join(self, identity: str, namespace: str, *sources: Source, delay_s: float | None = None) -> None:
        """Start a consumer with the files of an identity, or of other sources that it mounts.

        `delay_s`: how late each version of its files comes.
        """
        folder = self.folder / identity
        folder.mkdir()
        (folder / consumer.NAME).write_text(f"{identity}.{namespace}.svc")
        sources = sources or projected(namespace, f"{identity}-mtls")
        self.kubelet.mount(folder / consumer.FILES, *sources, delay_s=delay_s)
        environment = os.environ | {consumer.PAUSE: str(self.pause_s)}
        command = [sys.executable, "-m", "devtools.consumers.consumer", str(folder)]
        self.consumers[identity] = processes.start(command, log=folder / _OUTPUT, environment=environment)

    def mount_instead(self, identity: str, *sources: Source) -> None:
        """Have a consumer mount other sources, as a rollout does."""
        self.kubelet.mount(self.folder / identity / consumer.FILES, *sources)

    def record(self, authority: str) -> None:
        """Write down the phases of an authority, for the picture."""
        file = (self.folder / PHASES).open("w")
        self.recorded.append(file)

        def note(event: Event) -> None:
            if event.body["metadata"]["name"] == authority:
                self.status = event.body.get("status", {})
                print(json.dumps({"at": event.at} | _phase(self.status)), file=file, flush=True)

        self.watching.follow(_AUTHORITIES, note)

    def wait_for_round(self, *, quiet_s: float = 0) -> None:
        """Wait until each consumer has the files of now, and so long after has called each, with whatever success."""
        wait_until(self.kubelet.is_done, "the files of now are mounted", deadline_s=_ROUND_S)
        begun = time.time() + quiet_s
        pairs = len(self.consumers) ** 2
        wait_until(lambda: len(self.calls(since=begun)) == pairs, "all have called all", deadline_s=_ROUND_S)

    def calls(self, *, since: float = 0) -> Counter[tuple[str, str]]:
        """Count the calls since a moment by client and server, those that failed included."""
        counted: Counter[tuple[str, str]] = Counter()
        for client, line in self._lines("round"):
            if line["began"] >= since:
                for server, number in (Counter(line["done"]) + Counter(line["failed"])).items():
                    counted[client, server] += number
        return counted

    def failures(self, *, since: float = 0, but: Mapping[str, float] | None = None) -> list[str]:
        """Tell of each handshake that failed since a moment, and of who has ended.

        Left out are those in which one of `but` took part, each from its moment on.
        """
        outside = but or {}
        ended = [name for name, process in self.consumers.items() if not process.is_alive()]
        failed = [
            _told(line, self.held(line["server"], line["at"]))
            for client, line in self._lines("failure")
            if since <= line["at"] < min(outside.get(one, math.inf) for one in (client, line["server"]))
        ]
        return [f"{name} has ended: {self._output(name)}" for name in ended] + failed

    def silences(self, longest_s: float, *, but: Collection[str] = ()) -> list[str]:
        """Tell who did not call whom for longer than that, between two calls; none of `but`."""
        called: dict[tuple[str, str], list[float]] = defaultdict(list)
        for client, line in self._lines("round"):
            for server in line["done"].keys() | line["failed"].keys():
                if not {client, server} & set(but):
                    called[client, server].append(line["began"])
        return [
            f"{client} did not call {server} for {after - before:.1f} s from {before:.1f} on"
            for (client, server), moments in called.items()
            for before, after in itertools.pairwise(moments)
            if after - before > longest_s
        ]

    def held(self, name: str, at: float) -> dict[str, Any]:
        """Tell what files a consumer had at a moment."""
        loaded = [line for client, line in self._lines("loaded") if client == name and line["at"] <= at]
        return loaded[-1] if loaded else {}

    def _lines(self, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in self.consumers:
            yield from ((name, line) for line in lines(self.folder / name / consumer.LOG) if line["what"] == what)

    def _output(self, name: str) -> str:
        return (self.folder / name / _OUTPUT).read_text()[-2000:]

    def end(self) -> None:
        """End all consumers."""
        for one in self.consumers.values():
            one.stop()
        for file in self.recorded:
            file.close()


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path, *, longest_delay_s: float, pause_s: float, seed: int) -> Iterator[Fleet]:
    """Have a fleet for as long as the block lasts; nobody is in it yet. Failures are to be asked for in the block."""
    with watches.running(cluster) as watching:
        kubelet = Kubelet(watching, longest_s=longest_delay_s, seed=seed)
        fleet = Fleet(folder=folder, kubelet=kubelet, watching=watching, pause_s=pause_s)
        try:
            yield fleet
        finally:
            fleet.end()


def lines(log: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a log that may still be written; none where there is none."""
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _told(failure: dict[str, Any], server: dict[str, Any]) -> str:
    """Tell of a failed handshake in one line."""
    sides = " ".join(f"{who}: {_holding(files)};" for who, files in (("client", failure), ("server", server)))
    return f"{failure['at']:.3f} {failure['client']} to {failure['server']}: {failure['why']}; {sides}"


def _holding(files: dict[str, Any]) -> str:
    if not files:
        return "no files"
    bundle = ",".join(root[:6] for root in files["bundle"])
    return f"leaf {files['serial'][:6]} of {files['issuer'][:6]} under {files['root'][:6]}, bundle {bundle}"


def _phase(status: dict[str, Any]) -> dict[str, Any]:
    """Tell the phase, and the key ids of the CAs that sign, by their role."""
    rotating = [one for one in status.get("conditions", ()) if one["type"] == "Rotating"]
    signers = {ca["role"]: ca["keyID"] for ca in status.get("generations", ()) if ca["state"] == "Active"}
    return {"phase": rotating[0]["reason"] if rotating else "Stable", "signers": signers}
