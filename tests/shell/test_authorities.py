"""The reconciler of authorities and what they offer, over an API server that is a dictionary."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar, cast

import pytest

from mutualtls.authorities.offers import Offers
from mutualtls.authorities.reconciler import AuthorityReconciler
from mutualtls.core.api.states import Phase, Role, State
from mutualtls.core.ca import ledger, rotation_state
from mutualtls.core.ca.ledger import Ledger
from mutualtls.core.ca.restored import Remembered
from mutualtls.core.errors import AuthorityError, ClusterError, ConflictError
from mutualtls.core.model import labels
from mutualtls.core.reasons import Reason
from mutualtls.kube import paths
from mutualtls.kube.api import API
from mutualtls.kube.events import Announcer
from mutualtls.kube.versions import Versions
from mutualtls.queue.trouble import Trouble
from mutualtls.store.store import Store
from support.builders import DAY, HOUR, MINUTE, NOW, SECOND, merged

_T = TypeVar("_T")
SYSTEM = "mutualtls-system"
AUTHORITY = paths.authority("default")
STATUS = f"{AUTHORITY}/status"
EMPTY: Mapping[str, str] = MappingProxyType({})
NOTHING: Mapping[str, Remembered] = MappingProxyType({})
LEDGER = paths.config_map(SYSTEM, labels.ledger_name("default"))


class Server:
    """An API server that holds the objects of an operator's namespace, and perhaps refuses to write some."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, ClusterError] = {}
        """Why a path is not written."""
        self.versions = Versions()
        self.skew: str | None = None
        self._version = 1

    async def check_clock(self) -> str | None:
        """Say what is wrong with the clock."""
        return self.skew

    def resumed(self, now: datetime) -> datetime | None:
        """Take it that writes could always begin."""

    async def is_listable(self, path: str) -> None:
        """Take it that all can be listed."""

    async def count(self, path: str, **_: object) -> int:
        """Count identities, of which there are none."""
        return 0 if path == paths.IDENTITIES else len(self.objects)

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read an object."""
        return self.objects.get(path)

    async def get_metadata(self, path: str) -> dict[str, Any] | None:
        """Read the metadata of an object."""
        found = self.objects.get(path)
        return found["metadata"] if found else None

    async def listing(self, path: str, *, selector: str) -> AsyncIterator[dict[str, Any]]:
        """List the CA Secrets, the only ones here."""
        assert labels.PART_CA in selector
        for at, body in self.objects.items():
            if at.startswith(path):
                yield body["metadata"]

    async def create(self, path: str, body: dict[str, Any], **_: object) -> dict[str, Any]:
        """Create an object; of an Event say that it was taken."""
        if "events" in path:
            return {}
        if path in self.refused:
            raise self.refused[path]
        name = body["metadata"]["name"]
        body["metadata"]["uid"] = f"uid-of-{name}"
        return self.put(f"{path}/{name}", body)

    async def patch(self, path: str, patch: dict[str, Any], **_: object) -> dict[str, Any]:
        """Change an object, if it is as the patch says."""
        if path in self.refused:
            raise self.refused[path]
        path = path.removesuffix("/status")
        known, version = self.objects[path], patch["metadata"].get("resourceVersion")
        if version not in {None, known["metadata"]["resourceVersion"]}:
            raise ConflictError("it was changed")
        return self.put(path, merged(known, patch))

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Hold an object at its next version."""
        self._version += 1
        self.objects[path] = merged(body, {"metadata": {"resourceVersion": str(self._version)}})
        return cast("dict[str, Any]", self.objects[path]["metadata"])


QUOTA = ClusterError("a quota", code=403)
DOWN = ClusterError("no answer")


