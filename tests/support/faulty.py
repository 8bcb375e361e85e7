"""Specs of authorities and identities that cannot be read, and what is decided under them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.authority import Authority
from mutualtls.core.api.authority_status import AuthorityStatus
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.ca import offer
from mutualtls.core.ca.offer import Offer
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired, facts, lastgood, plan
from mutualtls.core.leaf.facts import Facts
from mutualtls.core.leaf.observed import Absent, Intervals, Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.rotation import report
from mutualtls.core.rotation.steps import Hold, Sign
from mutualtls.store.store import Store
from support.builders import DAY, HOUR, NOW, READABLE, decide, default_signer, identity_body, known

Spec = dict[str, Any]

LETTERS = {"namespaceSelector": {}, "dnsNames": ["*.example.com"]}
PUBLISHED = {"configMap": {"name": "roots", "namespaceSelector": {}}, "clusterTrustBundle": False}
GOOD: Spec = {"trust": PUBLISHED, "permits": [LETTERS], "onNotPermitted": "Delete"}
"""An authority that gives names by a permit, and its bundle to every namespace."""

FAULTY = [
    pytest.param({"permits": [{"namespaceSelector": {}, "dnsNames": ["xn--a.example.com"]}]}, id="no name in a permit"),
    pytest.param({"permits": [{"namespaceSelector": {}, "ipRanges": ["10.0.0.0/33"]}]}, id="no range in a permit"),
    pytest.param({"permits": [{"dnsNames": ["a.example.com"]}]}, id="a permit without a selector"),
    pytest.param({"permits": [{"namespaceSelector": {"matchLabels": {"-": ""}}}]}, id="no label in a selector"),
    pytest.param({"permits": "all"}, id="no list"),
    pytest.param({"trust": {"configMap": {"name": "roots"}}}, id="a bundle for nobody"),
    pytest.param({"trust": {"configMap": {"namespaceSelector": {"matchLabels": {"a": "_"}}}}}, id="nameless bundle"),
    pytest.param({"trust": None, "clusterDomain": "Cluster.Local"}, id="domain in capitals, and no trust any more"),
    pytest.param({"trustDomain": "a_b/c"}, id="no trust domain"),
    pytest.param({"leaf": {"duration": "1d"}}, id="no duration"),
    pytest.param({"rotation": {"retire": "Now"}}, id="no such word"),
    pytest.param({"nameConstraints": {"permitted": {"dnsDomains": ["*.a"]}}}, id="no domain"),
    pytest.param({"issuing": {"enabled": "no"}}, id="no boolean"),
]
"""Edits that make the spec of an authority one that cannot be read."""


def body_of(name: str = "default", *, version: int = 1, **spec: Any) -> dict[str, Any]:
    """An authority as JSON of the API server."""
    metadata = {"name": name, "uid": f"uid-of-{name}", "generation": version, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {key: value for key, value in spec.items() if value is not None}}


def store_with(*bodies: Mapping[str, Any]) -> Store:
    """A store that was told of authorities, in this order, and of two namespaces."""
    store = Store()
    for name in ("shop", "bank"):
        store.note_namespace({"name": name, "labels": {}})
    for body in bodies:
        store.authorities.note(dict(body))
    return store


def offered(of: Authority) -> Offer:
    """What an authority offers that has the CAs of the default one."""
    return offer.of(of, default_signer().ledger)


def told(of: Authority, step: Sign | Hold) -> Any:
    """What the condition Ready of an authority says."""
    found = report.Found(ledger=default_signer().ledger, bundle_hash=None, faults=(), conflicts=None)
    new: AuthorityStatus = report.status_of(of, step, None, found, now="2026-01-02T03:04:05Z")
    return new.condition("Ready")


DUE, EXPIRED = 20 * HOUR, 25 * HOUR

UNREADABLE = [
    pytest.param({"dnsNames": ["xn--a.shop.svc"]}, "spec.dnsNames[0]", id="no DNS name"),
    pytest.param({"authority": 5}, "spec.authority", id="no name of an authority"),
    pytest.param({"authority": "other", "usages": ["sign code"]}, "spec.usages[0]", id="no usage, another authority"),
    pytest.param({"duration": "1d", "services": ["b"]}, "spec.duration", id="no duration, another name"),
    pytest.param({"secret": {"name": "b", "labels": {"a": 1}}}, "spec.secret.labels[a]", id="no label, another Secret"),
    pytest.param({"privateKey": {"algorithm": "DSA"}}, "spec.privateKey.algorithm", id="no algorithm"),
    pytest.param({"formats": []}, "spec.formats", id="no formats"),
    pytest.param({"ipAddresses": ["10.0.0"], "subject": {"commonName": "a\nb"}}, "spec.ipAddresses[0]", id="values"),
    pytest.param({"services": ["a.b"], "serviceAccountName": "A"}, "spec.services[0]", id="no service"),
]


def decided(
    of: Identity, by: Offer, secret: Mapping[str, Any] | None, *, now: datetime = NOW, unread: str | None = None
) -> tuple[Seen, Decision]:
    """Decide as the shell does that has read the body of the Secret."""
    read = facts.read(secret) if secret is not None else None
    seen = Seen(
        identity=of,
        trust=by,
        found=known(secret, verified=now) if secret is not None else Absent(),
        now=now,
        password=READABLE if of.spec.formats.pkcs12 else None,
        leaf_read=read if isinstance(read, Facts) else None,
        unread=unread,
    )
    try:
        wanted = desired.wanted(of, by, {}, seen.password)
    except SpecError as error:
        good = lastgood.of_leaf(of, secret, read, by) if of.faults and secret and isinstance(read, Facts) else None
        if good is None:
            return seen, plan.refused(seen, error)
        return decided(of.counting(good), by, secret, now=now, unread=str(error))
    o = seen.asking_for(wanted, intervals=Intervals(conflict_retry=DAY, sweep=DAY, move_grace=DAY))
    return o, decide(o)


def edited(status: IdentityStatus, **spec: Any) -> Identity:
    """The identity with another spec, while its status is that of before."""
    return msgspec.structs.replace(identity.parse(identity_body(generation=2, **spec)), status=status)


def part(of: Any) -> Spec:
    """The edit of a row of a table."""
    return dict(of.values[0])
