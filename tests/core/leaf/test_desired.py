"""From spec to what is wanted: defaults, the authority's bounds, and refusals that name every fault."""

from __future__ import annotations

from typing import Any

import pytest

from mutualtls.core.api import identity
from mutualtls.core.api.algorithms import Algorithm, Encoding, Usage
from mutualtls.core.api.identity import Identity
from mutualtls.core.api.identity_spec import RotationPolicy
from mutualtls.core.errors import SpecError
from mutualtls.core.leaf import desired, secret_metadata
from mutualtls.core.leaf.desired import Wanted
from mutualtls.core.model import labels
from mutualtls.core.names.names import Names, Subject, names_hash
from mutualtls.core.pki.keys import KeyType
from mutualtls.core.reasons import Reason
from support.builders import (
    DAY,
    ED25519,
    HOUR,
    MINUTE,
    P256,
    P384,
    RSA,
    UID,
    an_identity,
    default_signer,
    identity_body,
)

BOTH = (Usage.CLIENT_AUTH, Usage.SERVER_AUTH)
SHORT, LONG = "orders.shop.svc", "orders.shop.svc.cluster.local"
SPIFFE = "spiffe://cluster.local/ns/shop/sa/orders"


def wanted(of: Identity | None = None, **spec: Any) -> Wanted:
    """Work out what `shop/orders` wants of the authority `default`."""
    return desired.wanted(of or an_identity(**spec), default_signer().trust)


def refusal(of: Identity | None = None, **spec: Any) -> SpecError:
    """Work out why it is refused."""
    with pytest.raises(SpecError) as error:
        wanted(of, **spec)
    return error.value


def test_an_empty_spec_works() -> None:
    """The test has every default in one place."""
    expected = Wanted(
        names=Names(dns=(SHORT, LONG), uris=(SPIFFE,)),
        usages=BOTH,
        key=P256,
        encoding=Encoding.PKCS8,
        rotation_policy=RotationPolicy.ALWAYS,
        duration=DAY,
        renew_before=8 * HOUR,
        secret_name="orders-mtls",  # noqa: S106 - the name of an object
        labels={
            "mutualtls.dev/part": "files",
            "mutualtls.dev/authority": "default",
            "app.kubernetes.io/managed-by": "mutualtls-operator",
        },
        annotations={"mutualtls.dev/identity-name": "orders", "mutualtls.dev/identity-uid": UID},
        owner_uid=UID,
    )

    assert expected == wanted()


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        pytest.param({"services": []}, Names(uris=(SPIFFE,)), id="no services"),
        pytest.param({"serviceAccountName": ""}, Names(dns=(SHORT, LONG)), id="no service account"),
        pytest.param(
            {"services": ["db", "api"], "serviceAccountName": "robot"},
            Names(
                dns=("api.shop.svc", "api.shop.svc.cluster.local", "db.shop.svc", "db.shop.svc.cluster.local"),
                uris=("spiffe://cluster.local/ns/shop/sa/robot",),
            ),
            id="sorted",
        ),
        pytest.param(
            {"dnsNames": ["*.orders.shop.svc"]},
            Names(dns=("*.orders.shop.svc", SHORT, LONG), uris=(SPIFFE,)),
            id="other fields do not change the default of services",
        ),
        pytest.param(
            {"dnsNames": ["ORDERS.shop.svc", SHORT]}, Names(dns=(SHORT, LONG), uris=(SPIFFE,)), id="without doubles"
        ),
        pytest.param(
            {"services": [], "serviceAccountName": "", "dnsNames": ["a.b.shop.svc"]},
            Names(dns=("a.b.shop.svc",)),
            id="a DNS name alone",
        ),
    ],
)
def test_names(spec: dict[str, Any], names: Names) -> None:
    """A leaf has its Services, its service account, and what is asked for beside them."""
    assert names == wanted(**spec).names


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        pytest.param({"usages": ["server auth", "client auth"]}, "usages", BOTH, id="usages in one order"),
        pytest.param({"usages": ["client auth"]}, "usages", (Usage.CLIENT_AUTH,), id="one usage"),
        pytest.param({"privateKey": {"algorithm": "RSA"}}, "key", RSA, id="RSA is of 2048"),
        pytest.param(
            {"privateKey": {"algorithm": "RSA", "size": 3072}}, "key", KeyType(Algorithm.RSA, 3072), id="3072"
        ),
        pytest.param({"privateKey": {"size": 384}}, "key", P384, id="P-384"),
        pytest.param({"privateKey": {"algorithm": "Ed25519"}}, "key", ED25519, id="Ed25519"),
        pytest.param({"privateKey": {"encoding": "SEC1"}}, "encoding", Encoding.SEC1, id="SEC1"),
        pytest.param({"privateKey": {"algorithm": "RSA", "encoding": "PKCS1"}}, "encoding", Encoding.PKCS1, id="PKCS1"),
        pytest.param({"privateKey": {"rotationPolicy": "Never"}}, "rotation_policy", RotationPolicy.NEVER, id="Never"),
        pytest.param({"duration": "10m"}, "duration", 10 * MINUTE, id="shortest life"),
        pytest.param({"duration": "168h"}, "duration", 7 * DAY, id="longest life"),
        pytest.param({"duration": "3h"}, "renew_before", HOUR, id="a third of the duration that is asked for"),
        pytest.param({"renewBefore": "1h30m"}, "renew_before", 90 * MINUTE, id="renewBefore"),
        pytest.param({"renewBeforePercentage": 90}, "renew_before", 0.9 * DAY, id="renewBeforePercentage"),
        pytest.param({"secret": {"name": "tls"}}, "secret_name", "tls", id="name of the Secret"),
        pytest.param({"secret": {"deletionPolicy": "Retain"}}, "owner_uid", None, id="Retain has no owner"),
    ],
)
def test_what_is_asked_for_is_wanted(spec: dict[str, Any], field: str, value: object) -> None:
    """Each field of the spec reaches what is wanted."""
    assert value == getattr(wanted(**spec), field)


