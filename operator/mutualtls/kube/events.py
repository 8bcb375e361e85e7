"""Kubernetes Events about identities, authorities and the Lease, for `kubectl describe`.

One when something was healed, refused or re-issued for another reason than its time; for a first issuance or a
renewal only where a setting asks for it. One for each phase in the replacing of a root, and a warning for what people
should see to about an authority. One when an operator begins to lead, or stops.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from mutualtls.core import fitting
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.identity import Identity
from mutualtls.core.errors import ClusterError
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API

logger = logging.getLogger(__name__)

_LONGEST_INSTANCE = 128


class Announcer:
    """Posts Events. One that cannot be posted is logged and forgotten: an Event is no state."""

    def __init__(self, api: API, *, clock: Callable[[], datetime], instance: str) -> None:
        self._api = api
        self._clock = clock
        self._instance = instance[:_LONGEST_INSTANCE]

    async def normal(self, identity: Identity, reason: Reason, note: str) -> None:
        """Tell of something that was done."""
        await self._post(_of_identity(identity), "Normal", reason, note, action="Issue")

    async def warning(self, identity: Identity, reason: Reason, note: str) -> None:
        """Tell of something that cannot be done."""
        await self._post(_of_identity(identity), "Warning", reason, note, action="Refuse")

    async def about_authority(self, authority: Authority, reason: str, note: str, *, is_warning: bool) -> None:
        """Tell of a phase in the replacing of a root, or of what people should see to."""
        kind: Literal["Normal", "Warning"] = "Warning" if is_warning else "Normal"
        await self._post(_of_authority(authority.name, authority.uid), kind, reason, note, action="Rotate")

    async def about_deleted_authority(self, name: str, uid: str, reason: str, note: str) -> None:
        """Tell of what is left of an authority."""
        await self._post(_of_authority(name, uid), "Warning", reason, note, action="Delete")

    async def about_namespace(self, name: str, reason: Reason, note: str) -> None:
        """Tell of what is not ours, in our own namespace."""
        regarding = {"apiVersion": "v1", "kind": "Namespace", "namespace": name, "name": name}
        await self._post(regarding, "Warning", reason, note, action="LeaveAlone")

    async def about_lease(self, namespace: str, name: str, uid: str, note: str) -> None:
        """Tell that an operator leads, or leads no more, by the reason that all of Kubernetes has for that."""
        head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        regarding = head | {"namespace": namespace, "name": name, "uid": uid}
        await self._post(regarding, "Normal", "LeaderElection", note, action="Lead")

    async def _post(
        self, regarding: dict[str, str], kind: Literal["Normal", "Warning"], reason: str, note: str, *, action: str
    ) -> None:
        now = self._clock().astimezone(UTC)
        # Events about what has no namespace are kept in this one.
        namespace = regarding.get("namespace", "default")
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{regarding['name']}-", "namespace": namespace},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": kind,
            "reason": reason,
            "action": action,
            "note": fitting.note(note),
            "reportingController": f"{labels.GROUP}/operator",
            "reportingInstance": self._instance,
            "regarding": regarding,
        }
        try:
            await self._api.create(paths.events(namespace), body)
        except ClusterError as error:
            logger.warning("event was not posted", extra={"about": regarding["name"], "error": str(error)})


def _of_identity(identity: Identity) -> dict[str, str]:
    return {
        "apiVersion": labels.API_VERSION,
        "kind": labels.IDENTITY_KIND,
        "namespace": identity.namespace,
        "name": identity.name,
        "uid": identity.uid,
    }


def _of_authority(name: str, uid: str) -> dict[str, str]:
    return {"apiVersion": labels.API_VERSION, "kind": labels.AUTHORITY_KIND, "name": name, "uid": uid}