class Shell:
    """An operator with one authority."""

    def __init__(self, server: Server | None = None, remembered: Mapping[str, Remembered] = NOTHING) -> None:
        self.now = NOW
        self.server, self.store, self.changed = server or Server(), Store(), list[str]()
        of = cast("API", self.server)
        self.offers = Offers(of, namespace=SYSTEM, clock=self.clock)
        self.reconciler = AuthorityReconciler(
            of,
            self.store,
            self.offers,
            Announcer(of, clock=self.clock, instance="here"),
            trouble=Trouble(),
            namespace=SYSTEM,
            clock=self.clock,
            check=HOUR,
            on_offer_changed=self.changed.append,
            remembered=remembered,
        )
        self.apply()

    def clock(self) -> datetime:
        """Tell the time."""
        return self.now

    def apply(
        self, operator_namespace: str = SYSTEM, *, generation: int = 1, orders: Mapping[str, str] = EMPTY, **spec: Any
    ) -> None:
        """Have the watch tell of the authority."""
        metadata = {
            "name": "default",
            "uid": "uid-of-default",
            "generation": generation,
            "annotations": {labels.OPERATOR_NAMESPACE: operator_namespace, **orders},
        }
        status = self.server.objects.get(AUTHORITY, {}).get("status", {})
        self.server.put(AUTHORITY, {"metadata": metadata, "spec": spec, "status": status})
        self.store.authorities.note(self.server.objects[AUTHORITY])

    def look(self) -> datetime | None:
        """Look at the authority."""
        return run(self.reconciler.reconcile("default"))

    def ledger(self) -> Ledger:
        """Read the ledger that is there."""
        return ledger.decode(self.server.objects[LEDGER]["data"]["ledger.json"])


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for something."""
    return asyncio.run(work)


@pytest.fixture
def shell() -> Shell:
    """An operator whose authority was not looked at yet."""
    return Shell()


# What is offered


def test_an_authority_is_brought_as_far_as_it_goes_in_one_look(shell: Shell) -> None:
    """Both CAs are made, the status is written, and who depends on it is told once."""
    assert shell.offers.trust("default") is None
    assert NOW + HOUR == shell.look()

    trust = shell.offers.trust("default")
    assert trust is not None
    assert trust.signing is not None
    assert ["default"] == shell.changed
    assert "True" == shell.server.objects[AUTHORITY]["status"]["conditions"][0]["status"]


def test_what_has_not_changed_is_not_told_again(shell: Shell) -> None:
    """A look at what is as it was wakes nobody."""
    shell.look()
    shell.look()

    assert ["default"] == shell.changed


def test_another_spec_is_another_offer(shell: Shell) -> None:
    """It is another one also where no CA changes."""
    shell.look()
    shell.apply(generation=2, leaf={"duration": "2h"})
    shell.look()

    assert ["default", "default"] == shell.changed


def test_an_offer_is_told_though_the_status_cannot_be_written(shell: Shell) -> None:
    """The status comes with the next look; the offer is no news then."""
    shell.server.refused[STATUS] = DOWN
    with pytest.raises(ClusterError):
        shell.look()
    assert ["default"] == shell.changed

    del shell.server.refused[STATUS]
    shell.look()
    assert ["default"] == shell.changed
    assert shell.server.objects[AUTHORITY]["status"]


def test_nothing_is_told_of_a_look_that_came_to_nothing(shell: Shell) -> None:
    """Its ledger cannot be written now, which may pass."""
    shell.server.refused[LEDGER] = DOWN
    shell.server.refused[paths.config_maps(SYSTEM)] = DOWN
    with pytest.raises(ClusterError):
        shell.look()

    assert [] == shell.changed
    assert shell.offers.trust("default") is None


def test_an_authority_that_is_gone_offers_nothing(shell: Shell) -> None:
    """Who depends on it is told; of one that never offered anything there is nothing to tell."""
    shell.look()
    shell.store.drop_authority("default", "uid-of-default")
    assert shell.look() is None
    assert shell.look() is None

    assert ["default", "default"] == shell.changed
    assert shell.offers.trust("default") is None


def test_an_authority_of_another_operator_offers_nothing_to_sign(shell: Shell) -> None:
    """Its status is that operator's."""
    shell.apply("elsewhere", generation=2)
    shell.look()

    trust = shell.offers.trust("default")
    assert trust is not None
    assert trust.why_not is not None
    assert Reason.OTHER_OPERATOR is trust.why_not.reason
    assert {"default": "elsewhere"} == shell.reconciler.left_alone
    assert [AUTHORITY] == list(shell.server.objects)
    assert {} == shell.server.objects[AUTHORITY]["status"]


# The CA that signs


