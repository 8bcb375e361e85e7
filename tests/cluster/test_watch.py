"""What is followed without Kopf, from a real API server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from devtools.clusters import client
from devtools.clusters.clusters import Cluster
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths, session
from mutualtls.kube.api import API
from mutualtls.kube.watch import Followed, MetadataWatch
from mutualtls.watching.census import Census, Counted


def _now() -> datetime:
    return datetime.now(UTC)


def test_an_object_that_its_taker_stumbles_over_costs_itself_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, be it listed or watched, and its neighbours are taken in."""
    marked = f"test-{secrets.token_hex(3)}"
    admin = client.admin(cluster)

    def create(name: str) -> None:
        metadata = {"name": f"{marked}-{name}", "labels": {"of": marked}}
        admin.create("configmap", {"metadata": metadata}, namespace="default")

    for name in ("a", "bad-1", "c"):
        create(name)
    noted: list[str] = []
    took = asyncio.Event()

    def note(key: ObjectKey, metadata: Mapping[str, Any], *, now: datetime) -> bool:
        if "bad" in key.name:
            raise RuntimeError(f"programming error: {metadata['uid']} at {now}")
        noted.append(str(key))
        took.set()
        return False

    async def follow() -> API:
        connection = session.connect(connections=4)
        async with connection.session:
            api = API(connection.session, connection.server, timeout_s=30, clock=_now)
            watch = MetadataWatch(
                api,
                Followed(
                    path=paths.CONFIG_MAPS,
                    selector=f"of={marked}",
                    note=note,
                    note_gone=lambda _, __: False,
                    version=lambda _: 0,
                    absent=lambda _: (),
                    changed=lambda _: None,
                ),
                clock=_now,
                hear=lambda: None,
                list_ended=lambda: None,
                lose=lambda _: None,
                relist_s=60,
            )
            running = asyncio.create_task(watch.run())
            await asyncio.wait_for(watch.is_listed.wait(), 30)
            for name in ("bad-2", "d"):
                took.clear()
                await asyncio.to_thread(create, name)
            await asyncio.wait_for(took.wait(), 30)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return api

    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
    api = asyncio.run(follow())

    assert [f"default/{marked}-{name}" for name in ("a", "c", "d")] == noted
    assert 2 == api.unread.counts["configmaps"]


def test_what_no_watch_told_of_is_noted_and_counted(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known already is not counted, and a second count in a row that finds something shows a stalled watch."""
    namespace = f"test-{secrets.token_hex(3)}"
    admin = client.admin(cluster)
    admin.create("namespace", {"metadata": {"name": namespace}})
    for name in ("known", "missed"):
        admin.create("configmap", {"metadata": {"name": name}}, namespace=namespace)
    found = {one["metadata"]["name"]: one["metadata"]["uid"] for one in admin.find("configmap", namespace=namespace)}
    noted: list[str] = []
    kind = Counted(
        resource="configmaps",
        path=paths.config_maps(namespace),
        path_of=lambda key: paths.config_map(*key),
        known=lambda: {ObjectKey(namespace, name): (uid, 0) for name, uid in found.items() if name != "missed"},
        note=lambda _, body: noted.append(body["metadata"]["name"]),
    )

    async def count() -> tuple[Census, list[bool]]:
        connection = session.connect(connections=4)
        async with connection.session:
            api = API(connection.session, connection.server, timeout_s=30, clock=_now)
            census = Census(api, [kind], interval_s=600)
            return census, [await census.count(kind) for _ in range(2)]

    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
    census, stalled = asyncio.run(count())

    assert [False, True] == stalled
    assert {"missed"} == set(noted)
    assert {"configmaps": 2} == census.missed
    admin.delete("namespace", namespace)
