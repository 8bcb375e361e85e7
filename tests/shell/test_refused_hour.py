"""An hour under refused writes, by a clock that is moved: what is written, what is told, and when `Ready` turns.

The worker and its agenda are the real ones; the API server is a memory that refuses.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
import pytest

from mutualtls.authorities.offers import Offers
from mutualtls.authorities.reconciler import AuthorityReconciler
from mutualtls.core import times
from mutualtls.core.model import labels
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths, transport
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.kube.transport import Request
from mutualtls.process.worker import Worker
from mutualtls.queue.agenda import Agenda, Key
from mutualtls.queue.trouble import Trouble
from mutualtls.settings import Settings
from mutualtls.store.store import Store
from support import builders
from support.builders import HOUR, MINUTE, NOW, SECOND, as_stored, default_signer, merged

ORDERS = ObjectKey("shop", "orders")
STATUS = f"{paths.identity('shop', 'orders')}/status"
GOOD = ("True", "Issued")
SECRETS, SECRET = paths.secrets("shop"), paths.secret("shop", "orders-mtls")

Refusal = tuple[int, dict[str, Any]]


def policy(number: int) -> Refusal:
    """Refuse by a policy whose words differ in a number each time."""
    message = f"denied request 6c0e8f6e-5a6f-4c39-9c11-{number:012}: every Secret needs the label owner, {number} times"
    return 422, {"reason": "Invalid", "message": message}


def chatter(number: int) -> Refusal:
    """Refuse by a policy that says something else each time."""
    return 403, {"reason": "Forbidden", "message": f"denied, {'ab'[number % 2] * (number % 40)}"}


def overload(_: int) -> Refusal:
    """Refuse nothing, and take nothing."""
    return 500, {"reason": "InternalError", "message": "failed calling webhook: connection refused"}


def busy(_: int) -> Refusal:
    """Have too much to do."""
    return 429, {"reason": "TooManyRequests", "message": "slow down"}


class Server:
    """An API server with one identity, that refuses to take its Secret."""

    def __init__(self) -> None:
        self.now = NOW
        self.refuse: Callable[[int], Refusal] | None = None
        self.identity: dict[str, Any] = builders.identity_body(duration="20m")
        self.secret: dict[str, Any] | None = None
        self.statuses: list[tuple[datetime, dict[str, Any]]] = []
        self.events: list[str] = []
        self.refused = 0

    def clock(self) -> datetime:
        """Tell the time."""
        return self.now

    latest = clock

    async def create(self, path: str, body: dict[str, Any], **_: object) -> dict[str, Any]:
        """Take an Event, or a Secret unless it is refused."""
        if path == paths.events("shop"):
            self.events.append(body["reason"])
            return {}
        assert path == SECRETS
        self._may_refuse("POST", path, body)
        self.secret = as_stored(body)
        return cast("dict[str, Any]", self.secret["metadata"])

    async def patch(self, path: str, patch: dict[str, Any], **_: object) -> dict[str, Any]:
        """Take a status, or a change of the Secret unless it is refused."""
        if path == STATUS:
            self.statuses.append((self.now, patch["status"]))
            version = str(int(self.identity["metadata"]["resourceVersion"]) + 1)
            self.identity = merged(self.identity, {"metadata": {"resourceVersion": version}, "status": patch["status"]})
            return cast("dict[str, Any]", self.identity["metadata"])
        assert path == SECRET
        self._may_refuse("PATCH", path, patch)
        self.secret = as_stored(merged(self.secret or {}, patch))
        return cast("dict[str, Any]", self.secret["metadata"])

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read the Secret."""
        assert path == SECRET
        return self.secret

    async def get_metadata(self, path: str) -> dict[str, Any] | None:
        """Read the namespace, or the metadata of the Secret."""
        if path == paths.namespace("shop"):
            return {"name": "shop", "labels": {}}
        return self.secret["metadata"] if self.secret else None

    def _may_refuse(self, method: str, path: str, body: dict[str, Any]) -> None:
        if self.refuse is not None:
            self.refused += 1
            code, answer = self.refuse(self.refused)
            raise transport.failure(Request(method, path, body=body), code, msgspec.json.encode(answer))

    # What was told

    def ready(self) -> list[tuple[timedelta, str, str]]:
        """List when the condition was written, its status and its reason."""
        found = []
        for at, status in self.statuses:
            (ready,) = [one for one in status["conditions"] if one["type"] == "Ready"]
            found.append((at - NOW, ready["status"], ready["reason"]))
        return found

    @property
    def message(self) -> str:
        """What `Ready` says now."""
        return str(self.statuses[-1][1]["conditions"][0]["message"])


During = Callable[[Server, Worker, timedelta], None]
"""What is done at each second."""


class Signs:
    """The offer of one authority, which signs."""

    def trust(self, name: str) -> object:
        """Offer what the authority of the tests offers."""
        return default_signer().trust if name == "default" else None

    async def ca_for(self, name: str, *, not_after: datetime) -> object:
        """Hand out its CA."""
        del name, not_after
        return default_signer().issuing


