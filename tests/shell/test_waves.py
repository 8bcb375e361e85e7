"""Many identities at once, by a clock that is moved: after an outage, in a rotation, and where a thousand fail.

The worker and its agenda are the real ones, over a memory in place of the API server. They take no time by the clock:
only what is made to wait comes late, and what has its turn first is written first.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from mutualtls.core import times
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import ClusterError
from mutualtls.core.leaf import render
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.kube import paths
from mutualtls.process.worker import Worker
from mutualtls.queue.agenda import Agenda, Key, Priority
from mutualtls.store.store import Store
from mutualtls.watching.wakes import Wakes
from support import builders
from support.builders import HOUR, MINUTE, NOW, SECOND, Signer, default_signer, other_signer
from support.memory import Begin, During, Memory, worked

PACE = 50
"""Per second."""
OURS = default_signer()
OFFERED = OURS.trust
AT_WORK = {"default": OFFERED}
OTHER = other_signer()
WITH_OTHER = replace(OFFERED, in_use={**OFFERED.in_use, **OTHER.trust.in_use})
"""With another CA whose certificates are good."""
NEW, LATER = ObjectKey("shop", "new"), ObjectKey("shop", "later")

Objects = tuple[dict[str, Any], dict[str, Any]]
"""An identity and its Secret."""


def settled(key: ObjectKey, issued: datetime, *, life: str, by: Signer) -> Objects:
    """Have an identity have files since a moment, and a status that tells of them."""
    o = builders.observed(builders.an_identity(key.name, key.namespace, duration=life), now=issued, trust=WITH_OTHER)
    secret = builders.secret_of(o, by)
    o = replace(o, found=builders.known(secret, verified=issued))
    status = render.identity_status(o, builders.decide(o))
    return builders.identity_body(key.name, key.namespace, duration=life) | {
        "status": msgspec.to_builtins(status)
    }, secret


def since(*ages: timedelta, namespace: str = "shop", life: str = "24h", by: Signer = OURS) -> list[Objects]:
    """Have identities have files since so long ago. Their names say nothing of their ends."""
    keys = (ObjectKey(namespace, f"i-{number * 7919 % 10_007}") for number in itertools.count())
    return [settled(key, NOW - age, life=life, by=by) for key, age in zip(keys, ages, strict=False)]


def late(count: int) -> list[Objects]:
    """Identities whose renewal was due one to four hours ago, as after an outage, and is not urgent yet."""
    return since(*(17 * HOUR + number * 3 * HOUR / count for number in range(count)))


def noted(memory: Memory, store: Store, objects: Sequence[Objects]) -> None:
    """Have objects be there, and be known."""
    for body, secret in objects:
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        key = ObjectKey(namespace, f"{name}-mtls")
        store.note_namespace({"name": namespace, "labels": {}})
        memory.objects[paths.identity(namespace, name)] = body
        memory.objects[paths.secret(*key)] = secret
        store.secrets.note(key, secret["metadata"], now=NOW)
        store.identities.note(body)


def started(*objects: Objects) -> Begin:
    """Have an operator begin to lead, which looks at everything."""

    def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
        noted(memory, store, objects)
        Wakes(store, agenda, namespace="mutualtls-system").begin()

    return begin


def apply(memory: Memory, worker: Worker, key: ObjectKey) -> None:
    """Have somebody create an identity."""
    body = builders.identity_body(key.name, key.namespace)
    memory.objects[paths.identity(*key)] = body
    store, agenda = worker._store, worker._agenda  # noqa: SLF001 - as the watch does
    store.note_namespace({"name": key.namespace, "labels": {}})
    store.identities.note(body)
    agenda.put(Key.identity(key))


def secrets(memory: Memory) -> list[tuple[datetime, str]]:
    """List when Secrets were written, and their paths."""
    return [(at, path) for at, path in memory.writes if "/secrets/" in path]


def moment_of(one: Objects, name: str) -> datetime:
    """Read a time of the certificate that a status tells of."""
    return times.from_rfc3339(one[0]["status"]["certificate"][name])


def urgent_from(one: Objects) -> datetime:
    """Tell from when on its renewal is urgent."""
    return times.pressing(moment_of(one, "renewalTime"), moment_of(one, "notAfter"))


def by_end(objects: Sequence[Objects]) -> list[str]:
    """Paths of Secrets in the order in which their certificates end."""
    ordered = sorted(objects, key=lambda one: str(one[0]["status"]["certificate"]["notAfter"]))
    return [paths.secret(one["metadata"]["namespace"], one["metadata"]["name"]) for _, one in ordered]


def is_paced(memory: Memory, pace: int = PACE) -> bool:
    """Tell whether no more Secrets were written in any second than the pace says."""
    return max(Counter((at - memory.began) // SECOND for at, _ in secrets(memory)).values()) <= pace


def key_of(one: Objects) -> Key:
    """Name the identity."""
    return Key.identity(ObjectKey(one[0]["metadata"]["namespace"], one[0]["metadata"]["name"]))


def path(key: ObjectKey) -> str:
    """Path of the Secret of an identity."""
    return paths.secret(key.namespace, f"{key.name}-mtls")


def offer(pace: int) -> dict[str, Offer]:
    """Have the authority set another pace."""
    return {"default": replace(OFFERED, pace=pace)}


# After an outage


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.further)])
def test_a_wave_after_an_outage_is_renewed_soonest_end_first_at_the_pace_of_the_authority(count: int) -> None:
    """So many are due when the operator is back, and the API server has room for others meanwhile."""
    wave = late(count)
    memory = worked(started(*wave), AT_WORK, now=NOW, time=(count / PACE + 1) * SECOND)

    assert by_end(wave) == [written for _, written in secrets(memory)]
    assert is_paced(memory)


def test_a_renewal_in_time_is_made_at_once_and_with_one_look() -> None:
    """Jitter spreads them, so that none of them need be paced."""
    (one,) = since(14 * HOUR)
    due = moment_of(one, "renewalTime")
    looks: Counter[tuple[str, str]] = Counter()

    def count(_: Memory, worker: Worker) -> None:
        looks.update(worker.reconciles - looks)

    def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
        noted(memory, store, [one])
        agenda.put(key_of(one), at=due)

    memory = worked(begin, AT_WORK, now=due - SECOND, during=count)

    assert [(due, *by_end([one]))] == secrets(memory)
    assert 1 == looks["identity", "done"]
    assert 0 == looks["pace", "done"]


def test_what_has_little_life_left_is_not_held_back() -> None:
    """Certificates that end soon, or have ended, are renewed at once beside those that wait."""
    ended, urgent = since(30 * HOUR, 22 * HOUR, namespace="pay")
    memory = worked(started(*late(20), urgent, ended), offer(1), now=NOW, time=2 * SECOND)

    assert by_end([ended, urgent]) == [written for at, written in secrets(memory) if at == NOW]


def test_no_certificate_ends_because_of_the_pace() -> None:
    """At one a second, a hundred take longer than some have left: these are made when they are urgent."""
    wave = since(*(465 * SECOND + number % 30 * SECOND for number in range(100)), life="10m")
    ends = {
        paths.secret("shop", secret["metadata"]["name"]): moment_of((body, secret), "notAfter") for body, secret in wave
    }
    memory = worked(started(*wave), offer(1), now=NOW, time=90 * SECOND)
    made = secrets(memory)

    assert sorted(ends) == sorted(written for _, written in made)
    assert all(at <= ends[written] - MINUTE for at, written in made)
    assert len(set(made[:10])) == len({at for at, _ in made[:10]}) == 10


def unreachable(until: datetime) -> During:
    """Have the API server be away until a moment, of which the operator is told as of any outage."""

    def during(memory: Memory, worker: Worker) -> None:
        memory.refuse = lambda now, _: ClusterError("unavailable", code=503) if now < until else None
        if memory.now == until:
            worker.retry()

    return during


def test_what_failed_while_the_api_server_was_away_is_paced_as_well() -> None:
    """What had its turn during the outage, and failed, waits for another one."""
    wave = late(120)
    memory = worked(started(*wave), AT_WORK, now=NOW, time=17 * SECOND, during=unreachable(NOW + 12 * SECOND))

    assert by_end(wave) == [written for _, written in secrets(memory)]
    assert is_paced(memory)
    assert secrets(memory)[0][0] > NOW + 12 * SECOND


# Others meanwhile


def test_a_first_issuance_waits_for_no_renewal() -> None:
    """It goes first where a hundred renewals of its namespace became due before it, which are in time."""
    wave = since(*[14 * HOUR] * 100)
    last = max(moment_of(one, "renewalTime") for one in wave)

    def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
        noted(memory, store, wave)
        for one in wave:
            agenda.put(key_of(one), priority=Priority.RENEWAL, at=last)

    def during(memory: Memory, worker: Worker) -> None:
        if memory.now == last:
            apply(memory, worker, NEW)

    memory = worked(begin, AT_WORK, now=last - SECOND, during=during)

    assert (last, path(NEW)) == secrets(memory)[0]
    assert len(wave) < len(secrets(memory))


def test_a_first_issuance_waits_for_no_rotation() -> None:
    """It goes first while a hundred certificates of its namespace are made anew."""
    of_other = {name: replace(ca, is_replaced=True) for name, ca in OTHER.trust.in_use.items()}
    rotated = {"default": replace(OFFERED, in_use={**OFFERED.in_use, **of_other})}
    wave = since(*[HOUR] * 100, by=OTHER)

    def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
        del agenda
        noted(memory, store, wave)

    def during(memory: Memory, worker: Worker) -> None:
        if memory.now == NOW:
            worker.on_offer_changed("default")
            apply(memory, worker, NEW)
        if memory.now == NOW + SECOND:
            apply(memory, worker, LATER)

    memory = worked(begin, rotated, now=NOW, during=during)
    made = secrets(memory)

    assert (NOW, path(NEW)) == made[0]
    assert (NOW + SECOND, path(LATER)) in made
    assert len(wave) + 2 == len(made)
    assert is_paced(memory, PACE + 1)


def test_a_thousand_identities_that_fail_do_not_delay_those_that_do_not() -> None:
    """A new one waits for one try of them at most, and a renewal is made when it is due."""
    (renewed,) = since(14 * HOUR)
    due = moment_of(renewed, "renewalTime")
    failing = [ObjectKey("mallory", f"i-{number}") for number in range(1000)]
    tries: list[datetime] = []
    before: list[int] = []

    def refuse(now: datetime, written: str) -> Exception | None:
        if written.startswith(paths.secrets("mallory")):
            tries.append(now)
            return ClusterError("no", code=403)
        if written == path(NEW):
            before.append(tries.count(now))
        return None

    def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
        memory.refuse = refuse
        noted(memory, store, [renewed])
        agenda.put(key_of(renewed), at=due)

    def during(memory: Memory, worker: Worker) -> None:
        for key in failing if memory.now == due - SECOND else ():
            apply(memory, worker, key)
        if memory.now == due:  # as they are tried for the second time
            apply(memory, worker, NEW)

    memory = worked(begin, AT_WORK, now=due - SECOND, time=2 * SECOND, during=during)

    assert len(tries) >= 2000
    assert 1 == sum(number <= 1 for number in before) == len(before)
    assert {(due, path(NEW)), (due, *by_end([renewed]))} == set(secrets(memory))


def test_one_namespace_cannot_keep_another_from_being_renewed() -> None:
    """Certificates that end sooner go before only until those of the other are urgent, which then take turns."""
    flood = since(*[465 * SECOND] * 100, namespace="mallory", life="10m")
    age = 22 * HOUR
    (other,) = since(age)
    (other,) = since(age + times.whole(urgent_from(other)) - NOW - 5 * SECOND)
    memory = worked(started(*flood, other), offer(1), now=NOW, time=10 * SECOND)
    made = secrets(memory)
    (moment,) = (at for at, written in made if written in by_end([other]))

    assert NOW + 5 * SECOND <= urgent_from(other) <= moment < urgent_from(other) + SECOND / 10
    assert len(made) < len(flood) / 2