def test_the_ledger_covers_a_leaf_before_its_ca_is_handed_out(shell: Shell) -> None:
    """It covers a tenth more, so that one write serves many."""
    shell.look()
    ca = run(shell.offers.ca_for("default", not_after=NOW + 100 * MINUTE))
    written = shell.server.objects[LEDGER]["metadata"]["resourceVersion"]
    signer = shell.ledger().signer

    assert signer is not None
    assert NOW + 110 * MINUTE == signer.signs_until
    assert ca is run(shell.offers.ca_for("default", not_after=NOW + 110 * MINUTE))
    assert written == shell.server.objects[LEDGER]["metadata"]["resourceVersion"]


def refused(shell: Shell) -> Reason:
    """Ask for the CA that signs, and tell why there is none."""
    with pytest.raises(AuthorityError) as raised:
        run(shell.offers.ca_for("default", not_after=NOW + DAY))
    return raised.value.reason


def test_no_ca_is_handed_out_before_the_first_look(shell: Shell) -> None:
    """Nobody knows yet who signs."""
    assert Reason.AUTHORITY_NOT_READY is refused(shell)


def test_no_ca_is_handed_out_by_a_wrong_clock(shell: Shell) -> None:
    """Certificates would not be valid yet, or already over."""
    shell.look()
    shell.server.skew = "set it right"

    assert Reason.CLOCK_SKEW is refused(shell)


def test_no_ca_is_handed_out_over_the_ledger_of_somebody_else(shell: Shell) -> None:
    """It is read again first."""
    shell.look()
    shell.server.put(LEDGER, shell.server.objects[LEDGER])

    assert Reason.AUTHORITY_NOT_READY is refused(shell)


def test_a_ledger_that_cannot_be_written_is_tried_by_the_authority_itself(shell: Shell) -> None:
    """It tries once for all identities, signs nothing until the ledger covers the leaf, and says so."""
    shell.look()
    shell.server.refused[LEDGER] = QUOTA
    assert Reason.STATE_NOT_WRITABLE is refused(shell)
    assert shell.look() == NOW + SECOND
    shell.now += MINUTE
    assert shell.look() == NOW + MINUTE + 30 * SECOND
    assert Reason.AUTHORITY_NOT_READY is refused(shell)

    del shell.server.refused[LEDGER]
    shell.look()
    signer = shell.ledger().signer
    assert signer is not None
    assert signer.signs_until is not None
    assert NOW + DAY <= signer.signs_until
    assert ["default"] * 3 == shell.changed


# What is remembered


def test_what_is_known_of_cas_is_remembered(shell: Shell) -> None:
    """The key is the uid of the authority, as its name may be another's in a cluster put back to a backup."""
    shell.look()
    remembered = shell.reconciler.remembered()

    assert {"uid-of-default"} == remembered.keys()
    assert shell.ledger() == remembered["uid-of-default"].ledger
    assert all(remembered["uid-of-default"].held.values())


def test_a_status_that_was_written_from_memory_says_nothing_of_the_backup(shell: Shell) -> None:
    """An API server that starts over a backup may deny everything for a moment, while the operator still goes on."""
    spec: dict[str, Any] = {"trust": {"clusterTrustBundle": False}, "rotation": {"soak": "1m"}}
    shell.apply(generation=2, **spec)
    shell.look()
    run(shell.offers.ca_for("default", not_after=NOW + DAY))
    backup = copy.deepcopy(shell.server.objects)
    active = shell.ledger().active(Role.ROOT)
    assert active is not None
    shell.apply(generation=3, orders={labels.ROTATE_ROOT: f"{active.fingerprint}/2"}, **spec)
    for _ in range(5):
        shell.look()
        shell.now += MINUTE
    state = rotation_state.of(shell.ledger())
    assert state is not None
    assert Phase.SIGNING is state.phase

    status = shell.server.objects[AUTHORITY]["status"]
    shell.server.objects = backup
    shell.server.objects[AUTHORITY]["status"] = status
    following = Shell(shell.server, shell.reconciler.remembered())
    following.apply(generation=2, **spec)
    following.look()

    roots = {root.number: root.state for root in following.ledger().of(Role.ROOT)}
    assert {1: State.ACTIVE, 2: State.PUBLISHED} == roots