def test_labels_and_annotations_of_the_spec_stand_beside_ours() -> None:
    """All together are what is wanted of the Secret."""
    found = wanted(secret={"labels": {"team": "a"}, "annotations": {"note": "b"}})
    ours = {labels.PART: "files", labels.AUTHORITY: "default", labels.MANAGED_BY: "mutualtls-operator"}

    assert {"team": "a"} | ours == found.labels
    assert {"note": "b", labels.IDENTITY_NAME: "orders", labels.IDENTITY_UID: UID} == found.annotations


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        pytest.param(
            {"duration": "9m59s"},
            "spec.duration",
            "9m59s is shorter than authority default allows (leaf.minDuration 10m)",
            id="too short",
        ),
        pytest.param(
            {"duration": "168h1s"},
            "spec.duration",
            "168h1s is longer than authority default allows (leaf.maxDuration 168h)",
            id="too long",
        ),
        pytest.param({"duration": "1d"}, "spec.duration", "not a duration", id="no duration"),
        pytest.param({"renewBefore": "soon"}, "spec.renewBefore", "not a duration", id="no renewBefore"),
        pytest.param({"renewBefore": "24h"}, "spec.renewBefore", "must be shorter", id="renewed before it is made"),
        pytest.param({"privateKey": {"size": 2048}}, "spec.privateKey.size", "ECDSA: 2048", id="ECDSA of 2048"),
        pytest.param(
            {"privateKey": {"algorithm": "RSA", "size": 1024}}, "spec.privateKey.size", "RSA: 1024", id="RSA of 1024"
        ),
        pytest.param(
            {"privateKey": {"algorithm": "Ed25519", "size": 384}},
            "spec.privateKey.size",
            "Ed25519: 384",
            id="Ed25519 of 384",
        ),
        pytest.param(
            {"privateKey": {"encoding": "PKCS1"}}, "spec.privateKey.encoding", "ECDSA: PKCS1", id="PKCS1 of ECDSA"
        ),
        pytest.param(
            {"privateKey": {"algorithm": "Ed25519", "encoding": "SEC1"}},
            "spec.privateKey.encoding",
            "Ed25519: SEC1",
            id="SEC1 of Ed25519",
        ),
        pytest.param({"services": [], "serviceAccountName": ""}, "spec", "at least one name", id="no name at all"),
        pytest.param({"dnsNames": ["or_ders.shop.svc"]}, "spec.dnsNames[0]", "not a DNS name", id="no DNS name"),
        pytest.param({"services": ["a b"]}, "spec.services[0]", "not the name of a Service", id="no Service's name"),
        pytest.param({"services": ["a", "*"]}, "spec.services[1]", "not the name of a Service", id="wildcard"),
        pytest.param({"services": ["a.b"]}, "spec.services[0]", "not the name of a Service", id="two labels"),
    ],
)
def test_what_cannot_be_is_invalid(spec: dict[str, Any], field: str, said: str) -> None:
    """The message has the field and the fault."""
    error = refusal(**spec)

    assert Reason.INVALID_SPEC == error.reason
    assert field in {fault.field for fault in error.faults}
    assert said in str(error)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"dnsNames": ["orders.shop.svc", "www.example.com"]}, "spec.dnsNames[1]", id="outside"),
        pytest.param({"dnsNames": ["orders.other.svc"]}, "spec.dnsNames[0]", id="another namespace"),
    ],
)
def test_what_may_not_be_had_is_not_permitted(spec: dict[str, Any], field: str) -> None:
    """The message has the index of the entry."""
    error = refusal(**spec)

    assert Reason.NOT_PERMITTED == error.reason
    assert {field} == {fault.field for fault in error.faults}


