"""Whether the account may still do what it must.

A 401 says by itself that it may not. A 403 comes from a quota or a policy as well: of that, the API server is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from mutualtls.core.errors import ClusterError, UnreadableError
from mutualtls.kube.api import API
from mutualtls.kube.requests import asked, attributes

logger = logging.getLogger(__name__)

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_RESOURCES = ("/api/", "/apis/")
_UNAUTHENTICATED = 401
_MOST_AT_ONCE = 32
"""How many rights are asked for. They differ by verb and resource alone, so that there are never as many."""


class Rights:
    """Rights that seem to be missing, until it is known that they are not."""

    def __init__(
        self, api: API, *, lack: Callable[[str], None], regain: Callable[[], None], check_s: float = 10.0
    ) -> None:
        """`lack` is called with what the account may not do, `regain` once it may do all that was in doubt."""
        self._api = api
        self._lack = lack
        self._regain = regain
        self._check_s = check_s
        self._doubted: dict[tuple[str, str], dict[str, str]] = {}
        self._has_doubts = asyncio.Event()

    def doubt(self, method: str, path: str, code: int) -> None:
        """Take in that a request was denied. Reviews are asked again anyway, and what is no resource says nothing.

        An API server that has just started denies even its version.
        """
        if path == _REVIEWS or not path.startswith(_RESOURCES):
            return
        which = asked(method, path)
        if which in self._doubted or len(self._doubted) < _MOST_AT_ONCE:
            self._doubted[which] = attributes(method, path)
            self._has_doubts.set()
        if code == _UNAUTHENTICATED:
            self._lack("the API server does not know the account (401): its token was revoked or has expired")

    async def run(self) -> None:
        """Ask about what is in doubt, now and then: a quota or a policy may deny something time and again."""
        while True:
            await self._has_doubts.wait()
            if await self._is_in_order():
                self._has_doubts.clear()
                self._regain()
            await asyncio.sleep(self._check_s)

    async def _is_in_order(self) -> bool:
        for which, review in tuple(self._doubted.items()):
            try:
                may = await self._may(review)
            except (ClusterError, UnreadableError) as error:
                if getattr(error, "code", 0) == _UNAUTHENTICATED:
                    self._lack("the API server does not know the account (401): its token was revoked or has expired")
                return False
            if not may:
                what = " ".join(which)
                where = f" in namespace {review['namespace']}" if "namespace" in review else ""
                self._lack(f"the account may not {what}{where}: give it the rights of the chart")
                return False
            del self._doubted[which]
        return True

    async def _may(self, attributes: dict[str, str]) -> bool:
        review: dict[str, Any] = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._api.ask(_REVIEWS, review)
        return bool((answer.get("status") or {}).get("allowed"))
