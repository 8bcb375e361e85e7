"""What a tenant with `edit` in one namespace may write, against an operator with the rights of the chart.

Whatever it is, it costs its own object alone: others' new identities are served a moment later, and after a new start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support import tenant
from support.secrets import FACTS
from support.tenant import CONFIG_MAPS, IDENTITIES, OURS, SECRETS, Field, Tenant, nested

_MOST_MIB = 160.0
_BESIDE = int(os.environ.get("HOSTILE_BESIDE", "0"))


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One for all attacks: each is there while the next one comes."""
    with tenant.field(tmp_path_factory.mktemp("helm")) as found:
        yield found


def identity(name: str, **metadata: Any) -> dict[str, Any]:
    """An identity of the tenant."""
    kind = {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity"}
    return {**kind, "metadata": {"name": name, **metadata}, "spec": {}}


def secret(name: str, part: str, **metadata: Any) -> dict[str, Any]:
    """A Secret of the tenant that the operator follows."""
    labels = {"mutualtls.dev/part": part, "mutualtls.dev/authority": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels, **metadata}}


def files(name: str, facts: dict[str, Any] | str, **metadata: Any) -> dict[str, Any]:
    """A Secret with forged facts."""
    annotations = {
        "mutualtls.dev/facts": facts if isinstance(facts, str) else json.dumps(FACTS | facts),
        "mutualtls.dev/owned": json.dumps({"data": ["ca.crt", "tls.crt", "tls.key"]}),
        "mutualtls.dev/identity-uid": "0",
        "mutualtls.dev/identity-name": "forged",
    }
    data = dict.fromkeys(("ca.crt", "tls.crt", "tls.key"), "eA==")
    found = secret(name, "files", annotations=annotations, **metadata)
    return {**found, "type": "kubernetes.io/tls", "data": data}


def bundle(name: str, published: str) -> dict[str, Any]:
    """A ConfigMap that poses as a copy of the bundle."""
    labels = {"mutualtls.dev/part": "bundle", "mutualtls.dev/authority": "default"}
    metadata = {"name": name, "labels": labels, "annotations": {"mutualtls.dev/published": published}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": "x"}}


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "uid": "1"}
WIDE = [OWNER | {"name": "ä" * 250, "uid": f"{number}"} for number in range(1500)]
LONG = "<" * 250_000
"""A quarter of a megabyte as it is written, one and a half as the API server sends it."""
MANY = json.dumps({"f:data": {f"f:{number:05}": {} for number in range(50_000)}})

Attack = Callable[[Tenant], None]
ATTACKS: list[tuple[str, Attack]] = [
    (
        "identity with managedFields 9,000 deep",
        lambda t: t.put(IDENTITIES, identity("deep"), fields=nested(9000)),
    ),
    (
        "password with managedFields 3,000 deep",
        lambda t: t.put(SECRETS, secret("deep", "password"), fields=nested(3000)),
    ),
    (
        "files with managedFields of ours 3,000 deep",
        lambda t: t.put(SECRETS, files("deep-ours", {}), fields=nested(3000), manager=OURS),
    ),
    (
        "bundle with managedFields 3,000 deep",
        lambda t: t.put(CONFIG_MAPS, bundle("deep", "{}"), fields=nested(3000)),
    ),
    (
        "identity with a megabyte of managedFields",
        lambda t: t.put(IDENTITIES, identity("many"), fields=MANY),
    ),
    ("secret with a megabyte of managedFields", lambda t: t.put(SECRETS, files("many", {}), fields=MANY)),
    (
        "owned 50,000 deep",
        lambda t: t.put(
            SECRETS,
            secret(
                "owned", "password", annotations={"mutualtls.dev/owned": '{"x":' + "[" * 50_000 + "]" * 50_000 + "}"}
            ),
        ),
    ),
    (
        "facts 50,000 deep",
        lambda t: t.put(SECRETS, files("facts", '{"x":' + "[" * 50_000 + "]" * 50_000 + "}"), manager=OURS),
    ),
    ("published without a zone", lambda t: t.put(CONFIG_MAPS, bundle("zone", _published("2026-01-01T00:00:00")))),
    (
        "published without a zone, as ours",
        lambda t: t.put(CONFIG_MAPS, bundle("zone-ours", _published("2026-01-01T00:00:00")), manager=OURS),
    ),
    ("published 50,000 deep", lambda t: t.put(CONFIG_MAPS, bundle("published", "[" * 50_000 + "]" * 50_000))),
    (
        "bundleSince without a zone",
        lambda t: t.put(SECRETS, files("since", {"bundleSince": "2026-01-01T00:00:00"}), manager=OURS),
    ),
    (
        "notAfter without a zone",
        lambda t: t.put(SECRETS, files("end", {"notAfter": "2027-01-01T00:00:00"}), manager=OURS),
    ),
    (
        "notAfter at the end of time",
        lambda t: t.put(SECRETS, files("late", {"notAfter": "9999-12-31T23:59:59Z"}), manager=OURS),
    ),
    ("owners without end", lambda t: t.put(SECRETS, files("owners", {}, ownerReferences=WIDE))),
    ("identity with owners without end", lambda t: t.put(IDENTITIES, identity("owners", ownerReferences=WIDE))),
    ("long annotations of an identity", lambda t: t.put(IDENTITIES, identity("long", annotations={"long": LONG}))),
    (
        "a long order",
        lambda t: t.put(IDENTITIES, identity("order", annotations={"mutualtls.dev/reissue": LONG})),
    ),
    ("long annotations of a Secret", lambda t: t.put(SECRETS, secret("long", "password", annotations={"long": LONG}))),
    (
        "a long name of an identity",
        lambda t: t.put(SECRETS, secret("names", "files", annotations={"mutualtls.dev/identity-name": LONG})),
    ),
]


