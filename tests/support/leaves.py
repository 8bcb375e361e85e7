"""Leaves of every kind of key, name and CA."""

from __future__ import annotations

import pytest
from cryptography import x509

from mutualtls.core import times
from mutualtls.core.api.algorithms import Usage
from mutualtls.core.names.names import Names, Subject
from mutualtls.core.pki import issue
from mutualtls.core.pki.keys import KeyType
from support.builders import DAY, KEY_TYPES, NOW, P256, P384, P521, RSA, Signer, default_signer, key

DNS, SPIFFE = "orders.shop.svc", "spiffe://cluster.local/ns/shop/sa/orders"
NAMES = Names(dns=("*.orders.shop.svc", DNS), uris=(SPIFFE,))
BOTH = (Usage.CLIENT_AUTH, Usage.SERVER_AUTH)

each_key = pytest.mark.parametrize("kind", [pytest.param(kind, id=str(kind)) for kind in KEY_TYPES])
each_ca_key = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=str(kind)) for kind in (P256, P384, P521, KeyType(RSA.algorithm, 3072))]
)


def leaf(
    kind: KeyType = P256, by: Signer | None = None, *, names: Names = NAMES, usages: tuple[Usage, ...] = BOTH
) -> x509.Certificate:
    """Sign a leaf of a day."""
    ca = (by or default_signer()).issuing
    life = times.validity(NOW, DAY, within=ca.validity)
    return issue.leaf(key(kind).public_key(), ca, names=names, usages=usages, validity=life)


SUBJECT = Subject(
    common_name=DNS,
    organizations=("b", "a"),
    organizational_units=("u",),
    countries=("DE",),
    localities=("Köln",),
    provinces=("NRW",),
    serial_number="AB-1",
)
