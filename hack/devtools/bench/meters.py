"""The meters: CPU and memory of controller, API server and etcd, and what the API server has served of writes."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass

from devtools.bench.client import Client
from devtools.clusters.clusters import Cluster
from devtools.machine.processes import Process

CONTROLLER, API_SERVER, ETCD = "controller", "kube-apiserver", "etcd"
METERED = (CONTROLLER, API_SERVER, ETCD)

_SERVED = re.compile(r"apiserver_request_total\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE"})
_UNRELATED = frozenset({"leases", "flowschemas", "prioritylevelconfigurations", "tokenreviews", "subjectaccessreviews"})
"""What API server and controller manager write for themselves, or what is kept nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The meters at one moment."""

    at: float
    cpu_s: dict[str, float]
    """By program."""
    writes: Counter[str]
    """Writes that succeeded so far, by resource and verb: `secrets POST`."""


@dataclass(frozen=True, slots=True)
class Meters:
    """The meters of one cluster and one controller."""

    cluster: Cluster
    controller: Process

    def processes(self) -> dict[str, Process]:
        """Tell what is metered, by name."""
        running = self.cluster.processes()
        return {CONTROLLER: self.controller, API_SERVER: running[API_SERVER], ETCD: running[ETCD]}

    def memory_mib(self) -> dict[str, float]:
        """Read resident memory as it is, by program."""
        return {name: process.memory_mib() for name, process in self.processes().items()}

    def peak_mib(self) -> dict[str, float]:
        """Read the most resident memory that there ever was, by program."""
        return {name: process.peak_mib() for name, process in self.processes().items()}

    async def read(self, api: Client) -> Reading:
        """Read what counts up."""
        written = writes((await api.get("/metrics")).decode())
        cpu = {name: process.cpu_s() for name, process in self.processes().items()}
        return Reading(at=time.monotonic(), cpu_s=cpu, writes=written)


def writes(text: str) -> Counter[str]:
    """Read the writes that succeeded from an API server's metrics, by resource and verb."""
    counted = Counter[str]()
    for line in text.splitlines():
        if (match := _SERVED.fullmatch(line)) is None:
            continue
        labels = dict(_LABEL.findall(match[1]))
        is_done = labels["code"].startswith("2") and not labels.get("dry_run")
        if is_done and labels["verb"] in _WRITES and labels["resource"] not in _UNRELATED:
            resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
            counted[f"{resource} {labels['verb']}"] += round(float(match[2]))
    return counted
