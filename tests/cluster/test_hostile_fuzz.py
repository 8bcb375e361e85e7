"""Objects of all kinds that the operator reads, as a tenant may write them, through the real API server.

After each batch another tenant's new identity is served, the operator is started again, and it is served once more.
`HOSTILE_EXAMPLES` says how many objects are written: 200 unless said otherwise.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support import tenant
from support.tenant import CONFIG_MAPS, IDENTITIES, OURS, SECRETS, Field

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "200"))
BATCH = 25
"""Objects after each of which the operator is started again."""

text = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00Z",
        "2026",
        "",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text | times
values = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(text, below, max_size=4),
    max_leaves=12,
)


def deep(depth: int, opening: str) -> str:
    """Write JSON that lies so deep in itself."""
    closing = "]" if opening == "[" else "}"
    return opening * depth + ("" if opening == "[" else "1") + closing * depth


deep_texts = st.builds(deep, st.integers(1, 20_000), st.sampled_from(["[", '{"a":']))
long_texts = st.builds(lambda character, count: character * count, st.sampled_from('<x{["\\ä'), st.integers(1, 60_000))


def some_of(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[str]:
    """Write JSON that is nearly what we write."""
    fields = {name: strategy | values for name, strategy in known.items()}
    return st.fixed_dictionaries({}, optional=fields).map(json.dumps)


hashes = st.sampled_from(["1", "ab" * 32, ""])
facts: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("serialNumber", "fingerprint", "publicKeyHash", "issuerKeyId", "chainHash", "namesHash"), hashes),
    **dict.fromkeys(("notBefore", "notAfter", "bundleSince", "issuerSince"), times),
    "usages": st.just(["server auth"]),
    "algorithm": st.sampled_from(["ECDSA", "RSA", "DSA"]),
    "size": st.integers(),
    "encoding": st.sampled_from(["PKCS8", "?"]),
    "bundleHash": hashes,
    "further": st.dictionaries(st.sampled_from(["madeFrom", "bundleHash", "files"]), values),
}
whole_facts = st.fixed_dictionaries(facts).map(json.dumps)
owned = {
    "labels": st.lists(text),
    "annotations": st.lists(text),
    "data": st.just(["ca.crt", "tls.crt", "tls.key"]) | st.lists(text),
}
published = {"authority": st.just("default"), "bundleHash": hashes, "since": times}
texts = {
    "mutualtls.dev/facts": whole_facts | some_of(facts),
    "mutualtls.dev/owned": some_of(owned),
    "mutualtls.dev/published": some_of(published),
    "mutualtls.dev/identity-uid": text,
    "mutualtls.dev/identity-name": text,
    "mutualtls.dev/reissue": text,
}
anything = text | values.map(json.dumps) | deep_texts | long_texts
noted = st.fixed_dictionaries({}, optional={name: known | anything for name, known in texts.items()})
paths = st.sampled_from(
    [
        "f:metadata",
        "f:annotations",
        "f:mutualtls.dev/facts",
        "f:mutualtls.dev/owned",
        "f:mutualtls.dev/identity-uid",
        "f:data",
        "f:ca.crt",
        "f:tls.crt",
        "f:tls.key",
        "f:type",
        "f:immutable",
        ".",
        'k:{"name":"a"}',
        "v:1",
    ]
)
fields: st.SearchStrategy[str] = (
    st.recursive(st.just({}), lambda below: st.dictionaries(paths, below, max_size=5), max_leaves=20).map(json.dumps)
    | st.builds(tenant.nested, st.integers(1, 9000))
    | values.map(json.dumps)
)
files: st.SearchStrategy[str] = st.sampled_from(["ca.crt", "tls.crt", "tls.key", "password", "bundle"])
contents = st.sampled_from(["", "eA==", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="])
owners: st.SearchStrategy[list[dict[str, str]]] = st.lists(
    st.fixed_dictionaries(
        {
            "apiVersion": st.sampled_from(["v1", "mutualtls.dev/v1alpha1"]),
            "kind": st.sampled_from(["ConfigMap", "MutualTLSIdentity"]),
            "name": st.sampled_from(["a", "ä" * 100]),
            "uid": st.integers(0, 10**6).map(str),
        }
    ),
    max_size=40,
    unique_by=lambda owner: owner["uid"],
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a tenant sends."""

    path: str
    body: dict[str, Any]
    fields: str | None
    manager: str

    def __repr__(self) -> str:
        return f"{self.path} {str(self.body)[:400]} {str(self.fields)[:100]} by {self.manager}"


def _secret(part: str, kind: str, data: dict[str, str]) -> dict[str, Any]:
    whole = {"tls.crt": "", "tls.key": ""} | data if kind == "kubernetes.io/tls" else data
    labels = {"mutualtls.dev/part": part, "mutualtls.dev/authority": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "data": whole, "metadata": {"labels": labels}}


def _config_map(data: dict[str, str]) -> dict[str, Any]:
    labels = {"mutualtls.dev/part": "bundle", "mutualtls.dev/authority": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {"labels": labels}}


def _identity(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "mutualtls.dev/v1alpha1", "kind": "MutualTLSIdentity", "metadata": {}, "spec": spec}


specs = st.sampled_from(
    [
        {},
        {"suspend": True},
        {"dnsNames": ["a.example.com"]},
        {"formats": {"pkcs12": {"passwordSecretRef": {"name": "fuzz-0"}}}},
        {"secret": {"name": "fuzz-1"}},
    ]
)
bodies = st.one_of(
    st.builds(
        lambda *given: (SECRETS, _secret(*given)),
        st.sampled_from(["files", "password", "ca"]),
        st.sampled_from(["kubernetes.io/tls", "Opaque"]),
        st.dictionaries(files, contents),
    ),
    st.builds(lambda data: (CONFIG_MAPS, _config_map(data)), st.dictionaries(files, text)),
    st.builds(lambda spec: (IDENTITIES, _identity(spec)), specs),
)


@st.composite
def written(draw: st.DrawFn) -> Written:
    """Draw an object."""
    path, body = draw(bodies)
    metadata = body["metadata"] | {"annotations": draw(noted), "ownerReferences": draw(owners)}
    manager = draw(st.sampled_from([OURS, "mallory"]))
    return Written(path, body | {"metadata": metadata}, draw(st.none() | fields), manager)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """One for all batches: what was written stays."""
    with tenant.field(tmp_path_factory.mktemp("helm")) as found:
        yield found


@pytest.mark.further
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of a batch, which is what it is to be
@settings(
    max_examples=max(1, EXAMPLES // BATCH),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(written(), min_size=BATCH, max_size=BATCH))
def test_others_are_served_whatever_a_tenant_writes(field: Field, batch: list[Written]) -> None:
    """The operator neither fails nor asks for a restart."""
    taken = sum(_is_taken(field, one, number) for number, one in enumerate(batch))

    assert taken > BATCH // 4
    field.is_served()
    field.begin_again()
    field.is_served()
    assert (200, "ok\n") == field.ask("/healthz")
    assert (200, "ok\n") == field.ask("/readyz")
    assert not field.operator.logged("programming error")
    assert not field.operator.logged("a task failed")


def _is_taken(field: Field, one: Written, number: int) -> bool:
    """Write an object, under a name that others have, too; tell whether the API server took it."""
    name = f"fuzz-{number % 10}" if number % 2 else f"fuzz-{secrets.token_hex(4)}"
    body = one.body | {"metadata": one.body["metadata"] | {"name": name}}
    return field.mallory.wrote(one.path, body, fields=one.fields, manager=one.manager)