def _published(since: str) -> str:
    return json.dumps({"authority": "default", "bundleHash": "1", "since": since})


_OF_EACH_KIND = (
    "identity with managedFields 9,000 deep",
    "password with managedFields 3,000 deep",
    "owned 50,000 deep",
    "notAfter without a zone",
)


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(attack, id=title, marks=() if title in _OF_EACH_KIND else pytest.mark.further)
        for title, attack in ATTACKS
    ],
)
def test_one_object_costs_itself_alone(field: Field, attack: Attack) -> None:
    """Others are served while it is there, and after a new start, and the operator says so."""
    attack(field.mallory)

    field.is_served()
    field.begin_again()
    field.is_served()
    assert (200, "ok\n") == field.ask("/healthz")
    assert (200, "ok\n") == field.ask("/readyz")


# Memory


def _heavy_owned(field: Field) -> None:
    """Write 400 Secrets, each with a quarter of a megabyte that poses as an annotation of ours."""
    annotations = {"mutualtls.dev/owned": json.dumps({"labels": [f"{number:08}" for number in range(20_000)]})}
    _many(field, 400, lambda number: (SECRETS, secret(f"owned-{number}", "files", annotations=annotations)))


def _heavy_owners(field: Field) -> None:
    """Write 30 Secrets with as many owners as fit."""
    _many(field, 30, lambda number: (SECRETS, secret(f"owners-{number}", "files", ownerReferences=WIDE)))


def _heavy_identities(field: Field) -> None:
    """Write 400 identities, each with a quarter of a megabyte of annotations."""
    annotations = {"long": "x" * 250_000}
    suspended = {"spec": {"suspend": True}}
    _many(field, 400, lambda number: (IDENTITIES, identity(f"heavy-{number}", annotations=annotations) | suspended))


def _many_others(field: Field) -> None:
    """Have as many identities of another tenant as were asked for, with their files."""
    for number in range(_BESIDE):
        if field.victim.get("mtls", f"beside-{number}") is None:
            field.victim.apply(f"beside-{number}")
    for number in range(_BESIDE):
        field.victim.wait_ready(f"beside-{number}")


def _many(field: Field, count: int, one: Callable[[int], tuple[str, dict[str, Any]]]) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        for code, answer in pool.map(lambda number: field.mallory.send("POST", *one(number)), range(count)):
            assert code == 201, answer


_WRITTEN_S = 300
"""To store so many large objects costs the API server a minute of a core, and more where others use it."""


# Last of this file: what it writes stays, and each new start of the operator would have to read it.
@pytest.mark.further
@pytest.mark.parametrize("write", [_heavy_owned, _heavy_owners, _heavy_identities])
def test_memory_is_bounded_whatever_is_written(field: Field, write: Callable[[Field], None]) -> None:
    """It is while all is written and when all is there at a start, beside `HOSTILE_BESIDE` identities of others."""
    _many_others(field)
    write(field)
    field.is_served(within_s=_WRITTEN_S)
    assert field.operator.process is not None
    assert field.operator.process.peak_mib() < _MOST_MIB
    field.begin_again()
    field.is_served(within_s=_WRITTEN_S)
    assert field.operator.process.peak_mib() < _MOST_MIB
