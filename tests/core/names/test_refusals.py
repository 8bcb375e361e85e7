"""What the refusal of a name says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from mutualtls.core.errors import SpecError
from support.permits import given, refusals


def test_a_refusal_names_all_and_what_would_permit_it() -> None:
    """One message says it all, and a condition can hold it."""
    asked: dict[str, Any] = {
        "dnsNames": ["api.example.com", "orders.ops.svc"],
        "ipAddresses": ["10.0.0.1"],
        "uris": ["spiffe://other.org/a"],
        "emailAddresses": ["a@example.com"],
        "subject": {"commonName": "alice", "organizations": ["admins"]},
    }
    where = "to a permit of authority default whose namespaceSelector matches namespace shop"

    assert [
        (
            "spec.dnsNames[0]: api.example.com is not permitted: it is not a name of a Service or service account of "
            f'namespace shop; add dnsNames: ["api.example.com"] {where}'
        ),
        (
            "spec.dnsNames[1]: orders.ops.svc is not permitted: it is a name of namespace ops; add dnsNames: "
            f'["orders.ops.svc"] and otherNamespaces: true {where}'
        ),
        (
            "spec.ipAddresses[0]: 10.0.0.1 is not permitted: an IP address belongs to no namespace; add ipRanges: "
            f'["10.0.0.1/32"] {where}'
        ),
        (
            "spec.emailAddresses[0]: a@example.com is not permitted: an e-mail address belongs to no namespace; add "
            f'emailAddresses: ["a@example.com"] {where}'
        ),
        (
            "spec.uris[0]: spiffe://other.org/a is not permitted: its trust domain is not cluster.local, that of "
            f'authority default; add uris: ["spiffe://other.org/a"] {where}'
        ),
        (
            "spec.subject.commonName: alice is not permitted: it belongs to no namespace; add commonNames: "
            f'["alice"] {where}'
        ),
        (
            "spec.subject.organizations[0]: admins is not permitted: it belongs to no namespace; add subjects: "
            f'{{organizations: ["admins"]}} {where}'
        ),
    ] == refusals(**asked)


def test_what_a_refusal_asks_for_is_what_permits_it() -> None:
    """After doing what it says, the identity is not refused again."""
    asked: dict[str, Any] = {
        "dnsNames": [
            *["a.example.com", "b.ops.svc", "*.c.example.com", "*.shop.svc", "d", "e.com", "orders.shop", "f.g"],
            *["1.ops.pod", "a.ops.svc.cluster", "svc.cluster", "kubernetes.default.svc.cluster", "web-0.nginx.ops"],
        ],
        "ipAddresses": ["10.0.0.1", "::1", "::b00:1", "64:ff9b:1:a01:2:300::"],
        "uris": ["spiffe://other.org/a", "spiffe://cluster.local/ns/ops/sa/a", "https://a.ops.svc/", "urn:uuid:a"],
        "emailAddresses": ["a@example.com", "a@b.ops.svc"],
        "subject": {
            "commonName": "system:x",
            "organizations": ["system:masters", "a=b", 'the "best"'],
            "organizationalUnits": ["u"],
            "countries": ["DE"],
            "localities": ["l"],
            "provinces": ["p"],
            "serialNumber": "7",
        },
    }
    advice = [re.search(r"; add (.+) to a permit of ", refusal) for refusal in refusals(**asked)]
    permit: dict[str, Any] = {}
    for found in advice:
        assert found is not None
        for part in found[1].split(" and "):
            merge(permit, yaml.safe_load(f"{{{part}}}"))

    assert not refusals("shop", permit, **asked)


def merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add to a permit what a refusal asks for."""
    for name, value in more.items():
        if isinstance(value, dict):
            merge(into.setdefault(name, {}), value)
        elif isinstance(value, list):
            into[name] = [*into.get(name, []), *value]
        else:
            into[name] = value


def test_a_long_refusal_fits_into_a_condition() -> None:
    """A status that the API server refuses would be written for ever."""
    with pytest.raises(SpecError) as error:
        given(dnsNames=[f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{index}.example.com" for index in range(100)])

    assert 4096 >= len(str(error.value))
    assert re.search(r"; and 9\d more$", str(error.value))
