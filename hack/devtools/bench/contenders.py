"""Who is measured: the operator, the floors, and cert-manager where its binary is named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devtools.bench import floors, resources
from devtools.bench.controllers import Controller
from devtools.bench.resources import Resource
from devtools.clusters import operators
from devtools.clusters.clusters import Cluster

Running = Callable[[Cluster], contextlib.AbstractContextManager[Controller]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A controller and what it makes Ready."""

    name: str
    resource: Resource
    running: Running
    """Run it on a fresh cluster, with all that it needs there."""
    spec: Mapping[str, Any]
    """Of an object in its simplest form."""
    due_after: Callable[[float], Mapping[str, Any]] | None = None
    """Spec of an object whose certificate is to be renewed so many seconds after it was issued; None: it has none."""


@contextlib.contextmanager
def _ours(cluster: Cluster) -> Iterator[Controller]:
    operators.install(cluster)
    with operators.running(cluster) as operator:
        cluster.kubectl("apply", "--filename", "-", stdin=resources.AUTHORITY)
        cluster.kubectl("wait", "--for=condition=Ready", "mtlsca/default", "--timeout=60s")
        yield operator


_TENTH = 10
"""A certificate is renewed no earlier than after this part of its life, whatever `renewBefore` asks for."""


def _due_after(seconds: float) -> dict[str, Any]:
    """Ask for a renewal as early as there may be one, which has no jitter."""
    life = round(seconds) * _TENTH
    return {"duration": f"{life}s", "renewBefore": f"{life * 95 // 100}s"}


OURS = Contender(
    name="ours",
    resource=resources.IDENTITY,
    running=_ours,
    spec={},
    due_after=_due_after,
)
FLOOR = Contender(name="floor", resource=resources.NOTE, running=floors.any_api, spec={})
TRACKED_FLOOR = Contender(
    name="tracked floor", resource=resources.NOTE, running=floors.any_api, spec={"authority": "default"}
)
"""The same with a field in the spec: of an object made without one the API server does not track who set what."""
API_FLOOR = Contender(name="our API", resource=resources.IDENTITY, running=floors.our_api, spec={})