@pytest.mark.parametrize(
    "account",
    [
        pytest.param("../../other/sa/robot", id="path to another namespace"),
        pytest.param("robot/admin", id="two segments"),
        pytest.param("robot#x", id="fragment"),
        pytest.param("röbot", id="not ASCII"),
    ],
)
def test_a_service_account_is_one_segment_of_the_spiffe_id(account: str) -> None:
    """This holds without the API server's schema, because everything in a spec is judged here again."""
    assert Reason.INVALID_SPEC == refusal(serviceAccountName=account).reason


def test_the_api_server_itself_is_refused_with_the_name_as_its_reason() -> None:
    """This is so if `metadata.name` gives the Service."""
    error = refusal(an_identity("kubernetes", "default"))

    assert Reason.NOT_PERMITTED == error.reason
    assert {"metadata.name"} == {fault.field for fault in error.faults}


def test_every_fault_is_named_at_once() -> None:
    """Nobody should have to apply five times to learn of five faults."""
    error = refusal(
        duration="1m",
        privateKey={"algorithm": "RSA", "size": 1, "encoding": "SEC1"},
        dnsNames=["a.example.com", "b.example.com"],
    )
    fields = [fault.field for fault in error.faults]

    assert [
        "spec.privateKey.size",
        "spec.privateKey.encoding",
        "spec.duration",
        "spec.dnsNames[0]",
        "spec.dnsNames[1]",
    ] == fields
    assert all(field in str(error) for field in fields)


def test_a_spec_that_does_not_fit_the_schema_is_invalid() -> None:
    """It may have been stored under an older CRD; faults are named without their consequences."""
    parsed = identity.parse(identity_body(usages=["sign code"], dnsNames=["xn--a"], duration="30h", renewBefore="soon"))
    error = refusal(parsed)

    fields = [fault.field for fault in error.faults]

    assert Reason.INVALID_SPEC == error.reason
    assert ["spec.usages[0]", "spec.renewBefore", "spec.dnsNames[0]"] == fields
    assert "sign code is not one of client auth, server auth" in str(error)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        pytest.param(Names(dns=("a", "b")), Names(dns=("b", "a")), True, id="order does not matter"),
        pytest.param(Names(dns=("a",)), Names(uris=("a",)), False, id="kind matters"),
        pytest.param(Names(dns=("a",)), Names(dns=("a", "b")), False, id="number matters"),
        pytest.param(Names(ips=("::1", "1.2.3.4")), Names(ips=("1.2.3.4", "::1")), True, id="order of addresses"),
        pytest.param(Names(ips=("1.2.3.4",)), Names(dns=("1.2.3.4",)), False, id="address"),
        pytest.param(Names(emails=("a@b",)), Names(uris=("a@b",)), False, id="e-mail address"),
        pytest.param(Names(dns=("a",)), Names(dns=("a",), subject=Subject(common_name="a")), False, id="common name"),
        pytest.param(
            Names(subject=Subject(organizations=("a",))),
            Names(subject=Subject(organizational_units=("a",))),
            False,
            id="attribute",
        ),
        pytest.param(
            Names(subject=Subject(organizational_units=("a", "b"))),
            Names(subject=Subject(organizational_units=("b", "a"))),
            False,
            id="order within a subject, which readers compare as it is",
        ),
    ],
)
def test_names_are_hashed_by_their_meaning(left: Names, right: Names, *, same: bool) -> None:
    """The same names in another order cause no new certificate."""
    assert same is (names_hash(left) == names_hash(right))


def test_hashes_stay_what_they_are() -> None:
    """Another form would make an upgrade write every Secret of the cluster: change the version and keep reading v1."""
    assert "v1:17a3cefd89eb8da7d5db95fc493f9a12" == names_hash(Names(dns=(SHORT,), uris=(SPIFFE,)))
    assert "v1:68c24f4bc57394bf2467f545b252649e" == secret_metadata.metadata_hash(
        {"a": "b", "c": None}, {"d": "e"}, "uid"
    )


def test_metadata_is_hashed_by_its_meaning() -> None:
    """Order does not matter; a key that is missing is not one that is empty."""
    one = secret_metadata.metadata_hash({"a": "1", "b": "2"}, {}, None)

    assert one == secret_metadata.metadata_hash({"b": "2", "a": "1"}, {}, None)
    assert one != secret_metadata.metadata_hash({"a": "1", "b": None}, {}, None)
    assert one != secret_metadata.metadata_hash({}, {"a": "1", "b": "2"}, None)
    assert one != secret_metadata.metadata_hash({"a": "1", "b": "2"}, {}, UID)
