"""Which operator serves an authority: the annotation that names its namespace."""

from __future__ import annotations

import logging

import msgspec

from mutualtls.authorities.state import AuthorityState
from mutualtls.core.api.authority import Authority
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from mutualtls.core.rotation import holds
from mutualtls.core.rotation.steps import Hold
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer

logger = logging.getLogger(__name__)


class Claims:
    """Claims authorities for the operator of one namespace."""

    def __init__(self, api: API, announcer: Announcer, *, namespace: str) -> None:
        self._api = api
        self._announcer = announcer
        self._namespace = namespace

    async def claim(self, authority: Authority) -> tuple[Authority, Hold | None]:
        """Claim an authority that nobody serves yet.

        Return it as it is then, and why it is left alone; None: it is ours.
        """
        if authority.operator_namespace is None:
            patch = {
                "metadata": {
                    "uid": authority.uid,
                    "resourceVersion": authority.resource_version,
                    "annotations": {labels.OPERATOR_NAMESPACE: self._namespace},
                }
            }
            metadata = await self._api.patch(paths.authority(authority.name), patch)
            authority = msgspec.structs.replace(authority, resource_version=metadata["resourceVersion"])
        return authority, holds.of_other_operator(authority, self._namespace)

    async def leave_alone(self, authority: Authority, state: AuthorityState) -> None:
        """Say once that another operator serves an authority. Its status is left to that operator."""
        if state.left_to == authority.operator_namespace:
            return
        state.left_to = authority.operator_namespace
        message = f"authority {authority.name} is served by the operator of namespace {authority.operator_namespace}"
        logger.warning("authority is left alone", extra={"authority": authority.name, "why": message})
        await self._announcer.about_namespace(self._namespace, Reason.OTHER_OPERATOR, message)
