"""What the API server says is passed on: in one line, bounded, without what is secret; and what is made of it."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mutualtls.core.api import refusals
from mutualtls.core.api.algorithms import Encoding
from mutualtls.core.api.refusals import Cause
from mutualtls.core.api.status import Condition
from mutualtls.core.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    HeldUpError,
    ImmutableError,
    NotFoundError,
)
from mutualtls.core.model.object_key import ObjectKey
from mutualtls.core.pki import keys
from mutualtls.kube import transport
from mutualtls.kube.transport import Request
from mutualtls.queue.trouble import Trouble
from support.builders import HOUR, MINUTE, NOW, SECOND, key

SECRETS = "/api/v1/namespaces/shop/secrets"
KEY = keys.to_pem(key(), Encoding.PKCS8)
BODY = {
    "metadata": {"name": "orders-mtls"},
    "data": {"tls.key": base64.b64encode(KEY).decode(), "tls.p12": base64.b64encode(bytes(range(256))).decode()},
}
DENIED = (
    "secrets \"orders-mtls\" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: "
    "every Secret needs the label owner"
)


def status(message: str, reason: str = "Forbidden", **more: Any) -> bytes:
    """An answer of the API server."""
    return msgspec.json.encode({"kind": "Status", "message": message, "reason": reason, **more})


def refused(message: str, code: int = 403, *, method: str = "POST", path: str = SECRETS, **more: Any) -> ClusterError:
    """The error that an answer means, where a Secret was sent."""
    request = Request(method, path, body=BODY, withheld=(b"hunter2", b"correct horse"))
    return transport.failure(request, code, status(message, **more))


def test_what_a_policy_says_is_passed_on() -> None:
    """The log and users also learn what was not done."""
    error = refused(DENIED)

    assert f"secret shop/orders-mtls could not be created: Forbidden: {DENIED}" == error.told
    assert f"POST {SECRETS} failed: Forbidden: {DENIED}" == str(error)


ENCODED = BODY["data"]["tls.key"]
QUOTES = [
    pytest.param(f"denied: {ENCODED[40:52]} is no owner", id="twelve characters as they were sent"),
    pytest.param(f"denied: {KEY.decode()[60:72]} is no owner", id="twelve characters decoded"),
    pytest.param(f"denied: {KEY.decode()}", id="the key itself"),
    pytest.param("denied: hunter2 is too short", id="a short password"),
    pytest.param("denied: a correct horse", id="a long password"),
]


@pytest.mark.parametrize("message", QUOTES)
def test_what_quotes_a_secret_is_left_out(message: str) -> None:
    """The fields are named instead, where those quote nothing."""
    error = refused(message, causes=None, details={"causes": [{"field": "data[tls.key]", "reason": "FieldValueBad"}]})

    assert "secret shop/orders-mtls could not be created: Forbidden: data[tls.key] FieldValueBad" == error.told
    assert "denied" not in str(error)


def test_fields_that_quote_a_secret_are_left_out_too() -> None:
    """The reason is left."""
    error = refused(KEY.decode(), details={"causes": [{"field": f"data[{ENCODED[40:60]}]", "reason": "no"}]})

    assert "secret shop/orders-mtls could not be created: Forbidden" == error.told


def test_eleven_characters_are_no_quote() -> None:
    """Words that happen to be alike are passed on."""
    assert ENCODED[40:51] in refused(f"denied: {ENCODED[40:51]}").told


def test_control_characters_and_length_are_taken_out() -> None:
    """A terminal that shows it obeys nobody."""
    said = refused("\x1b[2J\x00\u2028 denied\n\n\tby\x9b31m " + "x" * 5000).told

    assert "could not be created: Forbidden: [2J denied by 31m xxx" in said
    assert len(said) < 800
    assert said.isprintable()


@given(st.text(max_size=80), st.sampled_from([ENCODED, KEY.decode()]), st.integers(0, 200), st.integers(0, 60))
@example("", KEY.decode(), 10, 12).via("what stands before it is its first character")
@example("", KEY.decode(), 85, 16).via("it goes over the end of a line")
def test_twelve_characters_of_a_value_never_get_through(around: str, value: str, start: int, length: int) -> None:
    """It does not matter where they are quoted, nor whether encoded or decoded."""
    said = refusals.said({"reason": "Forbidden", "message": around + value[start : start + length] + around}, BODY)
    pieces = {said[at : at + 12] for at in range(len(said) - 11)}

    assert not any(
        piece in text for piece in pieces for text in (ENCODED, KEY.decode(), " ".join(KEY.decode().split()))
    )


SUBJECTS = [
    ("PATCH", f"{SECRETS}/orders-mtls", "secret shop/orders-mtls could not be changed"),
    ("DELETE", f"{SECRETS}/orders-mtls", "secret shop/orders-mtls could not be deleted"),
    ("GET", "/api/v1/namespaces/shop", "namespace shop could not be read"),
    (
        "PATCH",
        "/apis/mutualtls.dev/v1alpha1/namespaces/shop/mutualtlsidentities/orders/status",
        "status of identity shop/orders could not be changed",
    ),
    ("PATCH", "/apis/mutualtls.dev/v1alpha1/mutualtlsauthorities/default", "authority default could not be changed"),
]


@pytest.mark.parametrize(("method", "path", "expected"), SUBJECTS)
def test_what_was_not_done_is_said(method: str, path: str, expected: str) -> None:
    """The words are those of users, not of an HTTP request."""
    assert expected == refusals.subject(method, path, None)


IMMUTABLE = 'Secret "a" is invalid: data: Forbidden: field is immutable when `immutable` is set'
TERMINATING = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}
KINDS = [
    pytest.param(refused(DENIED), ClusterError, True, id="a policy or a quota"),
    pytest.param(refused("no", 400), ClusterError, True, id="bad request"),
    pytest.param(refused("gone", 404), ClusterError, True, id="the namespace is gone"),
    pytest.param(refused("too large", 413), ClusterError, True, id="too large"),
    pytest.param(refused("label", 422, reason="Invalid"), ClusterError, True, id="invalid"),
    pytest.param(
        refused(IMMUTABLE, 422, method="PATCH", reason="Invalid"), ImmutableError, True, id="it was made immutable"
    ),
    pytest.param(HeldUpError("secret a", "x/y"), HeldUpError, True, id="kept by finalizers"),
    pytest.param(refused("gone", 404, method="PATCH"), NotFoundError, False, id="it is gone"),
    pytest.param(refused("who", 401), ClusterError, False, id="who asks is not known"),
    pytest.param(refused("there", 409, reason="AlreadyExists"), AlreadyExistsError, False, id="it is there"),
    pytest.param(refused("other", 409, reason="Conflict"), ConflictError, False, id="a conflict"),
    pytest.param(refused("later", 429), ClusterError, False, id="too many"),
    pytest.param(refused("webhook", 500), ClusterError, False, id="an error of its own"),
    pytest.param(refused("etcd", 503), ClusterError, False, id="unavailable"),
    pytest.param(refused("going", details=TERMINATING), ClusterError, False, id="the namespace is on its way out"),
    pytest.param(ClusterError("no answer"), ClusterError, False, id="no answer"),
]


@pytest.mark.parametrize(("error", "kind", "is_lasting"), KINDS)
def test_what_lasts_is_told_from_what_mends_itself(
    error: ClusterError, kind: type[ClusterError], *, is_lasting: bool
) -> None:
    """The code and the reason of the answer tell."""
    assert (kind, is_lasting) == (type(error), error.is_lasting)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        pytest.param("used: secrets=1", "used: secrets=20", True, id="numbers"),
        pytest.param("at 2026-01-02T03:04:05Z", "at 2026-11-12T13:14:15Z", True, id="times"),
        pytest.param(
            "uid 6c0e8f6e-5a6f-4c39-9c11-6f6b3c0a4f10", "uid 00000000-0000-4000-9000-00000000000f", True, id="uids"
        ),
        pytest.param("request 0af31b9c77", "request ffee1122", True, id="hashes"),
        pytest.param("needs label owner", "needs label team", False, id="words"),
        pytest.param("deadbeef", "feedface", False, id="words that could be hashes"),
    ],
)
def test_what_differs_in_numbers_alone_says_the_same(one: str, other: str, *, is_same: bool) -> None:
    """A counter in a message must not cause writes."""
    first, second = ((_condition(text, since),) for text, since in ((one, "a"), (other, "b")))

    assert is_same is refusals.say_the_same(first, second)


def _condition(message: str, since: str) -> Condition:
    return Condition(
        type="Ready",
        status="False",
        reason="SecretNotWritable",
        message=message,
        observed_generation=1,
        last_transition_time=since,
    )


@pytest.mark.parametrize(
    ("duration", "expected"),
    [(5 * MINUTE, "5 minutes"), (MINUTE, "1 minute"), (2 * SECOND, "2 seconds"), (2 * HOUR, "2 hours")],
)
def test_durations_in_words(duration: timedelta, expected: str) -> None:
    """A duration is said in the largest unit that fits."""
    assert expected == refusals.in_words(duration)


ONE, SAME, OTHER = "quota: 3 of 3 used", "quota: 4 of 4 used", "policy: no Secrets here"


@pytest.mark.parametrize(
    ("before", "may_change", "expected"),
    [
        pytest.param(None, False, SAME, id="there were none"),
        pytest.param(ONE, True, ONE, id="it says the same but for numbers"),
        pytest.param(OTHER, True, SAME, id="it says something else"),
        pytest.param(OTHER, False, OTHER, id="it says something else too soon"),
    ],
)
def test_the_words_for_a_refusal_that_lasts_change_seldom(
    before: str | None, expected: str, *, may_change: bool
) -> None:
    """Every identity of an authority repeats them, each by a write of its status."""
    assert expected == refusals.in_lasting_words(before, SAME, may_change=may_change)


# What is remembered


def test_trouble_is_told_once_in_five_minutes() -> None:
    """The limit is per object; a clock that was set back does not hide trouble."""
    trouble = Trouble()
    trouble.tell(ObjectKey("shop", "orders"), NOW)

    assert not trouble.may_tell(ObjectKey("shop", "orders"), NOW + 5 * MINUTE - SECOND)
    assert trouble.may_tell(ObjectKey("shop", "orders"), NOW + 5 * MINUTE)
    assert trouble.may_tell(ObjectKey("shop", "orders"), NOW - HOUR)
    assert trouble.may_tell(ObjectKey("shop", "billing"), NOW)


def test_trouble_is_forgotten() -> None:
    """It is forgotten with its object, or when it no longer counts."""
    trouble = Trouble()
    trouble.tell(ObjectKey("shop", "orders"), NOW)
    trouble.tell(ObjectKey("shop", "billing"), NOW)
    trouble.forget(ObjectKey("shop", "orders"))
    assert 1 == trouble.held

    trouble.sweep(NOW + 5 * MINUTE)
    assert 0 == trouble.held


def test_refused_writes_are_counted() -> None:
    """The metric counts by resource, code and cause."""
    trouble = Trouble()
    for _ in range(2):
        trouble.count("secrets", 403, Cause.QUOTA)

    assert Counter({("secrets", "403", "quota"): 2}) == trouble.refused


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        pytest.param(
            403,
            'secrets is forbidden: User "op" cannot create resource "secrets" in API group "" in the namespace "shop"',
            Cause.RIGHTS,
            id="a right that was taken away",
        ),
        pytest.param(401, "Unauthorized", Cause.RIGHTS, id="an account that is not known"),
        pytest.param(
            403,
            'secrets "orders-mtls" is forbidden: exceeded quota: none, requested: secrets=1, used: secrets=0',
            Cause.QUOTA,
            id="a quota",
        ),
        pytest.param(
            422,
            "secrets \"orders\" is forbidden: ValidatingAdmissionPolicy 'keys' with binding 'all' denied request: no",
            Cause.POLICY,
            id="an admission policy",
        ),
        pytest.param(
            400, 'admission webhook "v.example.com" denied the request: no', Cause.POLICY, id="an admission webhook"
        ),
        pytest.param(422, "Secret is invalid: data: Forbidden: field is immutable", Cause.OTHER, id="anything else"),
        pytest.param(500, "", Cause.OTHER, id="nothing said"),
    ],
)
def test_a_quota_is_told_from_a_right_that_is_lacking(code: int, message: str, expected: Cause) -> None:
    """By the API server's words: the code of several is 403."""
    assert expected == refusals.cause({"message": message, "code": code}, code)


@pytest.mark.parametrize(
    ("namespaces", "is_ready"),
    [
        pytest.param(["shop", "pay", "shop", "pay"], True, id="a few"),
        pytest.param(["shop"] * 9, True, id="of one namespace"),
        pytest.param(["shop", "pay", "shop", "shop", "shop"], False, id="of two namespaces"),
        pytest.param(["", "shop", "", "a", "b", "c", "shop", ""], False, id="of authorities, too"),
    ],
)
def test_who_cannot_write_statuses_does_not_serve(namespaces: list[str], *, is_ready: bool) -> None:
    """This takes a number of refusals in a row; one accepted status ends it."""
    trouble = Trouble()
    for namespace in namespaces:
        trouble.status_refused(namespace)

    assert is_ready is (trouble.why_not_ready() is None)
    trouble.status_taken()
    assert trouble.why_not_ready() is None
