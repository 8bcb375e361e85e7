"""What the release before has stored is read by this one, which writes nothing but what has changed its form.

`tests/shell/before` holds what its operator made on a real API server, without the data of Secrets. To store it again,
run `tests/cluster/test_upgrade.py` with STORE_RELEASE_BEFORE naming that folder. There, authority `turning` waits for
an approval, in phase Publishing.
"""

from __future__ import annotations

import functools
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api import authority as authorities
from mutualtls.core.api import identity
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.states import CAId, Role
from mutualtls.core.ca import ledger
from mutualtls.core.ca import offer as trusts
from mutualtls.core.ca.ledger import Ledger, Mark
from mutualtls.core.ca.offer import Offer
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki.issue import CA
from mutualtls.core.rotation import lifecycle, progress, report
from mutualtls.core.rotation.report import Found
from mutualtls.core.rotation.steps import Note, Sign, View, Write
from mutualtls.kube import paths
from mutualtls.queue.agenda import Agenda, Key
from mutualtls.store.store import Store
from support.builders import key
from support.memory import Memory, worked

_FOLDER = Path(__file__).with_name("before")


@functools.cache
def _file(kind: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_FOLDER / f"{kind}.json").read_text())
    return content


def stored(kind: str) -> dict[str, dict[str, Any]]:
    """Read objects of a kind, by their names."""
    return {one["metadata"]["name"]: one for one in _file(kind)["items"]}


NOW = datetime.fromisoformat(_file("mtls")["moment"])
NAMES = sorted(stored("mtls"))


def the_authority(name: str) -> Authority:
    """Read an authority."""
    return authorities.parse(stored("mtlsca")[name])


def the_ledger(name: str) -> Ledger:
    """Read the ledger of an authority."""
    return ledger.decode(stored("configmap")[f"mutualtls-ledger.{name}"]["data"]["ledger.json"])


def offered() -> dict[str, Offer]:
    """Tell what the authorities offer under their ledgers."""
    return {name: trusts.of(the_authority(name), the_ledger(name)) for name in stored("mtlsca")}


def held(known: Ledger) -> dict[CAId, CA]:
    """Hold the CAs of a ledger, with other keys: their own were not stored."""
    made = ((ca, x509.load_pem_x509_certificate(ca.certificate.encode())) for ca in known.generations)
    return {ca.id: CA(certificate=certificate, key=key()) for ca, certificate in made}


def begin(memory: Memory, store: Store, agenda: Agenda) -> None:
    """Have everything be listed, as after a start."""
    for name in stored("mtlsca"):
        store.authorities.note(stored("mtlsca")[name])
    store.note_namespace({"name": "shop", "labels": {"roots": "here"}})
    for name, body in stored("secret").items():
        store.secrets.note(ObjectKey("shop", name), body["metadata"], now=NOW)
    for name, body in stored("mtls").items():
        memory.objects[paths.identity("shop", name)] = body
        store.identities.note(body)
        agenda.put(Key.identity(ObjectKey("shop", name)))
    for body in (stored("configmap")["roots"], *stored("clustertrustbundle").values()):
        copy = ObjectKey(body["metadata"].get("namespace", ""), body["metadata"]["name"])
        memory.objects[paths.copy(copy)] = body
        store.copies.note(copy, body["metadata"], now=NOW)
    for name in stored("mtlsca"):
        for namespace in ("", "shop"):
            agenda.put(Key.bundle(name, namespace))


def test_nothing_is_written_of_identities_and_each_copy_once() -> None:
    """Copies of bundles lose their owner, so that they stay when their authority is deleted."""
    memory = worked(begin, offered(), now=NOW)

    trust_bundles = [ObjectKey("", f"mutualtls.dev:{name}:bundle") for name in ("default", "turning")]
    assert sorted(paths.copy(one) for one in (*trust_bundles, ObjectKey("shop", "roots"))) == memory.written
    assert not any(memory.objects[path]["metadata"].get("ownerReferences") for path in memory.written)


@pytest.mark.parametrize("name", NAMES)
def test_a_status_of_before_is_read_whole(name: str) -> None:
    """All that it says is known by this release, and says the same when it is written again."""
    told = stored("mtls")[name]["status"]
    read = identity.parse(stored("mtls")[name]).status

    assert told == json.loads(msgspec.json.encode(read))


STEPS = [
    pytest.param("default", [Note], id="at rest"),
    pytest.param("turning", [Note, Note, Write], id="in the middle of a rotation"),
]


@pytest.mark.parametrize(("name", "expected"), STEPS)
def test_an_authority_of_before_goes_on_where_it_was(name: str, expected: list[type]) -> None:
    """Its step is noted once on the Secret of each root, and what a rotation is at in the ledger; no CA is made."""
    of, known = the_authority(name), the_ledger(name)
    before = trusts.of(of, known)
    marks: dict[CAId, Mark] = {}
    taken: list[type] = []
    for _ in range(10):
        view = View(authority=of, ledger=known, held=held(known), marks=marks, now=NOW)
        step = lifecycle.next_step(view)
        taken.append(type(step))
        if isinstance(step, Note):
            marks[step.ca.id] = step.mark
        elif isinstance(step, Write):
            known = step.ledger
        else:
            break

    assert [*expected, Sign] == taken
    assert _plain(the_ledger(name)) == _plain(known)
    assert before.bundle == trusts.of(of, known).bundle


def _plain(known: Ledger) -> Ledger:
    """Leave out what the release before does not know."""
    return msgspec.structs.replace(known, task=None, task_started_at=None, revision=0)


def test_the_status_of_an_authority_is_not_written_for_other_words_alone() -> None:
    """It says the same, in the words of the release before, and is written when something else changes."""
    of = the_authority("default")
    new = _status(of)
    suspended = msgspec.structs.replace(new, observed_generation=new.observed_generation + 1)

    assert new.conditions != of.status.conditions
    assert not report.is_worth_telling(of.status, new, may_tell=True)
    assert report.is_worth_telling(of.status, suspended, may_tell=False)


def _status(of: Authority) -> AuthorityStatus:
    known = the_ledger(of.name)
    marks = {CAId(Role.ROOT, 1): ledger.mark_of(known)}
    view = View(authority=of, ledger=known, held=held(known), marks=marks, now=NOW)
    step = lifecycle.next_step(view)
    assert isinstance(step, Sign)
    found = Found(ledger=known, bundle_hash=trusts.of(of, known).bundle_hash, faults=(), conflicts=[])
    return report.status_of(of, step, progress.of(view), found, now=times.rfc3339(NOW))