def hour(server: Server, during: During = lambda *_: None) -> None:
    """Have an operator work for an hour, second by second."""

    async def run() -> None:
        agenda = Agenda(clock=server.clock, first_retry=SECOND, last_retry=5 * MINUTE)
        store, trouble, of = Store(), Trouble(), cast("API", server)
        announcer = Announcer(of, clock=server.clock, instance="here")
        worker = Worker(
            of,
            store,
            cast("Offers", Signs()),
            agenda,
            announcer,
            authorities=cast("AuthorityReconciler", None),
            trouble=trouble,
            settings=Settings(),
            clock=server.clock,
        )
        store.identities.note(server.identity)
        agenda.put(Key.identity(ORDERS))
        work = asyncio.create_task(worker.work())
        for second in range(int(HOUR.total_seconds())):
            server.now = NOW + second * SECOND
            during(server, worker, second * SECOND)
            agenda._ring()  # noqa: SLF001 - what is due by this clock; the loop's own stands still
            for _ in range(20):
                await asyncio.sleep(0)
        agenda.close()
        await work
        assert worker.held < 20

    asyncio.run(run())


def refusing_from(moment: timedelta, how: Callable[[int], Refusal]) -> During:
    """Have writes of the Secret refused from a moment on."""

    def during(server: Server, _: Worker, since: timedelta) -> None:
        if since == moment:
            server.refuse = how

    return during


def test_nothing_is_written_twice_under_a_policy_for_an_hour() -> None:
    """The first issuance is refused: one status, one Event, and it is tried again every five minutes at least."""
    server = Server()
    server.refuse = policy
    hour(server)

    assert [(timedelta(), "False", "SecretNotWritable")] == server.ready()
    assert ["SecretNotWritable"] == server.events
    assert "every Secret needs the label owner" in server.message
    assert "retried at least every 5 minutes; what waits: secret orders-mtls does not exist" in server.message
    assert 12 <= server.refused <= 24


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param(
            policy, [("True", "Issued"), ("True", "SecretNotWritable"), ("False", "SecretNotWritable")], id="policy"
        ),
        pytest.param(overload, [GOOD, ("False", "SecretNotWritable")], id="5xx"),
        pytest.param(busy, [GOOD, ("False", "SecretNotWritable")], id="429"),
    ],
)
def test_ready_turns_false_at_the_second_at_which_the_files_end(
    how: Callable[[int], Refusal], expected: list[tuple[str, str]]
) -> None:
    """This holds while every renewal is refused; nothing else is reported of what repairs itself."""
    server = Server()
    hour(server, refusing_from(MINUTE, how))
    end = times.from_rfc3339(server.statuses[0][1]["certificate"]["notAfter"]) - NOW

    assert expected == [told[1:] for told in server.ready()]
    assert end == server.ready()[-1][0]
    assert ["SecretNotWritable"] == server.events
    assert f"certificate expired at: {times.rfc3339(NOW + end)}" in server.message


def test_a_policy_that_says_something_else_each_time_fills_no_log() -> None:
    """There is at most one status in five minutes."""
    server = Server()
    server.refuse = chatter
    hour(server)
    moments = [moment for moment, _, _ in server.ready()]

    assert len(moments) <= 13
    assert all(later - earlier >= 5 * MINUTE for earlier, later in itertools.pairwise(moments))
    assert ["SecretNotWritable"] == server.events


def test_it_follows_when_the_writes_are_taken_again() -> None:
    """The identity follows within five minutes, and says so."""
    server = Server()
    server.refuse = policy

    def during(server: Server, _: Worker, since: timedelta) -> None:
        if since == 30 * MINUTE:
            server.refuse = None

    hour(server, during)

    assert ("False", "SecretNotWritable") == server.ready()[0][1:]
    assert ("True", "Issued") == server.ready()[1][1:]
    assert 30 * MINUTE <= server.ready()[1][0] <= 35 * MINUTE


def test_a_wrong_order_is_answered_and_one_that_was_obeyed_is_not() -> None:
    """The annotation stays where it is, as in Git."""
    server = Server()

    def during(server: Server, worker: Worker, since: timedelta) -> None:
        orders = {MINUTE: "deadbeef", 2 * MINUTE: None}
        if since in orders:
            order = orders[since] or server.statuses[0][1]["certificate"]["serialNumber"].upper()
            version = str(int(server.identity["metadata"]["resourceVersion"]) + 1)
            change = {"metadata": {"resourceVersion": version, "annotations": {labels.REISSUE: order}}}
            server.identity = merged(server.identity, change)
            worker._store.identities.note(server.identity)  # noqa: SLF001 - as the watch does
            worker._agenda.put(Key.identity(ORDERS))  # noqa: SLF001 - as the watch does

    hour(server, during)
    first = server.statuses[0][1]["certificate"]["serialNumber"]
    answered = [(at, status) for at, status in server.statuses if labels.REISSUE in status["conditions"][0]["message"]]

    assert [NOW + MINUTE] == [at for at, _ in answered]
    assert f"not obeyed: the serial number now is {first}" in answered[0][1]["conditions"][0]["message"]
    assert first == server.statuses[-1][1]["reissued"]
    assert "ReissueOrdered" in server.events
